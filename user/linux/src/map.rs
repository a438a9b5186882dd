//! `mmap(2)` and `munmap(2)`.

use crate::fd;
use rustix::fs::{Mode, OFlags};
use rustix::mm::{MapFlags, ProtFlags};
use skep_abi::Errno;
use skep_sys::{ArenaCall, MapCall, Protection, RawImage, RawMapping, Reply};
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

/// Where the kernel shows its own BTF.
const BTF: &str = "/sys/kernel/btf/vmlinux";
/// `SYSFS_MAGIC` (include/uapi/linux/magic.h).
const SYSFS: u32 = 0x6265_6572;

pub(crate) fn map_btf() -> Result<Reply, Errno> {
    let file = rustix::fs::open(BTF, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty());
    let file = file.map_err(fd::errno)?;
    // Where something else is mounted at this place, the file may be any.
    if rustix::fs::fstatfs(&file).map_err(fd::errno)?.f_type as u32 != SYSFS {
        return Err(Errno::EOPNOTSUPP);
    }
    let len = rustix::fs::fstat(&file).map_err(fd::errno)?.st_size;
    let len = usize::try_from(len).ok().filter(|len| isize::try_from(*len).is_ok()).ok_or(Errno::EFBIG)?;
    // SAFETY: a new mapping at an address that the kernel chooses touches no memory that is in use.
    let base =
        unsafe { rustix::mm::mmap(ptr::null_mut(), len, ProtFlags::READ, MapFlags::PRIVATE, &file, 0) };
    let base = NonNull::new(base.map_err(fd::errno)?.cast::<u8>()).ok_or(Errno::EPROTO)?;
    // SAFETY: the file is the kernel's own in its sysfs, whose length never changes. What is mapped are the pages of the
    // kernel's read-only data that hold its BTF (kernel/bpf/sysfs_btf.c, `btf_sysfs_vmlinux_mmap`): the kernel does not
    // write them, and neither shared nor writable mappings of them are given to anybody. They stay until `unmap` gets
    // these very numbers.
    Ok(Reply::Image(unsafe { RawImage::new(base, len, cookie()) }))
}

pub(crate) fn arena(call: ArenaCall) -> Result<Reply, Errno> {
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    let on = fd::borrow(call.fd)?;
    let (wanted, flags) = match call.at {
        None => (ptr::null_mut(), MapFlags::SHARED),
        Some(at) => (ptr::without_provenance_mut(at.get()), MapFlags::SHARED | MapFlags::FIXED_NOREPLACE),
    };
    // SAFETY: a new mapping, at an address that the kernel chooses or where it finds nothing, touches no memory that is in
    // use.
    let base = unsafe { rustix::mm::mmap(wanted, call.len, protection, flags, on, 0) };
    let base = NonNull::new(base.map_err(fd::errno)?.cast::<u8>()).ok_or(Errno::EPROTO)?;
    // SAFETY: the range is page-aligned, has just been mapped as asked for, and is known to nobody else in this process but
    // by its number; it is unmapped by `unmap` with this very value only.
    let raw = unsafe { RawMapping::new(base, call.len, cookie()) };
    if call.at.is_some_and(|at| at != raw.base().addr()) {
        // A kernel that takes the flag for a hint (before 4.17).
        unmap(raw)?;
        return Err(Errno::EEXIST);
    }
    Ok(Reply::Mapping(raw))
}

pub(crate) fn unmap(raw: RawMapping) -> Result<Reply, Errno> {
    if raw.cookie() != cookie() {
        return Err(Errno::EINVAL);
    }
    // SAFETY: `map` made this mapping, and whoever owned it gives it up: it can neither be copied nor used again.
    unsafe { rustix::mm::munmap(raw.base().as_ptr().cast(), raw.len()) }.map_err(fd::errno)?;
    Ok(Reply::None)
}
