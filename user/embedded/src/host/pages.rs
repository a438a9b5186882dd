//! Pages: from the heap, or, on Linux, mapped twice in a row so that what wraps in a ring is still contiguous.

use skep_mem::{Pages, RawPages};
use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Whether rings are mirrored where the system can do it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mirror {
    /// Where the system can.
    #[default]
    WherePossible,
    /// Nowhere, as on systems that cannot.
    Nowhere,
}

/// Hands out pages and counts them.
#[derive(Debug)]
pub(super) struct HeapPages {
    mirror: Mirror,
    page_size: usize,
    bytes: AtomicUsize,
}

impl HeapPages {
    pub(super) fn new(mirror: Mirror) -> HeapPages {
        HeapPages { mirror, page_size: twice::page_size(), bytes: AtomicUsize::new(0) }
    }

    /// Gives the bytes handed out and not given back.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn layout(&self, len: usize) -> Option<Layout> {
        Layout::from_size_align(len, self.page_size).ok().filter(|layout| layout.size() > 0)
    }

    fn counted(&self, pages: RawPages) -> RawPages {
        self.bytes.fetch_add(pages.len, Ordering::Relaxed);
        pages
    }
}

// SAFETY: a fresh zeroed allocation of page alignment, or fresh shared mappings of one file in memory that nobody else
// has, the last part of them of the same bytes as the part before; both stay until `free`.
unsafe impl Pages for HeapPages {
    fn page_size(&self) -> usize {
        self.page_size
    }

    fn alloc(&self, count: usize) -> Option<RawPages> {
        let len = count.checked_mul(self.page_size)?;
        let layout = self.layout(len)?;
        // SAFETY: the layout's size is not zero.
        let base = NonNull::new(unsafe { std::alloc::alloc_zeroed(layout) })?;
        Some(self.counted(RawPages { base, len, mirrored: false, cookie: 0 }))
    }

    fn alloc_mirrored(&self, plain: usize, doubled: usize) -> Option<RawPages> {
        if self.mirror == Mirror::Nowhere || doubled == 0 {
            return None;
        }
        let (plain, doubled) = (plain.checked_mul(self.page_size)?, doubled.checked_mul(self.page_size)?);
        twice::map(plain, doubled).map(|pages| self.counted(pages))
    }

    unsafe fn free(&self, pages: RawPages) {
        self.bytes.fetch_sub(pages.len, Ordering::Relaxed);
        if pages.mirrored {
            // SAFETY: the caller's contract; mirrored pages are from `twice::map`.
            return unsafe { twice::unmap(&pages) };
        }
        if let Some(layout) = self.layout(pages.len) {
            // SAFETY: the caller's contract; other pages are from `alloc`, with this layout.
            unsafe { std::alloc::dealloc(pages.base.as_ptr(), layout) };
        }
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
mod twice {
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
    use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
    use skep_mem::RawPages;
    use std::ptr::{NonNull, null_mut};

    pub(super) fn page_size() -> usize {
        rustix::param::page_size()
    }

    pub(super) fn map(plain: usize, doubled: usize) -> Option<RawPages> {
        let once = plain.checked_add(doubled)?;
        let len = once.checked_add(doubled)?;
        let file = memfd_create("skep", MemfdFlags::CLOEXEC).ok()?;
        ftruncate(&file, once as u64).ok()?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address that the system chooses. It is longer than the file; the rest of it is
        // replaced below before anybody touches it.
        let base = unsafe { mmap(null_mut(), len, access, MapFlags::SHARED, &file, 0) }.ok()?;
        let pages = RawPages { base: NonNull::new(base.cast())?, len, mirrored: true, cookie: 0 };
        // Who writes to a ring holds its lock and has no time for the first touch of a page; Linux has them all from the start, too.
        let fixed = MapFlags::SHARED | MapFlags::FIXED | MapFlags::POPULATE;
        let again = base.wrapping_byte_add(once);
        // SAFETY: replaces the first bytes of the mapping just made, which nobody has yet.
        let first = unsafe { mmap(base, once, access, fixed, &file, 0) };
        // SAFETY: replaces the last `doubled` bytes of it.
        let second = unsafe { mmap(again, doubled, access, fixed, &file, plain as u64) };
        if first.is_err() || second.is_err() {
            // SAFETY: the mapping made above, which nobody has.
            unsafe { unmap(&pages) };
            return None;
        }
        Some(pages)
    }

    /// # Safety
    /// `pages` are from [`map`] and nobody reaches them any more.
    pub(super) unsafe fn unmap(pages: &RawPages) {
        // An error would mean that the range was not mapped.
        // SAFETY: the caller's contract.
        let _ = unsafe { munmap(pages.base.as_ptr().cast(), pages.len) };
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod twice {
    use skep_mem::RawPages;

    /// Readers compute with the same number, so any power of two from 4096 is right.
    pub(super) fn page_size() -> usize {
        4096
    }

    pub(super) fn map(_plain: usize, _doubled: usize) -> Option<RawPages> {
        None
    }

    /// # Safety
    /// Never called: [`map`] gives nothing.
    pub(super) unsafe fn unmap(_pages: &RawPages) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Embedded};
    use skep_mem::PageRun;

    #[test]
    fn pages_are_zeroed_aligned_and_counted() {
        for mirror in [Mirror::WherePossible, Mirror::Nowhere] {
            let embedded = Embedded::new(Config::new().mirror(mirror)).unwrap();
            let host = embedded.host_for_tests();
            let page = host.pages().unwrap().page_size();
            let run = PageRun::new(&host, 1, 2).unwrap();
            assert_eq!(run.bytes().addr() % page, 0);
            let zeros = vec![0; run.bytes().len()];
            assert!(run.bytes().eq_slice(&zeros));
            assert_eq!(run.is_mirrored(), cfg!(target_os = "linux") && mirror == Mirror::WherePossible);
            if run.is_mirrored() {
                assert_eq!(run.bytes().len(), 5 * page);
                run.bytes().store_u64(2 * page + 8, 77).unwrap();
                assert_eq!(run.bytes().load_u64(4 * page + 8), Ok(77));
            } else {
                assert_eq!(run.bytes().len(), 3 * page);
            }
            assert_eq!(embedded.page_bytes(), run.bytes().len());
            drop(run);
            assert_eq!(embedded.page_bytes(), 0);
        }
    }
}
