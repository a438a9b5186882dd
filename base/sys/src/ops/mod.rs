//! Typed operations of [`crate::Kernel`]: one safe constructor of attributes per command, one file per family.

mod btf;
mod file;
mod info;
mod link;
mod map;
mod obj;
mod perf;
mod prog;
mod wait;

pub use btf::BtfFd;
pub use info::{LinkPlaces, ProgLists};
pub use link::{LinkAttr, LinkFd, UprobeMultiMemory};
pub use map::{BatchStep, BatchThen, MapFd, MapShape};
pub use obj::{ObjectKind, TaskFd};
pub use prog::{FdArray, ProgFd, ProgLoadMemory, ProgQueryMemory, Records, TestRunMemory};

use crate::AttrError;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use skep_abi::Errno;

/// Why a typed operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError {
    /// The arguments do not fit together; nothing was asked of the kernel.
    Attr(AttrError),
    /// The kernel refused.
    Errno(Errno),
}

impl CallError {
    /// Gives the errno: the kernel's, or the one it would have given.
    pub fn errno(&self) -> Errno {
        match self {
            CallError::Attr(AttrError::TooLong { .. }) => Errno::E2BIG,
            CallError::Attr(AttrError::NoMemory) => Errno::ENOMEM,
            CallError::Attr(_) => Errno::EINVAL,
            CallError::Errno(errno) => *errno,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Attr(error) => error.fmt(f),
            CallError::Errno(errno) => errno.fmt(f),
        }
    }
}

impl core::error::Error for CallError {}

impl From<Errno> for CallError {
    fn from(errno: Errno) -> CallError {
        CallError::Errno(errno)
    }
}

impl From<AttrError> for CallError {
    fn from(error: AttrError) -> CallError {
        CallError::Attr(error)
    }
}

/// Checks a buffer against the length that the kernel will use.
fn exactly(what: &'static str, wanted: usize, bytes: &[u8]) -> Result<(), AttrError> {
    if bytes.len() == wanted {
        return Ok(());
    }
    Err(AttrError::WrongLength { what, wanted, found: bytes.len() })
}

/// Gives a length as the 32-bit fields of attributes carry it.
fn len_u32(what: &'static str, found: usize) -> Result<u32, AttrError> {
    u32::try_from(found).map_err(|_| AttrError::TooLong { what, found })
}

/// Copies a string and its NUL.
fn nul_terminated(what: &'static str, text: &str) -> Result<Vec<u8>, AttrError> {
    if text.contains('\0') {
        return Err(AttrError::NulInside { what });
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(text.len() + 1).map_err(|_| AttrError::NoMemory)?;
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0);
    Ok(bytes)
}

/// Reads a string up to its NUL; what is not UTF-8 in it is replaced.
fn until_nul(mut bytes: Vec<u8>) -> String {
    let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.truncate(len);
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
