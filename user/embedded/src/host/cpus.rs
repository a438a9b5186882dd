//! Logical CPUs as tokens: a thread takes a free one, keeps it while it nests, and others wait their turn.

use super::relock;
use skep_mem::{CpuToken, Cpus, Level};
use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// The CPUs of one host.
#[derive(Debug)]
pub(super) struct Tokens {
    cpus: Vec<Cpu>,
    /// Threads that wait for a CPU.
    waiting: AtomicU32,
    turn: Mutex<()>,
    freed: Condvar,
}

/// One CPU, alone on its cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Cpu {
    /// The number of the thread that has it; 0 where it is free.
    owner: AtomicUsize,
    /// How often its owner has entered; touched by the owner only.
    times: AtomicU32,
}

thread_local! {
    /// Its address is the thread's number: no other thread that is alive has it.
    static SELF: u8 = const { 0 };
    /// Where this thread was last, and is likely to find its CPU again.
    static LAST: Cell<u32> = const { Cell::new(0) };
}

fn own_number() -> usize {
    SELF.with(|own| core::ptr::from_ref(own).addr())
}

impl Tokens {
    pub(super) fn new(possible: u32) -> Tokens {
        let cpus = (0..possible.max(1)).map(|_| Cpu::default()).collect();
        Tokens { cpus, waiting: AtomicU32::new(0), turn: Mutex::new(()), freed: Condvar::new() }
    }

    /// Finds a CPU, and looks first where this thread was last.
    #[inline]
    fn find(&self, is_meant: impl Fn(&Cpu) -> bool) -> Option<(u32, &Cpu)> {
        let last = LAST.get();
        match self.cpus.get(last as usize) {
            Some(cpu) if is_meant(cpu) => Some((last, cpu)),
            _ => (0..).zip(&self.cpus).find(|(_, cpu)| is_meant(cpu)),
        }
    }

    fn held(&self, own: usize) -> Option<u32> {
        let (id, cpu) = self.find(|cpu| cpu.owner.load(Ordering::Relaxed) == own)?;
        cpu.times.store(cpu.times.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        Some(id)
    }

    fn take(&self, own: usize) -> Option<u32> {
        let take = |cpu: &Cpu| cpu.owner.compare_exchange(0, own, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        let (id, cpu) = self.find(take)?;
        cpu.times.store(1, Ordering::Relaxed);
        LAST.set(id);
        Some(id)
    }

    fn wait(&self, own: usize) -> u32 {
        let mut turn = relock(&self.turn);
        self.waiting.fetch_add(1, Ordering::SeqCst);
        // Who frees a CPU after this look sees that somebody waits, and waits itself for the mutex to say so.
        let id = loop {
            match self.take(own) {
                Some(id) => break id,
                None => turn = self.freed.wait(turn).unwrap_or_else(PoisonError::into_inner),
            }
        };
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        id
    }
}

// SAFETY: a CPU goes from free to one thread by one exchange, and back by that thread's last `leave`; meanwhile only its
// own nested calls get the same number. A thread holds a number, so it cannot migrate.
unsafe impl Cpus for Tokens {
    fn possible(&self) -> u32 {
        self.cpus.len() as u32
    }

    fn enter(&self) -> CpuToken {
        let own = own_number();
        let id = self.held(own).or_else(|| self.take(own)).unwrap_or_else(|| self.wait(own));
        CpuToken { id, level: Level::Task, cookie: 0 }
    }

    fn leave(&self, token: CpuToken) {
        let Some(cpu) = self.cpus.get(token.id as usize) else { return };
        // Nobody else touches it, so that it needs no exchange.
        let times = cpu.times.load(Ordering::Relaxed).saturating_sub(1);
        cpu.times.store(times, Ordering::Relaxed);
        if times > 0 {
            return;
        }
        cpu.owner.store(0, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            drop(relock(&self.turn));
            self.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_nests_on_its_cpu_and_others_wait() {
        let tokens = Tokens::new(1);
        let outer = tokens.enter();
        let inner = tokens.enter();
        assert_eq!((outer.id, inner.id), (0, 0));
        tokens.leave(inner);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                let token = tokens.enter();
                let id = token.id;
                tokens.leave(token);
                id
            });
            while tokens.waiting.load(Ordering::SeqCst) == 0 {
                assert!(!other.is_finished(), "two threads on one CPU");
                std::thread::yield_now();
            }
            tokens.leave(outer);
            assert_eq!(other.join().unwrap(), 0);
        });
    }

    #[test]
    fn no_two_threads_are_on_one_cpu() {
        let tokens = Tokens::new(3);
        let inside = [const { AtomicU32::new(0) }; 3];
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let token = tokens.enter();
                        let there = &inside[token.id as usize];
                        assert_eq!(there.fetch_add(1, Ordering::SeqCst), 0);
                        there.fetch_sub(1, Ordering::SeqCst);
                        tokens.leave(token);
                    }
                });
            }
        });
    }
}
