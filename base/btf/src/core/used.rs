//! The types and members of a target that relocations rest on: what a smaller BTF for the same program has to keep.

use alloc::collections::{BTreeMap, BTreeSet};

use super::Class;
use super::access::Spec;
use super::candidates::Candidate;
use super::resolve::Resolution;
use crate::btf::{Btf, TypeId};
use crate::error::Error;
use crate::ext::CoreRelocKind;
use crate::types::Def;

/// The types of one target that relocations rest on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    types: BTreeMap<TypeId, Extent>,
}

/// How much of a type is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Extent {
    /// Its record, and of a struct or union these members.
    Members(BTreeSet<u32>),
    /// All of it, and all that it refers to.
    Whole,
}

impl Used {
    /// Begins with nothing.
    pub fn new() -> Used {
        Used::default()
    }

    /// Adds what a relocation found in the target `source`.
    ///
    /// # Errors
    ///
    /// Where the target's BTF is malformed there.
    pub fn add(&mut self, resolution: &Resolution, source: u32, btf: &Btf<'_>) -> Result<(), Error> {
        match &resolution.target {
            Some(found) if found.candidate.source == source => {
                self.add_path(found.candidate, &found.spec, btf)
            }
            _ => Ok(()),
        }
    }

    /// The types, in the order of their identifiers, with the members that are needed; `None` where all are.
    pub fn types(&self) -> impl Iterator<Item = (TypeId, Option<&BTreeSet<u32>>)> {
        self.types.iter().map(|(id, extent)| match extent {
            Extent::Members(members) => (*id, Some(members)),
            Extent::Whole => (*id, None),
        })
    }

    fn add_path(&mut self, candidate: Candidate, spec: &Spec, btf: &Btf<'_>) -> Result<(), Error> {
        match (Class::of(spec.kind), spec.kind) {
            (_, CoreRelocKind::TypeMatches) | (Class::Enumerator, _) => {
                let id = self.pass(candidate.type_id, btf)?;
                self.types.insert(id, Extent::Whole);
                Ok(())
            }
            (Class::Type, _) => self.pass(candidate.type_id, btf).map(drop),
            (Class::Field, _) => {
                let mut id = self.pass(candidate.type_id, btf)?;
                for &index in spec.raw.iter().skip(1) {
                    let next = match btf.ty(id)?.def() {
                        Def::Struct(composite) | Def::Union(composite) => {
                            if let Some(Extent::Members(members)) = self.types.get_mut(&id) {
                                members.insert(index);
                            }
                            composite.members.get(index as usize).map(|member| member.type_id)
                        }
                        Def::Array(array) => {
                            self.pass(array.index, btf)?;
                            Some(array.elem)
                        }
                        _ => None,
                    };
                    let Some(next) = next else { break };
                    id = self.pass(next, btf)?;
                }
                Ok(())
            }
        }
    }

    /// Adds a type with the typedefs and qualifiers before it; gives the type behind them.
    fn pass(&mut self, id: TypeId, btf: &Btf<'_>) -> Result<TypeId, Error> {
        let end = btf.resolve(id)?.id();
        let mut at = id;
        loop {
            if !at.is_void() {
                self.types.entry(at).or_insert_with(|| Extent::Members(BTreeSet::new()));
            }
            match btf.ty(at)?.modified() {
                Some(next) if at != end => at = next,
                _ => return Ok(end),
            }
        }
    }
}
