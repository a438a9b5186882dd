//! Exceptions, each of which is a fault of this program, is reported and ends the machine; and the timer's interrupt.

use crate::machine::{End, end};
use crate::start::{self, TRAP_STRIDE, traps};
use crate::{println, timer};
use core::arch::asm;
use core::cell::UnsafeCell;

const EXCEPTIONS: usize = 32;
/// The gates: exceptions, then the timer.
const GATES: usize = EXCEPTIONS + 1;

/// The gate that the timer's interrupt comes through.
pub(crate) const TIMER_GATE: u8 = EXCEPTIONS as u8;

/// Exceptions that push an error code before the return address (Intel's manual, volume 3, table 6-1).
const WITH_ERROR_CODE: u32 =
    1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 17 | 1 << 21 | 1 << 29 | 1 << 30;

/// What the CPU reads of its own accord.
#[repr(C, align(16))]
struct Tables {
    /// Gates, 16 bytes each.
    gates: [[u64; 2]; GATES],
    /// As in `start.s`, and the task-state segment, which takes two entries.
    segments: [u64; 5],
    task: TaskState,
}

/// The task-state segment (Intel's manual, volume 3, figure 8-11): of interest for its stacks only.
#[repr(C, packed(4))]
struct TaskState {
    reserved: u32,
    privileged_stacks: [u64; 3],
    reserved_too: u64,
    interrupt_stacks: [u64; 7],
    reserved_as_well: [u32; 3],
}

/// A place for the tables, at an address that does not change.
struct Place(UnsafeCell<Tables>);

// SAFETY: it is written once, before the only CPU reads it.
unsafe impl Sync for Place {}

static TABLES: Place = Place(UnsafeCell::new(Tables {
    gates: [[0; 2]; GATES],
    segments: [0; 5],
    task: TaskState {
        reserved: 0,
        privileged_stacks: [0; 3],
        reserved_too: 0,
        interrupt_stacks: [0; 7],
        reserved_as_well: [0; 3],
    },
}));

/// The operand of `lidt` and `lgdt`.
#[repr(C, packed)]
struct Pointer {
    limit: u16,
    base: u64,
}

impl Pointer {
    fn to<T>(place: *const T) -> Pointer {
        Pointer { limit: size_of::<T>() as u16 - 1, base: place.addr() as u64 }
    }
}

/// 64-bit code and data, as in `start.s`: the CPU keeps using what it loaded there.
const CODE: u64 = 0x00af_9b00_0000_ffff;
const DATA: u64 = 0x00cf_9300_0000_ffff;
const TASK_SELECTOR: u16 = 24;
/// The interrupt stack of the timer, counted from one.
const TIMER_STACK: u64 = 1;

/// Points each exception, and the timer's interrupt, at its stub.
pub(crate) fn install() {
    let place = TABLES.0.get();
    let mut gates = [[0u64; 2]; GATES];
    for (gate, vector) in gates[..EXCEPTIONS].iter_mut().zip(0u64..) {
        *gate = interrupt_gate(traps() + vector * TRAP_STRIDE, 0);
    }
    gates[EXCEPTIONS] = interrupt_gate(start::timer(), TIMER_STACK);
    // SAFETY: a field of the static; no reference is made.
    let task = unsafe { &raw const (*place).task };
    let [low, high] = task_segment(task.addr() as u64);
    let task = TaskState {
        reserved: 0,
        privileged_stacks: [0; 3],
        reserved_too: 0,
        interrupt_stacks: [start::timer_stack_top(), 0, 0, 0, 0, 0, 0],
        reserved_as_well: [0; 3],
    };
    // SAFETY: nothing else refers to the tables: the CPU does not know them yet.
    unsafe { place.write(Tables { gates, segments: [0, CODE, DATA, low, high], task }) };
    // SAFETY: as above.
    let gates = Pointer::to(unsafe { &raw const (*place).gates });
    // SAFETY: as above.
    let segments = Pointer::to(unsafe { &raw const (*place).segments });
    // SAFETY: the table lives for ever and starts with the segments in use.
    unsafe { asm!("lgdt [{}]", in(reg) &raw const segments, options(readonly, nostack, preserves_flags)) };
    // SAFETY: the selector is that of the task-state segment in the table just loaded.
    unsafe { asm!("ltr {:x}", in(reg) TASK_SELECTOR, options(nostack, preserves_flags)) };
    // SAFETY: the table lives for ever; its gates lead to stubs that never return, or that leave everything as it was.
    unsafe { asm!("lidt [{}]", in(reg) &raw const gates, options(readonly, nostack, preserves_flags)) };
}

/// A present gate to 64-bit code (segment 8) that keeps interrupts off, on an interrupt stack or none (0).
fn interrupt_gate(address: u64, stack: u64) -> [u64; 2] {
    let low = address & 0xffff | 8 << 16 | stack << 32 | 0x8e00 << 32 | (address >> 16 & 0xffff) << 48;
    [low, address >> 32]
}

/// A present task-state segment (Intel's manual, volume 3, figure 8-4).
fn task_segment(address: u64) -> [u64; 2] {
    let limit = size_of::<TaskState>() as u64 - 1;
    let low = limit | (address & 0xff_ffff) << 16 | 0x89 << 40 | (address >> 24 & 0xff) << 56;
    [low, address >> 32]
}

/// Where the exception stubs of `start.s` arrive.
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

/// Where the timer's stub arrives, with interrupts off.
#[unsafe(no_mangle)]
extern "C" fn bare_tick() {
    timer::tick();
}
