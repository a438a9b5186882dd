//! The hashes: HASH, PERCPU_HASH and their LRU forms (kernel/bpf/hashtab.c).
//!
//! Chains of slots hang off buckets. Changes hold the lock of a stripe of buckets; look-ups hold none: a hit is
//! certain because the slot's sequence number did not move while its key was compared, a miss because the stripe's
//! did not move during the walk. Elements are allocated up front, with `BPF_F_NO_PREALLOC` too: programs run where
//! nothing may be allocated, and untouched memory costs little.
//!
//! An update puts a new element in the place of the old one, whose bytes stay as they were until the slot is used
//! again; per-CPU values are written where they are.

mod draft;
mod lru;
mod table;

use crate::map::{Visit, sized};
use crate::values::{Wanted, check_lookup_flags, copy, fill_from, hash_key};
use crate::{BatchThen, Cursor, Group, Map, MapDef};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::ops::ControlFlow;
use core::sync::atomic::{AtomicU32, Ordering};
use draft::Draft;
use lru::Clock;
use skep_abi::flags::{BPF_F_NO_COMMON_LRU, BPF_F_ZERO_SEED};
use skep_abi::{Errno, MapType};
use skep_mem::{Bytes, Host, NoMemory, OnCpu, Pool, Slot, try_box};
use table::Table;

/// How deep interruptions nest: task, deferred, interrupt, NMI.
const LEVELS: u32 = 4;

/// Makes a hash.
pub(crate) fn make(host: &Arc<dyn Host>, def: &MapDef) -> Result<Box<dyn Map>, Errno> {
    Ok(try_box(Hash::new(host, def)?)?)
}

fn is_lru(def: &MapDef) -> bool {
    matches!(def.map_type, MapType::LRU_HASH | MapType::LRU_PERCPU_HASH)
}

/// A hash.
#[derive(Debug)]
pub(crate) struct Hash {
    def: MapDef,
    seed: u64,
    table: Table,
    values: Pool,
    /// The number of elements, and of those that somebody is about to add.
    count: AtomicU32,
    /// Chooses what to evict, where that is done.
    clock: Option<Clock>,
}

