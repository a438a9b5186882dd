//! Time: the system's, or one that stands still until its owner moves it.

use skep_mem::Clock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where time comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Time {
    /// The system's clocks.
    #[default]
    System,
    /// Every clock shows this many nanoseconds until [`crate::Embedded::set_time`].
    Fixed(u64),
}

/// The clocks of one host.
#[derive(Debug)]
pub(super) enum Clocks {
    System(system::Source),
    Fixed(AtomicU64),
}

impl Clocks {
    pub(super) fn new(time: Time) -> Clocks {
        match time {
            Time::System => Clocks::System(system::Source::start()),
            Time::Fixed(now_ns) => Clocks::Fixed(AtomicU64::new(now_ns)),
        }
    }

    /// Moves a fixed clock, and tells whether it is one.
    pub(super) fn set(&self, now_ns: u64) -> bool {
        match self {
            Clocks::System(_) => false,
            Clocks::Fixed(now) => {
                now.store(now_ns, Ordering::SeqCst);
                true
            }
        }
    }

    fn read(&self, which: system::Which) -> u64 {
        match self {
            Clocks::System(clocks) => clocks.now_ns(which),
            Clocks::Fixed(now) => now.load(Ordering::SeqCst),
        }
    }
}

impl Clock for Clocks {
    fn monotonic_ns(&self) -> u64 {
        self.read(system::Which::Monotonic)
    }
    fn boot_ns(&self) -> u64 {
        self.read(system::Which::Boot)
    }
    fn coarse_ns(&self) -> u64 {
        self.read(system::Which::Coarse)
    }
    fn tai_ns(&self) -> u64 {
        self.read(system::Which::Tai)
    }
}

#[cfg(target_os = "linux")]
mod system {
    use rustix::time::{ClockId, DynamicClockId, clock_gettime, clock_gettime_dynamic};

    #[derive(Clone, Copy, Debug)]
    pub(super) enum Which {
        Monotonic,
        Boot,
        Coarse,
        Tai,
    }

    #[derive(Debug)]
    pub(in crate::host) struct Source;

    impl Source {
        pub(super) fn start() -> Source {
            Source
        }

        pub(super) fn now_ns(&self, which: Which) -> u64 {
            let now = match which {
                Which::Monotonic => clock_gettime(ClockId::Monotonic),
                Which::Boot => clock_gettime(ClockId::Boottime),
                Which::Coarse => clock_gettime(ClockId::MonotonicCoarse),
                // It has been there since Linux 3.10; the calendar's clock differs from it by leap seconds.
                Which::Tai => clock_gettime_dynamic(DynamicClockId::Tai)
                    .unwrap_or_else(|_| clock_gettime(ClockId::Realtime)),
            };
            (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::time::{Instant, SystemTime};

    #[derive(Clone, Copy, Debug)]
    pub(super) enum Which {
        Monotonic,
        Boot,
        Coarse,
        Tai,
    }

    #[derive(Debug)]
    pub(in crate::host) struct Source {
        start: Instant,
    }

    impl Source {
        pub(super) fn start() -> Source {
            Source { start: Instant::now() }
        }

        /// Monotonic clocks start with the kernel; atomic time is the calendar's, without leap seconds.
        pub(super) fn now_ns(&self, which: Which) -> u64 {
            let now = match which {
                Which::Monotonic | Which::Boot | Which::Coarse => self.start.elapsed(),
                Which::Tai => SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default(),
            };
            now.as_nanos() as u64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_clocks_move_and_a_fixed_one_stands() {
        let system = Clocks::new(Time::System);
        let before = (system.monotonic_ns(), system.boot_ns(), system.coarse_ns(), system.tai_ns());
        assert!(before.0 > 0 && before.1 > 0 && before.3 > 0);
        let after = (system.monotonic_ns(), system.boot_ns(), system.coarse_ns(), system.tai_ns());
        assert!(before.0 <= after.0 && before.1 <= after.1 && before.2 <= after.2);
        assert!(!system.set(1));
        let fixed = Clocks::new(Time::Fixed(5));
        assert_eq!((fixed.monotonic_ns(), fixed.tai_ns()), (5, 5));
        assert!(fixed.set(9_000_000));
        assert_eq!((fixed.boot_ns(), fixed.coarse_ns(), fixed.jiffies()), (9_000_000, 9_000_000, 2));
    }
}
