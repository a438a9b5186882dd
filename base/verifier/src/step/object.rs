//! Objects of the kernel, as its types describe them (`check_ptr_to_btf_access`, `check_ptr_to_map_access`, `check_pseudo_btf_id` in
//! `kernel/bpf/verifier.c`, `btf_struct_walk` in `kernel/bpf/btf.c`).

use super::Result;
use super::region::{Access, Use};
use crate::explore::Explorer;
use crate::rejection::{Rejection, Rule, no_memory, words};
use crate::scalar::Number;
use crate::state::{OwnedKind, State};
use crate::subject::Sleep;
use crate::value::{MapAt, Memory, To, Trust, Value};
use alloc::vec::Vec;
use core::fmt;
use skep_abi::ProgType;
use skep_btf::{Btf, Composite, Def, Kind, MAX_DEPTH, Member, Type, TypeId};
use skep_isa::{InsnIdx, LoadKind};
use skep_model::platform::helper::Licence;
use skep_model::platform::objects::{self, Reliance};

/// What was looked for by name among the kernel's types, which is done once.
#[derive(Default)]
pub(crate) struct Lookups {
    found: Vec<(Wanted, Option<TypeId>)>,
    /// The function that stands for the member of a struct of functions that the program is.
    stub: Option<Option<TypeId>>,
}

/// What is looked for by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wanted {
    Struct(&'static str),
    /// The section of the variables of which there is one for each CPU.
    PerCpu,
}

impl Lookups {
    /// The struct of that name.
    pub(super) fn structure(&mut self, types: &Btf<'_>, name: &'static str) -> Result<Option<TypeId>> {
        self.find(types, Wanted::Struct(name))
    }

    /// The function that stands for the member of a struct of functions that the program is.
    pub(super) fn stub(&mut self, types: &Btf<'_>, of: &str, member: &str) -> Result<Option<TypeId>> {
        if let Some(found) = self.stub {
            return Ok(found);
        }
        let name = words(format_args!("{of}__{member}")).ok_or_else(no_memory)?;
        let found = types.find(&name, Kind::Func);
        self.stub = Some(found);
        Ok(found)
    }

    fn find(&mut self, types: &Btf<'_>, wanted: Wanted) -> Result<Option<TypeId>> {
        if let Some((_, found)) = self.found.iter().find(|(which, _)| *which == wanted) {
            return Ok(*found);
        }
        let found = match wanted {
            Wanted::Struct(name) => types.find(name, Kind::Struct),
            Wanted::PerCpu => types.find(".data..percpu", Kind::Datasec),
        };
        self.found.try_reserve(1).map_err(|_| no_memory())?;
        self.found.push((wanted, found));
        Ok(found)
    }
}

/// What lies at some bytes of a struct.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Landing<'b> {
    found: Found<'b>,
    /// Whether it lies in a union of several members, so that it may be something else.
    ambiguous: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Found<'b> {
    /// Some number.
    Number,
    /// A pointer to a struct, in the member of that name.
    Object { type_id: TypeId, tag: Tag, member: &'b str },
    /// A pointer to something else.
    Pointer,
}

/// What the type behind a pointer is tagged with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tag {
    None,
    User,
    PerCpu,
    Rcu,
}

/// Why nothing can be loaded from some bytes of a struct.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Miss<'b> {
    /// They lie behind its end.
    Beyond(&'b str),
    /// No member is there.
    Hole(&'b str),
    /// They are a part of a pointer, or more.
    Partial(&'b str),
    /// They go over the end of a member.
    Across(&'b str),
    /// It is no struct, or the types make no sense.
    Malformed,
}

impl fmt::Display for Miss<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Miss::Beyond(name) => write!(f, "they lie behind the end of struct `{name}`"),
            Miss::Hole(name) => write!(f, "struct `{name}` has no member there"),
            Miss::Partial(name) => write!(f, "the pointer `{name}` can only be loaded whole"),
            Miss::Across(name) => write!(f, "they go over the end of `{name}`"),
            Miss::Malformed => f.write_str("the kernel's types say nothing of them"),
        }
    }
}

