//! Where values live during a run.

use core::ptr::NonNull;

/// Names a place of a function's frame. Only [`Program`](crate::Program) makes them, each below the function's number of places.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Place(pub(crate) u16);

/// Is the frame of the function that runs.
#[derive(Clone, Copy)]
pub(crate) struct Frame(NonNull<u64>);

impl Frame {
    /// Makes the frame that starts at an address.
    ///
    /// # Safety
    /// As many words as the function has places must be there, for this run alone, and every [`Place`] that is used with the
    /// frame must be of that function.
    #[inline(always)]
    pub(crate) unsafe fn new(base: NonNull<u64>) -> Frame {
        Frame(base)
    }

    /// Returns the address behind a number of places.
    #[inline(always)]
    pub(crate) fn after(self, places: u16) -> NonNull<u64> {
        let next = self.0.as_ptr().wrapping_add(usize::from(places));
        NonNull::new(next).unwrap_or(NonNull::dangling())
    }

    /// Reads a place.
    #[inline(always)]
    pub(crate) fn get(self, place: Place) -> u64 {
        // SAFETY: within the words that `new` was promised.
        let at = unsafe { self.0.add(usize::from(place.0)) };
        // SAFETY: such a word, and this run's alone.
        unsafe { at.read() }
    }

    /// Writes a place.
    #[inline(always)]
    pub(crate) fn set(self, place: Place, value: u64) {
        // SAFETY: within the words that `new` was promised.
        let at = unsafe { self.0.add(usize::from(place.0)) };
        // SAFETY: such a word, and this run's alone.
        unsafe { at.write(value) }
    }
}
