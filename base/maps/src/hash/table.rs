//! Buckets, chains and keys.

use crate::values::{copy, same_key};
use alloc::sync::Arc;
use core::ops::ControlFlow;
use core::sync::atomic::{AtomicU32, Ordering, fence};
use skep_abi::Errno;
use skep_mem::{Block, Bytes, Host, Level, LockSet, NoMemory, OnCpu, SetGuard, Slot};

/// The chains and keys of a hash; links are slot numbers plus one, zero is the end.
#[derive(Debug)]
pub(super) struct Table {
    /// The first link of each bucket.
    heads: Block,
    /// For each slot a head of [`HEAD`] words, then its key.
    records: Block,
    /// For each stripe a number that moves with each unlinking.
    unlinked: Block,
    locks: LockSet,
    key_size: usize,
    record_words: usize,
    buckets: u32,
}

/// The words of a record's head.
const NEXT: usize = 0;
/// Odd while the key is being written.
const SEQUENCE: usize = 1;
const HASH: usize = 2;
const USED: usize = 3;
const HEAD: usize = 4;

/// The most stripes: enough that CPUs seldom meet, few enough that an empty map is small.
const MAX_STRIPES: u32 = 4096;
/// After so many walks that others disturbed a look-up takes the lock.
const WALKS: u32 = 16;

impl Table {
    pub(super) fn new(
        host: &Arc<dyn Host>,
        max_entries: u32,
        slots: u32,
        key_size: usize,
    ) -> Result<Table, NoMemory> {
        let buckets = max_entries.checked_next_power_of_two().ok_or(NoMemory)?;
        let stripes = buckets.min(MAX_STRIPES) as usize;
        let record_words = HEAD + key_size.next_multiple_of(8) / size_of::<u32>();
        let words = |count: usize| count.checked_mul(size_of::<u32>()).ok_or(NoMemory);
        let records = words(record_words.checked_mul(slots as usize).ok_or(NoMemory)?)?;
        Ok(Table {
            heads: Block::zeroed(words(buckets as usize)?)?,
            records: Block::zeroed(records)?,
            unlinked: Block::zeroed(words(stripes)?)?,
            locks: LockSet::new(host, stripes)?,
            key_size,
            record_words,
            buckets,
        })
    }

    pub(super) fn mem_usage(&self) -> usize {
        [&self.heads, &self.records, &self.unlinked].iter().map(|block| block.bytes().len()).sum()
    }

    /// Gives the bucket of a hash.
    pub(super) fn bucket(&self, hash: u32) -> u32 {
        hash & (self.buckets - 1)
    }

    /// Gives the number of buckets.
    pub(super) fn buckets(&self) -> u32 {
        self.buckets
    }

    /// Counts the slots of a chain, about: nothing keeps it from changing.
    pub(super) fn length(&self, bucket: u32) -> u32 {
        let next = |slot: &Slot| slot_of(self.word(*slot, NEXT).load(Ordering::Acquire));
        let first = slot_of(self.head(bucket).load(Ordering::Acquire));
        core::iter::successors(first, next).take(self.slots() as usize).count() as u32
    }

    /// Gives the number of slots.
    pub(super) fn slots(&self) -> u32 {
        (self.records.words().len() / self.record_words) as u32
    }

    fn word(&self, slot: Slot, word: usize) -> &AtomicU32 {
        &self.records.words()[slot.0 as usize * self.record_words + word]
    }

    fn head(&self, bucket: u32) -> &AtomicU32 {
        &self.heads.words()[bucket as usize]
    }

    fn unlinked(&self, bucket: u32) -> &AtomicU32 {
        let stripes = self.unlinked.words();
        &stripes[bucket as usize % stripes.len()]
    }

