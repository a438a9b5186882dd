//! The recording, in memory and as bytes.

use super::image::{Label, first, kind_number, kind_of};
use crate::{Fd, FileStat, Reply};
use alloc::vec::Vec;
use core::fmt;
use skep_abi::Errno;
use skep_mem::NoMemory;

/// What a kernel answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Errno(Errno),
    None,
    Count(u64),
    Fd(i32),
    Mapping { len: u64, id: u64 },
    Stat(FileStat),
    Limits(u64, u64),
}

impl Answer {
    /// Describes an answer; a mapping's id is the cookie that the caller is shown.
    pub(super) fn of(outcome: &Result<Reply, Errno>) -> Answer {
        match outcome {
            Err(errno) => Answer::Errno(*errno),
            Ok(Reply::None) => Answer::None,
            Ok(Reply::Count(count)) => Answer::Count(*count),
            Ok(Reply::Fd(Fd::Os(number) | Fd::Virtual(number))) => Answer::Fd(*number),
            Ok(Reply::Mapping(raw)) => Answer::Mapping { len: raw.len() as u64, id: raw.cookie() as u64 },
            // Never let through by the recorder.
            Ok(Reply::Image(_)) => Answer::Errno(Errno::EOPNOTSUPP),
            Ok(Reply::Stat(stat)) => Answer::Stat(*stat),
            Ok(Reply::Limits(soft, hard)) => Answer::Limits(*soft, *hard),
        }
    }

    pub(super) fn count(&self) -> Option<u64> {
        match self {
            Answer::Count(count) => Some(*count),
            _ => None,
        }
    }

    fn numbers(&self) -> [u64; 5] {
        match *self {
            Answer::Errno(errno) => [0, errno.raw() as u64, 0, 0, 0],
            Answer::None => [1, 0, 0, 0, 0],
            Answer::Count(count) => [2, count, 0, 0, 0],
            Answer::Fd(number) => [3, number as u64, 0, 0, 0],
            Answer::Mapping { len, id } => [4, len, id, 0, 0],
            Answer::Stat(stat) => [5, kind_number(stat.kind), stat.len, stat.device, stat.inode],
            Answer::Limits(soft, hard) => [6, soft, hard, 0, 0],
        }
    }

    fn from_numbers(numbers: [u64; 5]) -> Option<Answer> {
        let [kind, a, b, c, d] = numbers;
        Some(match kind {
            0 => Answer::Errno(Errno::from_raw(i32::try_from(a).ok()?)?),
            1 => Answer::None,
            2 => Answer::Count(a),
            3 => Answer::Fd(i32::try_from(a).ok().filter(|number| *number > 2)?),
            4 => Answer::Mapping { len: a, id: b },
            5 => Answer::Stat(FileStat { kind: kind_of(a)?, len: b, device: c, inode: d }),
            6 => Answer::Limits(a, b),
            _ => return None,
        })
    }
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// What the caller wrote into mappings since the call before, and what the kernel was given.
    pub(super) before: Vec<u8>,
    pub(super) answer: Answer,
    /// What the kernel gave back through the call's memory.
    pub(super) after: Vec<u8>,
    /// What the kernel wrote into mappings.
    pub(super) memory: Vec<u8>,
}

impl Entry {
    /// Gives the name of the call.
    pub(super) fn name(&self) -> &str {
        let mut image = self.before.as_slice();
        while let Some((field, rest)) = first(image) {
            if field.label == Label::Name {
                return core::str::from_utf8(field.bytes).unwrap_or("?");
            }
            image = rest;
        }
        "?"
    }
}

/// All that crossed the seam, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    pub(super) entries: Vec<Entry>,
}

/// Why bytes are no recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingError {
    /// They do not start as one.
    NoRecording,
    /// It is of another version, or of a machine with another byte order.
    OtherVersion {
        /// The version found, in this machine's byte order.
        found: u32,
    },
    /// They end too soon, or go on after the last call.
    Length {
        /// Number of the call where that was found.
        call: u64,
    },
    /// An answer is none that there is.
    Answer {
        /// Number of the call.
        call: u64,
    },
    /// There is no memory for it.
    NoMemory,
}

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordingError::NoRecording => f.write_str("not a recording of the seam"),
            RecordingError::OtherVersion { found } => {
                write!(f, "wanted a recording of version {VERSION} of this byte order, found {found:#x}")
            }
            RecordingError::Length { call } => write!(f, "call {call}: the recording is cut off or too long"),
            RecordingError::Answer { call } => write!(f, "call {call}: there is no such answer"),
            RecordingError::NoMemory => f.write_str("out of memory"),
        }
    }
}

