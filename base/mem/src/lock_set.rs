//! Many locks of one host, for tables whose parts are locked apart.

use crate::{Host, LockWord, NoMemory};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// Interrupt-off locks that guard no value of their own: what they guard is made of atomics.
pub struct LockSet {
    host: Arc<dyn Host>,
    words: Vec<LockWord>,
}

impl LockSet {
    /// Makes `count` free locks, at least one.
    ///
    /// # Errors
    /// [`NoMemory`] where the allocator refuses.
    pub fn new(host: &Arc<dyn Host>, count: usize) -> Result<LockSet, NoMemory> {
        let mut words = Vec::new();
        let count = count.max(1);
        words.try_reserve_exact(count)?;
        words.extend((0..count).map(|_| LockWord::new()));
        Ok(LockSet { host: Arc::clone(host), words })
    }

    /// Gives the number of locks.
    pub fn count(&self) -> usize {
        self.words.len()
    }

    /// Waits for lock `index`, modulo the number of locks. Never called where an NMI may run.
    pub fn lock(&self, index: usize) -> SetGuard<'_> {
        let word = &self.words[index % self.words.len()];
        SetGuard { host: &*self.host, word, saved: self.host.lock().lock(word) }
    }

    /// Takes lock `index`, modulo the number of locks, where it is free.
    pub fn try_lock(&self, index: usize) -> Option<SetGuard<'_>> {
        let word = &self.words[index % self.words.len()];
        let saved = self.host.lock().try_lock(word)?;
        Some(SetGuard { host: &*self.host, word, saved })
    }
}

impl fmt::Debug for LockSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LockSet({} locks)", self.words.len())
    }
}

/// Holds one lock of a set until it is dropped.
pub struct SetGuard<'l> {
    host: &'l dyn Host,
    word: &'l LockWord,
    saved: usize,
}

impl fmt::Debug for SetGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetGuard")
    }
}

impl Drop for SetGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: this guard took the lock of this word with this saved state, and releases it once.
        unsafe { self.host.lock().unlock(self.word, self.saved) };
    }
}
