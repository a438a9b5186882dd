//! A kernel made of C functions that the caller supplies.

use crate::{
    Attr, Call, Fd, FileCall, FileKind, FileStat, Interest, Ioctl, Limit, MapCall, OpenMode, PerfEventOpen,
    Protection, RawMapping, Reply, SocketCall, Sys, WaitFd, add_dir_entries,
};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::{c_char, c_int, c_long, c_ulong, c_void};
use core::fmt;
use core::ptr::NonNull;
use skep_abi::{Errno, PerfEventAttr, perf};

/// One descriptor of [`Functions::poll`], laid out as `struct pollfd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct PollFd {
    /// The descriptor.
    pub fd: c_int,
    /// What to wait for: 1 to read (`POLLIN`), 4 to write (`POLLOUT`).
    pub events: i16,
    /// Set by the call: what there is, errors and hang-ups too.
    pub revents: i16,
}

/// What [`Functions::stat`] fills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CStat {
    /// The file's mode, as `st_mode`.
    pub mode: u32,
    /// Zero.
    pub reserved: u32,
    /// The length in bytes.
    pub len: u64,
    /// The device.
    pub device: u64,
    /// The inode.
    pub inode: u64,
}

/// The functions, in C's calling convention. Each gets [`Functions::context`] first and answers with a number: a
/// negative errno, or what the system call of the same name gives. A function that is not there answers `ENOSYS`.
///
/// Descriptors must be close-on-exec and not below 3. Numbers of commands, requests and flags are those of Linux on
/// machines with the generic encoding ([`skep_abi::perf`]).
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[allow(clippy::type_complexity, reason = "each is one C declaration")]
pub struct Functions {
    /// Handed to every function.
    pub context: *mut c_void,
    /// `bpf(command, attributes, size)`.
    pub bpf: Option<unsafe extern "C" fn(*mut c_void, c_int, *mut c_void, u32) -> c_long>,
    /// `perf_event_open(attributes, pid, cpu, group, flags)`.
    pub perf_event_open:
        Option<unsafe extern "C" fn(*mut c_void, *mut c_void, c_int, c_int, c_int, c_ulong) -> c_long>,
    /// `ioctl(fd, request, argument)`.
    pub ioctl: Option<unsafe extern "C" fn(*mut c_void, c_int, c_ulong, c_ulong) -> c_long>,
    /// `mmap` of a shared mapping, `(fd, offset, length, protection)`: protection 1 to read, 3 to read and write.
    /// Answers with the address, or with an address in the last 4095 bytes that stands for a negative errno.
    pub mmap: Option<unsafe extern "C" fn(*mut c_void, c_int, u64, usize, c_int) -> *mut c_void>,
    /// `munmap(address, length)`.
    pub munmap: Option<unsafe extern "C" fn(*mut c_void, *mut c_void, usize) -> c_long>,
    /// `poll(descriptors, count, timeout)`, in milliseconds, -1 for ever.
    pub poll: Option<unsafe extern "C" fn(*mut c_void, *mut PollFd, usize, c_int) -> c_long>,
    /// `open(path, mode)`: 0 to read, 1 to write, 2 to append, 3 a directory.
    pub open: Option<unsafe extern "C" fn(*mut c_void, *const c_char, c_int) -> c_long>,
    /// `read(fd, buffer, length)`.
    pub read: Option<unsafe extern "C" fn(*mut c_void, c_int, *mut c_void, usize) -> c_long>,
    /// `pread(fd, buffer, length, offset)`.
    pub pread: Option<unsafe extern "C" fn(*mut c_void, c_int, *mut c_void, usize, u64) -> c_long>,
    /// `write(fd, buffer, length)`.
    pub write: Option<unsafe extern "C" fn(*mut c_void, c_int, *const c_void, usize) -> c_long>,
    /// `stat(path, what)`.
    pub stat: Option<unsafe extern "C" fn(*mut c_void, *const c_char, *mut CStat) -> c_long>,
    /// The magic number of the file system of a path, into the second argument.
    pub statfs: Option<unsafe extern "C" fn(*mut c_void, *const c_char, *mut u64) -> c_long>,
    /// `getdents64(fd, buffer, length)`.
    pub getdents: Option<unsafe extern "C" fn(*mut c_void, c_int, *mut c_void, usize) -> c_long>,
    /// `mkdir(path)`, mode 0700.
    pub mkdir: Option<unsafe extern "C" fn(*mut c_void, *const c_char) -> c_long>,
    /// `unlink(path)`.
    pub unlink: Option<unsafe extern "C" fn(*mut c_void, *const c_char) -> c_long>,
    /// `rmdir(path)`.
    pub rmdir: Option<unsafe extern "C" fn(*mut c_void, *const c_char) -> c_long>,
    /// `setsockopt` of `SO_ATTACH_BPF`, `(socket, program)`; of `SO_DETACH_BPF` where the program is -1.
    pub socket_filter: Option<unsafe extern "C" fn(*mut c_void, c_int, c_int) -> c_long>,
    /// `getrlimit` of `RLIMIT_MEMLOCK`: soft and hard limit, all ones for none.
    pub limits: Option<unsafe extern "C" fn(*mut c_void, *mut [u64; 2]) -> c_long>,
    /// `setrlimit` of `RLIMIT_MEMLOCK`: soft and hard limit.
    pub set_limits: Option<unsafe extern "C" fn(*mut c_void, *const [u64; 2]) -> c_long>,
    /// `fcntl(fd, F_DUPFD_CLOEXEC, 3)`.
    pub dup: Option<unsafe extern "C" fn(*mut c_void, c_int) -> c_long>,
    /// `close(fd)`.
    pub close: Option<unsafe extern "C" fn(*mut c_void, c_int) -> c_long>,
}

