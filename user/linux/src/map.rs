//! `mmap(2)` and `munmap(2)`.

use crate::fd;
use rustix::mm::{MapFlags, ProtFlags};
use skep_abi::Errno;
use skep_sys::{MapCall, Protection, RawMapping, Reply};
use std::ptr::{self, NonNull};

/// What marks a mapping as made here: its address, which nobody else uses as a cookie.
static MARK: u8 = 0;

fn cookie() -> usize {
    (&raw const MARK).addr()
}

pub(crate) fn map(call: MapCall) -> Result<Reply, Errno> {
    let protection = match call.protection {
        Protection::Read => ProtFlags::READ,
        Protection::ReadWrite => ProtFlags::READ | ProtFlags::WRITE,
    };
    let on = fd::borrow(call.fd)?;
    // SAFETY: a new mapping at an address that the kernel chooses touches no memory that is in use.
    let base =
        unsafe { rustix::mm::mmap(ptr::null_mut(), call.len, protection, MapFlags::SHARED, on, call.offset) };
    let base = NonNull::new(base.map_err(fd::errno)?.cast::<u8>()).ok_or(Errno::EPROTO)?;
    // SAFETY: the range is page-aligned, has just been mapped as asked for, and is known to nobody else; it is unmapped
    // by `unmap` with this very value only.
    Ok(Reply::Mapping(unsafe { RawMapping::new(base, call.len, cookie()) }))
}

pub(crate) fn unmap(raw: RawMapping) -> Result<Reply, Errno> {
    if raw.cookie() != cookie() {
        return Err(Errno::EINVAL);
    }
    // SAFETY: `map` made this mapping, and whoever owned it gives it up: it can neither be copied nor used again.
    unsafe { rustix::mm::munmap(raw.base().as_ptr().cast(), raw.len()) }.map_err(fd::errno)?;
    Ok(Reply::None)
}
