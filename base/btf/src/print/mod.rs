//! Types as text: C that compiles to the same layouts, and lines that say what is stored.

mod c;
mod raw;

use core::fmt;

use crate::error::Error;

pub use c::CPrinter;
pub use raw::Raw;

/// Why types could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrintError {
    /// The types cannot be told in that language, or not in reasonable length.
    Types(Error),
    /// The writer refused.
    Writer,
}

impl fmt::Display for PrintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PrintError::Types(error) => error.fmt(f),
            PrintError::Writer => f.write_str("wanted a writer that takes all text, found one that refused"),
        }
    }
}

impl core::error::Error for PrintError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            PrintError::Types(error) => Some(error),
            PrintError::Writer => None,
        }
    }
}

impl From<Error> for PrintError {
    fn from(error: Error) -> PrintError {
        PrintError::Types(error)
    }
}

impl From<fmt::Error> for PrintError {
    fn from(_: fmt::Error) -> PrintError {
        PrintError::Writer
    }
}
