//! What every kind of map answers.

use crate::batch::{self, BatchThen, Cursor, Group};
use crate::{MapDef, Objects, RingBuf};
use core::fmt::Debug;
use core::ops::ControlFlow;
use skep_abi::Errno;
use skep_mem::{Bytes, OnCpu, PageRun, Shared, WaitQueue};
use skep_model::MapAccess;

/// How a part of a map is to be mapped into user space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mmap {
    /// For reading.
    Read,
    /// For reading and writing.
    ReadWrite,
}

/// Pages to map: `len` bytes at `offset` of a run, which lives as long as somebody holds it.
#[derive(Clone, Debug)]
pub struct Region {
    /// The pages.
    pub pages: Shared<PageRun>,
    /// The first byte, a multiple of the page size.
    pub offset: usize,
    /// The number of bytes as a reader sees them, a multiple of the page size.
    pub len: usize,
}

impl Region {
    /// Lends the bytes; fewer than `len` where they appear twice and the host could not mirror them.
    pub fn bytes(&self) -> Bytes<'_> {
        let all = self.pages.bytes();
        let offset = self.offset.min(all.len());
        all.slice(offset, self.len.min(all.len() - offset)).unwrap_or(Bytes::empty())
    }

    /// Gives the host's number for the frame behind page `index` of the region; `None` past its end, or where the host
    /// has no numbers. Pages that appear twice have their frames twice, whether the host can mirror them or not.
    pub fn frame(&self, index: usize) -> Option<u64> {
        let page_size = self.pages.page_size()?;
        let in_region = index < self.len.div_ceil(page_size);
        self.pages.frame((self.offset / page_size).checked_add(index).filter(|_| in_region)?)
    }
}

/// A visitor of elements: key, value of this CPU; tells whether to go on.
pub type Visit<'v, 'm> = dyn FnMut(Bytes<'m>, Bytes<'m>) -> ControlFlow<()> + 'v;

/// A map.
///
/// Keys are `key_size` bytes, else `EINVAL`. Values are `value_size` bytes for programs; for system calls they are
/// [`Map::sys_value_size`] bytes. All methods may be called at any time from any CPU; none calls back with a lock
/// held. From an NMI a method that needs a lock somebody holds fails with `EBUSY`. Defaults answer as Linux does for
/// kinds without the operation: `EOPNOTSUPP` inside the kernel is 524 there (`ENOTSUPP`).
pub trait Map: Send + Sync + Debug {
    /// Gives what the map was made from.
    fn def(&self) -> &MapDef;

    /// Gives the bytes that the map takes, as `memlock` in its fdinfo shows.
    fn mem_usage(&self) -> u64;

    // For programs.

