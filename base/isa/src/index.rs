//! Where an instruction is.

use core::fmt;

/// Counts eight-byte slots from the start of a program.
///
/// Every jump offset, line record and error counts slots, so a wide instruction takes two numbers; the second is never
/// the place of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct InsnIdx(pub u32);

impl InsnIdx {
    /// Names the first slot.
    pub const ZERO: InsnIdx = InsnIdx(0);

    /// Returns the index as a `usize`, to index arrays by slot.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Returns the slot that a relative offset in this slot means: offsets count from the slot after this one
    /// (RFC 9669 §4.3). Nothing if that is below zero or above `u32::MAX`.
    #[inline]
    pub fn relative(self, off: i32) -> Option<InsnIdx> {
        let target = i64::from(self.0) + 1 + i64::from(off);
        u32::try_from(target).ok().map(InsnIdx)
    }

    /// Returns the offset that leads from this slot to another, the inverse of [`relative`](Self::relative).
    #[inline]
    pub fn offset_to(self, target: InsnIdx) -> i64 {
        i64::from(target.0) - i64::from(self.0) - 1
    }
}

impl fmt::Display for InsnIdx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
