//! What an engine is to the measurements.

use super::{exact, interpreter, jit, linux, native, rbpf, solana};
use skep_isa::{AluOp, ByteOrder, Insn, Operand, Reg, Width, raw};
use skep_lab_programs::{Cpu, Expected, Program};
use std::time::Duration;

/// Every engine. The first is what all are compared with.
pub(super) const ENGINES: &[&dyn Engine] = &[
    &native::SCALAR,
    &native::VECTOR,
    &jit::UNCHECKED,
    &jit::CHECKED,
    &jit::UNCHECKED_O0,
    &jit::CHECKED_O0,
    &linux::Linux,
    &rbpf::Jit,
    &solana::JIT,
    &interpreter::UNCHECKED,
    &interpreter::CHECKED,
    &interpreter::CHECKED_O0,
    &rbpf::Interpreter,
    &solana::INTERPRETER,
    &exact::Exact,
];

/// One program, as engines are given it.
pub(super) struct Task {
    pub(super) program: Program,
    /// What its bytecode needs: `v3` too where `v4` was asked for and makes no difference.
    pub(super) cpu: Cpu,
    pub(super) bytecode: Vec<u8>,
    /// The same behind `r2 = LENGTH`, for machines that give a program r1 alone.
    pub(super) with_length: Vec<u8>,
    pub(super) expected: Expected,
    /// Instructions that a run executes, as the reference machine counts them.
    pub(super) executed: u64,
}

impl Task {
    /// Reads a program's bytecode, and counts what a run executes.
    pub(super) fn new(program: Program, cpu: Cpu) -> Result<Task, String> {
        let said = |error: String| format!("{}: {error}", program.name);
        let cpu = if program.bytecode_path(cpu).is_file() { cpu } else { Cpu::V3 };
        let bytecode = program.bytecode(cpu).map_err(|error| said(error.to_string()))?;
        let expected = program.expected.ok_or_else(|| said("no result is known".to_owned()))?;
        let memory = program.memory();
        let executed = exact::count(&bytecode, &memory).map_err(said)?;
        let length = Operand::Imm(memory.len() as i32);
        let set = Insn::Alu { width: Width::W64, op: AluOp::Mov, dst: Reg::R2, src: length };
        let set = raw::to_bytes(&set.encode(), ByteOrder::Little);
        let with_length = [set.map_err(|error| said(error.to_string()))?, bytecode.clone()].concat();
        Ok(Task { program, cpu, bytecode, with_length, expected, executed })
    }

    /// Gives the program's name.
    pub(super) fn name(&self) -> &'static str {
        self.program.name
    }

    /// Counts the bytecode's slots.
    pub(super) fn slots(&self) -> usize {
        self.bytecode.len() / 8
    }
}

/// Something that runs programs.
pub(super) trait Engine {
    /// Gives its name, short and without spaces.
    fn name(&self) -> &'static str;

    /// Says in a line what it is.
    fn about(&self) -> &'static str;

    /// Gets a program ready to run on a memory of its own; an error says why it cannot be run there.
    fn prepare<'t>(&self, task: &'t Task) -> Result<Prepared<'t>, String>;

    /// Counts the operations that a run executes, where the engine runs operations one by one.
    fn operations(&self, _task: &Task) -> Option<Result<u64, String>> {
        None
    }
}

/// A program that is ready to run.
pub(super) struct Prepared<'t> {
    /// What runs it.
    pub(super) runner: Box<dyn Runner + 't>,
    /// How long it took to get it ready from its bytecode, where that is this engine's work.
    pub(super) compile: Option<Duration>,
}

/// A program with a memory, ready to run.
pub(super) trait Runner {
    /// Runs it so many times, at least once, and gives the last result.
    fn run(&mut self, times: u64) -> Result<u64, String>;

    /// Gives the memory as it is.
    fn memory(&self) -> Result<Vec<u8>, String>;
}
