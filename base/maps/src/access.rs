//! Who may write a map: the mode of a descriptor, freezing, and writable mappings.

use core::sync::atomic::{AtomicU32, Ordering};
use skep_abi::Errno;
use skep_abi::flags::{BPF_F_RDONLY, BPF_F_RDONLY_PROG, BPF_F_WRONLY};

/// What system calls may do through one descriptor (`bpf_get_file_flag`, kernel/bpf/syscall.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Read and write.
    ReadWrite,
    /// Read.
    Read,
    /// Write.
    Write,
}

impl Mode {
    /// Reads `BPF_F_RDONLY` and `BPF_F_WRONLY` of `flags`.
    ///
    /// # Errors
    /// `EINVAL` where both are set.
    pub fn from_flags(flags: u32) -> Result<Mode, Errno> {
        match (flags & BPF_F_RDONLY != 0, flags & BPF_F_WRONLY != 0) {
            (true, true) => Err(Errno::EINVAL),
            (true, false) => Ok(Mode::Read),
            (false, true) => Ok(Mode::Write),
            (false, false) => Ok(Mode::ReadWrite),
        }
    }
}

/// Whether a map may still be written by system calls, and who is writing it (`frozen` and `writecnt` of
/// `struct bpf_map`).
#[derive(Debug, Default)]
pub struct Access {
    /// The number of writers; the top bit is set for ever when the map is frozen.
    state: AtomicU32,
}

const FROZEN: u32 = 1 << 31;

impl Access {
    /// Makes the state of a map that is neither frozen nor written.
    pub const fn new() -> Access {
        Access { state: AtomicU32::new(0) }
    }

    /// Tells whether the map is frozen.
    pub fn is_frozen(&self) -> bool {
        self.state.load(Ordering::Acquire) & FROZEN != 0
    }

    /// Checks that a descriptor may read.
    ///
    /// # Errors
    /// `EPERM`.
    pub fn check_read(&self, mode: Mode) -> Result<(), Errno> {
        match mode {
            Mode::Write => Err(Errno::EPERM),
            Mode::ReadWrite | Mode::Read => Ok(()),
        }
    }

    /// Checks that a descriptor may write, and keeps the map from being frozen meanwhile.
    ///
    /// # Errors
    /// `EPERM` where it may not, or the map is frozen.
    pub fn begin_write(&self, mode: Mode) -> Result<Writing<'_>, Errno> {
        if mode == Mode::Read {
            return Err(Errno::EPERM);
        }
        self.count_writer()?;
        Ok(Writing { access: self })
    }

    /// Counts a mapping for writing; [`Access::unmap_writable`] takes it back.
    ///
    /// # Errors
    /// `EPERM` where the map is frozen; `EACCES` where it is read-only to programs, whose verifier then relies on it.
    pub fn map_writable(&self, map_flags: u32) -> Result<(), Errno> {
        // Whether it is frozen is looked at first (`bpf_map_mmap`).
        self.count_writer()?;
        if map_flags & BPF_F_RDONLY_PROG != 0 {
            self.unmap_writable();
            return Err(Errno::EACCES);
        }
        Ok(())
    }

    /// Takes a mapping for writing back.
    pub fn unmap_writable(&self) {
        self.state.fetch_sub(1, Ordering::Release);
    }

    /// Freezes the map: system calls write it no more.
    ///
    /// # Errors
    /// `EPERM` where the descriptor may not write, or the map is frozen already; `EBUSY` where somebody writes it or has
    /// it mapped for writing.
    pub fn freeze(&self, mode: Mode) -> Result<(), Errno> {
        if mode == Mode::Read {
            return Err(Errno::EPERM);
        }
        match self.state.compare_exchange(0, FROZEN, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(()),
            Err(FROZEN) => Err(Errno::EPERM),
            Err(_) => Err(Errno::EBUSY),
        }
    }

    fn count_writer(&self) -> Result<(), Errno> {
        let count = |state: u32| (state & FROZEN == 0).then_some(state + 1);
        match self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, count) {
            Ok(_) => Ok(()),
            Err(_) => Err(Errno::EPERM),
        }
    }
}

/// Keeps a map from being frozen while it is written.
#[derive(Debug)]
pub struct Writing<'a> {
    access: &'a Access,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.access.unmap_writable();
    }
}
