//! Machine code.

use super::Refused;
use super::compiled::{self, Runs};
use crate::{Program, Setup, SetupErrorKind};
use skep_jit::x86_64::Target;
use skep_mem::{Code, Fuel};
use skep_vm::jit::{JitError, JitProgram, features};
use skep_vm::{Calls, Cpu, Regions, Stop};

/// A program of machine code, in memory that the embedder has lent.
pub(super) type Native<'m> = JitProgram<&'m dyn Code>;

pub(super) fn compile<'m, S>(setup: &Setup<'m, S>, program: &Program) -> Result<Native<'m>, Refused> {
    let host = setup.code.ok_or((None, SetupErrorKind::NoCodeMemory))?;
    let target = Target::new(features(), compiled::access(setup), compiled::METERING);
    let code = compiled::compile(setup, program, &target.machine())?;
    let made = match setup.promise {
        Some(promise) => JitProgram::promised(&code, &target, setup.stack_bytes, host, promise),
        None => JitProgram::checked(&code, &target, setup.stack_bytes, host),
    };
    made.map_err(|error| match error {
        JitError::NoCodeMemory => (None, SetupErrorKind::NoCodeMemory),
        _ => (None, SetupErrorKind::Engine),
    })
}

impl Runs for Native<'_> {
    fn run<'m>(
        &self,
        cpu: &mut Cpu,
        regions: &mut Regions<'m>,
        args: [u64; 5],
        fuel: &Fuel,
        calls: &dyn Calls<'m>,
    ) -> Result<u64, Stop> {
        JitProgram::run(self, cpu, regions, args, fuel, calls)
    }
}
