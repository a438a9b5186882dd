//! Types by hash, in the order in which they were added.

use alloc::vec::Vec;

use super::OPEN;
use crate::error::Problem;

/// A hash table with one list for each slot; a type is added once.
#[derive(Debug)]
pub(super) struct Buckets {
    /// The first and the last type of each list.
    ends: Vec<(u32, u32)>,
    /// By type: the next one of its list, and its hash.
    links: Vec<(u32, u32)>,
}

impl Buckets {
    /// Makes room for so many types.
    pub(super) fn new(types: u32) -> Result<Buckets, Problem> {
        let filled = |len: usize, item| {
            let mut items = Vec::new();
            items.try_reserve_exact(len).map_err(|_| Problem::NoMemory)?;
            items.resize(len, item);
            Ok(items)
        };
        let types = types as usize;
        let slots = types.next_power_of_two();
        Ok(Buckets { ends: filled(slots, (OPEN, OPEN))?, links: filled(types, (OPEN, 0))? })
    }

    /// The first type whose hash may be that one.
    pub(super) fn first(&self, hash: u32) -> Option<u32> {
        existing(self.ends[self.slot(hash)].0)
    }

    /// The next type whose hash may be that of this one.
    pub(super) fn next(&self, id: u32) -> Option<u32> {
        existing(self.links[id as usize].0)
    }

    /// Whether a type was added with that hash.
    pub(super) fn has(&self, id: u32, hash: u32) -> bool {
        self.links[id as usize].1 == hash
    }

    pub(super) fn add(&mut self, hash: u32, id: u32) {
        let slot = self.slot(hash);
        let (first, last) = self.ends[slot];
        self.links[id as usize] = (OPEN, hash);
        match first {
            OPEN => self.ends[slot] = (id, id),
            _ => {
                self.links[last as usize].0 = id;
                self.ends[slot] = (first, id);
            }
        }
    }

    fn slot(&self, hash: u32) -> usize {
        hash as usize & (self.ends.len() - 1)
    }
}

fn existing(id: u32) -> Option<u32> {
    (id != OPEN).then_some(id)
}
