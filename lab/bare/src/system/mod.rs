//! System calls of this machine: what an operating system does between its callers and an embedded kernel.
//!
//! Callers are functions of this program, and the calls are C functions ([`calls`]), so that they go through the seam's
//! table of C functions as those of any other system would. What is waited for, mapped and closed is said here; commands
//! are the embedded kernel's.

mod calls;
mod mappings;

use crate::host::{BareCaller, BareHost, FileTable, Granted, Mirror};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use mappings::Mappings;
use skep_abi::{Cmd, Errno};
use skep_kernel::{FaultReport, Kernel, Mmap, Observer};
use skep_mem::{Bytes, FileObject, Files, Host, Shared};
use skep_sys::PollFd;

/// One embedded kernel, its host, and what its caller has open and mapped.
///
/// In the order in which they are dropped: what retires things first, the host that reclaims them last.
#[derive(Debug)]
pub(crate) struct System {
    mappings: Mappings,
    files: FileTable,
    kernel: Kernel,
    faults: Arc<FaultCount>,
    rights: Granted,
    host: Settling,
}

/// Counts runs that were stopped.
#[derive(Debug, Default)]
struct FaultCount(AtomicU64);

impl Observer for FaultCount {
    fn fault(&self, report: &FaultReport) {
        let _ = report;
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The host, which reclaims what was retired before it goes.
#[derive(Debug)]
struct Settling(Arc<BareHost>);

impl Drop for Settling {
    fn drop(&mut self) {
        self.0.settle();
    }
}

/// A file of text that a caller reads.
#[derive(Debug)]
struct TextFile {
    text: &'static [u8],
    at: AtomicU64,
}

/// The one file that typed operations read: which CPUs there can be (include/linux/cpumask.h, printed as a list).
const POSSIBLE_CPUS: (&[u8], &[u8]) = (b"/sys/devices/system/cpu/possible", b"0\n");

/// Data can be read, and the descriptor is not open (include/uapi/asm-generic/poll.h).
const POLLIN: i16 = 1;
const POLLNVAL: i16 = 0x20;

impl System {
    /// Makes a kernel on a host whose rings are mirrored or not.
    pub(crate) fn new(mirror: Mirror) -> System {
        let (host, faults) = (Arc::new(BareHost::new(mirror)), Arc::new(FaultCount::default()));
        let kernel =
            Kernel::new(Arc::clone(&host) as Arc<dyn Host>, Arc::clone(&faults) as Arc<dyn Observer>);
        let Ok(kernel) = kernel else { panic!("no memory for a kernel") };
        let (mappings, files) = (Mappings::default(), FileTable::default());
        System { mappings, files, kernel, faults, rights: Granted::default(), host: Settling(host) }
    }

    /// Says what the caller may do.
    pub(crate) fn with_rights(self, rights: Granted) -> System {
        System { rights, ..self }
    }

    /// Gives the kernel, for hooks.
    pub(crate) fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Gives the host.
    pub(crate) fn host(&self) -> &BareHost {
        &self.host.0
    }

    /// Gives the number of open descriptors and of mapped pages, and of runs that were stopped.
    pub(crate) fn leftovers(&self) -> (usize, usize, u64) {
        (self.files.open_count(), self.mappings.pages(), self.faults.0.load(Ordering::Relaxed))
    }

    /// Answers `bpf(2)`, whose attributes are `size` bytes at `attr`.
    ///
    /// # Errors
    /// As [`Kernel::bpf`].
    ///
    /// # Safety
    /// Addresses that are mapped, and that the attributes name for writing, are the caller's to have written.
    pub(crate) unsafe fn bpf(&self, cmd: Cmd, attr: u64, size: u32) -> Result<i64, Errno> {
        // SAFETY: the caller's contract.
        let caller = unsafe { BareCaller::new(&self.files, self.rights) };
        let answer = self.kernel.bpf(&caller, cmd.0, attr, size);
        // Nothing is held or read here any more, so what was retired may go.
        self.host.0.settle();
        answer
    }

    fn mmap(&self, fd: i32, offset: u64, len: usize, how: Mmap) -> Result<usize, Errno> {
        let object = self.files.lookup(fd)?;
        self.mappings.map(self.kernel.mmap(&object, offset, len, how)?, len, how)
    }

    fn munmap(&self, address: usize, len: usize) -> Result<i64, Errno> {
        let mapped = self.mappings.unmap(address, len)?;
        drop(mapped);
        Ok(0)
    }

    /// Waits until one descriptor is ready or the time is over.
    fn poll(&self, fds: &mut [PollFd], timeout_ms: i32) -> Result<i64, Errno> {
        let clock = self.host.0.clock().ok_or(Errno::ENOSYS)?;
        // Negative means for ever.
        let timeout = u64::try_from(timeout_ms).ok();
        let deadline = timeout.map(|ms| clock.monotonic_ns().saturating_add(ms * 1_000_000));
        loop {
            let seen = self.host.0.wake_ups().count();
            let mut count = 0;
            for poll in fds.iter_mut() {
                poll.revents = self.ready(poll);
                count += i64::from(poll.revents != 0);
            }
            if count > 0 || deadline.is_some_and(|deadline| deadline <= clock.monotonic_ns()) {
                return Ok(count);
            }
            // The timer ends the sleep at the latest, so the deadline is looked at once a tick.
            self.host.0.wake_ups().sleep(seen);
        }
    }

    fn ready(&self, poll: &PollFd) -> i16 {
        let Ok(object) = self.files.lookup(poll.fd) else { return POLLNVAL };
        match self.kernel.with_waiters(&object, |_| ()) {
            Some(()) if self.kernel.is_readable(&object) => POLLIN & poll.events,
            Some(()) => 0,
            // What nobody can wait for is always ready (DEFAULT_POLLMASK, include/linux/poll.h).
            None => poll.events,
        }
    }

    fn open(&self, path: &[u8]) -> Result<i64, Errno> {
        let (known, text) = POSSIBLE_CPUS;
        if path != known {
            return Err(Errno::ENOENT);
        }
        let file = Shared::try_new(TextFile { text, at: AtomicU64::new(0) })?;
        self.files.install(file.into_any()).map(i64::from)
    }

    fn read(&self, fd: i32, into: Bytes<'_>) -> Result<i64, Errno> {
        let file = self.files.lookup(fd)?.downcast::<TextFile>().map_err(|_| Errno::EINVAL)?;
        let at = file.at.load(Ordering::Relaxed);
        let rest = file.text.get(at as usize..).unwrap_or_default();
        let some = &rest[..rest.len().min(into.len())];
        into.copy_in(0, some).map_err(|_| Errno::EFAULT)?;
        file.at.store(at + some.len() as u64, Ordering::Relaxed);
        Ok(some.len() as i64)
    }

    fn dup(&self, fd: i32) -> Result<i64, Errno> {
        let object: FileObject = self.files.lookup(fd)?;
        self.files.install(object).map(i64::from)
    }

    /// Closes a descriptor.
    ///
    /// # Errors
    /// `EBADF`.
    pub(crate) fn close(&self, fd: i32) -> Result<i64, Errno> {
        let object = self.files.remove(fd)?;
        drop(object);
        Ok(0)
    }

    fn unlink(&self, path: &[u8]) -> Result<i64, Errno> {
        let object = self.files.unpin(path)?;
        drop(object);
        Ok(0)
    }
}
