//! What a machine is made of.

use crate::callee::{Callee, Callees};
use crate::engine::Engine;
use crate::link;
use crate::machine::Machine;
use crate::maps::Attached;
use crate::{Helper, Program, ProgramError, SetupError, SetupErrorKind, Verifier};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use skep_exact::Rights;
use skep_ir::Level;
use skep_isa::text::Symbols;
use skep_maps::Map;
use skep_mem::{Bytes, Code, Host};
use skep_vm::Promise;

/// Says what a machine has: its helpers, maps, memory, verifiers and limits. [`Setup::load`] makes the machine.
///
/// `'m` is the life of the memory and maps that are lent to it, `S` the state that its helpers share.
pub struct Setup<'m, S = ()> {
    pub(crate) engine: Engine,
    pub(crate) level: Level,
    pub(crate) promise: Option<Promise>,
    pub(crate) stack_bytes: u32,
    pub(crate) register_calls: RegisterCalls,
    pub(crate) callees: Callees<'m, S>,
    pub(crate) verifiers: Vec<Box<dyn Verifier + 'm>>,
    pub(crate) memory: Vec<(Bytes<'m>, Rights)>,
    pub(crate) maps: Vec<Attached<'m>>,
    pub(crate) host: Option<&'m dyn Host>,
    pub(crate) code: Option<&'m dyn Code>,
}

/// Whether programs may call through registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RegisterCalls {
    Refused,
    Allowed,
}

impl<S> fmt::Debug for Setup<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("engine", &self.engine)
            .field("stack_bytes", &self.stack_bytes)
            .field("helpers", &self.callees)
            .field("verifiers", &self.verifiers.len())
            .field("memory", &self.memory)
            .field("maps", &self.maps)
            .finish_non_exhaustive()
    }
}

impl<S> Default for Setup<'_, S> {
    fn default() -> Self {
        Setup::new()
    }
}

