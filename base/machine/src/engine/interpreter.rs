//! The interpreter: operations in a loop.

use super::Refused;
use super::compiled::{self, Runs};
use crate::{Program, Setup, SetupErrorKind};
use skep_ir::machine::Machine as Target;
use skep_mem::Fuel;
use skep_vm::{Calls, Cpu, ProgramError, Regions, Stop};

pub(super) fn compile<S>(setup: &Setup<'_, S>, program: &Program) -> Result<skep_vm::Program, Refused> {
    let code = compiled::compile(setup, program, &Target::INTERPRETER)?;
    let made = match setup.promise {
        Some(promise) => skep_vm::Program::promised(&code, setup.stack_bytes, promise),
        None => skep_vm::Program::checked(&code, setup.stack_bytes),
    };
    made.map_err(|error| match error {
        ProgramError::OutOfMemory => (None, SetupErrorKind::OutOfMemory),
        ProgramError::Unchecked { at } => (Some(at), SetupErrorKind::Engine),
        _ => (None, SetupErrorKind::Engine),
    })
}

impl Runs for skep_vm::Program {
    fn run<'m>(
        &self,
        cpu: &mut Cpu,
        regions: &mut Regions<'m>,
        args: [u64; 5],
        fuel: &Fuel,
        calls: &dyn Calls<'m>,
    ) -> Result<u64, Stop> {
        skep_vm::Program::run(self, cpu, regions, args, fuel, calls)
    }
}
