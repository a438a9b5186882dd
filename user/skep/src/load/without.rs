//! What calls can do without, on kernels that lack something.
//!
//! A call is made whole, unless the kernel is known to lack a part of it. Where it is refused by an answer that may mean so,
//! the kernel is asked for each feature that the call has, and what is missing is left out or replaced; then the call is made
//! again. So a kernel that lacks nothing is asked nothing, and a refusal for another reason stays what it was.

use super::programs::Attempt;
use crate::{Feature, Instead, Kernel, Known, Note};
use skep_abi::flags::BPF_F_MMAPABLE;
use skep_abi::{AttachType, Errno, FuncId, MapCreate, ProgType};
use skep_btf::Feature as BtfFeature;
use skep_btf::core::RawInsn;
use skep_model::platform::sections::{Flags, SECTIONS};

/// A part of a call that has it at all.
pub(super) struct Part<T> {
    feature: Feature,
    instead: Instead,
    is_in: fn(&T) -> bool,
    leave_out: fn(&mut T),
}

/// The answers that may mean that the kernel does not know a part (`CHECK_ATTR` and `bpf_check_uarg_tail_zero`,
/// kernel/bpf/syscall.c; unknown flags, helpers and instructions).
pub(super) fn may_lack(errno: Errno) -> bool {
    matches!(errno, Errno::EINVAL | Errno::E2BIG | Errno::ENOTSUPP | Errno::EOPNOTSUPP)
}

/// What of a kernel counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// What is known already.
    Known,
    /// What it says when it is asked.
    Ask,
}

/// Leaves out of a call what the kernel lacks, and notes it; gives how many parts that were.
///
/// Where the kernel cannot be asked it lacks nothing: the refusal of the call itself is the better thing to tell.
pub(super) fn lighten<T>(
    kernel: &Kernel,
    parts: &[Part<T>],
    call: &mut T,
    look: Look,
    mut note: impl FnMut(Note),
) -> usize {
    let mut count = 0;
    for part in parts {
        let lacks = |feature| match look {
            Look::Known => kernel.known(feature) == Known::Missing,
            Look::Ask => kernel.has(feature).is_ok_and(|has| !has),
        };
        if (part.is_in)(call) && lacks(part.feature) {
            (part.leave_out)(call);
            note(Note::new(part.feature, part.instead));
            count += 1;
        }
    }
    count
}

/// What a map can do without.
pub(super) static MAP: &[Part<MapCreate>] = &[
    Part {
        feature: Feature::ProgName,
        instead: Instead::NoName,
        is_in: |create| create.map_name != [0; 16],
        leave_out: |create| create.map_name = [0; 16],
    },
    Part {
        feature: Feature::Btf,
        instead: Instead::NoTypes,
        is_in: |create| create.btf_fd != 0,
        leave_out: drop_types,
    },
    Part {
        feature: Feature::ArrayMmap,
        instead: Instead::NotMapped,
        is_in: |create| create.map_flags & BPF_F_MMAPABLE != 0,
        leave_out: |create| create.map_flags &= !BPF_F_MMAPABLE,
    },
];

/// Takes the types of key and value away.
pub(super) fn drop_types(create: &mut MapCreate) {
    (create.btf_fd, create.btf_key_type_id, create.btf_value_type_id) = (0, 0, 0);
}

/// What a program can do without.
pub(super) fn program<'o>() -> [Part<Attempt<'o>>; 4] {
    [
        Part {
            feature: Feature::ProgName,
            instead: Instead::NoName,
            is_in: |attempt| attempt.attr.prog_name != [0; 16],
            leave_out: |attempt| attempt.attr.prog_name = [0; 16],
        },
        Part {
            feature: Feature::ExpectedAttachType,
            instead: Instead::NoAttachType,
            is_in: |attempt| attempt.attr.expected_attach_type != 0 && attach_type_is_optional(attempt),
            leave_out: |attempt| attempt.attr.expected_attach_type = 0,
        },
        Part {
            feature: Feature::BtfType(BtfFeature::Func),
            instead: Instead::NoFunctions,
            is_in: |attempt| !attempt.info.functions.is_empty(),
            leave_out: |attempt| attempt.info = Default::default(),
        },
        Part {
            feature: Feature::ProbeReadKernel,
            instead: Instead::ProbeRead,
            is_in: |attempt| attempt.insns.iter().any(|slot| older_read(*slot).is_some()),
            leave_out: |attempt| {
                for slot in attempt.insns.to_mut() {
                    if let Some(older) = older_read(*slot) {
                        slot.imm = older.0 as i32;
                    }
                }
            },
        },
    ]
}

/// Tells whether a kernel that does not know the field takes such programs too (libbpf's `SEC_EXP_ATTACH_OPT`).
fn attach_type_is_optional(attempt: &Attempt<'_>) -> bool {
    let (prog, attach) = (ProgType(attempt.attr.prog_type), AttachType(attempt.attr.expected_attach_type));
    let mut rows = SECTIONS.iter().filter(|row| row.prog == prog && row.attach == attach);
    rows.any(|row| row.flags.has(Flags::OPTIONAL_ATTACH))
}

/// Gives the helper that reads memory of either kind, where a slot calls one that reads memory of one kind.
fn older_read(slot: RawInsn) -> Option<FuncId> {
    const CALL: u8 = 0x85;
    match FuncId(slot.imm as u32) {
        // The source register says whose function it is; 0 is a helper.
        _ if slot.code != CALL || slot.regs != 0 => None,
        FuncId::PROBE_READ_KERNEL | FuncId::PROBE_READ_USER => Some(FuncId::PROBE_READ),
        FuncId::PROBE_READ_KERNEL_STR | FuncId::PROBE_READ_USER_STR => Some(FuncId::PROBE_READ_STR),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_told_from_other_calls() {
        let slot = |code, regs, imm| RawInsn { code, regs, off: 0, imm };
        assert_eq!(older_read(slot(0x85, 0, 113)), Some(FuncId(4)));
        assert_eq!(older_read(slot(0x85, 0, 112)), Some(FuncId(4)));
        assert_eq!(older_read(slot(0x85, 0, 115)), Some(FuncId(45)));
        assert_eq!(older_read(slot(0x85, 0, 114)), Some(FuncId(45)));
        assert_eq!(older_read(slot(0x85, 0, 4)), None);
        // A call of a function of the program, or of the kernel; and no call at all.
        assert_eq!(older_read(slot(0x85, 0x10, 113)), None);
        assert_eq!(older_read(slot(0x85, 0x20, 113)), None);
        assert_eq!(older_read(slot(0xb7, 0, 113)), None);
    }
}
