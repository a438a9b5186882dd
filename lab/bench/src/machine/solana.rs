//! Solana's sbpf, version 4 of its instruction set, whose encoding is Linux's: checked and metered.
//!
//! Its 32-bit additions, subtractions and multiplications extend the sign where eBPF's extend zeroes, so some programs
//! come to something else; they are left out by name, as any wrong result is.

use super::engine::{Engine, Prepared, Runner, Task};
use crate::clock::Stopwatch;
use crate::memory::Memory;
use solana_sbpf::aligned_memory::AlignedMemory;
use solana_sbpf::ebpf;
use solana_sbpf::elf::Executable;
use solana_sbpf::memory_region::{MemoryMapping, MemoryRegion};
use solana_sbpf::program::{BuiltinProgram, FunctionRegistry, SBPFVersion};
use solana_sbpf::verifier::RequisiteVerifier;
use solana_sbpf::vm::{CallFrame, Config, ContextObject, EbpfVm, ExecutionMode};
use std::ptr::NonNull;
use std::sync::Arc;

/// The JIT.
pub(super) const JIT: Solana =
    Solana { name: "solana-jit", about: "solana-sbpf 0.26.0, JIT, checked", way: Way::Jit };
/// The interpreter.
pub(super) const INTERPRETER: Solana =
    Solana { name: "solana-int", about: "solana-sbpf 0.26.0, interpreter, checked", way: Way::Interpreter };

/// How it runs a program.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Interpreter,
    Jit,
}

/// Solana's machine.
pub(super) struct Solana {
    name: &'static str,
    about: &'static str,
    way: Way,
}

/// Instructions that a run may execute.
const BUDGET: u64 = 1 << 40;

impl Engine for Solana {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn prepare<'t>(&self, task: &'t Task) -> Result<Prepared<'t>, String> {
        let loader = Arc::new(BuiltinProgram::new_loader(Config::default()));
        let start = Stopwatch::start();
        let executable = Executable::<Context>::from_text_bytes(
            &task.bytecode,
            loader.clone(),
            SBPFVersion::V4,
            FunctionRegistry::default(),
        )
        .map_err(|error| error.to_string())?;
        executable.verify::<RequisiteVerifier>().map_err(|error| error.to_string())?;
        if self.way == Way::Jit {
            executable.jit_compile().map_err(|error| error.to_string())?;
        }
        let compile = Some(start.elapsed());
        let config = Config::default();
        let mut memory = Memory::new(&task.program.memory());
        let mut stack = AlignedMemory::zero_filled(config.stack_size());
        let regions = vec![
            executable.get_ro_region(),
            MemoryRegion::new(std::ptr::from_mut(stack.as_slice_mut()), ebpf::MM_STACK_START),
            MemoryRegion::new(std::ptr::from_mut(memory.bytes_mut()), ebpf::MM_INPUT_START),
        ];
        // SAFETY: the regions lie in the executable, the stack and the memory, which live in the same value as the
        // mapping, are on the heap, and are not touched while a program runs.
        let mapping = unsafe { MemoryMapping::new(regions, &config, SBPFVersion::V4) }
            .map_err(|error| error.to_string())?;
        let context = Context { left: BUDGET, mapping };
        let frames = vec![CallFrame::default(); config.max_call_depth];
        let stack_len = stack.len();
        let loaded =
            Loaded { way: self.way, executable, loader, context, frames, memory, stack_len, _stack: stack };
        Ok(Prepared { runner: Box::new(loaded), compile })
    }
}

/// What a run counts down, and the memory that it sees.
struct Context {
    left: u64,
    mapping: MemoryMapping,
}

impl ContextObject for Context {
    fn consume(&mut self, amount: u64) {
        self.left = self.left.saturating_sub(amount);
    }

    fn get_remaining(&self) -> u64 {
        self.left
    }

    fn active_mapping_ptr(&mut self) -> NonNull<MemoryMapping> {
        NonNull::from(&mut self.mapping)
    }
}

struct Loaded {
    way: Way,
    executable: Executable<Context>,
    loader: Arc<BuiltinProgram<Context>>,
    context: Context,
    frames: Vec<CallFrame>,
    memory: Memory,
    stack_len: usize,
    /// What the mapping's stack region lies in.
    _stack: AlignedMemory<{ ebpf::HOST_ALIGN }>,
}

impl Runner for Loaded {
    fn run(&mut self, times: u64) -> Result<u64, String> {
        let len = self.memory.bytes().len() as u64;
        let mut vm = EbpfVm::new(self.loader.clone(), SBPFVersion::V4, &mut self.context, self.stack_len);
        vm.registers[1] = ebpf::MM_INPUT_START;
        vm.registers[2] = len;
        let registers = vm.registers;
        let mut result = 0;
        for _ in 0..times {
            vm.registers = registers;
            vm.context().left = BUDGET;
            let mut mode = match self.way {
                Way::Interpreter => ExecutionMode::Interpreted,
                Way::Jit => ExecutionMode::Jit,
            };
            let (_, ended) = vm.execute_program(&self.executable, &mut mode, &mut self.frames);
            result = Result::from(ended).map_err(|error| error.to_string())?;
        }
        Ok(result)
    }

    fn memory(&self) -> Result<Vec<u8>, String> {
        Ok(self.memory.bytes().to_vec())
    }
}
