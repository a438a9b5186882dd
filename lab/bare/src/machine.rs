//! The machine's ports and registers, and how it ends.

use core::arch::asm;

/// The port of QEMU's `isa-debug-exit` device, as `cargo xtask bare` configures it.
const EXIT_PORT: u16 = 0xf4;

/// The interrupt flag in the flags register.
const INTERRUPTS_ON: u64 = 1 << 9;

/// How the run ends. QEMU's exit status is twice the value, plus one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// All checks passed.
    Well = 0x10,
    /// A check, or the machine, failed.
    Badly = 0x11,
}

/// Ends the machine.
pub(crate) fn end(how: End) -> ! {
    write_port(EXIT_PORT, how as u8);
    loop {
        let _ = interrupts_off();
        // SAFETY: interrupts are off, so this stops the only CPU for good; it touches no memory.
        unsafe { asm!("hlt", options(nomem, nostack)) };
    }
}

/// Writes a byte to a port.
pub(crate) fn write_port(port: u16, value: u8) {
    // SAFETY: no device of this machine reaches memory through a port write: only the serial port, the interrupt
    // controller, the timer and the exit device are ever named here.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack, preserves_flags)) };
}

/// Reads a byte from a port.
pub(crate) fn read_port(port: u16) -> u8 {
    let value;
    // SAFETY: as for a write.
    unsafe { asm!("in al, dx", out("al") value, in("dx") port, options(nomem, nostack, preserves_flags)) };
    value
}

/// Whether interrupts were on, to be given back to [`restore_interrupts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupts {
    /// They were.
    On,
    /// They were not.
    Off,
}

/// Tells whether interrupts are on.
pub(crate) fn interrupts() -> Interrupts {
    let flags: u64;
    // SAFETY: reads the flags through the stack, which the compiler leaves room on, for it is not told otherwise (`nostack`).
    unsafe { asm!("pushfq", "pop {}", out(reg) flags, options(preserves_flags)) };
    if flags & INTERRUPTS_ON != 0 { Interrupts::On } else { Interrupts::Off }
}

/// Turns interrupts off, and tells whether they were on. A barrier: nothing is moved before it.
pub(crate) fn interrupts_off() -> Interrupts {
    let before = interrupts();
    // SAFETY: every handler can wait; memory accesses stay behind it, for the block is said to touch memory.
    unsafe { asm!("cli", options(nostack)) };
    before
}

/// Turns interrupts on again where they were. A barrier: nothing is moved behind it.
pub(crate) fn restore_interrupts(before: Interrupts) {
    if before == Interrupts::On {
        // SAFETY: they were on before, so their handlers are there; memory accesses stay before it.
        unsafe { asm!("sti", options(nostack)) };
    }
}

/// Waits for an interrupt with interrupts off, and has them off again afterwards.
pub(crate) fn wait_for_interrupt() {
    // SAFETY: interrupts are let in after the instruction behind `sti` only, so none comes before the wait (Intel's
    // manual, volume 2, STI); their handlers are there since `trap::install`.
    unsafe { asm!("sti", "hlt", "cli", options(nostack)) };
}

/// Reads the cycle counter.
pub(crate) fn cycles() -> u64 {
    // SAFETY: every 64-bit CPU has it, and nothing forbids it here.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Asks the CPU for a random number, where it has a source of them.
pub(crate) fn hardware_random() -> Option<u64> {
    const RDRAND: u32 = 1 << 30;
    let features = cpu_features();
    if features & RDRAND == 0 {
        return None;
    }
    let (value, ok): (u64, u8);
    // SAFETY: the CPU has the instruction; it touches registers only.
    unsafe { asm!("rdrand {}", "setc {}", out(reg) value, out(reg_byte) ok, options(nomem, nostack)) };
    (ok != 0).then_some(value)
}

/// The features that CPUID leaf 1 gives in ecx.
fn cpu_features() -> u32 {
    #[allow(unused_unsafe, reason = "safe since Rust 1.92")]
    // SAFETY: every 64-bit CPU has CPUID.
    let leaf = unsafe { core::arch::x86_64::__cpuid(1) };
    leaf.ecx
}