/// What a system call or a program brings to an update.
#[derive(Clone, Copy)]
enum Given<'v> {
    /// The value of this CPU; other CPUs' are zero in a new element.
    Own(Bytes<'v>),
    /// The values of all CPUs.
    All(Bytes<'v>),
}

impl Hash {
    pub(crate) fn new(host: &Arc<dyn Host>, def: &MapDef) -> Result<Hash, NoMemory> {
        let possible = host.cpus().possible();
        let mut def = *def;
        if def.has(BPF_F_NO_COMMON_LRU) {
            // htab_map_alloc: each CPU's list has the same number of elements. Ours is common all the same.
            let up = def.max_entries.checked_next_multiple_of(possible);
            def.max_entries = up.unwrap_or(def.max_entries / possible * possible);
        }
        // An update holds a slot before it gives one back: one more for each CPU and level.
        let slots = def.max_entries.checked_add(possible.saturating_mul(LEVELS)).ok_or(NoMemory)?;
        let lanes = if def.is_per_cpu() { possible } else { 1 };
        let seed = match (def.has(BPF_F_ZERO_SEED), host.random()) {
            (false, Some(random)) => u64::from(random.next_u32()) << 32 | u64::from(random.next_u32()),
            _ => 0,
        };
        Ok(Hash {
            def,
            seed,
            table: Table::new(host, def.max_entries, slots, def.key_size as usize)?,
            values: Pool::new(slots, def.stride(), lanes)?,
            count: AtomicU32::new(0),
            clock: is_lru(&def).then(Clock::default),
        })
    }

    fn hash(&self, key: Bytes<'_>) -> u32 {
        hash_key(key, self.seed)
    }

    /// Checks a key's size and hashes it.
    fn hash_of(&self, key: Bytes<'_>) -> Result<u32, Errno> {
        Ok(self.hash(sized(key, self.def.key_size as usize)?))
    }

    fn lane_of(&self, cpu: u32) -> u32 {
        if self.def.is_per_cpu() { cpu } else { 0 }
    }

    fn value(&self, slot: Slot, lane: u32) -> Option<Bytes<'_>> {
        self.values.bytes(slot, lane)?.slice(0, self.def.value_size as usize).ok()
    }

    /// Writes what is given into an element that is `new`, or there already.
    fn write(&self, on: &OnCpu<'_>, slot: Slot, given: Given<'_>, is_new: IsNew) -> Result<(), Errno> {
        let own = self.lane_of(on.id());
        for lane in 0..self.values.lanes() {
            let into = self.values.bytes(slot, lane).ok_or(Errno::EINVAL)?;
            match given {
                Given::Own(value) => {
                    if is_new == IsNew::Yes && self.def.is_per_cpu() {
                        // With the padding, which system calls show.
                        into.fill(0);
                    }
                    if lane == own {
                        copy(into, value)?;
                    }
                }
                Given::All(values) => {
                    let at = lane as usize * into.len();
                    fill_from(into, values.slice(at, into.len()).map_err(|_| Errno::EINVAL)?)?;
                }
            }
        }
        Ok(())
    }

    fn release(&self, slot: Slot) {
        let freed = self.values.free(slot);
        debug_assert!(freed.is_ok(), "a slot is freed twice");
    }

    /// Claims room for one more element, if there is some.
    fn claim(&self) -> bool {
        let more = |count: u32| (count < self.def.max_entries).then(|| count + 1);
        self.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok()
    }

    fn unclaim(&self) {
        self.count.fetch_sub(1, Ordering::AcqRel);
    }

    /// Updates, and tells whether the key is new.
    pub(crate) fn insert_element(
        &self,
        on: &OnCpu<'_>,
        key: Bytes<'_>,
        value: Bytes<'_>,
        flags: u64,
    ) -> Result<Added, Errno> {
        self.insert(on, key, Given::Own(sized(value, self.def.value_size as usize)?), flags)
    }

    fn insert(&self, on: &OnCpu<'_>, key: Bytes<'_>, given: Given<'_>, flags: u64) -> Result<Added, Errno> {
        let wanted = Wanted::from_flags(flags)?;
        let mut draft = Draft::new(self, sized(key, self.def.key_size as usize)?)?;
        // What is not written in place is written before the lock is taken.
        if !self.def.is_per_cpu() {
            draft.write(on, given)?;
        }
        loop {
            let chain = self.table.lock(on, draft.hash)?;
            let old = chain.find(draft.key());
            wanted.check(old.is_some())?;
            match old {
                Some(old) if self.def.is_per_cpu() => {
                    self.mark(old);
                    return self.write(on, old, given, IsNew::No).map(|()| Added::Replacement);
                }
                Some(old) => {
                    let new = draft.finish().ok_or(Errno::EBUSY)?;
                    // First, so that who looks meanwhile finds one or the other.
                    chain.link(new);
                    chain.unlink(old);
                    self.mark(new);
                    self.release(old);
                    return Ok(Added::Replacement);
                }
                None if draft.claim() => {
                    if self.def.is_per_cpu() {
                        draft.write(on, given)?;
                    }
                    chain.link(draft.finish().ok_or(Errno::EBUSY)?);
                    draft.keep_room();
                    return Ok(Added::New);
                }
                None => {
                    let clock = self.clock.as_ref().ok_or(Errno::E2BIG)?;
                    // Evicting takes the locks of other chains.
                    drop(chain);
                    self.release(clock.evict(on, &self.table, &self.values)?);
                    draft.inherit();
                }
            }
        }
    }

    /// Notes that an element was used.
    fn mark(&self, slot: Slot) {
        if self.clock.is_some() {
            self.table.mark(slot);
        }
    }

    /// Unlinks an element after `look` has seen it.
    fn remove(
        &self,
        on: &OnCpu<'_>,
        key: Bytes<'_>,
        look: impl FnOnce(Slot) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let hash = self.hash_of(key)?;
        let chain = self.table.lock(on, hash)?;
        let slot = chain.find(key).ok_or(Errno::ENOENT)?;
        look(slot)?;
        chain.unlink(slot);
        self.release(slot);
        self.unclaim();
        Ok(())
    }

    /// Copies all elements of a bucket, unless there are more than `expected`.
    fn read_bucket(
        &self,
        on: &OnCpu<'_>,
        bucket: u32,
        expected: u32,
        then: BatchThen,
        group: &mut Group,
    ) -> Result<Grown, Errno> {
        let chain = self.table.lock_bucket(on, bucket, 0)?;
        if chain.slots().count() > expected as usize {
            return Ok(Grown::Yes);
        }
        for slot in chain.slots() {
            let (key, value) = group.add(self.def.key_size as usize, self.sys_value_size());
            chain.copy_key(slot, key)?;
            self.copy_all(slot, value)?;
        }
        if then == BatchThen::Delete {
            while let Some(slot) = chain.first() {
                chain.unlink(slot);
                self.release(slot);
                self.unclaim();
            }
        }
        Ok(Grown::No)
    }

    fn copy_all(&self, slot: Slot, into: Bytes<'_>) -> Result<(), Errno> {
        if !self.def.is_per_cpu() {
            return copy(into, self.value(slot, 0).ok_or(Errno::ENOENT)?);
        }
        for lane in 0..self.values.lanes() {
            let from = self.values.bytes(slot, lane).ok_or(Errno::ENOENT)?;
            into.copy_from(lane as usize * from.len(), from).map_err(|_| Errno::EINVAL)?;
        }
        Ok(())
    }
}

/// Whether a bucket holds more than before.
#[derive(PartialEq, Eq)]
enum Grown {
    Yes,
    No,
}

/// What an update has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// An element of a new key.
    New,
    /// A new value of a key that was there.
    Replacement,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum IsNew {
    Yes,
    No,
}

