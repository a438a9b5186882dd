//! The host of an embedded kernel on this machine: one file for each thing that an operating system lends it.
//!
//! In the order in which one would write them: what is needed (`cpus`, `lock`, `rcu`, and `caller` with `memory`, `files`
//! and `rights`), what most want (`pages`, `wake`, `clock`), and what some helpers want (`random`, `trace`, `tasks`,
//! `probe`). There is nothing for code: programs run on the reference machine, which makes none.

mod caller;
mod clock;
mod cpus;
mod files;
mod lock;
mod memory;
mod pages;
mod probe;
mod random;
mod rcu;
mod rights;
mod sleep;
mod tasks;
mod trace;
mod wake;

pub(crate) use caller::BareCaller;
pub(crate) use files::FileTable;
pub(crate) use pages::Mirror;
pub(crate) use rights::Granted;

use skep_mem::{Clock, Cpus, Host, Lock, Pages, Probe, Random, Rcu, Tasks, Trace, Wake};

/// Everything that one kernel is lent.
#[derive(Debug)]
pub(crate) struct BareHost {
    cpus: cpus::OneCpu,
    lock: lock::InterruptsOff,
    grace: rcu::Grace,
    pages: pages::MappedPages,
    wake: wake::WakeUps,
    clock: clock::CycleClock,
    random: random::Sequence,
    trace: trace::Log,
    tasks: tasks::OneTask,
    probe: probe::PageWalk,
}

impl BareHost {
    /// Makes a host whose page runs are mirrored or not.
    pub(crate) fn new(mirror: Mirror) -> BareHost {
        BareHost {
            cpus: cpus::OneCpu::default(),
            lock: lock::InterruptsOff,
            grace: rcu::Grace::default(),
            pages: pages::MappedPages::new(mirror),
            wake: wake::WakeUps::default(),
            clock: clock::CycleClock::calibrate(),
            random: random::Sequence::new(),
            trace: trace::Log::new(),
            tasks: tasks::OneTask,
            probe: probe::PageWalk,
        }
    }

    /// Gives the CPU, which knows at which levels it was entered.
    pub(crate) fn one_cpu(&self) -> &cpus::OneCpu {
        &self.cpus
    }

    /// Gives the wake-ups, to wait for one.
    pub(crate) fn wake_ups(&self) -> &wake::WakeUps {
        &self.wake
    }

    /// Gives what programs printed.
    pub(crate) fn log(&self) -> &trace::Log {
        &self.trace
    }

    /// Reclaims what was retired. Called by the task when it holds and reads nothing: at the end of a system call.
    pub(crate) fn settle(&self) {
        self.grace.settle();
    }
}

impl Host for BareHost {
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
        Some(&self.probe)
    }
    fn wake(&self) -> Option<&dyn Wake> {
        Some(&self.wake)
    }
    fn clock(&self) -> Option<&dyn Clock> {
        Some(&self.clock)
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

/// A host with nothing but what is needed: no pages, clocks, random numbers, wake-ups, log, tasks or guarded reads.
#[derive(Debug, Default)]
pub(crate) struct BareMinimum {
    cpus: cpus::OneCpu,
    grace: rcu::Grace,
}

impl Host for BareMinimum {
    fn cpus(&self) -> &dyn Cpus {
        &self.cpus
    }
    fn lock(&self) -> &dyn Lock {
        &lock::InterruptsOff
    }
    fn rcu(&self) -> &dyn Rcu {
        &self.grace
    }
}
