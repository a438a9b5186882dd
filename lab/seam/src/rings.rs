//! Rings as memory.

use crate::Machine;
use crate::check::{Failure, done, same};
use crate::maps::create;
use alloc::vec::Vec;
use skep_abi::{MapType, ring};
use skep_sys::{Kernel, MapFd, Mapping, Protection};

/// A ring of 64 KiB and its memory, read as Linux's readers do.
#[derive(Debug)]
pub struct Ring {
    pub(crate) map: MapFd,
    size: usize,
    page: usize,
    consumer: Mapping,
    producer: Mapping,
}

impl Ring {
    /// Creates and maps a ring.
    ///
    /// # Errors
    /// [`Failure`] where it cannot be created or mapped.
    pub fn new(kernel: &Kernel, machine: Machine) -> Result<Ring, Failure> {
        // A multiple of any page size there is, and a power of two.
        let (page, size) = (machine.page_size, 64 << 10);
        let map = create(kernel, "create a ring", MapType::RINGBUF, [0, 0, size as u32], 0)?;
        let consumer =
            done("map the consumer's page", kernel.map(map.handle(), 0, page, Protection::ReadWrite))?;
        let rest = kernel.map(map.handle(), page as u64, page + 2 * size, Protection::Read);
        let producer = done("map the producer's page and the data", rest)?;
        same("all of the data is mapped", producer.len() >= page + size, true)?;
        Ok(Ring { map, size, page, consumer, producer })
    }

    /// Gives the map.
    pub fn map(&self) -> &MapFd {
        &self.map
    }

    fn positions(&self) -> Result<(u64, u64), Failure> {
        let consumer = self.consumer.load_acquire_u64(ring::CONSUMER_POS);
        let producer = self.producer.load_acquire_u64(ring::PRODUCER_POS);
        same("positions are readable", (consumer.is_ok(), producer.is_ok()), (true, true))?;
        Ok((consumer.unwrap_or_default(), producer.unwrap_or_default()))
    }

    /// Takes the next record out; none where the reader has caught up.
    ///
    /// # Errors
    /// [`Failure`] where the ring is not as Linux writes it.
    pub fn take(&self) -> Result<Option<Vec<u8>>, Failure> {
        Ok(self.take_with_place()?.map(|(record, _)| record))
    }

    /// Takes the next record out, and tells how it lay to the end of the data. What was discarded is skipped.
    pub(crate) fn take_with_place(&self) -> Result<Option<(Vec<u8>, Place)>, Failure> {
        let mut place = Place::Within;
        loop {
            let (consumer, producer) = self.positions()?;
            if consumer == producer {
                return Ok(None);
            }
            let start = consumer as usize & (self.size - 1);
            let at = self.page + start;
            let header = self.producer.load_acquire_u32(at);
            let Ok(header) = header else {
                return same("the header is readable", header, Ok(0)).map(|()| None);
            };
            same("the record is committed", header & ring::BUSY_BIT, 0)?;
            let len = (header & !ring::DISCARD_BIT) as usize;
            same("the record fits the ring", len <= self.size, true)?;
            let whole = (ring::HDR_SIZE + len).next_multiple_of(8);
            let move_on = || {
                let next = consumer + whole as u64;
                same("the position moves", self.consumer.store_release_u64(ring::CONSUMER_POS, next), Ok(()))
            };
            if header & ring::DISCARD_BIT != 0 {
                same("what was discarded fills the data up to its end", start + whole, self.size)?;
                place = Place::AfterPadding;
                move_on()?;
                continue;
            }
            if start + whole > self.size {
                place = Place::OverTheEnd;
            }
            let mut record = alloc::vec![0; len];
            same("the record is readable", self.producer.copy_out(at + ring::HDR_SIZE, &mut record), Ok(()))?;
            move_on()?;
            return Ok(Some((record, place)));
        }
    }
}

/// How a record lies to the end of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before it.
    Within,
    /// Over it, into the second mapping of the data.
    OverTheEnd,
    /// At the start of the data, after padding that is discarded.
    AfterPadding,
}

pub(crate) fn empty(kernel: &Kernel, machine: Machine) -> Result<(), Failure> {
    let ring = Ring::new(kernel, machine)?;
    same("positions of a new ring", ring.positions()?, (0, 0))?;
    let ready = done("wait for nothing", kernel.wait_readable(ring.map.fd(), Some(0)))?;
    same("an empty ring is not readable", ready, false)?;
    let ready = done("wait for nothing a little", kernel.wait_readable(ring.map.fd(), Some(5)))?;
    same("an empty ring is not readable after a little", ready, false)?;
    same("an empty ring has no record", ring.take()?, None)
}
