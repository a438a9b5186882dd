//! Names told apart by number: of equal names the first that was seen stands for all.

use alloc::vec::Vec;

use crate::btf::{Btf, StrOff};
use crate::error::Problem;

/// A hash table of names, by where they are stored.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// Open addressing; the length is a power of two, at most half of which is taken.
    slots: Vec<Option<Slot>>,
    taken: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u32,
    off: StrOff,
}

impl Texts {
    /// The offset of the first name seen that is equal to the one at `off`; 0 is the empty one.
    pub(super) fn canonical(&mut self, btf: &Btf<'_>, off: StrOff) -> Result<StrOff, Problem> {
        let text = btf.name(off).as_bytes();
        if text.is_empty() {
            return Ok(StrOff(0));
        }
        if self.taken * 2 >= self.slots.len() {
            self.grow()?;
        }
        let hash = text
            .iter()
            .fold(0x811c_9dc5_u32, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        let mut at = self.start(hash);
        loop {
            match self.slots[at] {
                Some(slot) if slot.hash == hash && btf.name(slot.off).as_bytes() == text => {
                    return Ok(slot.off);
                }
                Some(_) => at = (at + 1) & (self.slots.len() - 1),
                None => {
                    self.slots[at] = Some(Slot { hash, off });
                    self.taken += 1;
                    return Ok(off);
                }
            }
        }
    }

    fn start(&self, hash: u32) -> usize {
        (hash ^ hash >> 15) as usize & (self.slots.len() - 1)
    }

    fn grow(&mut self) -> Result<(), Problem> {
        let len = (self.slots.len() * 2).max(64);
        let mut slots = Vec::new();
        slots.try_reserve_exact(len).map_err(|_| Problem::NoMemory)?;
        slots.resize(len, None);
        let old = core::mem::replace(&mut self.slots, slots);
        for slot in old.into_iter().flatten() {
            let mut at = self.start(slot.hash);
            while self.slots[at].is_some() {
                at = (at + 1) & (len - 1);
            }
            self.slots[at] = Some(slot);
        }
        Ok(())
    }
}
