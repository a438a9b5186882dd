//! Which kinds of types a version of Linux takes in BTF.

use super::table::{
    BTF_KINDS, EMPTY_SECTIONS, GLOBAL_FUNCTIONS, KIND_DATASEC, KIND_FUNC, KIND_STRUCT, KIND_UNION,
    OPTIONAL_SECTIONS, STRUCT_FLAG,
};
use super::{Hidden, KernelVersion, Older};
use skep_abi::Errno;

/// The header: magic, version, flags, its length, then offset and length of types and strings
/// (`include/uapi/linux/btf.h`, `struct btf_header`).
const HEADER: usize = 24;
const TYPES_AT: usize = 8;
const TYPES_LEN: usize = 12;
const STRINGS_AT: usize = 16;
/// Name, info, size or type.
const TYPE: usize = 12;

/// Refuses BTF with a kind that the version does not know, as it would (`kernel/bpf/btf.c`, `btf_check_meta`). BTF that
/// is not well formed is left to the wrapped kernel.
pub(super) fn check(older: &Older, btf: &[u8]) -> Result<(), Errno> {
    let Some(mut types) = types(btf) else { return Ok(()) };
    let lacks = |since: KernelVersion, hidden| since > older.version || older.hidden.contains(&hidden);
    while let Some((head, rest)) = types.split_at_checked(TYPE) {
        let info = word(head, 4);
        let (kind, count, flag) = (info >> 24 & 0x1f, (info & 0xffff) as usize, info >> 31 != 0);
        let Some(row) = BTF_KINDS.iter().find(|row| row.kind == kind) else { return Ok(()) };
        let is_empty = || count == 0 || word(head, 8) == 0;
        let is_plain = |byte: &u8| matches!(byte, b'_' | b'.') || byte.is_ascii_alphanumeric();
        let is_odd = || !name(btf, word(head, 0)).iter().take_while(|byte| **byte != 0).all(is_plain);
        let too_new = lacks(row.since, Hidden::BtfKind(kind))
            || (kind == KIND_FUNC && count != 0 && lacks(GLOBAL_FUNCTIONS, Hidden::GlobalFunctions))
            || (kind == KIND_DATASEC && lacks(EMPTY_SECTIONS, Hidden::EmptySections) && is_empty())
            || (kind == KIND_DATASEC && lacks(OPTIONAL_SECTIONS, Hidden::OptionalSections) && is_odd())
            || (matches!(kind, KIND_STRUCT | KIND_UNION) && flag && STRUCT_FLAG > older.version);
        if too_new {
            return Err(Errno::EINVAL);
        }
        let Some((_, rest)) = rest.split_at_checked(row.fixed + row.each * count) else { return Ok(()) };
        types = rest;
    }
    Ok(())
}

fn types(btf: &[u8]) -> Option<&[u8]> {
    let header = btf.get(..HEADER)?;
    let start = (word(header, 4) as usize).checked_add(word(header, TYPES_AT) as usize)?;
    let end = start.checked_add(word(header, TYPES_LEN) as usize)?;
    btf.get(start..end)
}

/// The bytes of a name and what follows; none where it lies outside.
fn name(btf: &[u8], at: u32) -> &[u8] {
    let start = (word(btf, 4) as usize).saturating_add(word(btf, STRINGS_AT) as usize);
    btf.get(start.saturating_add(at as usize)..).unwrap_or_default()
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
