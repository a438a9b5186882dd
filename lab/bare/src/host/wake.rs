//! Wake-ups: a number that each raises. Whoever waits reads it, looks, and sleeps only while it is the same.

use crate::machine::{interrupts_off, restore_interrupts, wait_for_interrupt};
use core::sync::atomic::{AtomicU64, Ordering};
use skep_mem::{WaitQueue, Wake};

/// How often anything was woken; one task waits, so it need not say what.
#[derive(Debug, Default)]
pub(crate) struct WakeUps(AtomicU64);

impl WakeUps {
    /// Gives the number of wake-ups so far, to be read before looking whether there is anything to wait for.
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Sleeps until the next interrupt, unless there was a wake-up after `seen`.
    pub(crate) fn sleep(&self, seen: u64) {
        // From the look at the number to the sleep no interrupt comes, so none is slept through.
        let interrupts = interrupts_off();
        if self.count() == seen {
            wait_for_interrupt();
        }
        restore_interrupts(interrupts);
    }
}

impl Wake for WakeUps {
    fn wake(&self, _queue: &WaitQueue) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
