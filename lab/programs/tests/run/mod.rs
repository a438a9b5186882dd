//! Runs bytecode on the reference machine.

use skep_exact::{Entry, Fuel, HelperLink, MapRef, MapShape, Platform, Program, Rules, Stack, World};
use skep_isa::{ByteOrder, raw};
use skep_mem::{Block, MapIndex};

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

/// What came of a run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) result: u64,
    pub(crate) executed: u64,
}

/// Runs bytecode on a memory.
pub(crate) fn run(bytecode: &[u8], memory: &mut [u8]) -> Result<Ran, String> {
    let slots = raw::from_bytes(bytecode, ByteOrder::Little).map_err(|error| error.to_string())?;
    let program = Program::new(&slots, &Nothing, Rules::default()).map_err(|error| error.to_string())?;
    let stack = Stack::new().map_err(|error| error.to_string())?;
    let block = Block::copy_of(memory).map_err(|error| error.to_string())?;
    let fuel = Fuel::new(10_000_000);
    let outcome = skep_exact::run(&program, &Nothing, &stack, Entry::Memory(block.bytes()), &fuel);
    block.bytes().copy_out(0, memory).map_err(|error| error.to_string())?;
    let executed = outcome.executed;
    outcome.result.map(|result| Ran { result, executed }).map_err(|fault| fault.to_string())
}
