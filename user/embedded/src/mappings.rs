//! Mappings that were handed out: what they show stays until each is given back.

use crate::host::relock;
use skep_abi::Errno;
use skep_kernel::Mapped;
use skep_sys::RawMapping;
use std::sync::Mutex;

/// The mappings of one kernel.
#[derive(Debug, Default)]
pub(crate) struct Mappings {
    live: Mutex<Vec<Live>>,
}

#[derive(Debug)]
struct Live {
    cookie: usize,
    mapped: Mapped,
}

impl Mappings {
    /// Hands out the first `len` bytes of a mapping, or what there is.
    ///
    /// # Errors
    /// `EINVAL` where there is nothing of it: the second appearance alone of pages that are not mirrored; `ENOMEM`.
    pub(crate) fn add(&self, mapped: Mapped, len: usize) -> Result<RawMapping, Errno> {
        let base = mapped.bytes().as_ptr();
        let len = mapped.bytes().len().min(len);
        if len == 0 {
            return Err(Errno::EINVAL);
        }
        let mut live = relock(&self.live);
        live.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let cookie = live.iter().map(|live| live.cookie).max().map_or(1, |last| last + 1);
        live.push(Live { cookie, mapped });
        // SAFETY: the bytes start at a page, and `mapped`, which keeps them mapped and is reached through atomics only
        // (`skep_mem::Bytes`), stays in the list until `remove` with this value's numbers, or for ever (see `Drop`).
        Ok(unsafe { RawMapping::new(base, len, cookie) })
    }

    /// Takes a mapping back; the caller drops it while nothing is locked.
    ///
    /// # Errors
    /// `EINVAL` for one that was not handed out here.
    pub(crate) fn remove(&self, raw: &RawMapping) -> Result<Mapped, Errno> {
        let mut live = relock(&self.live);
        let is_it = |live: &Live| live.cookie == raw.cookie() && live.mapped.bytes().as_ptr() == raw.base();
        let at = live.iter().position(is_it).ok_or(Errno::EINVAL)?;
        Ok(live.swap_remove(at).mapped)
    }
}

impl Drop for Mappings {
    fn drop(&mut self) {
        // Whoever kept a raw mapping longer than the kernel was promised that the bytes stay.
        for live in relock(&self.live).drain(..) {
            core::mem::forget(live.mapped);
        }
    }
}
