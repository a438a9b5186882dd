//! Machine code for x86-64: making programs of it, and running them.
//!
//! The code comes from [`skep_jit`], the memory for it from a [`Code`](skep_mem::Code). A run's memory (see [`skep_jit::state`]) and the stacks
//! of its functions lie in the [`Cpu`](crate::Cpu), where the interpreter has them too.
//!
//! A helper is called from machine code, through which nothing may unwind: a panic in one aborts the process. Whoever answers
//! [`Calls`](crate::Calls) with code that may panic catches it there, and returns an error.

mod program;
mod run;

pub use program::{JitError, JitProgram};

use skep_jit::x86_64::{Cpuid, Features};

/// Asks the processor that this runs on what it can.
// Newer standard libraries have safe functions for this.
#[allow(unused_unsafe)]
pub fn features() -> Features {
    use core::arch::x86_64::{__cpuid, __cpuid_count};
    // SAFETY: every x86-64 processor has the instruction and its leaf 0.
    let highest = unsafe { __cpuid(0) }.eax;
    // SAFETY: as above, of leaf 8000_0000H.
    let highest_extended = unsafe { __cpuid(0x8000_0000) }.eax;
    let mut words = Cpuid::default();
    if highest >= 1 {
        // SAFETY: the processor has the leaf.
        words.leaf_1_ecx = unsafe { __cpuid(1) }.ecx;
    }
    if highest >= 7 {
        // SAFETY: the processor has the leaf.
        words.leaf_7_ebx = unsafe { __cpuid_count(7, 0) }.ebx;
    }
    if highest_extended >= 0x8000_0001 {
        // SAFETY: the processor has the leaf.
        words.leaf_8000_0001_ecx = unsafe { __cpuid(0x8000_0001) }.ecx;
    }
    Features::from_cpuid(&words)
}
