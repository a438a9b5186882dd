//! Clocks: the cycle counter, measured against the timer when the host is made; and the timer's ticks.
//!
//! The machine never suspends and does not know the calendar, so all clocks that count are the one of the counter.

use crate::machine::cycles;
use crate::timer;
use skep_mem::Clock;

const NS_PER_SECOND: u64 = 1_000_000_000;

/// Cycles since some moment, as nanoseconds.
#[derive(Debug)]
pub(super) struct CycleClock {
    start: u64,
    cycles_per_second: u64,
}

impl CycleClock {
    /// Measures the counter, which takes 30 milliseconds.
    pub(super) fn calibrate() -> CycleClock {
        CycleClock { cycles_per_second: timer::cycles_per_second().max(1), start: cycles() }
    }

    /// Gives the nanoseconds from the start to a reading of the counter.
    fn ns(&self, reading: u64) -> u64 {
        let cycles = reading.saturating_sub(self.start);
        let (seconds, rest) = (cycles / self.cycles_per_second, cycles % self.cycles_per_second);
        // The rest is below a second of cycles, so its product has 64 bits below 18 GHz.
        seconds * NS_PER_SECOND + rest.saturating_mul(NS_PER_SECOND) / self.cycles_per_second
    }
}

impl Clock for CycleClock {
    fn monotonic_ns(&self) -> u64 {
        self.ns(cycles())
    }

    fn coarse_ns(&self) -> u64 {
        self.ns(timer::last_tick())
    }

    fn jiffies(&self) -> u64 {
        timer::ticks()
    }
}
