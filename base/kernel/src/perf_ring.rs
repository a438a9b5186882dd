//! The ring of a perf event: a page of positions, then data that wraps (`struct perf_event_mmap_page`,
//! `kernel/events/ring_buffer.c`).
//!
//! The reader owns `data_tail` and may write anything there; it is only ever compared with the head. The head is kept
//! apart from the page, which the reader may write too.

use crate::error::Result;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use skep_abi::Errno;
use skep_abi::PerfRecord;
use skep_abi::perf::{MMAP_DATA_HEAD, MMAP_DATA_OFFSET, MMAP_DATA_SIZE, MMAP_DATA_TAIL};
use skep_mem::{Bytes, Host, Locked, PageRun, Shared};

/// A record's header: type, misc, size.
const HEADER: u64 = 8;
/// The longest record (`u16` of its header), rounded down to 8.
const MOST: u64 = 0xfff8;

/// The ring.
#[derive(Debug)]
pub(crate) struct PerfRing {
    pages: Shared<PageRun>,
    page: usize,
    size: u64,
    state: Locked<State>,
}

#[derive(Debug, Default)]
struct State {
    head: u64,
    lost: u64,
    /// Since the last wake-up.
    pending: Pending,
}

/// What has been written since the reader was last woken.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pending {
    pub(crate) samples: u32,
    pub(crate) bytes: u64,
}

impl PerfRing {
    /// Makes a ring of `len` bytes in all.
    ///
    /// # Errors
    /// `EINVAL` where the data is no power of two of pages; `ENOMEM`.
    pub(crate) fn new(host: &Arc<dyn Host>, len: usize) -> Result<PerfRing> {
        let page = host.pages().ok_or(Errno::ENODEV)?.page_size();
        let data = len.checked_sub(page).ok_or(Errno::EINVAL)?;
        if data % page != 0 || !(data / page).is_power_of_two() {
            return Err(Errno::EINVAL);
        }
        let pages = PageRun::new(host, len / page, 0)?;
        let ring = PerfRing {
            pages: Shared::try_new(pages)?,
            page,
            size: data as u64,
            state: Locked::new(host, State::default()),
        };
        let fill = |offset, value| ring.pages.bytes().store_u64(offset, value).map_err(|_| Errno::EINVAL);
        fill(MMAP_DATA_OFFSET, page as u64)?;
        fill(MMAP_DATA_SIZE, data as u64)?;
        Ok(ring)
    }

    /// Gives the length in bytes, the page of positions included.
    pub(crate) fn len(&self) -> usize {
        self.page + self.size as usize
    }

    /// Gives the pages.
    pub(crate) fn pages(&self) -> &Shared<PageRun> {
        &self.pages
    }

    /// Tells whether there is something to read.
    pub(crate) fn is_readable(&self) -> bool {
        let head = self.state.lock().head;
        head != self.tail()
    }

    /// Forgets what was written before a wake-up.
    pub(crate) fn woken(&self) {
        self.state.lock().pending = Pending::default();
    }

    /// Writes a sample of two parts, after a record of what was lost before it.
    ///
    /// # Errors
    /// `ENOSPC` where there is no room, which is counted; `E2BIG` for a record that is too long; `EBUSY` where
    /// this interrupted a writer.
    pub(crate) fn write(&self, data: Bytes<'_>, more: Option<Bytes<'_>>) -> Result<Pending> {
        let more = more.unwrap_or(Bytes::empty());
        let raw = data.len() as u64 + more.len() as u64;
        // The raw size and its four bytes fill a multiple of eight (`perf_prepare_sample`).
        let padded = (raw + 4).next_multiple_of(8);
        let len = HEADER + padded;
        if len > MOST {
            return Err(Errno::E2BIG);
        }
        let mut state = self.state.try_lock().ok_or(Errno::EBUSY)?;
        let lost_len = if state.lost == 0 { 0 } else { HEADER + 16 };
        let used = state.head.wrapping_sub(self.tail());
        if used > self.size || self.size - used < len + lost_len {
            state.lost += 1;
            return Err(Errno::ENOSPC);
        }
        if state.lost != 0 {
            self.header(state.head, PerfRecord::LOST.0, lost_len);
            // The event's id, which is 0 here, and the number.
            self.put(state.head + HEADER, &0u64.to_ne_bytes());
            self.put(state.head + HEADER + 8, &state.lost.to_ne_bytes());
            state.head += lost_len;
            state.lost = 0;
        }
        let at = state.head;
        self.header(at, PerfRecord::SAMPLE.0, len);
        self.put(at + HEADER, &((padded - 4) as u32).to_ne_bytes());
        self.copy(at + HEADER + 4, data);
        self.copy(at + HEADER + 4 + data.len() as u64, more);
        let end = at + HEADER + 4 + raw;
        self.put(end, &[0; 8][..(at + len - end) as usize]);
        state.head = at + len;
        state.pending.samples += 1;
        state.pending.bytes += len;
        if let Ok(Some(head)) = self.pages.bytes().atomic_u64(MMAP_DATA_HEAD) {
            head.store(state.head, Ordering::Release);
        }
        Ok(state.pending)
    }

    fn tail(&self) -> u64 {
        match self.pages.bytes().atomic_u64(MMAP_DATA_TAIL) {
            Ok(Some(tail)) => tail.load(Ordering::Acquire),
            _ => 0,
        }
    }

    fn header(&self, at: u64, record: u32, len: u64) {
        self.put(at, &record.to_ne_bytes());
        self.put(at + 4, &0u16.to_ne_bytes());
        self.put(at + 6, &(len as u16).to_ne_bytes());
    }

    /// Stores bytes at a position, round the end.
    fn put(&self, at: u64, bytes: &[u8]) {
        for (i, byte) in (0u64..).zip(bytes) {
            let offset = self.page + ((at + i) % self.size) as usize;
            let stored = self.pages.bytes().store_u8(offset, *byte);
            debug_assert!(stored.is_ok(), "positions are taken modulo the ring");
        }
    }

    fn copy(&self, at: u64, from: Bytes<'_>) {
        let mut chunk = [0; 256];
        let mut done = 0;
        while done < from.len() {
            let part = &mut chunk[..(from.len() - done).min(256)];
            if from.copy_out(done, part).is_err() {
                return;
            }
            self.put(at + done as u64, part);
            done += part.len();
        }
    }
}
