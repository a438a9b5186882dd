//! Entering a CPU to run programs: its stacks, and how deeply they nest.

use crate::context::Context;
use crate::error::Result;
use crate::observer::{FaultReport, Observer};
use crate::prog::Prog;
use crate::run;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};
use skep_abi::Errno;
use skep_exact::{FaultKind, Outcome, Stack};
use skep_mem::{Host, Locked, OnCpu};

/// How many runs may lie on one CPU, each interrupting the one before.
const DEEPEST: u32 = 4;

/// The instructions that one run may execute before it is stopped, unless its kernel says otherwise: what Linux's
/// verifier would bound by its own limits, and long enough for any program that it accepts.
pub const FUEL_PER_RUN: u64 = 1 << 32;

/// Runs programs for one kernel.
pub(crate) struct Runner {
    host: Arc<dyn Host>,
    observer: Arc<dyn Observer>,
    /// The instructions that one run may execute.
    fuel: u64,
    /// Stacks that nobody uses at the moment.
    spare: Locked<Vec<Stack>>,
    /// Runs under way on each logical CPU.
    depth: Vec<AtomicU32>,
    /// How many want runs counted.
    counting: AtomicU32,
}

/// Has the runs of a kernel counted for as long as it lives.
#[derive(Debug)]
pub(crate) struct Counting(Arc<Runner>);

impl Drop for Counting {
    fn drop(&mut self) {
        self.0.counting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Runner")
    }
}

/// A CPU entered, and a stack.
pub(crate) struct Entered<'r> {
    runner: &'r Runner,
    on: OnCpu<'r>,
    stack: Option<Stack>,
}

impl Runner {
    /// Makes the runner of a kernel.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn new(host: &Arc<dyn Host>, observer: Arc<dyn Observer>, fuel: u64) -> Result<Runner> {
        let cpus = host.cpus().possible() as usize;
        let mut depth = Vec::new();
        depth.try_reserve_exact(cpus).map_err(|_| Errno::ENOMEM)?;
        depth.resize_with(cpus, AtomicU32::default);
        let mut spare = Vec::new();
        // Room for every stack there can ever be, so that giving one back never allocates.
        spare.try_reserve_exact(cpus * DEEPEST as usize).map_err(|_| Errno::ENOMEM)?;
        let (host, spare) = (Arc::clone(host), Locked::new(host, spare));
        Ok(Runner { host, observer, fuel, spare, depth, counting: AtomicU32::new(0) })
    }

    /// Has runs counted.
    pub(crate) fn count(runner: &Arc<Runner>) -> Counting {
        runner.counting.fetch_add(1, Ordering::Relaxed);
        Counting(Arc::clone(runner))
    }

    /// Gives the time where runs are counted.
    fn started(&self) -> Option<u64> {
        (self.counting.load(Ordering::Relaxed) != 0).then(|| self.now_ns())
    }

    fn now_ns(&self) -> u64 {
        self.host.clock().map_or(0, |clock| clock.monotonic_ns())
    }

    /// Enters a CPU for one or more runs.
    ///
    /// # Errors
    /// `EBUSY` where runs lie too deep on it already, or the stacks are being handed out; `ENOMEM`.
    pub(crate) fn enter(&self) -> Result<Entered<'_>> {
        let on = OnCpu::enter(self.host.cpus());
        let depth = self.depth.get(on.id() as usize).ok_or(Errno::EBUSY)?;
        if depth.fetch_add(1, Ordering::Relaxed) >= DEEPEST {
            depth.fetch_sub(1, Ordering::Relaxed);
            return Err(Errno::EBUSY);
        }
        let mut entered = Entered { runner: self, on, stack: None };
        let spare = self.spare.try_lock().and_then(|mut spare| spare.pop());
        entered.stack = Some(match spare {
            Some(stack) => stack,
            None => Stack::new().map_err(|_| Errno::ENOMEM)?,
        });
        Ok(entered)
    }
}

impl Entered<'_> {
    /// Runs a program once.
    pub(crate) fn run(&self, prog: &Prog, context: &Context<'_>, cookie: u64) -> Result<u64> {
        let stack = self.stack.as_ref().ok_or(Errno::ENOMEM)?;
        let started = self.runner.started();
        let outcome: Outcome =
            run::run(&self.runner.host, &self.on, stack, prog, context, cookie, self.runner.fuel);
        // What a tail call leads to counts for the program that was run, as on Linux (`__bpf_prog_run`).
        if let Some(started) = started {
            prog.body.stats.count_run(self.runner.now_ns().saturating_sub(started));
        }
        outcome.result.map_err(|fault| {
            let report = FaultReport {
                prog_id: prog.id,
                prog_name: prog.body.name,
                executed: outcome.executed,
                fault,
            };
            self.runner.observer.fault(&report);
            if fault.kind == FaultKind::OutOfMemory { Errno::ENOMEM } else { Errno::EFAULT }
        })
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if let Some(stack) = self.stack.take() {
            // Where the list is locked or full the stack is freed instead.
            if let Some(mut spare) = self.runner.spare.try_lock() {
                if spare.len() < spare.capacity() {
                    spare.push(stack);
                }
            }
        }
        if let Some(depth) = self.runner.depth.get(self.on.id() as usize) {
            depth.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
