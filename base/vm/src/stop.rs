//! Why a run ended before its program did.

use core::fmt;
use skep_isa::InsnIdx;

/// Says on which instruction a run stopped, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Names the instruction.
    pub at: InsnIdx,
    /// Says why.
    pub kind: StopKind,
}

/// Says why a run stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopKind {
    /// A read of memory that the program may not read.
    Read {
        /// Holds the address.
        address: u64,
        /// Counts the bytes.
        bytes: u8,
    },
    /// A write to memory that the program may not write.
    Write {
        /// Holds the address.
        address: u64,
        /// Counts the bytes.
        bytes: u8,
    },
    /// An atomic access to an address that is no multiple of its size.
    Misaligned {
        /// Holds the address.
        address: u64,
        /// Counts the bytes.
        bytes: u8,
    },
    /// The fuel is spent.
    Fuel,
    /// More than eight functions were active.
    CallDepth,
    /// A helper that is not there was called.
    UnknownHelper {
        /// Holds its number.
        id: u32,
    },
    /// What a register named is neither function nor helper.
    BadCallTarget {
        /// Holds what it held.
        found: u64,
    },
    /// A helper was given what it cannot use.
    BadArgument {
        /// Holds the helper's number.
        id: u32,
        /// Says which argument, from 1.
        arg: u8,
    },
    /// Memory for the run could not be had.
    OutOfMemory,
}

impl StopKind {
    /// Returns the kind's name in JSON (`error.kind`), the same as the reference machine's.
    pub const fn code(&self) -> &'static str {
        match self {
            StopKind::Read { .. } | StopKind::Write { .. } => "out_of_bounds",
            StopKind::Misaligned { .. } => "misaligned",
            StopKind::Fuel => "fuel",
            StopKind::CallDepth => "call_depth",
            StopKind::UnknownHelper { .. } => "unknown_helper",
            StopKind::BadCallTarget { .. } => "bad_call_target",
            StopKind::BadArgument { .. } => "bad_helper_argument",
            StopKind::OutOfMemory => "out_of_memory",
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instruction {}: {}", self.at, self.kind)
    }
}

impl fmt::Display for StopKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StopKind::Read { address, bytes } => {
                write!(f, "read of {bytes} bytes at {address:#x}, where the program may not read")
            }
            StopKind::Write { address, bytes } => {
                write!(f, "write of {bytes} bytes at {address:#x}, where the program may not write")
            }
            StopKind::Misaligned { address, bytes } => {
                write!(f, "atomic access at {address:#x} wants alignment to {bytes}")
            }
            StopKind::Fuel => f.write_str("the fuel is spent"),
            StopKind::CallDepth => f.write_str("more than 8 functions are active"),
            StopKind::UnknownHelper { id } => write!(f, "helper {id} is not known here"),
            StopKind::BadCallTarget { found } => write!(f, "call wants a function, found {found:#x}"),
            StopKind::BadArgument { id, arg } => write!(f, "argument {arg} of helper {id} cannot be used"),
            StopKind::OutOfMemory => f.write_str("out of memory"),
        }
    }
}

impl core::error::Error for Stop {}
