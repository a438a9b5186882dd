//! Values: what bytes mean by their type, as a tree; and the way back, from text into bytes.

mod assign;
mod bits;
mod decode;
mod text;

use alloc::string::String;
use alloc::vec::Vec;

use crate::error::Problem;

pub use assign::{AssignError, AssignProblem, Literal, Located};

/// What bytes mean by their type.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'b> {
    /// A signed integer.
    Signed(i128),
    /// An unsigned integer.
    Unsigned(u128),
    /// A boolean; one that is neither 0 nor 1 is an unsigned integer.
    Bool(bool),
    /// A `char`.
    Char(u8),
    /// A floating-point number.
    Float(f64),
    /// A value of an enumeration.
    Enum {
        /// The first enumerator that has it.
        name: Option<&'b str>,
        /// The value.
        value: i128,
    },
    /// An address.
    Ptr(u64),
    /// A struct: its members in order, those of anonymous structs and unions among them.
    Struct(Vec<FieldValue<'b>>),
    /// A union: each of its members' readings of the same bytes.
    Union(Vec<FieldValue<'b>>),
    /// An array.
    Array(Vec<Value<'b>>),
    /// An array of `char` that holds printable text and a NUL.
    Text(String),
    /// What could not be read.
    Unreadable(Unreadable),
}

/// A named part of a struct or union.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldValue<'b> {
    /// The name.
    pub name: &'b str,
    /// The value.
    pub value: Value<'b>,
}

/// Says why a value could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreadable {
    /// There are too few bytes.
    Short {
        /// Bytes wanted, from the start of the data.
        wanted: u64,
        /// Bytes found.
        found: u64,
    },
    /// The type cannot be read.
    Type(Problem),
    /// A number of that many bytes is beyond this reader.
    Width(u32),
    /// The type has more parts than its data could ever fill; the rest is left out.
    TooMany,
}

impl<'b> Value<'b> {
    /// The part of a struct or union of that name.
    pub fn member(&self, name: &str) -> Option<&Value<'b>> {
        match self {
            Value::Struct(fields) | Value::Union(fields) => {
                fields.iter().find(|field| field.name == name).map(|field| &field.value)
            }
            _ => None,
        }
    }

    /// The integer that it is: numbers, booleans, characters, enumerations and addresses are, where they fit.
    pub fn as_int(&self) -> Option<i128> {
        match *self {
            Value::Signed(value) | Value::Enum { value, .. } => Some(value),
            Value::Unsigned(value) => i128::try_from(value).ok(),
            Value::Bool(value) => Some(value.into()),
            Value::Char(value) => Some(value.into()),
            Value::Ptr(value) => Some(value.into()),
            _ => None,
        }
    }
}