    /// Finds the value of `key`, of this CPU where values are per CPU.
    fn lookup(&self, on: &OnCpu<'_>, key: Bytes<'_>) -> Option<Bytes<'_>> {
        self.lookup_lane(on, key, on.id())
    }

    /// Finds the value that CPU `cpu` has of `key` (`bpf_map_lookup_percpu_elem`); for other kinds, the value.
    fn lookup_lane(&self, on: &OnCpu<'_>, key: Bytes<'_>, cpu: u32) -> Option<Bytes<'_>> {
        let _ = (on, key, cpu);
        None
    }

    /// Stores `value` under `key`, for this CPU where values are per CPU.
    ///
    /// # Errors
    /// `EEXIST` and `ENOENT` as `flags` ask; `E2BIG` where the map is full or the index outside; `EINVAL` for flags.
    fn update(&self, on: &OnCpu<'_>, key: Bytes<'_>, value: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        let _ = (on, key, value, flags);
        Err(Errno::ENOTSUPP)
    }

    /// Deletes `key`.
    ///
    /// # Errors
    /// `ENOENT` where it is not there; `EINVAL` where the kind's elements cannot be deleted.
    fn delete(&self, on: &OnCpu<'_>, key: Bytes<'_>) -> Result<(), Errno> {
        let _ = (on, key);
        Err(Errno::ENOTSUPP)
    }

    /// Adds `value` to a queue, stack or filter.
    ///
    /// # Errors
    /// `E2BIG` where it is full; `EINVAL` for flags.
    fn push(&self, on: &OnCpu<'_>, value: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        let _ = (on, value, flags);
        Err(Errno::EOPNOTSUPP)
    }

    /// Takes the next value of a queue or stack.
    ///
    /// # Errors
    /// `ENOENT` where it is empty; `into` is then zeroed.
    fn pop(&self, on: &OnCpu<'_>, into: Bytes<'_>) -> Result<(), Errno> {
        let _ = (on, into);
        Err(Errno::EOPNOTSUPP)
    }

    /// Copies the next value of a queue or stack, or tells whether a filter may hold the value in `into`.
    ///
    /// # Errors
    /// `ENOENT` where there is none; `into` is then zeroed, but for filters.
    fn peek(&self, on: &OnCpu<'_>, into: Bytes<'_>) -> Result<(), Errno> {
        let _ = (on, into);
        Err(Errno::EOPNOTSUPP)
    }

    /// Calls `visit` for elements until it breaks, with no lock held, and gives the number of calls. Elements that
    /// come or go meanwhile may be visited or not.
    ///
    /// # Errors
    /// `EINVAL` where the kind has no such iteration.
    fn for_each<'m>(&'m self, on: &OnCpu<'_>, visit: &mut Visit<'_, 'm>) -> Result<u64, Errno> {
        let _ = (on, visit);
        Err(Errno::EINVAL)
    }

    /// Gives the value memory that an instruction may address directly (`BPF_PSEUDO_MAP_VALUE`), which starts at the
    /// map's first value.
    ///
    /// # Errors
    /// `EOPNOTSUPP` (Linux's internal 524) where the kind has none; `EINVAL` where `offset` is outside.
    fn direct_value(&self, offset: u32) -> Result<Bytes<'_>, Errno> {
        let _ = offset;
        Err(Errno::ENOTSUPP)
    }

    /// Gives all memory that look-ups hand out parts of; nothing of the map's own state is in it.
    fn values(&self) -> Option<Bytes<'_>> {
        None
    }

    /// Says how compiled programs may find values without asking; nothing where they have to ask.
    fn shortcut(&self) -> Option<MapAccess> {
        None
    }

    /// Says where each CPU's values are; nothing where who wants one has to ask.
    fn lanes(&self) -> Option<Lanes> {
        None
    }

    // For system calls.

    /// Gives the bytes of a value as system calls copy it: for values per CPU, all CPUs' of them, each rounded up to
    /// 8 (`bpf_map_value_size`, kernel/bpf/syscall.c).
    fn sys_value_size(&self) -> usize {
        self.def().value_size as usize
    }

    /// Copies the value of `key`.
    ///
    /// # Errors
    /// `ENOENT` where the key is not there.
    fn sys_lookup(&self, on: &OnCpu<'_>, key: Bytes<'_>, into: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        let _ = (on, key, into, flags);
        Err(Errno::ENOTSUPP)
    }

    /// Stores a value.
    ///
    /// # Errors
    /// As [`Map::update`].
    fn sys_update(&self, on: &OnCpu<'_>, key: Bytes<'_>, value: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        self.update(on, key, value, flags)
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// As [`Map::delete`].
    fn sys_delete(&self, on: &OnCpu<'_>, key: Bytes<'_>) -> Result<(), Errno> {
        self.delete(on, key)
    }

    /// Copies a value and deletes its key.
    ///
    /// # Errors
    /// `ENOENT` where the key is not there; `EOPNOTSUPP` (524) where the kind cannot.
    fn sys_take(&self, on: &OnCpu<'_>, key: Bytes<'_>, into: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        let _ = (on, key, into, flags);
        Err(Errno::ENOTSUPP)
    }

    /// Fills `next` with the key after `key`, or with the first where `key` is none or not there.
    ///
    /// # Errors
    /// `ENOENT` after the last.
    fn sys_next_key(&self, on: &OnCpu<'_>, key: Option<Bytes<'_>>, next: Bytes<'_>) -> Result<(), Errno> {
        let _ = (on, key, next);
        Err(Errno::ENOTSUPP)
    }

    /// Gives the bytes of `in_batch` and `out_batch`.
    fn sys_cursor_size(&self) -> usize {
        self.def().key_size as usize
    }

    /// Reads the elements after `cursor` that belong together into `group`, and moves the cursor past them; with
    /// [`BatchThen::Delete`] they are deleted. It is [`lookup_batch`](crate::lookup_batch) that calls this.
    ///
    /// # Errors
    /// `ENOENT` where these were the last; `ENOSPC` where they are more than `room`; `ENOMEM`.
    fn sys_group(
        &self,
        on: &OnCpu<'_>,
        cursor: &mut Cursor,
        room: u32,
        then: BatchThen,
        group: &mut Group,
    ) -> Result<(), Errno> {
        match then {
            BatchThen::Keep => batch::group_by_key(self, on, cursor, room, group),
            BatchThen::Delete => Err(Errno::ENOTSUPP),
        }
    }

    /// Gives the pages behind `len` bytes at `offset` of what the map shows user space.
    ///
    /// # Errors
    /// `ENOTSUPP` where the map is not mappable; `EPERM` where it is not for writing; `EINVAL` where it is outside.
    fn mmap(&self, offset: usize, len: usize, how: Mmap) -> Result<Region, Errno> {
        let _ = (offset, len, how);
        Err(Errno::ENOTSUPP)
    }

    /// Gives what tasks wait on for the map to become readable; `None` for maps that nobody can wait for.
    fn waiters(&self) -> Option<&WaitQueue> {
        None
    }

    /// Tells whether there is something to read for those who wait.
    fn is_readable(&self) -> bool {
        false
    }

    /// Gives the objects, where the map is an array of them; user space stores them through
    /// [`Objects::store`], not by `sys_update`.
    fn objects(&self) -> Option<&Objects> {
        None
    }

    /// Gives the ring, where the map is one.
    fn ring(&self) -> Option<&RingBuf> {
        None
    }
}

/// Refuses a buffer of another size than the map's.
pub(crate) fn sized(bytes: Bytes<'_>, size: usize) -> Result<Bytes<'_>, Errno> {
    match bytes.len() == size {
        true => Ok(bytes),
        false => Err(Errno::EINVAL),
    }
}

/// Where an array has the values of each CPU, for those who look often.
#[derive(Clone, Copy, Debug)]
pub struct Lanes {
    /// The address of the first value, exposed.
    pub(crate) values: u64,
    /// The bytes from one CPU's values to the next one's.
    pub(crate) lane: u64,
    pub(crate) lanes: u32,
    /// The bytes from one value to the next.
    pub(crate) stride: u64,
    pub(crate) entries: u32,
}

impl Lanes {
    /// Gives the address of a CPU's value, or zero.
    #[inline]
    pub fn find(&self, cpu: u32, index: u32) -> u64 {
        match cpu < self.lanes && index < self.entries {
            // All of it lies in the map's memory.
            true => self.values + u64::from(cpu) * self.lane + u64::from(index) * self.stride,
            false => 0,
        }
    }
}