impl Functions {
    /// Makes a table without functions, to be filled in.
    pub const fn none(context: *mut c_void) -> Functions {
        Functions {
            context,
            bpf: None,
            perf_event_open: None,
            ioctl: None,
            mmap: None,
            munmap: None,
            poll: None,
            open: None,
            read: None,
            pread: None,
            write: None,
            stat: None,
            statfs: None,
            getdents: None,
            mkdir: None,
            unlink: None,
            rmdir: None,
            socket_filter: None,
            limits: None,
            set_limits: None,
            dup: None,
            close: None,
        }
    }
}

/// Whose numbers the functions' descriptors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FdOrigin {
    /// The operating system's.
    Os,
    /// A kernel's of their own.
    Virtual,
}

/// Answers by C functions.
pub struct VTable {
    functions: Functions,
    origin: FdOrigin,
    /// Its address tells this value's mappings from others'.
    mark: Box<u8>,
}

// SAFETY: `VTable::new` has it promised that the functions may be called from any thread, several at once.
unsafe impl Send for VTable {}
// SAFETY: as for Send.
unsafe impl Sync for VTable {}

/// Calls a function of the table, if it is there; its result is an errno or a number.
macro_rules! ask {
    ($table:expr, $function:ident($($argument:expr),*)) => {
        match $table.functions.$function {
            None => Err(Errno::ENOSYS),
            // SAFETY: `VTable::new` has it promised that the function may be called with what its documentation says,
            // and the arguments are that, alive until it returns.
            Some(function) => number(unsafe { function($table.functions.context, $($argument),*) }),
        }
    };
}

#[allow(clippy::useless_conversion, reason = "c_long has 32 bits on some machines")]
fn number(result: c_long) -> Result<u64, Errno> {
    Errno::from_result(i64::from(result))
}

impl VTable {
    /// Puts functions behind the seam.
    ///
    /// # Safety
    /// For as long as the value lives, each function may be called from any thread with arguments as described at
    /// [`Functions`], and does what is described there: it writes only into memory that it is given a mutable pointer
    /// to and into what attributes name, within the lengths given, and keeps no pointer. What `mmap` gives is aligned
    /// to a page, mapped as asked for until `munmap`, and known to nobody else in the process.
    pub unsafe fn new(functions: Functions, origin: FdOrigin) -> VTable {
        VTable { functions, origin, mark: Box::new(0) }
    }

    fn cookie(&self) -> usize {
        (&raw const *self.mark).addr()
    }

    fn number(&self, fd: Fd) -> Result<c_int, Errno> {
        match (fd, self.origin) {
            (Fd::Os(number), FdOrigin::Os) | (Fd::Virtual(number), FdOrigin::Virtual) => Ok(number),
            _ => Err(Errno::EBADF),
        }
    }

    fn new_fd(&self, number: u64) -> Result<Reply, Errno> {
        let number = i32::try_from(number).map_err(|_| Errno::EPROTO)?;
        Ok(Reply::Fd(match self.origin {
            FdOrigin::Os => Fd::Os(number),
            FdOrigin::Virtual => Fd::Virtual(number),
        }))
    }

    fn bpf(&self, mut attr: Attr<'_>) -> Result<Reply, Errno> {
        let makes_fd = attr.makes_fd();
        let answer = attr.with_addresses(|cmd, at, size| ask!(self, bpf(cmd.0 as c_int, at.cast(), size)))?;
        if makes_fd { self.new_fd(answer) } else { Ok(Reply::Count(answer)) }
    }

