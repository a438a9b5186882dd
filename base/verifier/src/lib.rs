//! Decides whether a program may run.
//!
//! [`verify`] follows every path with what is known of each value, and answers with [`Verified`]; what it cannot model it refuses as
//! unmodelled, never as wrong. [`structured`] looks at *structure* only: whether every slot decodes on the platform, where jumps and
//! calls lead, that every instruction can be reached and none runs off a function's end, and that what instructions refer to exists
//! and is allowed; its [`Structured`] is no permission to run without run-time checks.
//!
//! A [`Rejection`] by [`structured`] is certain: Linux of the platform's version refuses the program too. What would be refused only if some branch
//! is taken is a [`Doubt`], for a branch that is never taken may hold anything.
//!
//! This crate knows instructions and the platform's tables. It must never know memory, maps' contents, descriptors, or how to
//! run anything.
#![no_std]

extern crate alloc;

mod binding;
mod depth;
mod explore;
mod facts;
mod flow;
mod kept;
mod linux;
mod live;
mod path;
mod registers;
mod rejection;
mod rules;
mod same;
mod scalar;
mod special;
mod stack;
mod state;
mod step;
mod structured;
mod subject;
mod trace;
mod value;
mod verified;
mod why;

pub use binding::{Binding, Difference};
pub use linux::{Detail, Sink};
pub use rejection::{Category, Note, Rejection, Rule};
pub use special::{SpecialError, special_fields};
pub use structured::{Doubt, Structured, structured};
pub use subject::{
    Alignment, KptrTrust, MapProto, Reference, References, Sleep, Special, SpecialKind, Subject,
};
pub use trace::{Holds, Known, Numbers, Points, Target, Trace};
pub use verified::{Limits, Loops, Pruning, Stats, Verified, verify, verify_logged, verify_traced};
