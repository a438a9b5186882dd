//! The value of a path: what the instruction has here, and what it gets there.

use super::Class;
use super::access::{Bad, Spec, Step, enumerator_bits};
use super::error::CoreProblem;
use crate::btf::{Btf, TypeId};
use crate::endian::Endian;
use crate::ext::CoreRelocKind;
use crate::record::Type;
use crate::types::{Def, IntEncoding, Sign};

/// What a relocation comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The instruction gets a value.
    Value(Values),
    /// Nothing in the target has what it needs: the instruction is poisoned.
    Missing,
}

/// Values before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Values {
    /// What the instruction should hold.
    pub local: u64,
    /// What it gets.
    pub target: u64,
    /// Whether it must hold that.
    pub check: Check,
    /// What becomes of the size of a load or store.
    pub resize: Resize,
}

/// Whether an instruction must hold the value that the program's own types give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// It must.
    Exact,
    /// It need not: compilers differ there, or linkers change it.
    Lenient,
}

/// What becomes of the size of a load or store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// It stays.
    Keep,
    /// The field has another size, and its value stays right when that many bytes are read: a pointer or an unsigned
    /// integer.
    Change {
        /// Bytes here.
        from: u32,
        /// Bytes there.
        to: u32,
    },
    /// The field has another size, and a load or store of it would be wrong; other instructions do not mind.
    Wrong,
}

/// The value of one path.
struct One {
    value: u64,
    check: Check,
    /// The size and type of a field that is loaded as a whole.
    size: u32,
    type_id: TypeId,
}

impl One {
    fn plain(value: u64) -> One {
        One { value, check: Check::Exact, size: 0, type_id: TypeId::VOID }
    }
}

/// Where a failure lies.
pub(super) enum Side {
    Local(Bad),
    Target(Bad),
}