    fn perf_event_open(&self, open: PerfEventOpen<'_>) -> Result<Reply, Errno> {
        let mut attr = PerfEventAttr { size: size_of::<PerfEventAttr>() as u32, ..*open.attr };
        let target = open.target.map(nul_terminated).transpose()?;
        if let Some(target) = &target {
            attr.bp_addr = target.as_ptr().expose_provenance() as u64;
        }
        let group = open.group.map_or(Ok(-1), |group| self.number(group))?;
        let flags = perf::PERF_FLAG_FD_CLOEXEC as c_ulong;
        let at = (&raw mut attr).cast();
        self.new_fd(ask!(self, perf_event_open(at, open.pid, open.cpu, group, flags))?)
    }

    fn ioctl(&self, fd: Fd, ioctl: Ioctl) -> Result<Reply, Errno> {
        let (request, argument) = match ioctl {
            Ioctl::PerfEnable => (perf::PERF_EVENT_IOC_ENABLE, 0),
            Ioctl::PerfDisable => (perf::PERF_EVENT_IOC_DISABLE, 0),
            Ioctl::PerfSetBpf(prog) => (perf::PERF_EVENT_IOC_SET_BPF, self.number(prog)?),
        };
        let (request, argument) = (c_ulong::from(request), argument as c_ulong);
        ask!(self, ioctl(self.number(fd)?, request, argument)).map(Reply::Count)
    }

    fn map(&self, call: MapCall) -> Result<Reply, Errno> {
        let fd = self.number(call.fd)?;
        let protection = match call.protection {
            Protection::Read => 1,
            Protection::ReadWrite => 3,
        };
        let function = self.functions.mmap.ok_or(Errno::ENOSYS)?;
        // SAFETY: `VTable::new` has it promised that the function may be called so.
        let base = unsafe { function(self.functions.context, fd, call.offset, call.len, protection) };
        Errno::from_result(base.addr() as isize as i64)?;
        let base = NonNull::new(base.cast::<u8>()).ok_or(Errno::EPROTO)?;
        // SAFETY: `VTable::new` has it promised that the range is aligned, mapped until `munmap`, and nobody else's.
        Ok(Reply::Mapping(unsafe { RawMapping::new(base, call.len, self.cookie()) }))
    }

    fn unmap(&self, raw: RawMapping) -> Result<Reply, Errno> {
        if raw.cookie() != self.cookie() {
            return Err(Errno::EINVAL);
        }
        ask!(self, munmap(raw.base().as_ptr().cast(), raw.len()))?;
        Ok(Reply::None)
    }

    fn wait(&self, fds: &mut [WaitFd], timeout_ms: Option<u32>) -> Result<Reply, Errno> {
        let mut polled = Vec::new();
        polled.try_reserve_exact(fds.len()).map_err(|_| Errno::ENOMEM)?;
        for wait in fds.iter() {
            let events = match wait.interest {
                Interest::Readable => 1,
                Interest::Writable => 4,
            };
            polled.push(PollFd { fd: self.number(wait.fd)?, events, revents: 0 });
        }
        let timeout = timeout_ms.map_or(-1, |ms| c_int::try_from(ms).unwrap_or(c_int::MAX));
        let count = ask!(self, poll(polled.as_mut_ptr(), polled.len(), timeout))?;
        for (wait, polled) in fds.iter_mut().zip(&polled) {
            wait.ready = polled.revents != 0;
        }
        Ok(Reply::Count(count))
    }

