//! What a run needs of its own.

use alloc::sync::Arc;
use core::fmt;
use skep_exact::{Stack, StackError};
use skep_mem::{Fuel, NoMemory};
use skep_vm::Regions;

/// Holds what one run at a time needs: the helpers' state, the fuel, the stack. One for each thread that runs programs.
pub struct Cpu<S = ()> {
    state: S,
    fuel: Arc<Fuel>,
    word: u64,
    scratch: Scratch,
}

/// Holds the engines' own memory from one run to the next.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    exact: Option<Stack>,
    pub(crate) cpu: skep_vm::Cpu,
    /// Lists nothing between runs.
    pub(crate) regions: Regions<'static>,
    /// Counts the instructions of the last run, if its engine did.
    pub(crate) executed: Option<u64>,
}

impl Scratch {
    /// Lends the reference machine's stack, with frames of that size.
    pub(crate) fn exact(&mut self, frame: u32) -> Result<&Stack, NoMemory> {
        let kept = self.exact.take().filter(|stack| stack.frame_bytes() == frame);
        let stack = match kept {
            Some(stack) => stack,
            // There is such a size: `Setup` has seen to it.
            None => Stack::of_frames(frame).map_err(|_: StackError| NoMemory)?,
        };
        Ok(self.exact.insert(stack))
    }
}

impl<S: fmt::Debug> fmt::Debug for Cpu<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cpu").field("state", &self.state).field("fuel", &self.fuel).finish_non_exhaustive()
    }
}

impl<S: Default> Default for Cpu<S> {
    fn default() -> Cpu<S> {
        Cpu::new(S::default())
    }
}

impl<S> Cpu<S> {
    /// Makes one with unlimited fuel.
    pub fn new(state: S) -> Cpu<S> {
        Cpu { state, fuel: Arc::new(Fuel::new(Fuel::UNLIMITED)), word: 0, scratch: Scratch::default() }
    }

    /// Limits the fuel of all runs to come; a unit is about an instruction. What runs leave of it is left for the next.
    #[must_use]
    pub fn with_fuel(self, units: u64) -> Cpu<S> {
        self.fuel.fill(units);
        self
    }

    /// Returns the fuel, to be looked at and filled between runs; a clone of it lets another thread
    /// [stop](Fuel::stop) the run.
    ///
    /// ```
    /// use skep_machine::{Cpu, Input, Machine, Program, StopKind};
    /// use std::sync::Arc;
    ///
    /// let machine = Machine::new(Program::from_text("again: goto again")?)?;
    /// let mut cpu = Cpu::new(());
    /// let fuel = Arc::clone(cpu.fuel());
    /// let watchdog = std::thread::spawn(move || fuel.stop());
    /// let stop = machine.run(&mut cpu, Input::None).unwrap_err();
    /// assert_eq!(stop.kind(), StopKind::Fuel);
    /// # watchdog.join().unwrap();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fuel(&self) -> &Arc<Fuel> {
        &self.fuel
    }

    /// Returns the helpers' state.
    pub fn state(&self) -> &S {
        &self.state
    }

    /// Returns the helpers' state, to be changed between runs.
    pub fn state_mut(&mut self) -> &mut S {
        &mut self.state
    }

    /// Returns the helpers' state alone.
    pub fn into_state(self) -> S {
        self.state
    }

    /// Returns the number that [plain](crate::Helper::plain) helpers get besides their arguments; it is zero until it is set.
    pub fn word(&self) -> u64 {
        self.word
    }

    /// Sets the number that [plain](crate::Helper::plain) helpers get besides their arguments: by it they may find what belongs
    /// to this run.
    pub fn set_word(&mut self, word: u64) {
        self.word = word;
    }

    /// Returns how many instructions the last run has executed, where its engine counts them, which
    /// [`Engine::Exact`](crate::Engine::Exact) does. What fuel it took is what all engines count.
    pub fn executed(&self) -> Option<u64> {
        self.scratch.executed
    }

    pub(crate) fn parts(&mut self) -> (&mut S, &Fuel, &mut Scratch) {
        (&mut self.state, &self.fuel, &mut self.scratch)
    }
}
