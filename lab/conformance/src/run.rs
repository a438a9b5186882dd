//! Running instructions in one way.

use crate::maps::Maps;
use skep_embedded::{Config, Embedded};
use skep_machine::{Args, Code, Cpu, Engine, Helper, Input, Level, Program, Setup, helpers};
use std::fmt;

/// A way to run a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// The engine.
    pub engine: Engine,
    /// How much it optimises.
    pub level: Level,
}

impl Way {
    /// Lists all of them that are here; the reference machine has no levels.
    pub fn all() -> impl Iterator<Item = Way> {
        let all = [
            Way { engine: Engine::Interpreter, level: Level::O },
            Way { engine: Engine::Interpreter, level: Level::O0 },
            Way { engine: Engine::Jit, level: Level::O },
            Way { engine: Engine::Jit, level: Level::O0 },
            Way { engine: Engine::Exact, level: Level::O0 },
        ];
        all.into_iter().filter(|way| way.engine != Engine::Jit || (CODE.is_some() && way.engine.is_here()))
    }
}

/// The memory for machine code that this system gives.
#[cfg(target_os = "linux")]
const CODE: Option<&dyn Code> = Some(&skep_embedded::CodePages);
#[cfg(not(target_os = "linux"))]
const CODE: Option<&dyn Code> = None;

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.engine.name())?;
        match (self.engine, self.level) {
            (Engine::Interpreter | Engine::Jit, Level::O0) => f.write_str(" without passes"),
            _ => Ok(()),
        }
    }
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It returned this.
    Returned(u64),
    /// It was not loaded, and why.
    Refused(String),
    /// It was stopped, and why.
    Stopped(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Returned(number) => write!(f, "{number:#x}"),
            End::Refused(why) => write!(f, "refused: {why}"),
            End::Stopped(why) => write!(f, "stopped: {why}"),
        }
    }
}

/// What a program may spend: no file of the suite needs a tenth of it.
const FUEL: u64 = 1 << 24;

/// Runs a program on memory; where there is none, r1 and r2 are zero. The maps are made for this run, and where there are any, the
/// helpers are Linux's.
pub fn execute(way: Way, program: Program, maps: &Maps, memory: &mut [u8]) -> End {
    let setup = match CODE {
        Some(code) => Setup::<()>::new().code(code),
        None => Setup::new(),
    };
    let setup = setup.engine(way.engine).level(way.level).register_calls();
    if maps.is_empty() {
        return run(with_ubpf_helpers(setup), program, memory);
    }
    // Its CPUs, its clock and its pages; no program comes before its verifier.
    let kernel = match Embedded::new(Config::new()) {
        Ok(kernel) => kernel,
        Err(error) => return End::Refused(error.to_string()),
    };
    let host_of_maps = kernel.as_host();
    let created = match maps.create(&host_of_maps) {
        Ok(created) => created,
        Err(why) => return End::Refused(why),
    };
    let mut setup = setup.host(&*host_of_maps);
    for made in &created {
        setup = setup.map(made.fd, &*made.map);
    }
    run(setup, program, memory)
}

/// Gives the helpers that uBPF's test program has, under its numbers (`vm/test.c`).
fn with_ubpf_helpers<'m>(setup: Setup<'m, ()>) -> Setup<'m, ()> {
    setup
        .helper(0, helpers::gather_bytes())
        .helper(1, helpers::memfrob())
        .helper(2, Helper::new("trash_registers", &[], |_: &mut (), _: &Args<'_>| Ok(0)))
        .helper(3, helpers::sqrti())
        .helper(4, helpers::strcmp())
        .helper(helpers::UNWIND, helpers::unwind())
}

fn run(setup: Setup<'_, ()>, program: Program, memory: &mut [u8]) -> End {
    let machine = match setup.load(program) {
        Ok(machine) => machine,
        Err(error) => return End::Refused(error.to_string()),
    };
    let input = if memory.is_empty() { Input::None } else { Input::Memory(memory) };
    match machine.run(&mut Cpu::new(()).with_fuel(FUEL), input) {
        Ok(number) => End::Returned(number),
        Err(stop) => End::Stopped(stop.to_string()),
    }
}
