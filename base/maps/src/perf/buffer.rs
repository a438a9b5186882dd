//! The buffer of a perf event: one page of positions, then data that one CPU writes and one reader reads.
//!
//! The reader may write all of it. Only its tail is read back, and that modulo the size: a wrong one costs it samples.

use crate::Mmap;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use skep_abi::Errno;
use skep_abi::perf::{MMAP_DATA_HEAD, MMAP_DATA_OFFSET, MMAP_DATA_SIZE, MMAP_DATA_TAIL};
use skep_mem::{Bytes, Host, Level, Locked, NoMemory, OnCpu, PageRun, Shared};

/// `PERF_RECORD_LOST` and `PERF_RECORD_SAMPLE` (include/uapi/linux/perf_event.h).
const RECORD_LOST: u32 = 2;
const RECORD_SAMPLE: u32 = 9;
/// `PERF_RECORD_MISC_KERNEL`.
const MISC_KERNEL: u16 = 1;
const HEADER: usize = 8;
const LOST_SIZE: usize = HEADER + 16;

/// When a reader is to be woken.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    /// After so many samples; at half of the buffer where it is 0.
    Events(u32),
    /// After so many bytes; at half of the buffer where it is 0.
    Bytes(u32),
}

/// The buffer.
#[derive(Debug)]
pub(super) struct Buffer {
    pages: Shared<PageRun>,
    page_size: usize,
    size: usize,
    overwrites: bool,
    state: Locked<State>,
    lost: AtomicU64,
}

/// What the writer knows.
#[derive(Debug, Default)]
struct State {
    head: u64,
    /// Samples since the reader was last to be woken.
    events: u32,
    /// Where the head was then.
    woken_at: u64,
    /// Lost samples that no record tells of yet.
    untold: u64,
}

impl Buffer {
    pub(super) fn new(host: &Arc<dyn Host>, data_pages: usize, how: Mmap) -> Result<Buffer, NoMemory> {
        let page_size = host.pages().ok_or(NoMemory)?.page_size();
        let pages = Shared::try_new(PageRun::new(host, data_pages.checked_add(1).ok_or(NoMemory)?, 0)?)?;
        let size = data_pages * page_size;
        for (at, value) in [(MMAP_DATA_OFFSET, page_size), (MMAP_DATA_SIZE, size)] {
            pages.bytes().store_u64(at, value as u64).map_err(|_| NoMemory)?;
        }
        let state = Locked::new(host, State::default());
        Ok(Buffer { pages, page_size, size, overwrites: how == Mmap::Read, state, lost: AtomicU64::new(0) })
    }

    pub(super) fn pages(&self) -> &Shared<PageRun> {
        &self.pages
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Writes a sample, after a record of those lost before it if there are some; tells whether to wake the reader.
    pub(super) fn write_sample(
        &self,
        on: &OnCpu<'_>,
        id: u64,
        prefix: &[u8],
        raw: Option<&[Bytes<'_>]>,
        limit: Limit,
    ) -> Result<bool, Errno> {
        let raw_len = raw.map(|parts| parts.iter().map(|part| part.len()).sum::<usize>());
        // The raw data's size comes first and includes the padding that makes the record a multiple of 8
        // (perf_prepare_sample, kernel/events/core.c).
        let raw_size = raw_len.map_or(0, |len| (len + 4).next_multiple_of(8));
        let size = HEADER + prefix.len() + raw_size;
        let size16 = u16::try_from(size).map_err(|_| Errno::E2BIG)?;
        let mut state = match on.level() {
            Level::Nmi => self.state.try_lock().ok_or_else(|| self.lose())?,
            _ => self.state.lock(),
        };
        let told = if state.untold > 0 { LOST_SIZE } else { 0 };
        if !self.has_room(state.head, size + told) {
            state.untold += 1;
            return Err(self.lose());
        }
        let mut at = state.head;
        if state.untold > 0 {
            at = self.put_header(at, RECORD_LOST, 0, LOST_SIZE as u16);
            at = self.put(at, &id.to_ne_bytes());
            at = self.put(at, &state.untold.to_ne_bytes());
            state.untold = 0;
        }
        at = self.put_header(at, RECORD_SAMPLE, MISC_KERNEL, size16);
        at = self.put(at, prefix);
        if let (Some(parts), Some(len)) = (raw, raw_len) {
            at = self.put(at, &(raw_size as u32 - 4).to_ne_bytes());
            at = parts.iter().fold(at, |at, part| self.put_bytes(at, *part));
            at = self.put(at, &[0; 8][..raw_size - 4 - len]);
        }
        state.head = at;
        if let Ok(Some(head)) = self.pages.bytes().atomic_u64(MMAP_DATA_HEAD) {
            head.store(at, Ordering::Release);
        }
        Ok(self.is_time_to_wake(&mut state, limit))
    }

    fn lose(&self) -> Errno {
        self.lost.fetch_add(1, Ordering::Relaxed);
        Errno::ENOSPC
    }

    /// Tells whether the reader has not read all.
    pub(super) fn is_readable(&self) -> bool {
        self.state.lock().head != self.tail()
    }

    fn tail(&self) -> u64 {
        let tail = self.pages.bytes().atomic_u64(MMAP_DATA_TAIL).ok().flatten();
        tail.map_or(0, |tail| tail.load(Ordering::Acquire))
    }

    /// One byte always stays free, so that full and empty differ (`CIRC_SPACE`).
    fn has_room(&self, head: u64, size: usize) -> bool {
        if self.overwrites {
            return size < self.size;
        }
        let free = self.tail().wrapping_sub(head + 1) & (self.size as u64 - 1);
        free >= size as u64
    }

    fn is_time_to_wake(&self, state: &mut State, limit: Limit) -> bool {
        state.events += 1;
        let bytes = match limit {
            Limit::Events(0) | Limit::Bytes(0) => self.size / 2,
            Limit::Bytes(bytes) => self.size.min(bytes as usize),
            Limit::Events(_) => self.size / 2,
        };
        let is_time = state.head - state.woken_at > bytes as u64
            || matches!(limit, Limit::Events(events @ 1..) if state.events >= events);
        if is_time {
            state.events = 0;
            state.woken_at = state.head;
        }
        is_time
    }

    fn put_header(&self, at: u64, kind: u32, misc: u16, size: u16) -> u64 {
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&kind.to_ne_bytes());
        header[4..6].copy_from_slice(&misc.to_ne_bytes());
        header[6..].copy_from_slice(&size.to_ne_bytes());
        self.put(at, &header)
    }

    /// Copies bytes to position `at`, around the end, and gives the position after them.
    fn put(&self, at: u64, bytes: &[u8]) -> u64 {
        let offset = at as usize & (self.size - 1);
        let (first, rest) = bytes.split_at(bytes.len().min(self.size - offset));
        // In bounds: a record is shorter than the data.
        let _ = self.pages.bytes().copy_in(self.page_size + offset, first);
        let _ = self.pages.bytes().copy_in(self.page_size, rest);
        at + bytes.len() as u64
    }

    fn put_bytes(&self, at: u64, bytes: Bytes<'_>) -> u64 {
        let mut chunk = [0; 64];
        (0..bytes.len()).step_by(chunk.len()).fold(at, |at, from| {
            let len = (bytes.len() - from).min(chunk.len());
            let _ = bytes.copy_out(from, &mut chunk[..len]);
            self.put(at, &chunk[..len])
        })
    }
}
