//! Programs in the shapes that real ones have: look-ups by keys on the stack, tables, statistics per CPU, parsers, rings, caches,
//! atomic counters, tail calls, loops over a packet. Sources and objects are in `c/`.
//!
//! Each is one body in C, compiled for kernels (a program of XDP, that [`InKernel`] loads) and for a machine without a
//! kernel ([`Attached`]); it comes to the same number on both, and counts in its maps alike.
//!
//! This crate must never know how fast anything is: who measures brings the clock.

mod attached;
mod kernel;
mod table;

pub use attached::Attached;
pub use kernel::InKernel;
pub use table::{Counter, SHAPES, Shape, packet};
