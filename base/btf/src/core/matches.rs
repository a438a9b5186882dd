//! Whether a type exists with the same members (`bpf_core_type_matches`).

use super::compat::{Pair, Stop};
use super::name::is_same;
use super::number_of;
use crate::btf::TypeId;
use crate::error::Problem;
use crate::kind::Kind;
use crate::layout::MAX_DEPTH;
use crate::record::Type;
use crate::types::{Composite, Def, Enum, FwdKind};

/// Whether a comparison has come through a pointer: from there on structs and unions go by their names only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    Nothing,
    Pointer,
}

impl<'c> Pair<'c> {
    /// Whether the local type is part of the target's. Typedefs and qualifiers do not matter; names do, but for flavours.
    pub(super) fn matches(
        &mut self,
        local: TypeId,
        target: TypeId,
        behind: Behind,
        levels: usize,
    ) -> Result<bool, Stop> {
        let (mut local_id, mut target_id, mut behind) = (local, target, behind);
        let too_deep = |target: Type<'_>| Stop::Target(target.error(Problem::TooDeep));
        for _ in 0..MAX_DEPTH {
            let (local, target) = self.resolve(local_id, target_id)?;
            self.budget.spend(target).map_err(Stop::Target)?;
            let below = levels.checked_sub(1).ok_or_else(|| too_deep(target))?;
            if !self.names_are_same(local, target) {
                return Ok(false);
            }
            let same_kind = number_of(local) == number_of(target);
            match (local.def(), target.def()) {
                (Def::Void, _) => return Ok(same_kind),
                (Def::Fwd(mine), theirs) => return Ok(declares(mine, &theirs, behind)),
                (Def::Enum(mine), Def::Enum(theirs)) => return self.enums_match(target, mine, theirs),
                (Def::Struct(_) | Def::Union(_), theirs) if behind == Behind::Pointer => {
                    let declared = match theirs {
                        Def::Fwd(FwdKind::Struct) => local.kind() == Some(Kind::Struct),
                        Def::Fwd(FwdKind::Union) => local.kind() == Some(Kind::Union),
                        _ => false,
                    };
                    return Ok(same_kind || declared);
                }
                (Def::Struct(mine), Def::Struct(theirs)) | (Def::Union(mine), Def::Union(theirs)) => {
                    return self.composites_match(target, mine, theirs, below);
                }
                (Def::Int(mine), Def::Int(theirs)) => {
                    let sign = mine.encoding.is_signed() == theirs.encoding.is_signed();
                    return Ok(mine.size == theirs.size && sign);
                }
                (Def::Ptr(mine), Def::Ptr(theirs)) => {
                    behind = Behind::Pointer;
                    (local_id, target_id) = (mine, theirs);
                }
                (Def::Array(mine), Def::Array(theirs)) => {
                    if mine.len != theirs.len {
                        return Ok(false);
                    }
                    (local_id, target_id) = (mine.elem, theirs.elem);
                }
                (Def::FuncProto(mine), Def::FuncProto(theirs)) => {
                    if mine.params.len() != theirs.params.len() {
                        return Ok(false);
                    }
                    for (mine, theirs) in mine.params.iter().zip(theirs.params) {
                        if !self.matches(mine.type_id, theirs.type_id, behind, below)? {
                            return Ok(false);
                        }
                    }
                    (local_id, target_id) = (mine.ret, theirs.ret);
                }
                _ => return Ok(false),
            }
        }
        Err(too_deep(self.target.ty(target_id).map_err(Stop::Target)?))
    }

    /// Whether each member has one of the same name that matches.
    fn composites_match(
        &mut self,
        target: Type<'c>,
        mine: Composite<'c>,
        theirs: Composite<'c>,
        below: usize,
    ) -> Result<bool, Stop> {
        if mine.members.len() > theirs.members.len() {
            return Ok(false);
        }
        for member in mine.members {
            let mut matched = false;
            for other in theirs.members {
                self.budget.spend(target).map_err(Stop::Target)?;
                if is_same(member.name, other.name)
                    && self.matches(member.type_id, other.type_id, Behind::Nothing, below)?
                {
                    matched = true;
                    break;
                }
            }
            if !matched {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether each enumerator has one of the same name, whatever its value.
    fn enums_match(&mut self, target: Type<'c>, mine: Enum<'c>, theirs: Enum<'c>) -> Result<bool, Stop> {
        if mine.size != theirs.size || mine.len() > theirs.len() {
            return Ok(false);
        }
        for item in mine.values() {
            let mut matched = false;
            for other in theirs.values() {
                self.budget.spend(target).map_err(Stop::Target)?;
                if is_same(item.name, other.name) {
                    matched = true;
                    break;
                }
            }
            if !matched {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether a forward declaration is one of the target's type: of another declaration, or behind a pointer of the type.
fn declares(mine: FwdKind, theirs: &Def<'_>, behind: Behind) -> bool {
    match theirs {
        Def::Fwd(theirs) => mine == *theirs,
        Def::Struct(_) => behind == Behind::Pointer && mine == FwdKind::Struct,
        Def::Union(_) => behind == Behind::Pointer && mine == FwdKind::Union,
        _ => false,
    }
}
