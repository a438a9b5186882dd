//! Why text is no program.

use super::template::Hole;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

/// Says where text is no program, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AsmError {
    /// Counts lines from one.
    pub line: u32,
    /// Counts characters of the line from one.
    pub column: u32,
    /// Says why.
    pub kind: AsmErrorKind,
}

/// Says why text is no program.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AsmErrorKind {
    /// No instruction starts like this.
    UnknownInstruction {
        /// Holds the first word.
        found: Box<str>,
    },
    /// An instruction starts like this, but does not go on so.
    Unexpected {
        /// Lists all that may stand here.
        wanted: Vec<Wanted>,
        /// Holds what does; empty for the end of the line.
        found: Box<str>,
    },
    /// A number does not fit.
    OutOfRange {
        /// Holds the least that does.
        min: i64,
        /// Holds the largest that does.
        max: u64,
        /// Holds the number; beyond 128 bits, the largest there.
        found: i128,
    },
    /// No label is called so.
    UnknownLabel {
        /// Holds the name.
        name: Box<str>,
    },
    /// No helper is called so, and no label either.
    UnknownHelper {
        /// Holds the name.
        name: Box<str>,
    },
    /// No constant is called so.
    UnknownConstant {
        /// Holds the name.
        name: Box<str>,
    },
    /// Two labels, or two constants, are called so.
    DuplicateName {
        /// Holds the name.
        name: Box<str>,
        /// Holds the line of the first one.
        first_line: u32,
    },
    /// This cannot be a name: it means something else, or is no identifier.
    ReservedName {
        /// Holds the name.
        name: Box<str>,
    },
    /// The label is too far away for the instruction's field.
    TooFar {
        /// Counts slots from the next instruction.
        distance: i64,
        /// Counts the bits of the field.
        bits: u32,
    },
    /// The program has more slots than an index can count.
    TooLong,
    /// Memory could not be had.
    OutOfMemory,
}

/// Is something that may stand in a place. It displays as one reads it in an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Wanted {
    /// This very text.
    Text(&'static str),
    /// A register, `r0` to `r10`.
    Register,
    /// The lower half of a register, `w0` to `w10`.
    HalfRegister,
    /// The register that stood before, with its number.
    SameRegister(u8),
    /// A number, or a constant.
    Number,
    /// A label, or a distance.
    Target,
    /// A helper's number or name.
    Helper,
    /// A name.
    Name,
    /// Nothing more.
    End,
}

impl From<Hole> for Wanted {
    fn from(hole: Hole) -> Wanted {
        match hole {
            Hole::Reg(_) => Wanted::Register,
            Hole::Half(_) => Wanted::HalfRegister,
            Hole::Target | Hole::FarTarget | Hole::Function | Hole::Callee => Wanted::Target,
            Hole::Helper => Wanted::Helper,
            _ => Wanted::Number,
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wanted::Text(text) => write!(f, "`{text}`"),
            Wanted::Register => f.write_str("a register r0 to r10"),
            Wanted::HalfRegister => f.write_str("a register w0 to w10"),
            Wanted::SameRegister(number) => write!(f, "register {number} again"),
            Wanted::Number => f.write_str("a number"),
            Wanted::Target => f.write_str("a label or distance"),
            Wanted::Helper => f.write_str("a helper"),
            Wanted::Name => f.write_str("a name"),
            Wanted::End => f.write_str("the end of the line"),
        }
    }
}

impl fmt::Display for AsmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.kind)
    }
}

impl fmt::Display for AsmErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AsmErrorKind::UnknownInstruction { found } => write!(f, "no instruction starts with `{found}`"),
            AsmErrorKind::Unexpected { wanted, found } => {
                f.write_str("expected ")?;
                for (i, one) in wanted.iter().enumerate() {
                    match i {
                        0 => {}
                        _ if i + 1 == wanted.len() => f.write_str(" or ")?,
                        _ => f.write_str(", ")?,
                    }
                    write!(f, "{one}")?;
                }
                match &**found {
                    "" => f.write_str(", found the end of the line"),
                    found => write!(f, ", found `{found}`"),
                }
            }
            AsmErrorKind::OutOfRange { min, max, found } => {
                write!(f, "expected a number from {min} to {max}, found {found}")
            }
            AsmErrorKind::UnknownLabel { name } => write!(f, "unknown label `{name}`"),
            AsmErrorKind::UnknownHelper { name } => {
                write!(f, "`{name}` is neither a label nor the name of a helper")
            }
            AsmErrorKind::UnknownConstant { name } => write!(f, "unknown constant `{name}`"),
            AsmErrorKind::DuplicateName { name, first_line } => {
                write!(f, "`{name}` is defined again; the first definition is in line {first_line}")
            }
            AsmErrorKind::ReservedName { name } => write!(f, "`{name}` cannot be used as a name"),
            AsmErrorKind::TooFar { distance, bits } => {
                write!(f, "the label is {distance} instructions away, which does not fit in {bits} bits")
            }
            AsmErrorKind::TooLong => f.write_str("program has more than 4294967295 slots"),
            AsmErrorKind::OutOfMemory => f.write_str("no memory for the program"),
        }
    }
}

impl core::error::Error for AsmError {}
