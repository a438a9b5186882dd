//! Writing a ring buffer that a program drains (`BPF_MAP_TYPE_USER_RINGBUF`, Linux 6.1).

use crate::error::{Error, ErrorKind, Result};
use crate::ring_memory::{RingMemory, Writer};
use crate::{Kernel, Map, wait};
use skep_abi::Errno;
use skep_abi::ring::{CONSUMER_POS, HDR_SIZE, PRODUCER_POS};
use skep_sys::{MapFd, Mapping};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use zerocopy::{Immutable, IntoBytes};

/// Sends records to a program, which takes them with `bpf_user_ringbuf_drain`.
///
/// There is one writer: sending takes it by `&mut`, and a program sees a record only once it is whole. When a program
/// drains is its own affair, so a full ring stays full until it runs.
///
/// ```no_run
/// # fn main() -> skep::Result<()> {
/// # let loaded = skep::Object::open("x.bpf.o")?.load(&skep::Kernel::linux())?;
/// use skep::UserRing;
///
/// let mut commands = UserRing::new(loaded.map("commands")?)?;
/// if !commands.send(b"flush")? {
///     eprintln!("the program has not taken the last commands yet");
/// }
/// # Ok(())
/// # }
/// ```
pub struct UserRing {
    name: String,
    kernel: Kernel,
    fd: Arc<MapFd>,
    /// The page with the program's position, which only the kernel writes.
    consumer: Mapping,
    /// The page with the writer's position, then the data, twice in a row.
    producer: Mapping,
    /// Bytes before the data.
    page: usize,
    /// Bytes of data, a power of two.
    size: u64,
    /// Up to where records have been sent.
    at: u64,
}

/// Room for a record in a ring, zeroed; sent by [`Reserved::send`], and given back when it is dropped.
pub struct Reserved<'r> {
    ring: &'r mut UserRing,
    len: usize,
}

const OUTSIDE: &str = "the memory of the ring is shorter than it was";

impl UserRing {
    /// Opens a ring for writing, from where its last writer stopped. The map may be dropped.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where it is a map of another kind; [`ErrorKind::Kernel`] where it cannot be mapped.
    pub fn new(map: &Map) -> Result<UserRing> {
        let fail = |error: Error| error.in_map(map.name());
        let memory = RingMemory::map(map, Writer::UserSpace)?;
        let RingMemory { kernel, consumer, producer, page, size, .. } = memory;
        let at = producer.load_acquire_u64(PRODUCER_POS);
        let at = at.map_err(|error| fail(Error::new(ErrorKind::Corrupt, error.to_string())))?;
        Ok(UserRing {
            name: map.name().to_owned(),
            kernel,
            fd: Arc::clone(&map.fd),
            consumer,
            producer,
            page,
            size,
            at,
        })
    }

    /// Gives the name of the map.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the longest record that there can ever be room for.
    pub fn longest(&self) -> usize {
        self.size as usize - HDR_SIZE
    }

    /// Sends a record; tells whether there was room for it.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where it is longer than [`UserRing::longest`]; [`ErrorKind::Corrupt`] where the memory holds
    /// what no kernel writes.
    pub fn send(&mut self, record: &[u8]) -> Result<bool> {
        let Some(mut room) = self.reserve(record.len())? else { return Ok(false) };
        room.write(0, record)?;
        room.send()?;
        Ok(true)
    }

    /// Sends a value as a record; tells whether there was room for it.
    ///
    /// # Errors
    /// As [`UserRing::send`].
    pub fn send_value(&mut self, value: &(impl IntoBytes + Immutable)) -> Result<bool> {
        self.send(value.as_bytes())
    }