impl<'m, S> Setup<'m, S> {
    /// Starts with nothing: no helpers, no memory but the stack, 512 bytes of it for each function, as in Linux.
    pub fn new() -> Setup<'m, S> {
        Setup {
            engine: Engine::default(),
            level: Level::default(),
            promise: None,
            stack_bytes: skep_exact::FRAME_BYTES,
            register_calls: RegisterCalls::Refused,
            callees: Callees::new(),
            verifiers: Vec::new(),
            memory: Vec::new(),
            maps: Vec::new(),
            host: None,
            code: None,
        }
    }

    /// Chooses what executes programs.
    #[must_use]
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// Lends memory for machine code, which [`Engine::Jit`] wants.
    #[must_use]
    pub fn code(mut self, code: &'m dyn Code) -> Self {
        self.code = Some(code);
        self
    }

    /// Says how much to optimise, for engines that do.
    #[must_use]
    pub fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// Lets programs run without checks of their accesses, on the word of whoever made the promise, for engines that can.
    #[must_use]
    pub fn unchecked(mut self, promise: Promise) -> Self {
        self.promise = Some(promise);
        self
    }

    /// Sets the bytes of stack that each function has: a multiple of 8, from 8 to 65,536.
    #[must_use]
    pub fn stack_bytes(mut self, bytes: u32) -> Self {
        self.stack_bytes = bytes;
        self
    }

    /// Lets programs call `helper` by this number; one that had the number before is replaced.
    #[must_use]
    pub fn helper(mut self, id: u32, helper: Helper<'m, S>) -> Self {
        self.callees.insert(id, Callee::Own(helper));
        self
    }

    /// Lets programs go on with another one of the machine's, by calling this number with the other's position in r3, as in
    /// Linux; r1 and r2 of the call are not looked at.
    ///
    /// The other starts as if it were the first, and its result is the run's. Where there is no such program, or 33 have
    /// followed one another, the call returns -1. Only main functions may call it; in Linux other functions may too, and the
    /// program then takes that function's place alone, and returns to its caller. In machine code it is a jump, unless one of the
    /// programs calls functions by their numbers.
    ///
    /// ```
    /// use skep_machine::{Cpu, Input, Machine, Program, Setup};
    ///
    /// let first = Program::from_text("r3 = 1\ncall 12\nr0 = 0\nexit")?;
    /// let second = Program::from_text("r0 = 2\nexit")?;
    /// let machine = Setup::<()>::new().tail_calls(12).load_all([first, second])?;
    /// assert_eq!(machine.run(&mut Cpu::default(), Input::None)?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn tail_calls(mut self, id: u32) -> Self {
        self.callees.insert(id, Callee::TailCall);
        self
    }

    /// Lets programs call through registers (`callx`), which Linux does not have: helpers by their numbers, and functions of
    /// their own by those that wide loads of functions give (`r1 = subprog[NAME] ll`).
    ///
    /// ```
    /// use skep_machine::{Cpu, Input, Program, Setup};
    ///
    /// let text = "r6 = subprog[square] ll\nr1 = 7\ncallx r6\nexit\nsquare: r0 = r1\nr0 *= r1\nexit";
    /// let machine = Setup::<()>::new().register_calls().load(Program::from_text(text)?)?;
    /// assert_eq!(machine.run(&mut Cpu::default(), Input::None)?, 49);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn register_calls(mut self) -> Self {
        self.register_calls = RegisterCalls::Allowed;
        self
    }

    /// Asks one more verifier before anything is loaded. All must accept; [`Verifier`] has an example.
    #[must_use]
    pub fn verifier(mut self, verifier: impl Verifier + 'm) -> Self {
        self.verifiers.push(Box::new(verifier));
        self
    }

    /// Lends programs memory to read and write, which they find by its [address](Bytes::addr).
    ///
    /// ```
    /// use skep_machine::{Bytes, Cpu, Input, Program, Setup};
    ///
    /// let mut counter = [0; 8];
    /// let counter = Bytes::from_mut(&mut counter);
    /// let text = format!("r1 = {:#x} ll\nr0 = 1\nlock *(u64 *)(r1 + 0) += r0\nexit", counter.addr());
    /// let machine = Setup::<()>::new().memory(counter).load(Program::from_text(&text)?)?;
    /// machine.run(&mut Cpu::default(), Input::None)?;
    /// machine.run(&mut Cpu::default(), Input::None)?;
    /// assert_eq!(counter.load_u64(0)?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn memory(mut self, bytes: Bytes<'m>) -> Self {
        self.memory.push((bytes, Rights::ReadWrite));
        self
    }

    /// Lends programs memory to read.
    #[must_use]
    pub fn read_only_memory(mut self, bytes: Bytes<'m>) -> Self {
        self.memory.push((bytes, Rights::ReadOnly));
        self
    }

    /// Attaches a map, which programs name by `fd` in wide loads (`r1 = map[fd:N] ll`), or by its position among the maps.
    ///
    /// It wants a [host](Setup::host).
    #[must_use]
    pub fn map(mut self, fd: i32, map: &'m dyn Map) -> Self {
        self.maps.push(Attached::new(fd, map));
        self
    }

    /// Gives programs the helpers of Linux that need no kernel, under Linux's numbers: those on maps, and those whose clock,
    /// random numbers or log the host has. Helpers of one's own come before them.
    ///
    /// Those that work on a kernel's context, on timers or on what Linux calls dynptrs are not there. `bpf_loop` and
    /// `bpf_for_each_map_elem` call functions of the program; a record of a ring may be touched from `bpf_ringbuf_reserve` to
    /// `bpf_ringbuf_submit` or `bpf_ringbuf_discard`, and what a run leaves open is discarded when it ends. It may hold 64
    /// records at once. A run is on one of the host's logical CPUs from the first of these helpers that it calls until it ends.
    #[must_use]
    pub fn host(mut self, host: &'m dyn Host) -> Self {
        self.host = Some(host);
        self.callees.insert_linux(host);
        self
    }

    /// Assembles a program that calls the helpers by their names.
    ///
    /// # Errors
    ///
    /// [`ProgramError`] names the line and column.
    pub fn assemble(&self, text: &str) -> Result<Program, ProgramError> {
        Program::from_text_with(text, &Names(&self.callees))
    }

    /// Makes a machine for one program.
    ///
    /// # Errors
    ///
    /// [`SetupError`] names the instruction that cannot be run.
    pub fn load(self, program: Program) -> Result<Machine<'m, S>, SetupError> {
        self.load_all([program])
    }

    /// Makes a machine for a set of programs, the first of which is run; [`Setup::tail_calls`] leads to the others.
    ///
    /// # Errors
    ///
    /// [`SetupError`] names the program and the instruction that cannot be run.
    pub fn load_all(self, programs: impl IntoIterator<Item = Program>) -> Result<Machine<'m, S>, SetupError> {
        link::check_setup(&self).map_err(SetupError::of_setup)?;
        let (mut checked, mut functions) = (Vec::new(), Vec::new());
        let of_program = |number| {
            move |(at, kind): (Option<_>, SetupErrorKind)| SetupError { program: Some(number), at, kind }
        };
        for (number, program) in programs.into_iter().enumerate() {
            let fault = of_program(number);
            link::check(&self, &program).map_err(fault)?;
            for verifier in &self.verifiers {
                verifier
                    .verify(&program)
                    .map_err(|refusal| fault((refusal.insn(), SetupErrorKind::Refused(refusal))))?;
            }
            let no_memory = |_| fault((None, SetupErrorKind::OutOfMemory));
            checked.try_reserve(1).map_err(no_memory)?;
            functions.try_reserve(1).map_err(no_memory)?;
            functions.push(program.functions().len() as u32);
            checked.push(program);
        }
        if checked.is_empty() {
            return Err(SetupError::of_setup(SetupErrorKind::NoProgram));
        }
        let linked = self.engine.compile(&self, &checked);
        let linked = linked.map_err(|(number, refused)| of_program(number)(refused))?;
        Ok(Machine::new_linked(self, linked, functions))
    }
}

/// The numbers of helpers, by their names.
struct Names<'a, 'm, S>(&'a Callees<'m, S>);

impl<S> Symbols for Names<'_, '_, S> {
    fn helper(&self, name: &str) -> Option<u32> {
        self.0.named(name)
    }
}