    /// Gives the key of a slot; whoever looks must expect it to change.
    pub(super) fn key(&self, slot: Slot) -> Bytes<'_> {
        let at = (slot.0 as usize * self.record_words + HEAD) * size_of::<u32>();
        self.records.bytes().slice(at, self.key_size).unwrap_or(Bytes::empty())
    }

    /// Begins to write a slot that is the caller's and not linked, with its key.
    pub(super) fn begin(&self, slot: Slot, key: Bytes<'_>) {
        let sequence = self.word(slot, SEQUENCE);
        sequence.store(sequence.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        // A reader that sees any of what follows sees the odd number before it, and the even one only after it.
        fence(Ordering::Release);
        self.word(slot, USED).store(0, Ordering::Relaxed);
        // Both are of the map's key size.
        let _ = copy(self.key(slot), key);
    }

    /// Writes the hash of the key of a slot that is being written.
    pub(super) fn set_hash(&self, slot: Slot, hash: u32) {
        self.word(slot, HASH).store(hash, Ordering::Relaxed);
    }

    /// Ends the writing of a slot.
    pub(super) fn end(&self, slot: Slot) {
        let sequence = self.word(slot, SEQUENCE);
        sequence.store(sequence.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
    }

    /// Compares a slot's key and gives the number under which it is that key; `None` where it is changing.
    fn is_key(&self, slot: Slot, hash: u32, key: Bytes<'_>) -> Option<Option<u32>> {
        let before = self.word(slot, SEQUENCE).load(Ordering::Acquire);
        if self.word(slot, HASH).load(Ordering::Relaxed) != hash || !same_key(self.key(slot), key) {
            return Some(None);
        }
        (before % 2 == 0 && self.is_unchanged(slot, before)).then_some(Some(before))
    }

    /// Tells whether what was read of a slot since its number was `sequence` belongs together.
    pub(super) fn is_unchanged(&self, slot: Slot, sequence: u32) -> bool {
        fence(Ordering::Acquire);
        self.word(slot, SEQUENCE).load(Ordering::Relaxed) == sequence
    }

    /// Notes that a slot was used since the clock's hand last passed.
    pub(super) fn mark(&self, slot: Slot) {
        let used = self.word(slot, USED);
        if used.load(Ordering::Relaxed) == 0 {
            used.store(1, Ordering::Relaxed);
        }
    }

    /// Takes the note back, and tells whether it was there.
    pub(super) fn unmark(&self, slot: Slot) -> bool {
        self.word(slot, USED).swap(0, Ordering::Relaxed) != 0
    }

    /// Gives the hash in a slot, which may be changing.
    pub(super) fn hash_in(&self, slot: Slot) -> u32 {
        self.word(slot, HASH).load(Ordering::Relaxed)
    }

    /// Finds a key without a lock, as long as others do not disturb, and the number that its slot has then.
    pub(super) fn find(&self, on: &OnCpu<'_>, hash: u32, key: Bytes<'_>) -> Option<(Slot, u32)> {
        let mut walks = 0;
        loop {
            match self.try_find(hash, key) {
                Ok(found) => return found,
                Err(Disturbed) => walks += 1,
            }
            if walks >= WALKS {
                if let Ok(chain) = self.lock(on, hash) {
                    let slot = chain.find(key)?;
                    return Some((slot, self.word(slot, SEQUENCE).load(Ordering::Acquire)));
                }
            }
        }
    }

    fn try_find(&self, hash: u32, key: Bytes<'_>) -> Result<Option<(Slot, u32)>, Disturbed> {
        let bucket = self.bucket(hash);
        let unlinked = self.unlinked(bucket);
        let before = unlinked.load(Ordering::Acquire);
        let mut link = self.head(bucket).load(Ordering::Acquire);
        while let Some(slot) = slot_of(link) {
            if let Some(sequence) = self.is_key(slot, hash, key).ok_or(Disturbed)? {
                return Ok(Some((slot, sequence)));
            }
            link = self.word(slot, NEXT).load(Ordering::Acquire);
        }
        // Who unlinks raises the number first and stores the links, or gives the slot away, with release: a walk
        // that saw any of that sees the number raised. A replacement is linked before the number is raised for what
        // it replaces, so a walk that begins later finds it.
        fence(Ordering::Acquire);
        match unlinked.load(Ordering::Relaxed) == before {
            true => Ok(None),
            false => Err(Disturbed),
        }
    }

    /// Locks the chain of a hash.
    ///
    /// # Errors
    /// `EBUSY` where an NMI finds it locked.
    pub(super) fn lock(&self, on: &OnCpu<'_>, hash: u32) -> Result<Chain<'_>, Errno> {
        self.lock_bucket(on, self.bucket(hash), hash)
    }

    /// Locks the chain of a bucket, to find slots of `hash` in it.
    pub(super) fn lock_bucket(&self, on: &OnCpu<'_>, bucket: u32, hash: u32) -> Result<Chain<'_>, Errno> {
        let guard = match on.level() {
            Level::Nmi => self.locks.try_lock(bucket as usize).ok_or(Errno::EBUSY)?,
            _ => self.locks.lock(bucket as usize),
        };
        Ok(Chain { table: self, bucket, hash, _guard: guard })
    }

    /// Copies the first key in the buckets from `bucket` on.
    pub(super) fn first_from(&self, on: &OnCpu<'_>, bucket: u32, into: Bytes<'_>) -> Result<(), Errno> {
        for bucket in bucket..self.buckets {
            if self.head(bucket).load(Ordering::Relaxed) == 0 {
                continue;
            }
            let chain = self.lock_bucket(on, bucket, 0)?;
            if let Some(slot) = chain.first() {
                return chain.copy_key(slot, into);
            }
        }
        Err(Errno::ENOENT)
    }

    /// Visits the slots of all chains without a lock. A slot that leaves while it is visited may lead into another
    /// chain; no chain is walked for longer than there are slots.
    pub(super) fn walk<'t>(
        &'t self,
        mut visit: impl FnMut(Slot, Bytes<'t>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        for bucket in 0..self.buckets {
            let mut link = self.head(bucket).load(Ordering::Acquire);
            let mut left = self.slots();
            while let (Some(slot), true) = (slot_of(link), left > 0) {
                left -= 1;
                // Read before the visit, which may delete this element (bpf_for_each_hash_elem does so too).
                let here = self.bucket(self.hash_in(slot)) == bucket;
                link = self.word(slot, NEXT).load(Ordering::Acquire);
                if here {
                    visit(slot, self.key(slot))?;
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// The walk may have missed something.
#[derive(Debug)]
struct Disturbed;

fn slot_of(link: u32) -> Option<Slot> {
    link.checked_sub(1).map(Slot)
}

fn link_to(slot: Slot) -> u32 {
    slot.0 + 1
}

/// A chain under its lock.
#[derive(Debug)]
pub(super) struct Chain<'t> {
    table: &'t Table,
    bucket: u32,
    hash: u32,
    _guard: SetGuard<'t>,
}

impl Chain<'_> {
    /// Finds a key of this chain's hash.
    pub(super) fn find(&self, key: Bytes<'_>) -> Option<Slot> {
        let is_it =
            |slot: &Slot| self.table.hash_in(*slot) == self.hash && same_key(self.table.key(*slot), key);
        self.slots().find(is_it)
    }

    /// Goes through the slots.
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> {
        core::iter::successors(self.first(), |slot| self.after(*slot))
    }

    /// Gives the first slot.
    pub(super) fn first(&self) -> Option<Slot> {
        slot_of(self.table.head(self.bucket).load(Ordering::Relaxed))
    }

    /// Gives the slot after one.
    pub(super) fn after(&self, slot: Slot) -> Option<Slot> {
        slot_of(self.table.word(slot, NEXT).load(Ordering::Relaxed))
    }

    /// Tells whether a slot is in this chain.
    pub(super) fn holds(&self, slot: Slot) -> bool {
        self.slots().any(|other| other == slot)
    }

    /// Copies a slot's key out.
    pub(super) fn copy_key(&self, slot: Slot, into: Bytes<'_>) -> Result<(), Errno> {
        copy(into, self.table.key(slot))
    }

    /// Puts a slot first.
    pub(super) fn link(&self, slot: Slot) {
        let head = self.table.head(self.bucket);
        self.table.word(slot, NEXT).store(head.load(Ordering::Relaxed), Ordering::Release);
        head.store(link_to(slot), Ordering::Release);
    }

    /// Takes a slot out; its own link stays, for those who stand on it.
    pub(super) fn unlink(&self, slot: Slot) {
        let before = self.slots().take_while(|other| *other != slot).last();
        let place = match before {
            None => self.table.head(self.bucket),
            Some(before) => self.table.word(before, NEXT),
        };
        self.table.unlinked(self.bucket).fetch_add(1, Ordering::AcqRel);
        place.store(self.table.word(slot, NEXT).load(Ordering::Relaxed), Ordering::Release);
    }
}
