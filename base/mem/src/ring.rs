//! The bookkeeping of a ring buffer that many CPUs write and one reader, who is not trusted, reads.
//!
//! Layout and protocol are those of `BPF_MAP_TYPE_RINGBUF` (kernel/bpf/ringbuf.c), so that Linux's readers can read it.
//! What the reader can write (its position, and where nothing enforces read-only mappings everything else) is never
//! believed: which records are open, how long they are and where the producer stands is kept here, not read back
//! from headers (compare CVE-2024-41009). A wrong position of the reader costs it records, nobody anything else.

use crate::sync::{AtomicU64, Ordering, fence};
use crate::{NoMemory, RecordToken};
use alloc::vec::Vec;
use core::fmt;
use skep_abi::ring::{BUSY_BIT, DISCARD_BIT, HDR_SIZE, MAX_RECORD_SIZE, POS_PAGES};

/// The memory that a ring and its reader share.
pub trait RingMemory {
    /// Loads the reader's position, with acquire.
    fn consumer(&self) -> u64;
    /// Shows the reader how far it may read, with release.
    fn publish(&self, producer: u64);
    /// Writes the header of a record that the reader cannot see yet.
    fn write_header(&self, offset: usize, len: u32, page: u32);
    /// Changes the length of a header that the reader may look at, with release.
    fn commit_header(&self, offset: usize, len: u32);
}

/// What becomes of the end of the data, where a record does not fit before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrap {
    /// The data appears twice in a row: a record may run over the end.
    Mirrored,
    /// A discarded record fills the rest, and the record starts at the beginning.
    Padded,
}

/// What becomes of an open record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// The reader gets it.
    Submit,
    /// The reader skips it.
    Discard,
}

/// The writer's positions, which whoever uses the ring keeps under a lock; starts as `Producer::default()`.
#[derive(Debug, Default)]
pub struct Producer {
    position: u64,
    pending: u64,
}

/// A reservation: `len` bytes of data at `offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Where the bytes start, within the data.
    pub offset: usize,
    /// How many there are.
    pub len: usize,
    /// What submits or discards them.
    pub token: RecordToken,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingError {
    /// No ring of this size ever holds such a record.
    TooLong,
    /// The reader has to read first.
    Full,
    /// As `Full`; and padding was committed that the reader may be waiting for: it is to be woken.
    FullAndPadded,
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RingError::TooLong => "the record is longer than the ring",
            RingError::Full | RingError::FullAndPadded => "the ring is full",
        })
    }
}

impl core::error::Error for RingError {}

/// The token names no open record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotOpen;

/// Whether the reader had read everything before the record that was committed, and so may be waiting for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// It may be waiting.
    CaughtUp,
    /// It has something else to read first.
    Behind,
}

/// A ring over some memory.
pub struct Ring<M> {
    memory: M,
    /// One bit for each eight bytes of data, set where an open record starts.
    open: Vec<AtomicU64>,
    /// The producer's position, for those without the lock.
    position: AtomicU64,
    /// Where the latest padding starts.
    padding: AtomicU64,
    size: u64,
    page_size: usize,
    wrap: Wrap,
}

const UNIT: u64 = 8;

impl<M: RingMemory> Ring<M> {
    /// Makes an empty ring over zeroed `memory` with `size` bytes of data, a power of two and at least 8.
    ///
    /// # Errors
    /// [`NoMemory`] where the size is none, or the allocator refuses.
    pub fn new(memory: M, size: usize, page_size: usize, wrap: Wrap) -> Result<Ring<M>, NoMemory> {
        if !size.is_power_of_two() || size < UNIT as usize || !page_size.is_power_of_two() {
            return Err(NoMemory);
        }
        let words = (size / UNIT as usize).div_ceil(64);
        let mut open = Vec::new();
        open.try_reserve_exact(words)?;
        open.extend((0..words).map(|_| AtomicU64::new(0)));
        let (position, padding) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
        Ok(Ring { memory, open, position, padding, size: size as u64, page_size, wrap })
    }

    /// Gives the memory.
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// Gives the bytes of data.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Gives the producer's position.
    pub fn position(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }

    /// Tells whether the reader has something to read, or to wait for that is being written. A reader that stores
    /// its position, then asks, then sleeps until it is woken, misses nothing.
    pub fn is_readable(&self) -> bool {
        // Orders the reader's own store of its position before the load of ours; the other half is in `commit`.
        fence(Ordering::SeqCst);
        self.memory.consumer() != self.position()
    }

    /// Reserves `len` bytes. `producer` is this ring's one producer state, held under its lock.
    ///
    /// # Errors
    /// [`RingError`]; see there.
    pub fn reserve(&self, producer: &mut Producer, len: u64) -> Result<Room, RingError> {
        let (start, whole) = self.place(producer, len)?;
        self.memory.write_header(start as usize, len as u32 | BUSY_BIT, self.page(start));
        self.word(start).fetch_or(bit(start), Ordering::Relaxed);
        producer.position = producer.position.wrapping_add(whole);
        self.publish(producer.position);
        Ok(room(start, len))
    }

    /// Adds a record of `len` bytes that `fill` writes, and submits it: it is never open, so nobody else need know of it. `producer` is as in
    /// [`Ring::reserve`], whose lock is held all the while.
    ///
    /// # Errors
    /// [`RingError`]; see there.
    pub fn add(
        &self,
        producer: &mut Producer,
        len: u64,
        fill: impl FnOnce(Room),
    ) -> Result<RecordToken, RingError> {
        let (start, whole) = self.place(producer, len)?;
        let room = room(start, len);
        fill(room);
        self.memory.write_header(start as usize, len as u32, self.page(start));
        producer.position = producer.position.wrapping_add(whole);
        // The reader sees the record only behind this, which is a release.
        self.publish(producer.position);
        Ok(room.token)
    }

