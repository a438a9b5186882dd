//! The machine: programs that are ready to run.

use crate::callee::Callees;
use crate::engine::{Compiled, End, Place, Start};
use crate::error::{Detail, Stop, StopKind};
use crate::maps::Attached;
use crate::outside::Outside;
use crate::{Cpu, Input, Program, Setup, SetupError};
use alloc::vec::Vec;
use core::fmt;
use skep_exact::Rights;
use skep_isa::InsnIdx;
use skep_mem::{Bytes, Host};

/// Holds programs that are ready to run, with everything that they may use. It never changes, so threads share it; each
/// brings its own [`Cpu`].
pub struct Machine<'m, S = ()> {
    pub(crate) programs: Vec<Compiled<'m>>,
    /// Counts the functions of each.
    pub(crate) functions: Vec<u32>,
    pub(crate) callees: Callees<'m, S>,
    pub(crate) maps: Vec<Attached<'m>>,
    /// What may be touched besides the input: what was lent, and the values of maps.
    pub(crate) memory: Vec<(Bytes<'m>, Rights)>,
    pub(crate) host: Option<&'m dyn Host>,
    stack_bytes: u32,
}

/// Is a piece of machine code. Shown as text it is a name for it, such as `bpf_prog_0_main`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachineCode {
    /// Names the program, by its position.
    pub program: usize,
    /// Names the program's function, the main one being 0; nothing for what all of them share.
    pub function: Option<u32>,
    /// Holds the address of the first byte.
    pub address: usize,
    /// Counts the bytes.
    pub len: usize,
}

impl fmt::Display for MachineCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bpf_prog_{}_", self.program)?;
        match self.function {
            Some(0) => f.write_str("main"),
            Some(number) => write!(f, "function_{number}"),
            None => f.write_str("exits"),
        }
    }
}

impl<S> fmt::Debug for Machine<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("programs", &self.programs.len())
            .field("helpers", &self.callees)
            .field("maps", &self.maps)
            .field("memory", &self.memory)
            .field("stack_bytes", &self.stack_bytes)
            .finish_non_exhaustive()
    }
}

impl Machine<'static> {
    /// Makes a machine for a program that needs nothing else; [`Setup`] makes all others.
    ///
    /// # Errors
    ///
    /// [`SetupError`] names the instruction that cannot be run.
    pub fn new(program: Program) -> Result<Machine<'static>, SetupError> {
        Setup::new().load(program)
    }
}

impl<'m, S> Machine<'m, S> {
    pub(crate) fn new_linked(
        setup: Setup<'m, S>,
        programs: Vec<Compiled<'m>>,
        functions: Vec<u32>,
    ) -> Machine<'m, S> {
        let Setup { callees, maps, mut memory, host, stack_bytes, .. } = setup;
        let values = maps.iter().filter_map(|attached| Some((attached.map.values()?, attached.rights())));
        memory.extend(values);
        Machine { programs, functions, callees, maps, memory, host, stack_bytes }
    }

    /// Lists the machine code of its programs, for profilers; there is none with other engines than
    /// [`Engine::Jit`](crate::Engine::Jit).
    pub fn code(&self) -> impl Iterator<Item = MachineCode> + '_ {
        self.programs.iter().enumerate().flat_map(|(number, program)| program.code(number))
    }

    /// Runs the first program, and returns what it leaves in r0.
    ///
    /// # Errors
    ///
    /// [`Stop`] names the instruction on which the run was stopped, and says why. What the program had written by then stays
    /// written.
    pub fn run(&self, cpu: &mut Cpu<S>, input: Input<'_>) -> Result<u64, Stop> {
        let start = Start::of(input).map_err(|detail| stopped(StopKind::Input, detail))?;
        let word = cpu.word();
        let (state, fuel, scratch) = cpu.parts();
        scratch.executed = None;
        let mut place = Place { fuel, scratch, stack_bytes: self.stack_bytes };
        let outside = Outside::new(self, state, word);
        self.run_from(0, start, &mut place, &outside)
    }

    /// Runs a program and those that take its place.
    fn run_from<'r>(
        &'r self,
        mut number: usize,
        start: Start<'_>,
        place: &mut Place<'_>,
        outside: &Outside<'r, S>,
    ) -> Result<u64, Stop> {
        while let Some(program) = self.programs.get(number) {
            outside.switch(number);
            match program.run(number, start, place, outside)? {
                End::Returned(value) => return Ok(value),
                End::TailCall(next) => number = next,
            }
        }
        Err(stopped(StopKind::Engine, Detail::None))
    }
}

fn stopped(kind: StopKind, detail: Detail) -> Stop {
    Stop::new(0, InsnIdx::ZERO, kind, detail)
}

impl<'r> Start<'r> {
    #[inline]
    fn of(input: Input<'r>) -> Result<Start<'r>, Detail> {
        Ok(match input {
            Input::None => Start { first: None, second: None },
            Input::Memory(memory) => Start { first: Some(Bytes::from_mut(memory)), second: None },
            Input::Metadata { buffer, memory } => {
                Start { first: Some(Bytes::from_mut(buffer)), second: Some(Bytes::from_mut(memory)) }
            }
            Input::FixedMetadata { buffer, data, data_end, memory } => {
                let (buffer, memory) = (Bytes::from_mut(buffer), Bytes::from_mut(memory));
                let start = memory.addr() as u64;
                for (offset, address) in [(data, start), (data_end, start + memory.len() as u64)] {
                    buffer.store_u64(offset, address).map_err(|_| Detail::Metadata(offset, buffer.len()))?;
                }
                Start { first: Some(buffer), second: Some(memory) }
            }
        })
    }
}
