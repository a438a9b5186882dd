//! Running instructions in one way.

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

/// Runs a program on memory; where there is none, r1 and r2 are zero.
pub fn execute(way: Way, program: Program, memory: &mut [u8]) -> End {
    // The numbers that uBPF's test program gives its functions (`vm/test.c`).
    let setup = match CODE {
        Some(code) => Setup::<()>::new().code(code),
        None => Setup::new(),
    };
    let setup = setup
        .engine(way.engine)
        .level(way.level)
        .helper(0, helpers::gather_bytes())
        .helper(1, helpers::memfrob())
        .helper(2, Helper::new("trash_registers", &[], |_: &mut (), _: &Args<'_>| Ok(0)))
        .helper(3, helpers::sqrti())
        .helper(4, helpers::strcmp())
        .helper(helpers::UNWIND, helpers::unwind())
        .register_calls();
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
