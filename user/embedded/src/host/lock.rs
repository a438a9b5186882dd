//! Locks that spin, and give the processor away where the holder does not run.

use skep_mem::{Lock, LockWord};
use std::cell::Cell;
use std::sync::atomic::Ordering;

/// The lock of a process: nothing interrupts a thread, so there is nothing to switch off.
#[derive(Debug)]
pub(super) struct Spin;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// Tells whether this thread holds any lock of any host, so that it must not run others' destructors now.
pub(super) fn holds_any() -> bool {
    HELD.get() > 0
}

const FREE: u32 = 0;
const TAKEN: u32 = 1;
/// Tries between two turns that others get.
const TRIES: u32 = 64;

// SAFETY: the exchange from free to taken succeeds for one thread at a time, with acquire; unlocking stores free with
// release. A process has no interrupts, and a signal handler may not call into a kernel.
unsafe impl Lock for Spin {
    fn lock(&self, word: &LockWord) -> usize {
        let mut tries = 0;
        while word.0.compare_exchange_weak(FREE, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_err() {
            tries += 1;
            match tries % TRIES {
                0 => std::thread::yield_now(),
                _ => std::hint::spin_loop(),
            }
        }
        HELD.set(HELD.get() + 1);
        0
    }

    fn try_lock(&self, word: &LockWord) -> Option<usize> {
        word.0.compare_exchange(FREE, TAKEN, Ordering::Acquire, Ordering::Relaxed).ok()?;
        HELD.set(HELD.get() + 1);
        Some(0)
    }

    unsafe fn unlock(&self, word: &LockWord, _saved: usize) {
        HELD.set(HELD.get().saturating_sub(1));
        word.0.store(FREE, Ordering::Release);
    }
}
