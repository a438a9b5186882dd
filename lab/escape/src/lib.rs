//! Programs that try to reach what they may not, in machine code between guard pages.
//!
//! A campaign makes programs of numbers (valid ones, those that compute addresses near every border, any bytecode that hangs
//! together, and mutations of these), compiles each in several [ways](ways::Way) with every access checked, and runs it where
//! everything lies at fixed addresses with guards around ([`layout`]): the input, memory besides, a map's value, the
//! machine's own state, the stacks and the code. A run must come to what the [reference](flat) comes to: result, memory, fuel,
//! calls of helpers, or the error, its place and its address. An access that hits a guard, a write outside of
//! what was lent, a signal, a panic or a run without an end is a finding, named by its seed.
//!
//! What is not shown here: that reads of mapped memory without effect on any outcome do not happen.
//!
//! This crate must never know: kernels, objects, files.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

pub mod campaign;
pub mod corral;
pub mod flat;
pub mod ground;
pub mod helpers;
pub mod layout;
pub mod make;
pub mod signals;
pub mod ways;
