//! Values as programs and as system calls see them, and the keys beside them.

use core::sync::atomic::Ordering;
use skep_abi::Errno;
use skep_abi::flags::{BPF_EXIST, BPF_F_LOCK, BPF_NOEXIST};
use skep_mem::Bytes;

/// Whether an update wants the element to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Either.
    Any,
    /// Not there (`BPF_NOEXIST`).
    Absent,
    /// There (`BPF_EXIST`).
    Present,
}

impl Wanted {
    /// Reads the flags of an update. No value here has a spin lock, so `BPF_F_LOCK` is refused as Linux does then.
    pub(crate) fn from_flags(flags: u64) -> Result<Wanted, Errno> {
        match flags {
            0 => Ok(Wanted::Any),
            BPF_NOEXIST => Ok(Wanted::Absent),
            BPF_EXIST => Ok(Wanted::Present),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Compares with what there is.
    pub(crate) fn check(self, is_present: bool) -> Result<(), Errno> {
        match (self, is_present) {
            (Wanted::Absent, true) => Err(Errno::EEXIST),
            (Wanted::Present, false) => Err(Errno::ENOENT),
            _ => Ok(()),
        }
    }
}

/// Checks the flags of a look-up by system call: `BPF_F_LOCK` alone is known, and no value here has a spin lock.
pub(crate) fn check_lookup_flags(flags: u64) -> Result<(), Errno> {
    const { assert!(BPF_F_LOCK != 0) };
    match flags {
        0 => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

/// Copies all of `from` over the beginning of `into`.
pub(crate) fn copy(into: Bytes<'_>, from: Bytes<'_>) -> Result<(), Errno> {
    into.copy_from(0, from).map_err(|_| Errno::EINVAL)
}

/// Copies the first bytes of `from` over all of `into`.
pub(crate) fn fill_from(into: Bytes<'_>, from: Bytes<'_>) -> Result<(), Errno> {
    copy(into, from.slice(0, into.len()).map_err(|_| Errno::EINVAL)?)
}

/// Compares two keys of one length.
#[inline]
pub(crate) fn same_key(a: Bytes<'_>, b: Bytes<'_>) -> bool {
    if let (Some(a), Some(b)) = (a.as_words(), b.as_words()) {
        return a.iter().zip(b).all(|(a, b)| a.load(Ordering::Relaxed) == b.load(Ordering::Relaxed));
    }
    let whole = a.len() / 8 * 8;
    (0..whole).step_by(8).all(|at| a.load_u64(at) == b.load_u64(at)) && tail(a, whole) == tail(b, whole)
}

/// Hashes a key with a secret, eight bytes at a time by multiplying and folding.
#[inline]
pub(crate) fn hash_key(key: Bytes<'_>, seed: u64) -> u32 {
    const STIR: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |a: u64, b: u64| {
        let wide = u128::from(a) * u128::from(b);
        (wide as u64) ^ (wide >> 64) as u64
    };
    let stirred = |state: u64, word: u64| fold(state ^ word, STIR ^ seed.rotate_left(32)).wrapping_add(STIR);
    let mut state = seed ^ STIR.wrapping_mul(key.len() as u64 + 1);
    let mut rest = 0;
    if let Some(words) = key.as_words() {
        state = words.iter().fold(state, |state, word| stirred(state, word.load(Ordering::Relaxed)));
    } else {
        let whole = key.len() / 8 * 8;
        for at in (0..whole).step_by(8) {
            state = stirred(state, key.load_u64(at).unwrap_or(0));
        }
        rest = tail(key, whole);
    }
    let last = fold(state ^ rest, STIR | 1);
    (last ^ (last >> 32)) as u32
}

/// Reads the up to seven bytes from `at` to the end.
fn tail(key: Bytes<'_>, at: usize) -> u64 {
    match key.len() - at {
        0 => 0,
        4 => u64::from(key.load_u32(at).unwrap_or(0)),
        left => {
            let mut bytes = [0; 8];
            // In bounds by construction; and keys whose copy failed would compare unequal to none.
            let _ = key.copy_out(at, &mut bytes[..left]);
            u64::from_ne_bytes(bytes)
        }
    }
}
