//! Decides whether a program may run.
//!
//! What there is so far looks at *structure*: whether every slot decodes on the platform, where jumps and calls lead, that every
//! instruction can be reached and none runs off a function's end, and that what instructions refer to exists and is allowed.
//! [`structured`] answers with [`Structured`], which says that and no more: values, pointers, bounds and loops are not followed,
//! so it is no permission to run without run-time checks, and there is no other way to come by one.
//!
//! A [`Rejection`] is certain: Linux of the platform's version refuses the program too. What would be refused only if some branch
//! is taken is a [`Doubt`], for a branch that is never taken may hold anything.
//!
//! This crate knows instructions and the platform's tables. It must never know memory, maps' contents, descriptors, or how to
//! run anything.
#![no_std]

extern crate alloc;

mod flow;
mod registers;
mod rejection;
mod rules;
#[cfg_attr(not(test), expect(dead_code, reason = "nothing follows values yet"))]
mod scalar;
mod structured;
mod subject;

pub use rejection::{Category, Rejection, Rule};
pub use structured::{Doubt, Structured, structured};
pub use subject::{Reference, References, Subject};
