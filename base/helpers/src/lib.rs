//! The helpers that programs call: one file per family, one table of all.
//!
//! A helper gets arguments that the engine has checked against its prototype ([`skep_model`]'s table) and marshalled
//! ([`skep_mem::Arg`]); it answers with a [`skep_mem::Ret`]. What else it needs comes through [`Env`]: the host's
//! clocks, the program's maps, the packet. Failures are negative errnos, as on Linux.
//!
//! This crate knows nothing about engines, kernels, file descriptors or program loading, and has no clock, no random
//! numbers and no log of its own.
#![no_std]

#[cfg(test)]
extern crate alloc;

mod args;
mod csum;
mod env;
mod format;
mod maps;
mod misc;
mod packet;
mod print;
mod probe;
mod ring;
mod table;
mod task;
mod time;

pub use env::Env;
pub use packet::{Packet, PacketKind};
pub use table::{Needs, Row, find, rows};

use skep_mem::{Arg, Halt, Invoke, Ret};

/// How a helper calls back into the program that called it.
pub type Invoker<'a, 'm> = &'a mut dyn Invoke<'m>;

/// Calls a helper of the table.
///
/// # Errors
/// [`Halt`] where the run has ended inside a callback.
pub fn call<'m>(
    row: &Row,
    env: &dyn Env<'m>,
    args: &[Arg<'m>],
    invoke: Invoker<'_, 'm>,
) -> Result<Ret<'m>, Halt> {
    (row.run)(env, args::Args(args), invoke)
}
