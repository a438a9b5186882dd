//! The log that a caller may ask for with a load.

use crate::error::Result;
use crate::request::Request;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use skep_abi::Errno;
use skep_verifier::{Detail, Sink};

/// What the caller wants to be told (`BPF_LOG_MASK`, include/linux/bpf_verifier.h).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Level(u32);

impl Level {
    /// `BPF_LOG_LEVEL1`, `BPF_LOG_LEVEL2`: why a program is refused.
    const WHY: u32 = 3;
    /// `BPF_LOG_LEVEL2`: every path.
    const EVERYTHING: u32 = 2;
    /// `BPF_LOG_FIXED`: of what does not fit the start is kept, not the end.
    const FIXED: u32 = 8;
    /// These and `BPF_LOG_STATS`.
    const MASK: u32 = 15;

    fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }
}

/// Text for the caller's log buffer: no more of it is kept than the buffer takes, and half of that again (`bpf_verifier_vlog`).
#[derive(Debug)]
pub(crate) struct Log {
    kept: Vec<u8>,
    /// Where in the whole text that begins which is kept.
    first: u64,
    /// Where in the whole text that begins which is handed over.
    start: u64,
    /// How long the whole text is.
    end: u64,
    /// How long it was at most, with a byte for its end.
    longest: u64,
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
        let level = Level(level);
        Ok(Log { kept: Vec::new(), first: 0, start: 0, end: 0, longest: 1, level, addr, size, short: false })
    }

    /// How much is to be told of the paths of a program.
    pub(crate) fn detail(&self) -> Option<Detail> {
        match self.level {
            level if level.has(Level::EVERYTHING) => Some(Detail::All),
            level if level.has(Level::WHY) => Some(Detail::Path),
            _ => None,
        }
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
        request.write_field(size_field, u32::try_from(self.longest).unwrap_or(u32::MAX))?;
        if self.addr == 0 {
            return Ok(());
        }
        let text = self.kept.get(self.start.saturating_sub(self.first) as usize..).unwrap_or_default();
        request.write(self.addr, text)?;
        request.write(self.addr + text.len() as u64, &[0])?;
        match (self.short, self.longest > u64::from(self.size)) {
            (true, _) => Err(Errno::ENOMEM),
            (false, true) => Err(Errno::ENOSPC),
            (false, false) => Ok(()),
        }
    }

    /// Keeps what the buffer has room for: the start, or the end.
    fn keep(&mut self, text: &[u8]) {
        let (room, is_whole) =
            (u64::from(self.size).saturating_sub(1), self.first + self.kept.len() as u64 == self.end);
        self.end += text.len() as u64;
        self.longest = self.longest.max(self.end + 1);
        if self.addr == 0 {
            return;
        }
        let text = match self.level.has(Level::FIXED) {
            true if !is_whole => return,
            true => {
                let left = (room as usize).saturating_sub(self.kept.len());
                text.get(..left).unwrap_or(text)
            }
            false => {
                self.start = self.start.max(self.end.saturating_sub(room));
                let gone = (self.start - self.first) as usize;
                if gone > SPARE.max(room as usize / 2) && gone <= self.kept.len() {
                    self.kept.drain(..gone);
                    self.first = self.start;
                }
                text
            }
        };
        match self.kept.try_reserve(text.len()) {
            Ok(()) => self.kept.extend_from_slice(text),
            Err(_) => self.short = true,
        }
    }
}

/// Bytes that may be kept in vain, so that they are not moved for every line.
const SPARE: usize = 4096;

impl Write for Log {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // What was lost makes a hole, which the rest would hide.
        if !self.short {
            self.keep(text.as_bytes());
        }
        if self.short { Err(fmt::Error) } else { Ok(()) }
    }
}

impl Sink for Log {
    fn position(&self) -> u64 {
        self.end
    }

    fn back_to(&mut self, position: u64) {
        if self.short || position >= self.end {
            return;
        }
        self.kept.truncate(position.saturating_sub(self.first) as usize);
        self.first = self.first.min(position);
        self.start = self.start.min(position);
        self.end = position;
    }
}
