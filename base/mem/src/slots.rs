//! Which of a fixed number of slots are taken: a bitmap that any CPU at any level may change without a lock.

use crate::NoMemory;
use crate::sync::{AtomicU64, AtomicUsize, Ordering};
use alloc::vec::Vec;
use core::fmt;

/// The number of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

/// The slot was not taken, or does not exist: it was freed twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotTaken;

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the slot is not taken")
    }
}

impl core::error::Error for NotTaken {}

/// Slots to take and to free; no locks, so an NMI may do both.
///
/// One bit for each slot, and above it one for each word that was seen full, so that a search skips 4,096 taken slots
/// at a time. A freed slot is among the first to be taken again. Freeing what is not taken changes nothing and is
/// reported.
pub struct Slots {
    /// A set bit is a taken slot, or none at all (after the last).
    words: Vec<AtomicU64>,
    /// A set bit is a word that was full when somebody looked. A word with a free slot may have it for as long as
    /// whoever set it takes to look again.
    full: Vec<AtomicU64>,
    /// The word to begin the search at.
    hint: AtomicUsize,
    count: u32,
}

const BITS: usize = 64;

impl Slots {
    /// Makes `count` free slots.
    ///
    /// # Errors
    /// [`NoMemory`] where the allocator refuses.
    pub fn new(count: u32) -> Result<Slots, NoMemory> {
        let words = bitmap(count as usize)?;
        let full = bitmap(words.len())?;
        Ok(Slots { words, full, hint: AtomicUsize::new(0), count })
    }

    /// Gives the number of slots, free or not.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Takes a free slot; `None` where there is none.
    pub fn take(&self) -> Option<Slot> {
        let begin = self.hint.load(Ordering::Relaxed) % self.words.len().max(1);
        self.take_where_not_full(begin).or_else(|| (0..self.words.len()).find_map(|word| self.take_in(word)))
    }

    /// Frees a slot; what was done to its memory before is seen by whoever takes it next.
    ///
    /// # Errors
    /// [`NotTaken`] where it was not taken.
    pub fn free(&self, slot: Slot) -> Result<(), NotTaken> {
        if slot.0 >= self.count {
            return Err(NotTaken);
        }
        let word = slot.0 as usize / BITS;
        let bit = 1 << (slot.0 as usize % BITS);
        if self.words[word].fetch_and(!bit, Ordering::AcqRel) & bit == 0 {
            return Err(NotTaken);
        }
        self.full[word / BITS].fetch_and(!(1 << (word % BITS)), Ordering::AcqRel);
        self.hint.store(word, Ordering::Relaxed);
        Ok(())
    }

    /// Tells whether a slot is taken, at some moment during the call.
    pub fn is_taken(&self, slot: Slot) -> bool {
        let word = self.words.get(slot.0 as usize / BITS);
        slot.0 < self.count
            && word.is_some_and(|word| word.load(Ordering::Acquire) & (1 << (slot.0 as usize % BITS)) != 0)
    }

    /// Searches the words not marked full, from word `begin` around to it again.
    fn take_where_not_full(&self, begin: usize) -> Option<Slot> {
        let groups = self.full.len();
        // The group of `begin` comes twice: first from `begin` on, at last up to it.
        for step in 0..=groups {
            let group = (begin / BITS + step) % groups.max(1);
            let from_begin = u64::MAX << (begin % BITS);
            let mut open = !self.full.get(group)?.load(Ordering::Acquire);
            if step == 0 {
                open &= from_begin;
            }
            if step == groups && groups > 0 {
                open &= !from_begin;
            }
            while open != 0 {
                let word = group * BITS + open.trailing_zeros() as usize;
                if let Some(slot) = self.take_in(word) {
                    self.hint.store(word, Ordering::Relaxed);
                    return Some(slot);
                }
                open &= open - 1;
            }
        }
        None
    }

    fn take_in(&self, word: usize) -> Option<Slot> {
        let cell = &self.words[word];
        let mut seen = cell.load(Ordering::Relaxed);
        loop {
            if seen == u64::MAX {
                self.mark_full(word);
                return None;
            }
            let bit = (!seen).trailing_zeros();
            // Acquire: pairs with the release in `free`.
            let before = cell.fetch_or(1 << bit, Ordering::AcqRel);
            if before & (1 << bit) == 0 {
                if before | (1 << bit) == u64::MAX {
                    self.mark_full(word);
                }
                return Some(Slot((word * BITS) as u32 + bit));
            }
            seen = before;
        }
    }

    /// Marks a word full, and takes that back where a slot of it has been freed meanwhile: if the mark came after
    /// the clearing in `free`, it has acquired the cleared bit, and the second look sees it.
    fn mark_full(&self, word: usize) {
        let bit = 1 << (word % BITS);
        let group = &self.full[word / BITS];
        group.fetch_or(bit, Ordering::AcqRel);
        if self.words[word].load(Ordering::Acquire) != u64::MAX {
            group.fetch_and(!bit, Ordering::AcqRel);
        }
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slots({} slots)", self.count)
    }
}

/// Makes a bitmap with the bits from `count` on set.
fn bitmap(count: usize) -> Result<Vec<AtomicU64>, NoMemory> {
    let len = count.div_ceil(BITS);
    let mut words = Vec::new();
    words.try_reserve_exact(len)?;
    for word in 0..len {
        let used = (count - word * BITS).min(BITS);
        let absent = if used == BITS { 0 } else { u64::MAX << used };
        words.push(AtomicU64::new(absent));
    }
    Ok(words)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_slot_is_taken_once() {
        for count in [0, 1, 63, 64, 65, 4096, 4097, 10_000] {
            let slots = Slots::new(count).unwrap();
            let taken: HashSet<u32> = core::iter::from_fn(|| slots.take()).map(|slot| slot.0).collect();
            assert_eq!(taken, (0..count).collect());
            assert_eq!(slots.take(), None);
            for slot in 0..count {
                assert!(slots.is_taken(Slot(slot)));
                assert_eq!(slots.free(Slot(slot)), Ok(()));
                assert_eq!(slots.free(Slot(slot)), Err(NotTaken));
                assert!(!slots.is_taken(Slot(slot)));
            }
            assert_eq!(slots.free(Slot(count)), Err(NotTaken));
            assert!(!slots.is_taken(Slot(count)));
        }
    }

    #[test]
    fn a_freed_slot_is_reused_at_once() {
        let slots = Slots::new(100_000).unwrap();
        (0..100_000).for_each(|_| assert!(slots.take().is_some()));
        for slot in [99_999, 0, 64, 50_001] {
            slots.free(Slot(slot)).unwrap();
            assert_eq!(slots.take(), Some(Slot(slot)));
        }
    }

    #[test]
    fn threads_never_share_a_slot() {
        let slots = Slots::new(130).unwrap();
        let owners: Vec<core::sync::atomic::AtomicU32> = (0..130).map(|_| 0.into()).collect();
        std::thread::scope(|scope| {
            for id in 1..=4u32 {
                let (slots, owners) = (&slots, &owners);
                scope.spawn(move || {
                    for round in 0..3_000 {
                        let held: Vec<Slot> = (0..1 + round % 30).map(|_| slots.take().unwrap()).collect();
                        for slot in &held {
                            assert_eq!(owners[slot.0 as usize].swap(id, Ordering::Relaxed), 0);
                        }
                        for slot in held {
                            assert_eq!(owners[slot.0 as usize].swap(0, Ordering::Relaxed), id);
                            slots.free(slot).unwrap();
                        }
                    }
                });
            }
        });
    }
}
