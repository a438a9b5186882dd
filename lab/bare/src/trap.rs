//! Exceptions: each one is a fault of this program, is reported and ends the machine.

use crate::machine::{End, end};
use crate::println;
use crate::start::{TRAP_STRIDE, traps};
use core::arch::asm;
use core::cell::UnsafeCell;

const VECTORS: usize = 32;

/// Exceptions that push an error code before the return address (Intel's manual, volume 3, table 6-1).
const WITH_ERROR_CODE: u32 =
    1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 17 | 1 << 21 | 1 << 29 | 1 << 30;

/// The table of gates, 16 bytes each.
#[repr(C, align(16))]
struct Table(UnsafeCell<[[u64; 2]; VECTORS]>);

// SAFETY: it is written once, before the only CPU reads it.
unsafe impl Sync for Table {}

static TABLE: Table = Table(UnsafeCell::new([[0; 2]; VECTORS]));

/// The operand of `lidt`.
#[repr(C, packed)]
struct Pointer {
    limit: u16,
    base: u64,
}

/// Points each exception at its stub.
pub(crate) fn install() {
    let mut gates = [[0u64; 2]; VECTORS];
    for (gate, vector) in gates.iter_mut().zip(0u64..) {
        *gate = interrupt_gate(traps() + vector * TRAP_STRIDE);
    }
    // SAFETY: nothing else refers to the table: the CPU does not know it yet.
    unsafe { TABLE.0.get().write(gates) };
    let pointer = Pointer { limit: size_of::<Table>() as u16 - 1, base: TABLE.0.get().addr() as u64 };
    // SAFETY: the table lives forever, and each of its gates leads to a stub that never returns.
    unsafe { asm!("lidt [{}]", in(reg) &raw const pointer, options(readonly, nostack, preserves_flags)) };
}

/// A present gate to 64-bit code (segment 8) that keeps interrupts off.
fn interrupt_gate(address: u64) -> [u64; 2] {
    let low = address & 0xffff | 8 << 16 | 0x8e00 << 32 | (address >> 16 & 0xffff) << 48;
    [low, address >> 32]
}

/// Where the stubs of `start.s` arrive.
///
/// # Safety
///
/// `frame` is what the CPU pushed for exception `vector`.
#[unsafe(no_mangle)]
unsafe extern "C" fn bare_trap(vector: u64, frame: *const u64) -> ! {
    let skip = usize::from(WITH_ERROR_CODE >> (vector & 31) & 1 == 1);
    // SAFETY: the return address is the first word, or the second after an error code.
    let address = unsafe { frame.wrapping_add(skip).read() };
    println!("bare: exception {vector} at {address:#x}");
    end(End::Badly)
}