impl<'a> Explorer<'a> {
    /// The types of the kernel.
    pub(super) fn kernel_types(&self, at: InsnIdx) -> Result<&'a Btf<'a>> {
        self.subject
            .kernel
            .ok_or_else(|| self.unmodelled(at, format_args!("the types of the kernel are not known")))
    }

    /// Whether nothing that RCU protects goes away (`in_rcu_cs`).
    fn in_rcu(&self, state: &State) -> bool {
        self.subject.sleep == Sleep::Never
            || state.rcu
            || state.owned.iter().any(|owned| matches!(owned.kind, OwnedKind::Lock(..)))
    }

    /// The constant offset of an access to an object.
    fn offset_in_object(&self, at: InsnIdx, pointer: &Value, access: Access) -> Result<u32> {
        let offset = pointer.offset().map(|offset| offset.wrapping_add(access.off));
        offset.and_then(|offset| u32::try_from(offset).ok()).ok_or_else(|| {
            Rule::Object.broken(
                at,
                format_args!(
                    "wanted a constant offset of at least 0 in {}, found {} and {}",
                    access.reg,
                    pointer.fixed.wrapping_add(access.off),
                    Value::number(pointer.number)
                ),
            )
        })
    }

    pub(super) fn load_object(
        &mut self,
        state: &State,
        at: InsnIdx,
        pointer: &Value,
        access: Access,
        kind: LoadKind,
    ) -> Result<Value> {
        let types = self.kernel_types(at)?;
        let (type_id, trust) = match pointer.certainly_to() {
            Some(To::Object { type_id, trust }) => (type_id, Some(trust)),
            Some(To::Map(map) | To::InnerMap { map, .. }) => (self.map_struct(at, types, map)?, None),
            _ => return Err(self.unmodelled(at, format_args!("loads through {pointer} are not modelled"))),
        };
        let landing = self.landing_in_object(at, types, (type_id, trust), pointer, access)?;
        let (pointee, tag, member) = match landing.found {
            Found::Number => {
                let bytes = access.size;
                return Ok(Value::number(if kind.is_signed() {
                    Number::sign_extended_bytes(bytes)
                } else {
                    Number::within_bytes(bytes)
                }));
            }
            // Of what it points to not even the size is known.
            Found::Pointer => {
                return Ok(Value::pointer(To::Memory { size: 0, kind: Memory::Untrusted }));
            }
            Found::Object { type_id, tag, member } => (type_id, tag, member),
        };
        let plain = match (landing.ambiguous, tag) {
            (true, _) => Trust::Untrusted,
            (_, Tag::User) => Trust::User,
            (_, Tag::PerCpu) => Trust::PerCpu,
            _ => Trust::Walked,
        };
        let owned = pointer.owned.is_some();
        let (trust, null) = match trust {
            Some(Trust::Untrusted) => (Trust::Untrusted, false),
            Some(Trust::Trusted | Trust::Rcu) => {
                self.inherited(state, types, type_id, (pointee, tag, member), plain)
            }
            Some(_) if owned => self.inherited(state, types, type_id, (pointee, tag, member), plain),
            _ => (plain, false),
        };
        let to = To::Object { type_id: pointee, trust };
        if null {
            let id = self.new_id();
            return Ok(Value::perhaps(to, id));
        }
        Ok(Value::pointer(to))
    }

    /// How far what is found in an object can be trusted that itself is, and whether it may be null.
    fn inherited(
        &self,
        state: &State,
        types: &Btf<'_>,
        of: TypeId,
        (pointee, tag, member): (TypeId, Tag, &str),
        plain: Trust,
    ) -> (Trust, bool) {
        let name = |id| types.get(id).map_or("", |ty| ty.name());
        let reliance = objects::member(name(of), member, name(pointee));
        let ambiguous = plain == Trust::Untrusted;
        match reliance {
            Some(Reliance::Trusted) if !ambiguous => (Trust::Trusted, false),
            Some(Reliance::TrustedOrNull) if !ambiguous => (Trust::Trusted, true),
            _ if !self.in_rcu(state) => (Trust::Untrusted, false),
            Some(Reliance::Rcu) if !ambiguous => (Trust::Rcu, false),
            Some(Reliance::RcuOrNull) => (Trust::Rcu, true),
            _ if tag == Tag::Rcu => (if ambiguous { Trust::Untrusted } else { Trust::Rcu }, true),
            _ => (plain, false),
        }
    }

