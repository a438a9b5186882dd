//! Pages from the heap, or twice mapped from a file in memory where the test asks for a mirror.

use crate::{Block, Pages, RawPages};
use std::boxed::Box;

pub(super) const PAGE_SIZE: usize = 4096;

/// Hands out pages.
#[derive(Debug)]
pub(super) struct TestPages {
    pub(super) mirror: bool,
}

/// What stands behind one run: a heap block with room to align, which the run's cookie is the address of.
struct Heap {
    _block: Block,
}

// SAFETY: a fresh zeroed block that lives until `free`, cut to page alignment; or fresh shared mappings of one file
// in memory, the second half of them of the same bytes.
unsafe impl Pages for TestPages {
    fn page_size(&self) -> usize {
        PAGE_SIZE
    }

    fn alloc(&self, count: usize) -> Option<RawPages> {
        let len = count.checked_mul(PAGE_SIZE)?;
        let block = Block::zeroed(len.checked_add(PAGE_SIZE)?).ok()?;
        let skip = block.bytes().addr().next_multiple_of(PAGE_SIZE) - block.bytes().addr();
        let base = block.bytes().slice(skip, len).ok()?.as_ptr();
        let heap = crate::try_box(Heap { _block: block }).ok()?;
        let cookie = Box::into_raw(heap).expose_provenance();
        Some(RawPages { base, len, mirrored: false, cookie })
    }

    fn alloc_mirrored(&self, plain: usize, doubled: usize) -> Option<RawPages> {
        if !self.mirror {
            return None;
        }
        mirror::map(plain.checked_mul(PAGE_SIZE)?, doubled.checked_mul(PAGE_SIZE)?)
    }

    unsafe fn free(&self, pages: RawPages) {
        if pages.mirrored {
            // SAFETY: the caller's contract: from `mirror::map`, and not reached any more.
            return unsafe { mirror::unmap(&pages) };
        }
        // SAFETY: the cookie came from `Box::into_raw` in `alloc` and is freed once.
        drop(unsafe { Box::from_raw(core::ptr::with_exposed_provenance_mut::<Heap>(pages.cookie)) });
    }

    fn frame(&self, pages: &RawPages, index: usize) -> Option<u64> {
        let at = index.checked_mul(PAGE_SIZE).filter(|at| *at < pages.len)?;
        Some(((pages.base.as_ptr().addr() + at) / PAGE_SIZE) as u64)
    }
}

#[cfg(all(target_os = "linux", target_pointer_width = "64", not(miri)))]
mod mirror {
    use crate::RawPages;
    use core::ffi::{c_char, c_int, c_uint, c_void};
    use core::ptr::NonNull;

    const PROT_READ_WRITE: c_int = 3;
    const MAP_SHARED: c_int = 1;
    const MAP_FIXED: c_int = 0x10;

    // The three calls of the C library that std links anyway; this crate may use no other.
    // SAFETY: declared as in sys/mman.h; what `memfd_create` points to is read by the kernel, which looks first.
    unsafe extern "C" {
        safe fn memfd_create(name: *const c_char, flags: c_uint) -> c_int;
        fn mmap(
            at: *mut c_void,
            len: usize,
            prot: c_int,
            flags: c_int,
            fd: c_int,
            offset: i64,
        ) -> *mut c_void;
        fn munmap(at: *mut c_void, len: usize) -> c_int;
    }

    fn is_mapped(at: *mut c_void) -> bool {
        at.addr() != usize::MAX && !at.is_null()
    }

    pub(super) fn map(plain: usize, doubled: usize) -> Option<RawPages> {
        use std::os::fd::FromRawFd;
        let fd = memfd_create(c"skep-test".as_ptr(), 1);
        if fd < 0 {
            return None;
        }
        // SAFETY: a fresh descriptor that nobody else has.
        let file = unsafe { std::fs::File::from_raw_fd(fd) };
        let once = plain.checked_add(doubled)?;
        let len = once.checked_add(doubled)?;
        file.set_len(once as u64).ok()?;
        // SAFETY: a new mapping wherever the system likes.
        let base = unsafe { mmap(core::ptr::null_mut(), len, PROT_READ_WRITE, MAP_SHARED, fd, 0) };
        if !is_mapped(base) {
            return None;
        }
        // SAFETY: replaces the last `doubled` bytes of the mapping just made, which nobody uses yet.
        let second = unsafe {
            mmap(
                base.wrapping_byte_add(once),
                doubled,
                PROT_READ_WRITE,
                MAP_SHARED | MAP_FIXED,
                fd,
                plain as i64,
            )
        };
        let raw = RawPages { base: NonNull::new(base.cast())?, len, mirrored: true, cookie: 0 };
        if !is_mapped(second) {
            // SAFETY: the mapping made above, not handed out.
            unsafe { unmap(&raw) };
            return None;
        }
        Some(raw)
    }

    /// # Safety
    /// `pages` came from [`map`] and are not reached any more.
    pub(super) unsafe fn unmap(pages: &RawPages) {
        // SAFETY: the caller's contract.
        unsafe { munmap(pages.base.as_ptr().cast(), pages.len) };
    }
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64", not(miri))))]
mod mirror {
    use crate::RawPages;

    pub(super) fn map(_plain: usize, _doubled: usize) -> Option<RawPages> {
        None
    }

    /// # Safety
    /// Never called: [`map`] gives nothing.
    pub(super) unsafe fn unmap(_pages: &RawPages) {}
}
