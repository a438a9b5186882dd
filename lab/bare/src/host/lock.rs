//! The lock: interrupts are off while it is held, so on one CPU nobody else can want it.

use crate::machine::{Interrupts, interrupts_off, restore_interrupts};
use core::sync::atomic::Ordering;
use skep_mem::{Lock, LockWord};

/// Locks by switching interrupts off; the word says whether somebody up the stack has it.
#[derive(Debug)]
pub(super) struct InterruptsOff;

const FREE: u32 = 0;
const TAKEN: u32 = 1;

/// What to give back to the machine, as the number that the holder keeps.
const WERE_OFF: usize = 0;
const WERE_ON: usize = 1;

fn restore(saved: usize) {
    restore_interrupts(if saved == WERE_ON { Interrupts::On } else { Interrupts::Off });
}

// SAFETY: the only CPU has interrupts off from before the word is taken until after it is free, so nothing else runs; whoever
// up the stack holds the word makes `lock` panic, and `try_lock` fail. Orderings need only hold the compiler back, which
// switching interrupts does.
unsafe impl Lock for InterruptsOff {
    fn lock(&self, word: &LockWord) -> usize {
        let Some(saved) = self.try_lock(word) else { panic!("a lock is wanted by its holder") };
        saved
    }

    fn try_lock(&self, word: &LockWord) -> Option<usize> {
        let saved = match interrupts_off() {
            Interrupts::Off => WERE_OFF,
            Interrupts::On => WERE_ON,
        };
        if word.0.swap(TAKEN, Ordering::Acquire) == FREE {
            return Some(saved);
        }
        restore(saved);
        None
    }

    unsafe fn unlock(&self, word: &LockWord, saved: usize) {
        word.0.store(FREE, Ordering::Release);
        restore(saved);
    }
}
