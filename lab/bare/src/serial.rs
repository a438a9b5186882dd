//! The serial line: a 16550 at the usual place, used without interrupts.

use crate::machine::{read_port, write_port};
use core::fmt;

const DATA: u16 = 0x3f8;
const INTERRUPTS: u16 = DATA + 1;
const FIFO: u16 = DATA + 2;
const LINE_CONTROL: u16 = DATA + 3;
const LINE_STATUS: u16 = DATA + 5;

const TRANSMITTER_EMPTY: u8 = 0x20;

/// Sets the line to eight bits, no parity, no interrupts.
pub(crate) fn init() {
    write_port(INTERRUPTS, 0);
    write_port(LINE_CONTROL, 3);
    write_port(FIFO, 7);
}

/// The line as a place to format to.
pub(crate) struct Serial;

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            while read_port(LINE_STATUS) & TRANSMITTER_EMPTY == 0 {
                core::hint::spin_loop();
            }
            write_port(DATA, byte);
        }
        Ok(())
    }
}

/// Prints a line to the serial line.
#[macro_export]
macro_rules! println {
    ($($args:tt)*) => {{
        use core::fmt::Write as _;
        // It waits and cannot fail.
        let _ = writeln!($crate::serial::Serial, $($args)*);
    }};
}