    /// What lies where an object is accessed.
    fn landing_in_object(
        &self,
        at: InsnIdx,
        types: &'a Btf<'a>,
        (type_id, trust): (TypeId, Option<Trust>),
        pointer: &Value,
        access: Access,
    ) -> Result<Landing<'a>> {
        if trust.is_some() && self.subject.licence != Licence::Gpl {
            return Err(Rule::Object.broken(
                at,
                format_args!(
                    "only programs whose licence is compatible with the GPL may read objects of the kernel"
                ),
            ));
        }
        let offset = self.offset_in_object(at, pointer, access)?;
        match trust {
            Some(Trust::User) => {
                return Err(Rule::Object.broken(
                    at,
                    format_args!("{} points to memory of the process, not of the kernel", access.reg),
                ));
            }
            Some(Trust::PerCpu) => {
                return Err(Rule::Object.broken(
                    at,
                    format_args!(
                        "{} points to one object for each CPU, of which one must be chosen first",
                        access.reg
                    ),
                ));
            }
            _ => {}
        }
        walk(types, type_id, offset, access.size).map_err(|miss| {
            let name = types.get(type_id).map_or("", |ty| ty.name());
            Rule::Object
                .broken(at, format_args!("{} bytes at {offset} of struct `{name}`: {miss}", access.size))
        })
    }

    /// A helper reads memory of an object: it must be there.
    pub(super) fn lend_object(&self, at: InsnIdx, pointer: &Value, access: Access) -> Result<()> {
        let types = self.kernel_types(at)?;
        let Some(To::Object { type_id, trust: Trust::Trusted }) = pointer.certainly_to() else {
            return Err(Rule::Argument
                .broken(at, format_args!("wanted memory that is there in {}, found {pointer}", access.reg)));
        };
        if access.how == Use::Filled {
            return self.store_object(at, pointer, access);
        }
        self.landing_in_object(at, types, (type_id, Some(Trust::Trusted)), pointer, access).map(|_| ())
    }

    pub(super) fn store_object(&self, at: InsnIdx, pointer: &Value, access: Access) -> Result<()> {
        // Some structs of functions let some members be written (`btf_struct_access` of each).
        if self.subject.kind == ProgType::STRUCT_OPS {
            return Err(self.unmodelled(at, format_args!("stores through {pointer} are not modelled")));
        }
        Err(Rule::Rights.broken(at, format_args!("{} is {pointer}, which can only be read", access.reg)))
    }

    /// The struct of the kernel that a map is.
    fn map_struct(&mut self, at: InsnIdx, types: &Btf<'_>, map: MapAt) -> Result<TypeId> {
        let kind = self.map(at, map)?.kind;
        let found = match objects::map_struct(kind) {
            Some(name) => self.lookups.structure(types, name)?,
            None => None,
        };
        found.ok_or_else(|| {
            self.unmodelled(at, format_args!("what a map of type {kind} looks like is not modelled"))
        })
    }

    /// The address of a variable of the kernel.
    pub(super) fn kernel_variable(&mut self, at: InsnIdx, btf_id: u32, btf_fd: i32) -> Result<Value> {
        if btf_fd != 0 {
            return Err(self.unmodelled(at, format_args!("variables of modules are not modelled")));
        }
        let types = self.kernel_types(at)?;
        let id = TypeId(btf_id);
        let var = match types.get(id).map(|ty| ty.def()) {
            Some(Def::Var(var)) => var,
            // Of a function there is nothing to be read.
            Some(Def::Func(_)) => {
                return Ok(Value::pointer(To::Memory { size: 0, kind: Memory::ReadOnly }));
            }
            _ => {
                let rejection = Rule::Variable.broken(
                    at,
                    format_args!("the kernel has no variable or function of type number {btf_id}"),
                );
                return Err(match types.get(id) {
                    Some(_) => rejection
                        .says(format_args!("pseudo btf_id {btf_id} in ldimm64 isn't KIND_VAR or KIND_FUNC")),
                    None => rejection
                        .says(format_args!("ldimm64 insn specifies invalid btf_id {btf_id}."))
                        .fails_with(skep_abi::Errno::ENOENT),
                });
            }
        };
        let per_cpu = match self.lookups.find(types, Wanted::PerCpu)?.and_then(|id| types.get(id)) {
            Some(section) => section
                .as_datasec()
                .is_ok_and(|section| section.vars.iter().any(|variable| variable.type_id == id)),
            None => false,
        };
        if per_cpu {
            let ty = types.resolve(var.type_id).map_err(|_| self.size_unknown(at))?;
            return Ok(Value::pointer(To::Object { type_id: ty.id(), trust: Trust::PerCpu }));
        }
        Ok(Value::pointer(self.variable(at, var.type_id, Trust::Walked)?))
    }

    /// What a pointer to a variable of that type points to: an object, or memory of its size.
    pub(super) fn variable(&self, at: InsnIdx, type_id: TypeId, trust: Trust) -> Result<To> {
        let types = self.kernel_types(at)?;
        let ty = types.resolve(type_id).map_err(|_| self.size_unknown(at))?;
        if matches!(ty.def(), Def::Struct(_) | Def::Union(_)) {
            return Ok(To::Object { type_id: ty.id(), trust });
        }
        let size = types.size_of(ty.id()).map_err(|_| self.size_unknown(at))?;
        Ok(To::Memory { size, kind: Memory::ReadOnly })
    }

    fn size_unknown(&self, at: InsnIdx) -> Rejection {
        Rule::Variable.broken(at, format_args!("the kernel's types do not say how large the variable is"))
    }

    /// The kernel's struct of that name.
    pub(super) fn named(&mut self, at: InsnIdx, name: &'static str) -> Result<TypeId> {
        let types = self.kernel_types(at)?;
        self.lookups
            .structure(types, name)?
            .ok_or_else(|| self.unmodelled(at, format_args!("the kernel has no struct `{name}`")))
    }

    /// Whether a value points to the kernel's struct of that name, or to one that has it there, and may be handed to the kernel
    /// (`btf_struct_ids_match`).
    pub(super) fn is_object(&self, at: InsnIdx, value: &Value, name: &str) -> Result<bool> {
        let Some(To::Object { type_id, trust: Trust::Trusted | Trust::Walked | Trust::Rcu }) = value.to()
        else {
            return Ok(false);
        };
        let Some(mut off) = value.offset().and_then(|off| u32::try_from(off).ok()) else { return Ok(false) };
        let types = self.kernel_types(at)?;
        let mut id = Some(type_id);
        for _ in 0..MAX_DEPTH {
            let Some(here) = id else { return Ok(false) };
            if off == 0 && types.get(here).is_some_and(|ty| ty.name() == name) {
                return Ok(true);
            }
            id = nested(types, here, off);
            off = 0;
        }
        Ok(false)
    }

    /// A pointer to an object of the kernel that is loaded from a map's value.
    pub(super) fn kernel_pointer(
        &mut self,
        at: InsnIdx,
        pointer: &Value,
        to: To,
        access: Access,
    ) -> Result<Option<Value>> {
        let To::MapValue { map, .. } = to else { return Ok(None) };
        let special = self.map(at, map)?.special;
        let start = pointer.number.smin().wrapping_add(pointer.fixed).wrapping_add(access.off);
        let end = pointer
            .number
            .smax()
            .saturating_add(pointer.fixed)
            .saturating_add(access.off)
            .saturating_add(i64::from(access.size));
        match super::region::touched(special, start, end) {
            None => Ok(None),
            Some(_) => Err(self.pointer_in_map(at)),
        }
    }

    fn pointer_in_map(&self, at: InsnIdx) -> Rejection {
        self.unmodelled(at, format_args!("pointers to objects of the kernel in maps are not modelled"))
    }
}

