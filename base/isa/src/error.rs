//! Why a slot is no instruction.

use crate::{Field, InsnIdx, table};
use core::fmt;

/// Says which slot could not be decoded, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DecodeError {
    /// Holds the slot; of a wide instruction, the first.
    pub at: InsnIdx,
    /// Says why.
    pub kind: DecodeErrorKind,
}

/// Says why a slot is no instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// No instruction has this opcode.
    UnknownOpcode {
        /// Holds the opcode.
        code: u8,
    },
    /// The opcode has several instructions, told apart by a field that has none of their values.
    UnknownVariant {
        /// Holds the opcode.
        code: u8,
        /// Names the field.
        field: Field,
        /// Holds what is in it.
        found: i32,
    },
    /// The kernel makes this form for itself and accepts it from nobody.
    Internal {
        /// Holds the opcode; [`table::internal_name`] is what the kernel calls it.
        code: u8,
    },
    /// The instruction does not use this field, so it must be zero (RFC 9669 §3.1).
    UnusedField {
        /// Names the field.
        field: Field,
        /// Holds what is in it.
        found: i32,
    },
    /// A register field is above 10.
    UnknownRegister {
        /// Names the field.
        field: Field,
        /// Holds what is in it.
        found: u8,
    },
    /// A wide instruction is the last slot.
    HalfWide,
    /// There are more slots than an [`InsnIdx`] can name.
    TooLong,
    /// Memory for the decoded program could not be had.
    OutOfMemory,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instruction {}: {}", self.at, self.kind)
    }
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            DecodeErrorKind::UnknownOpcode { code } => write!(f, "unknown opcode {code:#04x}"),
            DecodeErrorKind::UnknownVariant { code, field, found } => {
                write!(f, "opcode {code:#04x} wants ")?;
                write_wanted(f, code)?;
                write!(f, " in field `{field}`, found ")?;
                write_value(f, field, found)
            }
            DecodeErrorKind::Internal { code } => {
                let name = table::internal_name(code).unwrap_or("this form");
                write!(
                    f,
                    "{name} (opcode {code:#04x}) is internal to the kernel and accepted from no program"
                )
            }
            DecodeErrorKind::UnusedField { field, found } => {
                write!(f, "unused field `{field}` must be zero, found {found}")
            }
            DecodeErrorKind::UnknownRegister { field, found } => {
                write!(f, "field `{field}` wants a register r0 to r10, found r{found}")
            }
            DecodeErrorKind::HalfWide => f.write_str("wide instruction lacks its second slot"),
            DecodeErrorKind::TooLong => f.write_str("program has more than 4294967295 slots"),
            DecodeErrorKind::OutOfMemory => f.write_str("no memory for the decoded program"),
        }
    }
}

/// Lists the values of the picking field that the rows of an opcode have.
fn write_wanted(f: &mut fmt::Formatter<'_>, code: u8) -> fmt::Result {
    let rows = table::rows_of(code);
    for (i, (field, value)) in rows.iter().filter_map(|row| row.pick.field()).enumerate() {
        match i {
            0 => {}
            _ if i + 1 == rows.len() => f.write_str(" or ")?,
            _ => f.write_str(", ")?,
        }
        write_value(f, field, value)?;
    }
    Ok(())
}

/// Writes what documents write in decimal in decimal, and operation codes in hexadecimal.
fn write_value(f: &mut fmt::Formatter<'_>, field: Field, value: i32) -> fmt::Result {
    match field {
        Field::Imm if !(0..=64).contains(&value) => write!(f, "{value:#x}"),
        _ => write!(f, "{value}"),
    }
}

impl core::error::Error for DecodeError {}

impl core::error::Error for DecodeErrorKind {}
