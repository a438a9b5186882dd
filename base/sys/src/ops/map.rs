//! Map commands. A buffer's length is checked against the map's shape, which only the kernel's own answers make, so
//! a short buffer cannot become a kernel write past its end.

use super::{CallError, exactly};
use crate::{AreaMemory, Attr, AttrError, Call, Fd, Handle, Kernel};
use alloc::vec::Vec;
use core::mem::offset_of;
use skep_abi::{Cmd, Errno, MapBatch, MapCreate, MapElem, MapFreeze, MapNextKey, MapType};

/// Sizes of a map's keys and values as `bpf(2)` copies them, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapShape {
    map_type: MapType,
    key: usize,
    value: usize,
    stride: usize,
    cpus: u32,
}

/// The kinds whose system-call values are one per CPU (`kernel/bpf/syscall.c`, `bpf_map_value_size`).
const PER_CPU: &[MapType] =
    &[MapType::PERCPU_HASH, MapType::PERCPU_ARRAY, MapType::LRU_PERCPU_HASH, MapType::PERCPU_CGROUP_STORAGE];

impl MapShape {
    /// Works out the shape; per-CPU values are rounded up to 8 and repeated for each possible CPU
    /// (`kernel/bpf/syscall.c`, `bpf_map_value_size`), which `kernel` is asked for in that case only.
    fn new(
        kernel: &Kernel,
        map_type: MapType,
        key_size: u32,
        value_size: u32,
    ) -> Result<MapShape, CallError> {
        let value = value_size as usize;
        let (stride, cpus) = match PER_CPU.contains(&map_type) {
            true => {
                let cpus = kernel.possible_cpus()?;
                (value.next_multiple_of(8).saturating_mul(cpus as usize), cpus)
            }
            false => (value, 1),
        };
        Ok(MapShape { map_type, key: key_size as usize, value, stride, cpus })
    }

    /// Gives the kind of map.
    pub fn map_type(&self) -> MapType {
        self.map_type
    }

    /// Gives the size of a key; 0 for queues and stacks.
    pub fn key_size(&self) -> usize {
        self.key
    }

    /// Gives the size of one value, of one CPU where values are per CPU.
    pub fn value_size(&self) -> usize {
        self.value
    }

    /// Gives the size of what a look-up fills: the value, or all CPUs' values, each rounded up to 8.
    pub fn value_stride(&self) -> usize {
        self.stride
    }

    /// Gives the number of values in what a look-up fills.
    pub fn cpus(&self) -> u32 {
        self.cpus
    }
}

/// An open map and its shape.
#[derive(Debug)]
pub struct MapFd {
    handle: Handle,
    shape: MapShape,
}

impl MapFd {
    /// Gives the shape.
    pub fn shape(&self) -> MapShape {
        self.shape
    }

    /// Gives the handle.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Gives the descriptor.
    pub fn fd(&self) -> Fd {
        self.handle.fd()
    }

    fn elem(&self, flags: u64) -> MapElem {
        MapElem { map_fd: self.fd().raw(), flags, ..MapElem::default() }
    }

    fn check_key(&self, key: &[u8]) -> Result<(), AttrError> {
        exactly("key", self.shape.key, key)
    }

    fn check_value(&self, value: &[u8]) -> Result<(), AttrError> {
        exactly("value", self.shape.stride, value)
    }

    /// Looks `key` up and fills `value` (`BPF_MAP_LOOKUP_ELEM`).
    ///
    /// # Errors
    /// `ENOENT` where the key is not there.
    pub fn lookup(&self, key: &[u8], value: &mut [u8], flags: u64) -> Result<(), CallError> {
        self.take(Cmd::MAP_LOOKUP_ELEM, key, value, flags)
    }

    /// Looks `key` up, fills `value` and deletes the element (`BPF_MAP_LOOKUP_AND_DELETE_ELEM`); a queue's or
    /// stack's key is empty.
    ///
    /// # Errors
    /// `ENOENT` where there is none.
    pub fn lookup_and_delete(&self, key: &[u8], value: &mut [u8], flags: u64) -> Result<(), CallError> {
        self.take(Cmd::MAP_LOOKUP_AND_DELETE_ELEM, key, value, flags)
    }

    fn take(&self, cmd: Cmd, key: &[u8], value: &mut [u8], flags: u64) -> Result<(), CallError> {
        self.check_key(key)?;
        self.check_value(value)?;
        // A Bloom filter is asked by its value (`map_lookup_elem`); the other kinds only write it.
        let value = match self.shape.map_type {
            MapType::BLOOM_FILTER => AreaMemory::InOut(value),
            _ => AreaMemory::Out(value),
        };
        let mut elem = self.elem(flags);
        let attr = Attr::new(cmd, &mut elem)
            .lend(offset_of!(MapElem, key), AreaMemory::In(key))
            .lend(offset_of!(MapElem, value), value);
        self.handle.kernel().call(Call::Bpf(attr))?;
        Ok(())
    }

