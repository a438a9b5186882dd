//! State of the machine that interrupts may want too: it is reached with interrupts off, by one borrower at a time.

use crate::machine::{interrupts_off, restore_interrupts};
use core::cell::{Cell, UnsafeCell};
use core::fmt;

/// A value behind switched-off interrupts.
#[derive(Default)]
pub(crate) struct Quiet<T> {
    is_lent: Cell<bool>,
    value: UnsafeCell<T>,
}

// SAFETY: the machine has one CPU. Whoever reaches the value has interrupts off, so nothing else runs meanwhile but what it
// calls itself, and the flag refuses that. Values of other threads of execution may be dropped here, hence Send.
unsafe impl<T: Send> Sync for Quiet<T> {}

impl<T> Quiet<T> {
    /// Guards a value.
    pub(crate) const fn new(value: T) -> Quiet<T> {
        Quiet { is_lent: Cell::new(false), value: UnsafeCell::new(value) }
    }

    /// Lends the value.
    ///
    /// # Panics
    /// Within `body`, which is a mistake of this program.
    pub(crate) fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> R {
        let before = interrupts_off();
        assert!(!self.is_lent.replace(true), "a guarded value is reached twice");
        // SAFETY: the only CPU is here with interrupts off, and the flag says that nobody up the stack has a borrow.
        let result = body(unsafe { &mut *self.value.get() });
        self.is_lent.set(false);
        restore_interrupts(before);
        result
    }
}

impl<T> fmt::Debug for Quiet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Quiet")
    }
}
