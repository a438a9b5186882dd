//! The exercise on a table of C functions filled from libc.
#![cfg(target_os = "linux")]

mod common;

use libc::{c_char, c_int, c_long, c_ulong, c_void};
use skep_sys::{CStat, FdOrigin, Functions, Kernel, PollFd, VTable};
use std::ptr;

/// Turns libc's -1 into a negative errno.
fn answer(result: c_long) -> c_long {
    if result != -1 {
        return result;
    }
    -c_long::from(std::io::Error::last_os_error().raw_os_error().unwrap())
}

macro_rules! c_functions {
    ($(fn $name:ident($($argument:ident: $kind:ty),*) $body:expr;)*) => {
        $(unsafe extern "C" fn $name(_: *mut c_void, $($argument: $kind),*) -> c_long {
            // SAFETY: the caller passes on what the system call of this name wants (`Functions`).
            answer(c_long::from(unsafe { $body }))
        })*
    };
}

c_functions! {
    fn bpf(cmd: c_int, attr: *mut c_void, size: u32) libc::syscall(libc::SYS_bpf, cmd, attr, size);
    fn perf_event_open(attr: *mut c_void, pid: c_int, cpu: c_int, group: c_int, flags: c_ulong)
        libc::syscall(libc::SYS_perf_event_open, attr, pid, cpu, group, flags);
    fn ioctl(fd: c_int, request: c_ulong, argument: c_ulong) libc::ioctl(fd, request as _, argument);
    fn munmap(base: *mut c_void, len: usize) libc::munmap(base, len);
    fn poll(fds: *mut PollFd, count: usize, timeout: c_int)
        libc::poll(fds.cast(), count as libc::nfds_t, timeout);
    fn open(path: *const c_char, mode: c_int) libc::open(path, libc::O_CLOEXEC | match mode {
        0 => libc::O_RDONLY,
        1 => libc::O_WRONLY,
        2 => libc::O_WRONLY | libc::O_APPEND,
        _ => libc::O_RDONLY | libc::O_DIRECTORY,
    });
    fn read(fd: c_int, into: *mut c_void, len: usize) libc::read(fd, into, len) as c_long;
    fn pread(fd: c_int, into: *mut c_void, len: usize, at: u64) libc::pread(fd, into, len, at as _) as c_long;
    fn write(fd: c_int, from: *const c_void, len: usize) libc::write(fd, from, len) as c_long;
    fn getdents(fd: c_int, into: *mut c_void, len: usize) libc::syscall(libc::SYS_getdents64, fd, into, len);
    fn mkdir(path: *const c_char) libc::mkdir(path, 0o700);
    fn unlink(path: *const c_char) libc::unlink(path);
    fn rmdir(path: *const c_char) libc::rmdir(path);
    fn dup(fd: c_int) libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3);
    fn close(fd: c_int) libc::close(fd);
}

unsafe extern "C" fn mmap(_: *mut c_void, fd: c_int, at: u64, len: usize, protection: c_int) -> *mut c_void {
    // SAFETY: a new mapping at an address that the kernel chooses.
    let base = unsafe { libc::mmap(ptr::null_mut(), len, protection, libc::MAP_SHARED, fd, at as _) };
    if base != libc::MAP_FAILED {
        return base;
    }
    ptr::without_provenance_mut(answer(-1) as usize)
}

unsafe extern "C" fn stat(_: *mut c_void, path: *const c_char, into: *mut CStat) -> c_long {
    // SAFETY: all zero is a value of this C struct.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends with NUL and the struct is there.
    let result = answer(unsafe { libc::stat(path, &raw mut stat) }.into());
    let found = CStat {
        mode: stat.st_mode,
        reserved: 0,
        len: stat.st_size as u64,
        device: stat.st_dev,
        inode: stat.st_ino,
    };
    // SAFETY: the caller gives a struct to fill.
    unsafe { into.write(found) };
    result
}

unsafe extern "C" fn statfs(_: *mut c_void, path: *const c_char, into: *mut u64) -> c_long {
    // SAFETY: all zero is a value of this C struct.
    let mut stat: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends with NUL and the struct is there.
    let result = answer(unsafe { libc::statfs(path, &raw mut stat) }.into());
    // SAFETY: the caller gives a number to fill.
    unsafe { into.write(stat.f_type as u32 as u64) };
    result
}

unsafe extern "C" fn limits(_: *mut c_void, into: *mut [u64; 2]) -> c_long {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the struct is there.
    let result = answer(unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) }.into());
    // SAFETY: the caller gives two numbers to fill.
    unsafe { into.write([limit.rlim_cur, limit.rlim_max]) };
    result
}

fn functions() -> Functions {
    Functions {
        bpf: Some(bpf),
        perf_event_open: Some(perf_event_open),
        ioctl: Some(ioctl),
        mmap: Some(mmap),
        munmap: Some(munmap),
        poll: Some(poll),
        open: Some(open),
        read: Some(read),
        pread: Some(pread),
        write: Some(write),
        stat: Some(stat),
        statfs: Some(statfs),
        getdents: Some(getdents),
        mkdir: Some(mkdir),
        unlink: Some(unlink),
        rmdir: Some(rmdir),
        limits: Some(limits),
        dup: Some(dup),
        close: Some(close),
        ..Functions::none(ptr::null_mut())
    }
}

fn kernel() -> Kernel {
    // SAFETY: the functions are libc's system calls, which do as described and may be called from any thread.
    Kernel::from_sys(unsafe { VTable::new(functions(), FdOrigin::Os) })
}

#[test]
fn a_table_filled_from_libc_passes() {
    let _alone = common::alone();
    let Some(machine) = common::bpf("a_table_filled_from_libc_passes") else { return };
    let before = common::Leftovers::now();
    skep_lab_seam::exercise(&kernel(), machine).unwrap();
    skep_lab_seam::exercise_programs(&kernel(), machine).unwrap();
    skep_lab_seam::exercise_verifier(&kernel()).unwrap();
    assert_eq!(common::Leftovers::now(), before);
}

#[test]
fn files() {
    let _alone = common::alone();
    common::files::exercise(&kernel(), "vtable");
}

#[test]
fn what_is_not_in_the_table_is_refused() {
    let call = kernel().socket_detach(skep_sys::Fd::Os(3));
    assert_eq!(call.unwrap_err().errno(), skep_abi::Errno::ENOSYS);
    let call = kernel().wait_readable(skep_sys::Fd::Virtual(3), Some(0));
    assert_eq!(call.unwrap_err().errno(), skep_abi::Errno::EBADF);
}
