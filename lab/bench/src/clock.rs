//! Time that this thread has run, so that others on the same processor do not count.

use rustix::time::{ClockId, Timespec, clock_gettime};
use std::time::Duration;

/// When something began.
pub(crate) struct Stopwatch(Timespec);

impl Stopwatch {
    /// Begins.
    pub(crate) fn start() -> Stopwatch {
        Stopwatch(now())
    }

    /// Tells how long this thread, its system calls included, has run since.
    pub(crate) fn elapsed(&self) -> Duration {
        let end = now();
        let seconds = end.tv_sec - self.0.tv_sec;
        let nanos = seconds * 1_000_000_000 + (end.tv_nsec - self.0.tv_nsec);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }
}

fn now() -> Timespec {
    clock_gettime(ClockId::ThreadCPUTime)
}
