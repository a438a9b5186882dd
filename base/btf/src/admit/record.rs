//! Each record by itself: names, unused fields, ranges (`btf_check_meta` and each kind's `check_meta`).

use super::names::{is_identifier, is_section};
use super::{Reason, Refusal};
use crate::btf::{StrOff, TypeId, vlen};
use crate::error::Problem;
use crate::kind::Kind;
use crate::record::Type;
use crate::types::{Composite, Datasec, Def, Enum, FuncLinkage, Int, VarLinkage};

/// `BTF_INFO_MASK`, kernel/bpf/btf.c: 16 bits of count, five of kind, the flag.
const INFO_MASK: u32 = 0x9f00_ffff;
/// `BTF_MAX_TYPE`, include/uapi/linux/btf.h.
const MAX_TYPE: u32 = 0x000f_ffff;
/// The widest integer, in bits.
const MAX_BITS: u32 = 128;

pub(super) fn refuse(ty: Type<'_>, reason: Reason) -> Refusal {
    Refusal { place: ty.error(Problem::Loop).place, reason }
}

pub(super) fn check(ty: Type<'_>) -> Result<(), Refusal> {
    let Some(kind) = ty.kind() else { return Err(refuse(ty, Reason::Info(ty.info()))) };
    reason(ty, kind).map_or(Ok(()), |reason| Err(refuse(ty, reason)))
}

/// What is wrong with a record, if anything is.
fn reason(ty: Type<'_>, kind: Kind) -> Option<Reason> {
    if ty.info() & !INFO_MASK != 0 {
        return Some(Reason::Info(ty.info()));
    }
    let first = unused(ty, kind).or_else(|| name(ty, kind)).or_else(|| element_names(ty, kind));
    first.or_else(|| match ty.def() {
        Def::Int(int) => integer(int),
        Def::Array(array) => reference(array.elem).or_else(|| reference(array.index)),
        Def::Struct(composite) => members(composite, u32::MAX),
        Def::Union(composite) => members(composite, 0),
        Def::Enum(item) => enumeration(item),
        Def::Float(size) => (!matches!(size, 2 | 4 | 8 | 12 | 16)).then_some(Reason::Size(size)),
        Def::Func(func) => match func.linkage {
            FuncLinkage::Static | FuncLinkage::Global => target(func.proto),
            other => Some(Reason::Linkage(other.number())),
        },
        Def::Var(var) => reference(var.type_id).or(match var.linkage {
            VarLinkage::Static | VarLinkage::Global => None,
            other => Some(Reason::Linkage(other.number())),
        }),
        Def::Datasec(datasec) => variables(datasec),
        Def::DeclTag(tag) => tag.component.filter(|&index| index > i32::MAX as u32).map(Reason::Component),
        Def::Ptr(id) | Def::Typedef(id) | Def::Volatile(id) | Def::Const(id) | Def::Restrict(id) => {
            target(id)
        }
        Def::TypeTag(tag) => target(tag.target),
        _ => None,
    })
}

/// Fields that have no meaning for a kind.
fn unused(ty: Type<'_>, kind: Kind) -> Option<Reason> {
    let count = vlen(ty.info());
    let counts = kind.elem_size() != 0 || kind == Kind::Func;
    if count != 0 && !counts {
        return Some(Reason::NotZero(count));
    }
    let flagged = matches!(
        kind,
        Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Fwd | Kind::DeclTag | Kind::TypeTag
    );
    if ty.info() >> 31 != 0 && !flagged {
        return Some(Reason::Info(ty.info()));
    }
    match kind {
        Kind::Array | Kind::Fwd if ty.third() != 0 => Some(Reason::NotZero(ty.third())),
        // Bits past the encoding.
        Kind::Int => Some(ty.tail_word() >> 28).filter(|&rest| rest != 0).map(Reason::NotZero),
        _ => None,
    }
}

fn name(ty: Type<'_>, kind: Kind) -> Option<Reason> {
    let (name, is_there) = (ty.name(), ty.name_off().0 != 0);
    let is_good = match kind {
        Kind::Int | Kind::Float => true,
        Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 => !is_there || is_identifier(name),
        Kind::Typedef | Kind::Fwd | Kind::Func | Kind::Var => is_there && is_identifier(name),
        Kind::Datasec => is_there && is_section(name),
        Kind::DeclTag | Kind::TypeTag => !name.is_empty(),
        Kind::Ptr | Kind::Array | Kind::Volatile | Kind::Const | Kind::Restrict | Kind::FuncProto => {
            !is_there
        }
    };
    (!is_good).then_some(Reason::Name)
}

/// An element without a name says so by offset 0, not by an empty string elsewhere.
fn element_names(ty: Type<'_>, kind: Kind) -> Option<Reason> {
    let is_empty = |off: StrOff| off.0 != 0 && ty.btf().name(off).is_empty();
    ty.element_names(kind).any(is_empty).then_some(Reason::Name)
}

fn integer(int: Int) -> Option<Reason> {
    let bits = u32::from(int.bits) + u32::from(int.offset);
    if bits > MAX_BITS || bits.div_ceil(8) > int.size {
        return Some(Reason::IntBits(int.bits));
    }
    let encoding = int.encoding.0 & 0x0f;
    (encoding.count_ones() > 1 || encoding & 8 != 0).then_some(Reason::IntEncoding(encoding))
}

/// Members in order, none of them past `most` bits.
fn members(composite: Composite<'_>, most: u32) -> Option<Reason> {
    let mut last = 0;
    for (index, member) in composite.members.into_iter().enumerate() {
        let place = Reason::MemberPlace(index as u32);
        if !member.name.is_empty() && !is_identifier(member.name) {
            return Some(Reason::Name);
        }
        if let Some(reason) = reference(member.type_id) {
            return Some(reason);
        }
        let offset = member.bit_offset;
        if offset > most || offset < last || offset.div_ceil(8) > composite.size {
            return Some(place);
        }
        last = offset;
    }
    None
}

fn enumeration(item: Enum<'_>) -> Option<Reason> {
    if item.size > 8 || !item.size.is_power_of_two() {
        return Some(Reason::Size(item.size));
    }
    item.values().any(|value| !is_identifier(value.name)).then_some(Reason::Name)
}

fn variables(datasec: Datasec<'_>) -> Option<Reason> {
    if datasec.size == 0 {
        return Some(Reason::Size(0));
    }
    let mut end = 0;
    for (index, var) in datasec.vars.into_iter().enumerate() {
        if let Some(reason) = reference(var.type_id) {
            return Some(reason);
        }
        let starts_badly = u64::from(var.offset) < end || var.offset >= datasec.size;
        end = u64::from(var.offset) + u64::from(var.size);
        if starts_badly || var.size == 0 || end > u64::from(datasec.size) {
            return Some(Reason::VarPlace(index as u32));
        }
    }
    None
}

/// A reference that may be to `void`.
fn target(id: TypeId) -> Option<Reason> {
    (id.0 > MAX_TYPE).then_some(Reason::Reference(id))
}

/// A reference that may not be to `void`.
fn reference(id: TypeId) -> Option<Reason> {
    (id.is_void() || id.0 > MAX_TYPE).then_some(Reason::Reference(id))
}
