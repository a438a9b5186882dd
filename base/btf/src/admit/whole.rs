//! Types as wholes: what they refer to, what they contain, that they end (`btf_check_all_types`).
//!
//! The kernel walks each type depth first, on a stack of 32, and remembers what it has resolved. Which references it
//! follows depends on what it met first in a walk: past a pointer only pointers and modifiers matter, past a struct or
//! an array only what they contain. The same walk is made here, so that the same input fails with the same errno.

use alloc::vec::Vec;

use super::member::{fits, is_regular};
use super::names::is_identifier;
use super::record::refuse;
use super::{Reason, Refusal};
use crate::btf::{Btf, TypeId};
use crate::error::Section;
use crate::kind::Kind;
use crate::layout::{MAX_DEPTH, POINTER_SIZE, own_size};
use crate::record::Type;
use crate::types::{Array, Composite, Datasec, DeclTag, Def, FuncProto};

/// How many modifiers may follow each other (`btf_check_type_tags`).
const MAX_CHAIN: u32 = 32;

pub(super) fn check(btf: &Btf<'_>) -> Result<(), Refusal> {
    let mut resolver = Resolver::new(btf)?;
    for ty in btf.own_types() {
        resolver.resolve(ty)?;
        if let Def::FuncProto(proto) = ty.def() {
            resolver.proto(ty, proto)?;
        }
    }
    tags(btf)
}

/// How far the walk has come with a type.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Open,
    Resolved,
}

/// What a walk is looking for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Undecided,
    Pointer,
    Contents,
}

/// What the walk knows about one type.
#[derive(Clone, Copy)]
struct Known {
    state: State,
    /// The type that it stands for, where it stands for another.
    target: TypeId,
    /// The size in bytes, for arrays.
    size: u32,
}

/// A type on the stack.
#[derive(Clone, Copy)]
struct Open {
    id: TypeId,
    /// The next element to look at.
    next: u32,
}

/// What to do after a look at a type.
enum Step {
    /// Resolve that type first, then go on at this element.
    First(TypeId, u32),
    /// The type is resolved: what it stands for, and its size.
    Done(TypeId, u32),
}

pub(super) struct Resolver<'b> {
    btf: &'b Btf<'b>,
    /// Of each own type.
    known: Vec<Known>,
}

