//! Whole-file operations, as loops of single calls.

use super::CallError;
use crate::{Call, DirEntry, FileCall, FileStat, Handle, Kernel, OpenMode, Reply};
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use skep_abi::Errno;

/// The largest file that is read whole (kernel BTF is 6 MB, kallsyms 12 MB).
const MOST: usize = 256 << 20;

impl Kernel {
    /// Opens a file.
    ///
    /// # Errors
    /// As `open(2)`.
    pub fn file_open(&self, path: &str, mode: OpenMode) -> Result<Handle, CallError> {
        Ok(retry(|| self.open(Call::File(FileCall::Open(path, mode))))?)
    }

    /// Reads a whole file, whatever length the file system claims for it.
    ///
    /// # Errors
    /// As `open(2)` and `read(2)`; `EFBIG` beyond 256 MiB; `ENOMEM`.
    pub fn file_read(&self, path: &str) -> Result<Vec<u8>, CallError> {
        let file = self.file_open(path, OpenMode::Read)?;
        self.read_to_end(&file)
    }

    /// Reads what is left of an open file, such as an iterator's output.
    ///
    /// # Errors
    /// As `read(2)`; `EFBIG` beyond 256 MiB; `ENOMEM`.
    pub fn read_to_end(&self, file: &Handle) -> Result<Vec<u8>, CallError> {
        let mut whole = Vec::new();
        let mut filled = 0;
        // Most files that are read have a line.
        let mut step = 512;
        loop {
            // Room is added only when it is used up: sysfs gives a page at a time, whatever it is asked for.
            if filled == whole.len() {
                whole.try_reserve(step).map_err(|_| Errno::ENOMEM)?;
                whole.resize(filled + step, 0);
                step = (step * 2).clamp(4096, 1 << 20);
            }
            let rest = &mut whole[filled..];
            let room = rest.len();
            let count = retry(|| self.call(Call::File(FileCall::Read(file.fd(), rest)))?.into_count())?;
            filled += (count as usize).min(room);
            if count == 0 {
                whole.truncate(filled);
                return Ok(whole);
            }
            if filled > MOST {
                return Err(Errno::EFBIG.into());
            }
        }
    }

    /// Lists a directory.
    ///
    /// # Errors
    /// As `open(2)` and `getdents64(2)`.
    pub fn dir_list(&self, path: &str) -> Result<Vec<DirEntry>, CallError> {
        let dir = self.file_open(path, OpenMode::Directory)?;
        let mut entries = Vec::new();
        while retry(|| self.call(Call::File(FileCall::List(dir.fd(), &mut entries)))?.into_count())? != 0 {}
        Ok(entries)
    }

    /// Writes all of `bytes` to a file that is there; tracefs and sysfs files take each write as one command.
    ///
    /// # Errors
    /// As `open(2)` and `write(2)`; `EIO` where the file takes nothing more.
    pub fn file_write(&self, path: &str, mode: OpenMode, bytes: &[u8]) -> Result<(), CallError> {
        let file = self.file_open(path, mode)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let call = || self.call(Call::File(FileCall::Write(file.fd(), rest)))?.into_count();
            let count = retry(call)?;
            rest = match usize::try_from(count) {
                Ok(count) if count != 0 => rest.get(count..).ok_or(Errno::EPROTO)?,
                _ => return Err(Errno::EIO.into()),
            };
        }
        Ok(())
    }

    /// Makes a directory, mode 0700.
    ///
    /// # Errors
    /// As `mkdir(2)`: `EEXIST`, `ENOENT`.
    pub fn dir_make(&self, path: &str) -> Result<(), CallError> {
        self.call(Call::File(FileCall::MakeDir(path)))?;
        Ok(())
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// As `rmdir(2)`: `ENOTEMPTY`, `ENOENT`.
    pub fn dir_remove(&self, path: &str) -> Result<(), CallError> {
        self.call(Call::File(FileCall::RemoveDir(path)))?;
        Ok(())
    }

    /// Removes a file or a pin.
    ///
    /// # Errors
    /// As `unlink(2)`: `ENOENT`, `EISDIR`.
    pub fn file_remove(&self, path: &str) -> Result<(), CallError> {
        self.call(Call::File(FileCall::Remove(path)))?;
        Ok(())
    }

    /// Tells what a path is, following links.
    ///
    /// # Errors
    /// As `stat(2)`: `ENOENT`, `ENOTDIR`.
    pub fn file_stat(&self, path: &str) -> Result<FileStat, CallError> {
        match self.call(Call::File(FileCall::Stat(path)))? {
            Reply::Stat(stat) => Ok(stat),
            _ => Err(Errno::EPROTO.into()),
        }
    }

    /// Gives the magic number of the file system that a path is on, such as `BPF_FS_MAGIC`.
    ///
    /// # Errors
    /// As `statfs(2)`: `ENOENT`.
    pub fn fs_magic(&self, path: &str) -> Result<u64, CallError> {
        Ok(self.call(Call::File(FileCall::FsMagic(path)))?.into_count()?)
    }

    /// Gives the number of CPUs there can ever be, which sizes per-CPU values. Asked once.
    ///
    /// # Errors
    /// As reading `/sys/devices/system/cpu/possible`; `EINVAL` where that is no list of ranges.
    pub fn possible_cpus(&self) -> Result<u32, CallError> {
        let known = self.cpus().load(Ordering::Relaxed);
        if known != 0 {
            return Ok(known);
        }
        let text = self.file_read("/sys/devices/system/cpu/possible")?;
        let text = String::from_utf8(text).map_err(|_| Errno::EINVAL)?;
        let cpus = parse_cpu_list(text.trim()).ok_or(Errno::EINVAL)?;
        self.cpus().store(cpus, Ordering::Relaxed);
        Ok(cpus)
    }
}

/// Repeats a call for as long as a signal interrupts it.
fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::EINTR) => continue,
            other => return other,
        }
    }
}

/// Counts the CPUs of a list such as `0-3,8`: per-CPU values are copied one after another for each CPU of the possible
/// mask (`kernel/bpf/hashtab.c`, `for_each_possible_cpu`).
fn parse_cpu_list(text: &str) -> Option<u32> {
    let mut cpus = 0u32;
    for range in text.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        cpus = cpus.checked_add(last.checked_sub(first)?.checked_add(1)?)?;
    }
    (cpus != 0).then_some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists() {
        assert_eq!(parse_cpu_list("0"), Some(1));
        assert_eq!(parse_cpu_list("0-3"), Some(4));
        assert_eq!(parse_cpu_list("0-3,8-9,11"), Some(7));
        for bad in ["", "-", "3-1", "a", "0-", "0-4294967295,1"] {
            assert_eq!(parse_cpu_list(bad), None, "{bad}");
        }
    }
}
