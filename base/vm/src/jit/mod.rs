//! Machine code for x86-64: making programs of it, and running them.
//!
//! The code comes from [`skep_jit`], the memory for it from a [`Code`](skep_mem::Code). A run's memory (see [`skep_jit::state`]) and the stacks
//! of its functions lie in the [`Cpu`](crate::Cpu), where the interpreter has them too.
//!
//! A helper is called from machine code, through which nothing may unwind. Where a panic in one can be caught, which whoever lends
//! memory for code says ([`Code::shield`](skep_mem::Code::shield)), it goes on once the code has returned, as if the code
//! had not been between; elsewhere it ends the process. Of a [plain](crate::Plain) helper it always does.

mod program;
mod run;

pub use program::{CodePiece, JitError, JitOptions, JitProgram, TailCalls};
pub(crate) use run::elsewhere;
pub use run::{Entrance, Left, Stuck};

use core::sync::atomic::{AtomicU8, Ordering};
use skep_jit::x86_64::{Cpuid, Feature, Features};

/// Says what the processor that this runs on can. It is asked once: where this runs in a virtual machine, each question
/// takes microseconds.
pub fn features() -> Features {
    static SET: AtomicU8 = AtomicU8::new(0);
    /// Stands in `SET` beside the features that were found.
    const KNOWN: u8 = 1 << 7;
    const { assert!(Feature::ALL.len() < 7) };
    let bit = |feature: Feature| 1 << feature as u8;
    let mut set = SET.load(Ordering::Relaxed);
    if set & KNOWN == 0 {
        let found = ask();
        set =
            Feature::ALL.into_iter().filter(|feature| found.has(*feature)).fold(KNOWN, |set, f| set | bit(f));
        SET.store(set, Ordering::Relaxed);
    }
    Feature::ALL.into_iter().filter(|feature| set & bit(*feature) != 0).fold(Features::NONE, Features::with)
}

/// Asks the processor what it can.
// Newer standard libraries have safe functions for this.
#[allow(unused_unsafe)]
fn ask() -> Features {
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
