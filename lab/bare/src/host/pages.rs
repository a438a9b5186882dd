//! Pages: frames, mapped in a row into the kernel's window, or twice in a row.

use super::sleep::might_sleep;
use crate::frames::{self, Frame, PAGE_SIZE};
use crate::paging::{self, Access, KERNEL};
use core::ptr::NonNull;
use skep_mem::{Pages, RawPages};

/// Whether runs are mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mirror {
    /// What is asked for twice is mapped twice.
    Twice,
    /// Nothing is, as on a machine without page tables to spare.
    Never,
}

/// Hands out runs of pages.
#[derive(Debug)]
pub(super) struct MappedPages {
    mirror: Mirror,
}

impl MappedPages {
    pub(super) fn new(mirror: Mirror) -> MappedPages {
        MappedPages { mirror }
    }

    /// Maps `once` fresh frames in a row, and behind them the last `doubled` of those again.
    fn map(&self, once: usize, doubled: usize) -> Option<RawPages> {
        might_sleep();
        let count = once.checked_add(doubled)?;
        let base = KERNEL.take(count)?;
        for page in 0..once {
            let Some(frame) = frames::take() else {
                // SAFETY: the run was taken above, so many pages of it are mapped, and nobody has it.
                unsafe { unmap(base, page, count) };
                return None;
            };
            // SAFETY: the page was taken above and nobody has it; the frame is given back in `unmap`.
            unsafe { KERNEL.map(base + page * PAGE_SIZE, frame, Access::Kernel) };
        }
        for page in once..count {
            let Some(frame) = frame_at(base + (page - doubled) * PAGE_SIZE) else {
                unreachable!("mapped above")
            };
            // SAFETY: as above; the frame is the one of the first appearance, and stays as long.
            unsafe { KERNEL.map(base + page * PAGE_SIZE, frame, Access::Kernel) };
        }
        let Some(start) = NonNull::new(core::ptr::with_exposed_provenance_mut(base)) else {
            unreachable!("the window does not start at null")
        };
        Some(RawPages { base: start, len: count * PAGE_SIZE, mirrored: doubled > 0, cookie: once })
    }
}

/// Gives frames and addresses of a run back: `once` frames, `count` pages.
///
/// # Safety
/// The run was mapped so, and nobody reaches it any more.
unsafe fn unmap(base: usize, once: usize, count: usize) {
    for page in 0..once {
        if let Some(frame) = frame_at(base + page * PAGE_SIZE) {
            // SAFETY: the caller's contract; the frame came from `frames::take`, and its pages go below.
            unsafe { frames::give(frame) };
        }
    }
    // SAFETY: the caller's contract.
    unsafe { KERNEL.give(base, count) };
}

fn frame_at(address: usize) -> Option<Frame> {
    paging::landing(address as u64).map(|landing| Frame(landing.address / PAGE_SIZE as u64))
}

// SAFETY: the frames are zeroed and nobody else's, their pages lie in a row in a range that nobody else has, and stay
// mapped until `free`; in a mirrored run the last pages lead to the frames of those before.
unsafe impl Pages for MappedPages {
    fn page_size(&self) -> usize {
        PAGE_SIZE
    }

    fn alloc(&self, count: usize) -> Option<RawPages> {
        self.map(count, 0)
    }

    fn alloc_mirrored(&self, plain: usize, doubled: usize) -> Option<RawPages> {
        match self.mirror {
            Mirror::Twice => self.map(plain.checked_add(doubled)?, doubled),
            Mirror::Never => None,
        }
    }

    unsafe fn free(&self, pages: RawPages) {
        // SAFETY: the caller's contract; the cookie is the number of frames.
        unsafe { unmap(pages.base.addr().get(), pages.cookie, pages.len / PAGE_SIZE) };
    }

    fn frame(&self, pages: &RawPages, index: usize) -> Option<u64> {
        let at = index.checked_mul(PAGE_SIZE).filter(|at| *at < pages.len)?;
        frame_at(pages.base.addr().get() + at).map(|frame| frame.0)
    }
}