    fn file(&self, call: FileCall<'_>) -> Result<Reply, Errno> {
        match call {
            FileCall::Open(path, mode) => {
                let mode = match mode {
                    OpenMode::Read => 0,
                    OpenMode::Write => 1,
                    OpenMode::Append => 2,
                    OpenMode::Directory => 3,
                };
                self.new_fd(ask!(self, open(nul_terminated(path)?.as_ptr().cast(), mode))?)
            }
            FileCall::Read(fd, into) => {
                moved(ask!(self, read(self.number(fd)?, into.as_mut_ptr().cast(), into.len()))?, into.len())
            }
            FileCall::ReadAt(fd, at, into) => {
                let count = ask!(self, pread(self.number(fd)?, into.as_mut_ptr().cast(), into.len(), at))?;
                moved(count, into.len())
            }
            FileCall::Write(fd, from) => {
                moved(ask!(self, write(self.number(fd)?, from.as_ptr().cast(), from.len()))?, from.len())
            }
            FileCall::Stat(path) => {
                let mut stat = CStat::default();
                ask!(self, stat(nul_terminated(path)?.as_ptr().cast(), &raw mut stat))?;
                Ok(Reply::Stat(FileStat {
                    kind: kind_of(stat.mode),
                    len: stat.len,
                    device: stat.device,
                    inode: stat.inode,
                }))
            }
            FileCall::FsMagic(path) => {
                let mut magic = 0;
                ask!(self, statfs(nul_terminated(path)?.as_ptr().cast(), &raw mut magic))?;
                Ok(Reply::Count(magic))
            }
            FileCall::List(fd, into) => {
                let mut buffer = [0u8; 4096];
                let size = buffer.len();
                let filled = ask!(self, getdents(self.number(fd)?, buffer.as_mut_ptr().cast(), size))?;
                let filled = buffer.get(..filled as usize).ok_or(Errno::EPROTO)?;
                add_dir_entries(filled, into).map(Reply::Count)
            }
            FileCall::MakeDir(path) => {
                ask!(self, mkdir(nul_terminated(path)?.as_ptr().cast())).map(|_| Reply::None)
            }
            FileCall::Remove(path) => {
                ask!(self, unlink(nul_terminated(path)?.as_ptr().cast())).map(|_| Reply::None)
            }
            FileCall::RemoveDir(path) => {
                ask!(self, rmdir(nul_terminated(path)?.as_ptr().cast())).map(|_| Reply::None)
            }
        }
    }

    fn limit(&self, limit: Limit) -> Result<Reply, Errno> {
        match limit {
            Limit::Memlock => {
                let mut limits = [0; 2];
                ask!(self, limits(&raw mut limits))?;
                Ok(Reply::Limits(limits[0], limits[1]))
            }
            Limit::SetMemlock { soft, hard } => {
                let limits = [soft, hard];
                ask!(self, set_limits(&raw const limits)).map(|_| Reply::None)
            }
        }
    }

    fn socket(&self, call: SocketCall) -> Result<Reply, Errno> {
        let (socket, prog) = match call {
            SocketCall::AttachBpf { socket, prog } => (socket, self.number(prog)?),
            SocketCall::DetachBpf { socket } => (socket, -1),
        };
        ask!(self, socket_filter(self.number(socket)?, prog)).map(|_| Reply::None)
    }
}

impl Sys for VTable {
    fn call(&self, call: Call<'_>) -> Result<Reply, Errno> {
        match call {
            Call::Bpf(attr) => self.bpf(attr),
            Call::PerfEvent(open) => self.perf_event_open(open),
            Call::Ioctl(fd, request) => self.ioctl(fd, request),
            Call::Map(call) => self.map(call),
            // That nobody writes a file is not what these functions promise.
            Call::MapBtf => Err(Errno::EOPNOTSUPP),
            // Its `mmap` has no argument for an address, and an arena without one has no pointers.
            Call::Arena(_) => Err(Errno::EOPNOTSUPP),
            Call::Unmap(raw) => self.unmap(raw),
            Call::Wait(fds, timeout_ms) => self.wait(fds, timeout_ms),
            Call::Watch(..) => Err(Errno::EOPNOTSUPP),
            Call::File(call) => self.file(call),
            Call::Socket(call) => self.socket(call),
            Call::Limit(limit) => self.limit(limit),
            Call::Refresh => Ok(Reply::None),
            Call::Dup(fd) => self.new_fd(ask!(self, dup(self.number(fd)?))?),
            Call::Close(fd) => ask!(self, close(self.number(fd)?)).map(|_| Reply::None),
        }
    }
}

impl fmt::Debug for VTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VTable({:?})", self.origin)
    }
}

fn nul_terminated(text: &str) -> Result<Vec<u8>, Errno> {
    if text.contains('\0') {
        return Err(Errno::EINVAL);
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(text.len() + 1).map_err(|_| Errno::ENOMEM)?;
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0);
    Ok(bytes)
}

fn moved(count: u64, most: usize) -> Result<Reply, Errno> {
    if count > most as u64 {
        return Err(Errno::EPROTO);
    }
    Ok(Reply::Count(count))
}

/// Reads the kind in a mode (include/uapi/linux/stat.h).
fn kind_of(mode: u32) -> FileKind {
    match mode & 0o170_000 {
        0o100_000 => FileKind::Regular,
        0o040_000 => FileKind::Directory,
        0o120_000 => FileKind::Symlink,
        _ => FileKind::Other,
    }
}
