//! RINGBUF: records from any CPU to one reader in user space (kernel/bpf/ringbuf.c); the bookkeeping is
//! [`skep_mem::Ring`]'s.

use crate::{Map, MapDef, Mmap, Region};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::Ordering;
use skep_abi::Errno;
use skep_abi::ring::{CONSUMER_POS, FORCE_WAKEUP, NO_WAKEUP, POS_PAGES, PRODUCER_POS};
use skep_mem::{
    Bytes, Commit, Guard, Host, Level, Locked, NoMemory, OnCpu, PageRun, Producer, Reader, RecordToken, Ring,
    RingError, RingMemory, Shared, WaitQueue, Wrap, try_box,
};

/// Makes a ring. A host without pages has no such kind; one with larger pages wants a multiple of those.
pub(crate) fn make(host: &Arc<dyn Host>, def: &MapDef) -> Result<Box<dyn Map>, Errno> {
    let page_size = host.pages().ok_or(Errno::EINVAL)?.page_size();
    if def.max_entries as usize % page_size != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(try_box(RingBuf::new(host, def)?)?)
}

/// The most bytes of a record that are copied while the lock of those who write is held; longer ones are reserved, and copied without it.
const COPIED_UNDER_LOCK: usize = 256;

/// What `bpf_ringbuf_query` may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingQuery {
    /// The bytes that the reader has not read.
    Available,
    /// The bytes of data.
    Size,
    /// The reader's position, as the reader says.
    Consumer,
    /// The producer's position.
    Producer,
}

/// A ring buffer.
pub struct RingBuf {
    host: Arc<dyn Host>,
    def: MapDef,
    ring: Ring<Pages>,
    producer: Locked<Producer>,
    waiters: WaitQueue,
}

impl fmt::Debug for RingBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ring.fmt(f)
    }
}

/// The pages of a ring: the reader's position, the producer's, the data.
#[derive(Debug)]
struct Pages {
    run: Shared<PageRun>,
    page_size: usize,
    data: usize,
}

impl Pages {
    fn store_len(&self, offset: usize, len: u32) {
        if let Ok(Some(word)) = self.run.bytes().atomic_u32(self.data + offset) {
            word.store(len, Ordering::Release);
        }
    }
}

impl RingMemory for Pages {
    fn consumer(&self) -> u64 {
        let cell = self.run.bytes().atomic_u64(CONSUMER_POS);
        cell.ok().flatten().map_or(0, |position| position.load(Ordering::Acquire))
    }

    fn publish(&self, producer: u64) {
        if let Ok(Some(position)) = self.run.bytes().atomic_u64(self.page_size + PRODUCER_POS) {
            position.store(producer, Ordering::Release);
        }
    }

    fn write_header(&self, offset: usize, len: u32, page: u32) {
        // Within the data: the ring only has offsets below its size, which is a multiple of 8.
        let _ = self.run.bytes().store_u32(self.data + offset + 4, page);
        self.store_len(offset, len);
    }

    fn commit_header(&self, offset: usize, len: u32) {
        self.store_len(offset, len);
    }
}

impl RingBuf {
    fn new(host: &Arc<dyn Host>, def: &MapDef) -> Result<RingBuf, NoMemory> {
        let page_size = host.pages().ok_or(NoMemory)?.page_size();
        let size = def.max_entries as usize;
        let run = Shared::try_new(PageRun::new(host, POS_PAGES, size / page_size)?)?;
        let wrap = if run.is_mirrored() { Wrap::Mirrored } else { Wrap::Padded };
        let ring = Ring::new(Pages { run, page_size, data: POS_PAGES * page_size }, size, page_size, wrap)?;
        let producer = Locked::new(host, Producer::default());
        Ok(RingBuf { host: Arc::clone(host), def: *def, ring, producer, waiters: WaitQueue::new() })
    }

    fn pages(&self) -> &Pages {
        self.ring.memory()
    }

    /// Reserves a record of `size` bytes, which keep what they held before; `None` where there is no room (now, or
    /// for such a size ever), or an NMI finds the ring locked. It must be given to [`RingBuf::commit`].
    pub fn reserve(&self, on: &OnCpu<'_>, size: u64) -> Option<(RecordToken, Bytes<'_>)> {
        let mut producer = self.producer(on)?;
        let room = self.ring.reserve(&mut producer, size);
        drop(producer);
        if room == Err(RingError::FullAndPadded) {
            self.waiters.wake(&*self.host);
        }
        let room = room.ok()?;
        let bytes = self.pages().run.bytes().slice(self.pages().data + room.offset, room.len).ok()?;
        Some((room.token, bytes))
    }

