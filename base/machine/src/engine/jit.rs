//! Machine code.

use super::compiled::{self, Runs};
use super::{Compiled, Refused, each};
use crate::callee::Callee;
use crate::error::Stop;
use crate::machine::MachineCode;
use crate::outside::{CALL_UNITS, MAX_TAIL_CALLS};
use crate::{Program, Setup, SetupErrorKind};
use alloc::vec::Vec;
use skep_ir::join::{self, can_be_joined};
use skep_ir::ops::Code as Ops;
use skep_isa::InsnIdx;
use skep_jit::x86_64::Target;
use skep_mem::{Code, Fuel};
use skep_vm::jit::{CodePiece, JitError, JitOptions, JitProgram, TailCalls, features};
use skep_vm::{Calls, Cpu, Plain, Regions};

/// A program of machine code, in memory that the embedder has lent.
pub(super) type Native<'m> = JitProgram<&'m dyn Code>;

/// Programs of one piece of machine code, each of which goes on in another by a jump.
pub(crate) struct Joined<'m> {
    native: Native<'m>,
    /// Says where the instructions of each program start.
    starts: Vec<InsnIdx>,
    /// Names the main function of each.
    mains: Vec<u32>,
}

impl<'m> Joined<'m> {
    pub(super) fn native(&self) -> &Native<'m> {
        &self.native
    }

    /// Says where a stop is by program.
    pub(super) fn locate(&self, stop: Stop) -> Stop {
        let at = stop.at();
        let program = self.starts.partition_point(|start| *start <= at).saturating_sub(1);
        let start = self.starts.get(program).copied().unwrap_or(InsnIdx::ZERO);
        stop.moved(program, InsnIdx(at.0 - start.0))
    }

    pub(super) fn mains(&self) -> &[u32] {
        &self.mains
    }
}

/// Compiles programs: to one piece of code where one goes on in another, or else to one each.
pub(super) fn compile<'m, S>(
    setup: &Setup<'m, S>,
    programs: &[Program],
) -> Result<Vec<Compiled<'m>>, (usize, Refused)> {
    let target = Target::new(features(), compiled::access(setup), compiled::METERING);
    let codes = each(programs, |program| compiled::compile(setup, program, &target.machine()))?;
    if setup.callees.has_tail_calls() && codes.iter().all(can_be_joined) {
        return joined(setup, &target, &codes).map_err(|refused| (0, refused));
    }
    let mut compiled = Vec::new();
    for (number, code) in codes.iter().enumerate() {
        let fault = |refused| (number, refused);
        compiled.try_reserve(1).map_err(|_| fault((None, SetupErrorKind::OutOfMemory)))?;
        compiled.push(Compiled::Jit(native(setup, &target, code, &[]).map_err(fault)?));
    }
    Ok(compiled)
}

fn joined<'m, S>(setup: &Setup<'m, S>, target: &Target, codes: &[Ops]) -> Result<Vec<Compiled<'m>>, Refused> {
    let no_memory = |_| (None, SetupErrorKind::OutOfMemory);
    let join::Joined { code, starts } = join::join(codes).map_err(|_| (None, SetupErrorKind::Engine))?;
    let is_tail_call = |(id, callee): (u32, &Callee<'m, S>)| matches!(callee, Callee::TailCall).then_some(id);
    let ids: Vec<u32> = setup.callees.iter().filter_map(is_tail_call).collect();
    let native = native(setup, target, &code, &ids)?;
    let mut compiled = Vec::new();
    compiled.try_reserve_exact(codes.len()).map_err(no_memory)?;
    compiled.push(Compiled::Joined(Joined { native, starts, mains: code.entries }));
    compiled.extend(codes.iter().skip(1).map(|_| Compiled::Within));
    Ok(compiled)
}

fn native<'m, S>(
    setup: &Setup<'m, S>,
    target: &Target,
    code: &Ops,
    tail_calls: &[u32],
) -> Result<Native<'m>, Refused> {
    let host = setup.code.ok_or((None, SetupErrorKind::NoCodeMemory))?;
    let plain = |(id, callee): (u32, &Callee<'m, S>)| match callee {
        Callee::Own(helper) => Some(Plain { id, function: helper.as_plain()?, units: CALL_UNITS }),
        _ => None,
    };
    let plain: Vec<Plain> = setup.callees.iter().filter_map(plain).collect();
    let tail_calls = TailCalls { ids: tail_calls, most: MAX_TAIL_CALLS };
    let options = JitOptions { plain: &plain, tail_calls, ..JitOptions::from(setup.stack_bytes) };
    let made = match setup.promise {
        Some(promise) => JitProgram::promised(code, target, options, host, promise),
        None => JitProgram::checked(code, target, options, host),
    };
    made.map_err(|error| match error {
        JitError::NoCodeMemory => (None, SetupErrorKind::NoCodeMemory),
        _ => (None, SetupErrorKind::Engine),
    })
}

/// Lists the code of a program, or of several by their main functions.
pub(super) fn code<'n>(
    native: &'n Native<'_>,
    number: usize,
    mains: Option<&'n [u32]>,
) -> impl Iterator<Item = MachineCode> + use<'n> {
    native.pieces().map(move |CodePiece { function, address, len }| {
        let place = function.zip(mains).map(|(function, mains)| {
            let program = mains.partition_point(|main| *main <= function).saturating_sub(1);
            (program, Some(function - mains.get(program).copied().unwrap_or(0)))
        });
        let (program, function) = place.unwrap_or((number, function));
        MachineCode { program, function, address, len }
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
    ) -> Result<u64, skep_vm::Stop> {
        JitProgram::run(self, cpu, regions, args, fuel, calls)
    }
}
