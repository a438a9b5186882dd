//! One exercise of the seam, the same for every kernel that answers it: running Linux, C functions, the embedded
//! kernel in a process or on bare metal, a recording.
//!
//! It knows nothing about who answers and uses no `std`, so that a kernel's own test binary can run it.
#![no_std]

extern crate alloc;

mod check;
mod maps;
mod programs;
mod rings;
pub mod samples;

pub use check::Failure;
pub use rings::Ring;

use skep_sys::Kernel;

/// What the exercise has to be told about the machine.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Bytes of a page.
    pub page_size: usize,
    /// The version of Linux that answers, or is to be imitated: 6 and 18, say.
    pub release: (u32, u32),
}

/// Creates, fills, reads, maps, waits for and closes maps.
///
/// # Errors
/// [`Failure`] at the first answer that is not Linux's.
pub fn exercise(kernel: &Kernel, machine: Machine) -> Result<(), Failure> {
    maps::hash(kernel)?;
    maps::array(kernel, machine)?;
    maps::array_memory(kernel, machine)?;
    maps::ids(kernel)?;
    rings::empty(kernel, machine)
}

/// Loads programs, runs them, and reads what they wrote to a ring.
///
/// # Errors
/// [`Failure`] at the first answer that is not Linux's.
pub fn exercise_programs(kernel: &Kernel, machine: Machine) -> Result<(), Failure> {
    programs::returns(kernel)?;
    programs::writes_records(kernel, machine)?;
    programs::writes_over_the_end(kernel, machine)
}

/// Loads what a verifier refuses.
///
/// # Errors
/// [`Failure`] at the first answer that is not Linux's.
pub fn exercise_verifier(kernel: &Kernel) -> Result<(), Failure> {
    programs::refused(kernel)
}
