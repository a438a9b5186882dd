//! The host itself.

use super::grace::Grace;
use super::pages::TestPages;
use crate::{
    Bytes, Clock, CpuToken, Cpus, Host, Level, Lock, LockWord, Pages, Probe, ProbeFault, ProbeSpace, Random,
    Rcu, Task, Tasks, Trace, WaitQueue, Wake,
};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::cell::{Cell, RefCell};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread_local;

/// What a test may choose about its host.
#[derive(Clone, Copy, Debug)]
pub struct TestHostOptions {
    /// The number of logical CPUs.
    pub cpus: u32,
    /// Whether page runs may be mirrored; on Linux with 64 bits only.
    pub mirror: bool,
    /// Whether there are pages at all.
    pub pages: bool,
}

impl Default for TestHostOptions {
    fn default() -> TestHostOptions {
        TestHostOptions { cpus: 4, mirror: false, pages: true }
    }
}

/// A host for tests: logical CPUs are tokens that threads take, locks spin and panic on self-deadlock, the clock
/// stands still until it is set, wake-ups and trace messages are kept for the test to read.
#[derive(Debug)]
pub struct TestHost {
    cpus: Tokens,
    spin: Spin,
    grace: Grace,
    pages: Option<TestPages>,
    now_ns: AtomicU64,
    random: AtomicU32,
    wakes: AtomicU64,
    messages: Mutex<Vec<Vec<u8>>>,
    task: Mutex<Task>,
    /// Memory that guarded reads may reach, by the address they use.
    readable: Mutex<Vec<(u64, Vec<u8>)>>,
}

fn relock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TestHost {
    /// Makes a host with four CPUs and plain pages.
    pub fn new() -> Arc<TestHost> {
        TestHost::with(TestHostOptions::default())
    }

    /// Makes a host as `options` say.
    pub fn with(options: TestHostOptions) -> Arc<TestHost> {
        Arc::new(TestHost {
            cpus: Tokens::new(options.cpus),
            spin: Spin,
            grace: Grace::default(),
            pages: options.pages.then_some(TestPages { mirror: options.mirror }),
            now_ns: AtomicU64::new(1_000_000_000),
            random: AtomicU32::new(0x9e37_79b9),
            wakes: AtomicU64::new(0),
            messages: Mutex::default(),
            task: Mutex::new(Task {
                pid: 1001,
                tgid: 1000,
                uid: 0,
                gid: 0,
                comm: *b"skep-test\0\0\0\0\0\0\0",
            }),
            readable: Mutex::default(),
        })
    }

    /// Sets every clock.
    pub fn set_now_ns(&self, now_ns: u64) {
        self.now_ns.store(now_ns, Ordering::SeqCst);
    }

    /// Sets what the random numbers start from.
    pub fn set_random(&self, seed: u32) {
        self.random.store(seed | 1, Ordering::SeqCst);
    }

    /// Sets the current task.
    pub fn set_task(&self, task: Task) {
        *relock(&self.task) = task;
    }

    /// Lets guarded reads and writes find `bytes` at `addr`, in any space.
    pub fn expose(&self, addr: u64, bytes: &[u8]) {
        relock(&self.readable).push((addr, bytes.to_vec()));
    }

    /// Gives the number of wake-ups so far.
    pub fn wakes(&self) -> u64 {
        self.wakes.load(Ordering::SeqCst)
    }

    /// Takes the trace messages out.
    pub fn take_messages(&self) -> Vec<Vec<u8>> {
        core::mem::take(&mut relock(&self.messages))
    }

    /// Lets this thread enter CPU `cpu` from now on, where it is free; else any.
    pub fn prefer_cpu(&self, cpu: u32) {
        PREFERRED.set(cpu);
    }

    /// Runs `work` as if it had interrupted this thread's current level.
    pub fn interrupted<R>(&self, level: Level, work: impl FnOnce() -> R) -> R {
        let before = LEVEL.replace(level);
        let result = work();
        LEVEL.set(before);
        result
    }

    /// Tells whether retired objects still wait for their grace period.
    pub fn has_retired(&self) -> bool {
        self.grace.has_retired()
    }

    /// Gives the host as everybody else knows it.
    pub fn as_dyn(self: &Arc<TestHost>) -> Arc<dyn Host> {
        Arc::clone(self) as Arc<dyn Host>
    }
}

impl Host for TestHost {
    fn cpus(&self) -> &dyn Cpus {
        &self.cpus
    }
    fn lock(&self) -> &dyn Lock {
        &self.spin
    }
    fn rcu(&self) -> &dyn Rcu {
        &self.grace
    }
    fn pages(&self) -> Option<&dyn Pages> {
        self.pages.as_ref().map(|pages| pages as &dyn Pages)
    }
    fn probe(&self) -> Option<&dyn Probe> {
        Some(self)
    }
    fn wake(&self) -> Option<&dyn Wake> {
        Some(self)
    }
    fn clock(&self) -> Option<&dyn Clock> {
        Some(self)
    }
    fn random(&self) -> Option<&dyn Random> {
        Some(self)
    }
    fn trace(&self) -> Option<&dyn Trace> {
        Some(self)
    }
    fn tasks(&self) -> Option<&dyn Tasks> {
        Some(self)
    }
}

