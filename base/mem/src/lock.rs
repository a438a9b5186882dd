//! State behind the host's interrupt-off lock.

use crate::{Host, LockWord};
use alloc::sync::Arc;
use core::cell::UnsafeCell;
use core::fmt;
use core::ops::{Deref, DerefMut};

/// A value that is reached only under the lock of the host it was made with.
pub struct Locked<T> {
    host: Arc<dyn Host>,
    word: LockWord,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached by one holder of the lock at a time, so it needs to be Send only.
unsafe impl<T: Send> Send for Locked<T> {}
// SAFETY: as for Send.
unsafe impl<T: Send> Sync for Locked<T> {}

impl<T> Locked<T> {
    /// Guards `value` by `host`'s lock.
    pub fn new(host: &Arc<dyn Host>, value: T) -> Locked<T> {
        Locked { host: Arc::clone(host), word: LockWord::new(), value: UnsafeCell::new(value) }
    }

    /// Waits for the lock. Never called where an NMI may run; there use [`Locked::try_lock`].
    pub fn lock(&self) -> Guard<'_, T> {
        let saved = self.host.lock().lock(&self.word);
        Guard { locked: self, saved }
    }

    /// Takes the lock where it is free.
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        let saved = self.host.lock().try_lock(&self.word)?;
        Some(Guard { locked: self, saved })
    }

    /// Reaches the value without the lock, for the one owner.
    pub fn with_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T> fmt::Debug for Locked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Locked")
    }
}

/// Holds the lock until it is dropped.
#[derive(Debug)]
pub struct Guard<'l, T> {
    locked: &'l Locked<T>,
    saved: usize,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock, and the host's contract (`Lock`) is mutual exclusion per word.
        unsafe { &*self.locked.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; the guard itself is borrowed mutably.
        unsafe { &mut *self.locked.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: this guard took the lock of this word with this saved state, and releases it once.
        unsafe { self.locked.host.lock().unlock(&self.locked.word, self.saved) };
    }
}
