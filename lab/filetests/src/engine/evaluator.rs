//! The evaluator of the compiler's SSA form: what a program comes to as it is built, and after each pass.

use super::compiled::not_here;
use super::{Ending, Ran, Refusal};
use crate::helpers::{MIX, mix};
use crate::{Case, Input};
use skep_ir::machine::Machine;
use skep_ir::ssa::Unit;
use skep_ir::ssa::eval::{MAX_DEPTH, StopKind, World, eval};
use skep_ir::{Access, Options, Region, Source, build, passes};
use skep_isa::{Program as Bytecode, Size, structure};

/// Where the input is.
const INPUT: u64 = 0x10_0000;
/// Where the stacks end; that of the function that is entered is the highest.
const STACKS: u64 = 0x70_0000;

/// Evaluates a case, compiled for a machine.
#[derive(Clone, Copy, Debug)]
pub struct Evaluator(pub Machine);

impl Evaluator {
    /// Evaluates a case as it is built, and again after each pass, which must come to the same.
    ///
    /// # Errors
    /// Which pass has changed what.
    pub fn run_all(&self, case: &Case, access: Access) -> Result<Ran, String> {
        let Input::Memory(bytes) = &case.input else { return Ok(not_here()) };
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
        let source = Source {
            program: &bytecode,
            structure: &structure,
            link: &super::compiled::Alone { context: None },
        };
        let options = Options { access, register_calls: case.register_calls, ..Options::default() };
        let mut unit = match build::build(source, &options) {
            Ok(unit) => unit,
            Err(error) => return refused(error.at.0, error.kind.to_string()),
        };
        let ran = |unit: &Unit| Memory::new(bytes, options.stack_bytes).run(unit, case.fuel);
        let first = ran(&unit);
        let mut wrong = None;
        let watch = |pass: &'static str, unit: &Unit| {
            let after = ran(unit);
            if after != first && wrong.is_none() {
                wrong = Some(format!(
                    "evaluates to something else after {pass}: {first:?}, then {after:?}\n{unit}"
                ));
            }
        };
        passes::run_watched(&mut unit, &self.0, &options, watch).map_err(|error| error.to_string())?;
        match wrong {
            Some(wrong) => Err(wrong),
            None => Ok(first),
        }
    }
}

/// The memory of one evaluation.
struct Memory {
    input: Vec<u8>,
    stacks: Vec<u8>,
    stack_bytes: u64,
}

impl Memory {
    fn new(input: &[u8], stack_bytes: u32) -> Memory {
        let stacks = vec![0; MAX_DEPTH * stack_bytes as usize];
        Memory { input: input.to_vec(), stacks, stack_bytes: u64::from(stack_bytes) }
    }

    fn run(mut self, unit: &Unit, units: u64) -> Ran {
        let args = [INPUT, self.input.len() as u64, 0, 0, 0];
        let mut fuel = units;
        let ending = match eval(unit, &mut self, args, &mut fuel) {
            Ok(number) => Ending::Returned(number, self.input),
            Err(stop) => {
                let kind = match stop.kind {
                    StopKind::Check | StopKind::Memory => "out_of_bounds",
                    StopKind::Fuel => "fuel",
                    StopKind::Depth => "call_depth",
                    StopKind::Helper => "unknown_helper",
                };
                Ending::Stopped(stop.at.0, kind.to_owned(), String::new())
            }
        };
        // What is left where there was too little is the engines' own.
        let charged = matches!(ending, Ending::Returned(..)).then(|| units - fuel);
        Ran { ending, charged }
    }

    /// Returns the bytes from an address on, where so many are there.
    fn bytes(&mut self, address: u64, bytes: u64, region: Region) -> Option<&mut [u8]> {
        let lowest = STACKS - self.stacks.len() as u64;
        let (base, memory) = match region {
            Region::Stack => (lowest, &mut self.stacks),
            Region::Unknown if address >= lowest => (lowest, &mut self.stacks),
            _ => (INPUT, &mut self.input),
        };
        let from = usize::try_from(address.checked_sub(base)?).ok()?;
        memory.get_mut(from..from.checked_add(bytes as usize)?)
    }
}

impl World for Memory {
    fn frame(&mut self, depth: usize) -> u64 {
        STACKS - depth as u64 * self.stack_bytes
    }

    fn check(&mut self, address: u64, bytes: u32, _: bool, region: Region) -> bool {
        self.bytes(address, u64::from(bytes), region).is_some()
    }

    fn load(&mut self, address: u64, size: Size) -> Option<u64> {
        let bytes = self.bytes(address, u64::from(size.bytes()), Region::Unknown)?;
        let mut number = [0; 8];
        let range = if cfg!(target_endian = "little") { 0..bytes.len() } else { 8 - bytes.len()..8 };
        number[range].copy_from_slice(bytes);
        Some(u64::from_ne_bytes(number))
    }

    fn store(&mut self, address: u64, size: Size, value: u64) -> Option<()> {
        let bytes = self.bytes(address, u64::from(size.bytes()), Region::Unknown)?;
        let number = value.to_ne_bytes();
        let range = if cfg!(target_endian = "little") { 0..bytes.len() } else { 8 - bytes.len()..8 };
        bytes.copy_from_slice(&number[range]);
        Some(())
    }

    fn helper(&mut self, id: u32, args: [u64; 5]) -> Option<u64> {
        // The others want more of a run than there is.
        (id == MIX).then(|| mix(&args))
    }
}