/// What the type behind a pointer is tagged with, directly.
pub(super) fn tag_of(types: &Btf<'_>, pointee: TypeId) -> Tag {
    let Some(ty) = types.get(pointee) else { return Tag::None };
    match ty.def() {
        Def::TypeTag(_) => match ty.name() {
            "user" => Tag::User,
            "percpu" => Tag::PerCpu,
            "rcu" => Tag::Rcu,
            _ => Tag::None,
        },
        _ => Tag::None,
    }
}

/// Finds what lies at some bytes of a struct.
fn walk<'b>(
    types: &'b Btf<'b>,
    id: TypeId,
    mut off: u32,
    size: u32,
) -> core::result::Result<Landing<'b>, Miss<'b>> {
    let mut ambiguous = false;
    let mut id = id;
    // Each turn goes into a struct within the struct.
    for _ in 0..MAX_DEPTH {
        let ty = types.resolve(id).map_err(|_| Miss::Malformed)?;
        let (composite, is_union) = match ty.def() {
            Def::Struct(composite) => (composite, false),
            Def::Union(composite) => (composite, true),
            _ => return Err(Miss::Malformed),
        };
        ambiguous |= is_union && composite.members.len() != 1;
        let landed = |found| Ok(Landing { found, ambiguous });
        if off.checked_add(size).is_none_or(|end| end > composite.size) {
            match beyond(types, ty, composite, off)? {
                None => return landed(Found::Number),
                Some((inner, within)) => (id, off) = (inner, within),
            }
            continue;
        }
        let first = if is_union { 0 } else { first_member(composite, off) };
        match within_members(types, (ty, composite), first, (off, size), ambiguous)? {
            Step::Found(found) => return landed(found),
            Step::Into(inner, within) => (id, off) = (inner, within),
        }
    }
    Err(Miss::Malformed)
}