impl<'b> Resolver<'b> {
    fn new(btf: &'b Btf<'b>) -> Result<Resolver<'b>, Refusal> {
        let count = (btf.len() - btf.first_own().0) as usize;
        let mut known = Vec::new();
        known.try_reserve_exact(count).map_err(|_| Refusal {
            place: crate::error::Place { section: Section::Types, offset: 0, type_id: None },
            reason: Reason::NoMemory,
        })?;
        known.resize(count, Known { state: State::New, target: TypeId::VOID, size: 0 });
        Ok(Resolver { btf, known })
    }

    pub(super) fn btf(&self) -> &'b Btf<'b> {
        self.btf
    }

    /// The type that has the size, and the size, of a type that is resolved (`btf_type_id_size`).
    pub(super) fn sized(&self, id: TypeId) -> Option<(TypeId, u32)> {
        let ty = self.btf.get(id)?;
        match ty.def() {
            Def::Var(_) => self.sized_directly(self.known(id).target),
            _ if ty.modified().is_some() => self.sized_directly(self.known(id).target),
            _ => self.sized_directly(id),
        }
    }

    fn sized_directly(&self, id: TypeId) -> Option<(TypeId, u32)> {
        let def = self.btf.get(id)?.def();
        match def {
            Def::Array(_) => Some((id, self.known(id).size)),
            Def::Ptr(_) => Some((id, POINTER_SIZE)),
            def => own_size(&def).map(|size| (id, size)),
        }
    }

    fn known(&self, id: TypeId) -> Known {
        match id.0.checked_sub(self.btf.first_own().0) {
            Some(own) => self.known.get(own as usize).copied(),
            // A base was resolved when it was loaded: what it stands for is looked up afresh.
            None => Some(Known {
                state: State::Resolved,
                target: self.btf.resolve(id).map_or(TypeId::VOID, |ty| ty.id()),
                size: self.btf.size_of(id).unwrap_or(0),
            }),
        }
        .unwrap_or(Known { state: State::New, target: TypeId::VOID, size: 0 })
    }

    fn is_resolved(&self, id: TypeId) -> bool {
        !id.is_void() && self.known(id).state == State::Resolved
    }

    fn set(&mut self, id: TypeId, known: Known) {
        let own = id.0.checked_sub(self.btf.first_own().0);
        if let Some(slot) = own.and_then(|own| self.known.get_mut(own as usize)) {
            *slot = known;
        }
    }

    /// Resolves a type, if it needs that and is not resolved yet (`btf_resolve`).
    fn resolve(&mut self, ty: Type<'b>) -> Result<(), Refusal> {
        if !needs_resolve(ty) || self.is_resolved(ty.id()) {
            return Ok(());
        }
        let (mut stack, mut mode) = (Vec::new(), Mode::Undecided);
        self.push(&mut stack, &mut mode, ty)?;
        while let Some(&Open { id, next }) = stack.last() {
            let current = self.btf.ty(id).map_err(|_| refuse(ty, Reason::Target))?;
            match self.step(current, next, mode)? {
                Step::First(first, next) => {
                    if let Some(open) = stack.last_mut() {
                        open.next = next;
                    }
                    let first = self.btf.ty(first).map_err(|_| refuse(current, Reason::Target))?;
                    self.push(&mut stack, &mut mode, first)?;
                }
                Step::Done(target, size) => {
                    stack.pop();
                    self.set(id, Known { state: State::Resolved, target, size });
                }
            }
        }
        match self.is_sound(ty) {
            true => Ok(()),
            false => Err(refuse(ty, Reason::Target)),
        }
    }

    fn push(&mut self, stack: &mut Vec<Open>, mode: &mut Mode, ty: Type<'b>) -> Result<(), Refusal> {
        if stack.len() == MAX_DEPTH {
            return Err(refuse(ty, Reason::TooDeep));
        }
        if self.known(ty.id()).state != State::New {
            return Err(refuse(ty, Reason::Loop));
        }
        stack.try_reserve(1).map_err(|_| refuse(ty, Reason::NoMemory))?;
        self.set(ty.id(), Known { state: State::Open, ..self.known(ty.id()) });
        stack.push(Open { id: ty.id(), next: 0 });
        if *mode == Mode::Undecided {
            *mode = match ty.kind() {
                Some(Kind::Ptr) => Mode::Pointer,
                Some(Kind::Struct | Kind::Union | Kind::Array) => Mode::Contents,
                _ => Mode::Undecided,
            };
        }
        Ok(())
    }

    /// Whether that type has to be resolved before this walk goes on.
    fn comes_first(&self, ty: Type<'_>, mode: Mode) -> bool {
        let is_followed = match mode {
            Mode::Undecided => needs_resolve(ty),
            Mode::Pointer => ty.modified().is_some() || ty.kind() == Some(Kind::Ptr),
            Mode::Contents => {
                ty.modified().is_some() || matches!(ty.kind(), Some(Kind::Struct | Kind::Union | Kind::Array))
            }
        };
        is_followed && !self.is_resolved(ty.id())
    }

    fn step(&self, ty: Type<'b>, next: u32, mode: Mode) -> Result<Step, Refusal> {
        match ty.def() {
            Def::Ptr(target) => self.reference(ty, target, mode),
            Def::Var(var) => self.reference(ty, var.type_id, mode),
            Def::Array(array) => self.array(ty, array, mode),
            Def::Struct(composite) | Def::Union(composite) => self.members(ty, composite, next, mode),
            Def::Datasec(datasec) => self.variables(ty, datasec, next, mode),
            Def::Func(func) => self.func(ty, func.proto),
            Def::DeclTag(tag) => self.decl_tag(ty, tag, mode),
            _ => match ty.modified() {
                Some(target) => self.reference(ty, target, mode),
                None => Err(refuse(ty, Reason::Target)),
            },
        }
    }

    /// A pointer, a variable or a modifier (`btf_ptr_resolve`, `btf_var_resolve`, `btf_modifier_resolve`).
    fn reference(&self, ty: Type<'b>, target: TypeId, mode: Mode) -> Result<Step, Refusal> {
        let bad = || refuse(ty, Reason::Target);
        let next = self.btf.get(target).filter(|next| !is_source_only(*next)).ok_or_else(bad)?;
        if self.comes_first(next, mode) {
            return Ok(Step::First(target, 0));
        }
        // A modifier that was resolved within a struct may have stopped at a pointer, which still has to be followed.
        if next.modified().is_some() && ty.modified().is_none() {
            let last = self.known(target).target;
            let follow = self.btf.get(last).filter(|last| last.kind() == Some(Kind::Ptr));
            if follow.is_some_and(|last| self.comes_first(last, mode)) {
                return Ok(Step::First(last, 0));
            }
        }
        if let Some((id, _)) = self.sized(target) {
            return Ok(Step::Done(id, 0));
        }
        let last = if self.is_resolved(target) { self.known(target).target } else { target };
        let may_lack_size = ty.kind() != Some(Kind::Var);
        let is_opaque =
            |last: Type<'_>| last.id().is_void() || matches!(last.kind(), Some(Kind::Fwd | Kind::FuncProto));
        match self.btf.get(last) {
            Some(opaque) if may_lack_size && is_opaque(opaque) => Ok(Step::Done(last, 0)),
            _ => Err(bad()),
        }
    }

    fn array(&self, ty: Type<'b>, array: Array, mode: Mode) -> Result<Step, Refusal> {
        let part = |id, reason| match self.btf.get(id) {
            Some(part) if !is_source_only(part) && !lacks_size(part) => Ok(part),
            _ => Err(refuse(ty, reason)),
        };
        let index = part(array.index, Reason::ArrayIndex)?;
        if self.comes_first(index, mode) {
            return Ok(Step::First(array.index, 0));
        }
        let regular =
            |id| self.btf.get(id).is_some_and(|ty| matches!(ty.def(), Def::Int(int) if is_regular(int)));
        let is_int = |id| self.btf.get(id).is_some_and(|ty| ty.kind() == Some(Kind::Int));
        if !self.sized(array.index).is_some_and(|(id, _)| regular(id)) {
            return Err(refuse(ty, Reason::ArrayIndex));
        }
        let elem = part(array.elem, Reason::ArrayElement)?;
        if self.comes_first(elem, mode) {
            return Ok(Step::First(array.elem, 0));
        }
        let (id, size) = self.sized(array.elem).ok_or_else(|| refuse(ty, Reason::ArrayElement))?;
        match size.checked_mul(array.len) {
            Some(total) if !is_int(id) || regular(id) => Ok(Step::Done(id, total)),
            _ => Err(refuse(ty, Reason::ArrayElement)),
        }
    }

    fn members(
        &self,
        ty: Type<'b>,
        composite: Composite<'b>,
        next: u32,
        mode: Mode,
    ) -> Result<Step, Refusal> {
        for (index, member) in (next..).zip(composite.members.iter().skip(next as usize)) {
            let found = self.btf.get(member.type_id);
            let found = found.filter(|found| !lacks_size(*found) && !is_source_only(*found));
            let found = found.ok_or_else(|| refuse(ty, Reason::MemberType(index)))?;
            if self.comes_first(found, mode) {
                return Ok(Step::First(member.type_id, index));
            }
            if !fits(self, composite, member) {
                return Err(refuse(ty, Reason::MemberPlace(index)));
            }
        }
        Ok(Step::Done(TypeId::VOID, 0))
    }

    fn variables(&self, ty: Type<'b>, datasec: Datasec<'b>, next: u32, mode: Mode) -> Result<Step, Refusal> {
        for (index, info) in (next..).zip(datasec.vars.iter().skip(next as usize)) {
            let bad = || refuse(ty, Reason::VarType(index));
            let found = self.btf.get(info.type_id).ok_or_else(bad)?;
            let Def::Var(var) = found.def() else { return Err(bad()) };
            if self.comes_first(found, mode) {
                return Ok(Step::First(info.type_id, index));
            }
            if self.sized(var.type_id).is_none_or(|(_, size)| size > info.size) {
                return Err(bad());
            }
        }
        Ok(Step::Done(TypeId::VOID, 0))
    }

    /// A function's parameters all have names (`btf_func_check`).
    fn func(&self, ty: Type<'b>, proto: TypeId) -> Result<Step, Refusal> {
        let Some(Def::FuncProto(found)) = self.btf.get(proto).map(|ty| ty.def()) else {
            return Err(refuse(ty, Reason::Target));
        };
        let nameless = |param: crate::types::Param<'_>| param.name.is_empty() && !param.type_id.is_void();
        match found.params.into_iter().position(nameless) {
            Some(index) => Err(refuse(ty, Reason::Param(index as u32))),
            None => Ok(Step::Done(proto, 0)),
        }
    }

    fn decl_tag(&self, ty: Type<'b>, tag: DeclTag, mode: Mode) -> Result<Step, Refusal> {
        let bad = || refuse(ty, Reason::Target);
        let target = self.btf.get(tag.target).ok_or_else(bad)?;
        let components = match target.def() {
            Def::Struct(composite) | Def::Union(composite) => composite.members.len(),
            Def::Func(func) => match self.btf.get(func.proto).map(|proto| proto.def()) {
                Some(Def::FuncProto(proto)) => proto.params.len(),
                _ => 0,
            },
            Def::Var(_) | Def::Typedef(_) => 0,
            _ => return Err(bad()),
        };
        if self.comes_first(target, mode) {
            return Ok(Step::First(tag.target, 0));
        }
        match tag.component {
            Some(index) if index as usize >= components => Err(refuse(ty, Reason::Component(index))),
            _ => Ok(Step::Done(tag.target, 0)),
        }
    }

    /// What a prototype returns and takes has a size (`btf_func_proto_check`).
    fn proto(&mut self, ty: Type<'b>, proto: FuncProto<'b>) -> Result<(), Refusal> {
        if !proto.ret.is_void() && !self.resolve_sized(proto.ret)? {
            return Err(refuse(ty, Reason::Return));
        }
        // The last may lack a type: it stands for `...`, and has no name.
        let mut count = proto.params.len();
        let last = count.checked_sub(1).and_then(|last| proto.params.get(last));
        if let Some(last) = last.filter(|last| last.type_id.is_void()) {
            if !last.name.is_empty() {
                return Err(refuse(ty, Reason::Param(count as u32 - 1)));
            }
            count -= 1;
        }
        for (index, param) in proto.params.into_iter().enumerate().take(count) {
            let is_named_badly = !param.name.is_empty() && !is_identifier(param.name);
            if is_named_badly || !self.resolve_sized(param.type_id)? {
                return Err(refuse(ty, Reason::Param(index as u32)));
            }
        }
        Ok(())
    }

    fn resolve_sized(&mut self, id: TypeId) -> Result<bool, Refusal> {
        match self.btf.get(id) {
            Some(ty) if !is_source_only(ty) => self.resolve(ty)?,
            _ => return Ok(false),
        }
        Ok(self.sized(id).is_some())
    }

    /// The kernel's own check of what it resolved (`btf_resolve_valid`).
    fn is_sound(&self, ty: Type<'_>) -> bool {
        let Known { target, size, .. } = self.known(ty.id());
        let end = self.btf.get(target);
        match ty.def() {
            Def::Array(array) => match self.sized(array.elem) {
                Some((id, each)) => {
                    let is_modifier = self.btf.get(id).is_none_or(|elem| elem.modified().is_some());
                    !is_modifier && array.len.wrapping_mul(each) == size
                }
                None => false,
            },
            Def::Ptr(_) | Def::Var(_) => end.is_some_and(is_end),
            _ if ty.modified().is_some() => end.is_some_and(is_end),
            _ => true,
        }
    }
}

