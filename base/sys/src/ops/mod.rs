//! Typed operations of [`crate::Kernel`]: one safe constructor of attributes per command, one file per family.

mod file;
mod map;

pub use map::{BatchStep, BatchThen, MapFd, MapShape};

use crate::{AreaMemory, Attr, AttrError, Call, Handle};
use core::fmt;
use core::mem::offset_of;
use skep_abi::{Cmd, Errno, InfoByFd};
use zerocopy::{FromBytes, Immutable, IntoBytes};

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

/// Fills a zeroed info struct (`BPF_OBJ_GET_INFO_BY_FD`), with no memory lent for the lists inside it.
fn info_by_fd<T: FromBytes + IntoBytes + Immutable + Default>(
    handle: &Handle,
    info: &mut T,
) -> Result<(), CallError> {
    *info = T::default();
    let mut by_fd = InfoByFd { bpf_fd: handle.fd().raw(), info_len: size_of::<T>() as u32, info: 0 };
    let attr = Attr::new(Cmd::OBJ_GET_INFO_BY_FD, &mut by_fd)
        .lend(offset_of!(InfoByFd, info), AreaMemory::InOut(info.as_mut_bytes()));
    handle.kernel().call(Call::Bpf(attr))?;
    Ok(())
}
