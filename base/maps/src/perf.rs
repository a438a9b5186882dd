//! Perf events of type SW_BPF_OUTPUT, which a PERF_EVENT_ARRAY holds, and the buffer that one writes
//! (kernel/events/core.c, kernel/events/ring_buffer.c).

mod buffer;

use crate::{Mmap, Objects, Region};
use alloc::sync::Arc;
use buffer::{Buffer, Limit};
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use skep_abi::flags::{BPF_F_CURRENT_CPU, BPF_F_INDEX_MASK};
use skep_abi::perf::{PERF_SAMPLE_RAW, attr_bit, attr_bits};
use skep_abi::{Errno, PerfEventAttr};
use skep_mem::{Bytes, Host, OnCpu, RcuSlot, WaitQueue};

/// `PERF_TYPE_SOFTWARE` and `PERF_COUNT_SW_BPF_OUTPUT` (include/uapi/linux/perf_event.h).
const TYPE_SOFTWARE: u32 = 1;
const COUNT_SW_BPF_OUTPUT: u64 = 10;

/// The fields that a sample may have before its raw data, in their order, with the bits of `sample_type`.
const FIELDS: &[(u64, Field)] = &[
    (1 << 16, Field::Id),
    (1 << 0, Field::Ip),
    (1 << 1, Field::Tid),
    (1 << 2, Field::Time),
    (1 << 3, Field::Addr),
    (1 << 6, Field::Id),
    (1 << 9, Field::Id),
    (1 << 7, Field::Cpu),
    (1 << 8, Field::Period),
];

#[derive(Clone, Copy, Debug)]
enum Field {
    Id,
    Ip,
    Tid,
    Time,
    Addr,
    Cpu,
    Period,
}

/// A perf event to which programs write.
pub struct PerfEvent {
    host: Arc<dyn Host>,
    id: u64,
    cpu: u32,
    sample_type: u64,
    limit: Limit,
    is_enabled: AtomicBool,
    buffer: RcuSlot<Buffer>,
    waiters: WaitQueue,
    lost: AtomicU64,
}

impl fmt::Debug for PerfEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PerfEvent(id {}, CPU {})", self.id, self.cpu)
    }
}

impl PerfEvent {
    /// Makes an event of CPU `cpu`, with an `id` of the caller's choice.
    ///
    /// # Errors
    /// `ENOENT` for another type or configuration (none answers to it); `EINVAL` where there is no such CPU; `EOPNOTSUPP` for
    /// fields of samples that are not written here; `ENOMEM`.
    pub fn new(host: &Arc<dyn Host>, attr: &PerfEventAttr, cpu: i32, id: u64) -> Result<PerfEvent, Errno> {
        if attr.type_ != TYPE_SOFTWARE || attr.config != COUNT_SW_BPF_OUTPUT {
            return Err(Errno::ENOENT);
        }
        let cpu = u32::try_from(cpu).map_err(|_| Errno::EINVAL)?;
        if cpu >= host.cpus().possible() {
            return Err(Errno::EINVAL);
        }
        let known = FIELDS.iter().fold(PERF_SAMPLE_RAW, |known, (bit, _)| known | bit);
        let is = |bit| attr.flags & attr_bit(bit) != 0;
        if attr.sample_type & !known != 0 || is(attr_bits::WRITE_BACKWARD) {
            return Err(Errno::EOPNOTSUPP);
        }
        let limit = match is(attr_bits::WATERMARK) {
            true => Limit::Bytes(attr.wakeup_events),
            false => Limit::Events(attr.wakeup_events),
        };
        Ok(PerfEvent {
            host: Arc::clone(host),
            id,
            cpu,
            sample_type: attr.sample_type,
            limit,
            is_enabled: AtomicBool::new(!is(attr_bits::DISABLED)),
            buffer: RcuSlot::new(host)?,
            waiters: WaitQueue::new(),
            lost: AtomicU64::new(0),
        })
    }

    /// Gives the id.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Lets programs write (`PERF_EVENT_IOC_ENABLE`).
    pub fn enable(&self) {
        self.is_enabled.store(true, Ordering::Release);
    }

    /// Keeps programs from writing (`PERF_EVENT_IOC_DISABLE`).
    pub fn disable(&self) {
        self.is_enabled.store(false, Ordering::Release);
    }

