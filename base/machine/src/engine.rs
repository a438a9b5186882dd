//! What executes programs. Each engine is one file with the same two doors: compile, run.

mod compiled;
mod exact;
mod interpreter;
#[cfg(target_arch = "x86_64")]
mod jit;

use crate::cpu::Scratch;
use crate::error::Stop;
use crate::error::{Detail, StopKind};
use crate::machine::MachineCode;
use crate::outside::Outside;
use crate::{Program, Setup, SetupErrorKind};
use alloc::vec::Vec;
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
    /// Compiles a program to machine code; on x86-64 only, in memory that [`Setup::code`] lends.
    ///
    /// A helper's panic comes through as on other engines if the lent memory's [`Code::shield`](crate::Code::shield) can catch it, as
    /// that of the code pages in a process does; where it cannot, the panic ends the process.
    Jit,
}

impl Engine {
    /// Lists all of them.
    pub const ALL: [Engine; 3] = [Engine::Interpreter, Engine::Exact, Engine::Jit];

    /// Returns its name.
    pub const fn name(self) -> &'static str {
        match self {
            Engine::Interpreter => "interpreter",
            Engine::Exact => "exact",
            Engine::Jit => "jit",
        }
    }

    /// Says whether it runs on this kind of processor.
    pub const fn is_here(self) -> bool {
        match self {
            Engine::Interpreter | Engine::Exact => true,
            Engine::Jit => cfg!(target_arch = "x86_64"),
        }
    }

    /// Compiles programs; an error says which one cannot be.
    pub(crate) fn compile<'m, S>(
        self,
        setup: &Setup<'m, S>,
        programs: &[Program],
    ) -> Result<Vec<Compiled<'m>>, (usize, Refused)> {
        match self {
            Engine::Interpreter => {
                each(programs, |program| interpreter::compile(setup, program).map(Compiled::Interpreter))
            }
            Engine::Exact => each(programs, |program| exact::compile(setup, program).map(Compiled::Exact)),
            #[cfg(target_arch = "x86_64")]
            Engine::Jit => jit::compile(setup, programs),
            #[cfg(not(target_arch = "x86_64"))]
            Engine::Jit => {
                let what = "machine code for this processor";
                each(programs, |_| Err((None, SetupErrorKind::Unsupported { what })))
            }
        }
    }
}

/// Why an engine cannot run a program, and on which instruction.
pub(crate) type Refused = (Option<InsnIdx>, SetupErrorKind);

/// Compiles programs one by one.
fn each<T>(
    programs: &[Program],
    mut compile: impl FnMut(&Program) -> Result<T, Refused>,
) -> Result<Vec<T>, (usize, Refused)> {
    let mut compiled = Vec::new();
    for (number, program) in programs.iter().enumerate() {
        let fault = |refused| (number, refused);
        compiled.try_reserve(1).map_err(|_| fault((None, SetupErrorKind::OutOfMemory)))?;
        compiled.push(compile(program).map_err(fault)?);
    }
    Ok(compiled)
}

/// A program, ready for an engine.
pub(crate) enum Compiled<'m> {
    Interpreter(skep_vm::Program),
    Exact(skep_exact::Program),
    #[cfg(target_arch = "x86_64")]
    Jit(jit::Native<'m>),
    /// All programs of the machine, of which the first is this.
    #[cfg(target_arch = "x86_64")]
    Joined(jit::Joined<'m>),
    /// A program that is in the code of the first one.
    #[cfg(target_arch = "x86_64")]
    Within,
    #[cfg(not(target_arch = "x86_64"))]
    #[expect(dead_code, reason = "there is no machine code for this processor")]
    None(core::marker::PhantomData<&'m ()>),
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

impl Compiled<'_> {
    /// Lists its machine code, if it is any; `number` is its own.
    pub(crate) fn code(&self, number: usize) -> impl Iterator<Item = MachineCode> + '_ {
        #[cfg(target_arch = "x86_64")]
        let native = match self {
            Compiled::Jit(program) => Some(jit::code(program, number, None)),
            Compiled::Joined(joined) => Some(jit::code(joined.native(), 0, Some(joined.mains()))),
            _ => None,
        };
        #[cfg(not(target_arch = "x86_64"))]
        let native = {
            let _ = number;
            None::<core::iter::Empty<MachineCode>>
        };
        native.into_iter().flatten()
    }

    /// Runs a program until it returns, is stopped, or makes way for another one; `number` is its own.
    pub(crate) fn run<S>(
        &self,
        number: usize,
        start: Start<'_>,
        place: &mut Place<'_>,
        outside: &Outside<'_, S>,
    ) -> Result<End, Stop> {
        match self {
            Compiled::Interpreter(program) => compiled::run(program, number, start, place, outside),
            Compiled::Exact(program) => exact::run(program, number, start, place, outside),
            #[cfg(target_arch = "x86_64")]
            Compiled::Jit(program) => compiled::run(program, number, start, place, outside),
            #[cfg(target_arch = "x86_64")]
            Compiled::Joined(joined) => {
                let result = compiled::run(joined.native(), number, start, place, outside);
                result.map_err(|stop| joined.locate(stop))
            }
            #[cfg(target_arch = "x86_64")]
            Compiled::Within => Err(Stop::new(number, InsnIdx::ZERO, StopKind::Engine, Detail::None)),
            #[cfg(not(target_arch = "x86_64"))]
            Compiled::None(_) => Err(Stop::new(number, InsnIdx::ZERO, StopKind::Engine, Detail::None)),
        }
    }
}
