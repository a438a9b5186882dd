//! Descriptors, and the results of system calls.

use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use skep_abi::Errno;
use skep_sys::{Fd, Handle, Reply};

/// The lowest number that is no standard stream.
const LOWEST: i32 = 3;

/// Borrows a descriptor for one system call.
pub(crate) fn borrow(fd: Fd) -> Result<BorrowedFd<'static>, Errno> {
    match fd {
        // SAFETY: the number is not -1, and the borrow is used for one system call, which answers EBADF where the
        // number is not open.
        Fd::Os(number) if number >= 0 => Ok(unsafe { BorrowedFd::borrow_raw(number) }),
        _ => Err(Errno::EBADF),
    }
}

/// Gives the number of a descriptor of the operating system.
pub(crate) fn number(fd: Fd) -> Result<i32, Errno> {
    match fd {
        Fd::Os(number) => Ok(number),
        Fd::Virtual(_) => Err(Errno::EBADF),
    }
}

pub(crate) fn errno(error: rustix::io::Errno) -> Errno {
    Errno::from_raw(error.raw_os_error()).unwrap_or(Errno::EPROTO)
}

/// Reads the result of a libc call: -1 stands for `errno`.
pub(crate) fn result(value: i64) -> Result<u64, Errno> {
    if value >= 0 {
        return Ok(value as u64);
    }
    let raw = std::io::Error::last_os_error().raw_os_error();
    Err(raw.and_then(Errno::from_raw).unwrap_or(Errno::EPROTO))
}

/// Takes a descriptor that a libc call has just given.
///
/// # Safety
/// `value` is the result of a system call that gives a new descriptor.
pub(crate) unsafe fn new(value: i64) -> Result<Reply, Errno> {
    let number = i32::try_from(result(value)?).map_err(|_| Errno::EPROTO)?;
    // SAFETY: the kernel has just given this descriptor to the caller, who gives it to nobody else.
    above_streams(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Answers with a new descriptor, duplicated where it has taken the number of a standard stream: a program that prints
/// would otherwise write into a BPF map.
pub(crate) fn above_streams(fd: OwnedFd) -> Result<Reply, Errno> {
    let fd = match fd.as_raw_fd() {
        LOWEST.. => fd,
        _ => rustix::io::fcntl_dupfd_cloexec(&fd, LOWEST).map_err(errno)?,
    };
    Ok(Reply::Fd(Fd::Os(fd.into_raw_fd())))
}

pub(crate) fn dup(fd: Fd) -> Result<Reply, Errno> {
    let new = rustix::io::fcntl_dupfd_cloexec(borrow(fd)?, LOWEST).map_err(errno)?;
    above_streams(new)
}

pub(crate) fn close(fd: Fd) -> Result<Reply, Errno> {
    let number = number(fd)?;
    // SAFETY: the caller hands the descriptor over to be closed; EBADF where it is not open.
    result(i64::from(unsafe { libc::close(number) }))?;
    Ok(Reply::None)
}

/// Lends the operating system's descriptor of a handle, for an event loop; `None` where it is another kernel's.
pub fn borrow_handle(handle: &Handle) -> Option<BorrowedFd<'_>> {
    let number = handle.as_os_fd().filter(|number| *number >= 0)?;
    // SAFETY: the handle owns the descriptor and closes it when it is dropped, which the borrow outlives not.
    Some(unsafe { BorrowedFd::borrow_raw(number) })
}
