//! What Linux says before it follows a program.

use crate::rejection::Rejection;
use skep_isa::structure::StructureErrorKind;
use skep_isa::{Addr, DecodeErrorKind, Field, Insn, InsnIdx, RawInsn};

/// What is said of a slot that does not decode (`resolve_pseudo_ldimm64`, `do_check_insn`).
pub(crate) fn undecodable(rejection: Rejection, kind: &DecodeErrorKind, slot: RawInsn) -> Rejection {
    let code = slot.code;
    match kind {
        DecodeErrorKind::UnknownOpcode { .. } | DecodeErrorKind::Internal { .. } => {
            rejection.says(format_args!("unknown opcode {code:02x}"))
        }
        DecodeErrorKind::UnknownRegister { found, .. } => rejection.says(format_args!("R{found} is invalid")),
        DecodeErrorKind::HalfWide => rejection.says(format_args!("invalid bpf_ld_imm64 insn")),
        DecodeErrorKind::UnusedField { field, .. } if code == 0x18 && *field != Field::Off => {
            rejection.says(format_args!("invalid bpf_ld_imm64 insn"))
        }
        DecodeErrorKind::UnusedField { .. } => {
            rejection.says(format_args!("{} uses reserved fields", family(code)))
        }
        _ => rejection,
    }
}

/// The instruction that such a field is reserved of.
const fn family(code: u8) -> &'static str {
    match (code & 7, code & 0xf0) {
        (4 | 7, 0x80) => "BPF_NEG",
        (4 | 7, 0xd0) => "BPF_END",
        (4 | 7, 0xb0) => "BPF_MOV",
        (4 | 7, _) => "BPF_ALU",
        (5, 0x00) => "BPF_JA",
        (5, 0x80) => "BPF_CALL",
        (5, 0x90) => "BPF_EXIT",
        (5 | 6, _) => "BPF_JMP/JMP32",
        (0, 0x10) => "BPF_LD_IMM64",
        (0, _) => "BPF_LD_[ABS|IND]",
        (1, _) => "BPF_LDX",
        (2, _) => "BPF_ST",
        _ => "BPF_STX",
    }
}

/// What is said of jumps and ends (`check_subprogs`, `check_cfg`).
pub(crate) fn unstructured(rejection: Rejection, at: InsnIdx, kind: &StructureErrorKind) -> Rejection {
    match kind {
        StructureErrorKind::JumpOutOfRange { target, .. } => {
            rejection.says(format_args!("jump out of range from insn {at} to {target}"))
        }
        StructureErrorKind::JumpOutOfSubprogram { target, .. } => {
            rejection.says(format_args!("jump out of range from insn {at} to {target}"))
        }
        StructureErrorKind::JumpIntoWide { target } => rejection
            .says(format_args!("jump into the middle of ldimm64 insn {}", target.0.saturating_sub(1))),
        StructureErrorKind::CallOutOfRange { .. } | StructureErrorKind::CallIntoWide { .. } => {
            rejection.says(format_args!("call to invalid destination"))
        }
        StructureErrorKind::FallsThrough { .. } => {
            rejection.says(format_args!("last insn is not an exit or jmp"))
        }
        _ => rejection,
    }
}

/// What is said of what is not there (`resolve_pseudo_ldimm64`, `__check_pseudo_btf_id`, `fixup_kfunc_call`).
pub(crate) fn broken_reference(rejection: Rejection, insn: Insn) -> Rejection {
    match insn {
        Insn::LoadAddr { addr: Addr::MapFd { fd } | Addr::MapValueFd { fd, .. }, .. } => {
            rejection.says(format_args!("fd {fd} is not pointing to valid bpf_map"))
        }
        Insn::CallKfunc { btf_id: 0, .. } => {
            rejection.says(format_args!("invalid kernel function call not eliminated in verifier pass"))
        }
        _ => rejection,
    }
}
