//! Grace periods by counting readers under a mutex: slow, and plainly right.

use crate::{Rcu, RetireNode};
use core::ptr::NonNull;
use core::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counts readers; a grace period ends when there are none.
#[derive(Debug, Default)]
pub(super) struct Grace {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    readers: usize,
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

    fn reclaim_if_unread(&self, mut state: MutexGuard<'_, State>) {
        if state.readers == 0 {
            let retired = core::mem::take(&mut state.retired);
            drop(state);
            retired.reclaim();
        }
    }

    /// Tells whether anything waits to be reclaimed.
    pub(super) fn has_retired(&self) -> bool {
        self.state().retired.0.is_some()
    }
}

// SAFETY: what is retired is reclaimed when no reader at all is left.
unsafe impl Rcu for Grace {
    fn read(&self) -> usize {
        self.state().readers += 1;
        0
    }

    fn unread(&self, _token: usize) {
        let mut state = self.state();
        state.readers -= 1;
        self.reclaim_if_unread(state);
    }

    unsafe fn retire(&self, node: NonNull<RetireNode>) {
        let mut state = self.state();
        state.retired.push(node);
        self.reclaim_if_unread(state);
    }
}

impl Drop for Grace {
    fn drop(&mut self) {
        core::mem::take(&mut self.state().retired).reclaim();
    }
}