    /// Stores `value` under `key` (`BPF_MAP_UPDATE_ELEM`); a queue's or stack's key is empty.
    ///
    /// # Errors
    /// `EEXIST` and `ENOENT` as `flags` ask, `E2BIG` where the map is full or the key outside.
    pub fn update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), CallError> {
        self.check_key(key)?;
        self.check_value(value)?;
        let mut elem = self.elem(flags);
        let attr = Attr::new(Cmd::MAP_UPDATE_ELEM, &mut elem)
            .lend(offset_of!(MapElem, key), AreaMemory::In(key))
            .lend(offset_of!(MapElem, value), AreaMemory::In(value));
        self.handle.kernel().call(Call::Bpf(attr))?;
        Ok(())
    }

    /// Deletes `key` (`BPF_MAP_DELETE_ELEM`).
    ///
    /// # Errors
    /// `ENOENT` where the key is not there.
    pub fn delete(&self, key: &[u8]) -> Result<(), CallError> {
        self.check_key(key)?;
        let mut elem = self.elem(0);
        let attr =
            Attr::new(Cmd::MAP_DELETE_ELEM, &mut elem).lend(offset_of!(MapElem, key), AreaMemory::In(key));
        self.handle.kernel().call(Call::Bpf(attr))?;
        Ok(())
    }

    /// Fills `next` with the key after `key`, or with the first one (`BPF_MAP_GET_NEXT_KEY`).
    ///
    /// # Errors
    /// `ENOENT` after the last.
    pub fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), CallError> {
        if let Some(key) = key {
            self.check_key(key)?;
        }
        self.check_key(next)?;
        let mut keys = MapNextKey { map_fd: self.fd().raw(), ..MapNextKey::default() };
        let attr = Attr::new(Cmd::MAP_GET_NEXT_KEY, &mut keys)
            .lend(offset_of!(MapNextKey, key), AreaMemory::In(key.unwrap_or_default()))
            .lend(offset_of!(MapNextKey, next_key), AreaMemory::Out(next));
        self.handle.kernel().call(Call::Bpf(attr))?;
        Ok(())
    }

    /// Refuses further writes through system calls (`BPF_MAP_FREEZE`).
    ///
    /// # Errors
    /// `EPERM` where it is frozen already; `EBUSY` where it is mapped for writing.
    pub fn freeze(&self) -> Result<(), CallError> {
        let mut freeze = MapFreeze { map_fd: self.fd().raw() };
        self.handle.kernel().call(Call::Bpf(Attr::new(Cmd::MAP_FREEZE, &mut freeze)))?;
        Ok(())
    }

    /// Reads up to `count` elements from where `step` stands, and deletes them if asked
    /// (`BPF_MAP_LOOKUP_BATCH`, `BPF_MAP_LOOKUP_AND_DELETE_BATCH`). Gives how many were read; `step` tells whether
    /// that was all.
    ///
    /// # Errors
    /// `ENOSPC` where a hash bucket holds more than `count`; `EOPNOTSUPP` where the kind has no batches; with how many were
    /// read, and maybe deleted, before.
    pub fn lookup_batch(
        &self,
        step: &mut BatchStep,
        keys: &mut [u8],
        values: &mut [u8],
        count: u32,
        then: BatchThen,
    ) -> Result<u32, (CallError, u32)> {
        let refused = |error: AttrError| (error.into(), 0);
        exactly("keys", self.shape.key.saturating_mul(count as usize), keys).map_err(refused)?;
        exactly("values", self.shape.stride.saturating_mul(count as usize), values).map_err(refused)?;
        // Hashes use a 32-bit bucket number, other kinds a key (kernel/bpf/hashtab.c, generic_map_lookup_batch).
        let mut after = Vec::new();
        let cursor = self.shape.key.max(4);
        after.try_reserve_exact(cursor).map_err(|_| refused(AttrError::NoMemory))?;
        after.resize(cursor, 0);
        let cmd = match then {
            BatchThen::Keep => Cmd::MAP_LOOKUP_BATCH,
            BatchThen::Delete => Cmd::MAP_LOOKUP_AND_DELETE_BATCH,
        };
        let mut batch = MapBatch { map_fd: self.fd().raw(), count, ..MapBatch::default() };
        let attr = Attr::new(cmd, &mut batch)
            .lend(offset_of!(MapBatch, in_batch), AreaMemory::In(&step.at))
            .lend(offset_of!(MapBatch, out_batch), AreaMemory::Out(&mut after))
            .lend(offset_of!(MapBatch, keys), AreaMemory::Out(keys))
            .lend(offset_of!(MapBatch, values), AreaMemory::Out(values));
        match self.handle.kernel().call(Call::Bpf(attr)) {
            Ok(_) => {
                step.at = after;
                Ok(batch.count.min(count))
            }
            Err(Errno::ENOENT) => {
                step.done = true;
                Ok(batch.count.min(count))
            }
            Err(errno) => Err((errno.into(), done_before(batch.count, count))),
        }
    }

    /// Stores `count` elements (`BPF_MAP_UPDATE_BATCH`) and gives how many were stored.
    ///
    /// # Errors
    /// As [`MapFd::update`], of the first that failed, with how many went before it.
    pub fn update_batch(
        &self,
        keys: &[u8],
        values: &[u8],
        count: u32,
        flags: u64,
    ) -> Result<u32, (CallError, u32)> {
        exactly("keys", self.shape.key.saturating_mul(count as usize), keys).map_err(|e| (e.into(), 0))?;
        exactly("values", self.shape.stride.saturating_mul(count as usize), values)
            .map_err(|e| (e.into(), 0))?;
        let mut batch = MapBatch { map_fd: self.fd().raw(), count, elem_flags: flags, ..MapBatch::default() };
        let attr = Attr::new(Cmd::MAP_UPDATE_BATCH, &mut batch)
            .lend(offset_of!(MapBatch, keys), AreaMemory::In(keys))
            .lend(offset_of!(MapBatch, values), AreaMemory::In(values));
        let outcome = self.handle.kernel().call(Call::Bpf(attr));
        outcome.map(|_| batch.count).map_err(|errno| (errno.into(), done_before(batch.count, count)))
    }

    /// Deletes `count` elements (`BPF_MAP_DELETE_BATCH`) and gives how many were deleted.
    ///
    /// # Errors
    /// As [`MapFd::delete`], of the first that failed, with how many went before it.
    pub fn delete_batch(&self, keys: &[u8], count: u32) -> Result<u32, (CallError, u32)> {
        exactly("keys", self.shape.key.saturating_mul(count as usize), keys).map_err(|e| (e.into(), 0))?;
        let mut batch = MapBatch { map_fd: self.fd().raw(), count, ..MapBatch::default() };
        let attr = Attr::new(Cmd::MAP_DELETE_BATCH, &mut batch)
            .lend(offset_of!(MapBatch, keys), AreaMemory::In(keys));
        let outcome = self.handle.kernel().call(Call::Bpf(attr));
        outcome.map(|_| batch.count).map_err(|errno| (errno.into(), done_before(batch.count, count)))
    }
}

