//! The release that a kernel seems to have.

use super::KernelVersion;
use crate::Fd;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use skep_abi::Errno;

/// The file that says it.
pub(super) const PATH: &str = "/proc/sys/kernel/osrelease";

/// The open descriptors of that file, with how much of it was read.
#[derive(Default)]
pub(super) struct Readers(Vec<(Fd, usize)>);

impl Readers {
    /// Begins to read through a descriptor.
    pub(super) fn begin(&mut self, fd: Fd) -> Result<(), Errno> {
        self.0.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.0.push((fd, 0));
        Ok(())
    }

    /// Reads on; `None` for descriptors of other files.
    pub(super) fn read(&mut self, fd: Fd, version: KernelVersion, into: &mut [u8]) -> Option<u64> {
        let (_, position) = self.0.iter_mut().find(|(open, _)| *open == fd)?;
        let count = copy(&text(version), *position, into);
        *position += count;
        Some(count as u64)
    }

    /// Reads at a place; `None` for descriptors of other files.
    pub(super) fn read_at(&self, fd: Fd, version: KernelVersion, at: u64, into: &mut [u8]) -> Option<u64> {
        self.0.iter().find(|(open, _)| *open == fd)?;
        Some(copy(&text(version), usize::try_from(at).unwrap_or(usize::MAX), into) as u64)
    }

    /// Forgets a descriptor that is closed.
    pub(super) fn end(&mut self, fd: Fd) {
        self.0.retain(|(open, _)| *open != fd);
    }
}

fn text(version: KernelVersion) -> String {
    format!("{version}.0\n")
}

fn copy(text: &str, at: usize, into: &mut [u8]) -> usize {
    let rest = text.as_bytes().get(at..).unwrap_or_default();
    let count = rest.len().min(into.len());
    into[..count].copy_from_slice(&rest[..count]);
    count
}
