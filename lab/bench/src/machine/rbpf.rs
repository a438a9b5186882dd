//! rbpf: its interpreter, which checks accesses, and its JIT, which does not.
//!
//! It leaves r2 empty, so the program is preceded by an instruction that sets it.

use super::engine::{Engine, Prepared, Runner, Task};
use crate::clock::Stopwatch;
use crate::memory::Memory;
use rbpf::{EbpfVmMbuff, EbpfVmRaw};
use skep_lab_programs::Cpu;
use std::slice;

/// The interpreter.
pub(super) struct Interpreter;

impl Engine for Interpreter {
    fn name(&self) -> &'static str {
        "rbpf-int"
    }

    fn about(&self) -> &'static str {
        "rbpf 0.4.1, interpreter, checked"
    }

    fn prepare<'t>(&self, task: &'t Task) -> Result<Prepared<'t>, String> {
        let start = Stopwatch::start();
        // Without a metadata buffer, r1 is the memory as in `EbpfVmRaw`, which wants the memory for good.
        let vm = EbpfVmMbuff::new(Some(&task.with_length)).map_err(|error| error.to_string())?;
        let compile = Some(start.elapsed());
        let memory = Memory::new(&task.program.memory());
        Ok(Prepared { runner: Box::new(Interpreted { vm, memory }), compile })
    }
}

struct Interpreted<'t> {
    vm: EbpfVmMbuff<'t>,
    memory: Memory,
}

impl Runner for Interpreted<'_> {
    fn run(&mut self, times: u64) -> Result<u64, String> {
        let mut result = 0;
        for _ in 0..times {
            let memory = self.memory.bytes_mut();
            result = self.vm.execute_program(memory, &[]).map_err(|error| error.to_string())?;
        }
        Ok(result)
    }

    fn memory(&self) -> Result<Vec<u8>, String> {
        Ok(self.memory.bytes().to_vec())
    }
}

/// The JIT.
pub(super) struct Jit;

impl Engine for Jit {
    fn name(&self) -> &'static str {
        "rbpf-jit"
    }

    fn about(&self) -> &'static str {
        "rbpf 0.4.1, JIT, unchecked"
    }

    fn prepare<'t>(&self, task: &'t Task) -> Result<Prepared<'t>, String> {
        // It takes later instructions for others, and nothing checks where they lead.
        if task.cpu != Cpu::V3 {
            return Err("it does not know the instructions of -mcpu=v4".to_owned());
        }
        let start = Stopwatch::start();
        let mut vm = EbpfVmRaw::new(Some(&task.with_length)).map_err(|error| error.to_string())?;
        vm.jit_compile().map_err(|error| error.to_string())?;
        let compile = Some(start.elapsed());
        let memory = Memory::new(&task.program.memory());
        Ok(Prepared { runner: Box::new(Compiled { vm, memory }), compile })
    }
}

struct Compiled<'t> {
    vm: EbpfVmRaw<'t>,
    memory: Memory,
}

impl Runner for Compiled<'_> {
    fn run(&mut self, times: u64) -> Result<u64, String> {
        let memory = self.memory.bytes_mut();
        let (start, len) = (memory.as_mut_ptr(), memory.len());
        let mut result = 0;
        for _ in 0..times {
            // SAFETY: `start` and `len` are those of a slice that is borrowed for the whole call and not used otherwise;
            // rbpf asks for a longer lifetime than its run needs, and keeps nothing.
            let memory = unsafe { slice::from_raw_parts_mut(start, len) };
            // SAFETY: the reference machine has run this bytecode on this input, so it stays within the memory; rbpf
            // knows all of its instructions, which are those of -mcpu=v3.
            let this = unsafe { self.vm.execute_program_jit(memory) };
            result = this.map_err(|error| error.to_string())?;
        }
        Ok(result)
    }

    fn memory(&self) -> Result<Vec<u8>, String> {
        Ok(self.memory.bytes().to_vec())
    }
}
