//! skep's interpreter, behind its compiler.

use super::engine::{Engine, Prepared, Runner, Task};
use super::ops;
use crate::clock::Stopwatch;
use crate::memory::Memory;
use skep_ir::lower::compile;
use skep_ir::machine::Machine;
use skep_ir::ops::Code;
use skep_ir::{Access, Address, Level, Link, Metering, Options, Source};
use skep_isa::{Addr, ByteOrder, Program as Bytecode, raw, structure};
use skep_mem::{Bytes, Fuel};
use skep_vm::{Cpu, NoCalls, Program, Regions};

/// The interpreter, in one of its forms.
pub(super) struct Interpreter {
    name: &'static str,
    about: &'static str,
    options: Options,
}

/// Every access is checked, and fuel is counted.
pub(super) const CHECKED: Interpreter = Interpreter {
    name: "skep-intc",
    about: "skep's interpreter, checked, with fuel",
    options: options(Access::Checked, Metering::Metered),
};

/// Nothing is checked.
pub(super) const UNCHECKED: Interpreter = Interpreter {
    name: "skep-int",
    about: "skep's interpreter, unchecked",
    options: options(Access::Unchecked, Metering::Free),
};

/// Every access is checked and fuel is counted, and compiling is fast.
pub(super) const CHECKED_O0: Interpreter = Interpreter {
    name: "skep-intc0",
    about: "skep's interpreter, checked, with fuel, compiled at -O0",
    options: Options { level: Level::O0, ..options(Access::Checked, Metering::Metered) },
};

/// Says how to compile, with every pass.
pub(crate) const fn options(access: Access, metering: Metering) -> Options {
    Options { level: Level::O, access, metering, stack_bytes: 512, register_calls: false }
}

impl Engine for Interpreter {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn prepare<'t>(&self, task: &'t Task) -> Result<Prepared<'t>, String> {
        let start = Stopwatch::start();
        let program = prepare(&task.bytecode, &self.options)?;
        let compile = Some(start.elapsed());
        let memory = Memory::new(&task.program.memory());
        Ok(Prepared { runner: Box::new(Ready { program, cpu: Cpu::new(), memory }), compile })
    }

    fn operations(&self, task: &Task) -> Option<Result<u64, String>> {
        Some(ops::count(task, &self.options))
    }
}

/// There is nothing around a program.
pub(crate) struct Alone;

impl Link for Alone {
    fn address(&self, _: Addr) -> Option<Address> {
        None
    }

    fn helper(&self, _: u32) -> Option<u8> {
        None
    }
}

fn prepare(bytecode: &[u8], options: &Options) -> Result<Program, String> {
    loaded(&compiled(bytecode, options)?, options)
}

/// Makes operations of bytecode.
pub(super) fn compiled(bytecode: &[u8], options: &Options) -> Result<Code, String> {
    let slots = raw::from_bytes(bytecode, ByteOrder::Little).map_err(|error| error.to_string())?;
    let program = Bytecode::decode(&slots).map_err(|error| error.to_string())?;
    let structure = structure::check(&program).map_err(|error| error.to_string())?;
    let source = Source { program: &program, structure: &structure, link: &Alone };
    compile(source, &Machine::INTERPRETER, options).map_err(|error| error.to_string())
}

/// Makes a program of operations.
pub(super) fn loaded(code: &Code, options: &Options) -> Result<Program, String> {
    let program = match options.access {
        Access::Checked => Program::checked(code, options.stack_bytes),
        // SAFETY: the reference machine has run this bytecode on this input, so every access is to its memory.
        Access::Unchecked => unsafe { Program::unchecked(code, options.stack_bytes) },
    };
    program.map_err(|error| error.to_string())
}

struct Ready {
    program: Program,
    cpu: Cpu,
    memory: Memory,
}

impl Runner for Ready {
    fn run(&mut self, times: u64) -> Result<u64, String> {
        let bytes = Bytes::from_mut(self.memory.bytes_mut());
        let args = [bytes.addr() as u64, bytes.len() as u64, 0, 0, 0];
        let mut regions = Regions::new();
        regions.add_writable(bytes).map_err(|error| error.to_string())?;
        let fuel = Fuel::new(Fuel::UNLIMITED);
        let mut result = 0;
        for _ in 0..times {
            let run = self.program.run(&mut self.cpu, &mut regions, args, &fuel, &NoCalls);
            result = run.map_err(|stop| stop.to_string())?;
        }
        Ok(result)
    }

    fn memory(&self) -> Result<Vec<u8>, String> {
        Ok(self.memory.bytes().to_vec())
    }
}
