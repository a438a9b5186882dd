//! The one place where a number becomes memory.

use skep_machine::Bytes;
use std::ptr::{NonNull, with_exposed_provenance_mut};

/// Gives memory by its address, on the word of whoever has handed the address to rbpf's interface, which asks for no more;
/// nothing at null.
pub(crate) fn bytes(address: u64, len: usize) -> Option<Bytes<'static>> {
    let base = NonNull::new(with_exposed_provenance_mut(usize::try_from(address).ok()?))?;
    // SAFETY: not proved here, and it cannot be: rbpf's interface takes addresses from safe code. This crate is for rbpf's
    // own tests, whose addresses are of memory that outlives the call, and is never published.
    Some(unsafe { Bytes::from_raw(base, len) })
}
