//! The CPU: there is one, and a task that nothing moves, so entering it is free; interrupts are levels on it.

use super::sleep;
use crate::timer;
use core::sync::atomic::{AtomicBool, Ordering};
use skep_mem::{CpuToken, Cpus, Level};

/// The only CPU.
#[derive(Debug, Default)]
pub(crate) struct OneCpu {
    was_interrupt: AtomicBool,
}

impl OneCpu {
    /// Tells whether it was ever entered from an interrupt.
    pub(crate) fn was_entered_from_interrupt(&self) -> bool {
        self.was_interrupt.load(Ordering::Relaxed)
    }
}

// SAFETY: there is one CPU and one task, so nothing migrates; the timer's interrupt is the only other thread of execution,
// has a level of its own, and does not nest.
unsafe impl Cpus for OneCpu {
    fn possible(&self) -> u32 {
        1
    }

    fn enter(&self) -> CpuToken {
        let level = if timer::is_in_interrupt() { Level::Irq } else { Level::Task };
        self.was_interrupt.fetch_or(level == Level::Irq, Ordering::Relaxed);
        sleep::forbid();
        CpuToken { id: 0, level, cookie: 0 }
    }

    fn leave(&self, _token: CpuToken) {
        sleep::allow();
    }
}
