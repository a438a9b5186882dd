//! Where each value lives: one linear scan over intervals without holes.
//!
//! A value keeps its place all its life. Intervals are stretched over loops that they are live around, so that the place is
//! not given away in between.

pub mod check;
mod intervals;
mod scan;

use crate::error::BuildErrorKind;
use crate::machine::Machine;
use crate::ops::Loc;
use crate::ssa::{Function, Val};
use alloc_crate::vec::Vec;

/// Says where each value of a function lives.
#[derive(Clone, Debug)]
pub struct Places {
    pub(crate) of: Vec<Loc>,
    /// Counts the loops around each block.
    pub(crate) depth: Vec<u8>,
    /// Counts the registers and slots in use.
    pub locs: u16,
}

impl Places {
    /// Returns where a value lives; [`Loc::NONE`] for one that nobody reads, and for numbers that only move.
    #[inline]
    pub fn of(&self, val: Val) -> Loc {
        self.of[val.index()]
    }
}

/// Finds a place for each value.
///
/// # Errors
///
/// [`BuildErrorKind::OutOfMemory`], or [`BuildErrorKind::TooLarge`] where more values live at once than there are places.
pub fn allocate(function: &Function, machine: &Machine) -> Result<Places, BuildErrorKind> {
    let mut intervals = intervals::intervals(function, machine)?;
    let depth = core::mem::take(&mut intervals.depth);
    scan::scan(function, machine, &intervals, depth)
}
