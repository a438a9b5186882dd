//! Page-granular memory that user space may map.

use crate::{Bytes, Host, NoMemory, Pages, RawPages};
use alloc::sync::Arc;
use core::fmt;

/// Zeroed pages of the host, returned to it on drop; they outlive any one file descriptor or mapping because each
/// holder keeps its own `Arc` of the run.
pub struct PageRun {
    host: Arc<dyn Host>,
    raw: Option<RawPages>,
    /// How many pages there are, each counted once.
    count: usize,
    /// How many of them, at the end, are to appear twice.
    doubled: usize,
}

impl PageRun {
    /// Allocates `plain` pages followed by `doubled` pages; the latter appear twice in a row where the host can
    /// mirror, else once ([`PageRun::is_mirrored`] tells).
    ///
    /// # Errors
    /// [`NoMemory`] where the host has no pages to give, or lends none at all.
    pub fn new(host: &Arc<dyn Host>, plain: usize, doubled: usize) -> Result<PageRun, NoMemory> {
        let pages = host.pages().ok_or(NoMemory)?;
        let count = plain.checked_add(doubled).ok_or(NoMemory)?;
        let raw = match doubled {
            0 => None,
            _ => pages.alloc_mirrored(plain, doubled),
        };
        let raw = match raw {
            Some(raw) => raw,
            None => pages.alloc(count).ok_or(NoMemory)?,
        };
        Ok(PageRun { host: Arc::clone(host), raw: Some(raw), count, doubled })
    }

    /// Lends all bytes, the mirror included.
    pub fn bytes(&self) -> Bytes<'_> {
        match &self.raw {
            // SAFETY: the host's contract (`Pages`) is that the range stays mapped until `free`, which is in drop.
            Some(raw) => unsafe { Bytes::from_raw(raw.base, raw.len) },
            None => Bytes::empty(),
        }
    }

    /// Gives the size of a page in bytes; `None` where the host lends no pages any more.
    pub fn page_size(&self) -> Option<usize> {
        self.host.pages().map(Pages::page_size)
    }

    /// Tells whether the doubled pages appear twice.
    pub fn is_mirrored(&self) -> bool {
        self.raw.as_ref().is_some_and(|raw| raw.mirrored)
    }

    /// Gives the host's number for the frame behind page `index`, for hosts that map frames into user space.
    ///
    /// The doubled pages have their frames a second time after the last page even where the host cannot mirror them
    /// for the kernel: two mappings in user space are the reader's, and cost no kernel address space.
    pub fn frame(&self, index: usize) -> Option<u64> {
        let once = if index < self.count { index } else { index.checked_sub(self.doubled)? };
        let page = (once < self.count).then_some(once)?;
        self.host.pages()?.frame(self.raw.as_ref()?, page)
    }
}

impl fmt::Debug for PageRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PageRun({} bytes)", self.bytes().len())
    }
}

impl Drop for PageRun {
    fn drop(&mut self) {
        if let (Some(raw), Some(pages)) = (self.raw.take(), self.host.pages()) {
            // SAFETY: `raw` came from this host and every borrow of its bytes has ended with `self`.
            unsafe { pages.free(raw) };
        }
    }
}
