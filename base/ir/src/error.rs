//! Why a program cannot be compiled.

use core::fmt;
use skep_isa::InsnIdx;

/// Says on which instruction compiling stopped, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildError {
    /// Names the instruction.
    pub at: InsnIdx,
    /// Says why.
    pub kind: BuildErrorKind,
}

/// Says why an instruction cannot be compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildErrorKind {
    /// A wide load refers to something that the embedder does not have.
    UnknownAddress,
    /// The helper is not there.
    UnknownHelper {
        /// Holds its number.
        id: u32,
    },
    /// The instruction is one that the compiled engines do not run.
    Unsupported {
        /// Names it.
        what: &'static str,
    },
    /// r10 is written.
    FramePointer,
    /// The program is larger than the compiler's indices reach.
    TooLarge,
    /// Memory could not be had.
    OutOfMemory,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instruction {}: {}", self.at, self.kind)
    }
}

impl fmt::Display for BuildErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildErrorKind::UnknownAddress => f.write_str("what it refers to is not here"),
            BuildErrorKind::UnknownHelper { id } => write!(f, "helper {id} is not known here"),
            BuildErrorKind::Unsupported { what } => write!(f, "{what} is not supported by compiled engines"),
            BuildErrorKind::FramePointer => f.write_str("the frame pointer r10 is read-only"),
            BuildErrorKind::TooLarge => f.write_str("the program is too large to compile"),
            BuildErrorKind::OutOfMemory => f.write_str("out of memory"),
        }
    }
}

impl core::error::Error for BuildError {}
