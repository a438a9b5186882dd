//! What makes a relocation an error, and not a value or a poisoned instruction.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::access::MAX_STEPS;
use super::candidates::Candidate;
use crate::error::Error;

/// A relocation that has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreError {
    /// What was asked, as C would say it, or as far as it could be read.
    pub access: String,
    /// Why there is no answer.
    pub problem: CoreProblem,
}

/// Whose BTF an error lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The program's.
    Local,
    /// The target's, in which this candidate is.
    Target(Candidate),
}

/// One of several candidates that do not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The candidate.
    pub candidate: Candidate,
    /// Where it leads to, as [`super::Spec::text`] shows it.
    pub text: String,
    /// The value that the instruction would get.
    pub value: u64,
}

/// Why a relocation has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CoreProblem {
    /// The path is no list of numbers, or is one where none belongs.
    Access,
    /// The path leads nowhere in the program's own types.
    NoStep {
        /// Which of its numbers.
        at: usize,
    },
    /// A path has more steps than anybody follows.
    TooLong,
    /// An offset does not fit 32 bits when counted in bits.
    TooLarge,
    /// The type has no name to look for.
    Anonymous,
    /// What is wanted cannot be said of an element of an array.
    Element,
    /// A bitfield lies across the border of what one load can read.
    Bitfield,
    /// Candidates do not agree.
    Ambiguous(Vec<Choice>),
    /// The BTF itself is malformed there.
    Btf {
        /// Whose it is.
        whose: Whose,
        /// Where and how.
        error: Error,
    },
}

impl fmt::Display for CoreProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CoreProblem::Access => f.write_str("wanted a path such as 0:1:3, found something else"),
            CoreProblem::NoStep { at } => {
                write!(f, "wanted a path within the object's own types, found step {at} outside of them")
            }
            CoreProblem::TooLong => {
                write!(f, "wanted a path of at most {MAX_STEPS} steps, found a longer one")
            }
            CoreProblem::TooLarge => f.write_str("wanted an offset below 512 MiB, found a larger one"),
            CoreProblem::Anonymous => f.write_str("wanted a type with a name, found one without"),
            CoreProblem::Element => f.write_str(
                "wanted the offset, size or existence of an array's element, found something else asked",
            ),
            CoreProblem::Bitfield => {
                f.write_str("wanted a bitfield that one load can read, found one across such borders")
            }
            CoreProblem::Ambiguous(choices) => {
                f.write_str("wanted candidates that agree, found ")?;
                for (at, choice) in choices.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    write!(f, "{comma}{} = {}", choice.text, choice.value)?;
                }
                Ok(())
            }
            CoreProblem::Btf { whose: Whose::Local, error } => write!(f, "the object's BTF: {error}"),
            CoreProblem::Btf { whose: Whose::Target(_), error } => write!(f, "the target's BTF: {error}"),
        }
    }
}

impl fmt::Display for CoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CO-RE relocation of {}: {}", self.access, self.problem)
    }
}

impl core::error::Error for CoreError {}
