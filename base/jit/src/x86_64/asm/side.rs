//! From an address in code back to what it was made of.

use super::label::CodeOffset;
use alloc::vec::Vec;

/// Holds what the caller wants to find again by an address, such as an instruction's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tag(pub u32);

/// Maps offsets of code to tags.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SideTable {
    /// Where each tag's code starts, ascending; no offset twice.
    pub(super) rows: Vec<(CodeOffset, Tag)>,
}

impl SideTable {
    /// Finds the tag of the code that the byte at this offset belongs to; nothing before the first tag.
    ///
    /// A return address is the offset *behind* a call: look up the one before it.
    pub fn find(&self, offset: CodeOffset) -> Option<Tag> {
        let behind = self.rows.partition_point(|(start, _)| *start <= offset);
        behind.checked_sub(1).map(|at| self.rows[at].1)
    }

    /// Lists where each tag's code starts, in ascending order. A tag may occur often.
    pub fn rows(&self) -> &[(CodeOffset, Tag)] {
        &self.rows
    }
}
