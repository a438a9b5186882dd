//! What a program must be, in rbpf's words: the structure check of `skep_isa`, and what rbpf refuses besides.

use crate::ebpf;
use crate::lib::Error;
use skep_isa::structure::StructureErrorKind;
use skep_isa::{ByteOrder, DecodeErrorKind, Field, Insn, InsnIdx, Reg};
use skep_machine::{Program, ProgramError};

fn reject(message: String) -> Error {
    Error::other(format!("[Verifier] Error: {message}"))
}

/// Accepts or refuses a program.
pub(crate) fn check(prog: &[u8]) -> Result<(), Error> {
    let (size, most) = (ebpf::INSN_SIZE, ebpf::PROG_MAX_INSNS);
    if prog.len() % size != 0 {
        return Err(reject(format!("eBPF program length must be a multiple of {size} octets")));
    }
    let count = prog.len() / size;
    if count > most {
        return Err(reject(format!("eBPF program length limited to {most}, here {count}")));
    }
    if count == 0 {
        return Err(reject("no program set, call set_program() to load one".to_owned()));
    }
    let last = ebpf::get_insn(prog, count - 1).opc;
    if last & ebpf::BPF_CLS_MASK != ebpf::BPF_JMP {
        return Err(reject("program does not end with “EXIT” instruction".to_owned()));
    }
    let program = Program::from_bytes(prog, ByteOrder::Little).map_err(|error| reject(words(&error)))?;
    for (at, insn) in program.code().iter() {
        if insn.writes().contains(Reg::FP) {
            return Err(reject(format!("cannot write into register r10 (insn #{at})")));
        }
        if insn.jump_target(at) == Some(at) {
            return Err(reject(format!("infinite loop (insn #{at})")));
        }
        if matches!(insn, Insn::CallKfunc { .. }) {
            return Err(reject(format!("unsupported call type #2 (insn #{at})")));
        }
        if matches!(insn, Insn::CallReg { .. }) {
            return Err(reject(format!("TAIL_CALL is not supported (insn #{at})")));
        }
    }
    Ok(())
}

/// Says in rbpf's words what is wrong with a program.
fn words(error: &ProgramError) -> String {
    let (what, at): (String, InsnIdx) = match error {
        ProgramError::Decode(error) => {
            let what = match error.kind {
                DecodeErrorKind::UnknownVariant { code: ebpf::LE | ebpf::BE, .. } => {
                    "unsupported argument for LE/BE".to_owned()
                }
                DecodeErrorKind::UnknownVariant { code: ebpf::CALL, found, .. } => {
                    format!("unsupported call type #{found}")
                }
                DecodeErrorKind::UnknownOpcode { code } => format!("unknown eBPF opcode {code:#2x}"),
                DecodeErrorKind::UnknownRegister { field: Field::Src, .. } => {
                    "invalid source register".to_owned()
                }
                DecodeErrorKind::UnknownRegister { .. } => "invalid destination register".to_owned(),
                DecodeErrorKind::HalfWide | DecodeErrorKind::UnusedField { field: Field::NextCode, .. } => {
                    "incomplete LD_DW instruction".to_owned()
                }
                kind => kind.to_string(),
            };
            (what, error.at)
        }
        ProgramError::Structure(error) => {
            let what = match error.kind {
                StructureErrorKind::JumpOutOfRange { target, .. } => format!("jump out of code to #{target}"),
                StructureErrorKind::JumpIntoWide { target } => {
                    format!("jump to middle of LD_DW at #{target}")
                }
                StructureErrorKind::CallOutOfRange { target, .. } => format!("call out of code to #{target}"),
                kind => kind.to_string(),
            };
            (what, error.at)
        }
        other => return other.to_string(),
    };
    format!("{what} (insn #{at})")
}
