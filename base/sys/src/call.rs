//! All that can be asked across the seam, and the shapes of the answers.

use crate::{Attr, Fd, RawImage, RawMapping};
use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroUsize;
use core::task::Waker;
use skep_abi::{Errno, PerfEventAttr};

/// One request. Each is one system call on Linux (none for `Watch` and `Refresh`, several for `MapBtf`), tried once: who
/// wants a retry asks again.
#[derive(Debug)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "made on the stack, passed once, never stored")]
pub enum Call<'a> {
    /// `bpf(2)`. Answers [`Reply::Fd`] for the commands that make or open an object, else [`Reply::Count`].
    Bpf(Attr<'a>),
    /// `perf_event_open(2)`. Answers [`Reply::Fd`].
    PerfEvent(PerfEventOpen<'a>),
    /// `ioctl(2)`. Answers [`Reply::Count`].
    Ioctl(Fd, Ioctl),
    /// `mmap(2)`, shared. Answers [`Reply::Mapping`].
    Map(MapCall),
    /// Maps the BTF of the kernel itself, which never changes, for reading. Answers [`Reply::Image`].
    ///
    /// On Linux that is `mmap(2)`, private, of `/sys/kernel/btf/vmlinux`, since 6.16 (kernel/bpf/sysfs_btf.c). An error says
    /// nothing but that the file is to be read: `ENODEV` of older kernels, `EOPNOTSUPP` of who has no such memory. It is a
    /// call of its own because the kernel promises of this one file only what Rust asks of borrowed bytes: others may be
    /// written or cut while they are mapped.
    MapBtf,
    /// `mmap(2)` of a whole arena (`BPF_MAP_TYPE_ARENA`), shared, for reading and writing. Answers [`Reply::Mapping`].
    Arena(ArenaCall),
    /// `munmap(2)`. Answers [`Reply::None`].
    Unmap(RawMapping),
    /// `poll(2)`. Answers [`Reply::Count`]: how many are ready; none after the timeout in milliseconds (`None` waits
    /// for ever).
    Wait(&'a mut [WaitFd], Option<u32>),
    /// Wakes `waker` once when the descriptor becomes readable; `EOPNOTSUPP` where descriptors are the operating
    /// system's, whose own readiness is to be used. Answers [`Reply::None`].
    Watch(Fd, &'a Waker),
    /// A file.
    File(FileCall<'a>),
    /// A socket.
    Socket(SocketCall),
    /// A resource limit.
    Limit(Limit),
    /// Brings copies of mappings up to date where an implementer shows copies; no system call. Answers [`Reply::None`].
    Refresh,
    /// `fcntl(2)` with `F_DUPFD_CLOEXEC`, never below 3. Answers [`Reply::Fd`].
    Dup(Fd),
    /// `close(2)`. Answers [`Reply::None`]; the descriptor is gone even where the answer is an error.
    Close(Fd),
}

impl Call<'_> {
    /// Gives a short name, as recordings and errors show it.
    pub fn name(&self) -> &'static str {
        match self {
            Call::Bpf(attr) => attr.cmd().name().unwrap_or("bpf"),
            Call::PerfEvent(_) => "perf_event_open",
            Call::Ioctl(_, ioctl) => ioctl.name(),
            Call::Map(_) => "mmap",
            Call::MapBtf => "mmap BTF",
            Call::Arena(_) => "mmap arena",
            Call::Unmap(_) => "munmap",
            Call::Wait(..) => "poll",
            Call::Watch(..) => "watch",
            Call::File(call) => call.name(),
            Call::Socket(SocketCall::AttachBpf { .. }) => "setsockopt SO_ATTACH_BPF",
            Call::Socket(SocketCall::DetachBpf { .. }) => "setsockopt SO_DETACH_BPF",
            Call::Limit(Limit::Memlock) => "getrlimit RLIMIT_MEMLOCK",
            Call::Limit(Limit::SetMemlock { .. }) => "setrlimit RLIMIT_MEMLOCK",
            Call::Refresh => "refresh",
            Call::Dup(_) => "dup",
            Call::Close(_) => "close",
        }
    }

    /// Lends the same call for a shorter time, for a wrapper that looks at it after the answer. A mapping to unmap is
    /// the same one in both: whoever passes on the copy leaves the original alone.
    pub(crate) fn reborrow(&mut self) -> Call<'_> {
        match self {
            Call::Bpf(attr) => Call::Bpf(attr.reborrow()),
            Call::PerfEvent(open) => Call::PerfEvent(*open),
            Call::Ioctl(fd, ioctl) => Call::Ioctl(*fd, *ioctl),
            Call::Map(map) => Call::Map(*map),
            Call::MapBtf => Call::MapBtf,
            Call::Arena(arena) => Call::Arena(*arena),
            Call::Unmap(raw) => Call::Unmap(raw.stand_in()),
            Call::Wait(fds, timeout) => Call::Wait(fds, *timeout),
            Call::Watch(fd, waker) => Call::Watch(*fd, waker),
            Call::File(call) => Call::File(call.reborrow()),
            Call::Socket(call) => Call::Socket(*call),
            Call::Limit(limit) => Call::Limit(*limit),
            Call::Refresh => Call::Refresh,
            Call::Dup(fd) => Call::Dup(*fd),
            Call::Close(fd) => Call::Close(*fd),
        }
    }
}

/// An answer; which one belongs to which call is said at [`Call`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Reply {
    /// Done.
    None,
    /// A number: bytes moved, descriptors ready, the non-negative result of a command.
    Count(u64),
    /// A new descriptor, close-on-exec, now the caller's.
    Fd(Fd),
    /// A mapping, now the caller's.
    Mapping(RawMapping),
    /// Bytes that nobody writes, now the caller's.
    Image(RawImage),
    /// What a path is.
    Stat(FileStat),
    /// Soft and hard limit.
    Limits(u64, u64),
}

