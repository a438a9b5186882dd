//! What can go wrong.

use super::label::{CodeOffset, Label};
use core::fmt;

/// Says why instructions cannot be joined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AsmError {
    /// A label is bound a second time.
    BoundTwice(Label),
    /// A label is used but bound nowhere, or belongs to another assembler.
    Unbound(Label),
    /// The code is longer than a signed 32-bit distance.
    TooLong,
    /// Memory could not be had.
    OutOfMemory,
}

impl fmt::Display for AsmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AsmError::BoundTwice(label) => write!(f, "label {label} is bound a second time"),
            AsmError::Unbound(label) => write!(f, "label {label} is used and bound nowhere"),
            AsmError::TooLong => write!(f, "code is longer than {} bytes", i32::MAX),
            AsmError::OutOfMemory => f.write_str("no memory to assemble in"),
        }
    }
}

impl core::error::Error for AsmError {}

/// Says why code cannot be written where it should go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum WriteError {
    /// The slice is shorter than the code.
    TooSmall {
        /// Counts the code's bytes.
        need: usize,
        /// Counts the slice's.
        have: usize,
    },
    /// The code would run at an address that is not a multiple of the largest alignment in it.
    Misaligned {
        /// Is the alignment in bytes.
        need: u32,
        /// Is the address.
        origin: u64,
    },
    /// What a call or jump leads to is further away than its field can say.
    OutOfReach {
        /// Names the field.
        at: CodeOffset,
    },
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::TooSmall { need, have } => write!(f, "code takes {need} bytes, there are {have}"),
            WriteError::Misaligned { need, origin } => {
                write!(f, "code wants an address that is a multiple of {need}, it is given {origin:#x}")
            }
            WriteError::OutOfReach { at } => write!(f, "code {at}: target is out of reach"),
        }
    }
}

impl core::error::Error for WriteError {}
