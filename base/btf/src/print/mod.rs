//! Types as text: C and Rust that compile to the same layouts, and lines that say what is stored.

mod c;
mod raw;
mod rust;

use alloc::vec::Vec;
use core::fmt;

use crate::btf::Btf;
use crate::error::{Error, Problem, Section};

pub use c::CPrinter;
pub use raw::Raw;
pub use rust::RustPrinter;

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

/// Steps that each byte of types pays for: types without a name are written wherever they are used.
const STEPS_PER_BYTE: u64 = 4;

/// Steps that are there for little BTF.
const FREE_STEPS: u64 = 1 << 16;

/// One entry for each type.
fn table<T: Clone>(btf: &Btf<'_>, entry: T) -> Result<Vec<T>, Error> {
    let len = btf.len() as usize;
    let mut table = Vec::new();
    table.try_reserve_exact(len).map_err(|_| Error::at(Section::Types, 0, Problem::NoMemory))?;
    table.resize(len, entry);
    Ok(table)
}
