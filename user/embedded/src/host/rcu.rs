//! Grace periods: readers count themselves in one of two sets of counters, and what is retired is reclaimed once every
//! counter was seen at zero after it was retired.
//!
//! A reader that could see an object had entered before the object was unpublished, so it is in some counter, and that
//! counter is not zero until it leaves: seeing each counter at zero once, at any time afterwards, is enough. Two sets,
//! with new readers going to the other one from time to time, let the first run dry under readers that never stop
//! coming.

use super::{lock, relock};
use skep_mem::{Rcu, RetireNode};
use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

/// Counters in a set; threads are spread over them.
const SPREAD: usize = 16;
const SETS: usize = 2;

/// A counter alone on its cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Counter(AtomicUsize);

/// Readers and what waits for them.
#[derive(Debug)]
pub(super) struct Grace {
    readers: [[Counter; SPREAD]; SETS],
    /// Which set new readers join, in the lowest bit.
    phase: AtomicUsize,
    /// Retired nodes that no batch has taken yet: the address of the newest, linked through themselves.
    retired: AtomicUsize,
    /// Whether anything is retired and not reclaimed.
    waiting: AtomicBool,
    batch: Mutex<Option<Batch>>,
}

/// Nodes that wait for one grace period.
#[derive(Debug)]
struct Batch {
    nodes: Chain,
    period: Period,
}

thread_local! {
    static PLACE: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Gives this thread's counter in a set.
fn place() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let mut place = PLACE.get();
    if place == usize::MAX {
        place = NEXT.fetch_add(1, Ordering::Relaxed) % SPREAD;
        PLACE.set(place);
    }
    place
}

/// One grace period: the counters that were not seen at zero yet.
#[derive(Debug)]
struct Period {
    left: [[bool; SPREAD]; SETS],
    turned: bool,
}

impl Period {
    fn start(grace: &Grace) -> Period {
        // What the caller unpublished before is visible to every reader that a counter does not show below.
        fence(Ordering::SeqCst);
        grace.phase.fetch_add(1, Ordering::SeqCst);
        Period { left: [[true; SPREAD]; SETS], turned: false }
    }

    /// Looks at the counters, and tells whether the period is over.
    fn advance(&mut self, grace: &Grace) -> bool {
        for (left, readers) in self.left.iter_mut().zip(&grace.readers) {
            for (left, counter) in left.iter_mut().zip(readers) {
                *left &= counter.0.load(Ordering::SeqCst) != 0;
            }
        }
        let old = grace.phase.load(Ordering::Relaxed) & 1 ^ 1;
        let dry = |set: &[bool; SPREAD]| set.iter().all(|left| !left);
        if !self.turned && dry(&self.left[old]) {
            // The set that readers joined until now gets its chance to run dry too.
            self.turned = true;
            grace.phase.fetch_add(1, Ordering::SeqCst);
        }
        self.left.iter().all(dry)
    }
}

/// Retired nodes, linked through themselves.
#[derive(Debug)]
struct Chain(usize);

impl Chain {
    fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// Reclaims every node.
    ///
    /// # Safety
    /// The grace period of all of them is over.
    unsafe fn reclaim(self) {
        let mut next = self.0;
        while let Some(node) = NonNull::new(ptr::with_exposed_provenance_mut::<RetireNode>(next)) {
            // SAFETY: the contract of `retire`: the node is valid until it is reclaimed; this borrow ends before.
            let retired = unsafe { node.as_ref() };
            let reclaim = retired.reclaim;
            next = retired.next.load(Ordering::Relaxed);
            // SAFETY: the caller's contract; a node is in one chain only, and the chain is consumed.
            unsafe { reclaim(node) };
        }
    }
}

impl Grace {
    pub(super) fn new() -> Grace {
        Grace {
            readers: Default::default(),
            phase: AtomicUsize::new(0),
            retired: AtomicUsize::new(0),
            waiting: AtomicBool::new(false),
            batch: Mutex::new(None),
        }
    }

    /// Takes all that was retired since the last time.
    fn take_retired(&self) -> Chain {
        Chain(self.retired.swap(0, Ordering::SeqCst))
    }

    /// Reclaims what has waited long enough, unless this thread holds locks that the destructors may want.
    pub(super) fn settle(&self) {
        while !lock::holds_any() && self.waiting.load(Ordering::SeqCst) {
            let Some(nodes) = self.ready() else { return };
            // SAFETY: `ready` gives nodes whose period is over.
            unsafe { nodes.reclaim() };
        }
    }

    /// Takes the nodes whose grace period is over, if there are any.
    fn ready(&self) -> Option<Chain> {
        let mut batch = relock(&self.batch);
        let mut current = match batch.take() {
            Some(current) => current,
            None => {
                // Cleared first: who retires after it sets it again.
                self.waiting.store(false, Ordering::SeqCst);
                let nodes = self.take_retired();
                if nodes.is_empty() {
                    return None;
                }
                self.waiting.store(true, Ordering::SeqCst);
                Batch { nodes, period: Period::start(self) }
            }
        };
        // Twice, because the first look may turn the phase.
        if current.period.advance(self) || current.period.advance(self) {
            return Some(current.nodes);
        }
        *batch = Some(current);
        None
    }
}

