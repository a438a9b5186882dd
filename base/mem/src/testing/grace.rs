//! Grace periods by counting readers under a mutex: slow, and plainly right.

use crate::{Rcu, RetireNode};
use core::ptr::NonNull;
use core::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Counts readers of two generations; a grace period ends when the older one has none.
#[derive(Debug, Default)]
pub(super) struct Grace {
    state: Mutex<State>,
    left: Condvar,
    one_at_a_time: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    generation: usize,
    readers: [usize; 2],
    retired: Chain,
}

/// Retired nodes, linked through themselves.
#[derive(Debug, Default)]
struct Chain(Option<NonNull<RetireNode>>);

// SAFETY: the chain owns its nodes, and the contract of `retire` lets any thread reclaim them.
unsafe impl Send for Chain {}

impl Chain {
    /// Adds a node.
    fn push(&mut self, node: NonNull<RetireNode>) {
        // SAFETY: the contract of `retire`: the node is valid until it is reclaimed.
        let link = unsafe { &node.as_ref().next };
        link.store(self.0.map_or(0, |first| first.as_ptr().expose_provenance()), Ordering::Relaxed);
        self.0 = Some(node);
    }

    /// Reclaims every node.
    fn reclaim(mut self) {
        while let Some(node) = self.0 {
            // SAFETY: as in `push`; this borrow ends before the node is reclaimed.
            let retired = unsafe { node.as_ref() };
            let (next, reclaim) = (retired.next.load(Ordering::Relaxed), retired.reclaim);
            self.0 = NonNull::new(core::ptr::with_exposed_provenance_mut(next));
            // SAFETY: the grace period is over, and a node is in one chain only.
            unsafe { reclaim(node) };
        }
    }
}

impl Grace {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether anything waits to be reclaimed.
    pub(super) fn has_retired(&self) -> bool {
        self.state().retired.0.is_some()
    }
}

// SAFETY: what is retired is reclaimed when no reader at all is left, or after `synchronize`, which waits for every
// reader of the generation that was current when it began; an older one has none, by the `synchronize` before.
unsafe impl Rcu for Grace {
    fn read(&self) -> usize {
        let mut state = self.state();
        let slot = state.generation % 2;
        state.readers[slot] += 1;
        slot
    }

    fn unread(&self, token: usize) {
        let mut state = self.state();
        state.readers[token] -= 1;
        self.left.notify_all();
        if state.readers == [0, 0] {
            let retired = core::mem::take(&mut state.retired);
            drop(state);
            retired.reclaim();
        }
    }

    unsafe fn retire(&self, node: NonNull<RetireNode>) {
        let mut state = self.state();
        state.retired.push(node);
        if state.readers == [0, 0] {
            let retired = core::mem::take(&mut state.retired);
            drop(state);
            retired.reclaim();
        }
    }

    fn synchronize(&self) {
        let retired = {
            let _turn = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
            let mut state = self.state();
            let retired = core::mem::take(&mut state.retired);
            let old = state.generation % 2;
            state.generation += 1;
            while state.readers[old] > 0 {
                state = self.left.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            retired
        };
        retired.reclaim();
    }
}

impl Drop for Grace {
    fn drop(&mut self) {
        core::mem::take(&mut self.state().retired).reclaim();
    }
}
