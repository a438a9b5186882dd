//! Functions that Linux calls where a program throws: named by a tag on the program's function, and called by nobody, so
//! that they have to be linked for the tag's sake (kernel/bpf/verifier.c, `bpf_find_exception_callback_insn_off`).

use crate::functions::{FnIdx, Functions, Role};
use skep_btf::{Btf, Def, Kind};
use skep_model::Linkage;
use std::collections::BTreeMap;

/// What the tag begins with; the name of the function follows.
const TAG: &str = "exception_callback:";

/// The callback of each program that has one, by the program's name.
///
/// A tag that names nothing, no global function, or one of several is left to the kernel, which refuses the program and no
/// other.
#[derive(Debug, Default)]
pub(crate) struct Callbacks(BTreeMap<String, Option<FnIdx>>);

impl Callbacks {
    pub(crate) fn find(btf: Option<&Btf<'_>>, functions: &Functions<'_>) -> Callbacks {
        let mut found = BTreeMap::new();
        let Some(btf) = btf else { return Callbacks::default() };
        for ty in btf.own_types().filter(|ty| ty.kind() == Some(Kind::DeclTag)) {
            let (Def::DeclTag(tag), Some(name)) = (ty.def(), ty.name().strip_prefix(TAG)) else { continue };
            let Some(target) = btf.get(tag.target).filter(|_| tag.component.is_none()) else { continue };
            if matches!(target.def(), Def::Func(_)) {
                let callback = global(functions, name);
                let entry = found.entry(target.name().to_owned());
                entry.and_modify(|several| *several = None).or_insert(callback);
            }
        }
        Callbacks(found)
    }

    pub(crate) fn of(&self, program: &str) -> Option<FnIdx> {
        self.0.get(program).copied().flatten()
    }
}

/// Finds a function that can be seen from outside and is no program.
fn global(functions: &Functions<'_>, name: &str) -> Option<FnIdx> {
    functions.all().find(|index| {
        let function = functions.get(*index);
        function.name == name && function.role == Role::Subprogram && function.linkage == Linkage::Global
    })
}
