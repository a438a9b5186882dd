//! What the caller has mapped: pages in the window of user space, to the frames of a map or ring.

use crate::frames::{Frame, PAGE_SIZE};
use crate::paging::{Access, USER_SPACE};
use crate::quiet::Quiet;
use alloc::vec::Vec;
use skep_abi::Errno;
use skep_kernel::{Mapped, Mmap};

/// The mappings of the caller.
#[derive(Debug, Default)]
pub(super) struct Mappings(Quiet<Vec<Live>>);

#[derive(Debug)]
struct Live {
    address: usize,
    pages: usize,
    /// Keeps the frames.
    mapped: Mapped,
}

impl Mappings {
    /// Maps the frames of what the kernel lends, and gives the address.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn map(&self, mapped: Mapped, len: usize, how: Mmap) -> Result<usize, Errno> {
        let pages = len.div_ceil(PAGE_SIZE);
        if !(0..pages).all(|page| mapped.frame(page).is_some()) {
            return Err(Errno::EINVAL);
        }
        self.0.with(|live| live.try_reserve(1)).map_err(|_| Errno::ENOMEM)?;
        let address = USER_SPACE.take(pages).ok_or(Errno::ENOMEM)?;
        let access = match how {
            Mmap::Read => Access::UserRead,
            Mmap::ReadWrite => Access::UserWrite,
        };
        for (page, frame) in (0..pages).filter_map(|page| Some((page, mapped.frame(page)?))) {
            // SAFETY: the page was taken above and nobody has it; the frame stays while `mapped` does.
            unsafe { USER_SPACE.map(address + page * PAGE_SIZE, Frame(frame), access) };
        }
        self.0.with(|live| live.push(Live { address, pages, mapped }));
        Ok(address)
    }

    /// Unmaps what is mapped at an address, and gives what kept the frames, for the caller to drop.
    ///
    /// # Errors
    /// `EINVAL` for what is not mapped, or a part.
    pub(super) fn unmap(&self, address: usize, len: usize) -> Result<Mapped, Errno> {
        let pages = len.div_ceil(PAGE_SIZE);
        let is_it = |live: &Live| (live.address, live.pages) == (address, pages);
        let taken = self.0.with(|live| live.iter().position(is_it).map(|at| live.swap_remove(at)));
        let live = taken.ok_or(Errno::EINVAL)?;
        // SAFETY: the pages were taken in `map`, and the caller says by unmapping that nobody reaches them.
        unsafe { USER_SPACE.give(live.address, live.pages) };
        Ok(live.mapped)
    }

    /// Gives the number of pages that are mapped.
    pub(super) fn pages(&self) -> usize {
        self.0.with(|live| live.iter().map(|live| live.pages).sum())
    }
}
