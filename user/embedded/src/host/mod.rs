//! The host of the embedded kernel: what `std` and the operating system offer, as `skep-mem` wants it.

mod clock;
mod cpus;
mod lock;
mod pages;
mod probe;
mod random;
mod rcu;
mod tasks;
mod trace;
mod wake;

pub use clock::Time;
pub use pages::Mirror;
pub use trace::TraceSink;
pub(crate) use wake::{Queue, WakeUps};

use crate::config::Config;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
use skep_kernel::Engine;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
use skep_mem::Code;
use skep_mem::{Clock, Cpus, Host, Lock, Pages, Probe, Random, Rcu, Tasks, Trace, Wake};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex, whatever became of who held it: nothing here panics while it holds one.
pub(crate) fn relock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The host of one kernel in this process.
#[derive(Debug)]
pub(crate) struct ProcessHost {
    cpus: cpus::Tokens,
    lock: lock::Spin,
    grace: rcu::Grace,
    pages: pages::HeapPages,
    probe: Option<probe::SelfProbe>,
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    machine_code: bool,
    wake: WakeUps,
    clocks: clock::Clocks,
    random: random::Sequence,
    trace: trace::TraceLog,
    tasks: tasks::Who,
}

impl ProcessHost {
    /// Makes a host as the configuration says; takes the sink out of it.
    pub(crate) fn new(config: &mut Config) -> ProcessHost {
        ProcessHost {
            cpus: cpus::Tokens::new(config.cpus),
            lock: lock::Spin,
            grace: rcu::Grace::new(),
            pages: pages::HeapPages::new(config.mirror),
            probe: probe::SelfProbe::new(),
            #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
            machine_code: config.engine == Engine::Jit,
            wake: WakeUps::default(),
            clocks: clock::Clocks::new(config.time),
            random: random::Sequence::new(config.seed),
            trace: trace::TraceLog::new(config.trace.take()),
            tasks: config.task.map_or(tasks::Who::Thread, tasks::Who::Fixed),
        }
    }

    /// Gives who waits.
    pub(crate) fn wake_ups(&self) -> &WakeUps {
        &self.wake
    }

    /// Reclaims what has waited for its grace period.
    pub(crate) fn settle(&self) {
        self.grace.settle();
    }

    /// Takes the oldest message that programs printed.
    pub(crate) fn take_message(&self) -> Option<String> {
        self.trace.take()
    }

    /// Moves a fixed clock, and tells whether it is one.
    pub(crate) fn set_time(&self, now_ns: u64) -> bool {
        self.clocks.set(now_ns)
    }

    /// Gives the bytes of all page runs.
    pub(crate) fn page_bytes(&self) -> usize {
        self.pages.bytes()
    }
}

impl Host for ProcessHost {
    fn cpus(&self) -> &dyn Cpus {
        &self.cpus
    }
    fn lock(&self) -> &dyn Lock {
        &self.lock
    }
    fn rcu(&self) -> &dyn Rcu {
        &self.grace
    }
    fn pages(&self) -> Option<&dyn Pages> {
        Some(&self.pages)
    }
    fn probe(&self) -> Option<&dyn Probe> {
        self.probe.as_ref().map(|probe| probe as &dyn Probe)
    }
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn code(&self) -> Option<&dyn Code> {
        self.machine_code.then_some(&crate::CodePages)
    }
    fn wake(&self) -> Option<&dyn Wake> {
        Some(&self.wake)
    }
    fn clock(&self) -> Option<&dyn Clock> {
        Some(&self.clocks)
    }
    fn random(&self) -> Option<&dyn Random> {
        Some(&self.random)
    }
    fn trace(&self) -> Option<&dyn Trace> {
        Some(&self.trace)
    }
    fn tasks(&self) -> Option<&dyn Tasks> {
        Some(&self.tasks)
    }
}