    /// Finds where the next record goes, and how much of the ring it takes.
    fn place(&self, producer: &mut Producer, len: u64) -> Result<(u64, u64), RingError> {
        let whole = match u32::try_from(len) {
            Ok(len) if len <= MAX_RECORD_SIZE => (u64::from(len) + HDR_SIZE as u64).next_multiple_of(UNIT),
            _ => return Err(RingError::TooLong),
        };
        if whole > self.size {
            return Err(RingError::TooLong);
        }
        let consumer = self.memory.consumer();
        producer.pending = self.first_open(producer.pending, producer.position);
        let start = producer.position & (self.size - 1);
        let padding = match self.wrap {
            Wrap::Padded if start + whole > self.size => self.size - start,
            _ => 0,
        };
        // The producer never gets `size` ahead of the reader, nor of the oldest open record, whoever moves the reader.
        let fits = |more: u64| {
            let end = producer.position.wrapping_add(more);
            end.wrapping_sub(consumer) < self.size && end.wrapping_sub(producer.pending) < self.size
        };
        if !fits(padding + whole) {
            if padding > 0 && fits(padding) {
                self.pad(producer, padding);
                self.publish(producer.position);
                return Err(RingError::FullAndPadded);
            }
            return Err(RingError::Full);
        }
        if padding > 0 {
            self.pad(producer, padding);
        }
        Ok((producer.position & (self.size - 1), whole))
    }

    /// Finds the bytes of an open record again; nothing where `token` is of none.
    pub fn find(&self, token: RecordToken) -> Option<Room> {
        let (start, len) = self.open(token)?;
        Some(Room { token, offset: start as usize + HDR_SIZE, len: len as usize })
    }

    /// Gives the place and length of an open record.
    fn open(&self, token: RecordToken) -> Option<(u64, u32)> {
        let (start, len) = (token.0 & u64::from(u32::MAX), (token.0 >> 32) as u32);
        let is_place = start < self.size && start % UNIT == 0 && len <= MAX_RECORD_SIZE;
        (is_place && self.word(start).load(Ordering::Acquire) & bit(start) != 0).then_some((start, len))
    }

    /// Ends an open record, from anywhere and without a lock, and tells where the reader stands.
    ///
    /// # Errors
    /// [`NotOpen`] where `token` is of no open record of this ring.
    pub fn commit(&self, token: RecordToken, commit: Commit) -> Result<Reader, NotOpen> {
        let (start, len) = self.open(token).ok_or(NotOpen)?;
        let flag = match commit {
            Commit::Submit => 0,
            Commit::Discard => DISCARD_BIT,
        };
        self.memory.commit_header(start as usize, len | flag);
        // Release: once a producer sees the record closed, it may reuse its bytes, so the header comes first.
        self.word(start).fetch_and(!bit(start), Ordering::Release);
        Ok(self.reader_of(start))
    }

    /// Tells where the reader stands towards a record that was [added](Ring::add).
    pub fn reader(&self, added: RecordToken) -> Reader {
        self.reader_of(added.0 & u64::from(u32::MAX))
    }

    fn reader_of(&self, start: u64) -> Reader {
        // Orders the header before the load of the reader's position: either the reader sees the record committed
        // (or, asking `is_readable`, that there is one), or we see that it has caught up.
        fence(Ordering::SeqCst);
        let reader = self.memory.consumer() & (self.size - 1);
        let before_padding = start == 0 && reader == self.padding.load(Ordering::Relaxed);
        if reader == start || before_padding { Reader::CaughtUp } else { Reader::Behind }
    }

    /// Finds the position of the oldest open record within `from..to`, or `to`.
    fn first_open(&self, from: u64, to: u64) -> u64 {
        let mut at = from;
        while at != to {
            let offset = at & (self.size - 1);
            // Acquire: pairs with the release in `commit`.
            let later = self.word(offset).load(Ordering::Acquire) & (u64::MAX << (offset / UNIT % 64));
            let bits_end = (offset / UNIT / 64 + 1) * 64 * UNIT;
            let word_end = at + (bits_end.min(self.size) - offset);
            if later != 0 {
                let found =
                    at - offset + (offset / UNIT / 64 * 64 + u64::from(later.trailing_zeros())) * UNIT;
                return found.min(to);
            }
            at = word_end.min(to);
        }
        to
    }

    /// Fills the rest of the data with a discarded record.
    fn pad(&self, producer: &mut Producer, padding: u64) {
        let start = producer.position & (self.size - 1);
        let len = (padding - HDR_SIZE as u64) as u32;
        self.memory.write_header(start as usize, len | DISCARD_BIT, self.page(start));
        self.padding.store(start, Ordering::Relaxed);
        producer.position = producer.position.wrapping_add(padding);
    }

    fn publish(&self, position: u64) {
        self.position.store(position, Ordering::Release);
        self.memory.publish(position);
    }

    fn page(&self, start: u64) -> u32 {
        (POS_PAGES + start as usize / self.page_size) as u32
    }

    fn word(&self, start: u64) -> &AtomicU64 {
        &self.open[(start / UNIT / 64) as usize]
    }
}

fn room(start: u64, len: u64) -> Room {
    Room { offset: start as usize + HDR_SIZE, len: len as usize, token: RecordToken(len << 32 | start) }
}

fn bit(start: u64) -> u64 {
    1 << (start / UNIT % 64)
}

impl<M> fmt::Debug for Ring<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ring({} bytes)", self.size)
    }
}
