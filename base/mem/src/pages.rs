//! Page-granular memory that user space may map.

use crate::{Bytes, Host, NoMemory, RawPages};
use alloc::sync::Arc;
use core::fmt;

/// Zeroed pages of the host, returned to it on drop; they outlive any one file descriptor or mapping because each
/// holder keeps its own `Arc` of the run.
pub struct PageRun {
    host: Arc<dyn Host>,
    raw: Option<RawPages>,
}

impl PageRun {
    /// Allocates `plain` pages followed by `doubled` pages; the latter appear twice in a row where the host can
    /// mirror, else once ([`PageRun::is_mirrored`] tells).
    ///
    /// # Errors
    /// [`NoMemory`] where the host has no pages to give, or lends none at all.
    pub fn new(host: &Arc<dyn Host>, plain: usize, doubled: usize) -> Result<PageRun, NoMemory> {
        let pages = host.pages().ok_or(NoMemory)?;
        let raw = match doubled {
            0 => None,
            _ => pages.alloc_mirrored(plain, doubled),
        };
        let raw = match raw {
            Some(raw) => raw,
            None => pages.alloc(plain.checked_add(doubled).ok_or(NoMemory)?).ok_or(NoMemory)?,
        };
        Ok(PageRun { host: Arc::clone(host), raw: Some(raw) })
    }

    /// Lends all bytes, the mirror included.
    pub fn bytes(&self) -> Bytes<'_> {
        match &self.raw {
            // SAFETY: the host's contract (`Pages`) is that the range stays mapped until `free`, which is in drop.
            Some(raw) => unsafe { Bytes::from_raw(raw.base, raw.len) },
            None => Bytes::empty(),
        }
    }

    /// Tells whether the doubled pages appear twice.
    pub fn is_mirrored(&self) -> bool {
        self.raw.as_ref().is_some_and(|raw| raw.mirrored)
    }

    /// Gives the host's number for the frame behind page `index`, for hosts that map frames into user space.
    pub fn frame(&self, index: usize) -> Option<u64> {
        self.host.pages()?.frame(self.raw.as_ref()?, index)
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