/// What became of a look at a struct's members.
enum Step<'b> {
    Found(Found<'b>),
    /// It lies in this struct, at that offset.
    Into(TypeId, u32),
}

fn within_members<'b>(
    types: &'b Btf<'b>,
    (ty, composite): (Type<'b>, Composite<'b>),
    first: usize,
    (off, size): (u32, u32),
    ambiguous: bool,
) -> core::result::Result<Step<'b>, Miss<'b>> {
    let end = off.saturating_add(size);
    for at in first.. {
        let Some(member) = composite.members.get(at) else { break };
        let start = member.bit_offset / 8;
        if end <= start {
            break;
        }
        if let Some(bits) = member.bitfield {
            let last = (member.bit_offset + u32::from(bits.get())).div_ceil(8);
            if off <= start && last <= end {
                return Ok(Step::Found(Found::Number));
            }
            // Perhaps the next one is meant.
            continue;
        }
        if off < start {
            break;
        }
        let Some(extent) = extent(types, member.type_id) else { return Err(Miss::Malformed) };
        let last = start.saturating_add(extent.size);
        if off >= last {
            continue;
        }
        return within_member(types, member, extent, (off, size, last), ambiguous);
    }
    Err(Miss::Hole(ty.name()))
}

/// What lies in a member, or in an element of it, if it is an array.
fn within_member<'b>(
    types: &'b Btf<'b>,
    member: Member<'b>,
    extent: Extent<'b>,
    (off, size, last): (u32, u32, u32),
    ambiguous: bool,
) -> core::result::Result<Step<'b>, Miss<'b>> {
    let start = member.bit_offset / 8;
    let one = extent.size / extent.count.max(1);
    let start = start + (off - start).checked_div(one).unwrap_or(0) * one;
    match extent.elem.def() {
        Def::Struct(_) | Def::Union(_) => return Ok(Step::Into(extent.elem.id(), off - start)),
        Def::Ptr(pointee) => {
            if one != size || off != start {
                return Err(Miss::Partial(member.name));
            }
            let behind = types.resolve(pointee).map_err(|_| Miss::Malformed)?;
            return Ok(Step::Found(match behind.def() {
                Def::Struct(_) | Def::Union(_) => {
                    Found::Object { type_id: behind.id(), tag: tag_of(types, pointee), member: member.name }
                }
                _ => Found::Pointer,
            }));
        }
        _ => {}
    }
    if off.saturating_add(size) > last && !ambiguous {
        return Err(Miss::Across(member.name));
    }
    Ok(Step::Found(Found::Number))
}

