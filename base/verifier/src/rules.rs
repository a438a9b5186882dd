//! What single instructions must keep to, wherever they stand.

use crate::linux;
use crate::rejection::{Rejection, Rule, no_memory, words};
use crate::subject::{Reference, Subject};
use core::fmt;
use skep_abi::FuncId;
use skep_isa::{AluOp, Insn, InsnIdx, Operand, Reg, Width};
use skep_model::platform::HelperRefusal;
use skep_model::platform::prog::{ClassicLoads, Prog};
use skep_model::platform::version::Version;

/// What is wrong with an instruction that control comes to.
pub(crate) enum Fault {
    /// Linux refuses it.
    Broken(Rejection),
    /// It is right in Linux, and not modelled here.
    Unmodelled(alloc::string::String),
}

/// Refuses an instruction that the platform does not have, reached or not (`resolve_pseudo_ldimm64`, which looks at every slot).
///
/// # Errors
///
/// Names the version that brought it, if any did.
pub(crate) fn known(subject: &Subject<'_>, at: InsnIdx, insn: Insn) -> Result<(), Rejection> {
    let row = insn.op().row();
    let Some(since) = row.since else {
        return Err(Rule::Instruction
            .broken(at, format_args!("`{insn}` is not an instruction of Linux"))
            .says(format_args!("unknown opcode {:02x}", insn.encode().first().code)));
    };
    if Version::new(since.major, since.minor) > subject.platform.version {
        let version = subject.platform.version;
        return Err(Rule::Instruction
            .broken(at, format_args!("`{insn}` needs Linux {since}, this is {version}"))
            .says(format_args!("unknown opcode {:02x}", insn.encode().first().code)));
    }
    Ok(())
}

/// Refuses a reference to nothing, reached or not (`resolve_pseudo_ldimm64`, `add_kfunc_call`).
///
/// # Errors
///
/// Names the instruction.
pub(crate) fn refers(subject: &Subject<'_>, at: InsnIdx, insn: Insn) -> Result<(), Rejection> {
    let (rule, reference) = match insn {
        Insn::LoadAddr { addr: skep_isa::Addr::Code { .. }, .. } => return Ok(()),
        Insn::LoadAddr { addr: addr @ skep_isa::Addr::Variable { .. }, .. } => {
            (Rule::Variable, subject.references.address(at, addr))
        }
        Insn::LoadAddr { addr, .. } => (Rule::Reference, subject.references.address(at, addr)),
        Insn::CallKfunc { btf_id, .. } => (Rule::Kfunc, subject.references.kfunc(at, btf_id)),
        _ => return Ok(()),
    };
    match reference {
        Reference::Map(_) | Reference::Kernel => Ok(()),
        Reference::Missing => Err(linux::broken_reference(
            rule.broken(at, format_args!("`{insn}` refers to nothing that is there")),
            insn,
        )),
    }
}

/// Finds what is wrong with an instruction if control comes to it (`do_check` and what it calls).
pub(crate) fn fault(subject: &Subject<'_>, prog: &Prog, at: InsnIdx, insn: Insn) -> Option<Fault> {
    let broken = |rule: Rule, message: fmt::Arguments<'_>| Some(Fault::Broken(rule.broken(at, message)));
    // A call's results are not written to r10, and nothing else that it changes is.
    if !insn.is_call() && insn.writes().contains(Reg::FP) {
        return broken(
            Rule::FramePointer,
            format_args!("`{insn}` writes r10, the frame pointer, which is read only"),
        );
    }
    match insn {
        Insn::Alu {
            op: AluOp::Div | AluOp::Mod | AluOp::Sdiv | AluOp::Smod, src: Operand::Imm(0), ..
        } => broken(Rule::Divisor, format_args!("`{insn}` divides by zero")),
        Insn::Alu { width, op: AluOp::Lsh | AluOp::Rsh | AluOp::Arsh, src: Operand::Imm(by), .. } => {
            let bits = match width {
                Width::W32 => 32,
                Width::W64 => 64,
            };
            if (0..bits).contains(&by) {
                return None;
            }
            broken(Rule::Shift, format_args!("`{insn}` wants to shift by 0 to {}, found {by}", bits - 1))
        }
        Insn::LoadAbs { .. } | Insn::LoadInd { .. } if prog.classic_loads == ClassicLoads::Refused => broken(
            Rule::ClassicLoad,
            format_args!("`{insn}` wants a socket buffer, which a program of type {} has not", prog.kind),
        ),
        Insn::CallHelper { id } => {
            match subject.platform.call(FuncId(id), subject.kind, subject.licence).err()? {
                refusal @ HelperRefusal::NotModelled(_) => Some(match words(format_args!("{refusal}")) {
                    Some(message) => Fault::Unmodelled(message),
                    None => Fault::Broken(no_memory()),
                }),
                refusal => broken(Rule::Helper, format_args!("{refusal}")),
            }
        }
        _ => None,
    }
}