impl core::error::Error for RecordingError {}

impl From<NoMemory> for RecordingError {
    fn from(_: NoMemory) -> RecordingError {
        RecordingError::NoMemory
    }
}

const MAGIC: &[u8; 8] = b"skep-rec";
const VERSION: u32 = 1;
/// Magic, version, four zero bytes, number of calls.
const HEADER: usize = 24;
/// Answer and three lengths.
const ENTRY_NUMBERS: usize = 8;

impl Recording {
    /// Gives the number of calls.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Tells whether there are no calls.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Lists the names of the calls.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(Entry::name)
    }

    /// Gives the recording as bytes, in this machine's byte order.
    ///
    /// # Errors
    /// [`NoMemory`] where the allocator refuses.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NoMemory> {
        let mut bytes = Vec::new();
        bytes.try_reserve(HEADER)?;
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_ne_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&(self.entries.len() as u64).to_ne_bytes());
        for entry in &self.entries {
            let parts = [&entry.before, &entry.after, &entry.memory];
            let len: usize = parts.iter().map(|part| part.len()).sum();
            bytes.try_reserve(ENTRY_NUMBERS * 8 + len)?;
            let lens = parts.map(|part| part.len() as u64);
            for number in entry.answer.numbers().into_iter().chain(lens) {
                bytes.extend_from_slice(&number.to_ne_bytes());
            }
            parts.iter().for_each(|part| bytes.extend_from_slice(part));
        }
        Ok(bytes)
    }

    /// Reads a recording. Whatever the bytes are, no more memory is taken than they have.
    ///
    /// # Errors
    /// [`RecordingError`] says where the bytes are no recording.
    pub fn from_bytes(bytes: &[u8]) -> Result<Recording, RecordingError> {
        let (header, mut rest) = bytes.split_at_checked(HEADER).ok_or(RecordingError::NoRecording)?;
        if header[..8] != *MAGIC {
            return Err(RecordingError::NoRecording);
        }
        let found = u32::from_ne_bytes([header[8], header[9], header[10], header[11]]);
        if found != VERSION || header[12..16] != [0; 4] {
            return Err(RecordingError::OtherVersion { found });
        }
        let count = number(header, 16);
        let mut entries = Vec::new();
        for call in 0..count {
            let cut = RecordingError::Length { call };
            let (numbers, tail) = rest.split_at_checked(ENTRY_NUMBERS * 8).ok_or(cut)?;
            let numbers: [u64; ENTRY_NUMBERS] = core::array::from_fn(|index| number(numbers, index * 8));
            let [kind, a, b, c, d, before, after, memory] = numbers;
            let answer = Answer::from_numbers([kind, a, b, c, d]).ok_or(RecordingError::Answer { call })?;
            let (before, tail) = part(tail, before, cut)?;
            let (after, tail) = part(tail, after, cut)?;
            let (memory, tail) = part(tail, memory, cut)?;
            entries.try_reserve(1).map_err(NoMemory::from)?;
            entries.push(Entry { before, answer, after, memory });
            rest = tail;
        }
        if rest.is_empty() { Ok(Recording { entries }) } else { Err(RecordingError::Length { call: count }) }
    }
}

fn part(bytes: &[u8], len: u64, cut: RecordingError) -> Result<(Vec<u8>, &[u8]), RecordingError> {
    let len = usize::try_from(len).map_err(|_| cut)?;
    let (part, rest) = bytes.split_at_checked(len).ok_or(cut)?;
    let mut copy = Vec::new();
    copy.try_reserve_exact(len).map_err(NoMemory::from)?;
    copy.extend_from_slice(part);
    Ok((copy, rest))
}

fn number(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_ne_bytes(number)
}