impl Map for Hash {
    fn def(&self) -> &MapDef {
        &self.def
    }

    fn mem_usage(&self) -> u64 {
        (size_of::<Hash>() + self.values.memory().len() + self.table.mem_usage()) as u64
    }

    fn lookup_lane(&self, on: &OnCpu<'_>, key: Bytes<'_>, cpu: u32) -> Option<Bytes<'_>> {
        let (slot, _) = self.table.find(on, self.hash_of(key).ok()?, key)?;
        self.mark(slot);
        self.value(slot, self.lane_of(cpu))
    }

    fn update(&self, on: &OnCpu<'_>, key: Bytes<'_>, value: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        self.insert_element(on, key, value, flags).map(drop)
    }

    fn delete(&self, on: &OnCpu<'_>, key: Bytes<'_>) -> Result<(), Errno> {
        self.remove(on, key, |_| Ok(()))
    }

    fn for_each<'m>(&'m self, on: &OnCpu<'_>, visit: &mut Visit<'_, 'm>) -> Result<u64, Errno> {
        let mut visited = 0;
        let lane = self.lane_of(on.id());
        let _ = self.table.walk(|slot, key| {
            let Some(value) = self.value(slot, lane) else { return ControlFlow::Continue(()) };
            visited += 1;
            visit(key, value)
        });
        Ok(visited)
    }

    fn values(&self) -> Option<Bytes<'_>> {
        Some(self.values.memory())
    }

    fn sys_value_size(&self) -> usize {
        match self.def.is_per_cpu() {
            true => self.def.stride() * self.values.lanes() as usize,
            false => self.def.value_size as usize,
        }
    }

    fn sys_lookup(&self, on: &OnCpu<'_>, key: Bytes<'_>, into: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        check_lookup_flags(flags)?;
        let into = sized(into, self.sys_value_size())?;
        let hash = self.hash_of(key)?;
        loop {
            let (slot, sequence) = self.table.find(on, hash, key).ok_or(Errno::ENOENT)?;
            self.copy_all(slot, into)?;
            // The slot may have become another key's meanwhile.
            if self.table.is_unchanged(slot, sequence) {
                return Ok(());
            }
        }
    }

    fn sys_update(&self, on: &OnCpu<'_>, key: Bytes<'_>, value: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        let value = sized(value, self.sys_value_size())?;
        match self.def.is_per_cpu() {
            true => self.insert(on, key, Given::All(value), flags).map(drop),
            false => self.insert(on, key, Given::Own(value), flags).map(drop),
        }
    }

    fn sys_take(&self, on: &OnCpu<'_>, key: Bytes<'_>, into: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        check_lookup_flags(flags)?;
        let into = sized(into, self.sys_value_size())?;
        self.remove(on, key, |slot| self.copy_all(slot, into))
    }

    fn sys_next_key(&self, on: &OnCpu<'_>, key: Option<Bytes<'_>>, next: Bytes<'_>) -> Result<(), Errno> {
        let next = sized(next, self.def.key_size as usize)?;
        let bucket = match key {
            None => 0,
            Some(key) => {
                let hash = self.hash_of(key)?;
                let chain = self.table.lock(on, hash)?;
                match chain.find(key) {
                    // A key that has gone meanwhile starts over (htab_map_get_next_key).
                    None => 0,
                    Some(slot) => match chain.after(slot) {
                        Some(following) => return chain.copy_key(following, next),
                        None => self.table.bucket(hash) + 1,
                    },
                }
            }
        };
        self.table.first_from(on, bucket, next)
    }

    fn sys_cursor_size(&self) -> usize {
        size_of::<u32>()
    }

    /// A bucket at a time (`__htab_map_lookup_and_delete_batch`); the cursor is the number of the next one.
    fn sys_group(
        &self,
        on: &OnCpu<'_>,
        cursor: &mut Cursor,
        room: u32,
        then: BatchThen,
        group: &mut Group,
    ) -> Result<(), Errno> {
        let mut bucket = match cursor.bytes() {
            [] => 0,
            bytes => u32::from_ne_bytes(bytes.try_into().map_err(|_| Errno::EINVAL)?),
        };
        let (key_size, value_size) = (self.def.key_size as usize, self.sys_value_size());
        let buckets = self.table.buckets();
        while bucket < buckets && group.count() == 0 {
            // Allocated before the lock is taken, and again if the bucket has grown meanwhile.
            let expected = self.table.length(bucket);
            if expected > room {
                return Err(Errno::ENOSPC);
            }
            group.reserve(expected as usize, key_size, value_size)?;
            if expected > 0 && self.read_bucket(on, bucket, expected, then, group)? == Grown::Yes {
                continue;
            }
            bucket += 1;
            cursor.set(&bucket.to_ne_bytes())?;
        }
        if bucket >= buckets { Err(Errno::ENOENT) } else { Ok(()) }
    }
}
