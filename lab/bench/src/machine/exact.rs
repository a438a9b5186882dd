//! The reference machine.

use super::engine::{Engine, Prepared, Runner, Task};
use crate::clock::Stopwatch;
use crate::memory::Memory;
use skep_exact::{
    Entry, Fuel, HelperLink, MapRef, MapShape, Outcome, Platform, Program, Rules, Stack, World,
};
use skep_isa::{ByteOrder, raw};
use skep_mem::{Bytes, MapIndex};

/// The reference machine.
pub(super) struct Exact;

impl Engine for Exact {
    fn name(&self) -> &'static str {
        "exact"
    }

    fn about(&self) -> &'static str {
        "skep's reference machine, checked, with provenance"
    }

    fn prepare<'t>(&self, task: &'t Task) -> Result<Prepared<'t>, String> {
        let start = Stopwatch::start();
        let mut linked = Linked::new(&task.bytecode)?;
        let compile = Some(start.elapsed());
        linked.memory = Memory::new(&task.program.memory());
        Ok(Prepared { runner: Box::new(linked), compile })
    }
}

/// Counts the instructions that a run executes, and fails where it stops with a fault.
pub(super) fn count(bytecode: &[u8], memory: &[u8]) -> Result<u64, String> {
    let mut linked = Linked::new(bytecode)?;
    linked.memory = Memory::new(memory);
    let outcome = linked.once();
    outcome.result.map_err(|fault| fault.to_string())?;
    Ok(outcome.executed)
}

/// There is nothing around a program.
struct Nothing;

impl Platform for Nothing {
    fn map(&self, _: MapRef) -> Option<MapIndex> {
        None
    }

    fn maps(&self) -> &[MapShape] {
        &[]
    }

    fn helper(&self, _: u32) -> HelperLink {
        HelperLink::Refused(None)
    }
}

impl World<'_> for Nothing {}

struct Linked {
    program: Program,
    stack: Stack,
    memory: Memory,
}

impl Linked {
    fn new(bytecode: &[u8]) -> Result<Linked, String> {
        let slots = raw::from_bytes(bytecode, ByteOrder::Little).map_err(|error| error.to_string())?;
        let program = Program::new(&slots, &Nothing, Rules::default()).map_err(|error| error.to_string())?;
        let stack = Stack::new().map_err(|error| error.to_string())?;
        Ok(Linked { program, stack, memory: Memory::new(&[]) })
    }

    fn once(&mut self) -> Outcome {
        let entry = Entry::Memory(Bytes::from_mut(self.memory.bytes_mut()));
        skep_exact::run(&self.program, &Nothing, &self.stack, entry, &Fuel::new(Fuel::UNLIMITED))
    }
}

impl Runner for Linked {
    fn run(&mut self, times: u64) -> Result<u64, String> {
        let mut result = 0;
        for _ in 0..times {
            result = self.once().result.map_err(|fault| fault.to_string())?;
        }
        Ok(result)
    }

    fn memory(&self) -> Result<Vec<u8>, String> {
        Ok(self.memory.bytes().to_vec())
    }
}
