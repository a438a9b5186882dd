//! The compiler of eBPF programs: bytecode to [`ssa`], where we optimise, to [`ops`], which engines run.
//!
//! | step | what it does | its checker |
//! | --- | --- | --- |
//! | [`build`] | one walk over the bytecode; registers and promoted stack slots become values | [`ssa::verify`](mod@ssa::verify), the [evaluator](ssa::eval) |
//! | [`passes`] | simplify, remove dead code | the same |
//! | [`alloc`] | one linear scan for a [`Machine`](machine::Machine), which is a value | [`alloc::check`] |
//! | [`lower`] | linear [`ops`] | [`held`]: what is read has been written; [`cover`]: each access of checked code lies behind a check |
//!
//! At [`Level::O0`] all of it is one step, `baseline`, straight from bytecode to operations, which the checkers of operations
//! look at as well.
//!
//! Program memory is shared memory: every load and store of the bytecode happens exactly once and in order, except on the
//! stack slots that have become values.
//!
//! This crate must never know: addresses of the machine it runs on, how an engine runs operations, what a helper does, the
//! verifier.
#![no_std]

extern crate alloc as alloc_crate;

pub mod alloc;
pub mod arith;
mod baseline;
pub mod build;
pub mod cover;
mod error;
pub mod held;
pub mod join;
pub mod lower;
pub mod machine;
pub mod ops;
pub mod passes;
mod source;
pub mod ssa;

pub use skep_model::{fuel, handle};

pub use error::{BuildError, BuildErrorKind};
pub use source::{Access, Address, Key, Level, Link, LookUp, Metering, Options, Region, Source};