/// Whether a reference may end there.
fn is_end(ty: Type<'_>) -> bool {
    ty.modified().is_none() && !matches!(ty.kind(), Some(Kind::Var | Kind::Datasec))
}

fn needs_resolve(ty: Type<'_>) -> bool {
    ty.modified().is_some()
        || matches!(
            ty.kind(),
            Some(
                Kind::Ptr
                    | Kind::Struct
                    | Kind::Union
                    | Kind::Array
                    | Kind::Var
                    | Kind::Func
                    | Kind::DeclTag
                    | Kind::Datasec
            )
        )
}

/// Kinds that nothing but a section or a tag may refer to.
fn is_source_only(ty: Type<'_>) -> bool {
    matches!(ty.kind(), Some(Kind::Var | Kind::DeclTag | Kind::Datasec))
}

fn lacks_size(ty: Type<'_>) -> bool {
    ty.id().is_void() || matches!(ty.kind(), Some(Kind::Fwd | Kind::Func | Kind::FuncProto | Kind::DeclTag))
}

/// Type tags come first in a chain of modifiers, and chains are short (`btf_check_type_tags`).
fn tags(btf: &Btf<'_>) -> Result<(), Refusal> {
    let mut good = TypeId(btf.first_own().0 - 1);
    for start in btf.own_types() {
        let (mut ty, mut left) = (start, MAX_CHAIN);
        let mut in_tags = ty.kind() == Some(Kind::TypeTag);
        while let Some(next) = ty.modified() {
            left = left.checked_sub(1).ok_or_else(|| refuse(start, Reason::LongChain))?;
            match (ty.kind() == Some(Kind::TypeTag), in_tags) {
                (true, false) => return Err(refuse(start, Reason::TagOrder)),
                (is_tag, _) => in_tags = is_tag,
            }
            if ty.id() <= good {
                break;
            }
            ty = btf.ty(next).map_err(|_| refuse(start, Reason::Target))?;
        }
        if start.modified().is_some() {
            good = start.id();
        }
    }
    Ok(())
}
