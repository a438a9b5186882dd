//! rbpf's helpers, with rbpf's signatures. [`skep_machine::helpers`] has them without addresses.

use crate::lent;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::time::Instant;

/// Is the number of [`bpf_time_getns`].
pub const BPF_KTIME_GETNS_IDX: u32 = 5;
/// Is the number of [`bpf_trace_printf`].
pub const BPF_TRACE_PRINTK_IDX: u32 = 6;

/// Gives nanoseconds since the first call.
pub fn bpf_time_getns(_: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Prints three numbers, and gives the length of the line.
pub fn bpf_trace_printf(_: u64, _: u64, a: u64, b: u64, c: u64) -> u64 {
    let line = format!("bpf_trace_printf: {a:#x}, {b:#x}, {c:#x}\n");
    print!("{line}");
    line.len() as u64
}

/// Makes one number of five bytes.
pub fn gather_bytes(a: u64, b: u64, c: u64, d: u64, e: u64) -> u64 {
    a << 32 | b << 24 | c << 16 | d << 8 | e
}

/// Changes each byte of memory by exclusive or with 42.
pub fn memfrob(address: u64, len: u64, _: u64, _: u64, _: u64) -> u64 {
    let bytes = usize::try_from(len).ok().and_then(|len| lent::bytes(address, len));
    for (bytes, at) in bytes.iter().flat_map(|bytes| (0..bytes.len()).map(move |at| (bytes, at))) {
        let changed = bytes.load_u8(at).and_then(|byte| bytes.store_u8(at, byte ^ 42));
        debug_assert!(changed.is_ok());
    }
    0
}

/// Gives a square root.
pub fn sqrti(number: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    number.isqrt()
}

/// Compares two strings.
pub fn strcmp(a: u64, b: u64, _: u64, _: u64, _: u64) -> u64 {
    let byte = |address: u64| lent::bytes(address, 1).and_then(|bytes| bytes.load_u8(0).ok());
    for at in 0.. {
        match (byte(a + at), byte(b + at)) {
            _ if a == 0 || b == 0 => return u64::MAX,
            (Some(a), Some(b)) if a == b && a != 0 => {}
            (a, b) => return a.unwrap_or(0).abs_diff(b.unwrap_or(0)).into(),
        }
    }
    0
}

/// Gives a random number from `least` to `most`.
pub fn rand(least: u64, most: u64, _: u64, _: u64, _: u64) -> u64 {
    // Each state is made of other random keys.
    let any = RandomState::new().hash_one(0);
    match most.checked_sub(least).and_then(|span| span.checked_add(1)) {
        Some(span) if least < most => any % span + least,
        _ => any,
    }
}