/// The struct that begins at an offset in another one.
fn nested(types: &Btf<'_>, mut id: TypeId, mut off: u32) -> Option<TypeId> {
    for _ in 0..MAX_DEPTH {
        let ty = types.resolve(id).ok()?;
        let (composite, is_union) = match ty.def() {
            Def::Struct(composite) => (composite, false),
            Def::Union(composite) => (composite, true),
            _ => return None,
        };
        let first = if is_union { 0 } else { first_member(composite, off) };
        match within_members(types, (ty, composite), first, (off, 1), is_union).ok()? {
            Step::Into(inner, 0) => return Some(inner),
            Step::Into(inner, within) => (id, off) = (inner, within),
            Step::Found(_) => return None,
        }
    }
    None
}

/// What lies behind the end of a struct: an element of the array without a length that ends it, or a number in one.
fn beyond<'b>(
    types: &'b Btf<'b>,
    ty: Type<'b>,
    composite: Composite<'b>,
    off: u32,
) -> core::result::Result<Option<(TypeId, u32)>, Miss<'b>> {
    let miss = Miss::Beyond(ty.name());
    let last = composite.members.len().checked_sub(1).and_then(|last| composite.members.get(last));
    let member = last.ok_or(miss)?;
    let resolved = |id| types.resolve(id).map_err(|_| Miss::Malformed);
    let Def::Array(array) = resolved(member.type_id)?.def() else { return Err(miss) };
    let within = off.checked_sub(member.bit_offset / 8).filter(|_| array.len == 0).ok_or(miss)?;
    let elem = resolved(array.elem)?;
    match elem.def() {
        Def::Int(_) => Ok(None),
        Def::Struct(inner) | Def::Union(inner) if inner.size != 0 => {
            Ok(Some((elem.id(), within % inner.size)))
        }
        _ => Err(miss),
    }
}

/// The first member of a struct that may hold a byte, as members lie in the order of their offsets.
fn first_member(composite: Composite<'_>, off: u32) -> usize {
    let start = |at| composite.members.get(at).map(|member| member.bit_offset / 8);
    let (mut low, mut high) = (0, composite.members.len());
    while low < high {
        let middle = low + (high - low) / 2;
        if start(middle).is_some_and(|start| start <= off) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    // Several may begin there, of which the first counts.
    let Some(mut first) = low.checked_sub(1) else { return 0 };
    let begins = start(first);
    while first > 0 && start(first - 1) == begins {
        first -= 1;
    }
    first
}

/// How much room a member takes.
#[derive(Clone, Copy)]
struct Extent<'b> {
    size: u32,
    /// The type of the elements, if it is an array, or else its own.
    elem: Type<'b>,
    count: u32,
}

fn extent<'b>(types: &'b Btf<'b>, id: TypeId) -> Option<Extent<'b>> {
    let mut count: u32 = 1;
    let mut ty = types.resolve(id).ok()?;
    for _ in 0..MAX_DEPTH {
        let Def::Array(array) = ty.def() else {
            let size = count.checked_mul(types.size_of(ty.id()).ok()?)?;
            return Some(Extent { size, elem: ty, count });
        };
        count = count.checked_mul(array.len)?;
        ty = types.resolve(array.elem).ok()?;
    }
    None
}