impl Reply {
    /// Takes the descriptor out.
    ///
    /// # Errors
    /// `EPROTO` where the implementer answered with something else.
    pub fn into_fd(self) -> Result<Fd, Errno> {
        match self {
            Reply::Fd(fd) => Ok(fd),
            _ => Err(Errno::EPROTO),
        }
    }

    /// Takes the number out.
    ///
    /// # Errors
    /// `EPROTO` where the implementer answered with something else.
    pub fn into_count(self) -> Result<u64, Errno> {
        match self {
            Reply::Count(count) => Ok(count),
            _ => Err(Errno::EPROTO),
        }
    }
}

/// The arguments of `perf_event_open(2)`; the descriptor is always close-on-exec.
#[derive(Clone, Copy, Debug)]
pub struct PerfEventOpen<'a> {
    /// What to count or sample. The implementer passes a copy whose size is set.
    pub attr: &'a PerfEventAttr,
    /// For events of the kprobe and uprobe units: the function's name or the file's path, which the implementer puts
    /// behind `bp_addr` (that is `config1`, include/uapi/linux/perf_event.h).
    pub target: Option<&'a str>,
    /// A process, or -1 for all.
    pub pid: i32,
    /// A CPU, or -1 for all.
    pub cpu: i32,
    /// The group's leader.
    pub group: Option<Fd>,
}

/// The requests of `ioctl(2)` that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ioctl {
    /// `PERF_EVENT_IOC_ENABLE`.
    PerfEnable,
    /// `PERF_EVENT_IOC_DISABLE`.
    PerfDisable,
    /// `PERF_EVENT_IOC_SET_BPF`.
    PerfSetBpf(Fd),
}

impl Ioctl {
    /// Gives Linux's name of the request.
    pub fn name(&self) -> &'static str {
        match self {
            Ioctl::PerfEnable => "PERF_EVENT_IOC_ENABLE",
            Ioctl::PerfDisable => "PERF_EVENT_IOC_DISABLE",
            Ioctl::PerfSetBpf(_) => "PERF_EVENT_IOC_SET_BPF",
        }
    }
}

/// What a mapping may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Reading.
    Read,
    /// Reading and writing.
    ReadWrite,
}

/// The arguments of a shared `mmap(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapCall {
    /// A map or a perf event.
    pub fd: Fd,
    /// Where in it, in bytes, page-aligned.
    pub offset: u64,
    /// How many bytes.
    pub len: usize,
    /// For what.
    pub protection: Protection,
}

/// The arguments of an `mmap(2)` of an arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArenaCall {
    /// The arena.
    pub fd: Fd,
    /// How many bytes: all that it has, which is at most 4 GiB.
    pub len: usize,
    /// Where, if not anywhere: whatever is there already stays, and the answer is `EEXIST`.
    pub at: Option<NonZeroUsize>,
}

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Something to read (`POLLIN`).
    Readable,
    /// Room to write (`POLLOUT`).
    Writable,
}

