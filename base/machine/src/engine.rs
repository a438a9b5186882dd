//! What executes programs. Each engine is one file with the same two doors: compile, run.

mod exact;
mod interpreter;

use crate::cpu::Scratch;
use crate::error::Stop;
use crate::outside::Outside;
use crate::{Program, Setup, SetupErrorKind};
use skep_isa::InsnIdx;
use skep_mem::{Bytes, Fuel};

/// Names what executes programs. All come to the same result, memory and fuel, and stop on the same instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Engine {
    /// Compiles a program to operations, and runs these in a loop.
    #[default]
    Interpreter,
    /// The reference machine: instruction by instruction, with the provenance of every value. It is slow, and its messages
    /// say most.
    Exact,
}

impl Engine {
    /// Lists all of them.
    pub const ALL: [Engine; 2] = [Engine::Interpreter, Engine::Exact];

    /// Returns its name.
    pub const fn name(self) -> &'static str {
        match self {
            Engine::Interpreter => "interpreter",
            Engine::Exact => "exact",
        }
    }

    pub(crate) fn compile<S>(self, setup: &Setup<'_, S>, program: &Program) -> Result<Compiled, Refused> {
        match self {
            Engine::Interpreter => interpreter::compile(setup, program).map(Compiled::Interpreter),
            Engine::Exact => exact::compile(setup, program).map(Compiled::Exact),
        }
    }
}

/// Why an engine cannot run a program, and on which instruction.
pub(crate) type Refused = (Option<InsnIdx>, SetupErrorKind);

/// A program, ready for an engine.
#[derive(Debug)]
pub(crate) enum Compiled {
    Interpreter(skep_vm::Program),
    Exact(skep_exact::Program),
}

/// What a program is started with, whatever the shape of the input was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start<'r> {
    /// What r1 points to; without it r1 is zero.
    pub(crate) first: Option<Bytes<'r>>,
    /// What may be touched besides.
    pub(crate) second: Option<Bytes<'r>>,
}

/// What an engine runs on.
pub(crate) struct Place<'r> {
    pub(crate) fuel: &'r Fuel,
    pub(crate) scratch: &'r mut Scratch,
    pub(crate) stack_bytes: u32,
}

/// How the run of one program ended.
pub(crate) enum End {
    Returned(u64),
    TailCall(usize),
}

impl Compiled {
    /// Runs a program until it returns, is stopped, or makes way for another one; `number` is its own.
    pub(crate) fn run<S>(
        &self,
        number: usize,
        start: Start<'_>,
        place: &mut Place<'_>,
        outside: &mut Outside<'_, S>,
    ) -> Result<End, Stop> {
        match self {
            Compiled::Interpreter(program) => interpreter::run(program, number, start, place, outside),
            Compiled::Exact(program) => exact::run(program, number, start, place, outside),
        }
    }
}
