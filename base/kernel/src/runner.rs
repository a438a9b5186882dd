//! Entering a CPU to run programs: its stacks, and how deeply they nest.

use crate::compiled::{self, Scratch};
use crate::context::Context;
use crate::error::Result;
use crate::observer::{FaultReport, Observer};
use crate::prog::Prog;
use crate::run::{self, Engines, Followed, Place, Ran, Surroundings};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::{OnceCell, RefCell};
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};
use skep_abi::Errno;
use skep_exact::{FaultKind, Stack};
use skep_mem::{Block, Host, Locked, OnCpu};

/// How many runs may lie on one CPU, each interrupting the one before.
const DEEPEST: u32 = 4;

/// The instructions that one run may execute before it is stopped, unless its kernel says otherwise: what Linux's
/// verifier would bound by its own limits, and long enough for any program that it accepts.
pub const FUEL_PER_RUN: u64 = 1 << 32;

/// How many runs on an entered CPU may share a read side: what was replaced meanwhile waits for it.
const MOST_SHARED: u32 = 64;

/// Runs programs for one kernel.
pub(crate) struct Runner {
    host: Arc<dyn Host>,
    observer: Arc<dyn Observer>,
    /// The instructions that one run may execute.
    fuel: u64,
    /// Memory of engines that nobody uses at the moment.
    spare: Locked<Vec<Memory>>,
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

/// What engines need of their own.
struct Memory {
    /// The reference machine's, once it was needed.
    stack: OnceCell<Stack>,
    scratch: RefCell<Scratch>,
    /// The context of a compiled program on packets.
    image: Block,
}

impl Memory {
    fn new() -> Result<Memory> {
        let image = Block::zeroed(compiled::IMAGE)?;
        Ok(Memory { stack: OnceCell::new(), scratch: RefCell::new(Scratch::new()), image })
    }

    fn stack(&self) -> Result<&Stack> {
        if let Some(stack) = self.stack.get() {
            return Ok(stack);
        }
        let stack = Stack::new().map_err(|_| Errno::ENOMEM)?;
        Ok(self.stack.get_or_init(|| stack))
    }
}

/// A CPU entered, and memory to run programs in.
pub(crate) struct Entered<'r> {
    runner: &'r Runner,
    on: OnCpu<'r>,
    memory: Option<Memory>,
    /// The programs that tail calls have led to.
    followed: Followed,
    /// The runs that have shared what keeps them.
    shared: u32,
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
        // Room for all that there can ever be, so that giving one back never allocates.
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
    /// `EBUSY` where runs lie too deep on it already; `ENOMEM`.
    pub(crate) fn enter(&self) -> Result<Entered<'_>> {
        let on = OnCpu::enter(self.host.cpus());
        let depth = self.depth.get(on.id() as usize).ok_or(Errno::EBUSY)?;
        if depth.fetch_add(1, Ordering::Relaxed) >= DEEPEST {
            depth.fetch_sub(1, Ordering::Relaxed);
            return Err(Errno::EBUSY);
        }
        let mut entered =
            Entered { runner: self, on, memory: None, followed: Followed::default(), shared: 0 };
        let spare = self.spare.try_lock().and_then(|mut spare| spare.pop());
        entered.memory = Some(match spare {
            Some(memory) => memory,
            None => Memory::new()?,
        });
        Ok(entered)
    }
}

impl Entered<'_> {
    /// Runs a program once.
    pub(crate) fn run(&mut self, prog: &Prog, context: &Context<'_>, cookie: u64) -> Result<u64> {
        if self.followed.keeps() {
            self.shared += 1;
            if self.shared == MOST_SHARED {
                self.shared = 0;
                self.followed = Followed::default();
            }
        }
        let memory = self.memory.as_ref().ok_or(Errno::ENOMEM)?;
        // A run within a run has entered for itself.
        let mut scratch = memory.scratch.try_borrow_mut().map_err(|_| Errno::EBUSY)?;
        let runner = self.runner;
        let (image, followed) = (memory.image.bytes(), &self.followed);
        let place = Place { host: &runner.host, on: &self.on, image, followed };
        let env = Surroundings::new(place, prog, context, cookie);
        let started = runner.started();
        let engines = Engines { scratch: &mut scratch, stack: &mut || memory.stack() };
        let ran = run::run(&env, engines, runner.fuel);
        // What a tail call leads to counts for the program that was run, as on Linux (`__bpf_prog_run`).
        if let Some(started) = started {
            prog.body.stats.count_run(runner.now_ns().saturating_sub(started));
        }
        match ran {
            Ran::Returned(value) => Ok(value),
            Ran::NoMemory => Err(Errno::ENOMEM),
            Ran::Stopped(fault, executed) => {
                let report = FaultReport { prog_id: prog.id, prog_name: prog.body.name, executed, fault };
                runner.observer.fault(&report);
                Err(if fault.kind == FaultKind::OutOfMemory { Errno::ENOMEM } else { Errno::EFAULT })
            }
        }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            // Where the list is locked or full it is freed instead.
            if let Some(mut spare) = self.runner.spare.try_lock() {
                if spare.len() < spare.capacity() {
                    spare.push(memory);
                }
            }
        }
        if let Some(depth) = self.runner.depth.get(self.on.id() as usize) {
            depth.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
