//! Memory shared with the kernel.

use crate::{Call, Kernel};
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;
use skep_abi::Errno;
use skep_mem::{Bytes, OutOfBounds};

/// A mapping as an implementer of the seam gives it: where it is, how long, and a number for its own use.
///
/// It is owned and cannot be copied, so that it is unmapped at most once.
#[derive(Debug, PartialEq, Eq)]
pub struct RawMapping {
    base: NonNull<u8>,
    len: usize,
    cookie: usize,
}

// SAFETY: an address and two numbers; the memory behind it is reached through atomics only (see `Mapping`).
unsafe impl Send for RawMapping {}
// SAFETY: as for Send.
unsafe impl Sync for RawMapping {}

impl RawMapping {
    /// Describes a mapping of `len` bytes at `base`.
    ///
    /// # Safety
    /// `base` is aligned to 8, and until the [`Call::Unmap`] with this value (for ever, if that is never made) the bytes stay mapped, readable (and
    /// writable if that was asked for), and reached by nobody in this process through Rust references other than to
    /// atomics.
    pub unsafe fn new(base: NonNull<u8>, len: usize, cookie: usize) -> RawMapping {
        RawMapping { base, len, cookie }
    }

    /// Describes memory of which nothing is promised but that it can be unmapped.
    pub(crate) fn of_parts(base: NonNull<u8>, len: usize, cookie: usize) -> RawMapping {
        RawMapping { base, len, cookie }
    }

    /// Gives the address.
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Gives the length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Tells whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Gives the implementer's own number.
    pub fn cookie(&self) -> usize {
        self.cookie
    }

    /// Stands for the same mapping in a call that takes the place of one with `self`, which is then not used again.
    pub(crate) fn stand_in(&self) -> RawMapping {
        RawMapping { base: self.base, len: self.len, cookie: self.cookie }
    }
}

/// Whether a mapping may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writable {
    /// It may.
    Yes,
    /// A write is refused here, because it would be a fault there.
    No,
}

/// Memory shared with the kernel, unmapped on drop. All access is by atomics, since the kernel writes at any time;
/// integers are in the machine's byte order.
///
/// Under a [`crate::Record`] or [`crate::Replay`] the memory is a copy that is brought up to date by each call, so that
/// what a reader sees follows from the answers it got.
pub struct Mapping {
    raw: RawMapping,
    writable: Writable,
    kernel: Kernel,
}

impl Mapping {
    pub(crate) fn new(kernel: Kernel, raw: RawMapping, writable: Writable) -> Mapping {
        Mapping { raw, writable, kernel }
    }

    /// Gives the length in bytes; a kernel that cannot mirror a ring gives less than was asked for.
    pub fn len(&self) -> usize {
        self.raw.len
    }

    /// Tells whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.raw.len == 0
    }

    /// Gives the address of the first byte, which pointers in an arena count from.
    pub fn address(&self) -> usize {
        self.raw.base.addr().get()
    }

    /// Loads the aligned 64-bit integer at `offset`; what the kernel wrote before it stored the value is seen too.
    ///
    /// # Errors
    /// [`OutOfBounds`] where it is outside or not aligned.
    pub fn load_acquire_u64(&self, offset: usize) -> Result<u64, OutOfBounds> {
        let cell = self.view().atomic_u64(offset)?.ok_or(self.misplaced(offset, 8))?;
        Ok(cell.load(Ordering::Acquire))
    }

    /// Loads the aligned 32-bit integer at `offset`; what the kernel wrote before it stored the value is seen too.
    ///
    /// # Errors
    /// [`OutOfBounds`] where it is outside or not aligned.
    pub fn load_acquire_u32(&self, offset: usize) -> Result<u32, OutOfBounds> {
        let cell = self.view().atomic_u32(offset)?.ok_or(self.misplaced(offset, 4))?;
        Ok(cell.load(Ordering::Acquire))
    }

    /// Stores the aligned 64-bit integer at `offset`, after all that was read and written before.
    ///
    /// # Errors
    /// [`OutOfBounds`] where it is outside, not aligned, or the mapping is read-only.
    pub fn store_release_u64(&self, offset: usize, value: u64) -> Result<(), OutOfBounds> {
        let bytes = self.bytes().ok_or(self.misplaced(offset, 8))?;
        let cell = bytes.atomic_u64(offset)?.ok_or(self.misplaced(offset, 8))?;
        cell.store(value, Ordering::Release);
        Ok(())
    }

    /// Copies bytes out.
    ///
    /// # Errors
    /// [`OutOfBounds`] where they are outside.
    pub fn copy_out(&self, offset: usize, into: &mut [u8]) -> Result<(), OutOfBounds> {
        self.view().copy_out(offset, into)
    }

    /// Asks for what the kernel wrote since the last call ([`Call::Refresh`]); needed only by readers that look at the
    /// memory again and again without any other call.
    ///
    /// # Errors
    /// None on a kernel that is not wrapped.
    pub fn refresh(&self) -> Result<(), Errno> {
        self.kernel.call(Call::Refresh).map(|_| ())
    }

    /// Lends the bytes of a writable mapping.
    pub fn bytes(&self) -> Option<Bytes<'_>> {
        (self.writable == Writable::Yes).then(|| self.view())
    }

    /// The bytes, for reading where the mapping is read-only.
    fn view(&self) -> Bytes<'_> {
        // SAFETY: `RawMapping::new` promises mapped bytes without references until `Unmap`, which is in drop. A
        // read-only mapping is stored to nowhere in this file.
        unsafe { Bytes::from_raw(self.raw.base, self.raw.len) }
    }

    fn misplaced(&self, offset: usize, wanted: usize) -> OutOfBounds {
        OutOfBounds { offset, wanted, size: self.raw.len }
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mapping({} bytes)", self.raw.len)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // Nothing is left to do about an error: the range is not used any more.
        let _ = self.kernel.call(Call::Unmap(self.raw.stand_in()));
    }
}
