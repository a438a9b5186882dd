//! Machine code.

use super::Refused;
use super::compiled::{self, Runs};
use crate::callee::Callee;
use crate::machine::MachineCode;
use crate::outside::CALL_UNITS;
use crate::{Program, Setup, SetupErrorKind};
use alloc::vec::Vec;
use skep_jit::x86_64::Target;
use skep_mem::{Code, Fuel};
use skep_vm::jit::{CodePiece, JitError, JitOptions, JitProgram, features};
use skep_vm::{Calls, Cpu, Plain, Regions, Stop};

/// A program of machine code, in memory that the embedder has lent.
pub(super) type Native<'m> = JitProgram<&'m dyn Code>;

pub(super) fn compile<'m, S>(setup: &Setup<'m, S>, program: &Program) -> Result<Native<'m>, Refused> {
    let host = setup.code.ok_or((None, SetupErrorKind::NoCodeMemory))?;
    let target = Target::new(features(), compiled::access(setup), compiled::METERING);
    let code = compiled::compile(setup, program, &target.machine())?;
    let plain = |(id, callee): (u32, &Callee<'m, S>)| match callee {
        Callee::Own(helper) => Some(Plain { id, function: helper.as_plain()?, units: CALL_UNITS }),
        _ => None,
    };
    let plain: Vec<Plain> = setup.callees.iter().filter_map(plain).collect();
    let options = JitOptions { stack_bytes: setup.stack_bytes, plain: &plain };
    let made = match setup.promise {
        Some(promise) => JitProgram::promised(&code, &target, options, host, promise),
        None => JitProgram::checked(&code, &target, options, host),
    };
    made.map_err(|error| match error {
        JitError::NoCodeMemory => (None, SetupErrorKind::NoCodeMemory),
        _ => (None, SetupErrorKind::Engine),
    })
}

/// Lists the code of a program.
pub(super) fn code<'n>(
    program: &'n Native<'_>,
    number: usize,
) -> impl Iterator<Item = MachineCode> + use<'n> {
    program.pieces().map(move |CodePiece { function, address, len }| MachineCode {
        program: number,
        function,
        address,
        len,
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