/// Gives how many elements went before the one that failed. A kernel that refuses the batch as a whole leaves the
/// number as it was asked (kernel/bpf/syscall.c, `bpf_map_do_batch`), and then none did.
fn done_before(told: u32, asked: u32) -> u32 {
    if told >= asked { 0 } else { told }
}

/// What becomes of the elements that a batch has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchThen {
    /// They stay.
    Keep,
    /// They are deleted.
    Delete,
}

/// Where a sequence of batches stands; starts with `BatchStep::default()`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchStep {
    at: Vec<u8>,
    done: bool,
}

impl BatchStep {
    /// Tells whether the last batch has reached the end.
    pub fn is_done(&self) -> bool {
        self.done
    }
}

impl Kernel {
    /// Creates a map (`BPF_MAP_CREATE`); pointer fields of `create` are taken as null.
    ///
    /// # Errors
    /// `EINVAL` where sizes or flags do not fit the kind, `E2BIG` and `ENOMEM` where it would be too large, `EPERM`.
    pub fn map_create(&self, create: &MapCreate) -> Result<MapFd, CallError> {
        let map_type = MapType(create.map_type);
        let shape = MapShape::new(self, map_type, create.key_size, create.value_size)?;
        let mut create = MapCreate { excl_prog_hash: 0, excl_prog_hash_size: 0, ..*create };
        let handle = self.open(Call::Bpf(Attr::new(Cmd::MAP_CREATE, &mut create)))?;
        Ok(MapFd { handle, shape })
    }

    /// Takes a handle for a map, asking the kernel for its shape.
    ///
    /// # Errors
    /// `EINVAL` where it is no map.
    pub fn map_from_handle(&self, handle: Handle) -> Result<MapFd, CallError> {
        let info = super::info::map_info(&handle)?;
        let shape = MapShape::new(self, MapType(info.type_), info.key_size, info.value_size)?;
        Ok(MapFd { handle, shape })
    }
}
