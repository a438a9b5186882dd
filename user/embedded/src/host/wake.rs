//! Wake-ups: threads that wait sleep on one condition, tasks leave a waker for the object that they wait for.

use super::relock;
use skep_abi::Errno;
use skep_mem::{WaitQueue, Wake};
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Condvar, Mutex, PoisonError};
use std::task::Waker;
use std::time::Instant;

/// Who waits for anything in one kernel.
#[derive(Debug, Default)]
pub(crate) struct WakeUps {
    /// Raised by each wake-up that somebody may wait for.
    generation: Mutex<u64>,
    raised: Condvar,
    /// Threads in a wait, and watches.
    interested: AtomicUsize,
    watches: Mutex<Watches>,
}

#[derive(Debug, Default)]
struct Watches {
    list: Vec<Watch>,
    next: u64,
}

#[derive(Debug)]
struct Watch {
    order: u64,
    queue: Queue,
    fd: i32,
    waker: Waker,
}

/// Which queue: its address. A watch ends with its descriptor, so the queue is alive and nobody else has the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Queue(usize);

impl Queue {
    pub(crate) fn of(queue: &WaitQueue) -> Queue {
        Queue(core::ptr::from_ref(queue).addr())
    }
}

/// A thread that is about to wait; from its making on no wake-up is missed.
pub(crate) struct Waiting<'a>(&'a WakeUps);

impl Waiting<'_> {
    /// Gives the number of wake-ups so far, to be read before looking whether there is anything to wait for.
    pub(crate) fn generation(&self) -> u64 {
        *relock(&self.0.generation)
    }

    /// Sleeps until there was a wake-up after `seen`, or the deadline.
    pub(crate) fn sleep(&self, seen: u64, deadline: Option<Instant>) {
        let mut generation = relock(&self.0.generation);
        while *generation == seen {
            generation = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => self.0.raised.wait(generation).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => return,
                Some(left) => {
                    self.0.raised.wait_timeout(generation, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.interested.fetch_sub(1, Ordering::SeqCst);
    }
}

impl WakeUps {
    /// Says that a thread is going to look, and perhaps wait.
    pub(crate) fn begin(&self) -> Waiting<'_> {
        self.interested.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        Waiting(self)
    }

    /// Leaves a waker for a queue; one that is there already for the same task is not left twice. Who leaves one
    /// looks afterwards whether there is nothing to wait for.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn watch(&self, queue: Queue, fd: i32, waker: &Waker) -> Result<(), Errno> {
        let mut watches = relock(&self.watches);
        let known = |watch: &Watch| watch.queue == queue && watch.fd == fd && watch.waker.will_wake(waker);
        if !watches.list.iter().any(known) {
            watches.list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            let order = watches.next;
            watches.next += 1;
            watches.list.push(Watch { order, queue, fd, waker: waker.clone() });
            self.interested.fetch_add(1, Ordering::SeqCst);
        }
        fence(Ordering::SeqCst);
        Ok(())
    }

    /// Wakes and forgets whoever watches a queue.
    pub(crate) fn wake_queue(&self, queue: Queue) {
        self.wake_watches(|watch| watch.queue == queue);
    }

    /// Wakes and forgets whoever watches through a descriptor that is being closed.
    pub(crate) fn wake_fd(&self, fd: i32) {
        self.wake_watches(|watch| watch.fd == fd);
    }

    fn wake_watches(&self, wanted: impl Fn(&Watch) -> bool) {
        // Those that a woken task leaves at once are for the next time.
        let before = relock(&self.watches).next;
        loop {
            let mut watches = relock(&self.watches);
            let at = watches.list.iter().position(|watch| watch.order < before && wanted(watch));
            let Some(at) = at else { return };
            let watch = watches.list.swap_remove(at);
            drop(watches);
            self.interested.fetch_sub(1, Ordering::SeqCst);
            watch.waker.wake();
        }
    }
}

impl Wake for WakeUps {
    fn wake(&self, queue: &WaitQueue) {
        // Pairs with the fences of `begin` and `watch`: either they are seen here, or they see what there is to read.
        fence(Ordering::SeqCst);
        if self.interested.load(Ordering::SeqCst) == 0 {
            return;
        }
        *relock(&self.generation) += 1;
        self.raised.notify_all();
        self.wake_queue(Queue::of(queue));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;
    use std::task::Wake as TaskWake;
    use std::time::Duration;

    #[derive(Default)]
    struct Count(AtomicU64);

    impl TaskWake for Count {
        fn wake(self: Arc<Count>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_watch_is_woken_once() {
        let (wakes, count) = (WakeUps::default(), Arc::new(Count::default()));
        let (queue, other) = (WaitQueue::new(), WaitQueue::new());
        let waker = Waker::from(Arc::clone(&count));
        wakes.watch(Queue::of(&queue), 3, &waker).unwrap();
        wakes.watch(Queue::of(&queue), 3, &waker).unwrap();
        wakes.wake(&other);
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        wakes.wake(&queue);
        wakes.wake(&queue);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        wakes.watch(Queue::of(&other), 4, &waker).unwrap();
        wakes.wake_fd(3);
        wakes.wake_fd(4);
        assert_eq!(count.0.load(Ordering::SeqCst), 2);
        assert_eq!(wakes.interested.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_sleeper_wakes_or_gives_up() {
        let (wakes, queue) = (WakeUps::default(), WaitQueue::new());
        let waiting = wakes.begin();
        let seen = waiting.generation();
        waiting.sleep(seen, Some(Instant::now() + Duration::from_millis(1)));
        std::thread::scope(|scope| {
            scope.spawn(|| wakes.wake(&queue));
            waiting.sleep(seen, None);
        });
        assert_eq!(waiting.generation(), seen + 1);
    }
}
