//! The system calls as C functions, each of which finds its system, its arguments, and ends by reclaiming what was retired.

use super::System;
use alloc::sync::Arc;
use core::ffi::{CStr, c_char, c_int, c_long, c_void};
use core::ptr::{self, NonNull};
use skep_abi::{Cmd, Errno};
use skep_kernel::Mmap;
use skep_mem::Bytes;
use skep_sys::{Call, FdOrigin, Functions, Kernel, PollFd, Reply, Sys, VTable};

/// `PROT_READ | PROT_WRITE`.
const READ_WRITE: c_int = 3;

/// The table of the system calls, which keeps their system alive.
struct Seam {
    table: VTable,
    _system: Arc<System>,
}

impl Sys for Seam {
    fn call(&self, call: Call<'_>) -> Result<Reply, Errno> {
        self.table.call(call)
    }
}

impl System {
    /// Puts the system calls behind the seam.
    pub(crate) fn seam(self: &Arc<System>) -> Kernel {
        let functions = Functions {
            bpf: Some(bpf),
            mmap: Some(mmap),
            munmap: Some(munmap),
            poll: Some(poll),
            open: Some(open),
            read: Some(read),
            unlink: Some(unlink),
            dup: Some(dup),
            close: Some(close),
            ..Functions::none(Arc::as_ptr(self).cast_mut().cast())
        };
        // SAFETY: the functions are those of this file, which do as the table says, with the system as their context, which
        // lives as long as the table, in one value with it.
        let table = unsafe { VTable::new(functions, FdOrigin::Os) };
        Kernel::from_sys(Seam { table, _system: Arc::clone(self) })
    }
}

/// Answers a call, as the number that the table of functions wants.
///
/// # Safety
/// `context` is that of [`System::seam`], and the system is still there.
unsafe fn answer(context: *mut c_void, call: impl FnOnce(&System) -> Result<i64, Errno>) -> c_long {
    // SAFETY: the caller's contract.
    let system = unsafe { &*context.cast::<System>() };
    let answer = call(system);
    // Nothing is held or read here any more, so what was retired may go.
    system.host.0.settle();
    answer.unwrap_or_else(Errno::negated)
}

unsafe extern "C" fn bpf(context: *mut c_void, cmd: c_int, attr: *mut c_void, size: u32) -> c_long {
    let attr = attr.expose_provenance() as u64;
    // SAFETY: the contract of the table, by which the attributes name memory of the caller.
    let call = |system: &System| unsafe { system.bpf(Cmd(cmd as u32), attr, size) };
    // SAFETY: the contract of the table.
    unsafe { answer(context, call) }
}

unsafe extern "C" fn mmap(context: *mut c_void, fd: c_int, at: u64, len: usize, prot: c_int) -> *mut c_void {
    let how = if prot == READ_WRITE { Mmap::ReadWrite } else { Mmap::Read };
    // SAFETY: the contract of the table.
    let address = unsafe { answer(context, |system| system.mmap(fd, at, len, how).map(|at| at as i64)) };
    ptr::with_exposed_provenance_mut(address as usize)
}

unsafe extern "C" fn munmap(context: *mut c_void, base: *mut c_void, len: usize) -> c_long {
    // SAFETY: the contract of the table.
    unsafe { answer(context, |system| system.munmap(base.addr(), len)) }
}

unsafe extern "C" fn poll(context: *mut c_void, fds: *mut PollFd, count: usize, timeout: c_int) -> c_long {
    // SAFETY: the contract of the table: so many descriptors, lent for the call.
    let fds = unsafe { core::slice::from_raw_parts_mut(fds, count) };
    // SAFETY: as above.
    unsafe { answer(context, |system| system.poll(fds, timeout)) }
}

unsafe extern "C" fn open(context: *mut c_void, path: *const c_char, _mode: c_int) -> c_long {
    // SAFETY: the contract of the table: a path with its NUL.
    let path = unsafe { CStr::from_ptr(path) };
    // SAFETY: as above.
    unsafe { answer(context, |system| system.open(path.to_bytes())) }
}

unsafe extern "C" fn read(context: *mut c_void, fd: c_int, into: *mut c_void, len: usize) -> c_long {
    let Some(base) = NonNull::new(into.cast::<u8>()) else { return Errno::EFAULT.negated() };
    // SAFETY: the contract of the table: so many bytes, lent for the call.
    let into = unsafe { Bytes::from_raw(base, len) };
    // SAFETY: as above.
    unsafe { answer(context, |system| system.read(fd, into)) }
}

unsafe extern "C" fn unlink(context: *mut c_void, path: *const c_char) -> c_long {
    // SAFETY: the contract of the table: a path with its NUL.
    let path = unsafe { CStr::from_ptr(path) };
    // SAFETY: as above.
    unsafe { answer(context, |system| system.unlink(path.to_bytes())) }
}

unsafe extern "C" fn dup(context: *mut c_void, fd: c_int) -> c_long {
    // SAFETY: the contract of the table.
    unsafe { answer(context, |system| system.dup(fd)) }
}

unsafe extern "C" fn close(context: *mut c_void, fd: c_int) -> c_long {
    // SAFETY: the contract of the table.
    unsafe { answer(context, |system| system.close(fd)) }
}
