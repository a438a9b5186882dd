//! Why operations cannot be emitted.

use crate::x86_64::AsmError;
use core::fmt;
use skep_ir::cover::Uncovered;
use skep_isa::InsnIdx;

/// Says why code cannot be made of operations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum EmitError {
    /// An access has no check that covers it, and should.
    Unchecked {
        /// Names the instruction.
        at: InsnIdx,
    },
    /// The operations do not fit together or the target: a place, a target or a function that is not there.
    Malformed {
        /// Counts the operation.
        op: u32,
    },
    /// A check is to be made by code that does not keep its state in a register.
    NoStateRegister,
    /// Fuel is to be counted by code that has no register for it.
    NoFuelRegister,
    /// A function has more values in memory than its frame may hold.
    FrameTooLarge {
        /// Counts the functions before it.
        function: u32,
    },
    /// The stack of a function is larger than an instruction can say.
    StackTooLarge,
    /// The instructions do not fit together.
    Asm(AsmError),
}

impl fmt::Display for EmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EmitError::Unchecked { at } => write!(f, "instruction {at}: the access has no check"),
            EmitError::Malformed { op } => write!(f, "operation {op} does not fit the others"),
            EmitError::NoStateRegister => {
                f.write_str("checks want a target whose code keeps its state in a register")
            }
            EmitError::NoFuelRegister => f.write_str("fuel wants a target whose code keeps it in a register"),
            EmitError::FrameTooLarge { function } => {
                write!(f, "function {function} keeps more values in memory than a frame may hold")
            }
            EmitError::StackTooLarge => f.write_str("the stack of a function is too large"),
            EmitError::Asm(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for EmitError {}

impl From<AsmError> for EmitError {
    fn from(error: AsmError) -> EmitError {
        EmitError::Asm(error)
    }
}

impl From<Uncovered> for EmitError {
    fn from(error: Uncovered) -> EmitError {
        match error {
            Uncovered::Access { at } => EmitError::Unchecked { at },
            Uncovered::Target { op } => EmitError::Malformed { op },
            Uncovered::OutOfMemory => EmitError::Asm(AsmError::OutOfMemory),
        }
    }
}
