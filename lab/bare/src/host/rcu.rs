//! Grace periods: the task counts its read sides, and reclaims when it is in none.
//!
//! Interrupts read and retire too, but each is over before the task goes on; so where the task finds no read side open, there
//! is none, and what was retired before can be seen by nobody.

use super::sleep;
use crate::machine::{Interrupts, interrupts};
use crate::quiet::Quiet;
use crate::timer;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};
use skep_mem::{Rcu, RetireNode};

/// Readers, and what waits for them.
#[derive(Debug, Default)]
pub(super) struct Grace {
    readers: AtomicUsize,
    /// The newest retired node; each leads to the one before.
    retired: Quiet<Option<Newest>>,
}

/// A retired node, which is nobody's but the list's.
struct Newest(NonNull<RetireNode>);

// SAFETY: the contract of `retire`: nobody else finds the node any more.
unsafe impl Send for Newest {}

impl Grace {
    /// Reclaims what was retired, where this is the task, in no read side, and holds no lock.
    pub(super) fn settle(&self) {
        let is_reading = self.readers.load(Ordering::Relaxed) > 0;
        if is_reading || timer::is_in_interrupt() || interrupts() == Interrupts::Off {
            return;
        }
        // What is reclaimed may retire more.
        while let Some(Newest(newest)) = self.retired.with(Option::take) {
            let mut next = Some(newest);
            while let Some(node) = next {
                // SAFETY: the contract of `retire`: the node is valid until it is reclaimed; this borrow ends before.
                let retired = unsafe { node.as_ref() };
                let reclaim = retired.reclaim;
                let before = retired.next.load(Ordering::Relaxed);
                next = NonNull::new(core::ptr::with_exposed_provenance_mut(before));
                // SAFETY: no read side is open, so the grace period is over; the list was taken, so this is once.
                unsafe { reclaim(node) };
            }
        }
    }
}

// SAFETY: nodes are reclaimed by `settle` alone, which is when no read side is open at all.
unsafe impl Rcu for Grace {
    fn read(&self) -> usize {
        sleep::forbid();
        self.readers.fetch_add(1, Ordering::Relaxed)
    }

    fn unread(&self, _token: usize) {
        self.readers.fetch_sub(1, Ordering::Relaxed);
        sleep::allow();
    }

    unsafe fn retire(&self, node: NonNull<RetireNode>) {
        self.retired.with(|newest| {
            let before = newest.as_ref().map_or(0, |before| before.0.as_ptr().expose_provenance());
            // SAFETY: the caller's contract: the node is valid until it is reclaimed.
            unsafe { node.as_ref() }.next.store(before, Ordering::Relaxed);
            *newest = Some(Newest(node));
        });
    }
}
