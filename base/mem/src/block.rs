//! Owned heap memory that programs can reach.

use crate::Bytes;
use alloc::alloc::{alloc_zeroed, dealloc};
use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

/// The allocator has no memory left (`ENOMEM` at the system-call boundary).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

impl fmt::Display for NoMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of memory")
    }
}

impl core::error::Error for NoMemory {}

impl From<alloc::collections::TryReserveError> for NoMemory {
    fn from(_: alloc::collections::TryReserveError) -> NoMemory {
        NoMemory
    }
}

/// A zeroed run of heap bytes, aligned to 64, reached only through [`Bytes`].
pub struct Block {
    base: NonNull<u8>,
    len: usize,
}

const ALIGN: usize = 64;

// SAFETY: the memory is owned and reached through atomics only.
unsafe impl Send for Block {}
// SAFETY: as for Send.
unsafe impl Sync for Block {}

impl Block {
    /// Allocates `len` zero bytes.
    ///
    /// # Errors
    /// [`NoMemory`] where the allocator refuses, or the length is no valid size.
    pub fn zeroed(len: usize) -> Result<Block, NoMemory> {
        if len == 0 {
            return Ok(Block { base: NonNull::dangling(), len });
        }
        let layout = Layout::from_size_align(len, ALIGN).map_err(|_| NoMemory)?;
        // SAFETY: the layout's size is not zero.
        let base = unsafe { alloc_zeroed(layout) };
        Ok(Block { base: NonNull::new(base).ok_or(NoMemory)?, len })
    }

    /// Allocates a copy of `bytes`.
    ///
    /// # Errors
    /// [`NoMemory`] where the allocator refuses.
    pub fn copy_of(bytes: &[u8]) -> Result<Block, NoMemory> {
        let block = Block::zeroed(bytes.len())?;
        block.bytes().copy_in(0, bytes).map_err(|_| NoMemory)?;
        Ok(block)
    }

    /// Lends the bytes.
    pub fn bytes(&self) -> Bytes<'_> {
        // SAFETY: the block owns `len` bytes at `base` until it is dropped, and hands out no reference to them.
        unsafe { Bytes::from_raw(self.base, self.len) }
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({} bytes)", self.len)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if self.len == 0 {
            return;
        }
        // SAFETY: `zeroed` made this layout, so size and alignment are valid.
        let layout = unsafe { Layout::from_size_align_unchecked(self.len, ALIGN) };
        // SAFETY: `base` came from `alloc_zeroed` with this layout and is freed once.
        unsafe { dealloc(self.base.as_ptr(), layout) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_zeroed_aligned_and_checked() {
        let block = Block::zeroed(100).unwrap();
        assert_eq!(block.bytes().addr() % ALIGN, 0);
        assert!(block.bytes().eq_slice(&[0; 100]));
        assert_eq!(Block::zeroed(0).unwrap().bytes().len(), 0);
        assert_eq!(Block::zeroed(usize::MAX).err(), Some(NoMemory));
        assert!(Block::copy_of(b"skep").unwrap().bytes().eq_slice(b"skep"));
    }
}
