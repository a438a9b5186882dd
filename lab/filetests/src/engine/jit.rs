//! Machine code, behind the compiler: checked and not, with the passes and without, for processors that can more or less, and
//! with so few registers that most values live in memory. Each must come to what the interpreter comes to, to the unit of fuel
//! and the address of an error.

use super::compiled::{Backend, FIRST, Given, Place, agree, follows, not_here, others, run};
use super::{Ending, Engine, Interpreter, Ran};
use crate::{Case, Expected};
use skep_embedded::CodePages;
use skep_ir::machine::Machine;
use skep_ir::ops::Code;
use skep_ir::{Access, Options};
use skep_jit::x86_64::{Features, Target};
use skep_vm::jit::{JitProgram, features};
use skep_vm::{Cpu, Regions, Stop};

/// Machine code.
#[derive(Clone, Copy, Debug, Default)]
pub struct Jit;

/// Lists what code is made for: how many registers values live in (all, as many as leave some values in memory, and as few as
/// leave nearly all there), and whether the processor's additions are used.
const TARGETS: [(u8, Additions); 5] = [
    (13, Additions::Used),
    (3, Additions::Unused),
    (13, Additions::Unused),
    (6, Additions::Used),
    (0, Additions::Used),
];
/// Counts those of them that every way to compile is run on.
const ALWAYS: usize = 2;

/// Says whether code uses what only newer processors can.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Additions {
    Used,
    Unused,
}

impl Engine for Jit {
    fn name(&self) -> &'static str {
        "jit"
    }

    fn follows(&self, case: &Case) -> Expected {
        follows(case)
    }

    fn run(&self, case: &Case) -> Result<Ending, String> {
        let Some(mut place) = Place::new(case)? else { return Ok(not_here().ending) };
        let first: Ran = run(&Interpreter, case, &mut place, &FIRST)?;
        let mut ways = others(&first);
        ways.insert(0, ("with all", FIRST));
        for (way, (name, options)) in ways.into_iter().enumerate() {
            let targets = if way == 0 { &TARGETS[..] } else { &TARGETS[..ALWAYS] };
            for (registers, additions) in targets {
                let features = if *additions == Additions::Used { features() } else { Features::NONE };
                let target =
                    Target::new(features, options.access, options.metering).with_registers(*registers);
                let ran = run(&Emitted { target }, case, &mut place, &options)?;
                let name = format!("jit {name}, {features:?}, {registers} registers");
                agree(&first, &name, &options, &ran)?;
            }
        }
        Ok(first.ending)
    }
}

/// Machine code for one target.
struct Emitted {
    target: Target,
}

impl Backend for Emitted {
    fn machine(&self) -> Machine {
        self.target.machine()
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
            Access::Checked => JitProgram::checked(code, &self.target, options.stack_bytes, CodePages),
            // SAFETY: the interpreter has run the same program with every access checked, and nothing was refused.
            Access::Unchecked => unsafe {
                JitProgram::unchecked(code, &self.target, options.stack_bytes, CodePages)
            },
        };
        let program = program.map_err(|error| format!("{error}\n{code}"))?;
        Ok(program.run(cpu, regions, given.args, given.fuel, given.helpers))
    }
}
