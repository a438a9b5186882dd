//! Numbers from bytes, by offset.

use super::{CaptureError, Problem};
use skep_isa::ByteOrder;

/// A place in a file, up to an end, in a byte order.
#[derive(Clone, Copy)]
pub(super) struct Reader<'b> {
    bytes: &'b [u8],
    /// The next byte.
    pub(super) at: usize,
    pub(super) order: ByteOrder,
}

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8], at: usize, order: ByteOrder) -> Reader<'b> {
        Reader { bytes, at, order }
    }

    /// What is left.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// An error at the next byte.
    pub(super) fn error(&self, problem: Problem) -> CaptureError {
        CaptureError { offset: self.at as u64, problem }
    }

    /// Takes bytes that are part of `what`.
    ///
    /// # Errors
    /// [`Problem::Truncated`].
    pub(super) fn take(&mut self, count: u64, what: &'static str) -> Result<&'b [u8], CaptureError> {
        let found = self.left() as u64;
        if count > found {
            return Err(self.error(Problem::Truncated { what, wanted: count, found }));
        }
        let start = self.at;
        self.at += count as usize;
        Ok(&self.bytes[start..self.at])
    }

    pub(super) fn u16(&mut self, what: &'static str) -> Result<u16, CaptureError> {
        let mut word = [0; 2];
        word.copy_from_slice(self.take(2, what)?);
        Ok(match self.order {
            ByteOrder::Little => u16::from_le_bytes(word),
            ByteOrder::Big => u16::from_be_bytes(word),
        })
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, CaptureError> {
        let mut word = [0; 4];
        word.copy_from_slice(self.take(4, what)?);
        Ok(match self.order {
            ByteOrder::Little => u32::from_le_bytes(word),
            ByteOrder::Big => u32::from_be_bytes(word),
        })
    }

    pub(super) fn u64(&mut self, what: &'static str) -> Result<u64, CaptureError> {
        let mut word = [0; 8];
        word.copy_from_slice(self.take(8, what)?);
        Ok(match self.order {
            ByteOrder::Little => u64::from_le_bytes(word),
            ByteOrder::Big => u64::from_be_bytes(word),
        })
    }
}
