//! Values as text: `{saddr: 10, comm: "sh", mode: ON}`.

use core::fmt::{self, Write};

use super::{FieldValue, Unreadable, Value};

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Signed(value) => write!(f, "{value}"),
            Value::Unsigned(value) => write!(f, "{value}"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Char(byte @ 0x20..=0x7e) => write!(f, "{:?}", char::from(*byte)),
            Value::Char(byte) => write!(f, "{byte}"),
            // Debug keeps the point that tells a float from an integer.
            Value::Float(value) => write!(f, "{value:?}"),
            Value::Enum { name: Some(name), .. } => f.write_str(name),
            Value::Enum { name: None, value } => write!(f, "{value}"),
            Value::Ptr(address) => write!(f, "{address:#x}"),
            Value::Struct(fields) | Value::Union(fields) => {
                list(f, '{', '}', fields, |f, FieldValue { name, value }| write!(f, "{name}: {value}"))
            }
            Value::Array(values) => list(f, '[', ']', values, |f, value| write!(f, "{value}")),
            Value::Text(text) => write!(f, "{text:?}"),
            Value::Unreadable(why) => write!(f, "<{why}>"),
        }
    }
}

fn list<T>(
    f: &mut fmt::Formatter<'_>,
    open: char,
    close: char,
    items: &[T],
    each: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    f.write_char(open)?;
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        each(f, item)?;
    }
    f.write_char(close)
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Short { wanted, found } => write!(f, "wanted {wanted} bytes, found {found}"),
            Unreadable::Type(problem) => write!(f, "{problem}"),
            Unreadable::Width(bytes) => {
                write!(f, "wanted a number that is understood, found one of {bytes} bytes")
            }
            Unreadable::TooMany => f.write_str("wanted fewer parts, found more than the bytes can fill"),
        }
    }
}