    /// Finds the bytes of a record that was reserved and not committed since.
    pub fn record(&self, token: RecordToken) -> Option<Bytes<'_>> {
        let room = self.ring.find(token)?;
        self.pages().run.bytes().slice(self.pages().data + room.offset, room.len).ok()
    }

    /// Submits or discards a record. The reader is woken where it may be waiting for it, unless `flags` say never
    /// (`BPF_RB_NO_WAKEUP`) or always (`BPF_RB_FORCE_WAKEUP`); other flags are ignored, as Linux does.
    ///
    /// # Errors
    /// `EINVAL` where the token is of no open record.
    pub fn commit(&self, token: RecordToken, commit: Commit, flags: u64) -> Result<(), Errno> {
        let reader = self.ring.commit(token, commit).map_err(|_| Errno::EINVAL)?;
        if flags & FORCE_WAKEUP != 0 || reader == Reader::CaughtUp && flags & NO_WAKEUP == 0 {
            self.waiters.wake(&*self.host);
        }
        Ok(())
    }

    /// Copies a record in and submits it.
    ///
    /// # Errors
    /// `EINVAL` for unknown flags; `EAGAIN` where there is no room.
    pub fn output(&self, on: &OnCpu<'_>, data: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        if flags & !(NO_WAKEUP | FORCE_WAKEUP) != 0 {
            return Err(Errno::EINVAL);
        }
        if data.len() > COPIED_UNDER_LOCK {
            let (token, record) = self.reserve(on, data.len() as u64).ok_or(Errno::EAGAIN)?;
            // The record is as long as the data.
            let _ = record.copy_from(0, data);
            return self.commit(token, Commit::Submit, flags);
        }
        let mut producer = self.producer(on).ok_or(Errno::EAGAIN)?;
        let pages = self.pages();
        let added = self.ring.add(&mut producer, data.len() as u64, |room| {
            let _ = pages.run.bytes().copy_from(pages.data + room.offset, data);
        });
        drop(producer);
        if added == Err(RingError::FullAndPadded) {
            self.waiters.wake(&*self.host);
        }
        let added = added.map_err(|_| Errno::EAGAIN)?;
        let wakes = |reader| reader == Reader::CaughtUp;
        if flags & FORCE_WAKEUP != 0 || flags & NO_WAKEUP == 0 && wakes(self.ring.reader(added)) {
            self.waiters.wake(&*self.host);
        }
        Ok(())
    }

    /// Takes the lock of those who write; nothing where an NMI finds it taken.
    fn producer(&self, on: &OnCpu<'_>) -> Option<Guard<'_, Producer>> {
        match on.level() {
            Level::Nmi => self.producer.try_lock(),
            _ => Some(self.producer.lock()),
        }
    }

    /// Answers `bpf_ringbuf_query`.
    pub fn query(&self, query: RingQuery) -> u64 {
        match query {
            RingQuery::Available => self.ring.position().wrapping_sub(self.pages().consumer()),
            RingQuery::Size => self.ring.size(),
            RingQuery::Consumer => self.pages().consumer(),
            RingQuery::Producer => self.ring.position(),
        }
    }
}

impl Map for RingBuf {
    fn def(&self) -> &MapDef {
        &self.def
    }

    fn mem_usage(&self) -> u64 {
        size_of::<RingBuf>() as u64 + (POS_PAGES * self.pages().page_size) as u64 + self.ring.size() / 64 * 65
    }

    /// The first page is the reader's, for writing; everything else may be mapped for reading, the data twice.
    fn mmap(&self, offset: usize, len: usize, how: Mmap) -> Result<Region, Errno> {
        let pages = self.pages();
        let end = offset.checked_add(len).ok_or(Errno::EINVAL)?;
        if offset % pages.page_size != 0 || len == 0 {
            return Err(Errno::EINVAL);
        }
        let len = end.checked_next_multiple_of(pages.page_size).ok_or(Errno::EINVAL)? - offset;
        if how == Mmap::ReadWrite && (offset != 0 || len != pages.page_size) {
            return Err(Errno::EPERM);
        }
        if offset + len > pages.data + 2 * self.ring.size() as usize {
            return Err(Errno::EINVAL);
        }
        // Where the host cannot mirror, the region lends the data once; who maps its frames maps it twice all the same.
        Ok(Region { pages: pages.run.clone(), offset, len })
    }

    fn waiters(&self) -> Option<&WaitQueue> {
        Some(&self.waiters)
    }

    fn is_readable(&self) -> bool {
        self.ring.is_readable()
    }

    fn ring(&self) -> Option<&RingBuf> {
        Some(self)
    }
}