/// Compares a path of the program with the one that it leads to in a target, if it leads anywhere.
pub(super) fn compare(
    local_btf: &Btf<'_>,
    local: &Spec,
    target: Option<(&Btf<'_>, &Spec)>,
) -> Result<Outcome, Side> {
    let here = one(local_btf, local).map_err(Side::Local)?;
    let Some((target_btf, spec)) = target else {
        return Ok(match (Class::of(local.kind), local.kind) {
            // What does not exist is said by zero, and has the size and the identifier zero.
            (_, CoreRelocKind::FieldExists | CoreRelocKind::EnumvalExists) | (Class::Type, _) => {
                Outcome::Value(Values {
                    local: here.value,
                    target: 0,
                    check: here.check,
                    resize: Resize::Keep,
                })
            }
            _ => Outcome::Missing,
        });
    };
    let there = one(target_btf, spec).map_err(Side::Target)?;
    let resize = match (here.size, there.size) {
        (from, to) if from == to => Resize::Keep,
        (from, to) => {
            let types = (local_btf.get(here.type_id), target_btf.get(there.type_id));
            if may_resize(types) { Resize::Change { from, to } } else { Resize::Wrong }
        }
    };
    Ok(Outcome::Value(Values { local: here.value, target: there.value, check: here.check, resize }))
}

/// Whether a value stays the same when it is read with another size: pointers, and integers that are not signed.
fn may_resize(types: (Option<Type<'_>>, Option<Type<'_>>)) -> bool {
    match (types.0.map(|ty| ty.def()), types.1.map(|ty| ty.def())) {
        (Some(Def::Ptr(_)), Some(Def::Ptr(_))) => true,
        (Some(Def::Int(a)), Some(Def::Int(b))) => {
            a.encoding != IntEncoding::SIGNED && b.encoding != IntEncoding::SIGNED
        }
        _ => false,
    }
}

fn one(btf: &Btf<'_>, spec: &Spec) -> Result<One, Bad> {
    match spec.kind {
        CoreRelocKind::FieldExists | CoreRelocKind::TypeExists | CoreRelocKind::TypeMatches => {
            Ok(One::plain(1))
        }
        CoreRelocKind::EnumvalExists => Ok(One::plain(1)),
        // Linkers renumber types.
        CoreRelocKind::TypeIdLocal | CoreRelocKind::TypeIdTarget => {
            Ok(One { check: Check::Lenient, ..One::plain(u64::from(spec.root.0)) })
        }
        CoreRelocKind::TypeSize => Ok(One::plain(u64::from(btf.size_of(spec.root)?))),
        CoreRelocKind::EnumvalValue => {
            let point = spec.points.first().ok_or(CoreProblem::Access)?;
            let bits = enumerator_bits(btf.ty(point.type_id)?, point.index);
            Ok(One::plain(bits.ok_or(CoreProblem::Access)?))
        }
        _ => field(btf, spec),
    }
}

/// Where a field is loaded from, and with how many bytes.
struct Load {
    bytes: u64,
    offset: u64,
    /// The bits that count.
    bits: u64,
}

fn field(btf: &Btf<'_>, spec: &Spec) -> Result<One, Bad> {
    let point = *spec.points.last().ok_or(CoreProblem::Access)?;
    if point.step == Step::Element {
        let size = btf.size_of(point.type_id)?;
        return match spec.kind {
            CoreRelocKind::FieldByteOffset => {
                Ok(One { size, type_id: point.type_id, ..One::plain(spec.bit_offset / 8) })
            }
            CoreRelocKind::FieldByteSize => Ok(One::plain(u64::from(size))),
            _ => Err(CoreProblem::Element.into()),
        };
    }
    let members = btf.ty(point.type_id)?.as_composite()?.members;
    let member = members.get(point.index as usize).ok_or(CoreProblem::Access)?;
    let ty = btf.resolve(member.type_id)?;
    let size = btf.size_of(ty.id())?;
    let load = match member.bitfield {
        Some(width) => bitfield_load(spec.bit_offset, u64::from(width.get()), u64::from(size))?,
        None => Load { bytes: u64::from(size), offset: spec.bit_offset / 8, bits: u64::from(size) * 8 },
    };
    // Compilers choose the load of a bitfield as they like.
    let of_load = if member.bitfield.is_some() { Check::Lenient } else { Check::Exact };
    let check = |check, value| One { check, ..One::plain(value) };
    Ok(match spec.kind {
        CoreRelocKind::FieldByteOffset => match member.bitfield {
            Some(_) => check(of_load, load.offset),
            None => One { size, type_id: ty.id(), ..One::plain(load.offset) },
        },
        CoreRelocKind::FieldByteSize => check(of_load, load.bytes),
        CoreRelocKind::FieldSigned => check(Check::Exact, u64::from(is_signed(ty))),
        CoreRelocKind::FieldLshiftU64 => check(of_load, left_shift(&load, spec.bit_offset, btf.endian())),
        CoreRelocKind::FieldRshiftU64 => check(Check::Exact, wrapped(64, load.bits)),
        _ => return Err(CoreProblem::Access.into()),
    })
}

/// The smallest aligned load that has all bits of a bitfield, from the size of its type up.
fn bitfield_load(bit_offset: u64, bits: u64, size: u64) -> Result<Load, CoreProblem> {
    let mut bytes = size;
    loop {
        let start = (bit_offset / 8).checked_div(bytes).ok_or(CoreProblem::Bitfield)? * bytes;
        if bit_offset + bits - start * 8 <= bytes * 8 {
            return Ok(Load { bytes, offset: start, bits });
        }
        if bytes >= 8 {
            return Err(CoreProblem::Bitfield);
        }
        bytes *= 2;
    }
}

/// The shift that brings the top bit of what was loaded into a register to bit 63.
fn left_shift(load: &Load, bit_offset: u64, endian: Endian) -> u64 {
    let first = bit_offset - load.offset * 8;
    match endian {
        Endian::Little => wrapped(64, first + load.bits),
        Endian::Big => {
            u64::from((8u32.wrapping_sub(load.bytes as u32)).wrapping_mul(8).wrapping_add(first as u32))
        }
    }
}

/// Subtracts as libbpf does, in 32 bits: what is larger than a register has no shift that anybody could use.
fn wrapped(from: u32, what: u64) -> u64 {
    u64::from(from.wrapping_sub(what as u32))
}

fn is_signed(ty: Type<'_>) -> bool {
    match ty.def() {
        Def::Enum(item) => item.sign == Sign::Signed,
        Def::Int(int) => int.encoding.is_signed(),
        _ => false,
    }
}
