//! The first instructions, and the symbols that they define.

use core::arch::global_asm;

global_asm!(include_str!("start.s"));

/// How far the exception stubs of `start.s` are apart.
pub(crate) const TRAP_STRIDE: u64 = 16;

/// The address of the stub for exception 0.
pub(crate) fn traps() -> u64 {
    unsafe extern "C" {
        safe fn bare_traps();
    }
    bare_traps as *const () as u64
}
