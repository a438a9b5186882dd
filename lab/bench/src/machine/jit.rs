//! skep's JIT, behind its compiler.
//!
//! `SKEP_BENCH_CODE` names a folder that each program's machine code is written to, `SKEP_BENCH_OPS` has operations printed.

use super::engine::{Engine, Prepared, Runner, Task};
use super::interpreter::{Alone, options};
use crate::clock::Stopwatch;
use crate::memory::Memory;
use skep_embedded::CodePages;
use skep_ir::lower::compile;
use skep_ir::{Access, Level, Metering, Options, Source};
use skep_isa::{ByteOrder, Program as Bytecode, raw, structure};
use skep_jit::x86_64::{Features, Target};
use skep_mem::{Bytes, Fuel};
use skep_vm::jit::{JitProgram, features};
use skep_vm::{Cpu, NoCalls, Regions};
use std::error::Error;

/// The JIT, in one of its forms.
pub(super) struct Jit {
    name: &'static str,
    about: &'static str,
    options: Options,
}

/// Every access is checked, and fuel is counted.
pub(super) const CHECKED: Jit = Jit {
    name: "skep-jitc",
    about: "skep's JIT, checked, with fuel",
    options: options(Access::Checked, Metering::Metered),
};

/// Nothing is checked.
pub(super) const UNCHECKED: Jit = Jit {
    name: "skep-jit",
    about: "skep's JIT, unchecked",
    options: options(Access::Unchecked, Metering::Free),
};

/// Nothing is checked, and compiling is fast.
pub(super) const UNCHECKED_O0: Jit = Jit {
    name: "skep-jit0",
    about: "skep's JIT, unchecked, compiled at -O0",
    options: Options { level: Level::O0, ..options(Access::Unchecked, Metering::Free) },
};

/// Every access is checked and fuel is counted, and compiling is fast.
pub(super) const CHECKED_O0: Jit = Jit {
    name: "skep-jitc0",
    about: "skep's JIT, checked, with fuel, compiled at -O0",
    options: Options { level: Level::O0, ..options(Access::Checked, Metering::Metered) },
};

impl Engine for Jit {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn prepare<'t>(&self, task: &'t Task) -> Result<Prepared<'t>, String> {
        let features = features();
        let start = Stopwatch::start();
        let program = prepare(&task.bytecode, &self.options, features).map_err(|error| error.to_string())?;
        let compile = Some(start.elapsed());
        if let Some(dir) = std::env::var_os("SKEP_BENCH_CODE") {
            let path = std::path::Path::new(&dir).join(format!("{}.{}.bin", task.name(), self.name));
            std::fs::write(path, program.bytes()).map_err(|error| error.to_string())?;
        }
        let memory = Memory::new(&task.program.memory());
        Ok(Prepared { runner: Box::new(Ready { program, cpu: Cpu::new(), memory }), compile })
    }
}

fn prepare(
    bytecode: &[u8],
    options: &Options,
    features: Features,
) -> Result<JitProgram<CodePages>, Box<dyn Error>> {
    let program = Bytecode::decode(&raw::from_bytes(bytecode, ByteOrder::Little)?)?;
    let structure = structure::check(&program)?;
    let source = Source { program: &program, structure: &structure, link: &Alone };
    let target = Target::new(features, options.access, options.metering);
    let code = compile(source, &target.machine(), options)?;
    if std::env::var_os("SKEP_BENCH_OPS").is_some() {
        println!("{code}");
    }
    Ok(match options.access {
        Access::Checked => JitProgram::checked(&code, &target, options.stack_bytes, CodePages)?,
        Access::Unchecked => {
            // SAFETY: the reference machine has run this bytecode on this input, so every access is to its memory.
            unsafe { JitProgram::unchecked(&code, &target, options.stack_bytes, CodePages) }?
        }
    })
}

struct Ready {
    program: JitProgram<CodePages>,
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
