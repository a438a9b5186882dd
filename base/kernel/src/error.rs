//! What every command may answer.

use skep_abi::Errno;

/// A result with Linux's errno for Linux's mistake.
pub(crate) type Result<T> = core::result::Result<T, Errno>;
