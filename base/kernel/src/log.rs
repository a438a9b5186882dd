//! The log that a caller may ask for with a load.

use crate::error::Result;
use crate::request::Request;
use alloc::string::String;
use core::fmt::{self, Write};
use skep_abi::Errno;

/// What the caller wants to be told (`BPF_LOG_MASK`, include/linux/bpf_verifier.h).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Level(u32);

impl Level {
    /// `BPF_LOG_LEVEL1`, `BPF_LOG_LEVEL2`: why a program is refused.
    const WHY: u32 = 3;
    /// `BPF_LOG_FIXED`: of what does not fit the start is kept, not the end.
    const FIXED: u32 = 8;
    /// These and `BPF_LOG_STATS`.
    const MASK: u32 = 15;

    fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }
}

/// Text for the caller's log buffer.
#[derive(Debug)]
pub(crate) struct Log {
    text: String,
    level: Level,
    addr: u64,
    size: u32,
    /// Whether memory for the text ran out; what is there is still handed over.
    short: bool,
}

impl Log {
    /// Checks where the log is to go (`bpf_vlog_init`): a level and a buffer go together.
    ///
    /// # Errors
    /// `EINVAL`.
    pub(crate) fn new(level: u32, addr: u64, size: u32) -> Result<Log> {
        let buffer = (addr != 0, size != 0);
        if level & !Level::MASK != 0
            || buffer.0 != buffer.1
            || (buffer.0 && level == 0)
            || size > u32::MAX >> 2
        {
            return Err(Errno::EINVAL);
        }
        Ok(Log { text: String::new(), level: Level(level), addr, size, short: false })
    }

    /// Adds a line of why a program is refused, if that is wanted.
    pub(crate) fn line(&mut self, line: impl fmt::Display) {
        self.line_at(Level::WHY, line);
    }

    /// Adds the line of what a verification took, if anything is wanted.
    pub(crate) fn statistics(&mut self, line: impl fmt::Display) {
        self.line_at(Level::MASK, line);
    }

    fn line_at(&mut self, level: u32, line: impl fmt::Display) {
        if self.level.has(level) {
            // An error only says that memory ran out, which `finish` reports.
            let _ = writeln!(self, "{line}");
        }
    }

    /// Says why something is refused, and gives the number. Want of memory is told by the number alone: words would want
    /// some too, and `ENOSPC` for a short buffer would hide it.
    pub(crate) fn refuse(&mut self, errno: Errno, why: impl fmt::Display) -> Errno {
        if errno != Errno::ENOMEM {
            self.line(why);
        }
        errno
    }

    /// Hands the text over, its end where the buffer is too small for all, and its whole size; gives the load's outcome.
    ///
    /// # Errors
    /// `ENOSPC` where it was cut; `EINVAL` where the size has no field; `EFAULT`; `ENOMEM`. They come before what the load
    /// failed with (`bpf_check`, kernel/bpf/verifier.c), but for want of memory, which is told whatever the log's fate.
    pub(crate) fn finish<T>(self, request: &Request<'_>, size_field: usize, outcome: Result<T>) -> Result<T> {
        if outcome.as_ref().err() == Some(&Errno::ENOMEM) {
            return outcome;
        }
        self.hand_over(request, size_field)?;
        outcome
    }

    fn hand_over(self, request: &Request<'_>, size_field: usize) -> Result<()> {
        if self.level == Level(0) {
            return Ok(());
        }
        request.write_field(size_field, self.text.len() as u32 + 1)?;
        if self.addr == 0 {
            return if self.short { Err(Errno::ENOMEM) } else { Ok(()) };
        }
        let fits = self.text.len().min(self.size as usize - 1);
        let first = if self.level.has(Level::FIXED) { 0 } else { self.text.len() - fits };
        request.write(self.addr, &self.text.as_bytes()[first..first + fits])?;
        request.write(self.addr + fits as u64, &[0])?;
        match (self.short, fits == self.text.len()) {
            (true, _) => Err(Errno::ENOMEM),
            (false, false) => Err(Errno::ENOSPC),
            (false, true) => Ok(()),
        }
    }
}

impl Write for Log {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.text.try_reserve(text.len()).is_err() {
            self.short = true;
            return Err(fmt::Error);
        }
        self.text.push_str(text);
        Ok(())
    }
}
