//! Whether a member fits its struct, by the kind of its type (each kind's `check_member` and `check_kflag_member`).

use super::whole::Resolver;
use crate::btf::TypeId;
use crate::layout::POINTER_SIZE;
use crate::types::{Composite, Def, Int, Member, Packing};

/// The bits of an enumeration that a bitfield may take: those of an `int`, whatever its size.
const ENUM_BITS: u32 = 32;
/// The widest copy that the kernel makes of an integer, in bits.
const MAX_COPY: u32 = 128;

/// Whether the member has a type that can be one, and lies within its struct.
pub(super) fn fits(resolver: &Resolver<'_>, composite: Composite<'_>, member: Member<'_>) -> bool {
    let Some(ty) = resolver.btf().get(member.type_id) else { return false };
    let type_id = match ty.modified() {
        Some(_) => match resolver.sized(member.type_id) {
            Some((id, _)) => id,
            None => return false,
        },
        None => member.type_id,
    };
    fits_as(resolver, composite, member, type_id)
}

fn fits_as(resolver: &Resolver<'_>, composite: Composite<'_>, member: Member<'_>, type_id: TypeId) -> bool {
    let Some(ty) = resolver.btf().get(type_id) else { return false };
    let (offset, size) = (member.bit_offset, composite.size);
    let width = member.bitfield.map(|width| u32::from(width.get()));
    // Records were checked before: the offset is not past the end.
    let room = size.saturating_sub(offset / 8);
    let whole_bytes = |bytes: u32| width.is_none() && offset % 8 == 0 && room >= bytes;
    match (ty.def(), composite.packing) {
        (Def::Int(int), Packing::Plain) => {
            let Some(start) = offset.checked_add(int.offset.into()) else { return false };
            bits_fit(start, int.bits.into(), size)
        }
        (Def::Int(int), Packing::Bitfields) => {
            let bits = u32::from(int.bits);
            let fits = match width {
                None => offset % 8 == 0,
                Some(width) => width <= bits,
            };
            is_regular(int) && fits && bits_fit(offset, width.unwrap_or(bits), size)
        }
        (Def::Enum(item), Packing::Plain) => whole_bytes(item.size),
        (Def::Enum(_), Packing::Bitfields) => {
            let fits = match width {
                None => offset % 8 == 0,
                Some(width) => width <= ENUM_BITS,
            };
            fits && (offset + width.unwrap_or(ENUM_BITS)).div_ceil(8) <= size
        }
        (Def::Ptr(_), _) => whole_bytes(POINTER_SIZE),
        (Def::Struct(inner) | Def::Union(inner), _) => whole_bytes(inner.size),
        (Def::Array(_), _) => whole_bytes(resolver.sized(type_id).map_or(0, |(_, size)| size)),
        (Def::Float(bytes), _) => {
            let align = bytes.min(POINTER_SIZE) * 8;
            width.is_none() && offset % align == 0 && u64::from(offset / 8) + u64::from(bytes) <= size.into()
        }
        _ => false,
    }
}

fn bits_fit(start: u32, bits: u32, size: u32) -> bool {
    let copy = bits + start % 8;
    copy <= MAX_COPY && size.checked_sub(start / 8).is_some_and(|room| room >= copy.div_ceil(8))
}

/// Whole bytes, a power of two of them, from the first bit on; the size does not matter (`btf_type_int_is_regular`).
pub(super) fn is_regular(int: Int) -> bool {
    int.offset == 0 && matches!(int.bits, 8 | 16 | 32 | 64 | 128)
}
