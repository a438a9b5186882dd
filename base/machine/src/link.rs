//! What is checked before a program is compiled, alike for every engine.

use crate::callee::Callee;
use crate::helper::Param;
use crate::maps;
use crate::setup::RegisterCalls;
use crate::{Program, Setup, SetupErrorKind};
use skep_isa::{Addr, Insn, InsnIdx, Reg};

/// Checks what a machine is made of.
pub(crate) fn check_setup<S>(setup: &Setup<'_, S>) -> Result<(), SetupErrorKind> {
    let found = setup.stack_bytes;
    if found % 8 != 0 || !(8..=0x1_0000).contains(&found) {
        return Err(SetupErrorKind::StackBytes { found });
    }
    if !setup.maps.is_empty() && setup.host.is_none() {
        return Err(SetupErrorKind::NoHost);
    }
    for attached in &setup.maps {
        if attached.map.def().is_write_only_to_programs() {
            return Err(SetupErrorKind::WriteOnlyMap { fd: attached.fd });
        }
    }
    for (id, callee) in setup.callees.iter() {
        if let Callee::Own(helper) = callee {
            check_params(helper.params()).ok_or(SetupErrorKind::Params { id })?;
        }
    }
    Ok(())
}

fn check_params(params: &[Param]) -> Option<()> {
    let has_len = |at: usize| params.get(at + 1) == Some(&Param::Len);
    let fits = |(at, param): (usize, &Param)| !matches!(param, Param::Memory(_)) || has_len(at);
    (params.len() <= 5 && params.iter().enumerate().all(fits)).then_some(())
}

/// Checks that everything that a program names is there, and that nothing is in it that no engine runs.
pub(crate) fn check<S>(
    setup: &Setup<'_, S>,
    program: &Program,
) -> Result<(), (Option<InsnIdx>, SetupErrorKind)> {
    for (at, insn) in program.code().iter() {
        check_insn(setup, program, at, insn).map_err(|kind| (Some(at), kind))?;
    }
    Ok(())
}

fn check_insn<S>(
    setup: &Setup<'_, S>,
    program: &Program,
    at: InsnIdx,
    insn: Insn,
) -> Result<(), SetupErrorKind> {
    if insn.writes().contains(Reg::FP) {
        return Err(SetupErrorKind::FramePointer);
    }
    let unsupported = |what| Err(SetupErrorKind::Unsupported { what });
    match insn {
        Insn::CallHelper { id } => match setup.callees.find(id) {
            None => Err(SetupErrorKind::UnknownHelper { id }),
            Some(Callee::TailCall) if program.functions().first().is_none_or(|main| !main.contains(at)) => {
                Err(SetupErrorKind::TailCall)
            }
            Some(_) => Ok(()),
        },
        Insn::LoadAddr { addr: Addr::Code { .. }, .. } => Ok(()),
        Insn::LoadAddr { addr: Addr::Variable { .. }, .. } => unsupported("a kernel variable"),
        Insn::LoadAddr { addr, .. } => match maps::named(&setup.maps, addr) {
            None => Err(SetupErrorKind::UnknownMap),
            Some((_, None)) => Ok(()),
            Some((map, Some(offset))) => {
                let attached = setup.maps.get(map.0 as usize);
                let value = attached.and_then(|attached| attached.direct());
                let inside = value.is_some_and(|value| (offset as usize) < value.len());
                let fits = attached.is_some_and(|attached| offset < attached.map.def().value_size);
                (inside && fits).then_some(()).ok_or(SetupErrorKind::MapValue { offset })
            }
        },
        Insn::CallReg { .. } if setup.register_calls == RegisterCalls::Refused => {
            unsupported("a call through a register")
        }
        // No engine tells the main function from others by then.
        Insn::CallReg { .. } if setup.callees.has_tail_calls() => {
            unsupported("a call through a register beside tail calls")
        }
        Insn::CallKfunc { .. } => unsupported("a call of a kernel function"),
        Insn::Gotox { .. } => unsupported("a jump through a register"),
        Insn::AddrSpaceCast { .. } => unsupported("a cast between address spaces"),
        Insn::LoadAbs { .. } | Insn::LoadInd { .. } => unsupported("a packet load of classic BPF"),
        _ => Ok(()),
    }
}