    /// Makes the buffer, at the first call, and gives its pages: one of positions, then a power of two of data. A
    /// buffer mapped for reading only is overwritten when it is full.
    ///
    /// # Errors
    /// `EINVAL` where offset or length do not fit; `ENOMEM`.
    pub fn mmap(&self, offset: usize, len: usize, how: Mmap) -> Result<Region, Errno> {
        let page_size = self.host.pages().ok_or(Errno::EINVAL)?.page_size();
        let pages = len.div_ceil(page_size);
        let data = pages.checked_sub(1).filter(|data| data.is_power_of_two()).ok_or(Errno::EINVAL)?;
        if offset != 0 {
            return Err(Errno::EINVAL);
        }
        if self.buffer.is_empty() {
            let buffer = Buffer::new(&self.host, data, how)?;
            self.buffer.fill(buffer)?;
        }
        let buffer = self.buffer.read().ok_or(Errno::ENOMEM)?;
        match buffer.pages().bytes().len() == pages * page_size {
            true => Ok(Region { pages: buffer.pages().clone(), offset: 0, len: pages * page_size }),
            false => Err(Errno::EINVAL),
        }
    }

    /// Writes a sample whose raw data are `parts` one after the other.
    ///
    /// # Errors
    /// `EOPNOTSUPP` on another CPU than the event's, or while it is disabled; `ENOSPC` where there is no buffer or no
    /// room in it, and then the sample counts as lost; `E2BIG` where no record is that long.
    pub fn output(&self, on: &OnCpu<'_>, parts: &[Bytes<'_>]) -> Result<(), Errno> {
        if on.id() != self.cpu || !self.is_enabled.load(Ordering::Acquire) {
            return Err(Errno::EOPNOTSUPP);
        }
        let Some(buffer) = self.buffer.read() else {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return Err(Errno::ENOSPC);
        };
        let mut prefix = [0; FIELDS.len() * 8];
        let prefix = self.prefix(&mut prefix);
        let has_raw = self.sample_type & PERF_SAMPLE_RAW != 0;
        let wakes = buffer.write_sample(on, self.id, prefix, has_raw.then_some(parts), self.limit)?;
        if wakes {
            self.waiters.wake(&*self.host);
        }
        Ok(())
    }

    /// Writes the fields before the raw data.
    fn prefix<'p>(&self, into: &'p mut [u8; FIELDS.len() * 8]) -> &'p [u8] {
        let wanted = FIELDS.iter().filter(|(bit, _)| self.sample_type & bit != 0);
        let mut len = 0;
        for (place, (_, field)) in into.chunks_exact_mut(8).zip(wanted) {
            place.copy_from_slice(&self.field(*field));
            len += 8;
        }
        &into[..len]
    }

    fn field(&self, field: Field) -> [u8; 8] {
        let pair = |first: u32, second: u32| {
            let mut both = [0; 8];
            both[..4].copy_from_slice(&first.to_ne_bytes());
            both[4..].copy_from_slice(&second.to_ne_bytes());
            both
        };
        match field {
            Field::Id => self.id.to_ne_bytes(),
            Field::Tid => self.host.tasks().map_or([0; 8], |tasks| {
                let task = tasks.current();
                pair(task.tgid, task.pid)
            }),
            Field::Time => self.host.clock().map_or(0, |clock| clock.monotonic_ns()).to_ne_bytes(),
            Field::Ip | Field::Addr => [0; 8],
            Field::Cpu => pair(self.cpu, 0),
            Field::Period => 1u64.to_ne_bytes(),
        }
    }

    /// Gives what tasks wait on.
    pub fn waiters(&self) -> &WaitQueue {
        &self.waiters
    }

    /// Tells whether there is something to read. (`perf_poll` says so only once a reader was to be woken; this answers
    /// whoever asks before that, too.)
    pub fn is_readable(&self) -> bool {
        self.buffer.read().is_some_and(|buffer| buffer.is_readable())
    }

    /// Gives the number of samples that found no buffer, or no room in it.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed) + self.buffer.read().map_or(0, |buffer| buffer.lost())
    }
}

/// Writes a sample to the event that `flags` choose (`bpf_perf_event_output`): by index, or that of this CPU.
///
/// # Errors
/// `EINVAL` for unknown flags and for objects that are no such event; `E2BIG` where the index is outside; `ENOENT`
/// where nothing is there; as [`PerfEvent::output`].
pub fn perf_output(array: &Objects, on: &OnCpu<'_>, flags: u64, parts: &[Bytes<'_>]) -> Result<(), Errno> {
    if flags & !BPF_F_INDEX_MASK != 0 {
        return Err(Errno::EINVAL);
    }
    let index = if flags == BPF_F_CURRENT_CPU { on.id() } else { flags as u32 };
    if index >= array.len() {
        return Err(Errno::E2BIG);
    }
    let entry = array.read(index).ok_or(Errno::ENOENT)?;
    let event = entry.object.downcast_ref::<PerfEvent>().ok_or(Errno::EINVAL)?;
    event.output(on, parts)
}
