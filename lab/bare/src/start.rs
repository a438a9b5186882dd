//! The first instructions, and the symbols that they and the linker script define.

use core::arch::global_asm;

global_asm!(include_str!("start.s"));

/// How far the exception stubs of `start.s` are apart.
pub(crate) const TRAP_STRIDE: u64 = 16;

/// Declares symbols of which the address alone means anything, and functions that give it.
macro_rules! addresses {
    ($($(#[$doc:meta])* $name:ident = $symbol:ident;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name() -> u64 {
            // SAFETY: `start.s` and the linker define them, and only their addresses are taken.
            unsafe extern "C" {
                safe fn $symbol();
            }
            $symbol as *const () as u64
        }
    )*};
}

addresses! {
    /// The address of the stub for exception 0.
    traps = bare_traps;
    /// The address of the stub for the timer's interrupt.
    timer = bare_timer;
    /// Where the timer's stack starts, growing down.
    timer_stack_top = bare_timer_stack_top;
    /// The address of the table of page tables.
    top_table = bare_pml4;
    /// The address of the directory that maps the first GiB to itself.
    identity_directory = bare_pd;
    /// The first address after the program.
    image_end = bare_image_end;
}
