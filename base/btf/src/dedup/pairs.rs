//! Pairs of types that are taken for equal until the opposite is found.

use alloc::vec::Vec;

use crate::error::Problem;

/// A set of pairs in the order in which they came, which also is the list of those to be looked at.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    list: Vec<(u32, u32)>,
    /// Open addressing: positions in the list. A power of two, at most half of which is taken.
    slots: Vec<Slot>,
    /// What the slots of this set say; others are free, so that forgetting all takes no time.
    round: u64,
    /// How many of the list have been looked at.
    seen: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    round: u64,
    index: u32,
}

impl Pairs {
    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.round += 1;
        self.seen = 0;
    }

    /// Adds a pair, if it is not there.
    pub(super) fn add(&mut self, pair: (u32, u32)) -> Result<(), Problem> {
        if (self.list.len() + 1) * 2 > self.slots.len() {
            self.grow()?;
        }
        let slot = self.slot_of(pair);
        if self.slots[slot].round != self.round {
            self.list.try_reserve(1).map_err(|_| Problem::NoMemory)?;
            self.slots[slot] = Slot { round: self.round, index: self.list.len() as u32 };
            self.list.push(pair);
        }
        Ok(())
    }

    /// The next pair to be looked at.
    pub(super) fn next(&mut self) -> Option<(u32, u32)> {
        let pair = self.list.get(self.seen).copied();
        self.seen += usize::from(pair.is_some());
        pair
    }

    /// All pairs.
    pub(super) fn all(&self) -> &[(u32, u32)] {
        &self.list
    }

    /// The slot that has a pair, or would have it.
    fn slot_of(&self, pair: (u32, u32)) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = start(pair) & mask;
        let is_other = |slot: Slot| slot.round == self.round && self.list[slot.index as usize] != pair;
        while is_other(self.slots[at]) {
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) -> Result<(), Problem> {
        let len = (self.slots.len() * 2).max(256);
        let mut slots = Vec::new();
        slots.try_reserve_exact(len).map_err(|_| Problem::NoMemory)?;
        slots.resize(len, Slot::default());
        self.slots = slots;
        // A new slot has round 0, in which no set is.
        for index in 0..self.list.len() {
            let slot = self.slot_of(self.list[index]);
            self.slots[slot] = Slot { round: self.round, index: index as u32 };
        }
        Ok(())
    }
}

fn start((a, b): (u32, u32)) -> usize {
    let hash = (u64::from(a) << 32 | u64::from(b)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (hash >> 32) as usize
}
