//! The interpreter, behind the compiler: checked and not, with the passes and without.

use super::{Ending, Engine, Ran, Refusal};
use crate::{Case, Expected, Input};
use skep_ir::lower::compile;
use skep_ir::machine::Machine;
use skep_ir::{Access, Address, Level, Link, Metering, Options, Source};
use skep_isa::structure;
use skep_isa::{Addr, Program as Bytecode};
use skep_mem::{Block, Fuel};
use skep_model::platform::{FuncId, Platform};
use skep_vm::{CallEnd, Calls, Cpu, Program, Reach, Regions, StopKind};

/// The interpreter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interpreter;

/// How to compile a case.
const fn options(level: Level, access: Access, metering: Metering) -> Options {
    Options { level, access, metering, stack_bytes: 512, register_calls: false }
}

impl Engine for Interpreter {
    fn name(&self) -> &'static str {
        "interpreter"
    }

    fn follows(&self, case: &Case) -> Expected {
        if matches!(case.input, Input::Context { .. }) {
            return Expected::NotHere;
        }
        match &case.expected {
            Expected::Refused(place, _) => Expected::Refused(*place, None),
            Expected::Stops(place, kind, _) => match kind.as_str() {
                // An address says nothing of what it was meant to be.
                "null_pointer" | "not_a_pointer" | "use_after_free" | "no_right" => {
                    Expected::Stops(*place, "out_of_bounds".to_owned(), None)
                }
                // Values have no history here.
                "uninitialised" | "pointer_arithmetic" | "partial_pointer" => Expected::Anything,
                kind => Expected::Stops(*place, kind.to_owned(), None),
            },
            expected => expected.clone(),
        }
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
        let block = match &case.input {
            Input::Memory(bytes) => Block::copy_of(bytes).map_err(|error| error.to_string())?,
            Input::Context { .. } => {
                let ending = Ending::NotHere("contexts want a kernel");
                return Ok(Ran { ending, charged: None });
            }
        };
        let first = run(case, &block, &options(Level::O, Access::Checked, Metering::Metered))?;
        let mut others = vec![("without passes", options(Level::O0, Access::Checked, Metering::Metered))];
        // What a check stops is nothing to do without one, and what fuel stops may never end.
        if matches!(first.ending, Ending::Returned(..)) {
            others.push(("unchecked", options(Level::O, Access::Unchecked, Metering::Metered)));
            others
                .push(("unchecked without passes", options(Level::O0, Access::Unchecked, Metering::Metered)));
            others.push(("without fuel", options(Level::O, Access::Checked, Metering::Free)));
        }
        for (name, options) in others {
            let other = run(case, &block, &options)?;
            let charged = options.metering == Metering::Free || other.charged == first.charged;
            if other.ending != first.ending || !charged {
                return Err(format!("{first:?}, but {name} {other:?}"));
            }
        }
        Ok(first)
    }
}

/// Runs a case in one way, in memory that is at the same address in all of them.
fn run(case: &Case, block: &Block, options: &Options) -> Result<Ran, String> {
    let Input::Memory(bytes) = &case.input else { return Err("no memory".to_owned()) };
    let refused = |slot: u32, text: String| {
        let refusal = Refusal { slot: Some(slot), errno: None, text };
        Ok(Ran { ending: Ending::Refused(refusal), charged: None })
    };
    let bytecode = match Bytecode::decode(&case.slots) {
        Ok(bytecode) => bytecode,
        Err(error) => return refused(error.at.0, error.to_string()),
    };
    let structure = match structure::check(&bytecode) {
        Ok(structure) => structure,
        Err(error) => return refused(error.at.0, error.to_string()),
    };
    let source = Source { program: &bytecode, structure: &structure, link: &Alone };
    let code = match compile(source, &Machine::INTERPRETER, options) {
        Ok(code) => code,
        Err(error) => return refused(error.at.0, error.kind.to_string()),
    };
    let program = match options.access {
        Access::Checked => Program::checked(&code, options.stack_bytes),
        // SAFETY: the same program has run with every access checked, and nothing was refused.
        Access::Unchecked => unsafe { Program::unchecked(&code, options.stack_bytes) },
    };
    let program = program.map_err(|error| error.to_string())?;
    block.bytes().copy_in(0, bytes).map_err(|error| error.to_string())?;
    let mut regions = Regions::new();
    regions.add_writable(block.bytes()).map_err(|error| error.to_string())?;
    let args = [block.bytes().addr() as u64, bytes.len() as u64, 0, 0, 0];
    let fuel = Fuel::new(case.fuel);
    let result = program.run(&mut Cpu::new(), &mut regions, args, &fuel, &mut Mix);
    let charged = (options.metering == Metering::Metered).then(|| case.fuel - fuel.left());
    let ending = match result {
        Ok(number) => {
            let mut left = vec![0; bytes.len()];
            block.bytes().copy_out(0, &mut left).map_err(|error| error.to_string())?;
            Ending::Returned(number, left)
        }
        Err(stop) => Ending::Stopped(stop.at.0, stop.kind.code().to_owned(), stop.kind.to_string()),
    };
    Ok(Ran { ending, charged })
}

/// Has nothing outside the program but the helpers' names.
struct Alone;

impl Link for Alone {
    fn address(&self, _: Addr) -> Option<Address> {
        None
    }

    fn function(&self, function: u32) -> Option<u64> {
        Some(u64::from(function))
    }

    fn helper(&self, id: u32) -> Option<u8> {
        (id == super::MIX || Platform::LINUX_6_18.helper(FuncId(id)).is_ok()).then_some(5)
    }
}

/// Has the helper that every case has.
struct Mix;

impl Calls for Mix {
    fn helper(&mut self, id: u32, args: [u64; 5], _: &Reach<'_>) -> Result<u64, CallEnd> {
        match id {
            super::MIX => Ok(super::mix(args)),
            id => Err(CallEnd::Stop(StopKind::UnknownHelper { id })),
        }
    }
}
