//! CO-RE: what a program asks of a type of its own is answered for the type of that name in another BTF.
//!
//! A compiler writes down each access that depends on a layout: a type of the object's BTF, a path of indices, and what is
//! wanted ([`Request`]). [`Candidates`] finds the types of the target's BTF that have the same name, but for a flavour
//! (`task_struct___old` is `task_struct`); [`resolve`] follows the path in each of them by names and gives a [`Resolution`]:
//! the path there, the value here and there, or that nobody has it. [`patch`] writes it into the instruction. What nobody
//! has is *poisoned*: it becomes a call that no kernel accepts, so that a program loads as long as a branch that its own
//! checks rule out is all that needs it.
//!
//! A resolution is data and holds identifiers only; [`Spec::text`] and [`Spec::access`] name what they stand for, and
//! [`Used`] gathers the types and members that resolutions rest on.
//!
//! What is compatible with what, and what the values are, follows libbpf (`src/relo_core.c`): programs are written against
//! it. Where it reads outside of malformed BTF, or would not end, here is an error.

mod access;
mod candidates;
mod compat;
mod error;
mod follow;
mod matches;
mod name;
mod patch;
mod resolve;
mod used;
mod value;

pub use access::{MAX_STEPS, Point, Spec, Step};
pub use candidates::{Candidate, Candidates};
pub use compat::types_are_compatible;
pub use error::{Choice, CoreError, CoreProblem, Whose};
pub use name::essential_name;
pub use patch::{POISON, PatchError, Patched, patch};
pub use resolve::{Match, Request, Resolution, resolve};
pub use used::Used;
pub use value::{Check, Outcome, Resize, Values};

/// A slot of a program, as [`patch`] writes it.
pub use skep_isa::RawInsn;

use crate::btf::kind_number;
use crate::error::{Error, Problem};
use crate::ext::CoreRelocKind;
use crate::kind::Kind;
use crate::record::Type;

/// What a relocation starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// A member or an element.
    Field,
    /// A type as a whole.
    Type,
    /// A named value of an enumeration.
    Enumerator,
}

impl Class {
    fn of(kind: CoreRelocKind) -> Class {
        use CoreRelocKind as K;
        match kind {
            K::FieldByteOffset
            | K::FieldByteSize
            | K::FieldExists
            | K::FieldSigned
            | K::FieldLshiftU64
            | K::FieldRshiftU64 => Class::Field,
            K::TypeIdLocal | K::TypeIdTarget | K::TypeExists | K::TypeSize | K::TypeMatches => Class::Type,
            K::EnumvalExists | K::EnumvalValue => Class::Enumerator,
        }
    }
}

/// The number of a type's kind, 0 for `void`.
fn number_of(ty: Type<'_>) -> u8 {
    kind_number(ty.info())
}

/// Whether two kinds may stand for each other: the same, or enumerations of either width.
fn alike(a: Type<'_>, b: Type<'_>) -> bool {
    number_of(a) == number_of(b) || (is_enum(a) && is_enum(b))
}

fn is_enum(ty: Type<'_>) -> bool {
    matches!(ty.kind(), Some(Kind::Enum | Kind::Enum64))
}

fn is_composite(ty: Type<'_>) -> bool {
    matches!(ty.kind(), Some(Kind::Struct | Kind::Union))
}

/// How many members, enumerators and types one question may look at; only BTF made for it needs more.
const QUESTION: u32 = 1 << 19;
/// How many all questions of an object may: enough for seven thousand different ones about the longest struct of a kernel.
const OBJECT: u32 = 1 << 21;

/// How much looking is left.
#[derive(Clone, Debug)]
struct Budget(u32);

impl Budget {
    const fn of_a_question() -> Budget {
        Budget(QUESTION)
    }

    const fn of_an_object() -> Budget {
        Budget(OBJECT)
    }

    /// What the next question may spend.
    fn question(&self) -> Budget {
        Budget(self.0.min(QUESTION))
    }

    /// Takes what a question has spent, of which this is left.
    fn settle(&mut self, question: Budget) {
        self.0 -= self.0.min(QUESTION) - question.0;
    }

    fn spend(&mut self, on: Type<'_>) -> Result<(), Error> {
        self.spend_many(1, on)
    }

    fn spend_many(&mut self, steps: usize, on: Type<'_>) -> Result<(), Error> {
        let left = u32::try_from(steps).ok().and_then(|steps| self.0.checked_sub(steps));
        let problem = || on.error(Problem::TooComplex);
        // What cannot be paid leaves nothing: the next question does not try again.
        self.0 = left.unwrap_or(0);
        left.map(drop).ok_or_else(problem)
    }
}
