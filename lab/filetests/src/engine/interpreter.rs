//! The interpreter, behind the compiler: checked and not, with the passes and without.

use super::compiled::{Backend, FIRST, Given, Place, agree, follows, not_here, others, run};
use super::{Ending, Engine, Ran};
use crate::{Case, Expected};
use skep_ir::machine::Machine;
use skep_ir::ops::Code;
use skep_ir::{Access, Options};
use skep_vm::{Cpu, Program, Regions, Stop};

/// The interpreter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interpreter;

impl Engine for Interpreter {
    fn name(&self) -> &'static str {
        "interpreter"
    }

    fn follows(&self, case: &Case) -> Expected {
        follows(case)
    }

    fn run(&self, case: &Case) -> Result<Ending, String> {
        self.run_all(case).map(|ran| ran.ending)
    }
}

impl Interpreter {
    /// Runs a case in every way, which must all come to the same.
    ///
    /// # Errors
    /// Which two ways differ, or why it could not be run at all.
    pub fn run_all(&self, case: &Case) -> Result<Ran, String> {
        let Some(mut place) = Place::new(case)? else { return Ok(not_here()) };
        let first = run(self, case, &mut place, &FIRST)?;
        for (name, options) in others(&first) {
            let other = run(self, case, &mut place, &options)?;
            agree(&first, name, &options, &other)?;
        }
        Ok(first)
    }
}

impl Backend for Interpreter {
    fn machine(&self) -> Machine {
        Machine::INTERPRETER
    }

    fn run<'m>(
        &self,
        code: &Code,
        options: &Options,
        cpu: &mut Cpu,
        regions: &mut Regions<'m>,
        given: &Given<'_, 'm>,
    ) -> Result<Result<u64, Stop>, String> {
        let program = match options.access {
            Access::Checked => Program::checked(code, options.stack_bytes),
            // SAFETY: the same program has run with every access checked, and nothing was refused.
            Access::Unchecked => unsafe { Program::unchecked(code, options.stack_bytes) },
        };
        let program = program.map_err(|error| error.to_string())?;
        Ok(program.run(cpu, regions, given.args, given.fuel, given.helpers))
    }
}
