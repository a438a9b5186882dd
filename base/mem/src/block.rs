//! Owned heap memory that programs can reach.

use crate::Bytes;
use alloc::alloc::{alloc_zeroed, dealloc};
use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;
use skep_abi::Errno;

/// The allocator has no memory left (`ENOMEM` at the system-call boundary).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

impl fmt::Display for NoMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of memory")
    }
}

impl core::error::Error for NoMemory {}

impl From<NoMemory> for Errno {
    fn from(NoMemory: NoMemory) -> Errno {
        Errno::ENOMEM
    }
}

impl From<alloc::collections::TryReserveError> for NoMemory {
    fn from(_: alloc::collections::TryReserveError) -> NoMemory {
        NoMemory
    }
}

/// A zeroed run of heap bytes, aligned to 64, reached only through [`Bytes`] and atomics.
pub struct Block {
    base: NonNull<u8>,
    len: usize,
    /// What was allocated, which `base` lies in.
    allocated: NonNull<u8>,
    layout: Layout,
}

const ALIGN: usize = align_of::<Line>();
const SMALL_ALIGN: usize = 16;

/// Something of a block's alignment, to make the address of the block of no bytes.
#[repr(align(64))]
struct Line;

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
            let base = NonNull::<Line>::dangling().cast();
            return Ok(Block { base, len, allocated: base, layout: Layout::new::<()>() });
        }
        // Allocators give large zeroed memory untouched, but std's only at small alignments; so a map that is mostly
        // empty costs what it holds. The block aligns itself.
        let room = len.checked_add(ALIGN - SMALL_ALIGN).ok_or(NoMemory)?;
        let layout = Layout::from_size_align(room, SMALL_ALIGN).map_err(|_| NoMemory)?;
        // SAFETY: the layout's size is not zero.
        let allocated = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(NoMemory)?;
        let skip = allocated.addr().get().next_multiple_of(ALIGN) - allocated.addr().get();
        // SAFETY: `allocated` is aligned to SMALL_ALIGN, so `skip` is at most what the room exceeds `len` by.
        let base = unsafe { allocated.add(skip) };
        Ok(Block { base, len, allocated, layout })
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
    #[inline]
    pub fn bytes(&self) -> Bytes<'_> {
        // SAFETY: the block owns `len` bytes at `base` until it is dropped, and hands out no reference to them.
        unsafe { Bytes::from_raw(self.base, self.len) }
    }

    /// Lends the bytes as 32-bit words; what is left over at the end is not among them.
    #[inline]
    pub fn words(&self) -> &[AtomicU32] {
        // SAFETY: the block is aligned to 64 and owns its bytes; they are reached through atomics only.
        unsafe { core::slice::from_raw_parts(self.base.cast::<AtomicU32>().as_ptr(), self.len / 4) }
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
        // SAFETY: `allocated` came from `alloc_zeroed` with this layout and is freed once.
        unsafe { dealloc(self.allocated.as_ptr(), self.layout) };
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
