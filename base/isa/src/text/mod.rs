//! Text: instructions as people read and write them, in two dialects.
//!
//! [`Dialect::Linux`] is what bpftool shows and clang takes (`r0 = 1`, `if r1 > 5 goto L`); [`Dialect::Mnemonic`] is what users
//! of virtual machines write (`mov r0, 1`, `jgt r1, 5, L`). Both come from the templates of the [table](crate::table),
//! and what [`disassemble`] writes assembles to the same bytes.
//!
//! This module must never know a helper's number or a map's name: who has them implements [`Names`].

mod alias;
mod assemble;
mod cursor;
mod error;
mod index;
mod labels;
mod parse;
mod template;
mod write;

pub use assemble::{Assembled, Symbols, assemble};
pub use error::{AsmError, AsmErrorKind, Wanted};
pub use labels::{Label, Labels, OutOfMemory};
pub use write::{disassemble, write_insn};

use crate::InsnIdx;
use core::fmt;

/// Says how instructions are written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Dialect {
    /// `r0 = 1`: bpftool's and LLVM's.
    Linux,
    /// `mov r0, 1`: that of user-space virtual machines and the public conformance suite.
    Mnemonic,
}

/// Gives names to what instructions have as numbers. Every method may know nothing, as those of `()` do.
pub trait Names {
    /// Returns the name of a helper.
    fn helper(&self, id: u32) -> Option<&str> {
        let _ = id;
        None
    }

    /// Returns the name of the function that starts at a slot. It is used if it is an identifier, unlike any other name.
    fn function(&self, start: InsnIdx) -> Option<&str> {
        let _ = start;
        None
    }

    /// Writes a remark about an instruction, such as the symbol it refers to; it becomes a comment, if not empty.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    fn remark(&self, at: InsnIdx, out: &mut dyn fmt::Write) -> fmt::Result {
        let _ = (at, out);
        Ok(())
    }
}

impl Names for () {}

/// Takes the names of helpers from a function.
impl<F: Fn(u32) -> Option<&'static str>> Names for F {
    fn helper(&self, id: u32) -> Option<&str> {
        self(id)
    }
}

/// Says whether a character may be in a name, a number or a mnemonic.
pub(crate) fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$')
}

/// Says whether text can be the name of a label: an identifier that nothing else is called.
pub(crate) fn is_label(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '.'))
        && name.chars().all(is_word)
        && !is_register(name)
        && !matches!(name, "pc" | "ll" | "kfunc" | "helper" | "local" | "runtime")
}

fn is_register(name: &str) -> bool {
    let numbered = name.strip_prefix(['r', 'w']).is_some_and(|number| {
        !number.is_empty() && number.len() <= 2 && number.bytes().all(|b| b.is_ascii_digit())
    });
    numbered || name == "fp"
}