/// One descriptor of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitFd {
    /// The descriptor.
    pub fd: Fd,
    /// What to wait for.
    pub interest: Interest,
    /// Set by the call: whether it is there, or the descriptor is in error.
    pub ready: bool,
}

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// `O_RDONLY`.
    Read,
    /// `O_WRONLY`.
    Write,
    /// `O_WRONLY | O_APPEND`, as tracefs wants it.
    Append,
    /// `O_RDONLY | O_DIRECTORY`.
    Directory,
}

/// File operations; every path is absolute.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileCall<'a> {
    /// `openat(2)`, close-on-exec. Answers [`Reply::Fd`].
    Open(&'a str, OpenMode),
    /// `read(2)`. Answers [`Reply::Count`], 0 at the end.
    Read(Fd, &'a mut [u8]),
    /// `pread(2)`. Answers [`Reply::Count`], 0 at the end.
    ReadAt(Fd, u64, &'a mut [u8]),
    /// `write(2)`. Answers [`Reply::Count`].
    Write(Fd, &'a [u8]),
    /// `stat(2)`. Answers [`Reply::Stat`].
    Stat(&'a str),
    /// `statfs(2)`. Answers [`Reply::Count`]: the magic of the file system, as `BPF_FS_MAGIC`.
    FsMagic(&'a str),
    /// `getdents64(2)`: some more entries of an open directory are added. Answers [`Reply::Count`]: how many were read,
    /// those left out among them; 0 at the end.
    List(Fd, &'a mut Vec<DirEntry>),
    /// `mkdir(2)`, mode 0700. Answers [`Reply::None`].
    MakeDir(&'a str),
    /// `unlink(2)`. Answers [`Reply::None`].
    Remove(&'a str),
    /// `rmdir(2)`. Answers [`Reply::None`].
    RemoveDir(&'a str),
}

impl FileCall<'_> {
    /// Gives the name of the system call.
    pub fn name(&self) -> &'static str {
        match self {
            FileCall::Open(..) => "open",
            FileCall::Read(..) => "read",
            FileCall::ReadAt(..) => "pread",
            FileCall::Write(..) => "write",
            FileCall::Stat(_) => "stat",
            FileCall::FsMagic(_) => "statfs",
            FileCall::List(..) => "getdents",
            FileCall::MakeDir(_) => "mkdir",
            FileCall::Remove(_) => "unlink",
            FileCall::RemoveDir(_) => "rmdir",
        }
    }

    pub(crate) fn reborrow(&mut self) -> FileCall<'_> {
        match self {
            FileCall::Open(path, mode) => FileCall::Open(path, *mode),
            FileCall::Read(fd, into) => FileCall::Read(*fd, into),
            FileCall::ReadAt(fd, at, into) => FileCall::ReadAt(*fd, *at, into),
            FileCall::Write(fd, from) => FileCall::Write(*fd, from),
            FileCall::Stat(path) => FileCall::Stat(path),
            FileCall::FsMagic(path) => FileCall::FsMagic(path),
            FileCall::List(fd, into) => FileCall::List(*fd, into),
            FileCall::MakeDir(path) => FileCall::MakeDir(path),
            FileCall::Remove(path) => FileCall::Remove(path),
            FileCall::RemoveDir(path) => FileCall::RemoveDir(path),
        }
    }
}

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link, in a directory's list only.
    Symlink,
    /// Anything else, a pinned BPF object of an older kernel among them.
    Other,
}

/// What `stat` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStat {
    /// The kind.
    pub kind: FileKind,
    /// The length in bytes, as the file system claims it.
    pub len: u64,
    /// The device, to tell mount points from their parents.
    pub device: u64,
    /// The inode.
    pub inode: u64,
}

/// One name in a directory; `.` and `..` are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name without its path; names that are not UTF-8 are left out of lists.
    pub name: String,
    /// The kind.
    pub kind: FileKind,
}

/// Socket operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocketCall {
    /// `SO_ATTACH_BPF`. Answers [`Reply::None`].
    AttachBpf {
        /// A socket.
        socket: Fd,
        /// A socket filter.
        prog: Fd,
    },
    /// `SO_DETACH_BPF`. Answers [`Reply::None`].
    DetachBpf {
        /// A socket.
        socket: Fd,
    },
}

/// Resource limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// Reads `RLIMIT_MEMLOCK`. Answers [`Reply::Limits`].
    Memlock,
    /// Sets `RLIMIT_MEMLOCK`. Answers [`Reply::None`].
    SetMemlock {
        /// The soft limit in bytes.
        soft: u64,
        /// The hard limit in bytes.
        hard: u64,
    },
}
