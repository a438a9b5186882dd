//! What programs print: kept in a buffer of fixed size, because an interrupt may print too; what does not fit is lost.

use crate::quiet::Quiet;
use alloc::vec::Vec;
use skep_mem::Trace;

const BYTES: usize = 4096;

/// The messages that nobody took yet, one after the other.
#[derive(Debug)]
pub(crate) struct Log(Quiet<Kept>);

#[derive(Debug)]
struct Kept {
    text: [u8; BYTES],
    len: usize,
}

impl Log {
    pub(super) fn new() -> Log {
        Log(Quiet::new(Kept { text: [0; BYTES], len: 0 }))
    }

    /// Takes all messages out.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.0.with(|kept| kept.text[..core::mem::take(&mut kept.len)].to_vec())
    }
}

impl Trace for Log {
    fn message(&self, text: &[u8]) {
        self.0.with(|kept| {
            if let Some(room) = kept.text[kept.len..].get_mut(..text.len()) {
                room.copy_from_slice(text);
                kept.len += text.len();
            }
        });
    }
}
