//! Reading many elements by one system call (`BPF_MAP_LOOKUP_BATCH`, `BPF_MAP_LOOKUP_AND_DELETE_BATCH`).

use crate::Map;
use alloc::vec::Vec;
use skep_abi::Errno;
use skep_mem::{Bytes, Host, NoMemory, OnCpu};

/// Which batches a kind has; the others are `ENOTSUPP`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batches {
    /// None.
    None,
    /// Look-up and update.
    LookupUpdate,
    /// Look-up, update and delete.
    LookupUpdateDelete,
    /// All four.
    All,
}

/// What becomes of the elements that a batch has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchThen {
    /// They stay.
    Keep,
    /// They are deleted.
    Delete,
}

/// Where a batch stands: what user space gets as `out_batch` and gives back as `in_batch`.
#[derive(Debug, Default)]
pub struct Cursor(Vec<u8>);

impl Cursor {
    /// Gives the bytes; none before the first element.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Replaces the bytes.
    pub(crate) fn set(&mut self, bytes: &[u8]) -> Result<(), NoMemory> {
        self.0.clear();
        self.0.try_reserve_exact(bytes.len())?;
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Elements that were read at one moment: a bucket of a hash, one element of another kind.
#[derive(Debug, Default)]
pub struct Group {
    keys: Vec<u8>,
    values: Vec<u8>,
    count: u32,
}

impl Group {
    fn clear(&mut self) {
        self.keys.clear();
        self.values.clear();
        self.count = 0;
    }

    /// Gives the number of elements so far.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Makes room for `count` elements in all.
    pub(crate) fn reserve(&mut self, count: usize, key: usize, value: usize) -> Result<(), NoMemory> {
        self.keys.try_reserve(count.checked_mul(key).ok_or(NoMemory)?.saturating_sub(self.keys.len()))?;
        self.values
            .try_reserve(count.checked_mul(value).ok_or(NoMemory)?.saturating_sub(self.values.len()))?;
        Ok(())
    }

    /// Adds an element of zeros and lends its key and value; there is room for it.
    pub(crate) fn add(&mut self, key: usize, value: usize) -> (Bytes<'_>, Bytes<'_>) {
        let (keys, values) = (self.keys.len(), self.values.len());
        self.keys.resize(keys + key, 0);
        self.values.resize(values + value, 0);
        self.count += 1;
        (Bytes::from_mut(&mut self.keys[keys..]), Bytes::from_mut(&mut self.values[values..]))
    }

    fn take_back(&mut self, key: usize, value: usize) {
        self.keys.truncate(self.keys.len() - key);
        self.values.truncate(self.values.len() - value);
        self.count -= 1;
    }
}

/// Copies a group out: the number of elements before it, keys, values.
pub type CopyGroup<'c> = dyn FnMut(u32, &[u8], &[u8]) -> Result<(), Errno> + 'c;

/// How a batch ended.
#[derive(Debug)]
pub struct BatchEnd {
    /// The number of elements copied: the new `count`.
    pub count: u32,
    /// The new `out_batch`; not to be written where it has no bytes.
    pub cursor: Cursor,
    /// `ENOENT` where the map has no more elements, `ENOSPC` where a bucket holds more than fit, `ENOMEM` where there is
    /// no memory to read on.
    pub outcome: Result<(), Errno>,
}

/// Reads up to `limit` elements from where `in_batch` stands. `copy` gets each group, off the CPU and with no lock held, so it may sleep.
///
/// # Errors
/// What `copy` says, and `ENOMEM` for the cursor: then nothing else is to be written.
pub fn lookup_batch(
    map: &dyn Map,
    host: &dyn Host,
    in_batch: Option<&[u8]>,
    limit: u32,
    then: BatchThen,
    copy: &mut CopyGroup<'_>,
) -> Result<BatchEnd, Errno> {
    let mut cursor = Cursor::default();
    cursor.set(in_batch.unwrap_or_default())?;
    if limit == 0 {
        return Ok(BatchEnd { count: 0, cursor, outcome: Ok(()) });
    }
    let mut group = Group::default();
    let mut count = 0;
    let outcome = loop {
        // With no room left, empty buckets are still passed, so that the end is seen as early as Linux sees it.
        group.clear();
        let step = map.sys_group(&OnCpu::enter(host.cpus()), &mut cursor, limit - count, then, &mut group);
        if group.count > 0 {
            copy(count, &group.keys, &group.values)?;
            count += group.count;
        }
        match step {
            Ok(()) => {}
            // What there is goes out; the bucket that did not fit is the next batch's first.
            Err(Errno::ENOSPC) if count > 0 => break Ok(()),
            // Elements may be deleted already, so their number is told in any case (`__htab_map_lookup_and_delete_batch`,
            // kernel/bpf/hashtab.c).
            Err(errno @ (Errno::ENOENT | Errno::ENOSPC | Errno::ENOMEM)) => break Err(errno),
            Err(errno) => return Err(errno),
        }
    };
    Ok(BatchEnd { count, cursor, outcome })
}

/// Reads one element after the cursor by key (`generic_map_lookup_batch`, kernel/bpf/syscall.c).
pub(crate) fn group_by_key<M: Map + ?Sized>(
    map: &M,
    on: &OnCpu<'_>,
    cursor: &mut Cursor,
    room: u32,
    group: &mut Group,
) -> Result<(), Errno> {
    if room == 0 {
        return Err(Errno::ENOSPC);
    }
    let (key_size, value_size) = (map.def().key_size as usize, map.sys_value_size());
    group.reserve(1, key_size, value_size)?;
    loop {
        let (key, value) = group.add(key_size, value_size);
        let before = match cursor.0.is_empty() {
            true => None,
            false => Some(Bytes::from_mut(&mut cursor.0)),
        };
        let found = map.sys_next_key(on, before, key).map(|()| map.sys_lookup(on, key, value, 0));
        match found {
            Err(end) => {
                group.take_back(key_size, value_size);
                return Err(end);
            }
            Ok(read) => {
                let at = group.keys.len() - key_size;
                cursor.set(&group.keys[at..])?;
                match read {
                    Ok(()) => return Ok(()),
                    // Gone meanwhile, or an empty place: the next one.
                    Err(Errno::ENOENT) => group.take_back(key_size, value_size),
                    Err(errno) => {
                        group.take_back(key_size, value_size);
                        return Err(errno);
                    }
                }
            }
        }
    }
}
