//! The memory of a ring, mapped: where its reader and its writer stand, and the records between them.

use crate::error::{Error, ErrorKind, Result};
use crate::{Kernel, Map};
use skep_abi::{Errno, MapType};
use skep_sys::{Mapping, Protection};

/// Who writes the records of a ring; the other side reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    /// Programs write (`BPF_MAP_TYPE_RINGBUF`).
    Programs,
    /// User space writes (`BPF_MAP_TYPE_USER_RINGBUF`).
    UserSpace,
}

impl Writer {
    /// The kind of map, and what it is called.
    fn kind(self) -> (MapType, &'static str) {
        match self {
            Writer::Programs => (MapType::RINGBUF, "a ring buffer"),
            Writer::UserSpace => (MapType::USER_RINGBUF, "a ring that user space writes"),
        }
    }

    /// How the reader's page is mapped, and how the writer's page and the data: each in one way only (kernel/bpf/ringbuf.c,
    /// `ringbuf_map_mmap_kern` and `ringbuf_map_mmap_user`).
    fn protection(self) -> (Protection, Protection) {
        match self {
            Writer::Programs => (Protection::ReadWrite, Protection::Read),
            Writer::UserSpace => (Protection::Read, Protection::ReadWrite),
        }
    }

    /// How many times the data has to be there. A kernel that cannot map it twice in a row lets no record of a program go
    /// over its end; one of user space may.
    fn copies(self) -> usize {
        match self {
            Writer::Programs => 1,
            Writer::UserSpace => 2,
        }
    }
}

/// The memory of a ring.
pub(crate) struct RingMemory {
    pub(crate) kernel: Kernel,
    /// The page with the reader's position.
    pub(crate) consumer: Mapping,
    /// The page with the writer's position, then the data, twice in a row where the kernel can.
    pub(crate) producer: Mapping,
    /// Bytes before the data.
    pub(crate) page: usize,
    /// Bytes of data, a power of two.
    pub(crate) size: u64,
    /// Bytes of data that are mapped.
    pub(crate) mapped: u64,
}

impl RingMemory {
    /// Maps both parts of a ring. The map may be dropped.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where it is a map of another kind; [`ErrorKind::Kernel`] where it cannot be mapped;
    /// [`ErrorKind::Corrupt`] where less is mapped than a ring has.
    pub(crate) fn map(map: &Map, writer: Writer) -> Result<RingMemory> {
        let fail = |error: Error| error.in_map(map.name());
        let (kind, wanted) = writer.kind();
        if map.map_type() != kind {
            let what = format!("is a map of type {}, wanted {wanted}", map.map_type());
            return Err(fail(Error::new(ErrorKind::Setting, what).with_errno(Errno::EINVAL)));
        }
        let kernel = map.kernel().clone();
        let page = kernel.page_size().map_err(fail)?;
        let size = map.max_entries()? as usize;
        let too_large = || fail(Error::call("mmap", Errno::ENOMEM));
        let len = size.checked_mul(2).and_then(|len| len.checked_add(page)).ok_or_else(too_large)?;
        let handle = map.fd().handle();
        let mmap = |offset: usize, len, protection| {
            let mapping = kernel.sys().map(handle, offset as u64, len, protection);
            mapping.map_err(|error| fail(Error::call("mmap", error)))
        };
        let (of_consumer, of_producer) = writer.protection();
        let consumer = mmap(0, page, of_consumer)?;
        let producer = mmap(page, len, of_producer)?;
        let mapped = producer.len().saturating_sub(page);
        if !size.is_power_of_two() || mapped / writer.copies() < size || consumer.len() < page {
            let what = format!("a ring of {size} bytes, of which {mapped} are mapped");
            return Err(fail(Error::new(ErrorKind::Corrupt, what)));
        }
        Ok(RingMemory { kernel, consumer, producer, page, size: size as u64, mapped: mapped as u64 })
    }
}
