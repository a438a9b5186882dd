//! What whoever makes an embedded kernel may choose.

use crate::host::{Mirror, Time, TraceSink};
use skep_kernel::{Admit, Engine, FUEL_PER_RUN, Observer};
use skep_mem::{Capability, Task};
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

/// The choices for one kernel; [`Config::new`] gives those that suit most.
///
/// ```
/// use skep_embedded::{Config, Embedded, Time};
///
/// // Runs of the same programs give the same results, clock and random numbers included.
/// let repeatable = Embedded::new(Config::new().seed(7).time(Time::Fixed(1_000_000_000)))?;
/// assert!(repeatable.faults().is_empty());
/// # Ok::<(), skep_abi::Errno>(())
/// ```
pub struct Config {
    pub(crate) admit: Admit,
    pub(crate) cpus: u32,
    pub(crate) descriptors: usize,
    pub(crate) denied: Vec<Capability>,
    pub(crate) engine: Engine,
    pub(crate) fuel: u64,
    pub(crate) mirror: Mirror,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) seed: Option<u64>,
    pub(crate) task: Option<Task>,
    pub(crate) time: Time,
    pub(crate) trace: Option<TraceSink>,
}

/// Descriptors that may be open at once, as Linux's default for a process.
const DESCRIPTORS: usize = 1024;

impl Config {
    /// Chooses as many CPUs as the process may use, the system's clocks, random random numbers, and all rights.
    pub fn new() -> Config {
        Config {
            admit: Admit::Verified,
            cpus: std::thread::available_parallelism().map_or(1, |count| count.get().try_into().unwrap_or(1)),
            descriptors: DESCRIPTORS,
            denied: Vec::new(),
            engine: Engine::Jit,
            fuel: FUEL_PER_RUN,
            mirror: Mirror::default(),
            observer: None,
            seed: None,
            task: None,
            time: Time::default(),
            trace: None,
        }
    }

    /// Sets the number of logical CPUs: as many programs run at once, and per-CPU maps have as many values.
    pub fn cpus(mut self, cpus: NonZeroU32) -> Config {
        self.cpus = cpus.get();
        self
    }

    /// Chooses which programs are loaded.
    pub fn admit(mut self, admit: Admit) -> Config {
        self.admit = admit;
        self
    }

    /// Chooses what runs programs that are verified: machine code where it can be had here, which is what is chosen already, or else an
    /// interpreter, both without checks; or the reference machine, which checks every access and runs all other programs anyway.
    /// [`Embedded::engine_of`](crate::Embedded::engine_of) tells what runs one.
    pub fn engine(mut self, engine: Engine) -> Config {
        self.engine = engine;
        self
    }

    /// Sets how many descriptors may be open at once.
    pub fn descriptors(mut self, most: usize) -> Config {
        self.descriptors = most;
        self
    }

    /// Sets how many instructions a run of a program may execute before it is stopped; helpers count by their work.
    pub fn fuel(mut self, per_run: u64) -> Config {
        self.fuel = per_run;
        self
    }

    /// Takes a right from all callers.
    pub fn without(mut self, capability: Capability) -> Config {
        self.denied.push(capability);
        self
    }

    /// Chooses how rings lie in memory.
    pub fn mirror(mut self, mirror: Mirror) -> Config {
        self.mirror = mirror;
        self
    }

    /// Sets who hears of runs that are stopped, besides [`crate::Embedded::faults`].
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Config {
        self.observer = Some(observer);
        self
    }

    /// Sets where random numbers start.
    pub fn seed(mut self, seed: u64) -> Config {
        self.seed = Some(seed);
        self
    }

    /// Sets who every caller is, for programs that ask.
    pub fn task(mut self, task: Task) -> Config {
        self.task = Some(task);
        self
    }

    /// Chooses the clock.
    pub fn time(mut self, time: Time) -> Config {
        self.time = time;
        self
    }

    /// Sets who gets each message that a program prints, at once.
    pub fn trace(mut self, sink: impl Fn(&str) + Send + Sync + 'static) -> Config {
        self.trace = Some(Box::new(sink));
        self
    }
}

impl Default for Config {
    fn default() -> Config {
        Config::new()
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Config({} CPUs, {:?}, seed {:?})", self.cpus, self.time, self.seed)
    }
}
