//! Constants behind the code, each value once.

use super::label::Label;
use super::{AsmError, push};
use alloc::vec::Vec;

/// A slot of the index that leads nowhere.
const EMPTY: u32 = u32::MAX;

/// Holds 64-bit constants in the order of their first use.
#[derive(Default, Debug)]
pub(super) struct Pool {
    values: Vec<(u64, Label)>,
    /// Where in `values` a value is, at the first free slot from its hash on. A power of two, at most half of them in use.
    index: Vec<u32>,
}

impl Pool {
    pub(super) fn values(&self) -> &[(u64, Label)] {
        &self.values
    }

    /// Returns the label of a value that is there.
    pub(super) fn find(&self, value: u64) -> Option<Label> {
        if self.index.is_empty() {
            return None;
        }
        let at = self.index[self.slot(value)];
        self.values.get(at as usize).map(|(_, label)| *label)
    }

    /// Adds a value that is not there.
    pub(super) fn add(&mut self, value: u64, label: Label) -> Result<(), AsmError> {
        if self.index.len() <= 2 * self.values.len() {
            self.rebuild()?;
        }
        let at = u32::try_from(self.values.len()).map_err(|_| AsmError::TooLong)?;
        let slot = self.slot(value);
        push(&mut self.values, (value, label))?;
        self.index[slot] = at;
        Ok(())
    }

    /// Finds the value's slot, or the one that it would take.
    fn slot(&self, value: u64) -> usize {
        let mask = self.index.len() - 1;
        // Multiplication by the golden ratio (Knuth, TAOCP vol. 3, §6.4): the upper bits depend on all bits.
        let mut slot = (value.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & mask;
        while self.index[slot] != EMPTY && self.values[self.index[slot] as usize].0 != value {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn rebuild(&mut self) -> Result<(), AsmError> {
        let size = (4 * self.values.len()).next_power_of_two().max(16);
        self.index.clear();
        self.index.try_reserve_exact(size).map_err(|_| AsmError::OutOfMemory)?;
        self.index.resize(size, EMPTY);
        for at in 0..self.values.len() {
            let slot = self.slot(self.values[at].0);
            self.index[slot] = at as u32;
        }
        Ok(())
    }
}
