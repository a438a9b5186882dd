//! The machine's ports, and how it ends.

use core::arch::asm;

/// The port of QEMU's `isa-debug-exit` device, as `cargo xtask bare` configures it.
const EXIT_PORT: u16 = 0xf4;

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
        // SAFETY: interrupts are off, so this stops the only CPU for good; it touches no memory.
        unsafe { asm!("hlt", options(nomem, nostack)) };
    }
}

/// Writes a byte to a port.
pub(crate) fn write_port(port: u16, value: u8) {
    // SAFETY: no device of this machine reaches memory through a port write: only the serial port and the exit device are
    // ever named here.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack, preserves_flags)) };
}

/// Reads a byte from a port.
pub(crate) fn read_port(port: u16) -> u8 {
    let value;
    // SAFETY: as for a write.
    unsafe { asm!("in al, dx", out("al") value, in("dx") port, options(nomem, nostack, preserves_flags)) };
    value
}
