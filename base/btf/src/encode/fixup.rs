//! What compilers leave open in BTF, filled in from the object: section sizes, variable offsets, hidden variables.
//!
//! The rules are libbpf's (`btf_fixup_datasec`): clang writes zero as the size of every section and as the offset of
//! every global variable, and the offsets of static ones itself; a static linker has filled in all of it.

use alloc::vec::Vec;

use super::Builder;
use crate::btf::{Btf, TypeId};
use crate::error::{Error, Problem};
use crate::record::Type;
use crate::types::{Datasec, Def, SecInfo, Var, VarLinkage};

/// How far a symbol is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// Outside its object too (`STV_DEFAULT`, `STV_PROTECTED`).
    Default,
    /// Within its object (`STV_HIDDEN`, `STV_INTERNAL`); its variable counts as static.
    Hidden,
}

/// A symbol of an object file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Symbol {
    /// The offset in its section, in bytes.
    pub offset: u32,
    /// How far it is seen.
    pub visibility: Visibility,
}

/// Answers what BTF cannot know about its object file.
pub trait ObjectLayout {
    /// The size of the section of that name, in bytes.
    fn section_size(&self, section: &str) -> Option<u32>;

    /// The global or weak symbol of a variable in that section.
    fn symbol(&self, section: &str, name: &str) -> Option<Symbol>;
}

impl Btf<'_> {
    /// The same BTF with section sizes and variable offsets filled in, hidden variables made static, and the
    /// variables of each section in the order of their offsets.
    ///
    /// Sections `.kconfig` and `.ksyms`, whose variables are defined elsewhere, are only put in order.
    ///
    /// # Errors
    ///
    /// [`Problem::NoSection`] or [`Problem::NoSymbol`] if the object has no such section or symbol, and
    /// [`Problem::WrongKind`] if something in a section is no variable.
    pub fn fix_up(&self, object: &impl ObjectLayout) -> Result<Vec<u8>, Error> {
        let mut builder = Builder::from_btf(self);
        for ty in self.own_types() {
            if let Def::Datasec(datasec) = ty.def() {
                self.fix_up_section(&mut builder, ty, datasec, object)?;
            }
        }
        builder.finish()
    }

    fn fix_up_section(
        &self,
        builder: &mut Builder,
        ty: Type<'_>,
        datasec: Datasec<'_>,
        object: &impl ObjectLayout,
    ) -> Result<(), Error> {
        let mut vars: Vec<SecInfo> = datasec.vars.iter().collect();
        if !matches!(ty.name(), ".kconfig" | ".ksyms") {
            let offsets = match datasec.size {
                0 => Offsets::Open,
                _ => Offsets::Final,
            };
            if offsets == Offsets::Open {
                let size = object.section_size(ty.name()).filter(|&size| size != 0);
                builder.set_datasec_size(ty.id(), size.ok_or_else(|| ty.error(Problem::NoSection))?)?;
            }
            for info in &mut vars {
                self.fix_up_var(builder, ty.name(), info, offsets, object)?;
            }
        }
        vars.sort_by_key(|var| var.offset);
        for (index, var) in vars.into_iter().enumerate() {
            builder.set_datasec_var(ty.id(), index as u32, var)?;
        }
        Ok(())
    }

    fn fix_up_var(
        &self,
        builder: &mut Builder,
        section: &str,
        info: &mut SecInfo,
        offsets: Offsets,
        object: &impl ObjectLayout,
    ) -> Result<(), Error> {
        let ty = self.ty(info.type_id)?;
        let Def::Var(var) = ty.def() else { return Err(ty.wrong_kind("var")) };
        if matches!(var.linkage, VarLinkage::Static | VarLinkage::Extern) {
            return Ok(());
        }
        let symbol = object.symbol(section, ty.name()).ok_or_else(|| ty.error(Problem::NoSymbol))?;
        if offsets == Offsets::Open {
            info.offset = symbol.offset;
        }
        // A variable of a base is not this BTF's to change.
        if symbol.visibility == Visibility::Hidden && self.is_own(info.type_id) {
            builder.set_var(info.type_id, Var { linkage: VarLinkage::Static, ..var })?;
        }
        Ok(())
    }

    fn is_own(&self, id: TypeId) -> bool {
        id >= self.first_own()
    }
}

/// Whether the offsets of global variables are still to be filled in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Offsets {
    Open,
    Final,
}
