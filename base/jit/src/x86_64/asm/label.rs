//! Places in code, and where they are once every length is known.

use alloc::vec::Vec;
use core::fmt;

/// Names a place in code, before or after that place is known. It belongs to the assembler that made it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Label(pub(in crate::x86_64) u32);

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "L{}", self.0)
    }
}

/// Counts bytes from the start of the code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CodeOffset(pub u32);

impl CodeOffset {
    /// Returns the offset as an index into the code.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for CodeOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{:#x}", self.0)
    }
}

/// A place while lengths are unknown: between two bytes of the text, and there between two of the parts whose length is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Spot {
    /// Bytes of text before it.
    pub(super) at: u32,
    /// Parts of open length before it.
    pub(super) parts: u32,
}

impl Spot {
    /// A label's that is not bound.
    pub(super) const NOWHERE: Spot = Spot { at: u32::MAX, parts: u32::MAX };

    /// Returns the offset, given what all parts before each part take.
    #[inline(always)]
    pub(super) fn offset(self, taken: &Taken) -> u32 {
        self.at + taken.0[self.parts as usize]
    }
}

/// For each part of open length, and for the end, what all parts before it take together.
#[derive(Debug)]
pub(super) struct Taken(pub(super) Vec<u32>);
