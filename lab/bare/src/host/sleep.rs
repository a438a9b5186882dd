//! What an operating system may do only where it may sleep: bring a page of the caller in, wait for memory, search a path.
//!
//! This machine never sleeps in any of those, so it checks instead that it could: that the kernel asks for nothing of the kind
//! while it holds a lock, is on a CPU, or reads under a grace period.

use crate::machine::{Interrupts, interrupts};
use crate::timer;
use core::sync::atomic::{AtomicUsize, Ordering};

/// CPUs entered and read sides open, of all hosts; both are left before the task goes on to anything else.
static ATOMIC_PARTS: AtomicUsize = AtomicUsize::new(0);

/// Starts a part in which nobody may sleep.
pub(super) fn forbid() {
    ATOMIC_PARTS.fetch_add(1, Ordering::Relaxed);
}

/// Ends it.
pub(super) fn allow() {
    ATOMIC_PARTS.fetch_sub(1, Ordering::Relaxed);
}

/// Checks that an operating system could sleep here.
#[track_caller]
pub(super) fn might_sleep() {
    assert!(!timer::is_in_interrupt(), "this might sleep, in an interrupt");
    assert_eq!(interrupts(), Interrupts::On, "this might sleep, under a lock");
    assert_eq!(ATOMIC_PARTS.load(Ordering::Relaxed), 0, "this might sleep, on a CPU or in a read side");
}
