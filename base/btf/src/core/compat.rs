//! What may stand for what: fields by their types, and types as a whole.

use super::name::{essential_name, is_same};
use super::{Budget, alike, is_composite};
use crate::btf::{Btf, TypeId};
use crate::error::{Error, Problem};
use crate::layout::MAX_DEPTH;
use crate::record::Type;
use crate::types::Def;

/// Two BTFs that are compared, and how much looking is left.
pub(super) struct Pair<'c> {
    pub(super) local: &'c Btf<'c>,
    pub(super) target: &'c Btf<'c>,
    pub(super) budget: &'c mut Budget,
}

/// What stops a comparison.
pub(super) enum Stop {
    Local(Error),
    Target(Error),
}

/// Tells whether a type of one BTF may stand for one of another: the same kind and, where it is a composite, for pointers,
/// arrays and prototypes what they are of (libbpf's `bpf_core_types_are_compat`).
///
/// # Errors
///
/// Where one of the types is not there, or refers to what is not.
pub fn types_are_compatible(
    local: &Btf<'_>,
    local_id: TypeId,
    target: &Btf<'_>,
    target_id: TypeId,
) -> Result<bool, Error> {
    let mut budget = Budget::of_a_question();
    let mut pair = Pair { local, target, budget: &mut budget };
    let answer = pair.types_are_compatible(local_id, target_id, MAX_DEPTH);
    answer.map_err(|stop| match stop {
        Stop::Local(error) | Stop::Target(error) => error,
    })
}

impl<'c> Pair<'c> {
    /// Both types without typedefs and qualifiers.
    pub(super) fn resolve(&self, local: TypeId, target: TypeId) -> Result<(Type<'c>, Type<'c>), Stop> {
        Ok((
            self.local.resolve(local).map_err(Stop::Local)?,
            self.target.resolve(target).map_err(Stop::Target)?,
        ))
    }

    /// Whether a member of the one type may be read as a member of the other: structs and unions mix, any pointer is any
    /// other, integers may differ in size and sign, enumerations and forward declarations must have the same name where
    /// both have one, and arrays go by their elements.
    pub(super) fn fields_are_compatible(&self, local: TypeId, target: TypeId) -> Result<bool, Stop> {
        let (mut local_id, mut target_id) = (local, target);
        for _ in 0..MAX_DEPTH {
            let (local, target) = self.resolve(local_id, target_id)?;
            if is_composite(local) && is_composite(target) {
                return Ok(true);
            }
            if !alike(local, target) {
                return Ok(false);
            }
            match (local.def(), target.def()) {
                (Def::Ptr(_), _) | (Def::Float(_), _) => return Ok(true),
                (Def::Fwd(_) | Def::Enum(_), _) => {
                    let (local, target) = (essential_name(local.name()), essential_name(target.name()));
                    return Ok(local.is_empty() || target.is_empty() || local == target);
                }
                // Integers that are bitfields by themselves are of a BTF that no compiler writes any more.
                (Def::Int(local), Def::Int(target)) => return Ok(local.offset == 0 && target.offset == 0),
                (Def::Array(local), Def::Array(target)) => (local_id, target_id) = (local.elem, target.elem),
                _ => return Ok(false),
            }
        }
        Err(Stop::Target(self.target.ty(target_id).map_err(Stop::Target)?.error(Problem::TooDeep)))
    }

    /// Whether one type may stand for the other, whose names are the same: the same kind, and for pointers, arrays and
    /// prototypes what they are of.
    pub(super) fn types_are_compatible(
        &mut self,
        local: TypeId,
        target: TypeId,
        levels: usize,
    ) -> Result<bool, Stop> {
        let raw = self.local.ty(local).map_err(Stop::Local)?;
        if !alike(raw, self.target.ty(target).map_err(Stop::Target)?) {
            return Ok(false);
        }
        let (mut local_id, mut target_id) = (local, target);
        for _ in 0..MAX_DEPTH {
            let (local, target) = self.resolve(local_id, target_id)?;
            self.budget.spend(target).map_err(Stop::Target)?;
            if !alike(local, target) {
                return Ok(false);
            }
            match (local.def(), target.def()) {
                (Def::Void | Def::Struct(_) | Def::Union(_) | Def::Enum(_) | Def::Fwd(_), _) => {
                    return Ok(true);
                }
                (Def::Int(local), Def::Int(target)) => return Ok(local.offset == 0 && target.offset == 0),
                (Def::Ptr(local), Def::Ptr(target)) => (local_id, target_id) = (local, target),
                (Def::Array(local), Def::Array(target)) => (local_id, target_id) = (local.elem, target.elem),
                (Def::FuncProto(mine), Def::FuncProto(theirs)) => {
                    if mine.params.len() != theirs.params.len() {
                        return Ok(false);
                    }
                    if levels == 0 && !mine.params.is_empty() {
                        return Err(Stop::Target(target.error(Problem::TooDeep)));
                    }
                    for (mine, theirs) in mine.params.iter().zip(theirs.params) {
                        let (mine, theirs) = self.resolve(mine.type_id, theirs.type_id)?;
                        if !self.types_are_compatible(mine.id(), theirs.id(), levels - 1)? {
                            return Ok(false);
                        }
                    }
                    (local_id, target_id) = (mine.ret, theirs.ret);
                }
                _ => return Ok(false),
            }
        }
        Err(Stop::Target(self.target.ty(target_id).map_err(Stop::Target)?.error(Problem::TooDeep)))
    }

    /// Whether two types have the same name but for flavours.
    pub(super) fn names_are_same(&self, local: Type<'_>, target: Type<'_>) -> bool {
        is_same(local.name(), target.name())
    }
}
