//! Reading a ring buffer (`BPF_MAP_TYPE_RINGBUF`).

use crate::error::{Error, ErrorKind, Result};
use crate::ring_memory::{RingMemory, Writer};
use crate::{Kernel, Map, wait};
use skep_abi::ring::{BUSY_BIT, CONSUMER_POS, DISCARD_BIT, HDR_SIZE, PRODUCER_POS};
use skep_sys::{MapFd, Mapping};
use std::fmt;
use std::ops::{ControlFlow, Deref};
use std::sync::Arc;
use std::time::Duration;

/// Reads the records of a ring buffer, in the order in which they were reserved.
///
/// The kernel takes one reader: of two, each sees some of the records. What the memory says is not trusted: a length or
/// a position that no kernel writes stops the reader ([`RingBuffer::wait`] says so), and nothing outside the ring is
/// read.
pub struct RingBuffer {
    name: String,
    kernel: Kernel,
    fd: Arc<MapFd>,
    /// The page with the position of the reader.
    consumer: Mapping,
    /// The page with the position of the writers, then the data, twice in a row where the kernel can.
    producer: Mapping,
    /// Bytes before the data.
    page: usize,
    /// Bytes of data, a power of two.
    size: u64,
    /// Bytes of data that are mapped: `size`, or twice as much.
    mapped: u64,
    /// Up to where records have been read.
    at: u64,
    /// Up to where there were records when it was last asked.
    produced: u64,
    /// A copy of the record that is being read: the memory may change under it.
    record: Vec<u8>,
    /// What was found that no kernel writes.
    broken: Option<&'static str>,
}

/// A record of a ring buffer; its room is free again when this is dropped.
pub struct Record<'r> {
    ring: &'r mut RingBuffer,
    len: usize,
    /// Where the next one starts.
    next: u64,
}

/// What stands at the reader's position.
enum Found {
    Nothing,
    Discarded { next: u64 },
    Record { len: usize, next: u64 },
}

impl RingBuffer {
    /// Opens a ring buffer for reading, from where its last reader stopped. The map may be dropped.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where it is a map of another kind; [`ErrorKind::Kernel`] where it cannot be mapped.
    pub fn new(map: &Map) -> Result<RingBuffer> {
        let fail = |error: Error| error.in_map(map.name());
        let RingMemory { kernel, consumer, producer, page, size, mapped } =
            RingMemory::map(map, Writer::Programs)?;
        let read = consumer.load_acquire_u64(CONSUMER_POS);
        let at = read.map_err(|error| fail(Error::new(ErrorKind::Corrupt, error.to_string())))?;
        Ok(RingBuffer {
            name: map.name().to_owned(),
            kernel,
            fd: Arc::clone(&map.fd),
            consumer,
            producer,
            page,
            size,
            mapped,
            at,
            produced: at,
            record: Vec::new(),
            broken: None,
        })
    }

    /// Gives the name of the map.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes the next record; `None` where there is none now. Records that their program has discarded are passed over,
    /// and one that is not finished yet holds up those behind it.
    #[allow(clippy::should_implement_trait, reason = "a record borrows the ring, which no iterator allows")]
    pub fn next(&mut self) -> Option<Record<'_>> {
        loop {
            match self.look() {
                Ok(Found::Record { len, next }) => return Some(Record { ring: self, len, next }),
                Ok(Found::Discarded { next }) => self.consume(next),
                Ok(Found::Nothing) => return None,
                Err(what) => {
                    self.broken = Some(what);
                    return None;
                }
            }
        }
    }

    /// Hands all records that are there now to `read`, until it breaks.
    pub fn for_each<B>(&mut self, mut read: impl FnMut(&[u8]) -> ControlFlow<B>) -> ControlFlow<B> {
        while let Some(record) = self.next() {
            read(&record)?;
        }
        ControlFlow::Continue(())
    }

    /// Waits until there are records, or the time is over; tells which. A signal ends the wait like the time does.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] where the memory holds what no kernel writes; [`ErrorKind::Kernel`].
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool> {
        if let Some(what) = self.broken {
            return Err(Error::new(ErrorKind::Corrupt, what).in_map(&self.name));
        }
        wait::one(&self.kernel, self.fd.fd(), timeout).map_err(|error| error.in_map(&self.name))
    }

    /// Gives the descriptor that becomes readable, for an event loop; `None` on a kernel whose descriptors are not the
    /// operating system's.
    #[cfg(all(feature = "linux", target_os = "linux"))]
    pub fn as_fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        skep_linux::borrow_handle(self.fd.handle())
    }

    /// Looks at the reader's position.
    fn look(&mut self) -> Result<Found, &'static str> {
        const OUTSIDE: &str = "the memory of the ring is shorter than it was";
        if self.broken.is_some() {
            return Ok(Found::Nothing);
        }
        if self.at == self.produced {
            self.produced = self.producer.load_acquire_u64(PRODUCER_POS).map_err(|_| OUTSIDE)?;
            if self.at == self.produced {
                return Ok(Found::Nothing);
            }
        }
        let there = self.produced.wrapping_sub(self.at);
        if there > self.size {
            return Err("the positions in the ring are further apart than the ring is long");
        }
        let offset = self.at & (self.size - 1);
        let place = self.page + offset as usize;
        let header = self.producer.load_acquire_u32(place).map_err(|_| OUTSIDE)?;
        if header & BUSY_BIT != 0 {
            return Ok(Found::Nothing);
        }
        let len = u64::from(header & !(BUSY_BIT | DISCARD_BIT));
        let whole = (len + HDR_SIZE as u64).next_multiple_of(8);
        if whole > there {
            return Err("a record in the ring is longer than what was written");
        }
        let next = self.at.wrapping_add(whole);
        if header & DISCARD_BIT != 0 {
            return Ok(Found::Discarded { next });
        }
        // Where the data is mapped once, no record goes over its end: the kernel would have discarded the rest.
        if offset + whole > self.mapped {
            return Err("a record in the ring goes over its end");
        }
        // No more than the ring has, which is mapped.
        let len = len as usize;
        self.record.resize(len, 0);
        self.producer.copy_out(place + HDR_SIZE, &mut self.record).map_err(|_| OUTSIDE)?;
        Ok(Found::Record { len, next })
    }

    /// Gives the room up to `next` back to the kernel.
    fn consume(&mut self, next: u64) {
        self.at = next;
        if self.consumer.store_release_u64(CONSUMER_POS, next).is_err() {
            self.broken = Some("the memory of the ring is shorter than it was");
        }
    }
}

impl Record<'_> {
    /// Gives the bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.ring.record[..self.len]
    }
}

impl Deref for Record<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes()
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        self.ring.consume(self.next);
    }
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Record").field(&self.bytes()).finish()
    }
}

impl fmt::Debug for RingBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RingBuffer({}, {} bytes)", self.name, self.size)
    }
}