    /// Makes room for a record, to be written piece by piece; `None` where the ring is too full.
    ///
    /// # Errors
    /// As [`UserRing::send`].
    pub fn reserve(&mut self, len: usize) -> Result<Option<Reserved<'_>>> {
        if len > self.longest() {
            let what = format!("a record of {len} bytes, in a ring with room for {}", self.longest());
            return Err(self.fail(ErrorKind::Setting, &what).with_errno(Errno::E2BIG));
        }
        if self.room()? < whole(len) {
            return Ok(None);
        }
        let bytes = self.producer.bytes().ok_or_else(|| self.fail(ErrorKind::Corrupt, OUTSIDE))?;
        // What an older record has left there is not to be sent again.
        let place = bytes.slice(self.place() + HDR_SIZE, len);
        place.map_err(|_| self.fail(ErrorKind::Corrupt, OUTSIDE))?.fill(0);
        Ok(Some(Reserved { ring: self, len }))
    }

    /// Waits until the ring is not full to the last byte, or the time is over; tells which. A signal ends the wait like the
    /// time does. The kernel tells no more than that (`ringbuf_map_poll_user`, kernel/bpf/ringbuf.c): where a record needs
    /// more room than there is, wait a while between attempts, or make the program run that drains.
    ///
    /// # Errors
    /// [`ErrorKind::Kernel`].
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool> {
        wait::room(&self.kernel, self.fd.fd(), timeout).map_err(|error| error.in_map(&self.name))
    }

    /// Gives the descriptor that becomes writable, for an event loop; `None` on a kernel whose descriptors are not the
    /// operating system's.
    #[cfg(all(feature = "linux", target_os = "linux"))]
    pub fn as_fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        skep_linux::borrow_handle(self.fd.handle())
    }

    /// Gives the bytes that are free, headers included.
    fn room(&self) -> Result<u64> {
        let read = self.consumer.load_acquire_u64(CONSUMER_POS);
        let read = read.map_err(|_| self.fail(ErrorKind::Corrupt, OUTSIDE))?;
        let used = self.at.wrapping_sub(read);
        self.size.checked_sub(used).ok_or_else(|| {
            self.fail(ErrorKind::Corrupt, "the positions in the ring are further apart than the ring is long")
        })
    }

    /// Where the next record starts. The data is mapped twice, so none goes over the end.
    fn place(&self) -> usize {
        self.page + (self.at & (self.size - 1)) as usize
    }

    fn fail(&self, kind: ErrorKind, what: &str) -> Error {
        Error::new(kind, what).in_map(&self.name)
    }
}

/// The bytes of a record with its header.
fn whole(len: usize) -> u64 {
    (len as u64 + HDR_SIZE as u64).next_multiple_of(8)
}

impl Reserved<'_> {
    /// Gives the bytes of the record.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Tells whether the record has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes bytes at an offset of the record.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where they are not inside.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<()> {
        let ring = &*self.ring;
        let record = ring
            .producer
            .bytes()
            .and_then(|memory| memory.slice(ring.place() + HDR_SIZE, self.len).ok())
            .ok_or_else(|| ring.fail(ErrorKind::Corrupt, OUTSIDE))?;
        record.copy_in(offset, bytes).map_err(|_| {
            let what = format!("{} bytes at {offset} of a record of {}", bytes.len(), self.len);
            ring.fail(ErrorKind::Setting, &what)
        })
    }

    /// Sends the record: from here on a program may take it.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] where the memory is shorter than it was.
    pub fn send(self) -> Result<()> {
        let ring = self.ring;
        let lost = || Error::new(ErrorKind::Corrupt, OUTSIDE).in_map(&ring.name);
        // Length and page offset, which is the kernel's (`struct bpf_ringbuf_hdr`). Not busy, not discarded: nobody looks at
        // it before the position has passed it.
        let bytes = ring.producer.bytes().ok_or_else(lost)?;
        bytes.store_u32(ring.place(), self.len as u32).map_err(|_| lost())?;
        bytes.store_u32(ring.place() + 4, 0).map_err(|_| lost())?;
        let next = ring.at.wrapping_add(whole(self.len));
        // Everything before is written by the time that the kernel sees the position (`__bpf_user_ringbuf_peek`).
        ring.producer.store_release_u64(PRODUCER_POS, next).map_err(|_| lost())?;
        ring.at = next;
        Ok(())
    }
}

impl fmt::Debug for Reserved<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reserved({} bytes of {})", self.len, self.ring.name)
    }
}

impl fmt::Debug for UserRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserRing({}, {} bytes)", self.name, self.size)
    }
}
