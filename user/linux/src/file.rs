//! Files and directories.

use crate::fd;
use rustix::fs::{FileType, Mode, OFlags};
use skep_abi::Errno;
use skep_sys::{DirEntry, Fd, FileCall, FileKind, FileStat, OpenMode, Reply};

pub(crate) fn file(call: FileCall<'_>) -> Result<Reply, Errno> {
    match call {
        FileCall::Open(path, mode) => open(path, mode),
        FileCall::Read(on, into) => count(rustix::io::read(fd::borrow(on)?, into)),
        FileCall::ReadAt(on, at, into) => count(rustix::io::pread(fd::borrow(on)?, into, at)),
        FileCall::Write(on, from) => count(rustix::io::write(fd::borrow(on)?, from)),
        FileCall::Stat(path) => stat(path),
        FileCall::FsMagic(path) => {
            let stat = rustix::fs::statfs(path).map_err(fd::errno)?;
            // The kernel's numbers have 32 bits; the field has 32 or 64, signed or not, by machine.
            Ok(Reply::Count(u64::from(stat.f_type as u32)))
        }
        FileCall::List(on, into) => list(on, into),
        FileCall::MakeDir(path) => done(rustix::fs::mkdir(path, Mode::RWXU)),
        FileCall::Remove(path) => done(rustix::fs::unlink(path)),
        FileCall::RemoveDir(path) => done(rustix::fs::rmdir(path)),
        _ => Err(Errno::EOPNOTSUPP),
    }
}

fn count(result: rustix::io::Result<usize>) -> Result<Reply, Errno> {
    result.map(|count| Reply::Count(count as u64)).map_err(fd::errno)
}

fn done(result: rustix::io::Result<()>) -> Result<Reply, Errno> {
    result.map(|()| Reply::None).map_err(fd::errno)
}

fn open(path: &str, mode: OpenMode) -> Result<Reply, Errno> {
    let flags = match mode {
        OpenMode::Read => OFlags::RDONLY,
        OpenMode::Write => OFlags::WRONLY,
        OpenMode::Append => OFlags::WRONLY | OFlags::APPEND,
        OpenMode::Directory => OFlags::RDONLY | OFlags::DIRECTORY,
    };
    let new = rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty()).map_err(fd::errno)?;
    fd::above_streams(new)
}

fn stat(path: &str) -> Result<Reply, Errno> {
    let stat = rustix::fs::stat(path).map_err(fd::errno)?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => FileKind::Regular,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        _ => FileKind::Other,
    };
    #[allow(clippy::unnecessary_cast, reason = "the widths differ by machine")]
    let (len, device, inode) = (stat.st_size as u64, stat.st_dev as u64, stat.st_ino as u64);
    Ok(Reply::Stat(FileStat { kind, len, device, inode }))
}

/// Bytes of directory entries read at once; the longest entry is 280 (`NAME_MAX` and its header).
const LIST: usize = 32 << 10;

// Not part of its caller, whose other calls would touch the pages of this buffer too.
#[inline(never)]
fn list(on: Fd, into: &mut Vec<DirEntry>) -> Result<Reply, Errno> {
    let number = fd::number(on)?;
    let mut buffer = [0u8; LIST];
    // SAFETY: the buffer is `LIST` bytes long and lives until after the call; the kernel asks for no alignment.
    let value = unsafe { libc::syscall(libc::SYS_getdents64, number, buffer.as_mut_ptr(), LIST) };
    #[allow(clippy::useless_conversion, reason = "c_long has 32 bits on some machines")]
    let filled = (fd::result(i64::from(value))? as usize).min(LIST);
    skep_sys::add_dir_entries(&buffer[..filled], into).map(Reply::Count)
}