// SAFETY: see the top of the file. The counter of a reader is raised before a full fence, and what it reads comes after
// it; `Period::start` has a full fence after whatever was unpublished. So either the period sees the reader's counter
// raised, or the reader sees what was unpublished. Leaving lowers the counter with release, and the zero that the period
// sees is read with acquire, at the end of a chain of read-modify-writes: all readers' accesses happen before.
unsafe impl Rcu for Grace {
    fn read(&self) -> usize {
        let set = self.phase.load(Ordering::Relaxed) & 1;
        let place = place();
        self.readers[set][place].0.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        set * SPREAD + place
    }

    fn unread(&self, token: usize) {
        self.readers[token / SPREAD][token % SPREAD].0.fetch_sub(1, Ordering::SeqCst);
        self.settle();
    }

    unsafe fn retire(&self, node: NonNull<RetireNode>) {
        // SAFETY: the caller's contract: the node is valid until it is reclaimed.
        let link = unsafe { &node.as_ref().next };
        let address = node.as_ptr().expose_provenance();
        let mut newest = self.retired.load(Ordering::Relaxed);
        loop {
            link.store(newest, Ordering::Relaxed);
            // The list is only ever taken whole, so a newest node that comes back is harmless.
            match self.retired.compare_exchange_weak(newest, address, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => break,
                Err(other) => newest = other,
            }
        }
        self.waiting.store(true, Ordering::SeqCst);
        self.settle();
    }
}

impl Drop for Grace {
    fn drop(&mut self) {
        let batch = relock(&self.batch).take();
        // SAFETY: nobody can read through a host that is being dropped, so every period is over.
        unsafe { self.take_retired().reclaim() };
        if let Some(batch) = batch {
            // SAFETY: as above.
            unsafe { batch.nodes.reclaim() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicPtr;

    /// A value whose end is counted.
    #[repr(C)]
    struct Counted {
        node: RetireNode,
        value: u64,
        ends: Arc<AtomicUsize>,
    }

    fn counted(value: u64, ends: &Arc<AtomicUsize>) -> *mut Counted {
        let node = RetireNode { next: AtomicUsize::new(0), reclaim };
        Box::into_raw(Box::new(Counted { node, value, ends: Arc::clone(ends) }))
    }

    unsafe fn reclaim(node: NonNull<RetireNode>) {
        // SAFETY: the node is the first field of a box that is reclaimed once.
        let mut counted = unsafe { Box::from_raw(node.cast::<Counted>().as_ptr()) };
        counted.value = u64::MAX;
        counted.ends.fetch_add(1, Ordering::SeqCst);
    }

    fn retire(grace: &Grace, counted: *mut Counted) {
        // SAFETY: from a box, unpublished, retired once.
        unsafe { grace.retire(NonNull::new(counted).unwrap().cast()) };
    }

    #[test]
    fn what_a_reader_may_see_stays_until_it_leaves() {
        let grace = Grace::new();
        let ends = Arc::new(AtomicUsize::new(0));
        let early = grace.read();
        retire(&grace, counted(1, &ends));
        let late = grace.read();
        grace.settle();
        assert_eq!(ends.load(Ordering::SeqCst), 0);
        grace.unread(early);
        grace.settle();
        // The late reader came after the batch: it does not hold up what was retired before it for ever.
        assert_eq!(ends.load(Ordering::SeqCst), 1);
        retire(&grace, counted(2, &ends));
        assert_eq!(ends.load(Ordering::SeqCst), 1);
        grace.unread(late);
        assert_eq!(ends.load(Ordering::SeqCst), 2);
        let reader = grace.read();
        retire(&grace, counted(3, &ends));
        drop(grace);
        let _ = reader;
        assert_eq!(ends.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn destructors_do_not_run_under_a_lock() {
        use skep_mem::{Lock, LockWord};
        let (grace, word) = (Grace::new(), LockWord::new());
        let ends = Arc::new(AtomicUsize::new(0));
        let saved = lock::Spin.lock(&word);
        retire(&grace, counted(1, &ends));
        let reader = grace.read();
        grace.unread(reader);
        assert_eq!(ends.load(Ordering::SeqCst), 0);
        // SAFETY: locked above.
        unsafe { lock::Spin.unlock(&word, saved) };
        grace.settle();
        assert_eq!(ends.load(Ordering::SeqCst), 1);
    }

    fn wait_for_a_period(grace: &Grace) {
        let mut period = Period::start(grace);
        while !period.advance(grace) {
            std::thread::yield_now();
        }
        grace.settle();
    }

    #[test]
    fn readers_and_writers_at_once() {
        const ROUNDS: u64 = if cfg!(miri) { 50 } else { 20_000 };
        let grace = Grace::new();
        let ends = Arc::new(AtomicUsize::new(0));
        let place = AtomicPtr::new(counted(0, &ends));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut last = 0;
                    for _ in 0..ROUNDS {
                        let token = grace.read();
                        // SAFETY: published whole, and retired only after it is unpublished.
                        let value = unsafe { (*place.load(Ordering::Acquire)).value };
                        assert!(value != u64::MAX && value >= last, "{value} after {last}");
                        last = value;
                        grace.unread(token);
                    }
                });
            }
            for round in 1..=ROUNDS {
                retire(&grace, place.swap(counted(round, &ends), Ordering::AcqRel));
                if round % 64 == 0 {
                    wait_for_a_period(&grace);
                }
            }
        });
        grace.settle();
        assert_eq!(ends.load(Ordering::SeqCst) as u64, ROUNDS);
        retire(&grace, place.into_inner());
        assert_eq!(ends.load(Ordering::SeqCst) as u64, ROUNDS + 1);
    }
}
