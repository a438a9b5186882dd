//! Which kinds of types a version of Linux takes in BTF.

use super::KernelVersion;
use super::table::{
    BTF_KINDS, EMPTY_SECTIONS, GLOBAL_FUNCTIONS, KIND_DATASEC, KIND_FUNC, KIND_STRUCT, KIND_UNION,
    STRUCT_FLAG,
};
use skep_abi::Errno;

/// The header: magic, version, flags, its length, then offset and length of types and strings
/// (`include/uapi/linux/btf.h`, `struct btf_header`).
const HEADER: usize = 24;
const TYPES_AT: usize = 8;
const TYPES_LEN: usize = 12;
/// Name, info, size or type.
const TYPE: usize = 12;

/// Refuses BTF with a kind that the version does not know, as it would (`kernel/bpf/btf.c`, `btf_check_meta`). BTF that
/// is not well formed is left to the wrapped kernel.
pub(super) fn check(btf: &[u8], version: KernelVersion) -> Result<(), Errno> {
    let Some(mut types) = types(btf) else { return Ok(()) };
    while let Some((head, rest)) = types.split_at_checked(TYPE) {
        let info = word(head, 4);
        let (kind, count, flag) = (info >> 24 & 0x1f, (info & 0xffff) as usize, info >> 31 != 0);
        let Some(row) = BTF_KINDS.iter().find(|row| row.kind == kind) else { return Ok(()) };
        let too_new = row.since > version
            || (kind == KIND_FUNC && count != 0 && GLOBAL_FUNCTIONS > version)
            || (kind == KIND_DATASEC && (count == 0 || word(head, 8) == 0) && EMPTY_SECTIONS > version)
            || (matches!(kind, KIND_STRUCT | KIND_UNION) && flag && STRUCT_FLAG > version);
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

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
