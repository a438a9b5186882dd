//! The bytes that are fixed before any distance is known.

use super::AsmError;
use crate::x86_64::Inst;
use alloc::vec::Vec;

/// What code may be long: distances are signed 32-bit numbers.
pub(super) const LONGEST: usize = i32::MAX as usize;
/// What an instruction is copied as, so that no copy has a variable length.
const CHUNK: usize = 16;
/// What is asked for first.
const FIRST: usize = 1024;

/// Holds bytes with room for one instruction more than they are.
#[derive(Default, Debug)]
pub(super) struct Text {
    /// The bytes, then zeros or what an earlier copy left.
    bytes: Vec<u8>,
    len: usize,
}

impl Text {
    /// Counts the bytes.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Appends an instruction.
    #[inline(always)]
    pub(super) fn push(&mut self, inst: &Inst) -> Result<(), AsmError> {
        if self.bytes.len() < self.len + CHUNK {
            self.grow(CHUNK)?;
        }
        self.bytes[self.len..self.len + CHUNK].copy_from_slice(&inst.bytes());
        self.len += inst.len();
        Ok(())
    }

    /// Appends data.
    pub(super) fn extend(&mut self, data: &[u8]) -> Result<(), AsmError> {
        if self.bytes.len() - self.len < data.len() {
            self.grow(data.len())?;
        }
        self.bytes[self.len..self.len + data.len()].copy_from_slice(data);
        self.len += data.len();
        Ok(())
    }

    /// Makes room for so many bytes, if there is memory for it.
    pub(super) fn make_room(&mut self, bytes: usize) {
        if bytes <= LONGEST && self.bytes.try_reserve_exact(bytes).is_ok() {
            self.bytes.resize(bytes, 0);
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, by: usize) -> Result<(), AsmError> {
        let need = self.len.checked_add(by).filter(|need| *need <= LONGEST).ok_or(AsmError::TooLong)?;
        let size = need.max(2 * self.bytes.len()).max(FIRST);
        let more = size - self.bytes.len();
        self.bytes.try_reserve_exact(more).map_err(|_| AsmError::OutOfMemory)?;
        self.bytes.resize(size, 0);
        Ok(())
    }
}
