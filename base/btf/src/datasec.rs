//! Variables and the sections they lie in.

use crate::btf::{Btf, TypeId};
use crate::kind::Kind;
use crate::types::{Datasec, Def, VarLinkage};

/// A variable of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable<'b> {
    /// Its name.
    pub name: &'b str,
    /// The identifier of its VAR.
    pub var_id: TypeId,
    /// Its type.
    pub type_id: TypeId,
    /// Its linkage.
    pub linkage: VarLinkage,
    /// Its offset in the section, in bytes; 0 for a global of an object whose sections are not fixed up yet.
    pub offset: u32,
    /// Its size in bytes.
    pub size: u32,
}

impl<'a> Btf<'a> {
    /// The section of that name, such as `.rodata`.
    pub fn datasec(&self, name: &str) -> Option<(TypeId, Datasec<'_>)> {
        let id = self.find(name, Kind::Datasec)?;
        match self.get(id)?.def() {
            Def::Datasec(datasec) => Some((id, datasec)),
            _ => None,
        }
    }

    /// The variables of a section; functions, which `.ksyms` may hold, are left out.
    pub fn variables<'b>(&'b self, datasec: Datasec<'b>) -> impl Iterator<Item = Variable<'b>> + use<'a, 'b> {
        datasec.vars.into_iter().filter_map(move |info| {
            let ty = self.get(info.type_id)?;
            let Def::Var(var) = ty.def() else { return None };
            Some(Variable {
                name: ty.name(),
                var_id: info.type_id,
                type_id: var.type_id,
                linkage: var.linkage,
                offset: info.offset,
                size: info.size,
            })
        })
    }

    /// The variable of that name in that section.
    pub fn variable(&self, section: &str, name: &str) -> Option<Variable<'_>> {
        let (_, datasec) = self.datasec(section)?;
        self.variables(datasec).find(|variable| variable.name == name)
    }
}