thread_local! {
    static PREFERRED: Cell<u32> = const { Cell::new(0) };
    static LEVEL: Cell<Level> = const { Cell::new(Level::Task) };
    /// What this thread has entered: the address of the host's tokens, the CPU, how often.
    static ENTERED: RefCell<Vec<(usize, u32, u32)>> = const { RefCell::new(Vec::new()) };
}

/// Logical CPUs as tokens; a thread that enters again gets the one it has.
#[derive(Debug)]
struct Tokens {
    taken: Mutex<Vec<bool>>,
    freed: Condvar,
    possible: u32,
}

impl Tokens {
    fn new(possible: u32) -> Tokens {
        let taken = (0..possible).map(|_| false).collect();
        Tokens { taken: Mutex::new(taken), freed: Condvar::new(), possible }
    }

    fn take(&self) -> u32 {
        let mut taken = relock(&self.taken);
        loop {
            let wanted = PREFERRED.get();
            let order = core::iter::once(wanted).chain(0..self.possible);
            for cpu in order {
                if let Some(slot @ false) = taken.get_mut(cpu as usize) {
                    *slot = true;
                    return cpu;
                }
            }
            taken = self.freed.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

// SAFETY: a CPU's flag is taken under the mutex by one thread and freed by its last `leave`; only that thread, in its
// nested calls, gets the same number meanwhile. Threads hold numbers, so they do not migrate.
unsafe impl Cpus for Tokens {
    fn possible(&self) -> u32 {
        self.possible
    }

    fn enter(&self) -> CpuToken {
        let own = core::ptr::from_ref(self).addr();
        let held = ENTERED.with_borrow_mut(|entered| {
            let mine = entered.iter_mut().find(|(host, ..)| *host == own)?;
            mine.2 += 1;
            Some(mine.1)
        });
        let id = held.unwrap_or_else(|| {
            let id = self.take();
            ENTERED.with_borrow_mut(|entered| entered.push((own, id, 1)));
            id
        });
        CpuToken { id, level: LEVEL.get(), cookie: 0 }
    }

    fn leave(&self, token: CpuToken) {
        let own = core::ptr::from_ref(self).addr();
        let last = ENTERED.with_borrow_mut(|entered| {
            let Some(at) = entered.iter().position(|(host, ..)| *host == own) else { return false };
            entered[at].2 -= 1;
            let last = entered[at].2 == 0;
            if last {
                entered.swap_remove(at);
            }
            last
        });
        if last {
            relock(&self.taken)[token.id as usize] = false;
            self.freed.notify_one();
        }
    }
}

/// A spinning lock whose word holds a number of the thread that has it.
#[derive(Debug)]
struct Spin;

static THREADS: AtomicU32 = AtomicU32::new(1);
thread_local! {
    static THREAD: u32 = THREADS.fetch_add(1, Ordering::Relaxed);
}

// SAFETY: compare-exchange from zero lets one thread in, with acquire; unlocking stores zero with release. Nothing
// interrupts a thread but its own calls, and those panic rather than wait for themselves.
unsafe impl Lock for Spin {
    fn lock(&self, word: &LockWord) -> usize {
        let own = THREAD.with(|thread| *thread);
        let mut spins = 0u32;
        while let Err(holder) = word.0.compare_exchange_weak(0, own, Ordering::Acquire, Ordering::Relaxed) {
            assert_ne!(holder, own, "a thread waits for a lock that it holds");
            assert_ne!(LEVEL.get(), Level::Nmi, "an NMI waits for a lock");
            spins += 1;
            match spins % 64 {
                0 => std::thread::yield_now(),
                _ => core::hint::spin_loop(),
            }
        }
        0
    }

    fn try_lock(&self, word: &LockWord) -> Option<usize> {
        let own = THREAD.with(|thread| *thread);
        word.0.compare_exchange(0, own, Ordering::Acquire, Ordering::Relaxed).ok().map(|_| 0)
    }

    unsafe fn unlock(&self, word: &LockWord, _saved: usize) {
        word.0.store(0, Ordering::Release);
    }
}

// SAFETY: reads and writes copies that the test has handed over, nothing else.
unsafe impl Probe for TestHost {
    fn read(&self, _space: ProbeSpace, addr: u64, into: &mut [u8]) -> Result<(), ProbeFault> {
        let readable = relock(&self.readable);
        for (byte, at) in into.iter_mut().zip(addr..) {
            *byte = byte_at(&readable, at).ok_or(ProbeFault::Unreachable)?;
        }
        Ok(())
    }

    fn read_str(&self, _space: ProbeSpace, addr: u64, into: &mut [u8]) -> Result<usize, ProbeFault> {
        let readable = relock(&self.readable);
        let Some(last) = into.len().checked_sub(1) else { return Ok(0) };
        for (i, byte) in into.iter_mut().enumerate() {
            *byte = byte_at(&readable, addr.wrapping_add(i as u64)).ok_or(ProbeFault::Unreachable)?;
            if *byte == 0 {
                return Ok(i + 1);
            }
        }
        into[last] = 0;
        Ok(into.len())
    }

    fn write_user(&self, addr: u64, from: &[u8]) -> Result<(), ProbeFault> {
        let mut readable = relock(&self.readable);
        for (base, bytes) in readable.iter_mut() {
            let Some(at) = addr.checked_sub(*base).and_then(|at| usize::try_from(at).ok()) else { continue };
            if let Some(into) = at.checked_add(from.len()).and_then(|end| bytes.get_mut(at..end)) {
                into.copy_from_slice(from);
                return Ok(());
            }
        }
        Err(ProbeFault::Unreachable)
    }
}

fn byte_at(readable: &[(u64, Vec<u8>)], at: u64) -> Option<u8> {
    readable
        .iter()
        .find_map(|(base, bytes)| bytes.get(usize::try_from(at.checked_sub(*base)?).ok()?).copied())
}

impl Wake for TestHost {
    fn wake(&self, _queue: &WaitQueue) {
        self.wakes.fetch_add(1, Ordering::SeqCst);
    }
}

impl Clock for TestHost {
    fn monotonic_ns(&self) -> u64 {
        self.now_ns.load(Ordering::SeqCst)
    }
}

impl Random for TestHost {
    fn next_u32(&self) -> u32 {
        // xorshift32; concurrent callers may repeat a number, which a test that cares does not do.
        let mut x = self.random.load(Ordering::Relaxed);
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        self.random.store(x, Ordering::Relaxed);
        x
    }
}

impl Trace for TestHost {
    fn message(&self, text: &[u8]) {
        relock(&self.messages).push(text.to_vec());
    }
}

impl Tasks for TestHost {
    fn current(&self) -> Task {
        *relock(&self.task)
    }
}

/// Copies all of `bytes` out, for comparisons.
pub fn to_vec(bytes: Bytes<'_>) -> Vec<u8> {
    let mut copy = alloc::vec![0; bytes.len()];
    // The lengths are equal by construction.
    let _ = bytes.copy_out(0, &mut copy);
    copy
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Locked, OnCpu, PageRun};

    #[test]
    fn threads_take_turns_on_cpus_and_nest() {
        let host = TestHost::with(TestHostOptions { cpus: 1, ..TestHostOptions::default() });
        let outer = OnCpu::enter(host.cpus());
        assert_eq!(host.interrupted(Level::Irq, || OnCpu::enter(host.cpus()).level()), Level::Irq);
        let other = Arc::clone(&host);
        let waits = std::thread::spawn(move || OnCpu::enter(other.cpus()).id());
        drop(outer);
        assert_eq!(waits.join().unwrap(), 0);
    }

    #[test]
    fn the_lock_excludes() {
        let host = TestHost::new();
        let counter = Arc::new(Locked::new(&host.as_dyn(), 0u64));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let counter = Arc::clone(&counter);
                std::thread::spawn(move || (0..10_000).for_each(|_| *counter.lock() += 1))
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*counter.lock(), 40_000);
        let held = counter.lock();
        assert!(counter.try_lock().is_none());
        drop(held);
    }

    #[test]
    fn pages_are_aligned_zeroed_and_mirrored_where_asked() {
        for mirror in [false, true] {
            let host = TestHost::with(TestHostOptions { mirror, ..TestHostOptions::default() }).as_dyn();
            let run = PageRun::new(&host, 1, 2).unwrap();
            assert_eq!(run.bytes().addr() % 4096, 0);
            assert!(to_vec(run.bytes()).iter().all(|byte| *byte == 0));
            if run.is_mirrored() {
                assert_eq!(run.bytes().len(), 5 * 4096);
                run.bytes().store_u8(4096 + 7, 3).unwrap();
                assert_eq!(run.bytes().load_u8(3 * 4096 + 7), Ok(3));
            } else {
                assert_eq!(run.bytes().len(), 3 * 4096);
            }
            let frames: Vec<_> = (0..6).map(|index| run.frame(index)).collect();
            assert!(frames[..3].iter().all(Option::is_some));
            assert_eq!((frames[3], frames[4], frames[5]), (frames[1], frames[2], None));
        }
    }

    #[test]
    fn guarded_reads_fault_outside() {
        let host = TestHost::new();
        host.expose(0x1000, b"hello\0");
        let mut into = [0; 5];
        host.read(ProbeSpace::Kernel, 0x1000, &mut into).unwrap();
        assert_eq!(&into, b"hello");
        assert!(host.read(ProbeSpace::Kernel, 0x1002, &mut into).is_err());
        assert_eq!(host.read_str(ProbeSpace::User, 0x1001, &mut [0; 16]), Ok(5));
        assert_eq!(host.read_str(ProbeSpace::User, 0x1000, &mut [0; 3]), Ok(3));
    }
}
