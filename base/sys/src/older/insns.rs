//! Which instructions and helpers a version of Linux knows.
//!
//! Only what an instruction is made of is looked at, each by itself: what a version can prove, and where it finds loops,
//! is not played.

use super::{Hidden, Insns, Older};
use crate::older::KernelVersion;
use alloc::format;
use alloc::string::String;
use skep_abi::Errno;
use skep_abi::flags::*;

/// Why a program is refused, and what the version's verifier says of it.
pub(super) struct Refusal {
    pub(super) errno: Errno,
    pub(super) log: String,
}

/// The first version that knows instructions of a kind.
#[rustfmt::skip]
pub(super) const INSNS: &[(Insns, KernelVersion)] = &[
    (Insns::JumpLess, KernelVersion::new(4, 14)),
    (Insns::FunctionCall, KernelVersion::new(4, 16)),
    (Insns::Jump32, KernelVersion::new(5, 1)),
    (Insns::MapValue, KernelVersion::new(5, 2)),
    (Insns::Many, KernelVersion::new(5, 2)),
    (Insns::KernelVariable, KernelVersion::new(5, 10)),
    (Insns::Atomic, KernelVersion::new(5, 12)),
    (Insns::KernelCall, KernelVersion::new(5, 13)),
    (Insns::FunctionAddress, KernelVersion::new(5, 13)),
    (Insns::MapByIndex, KernelVersion::new(5, 14)),
    (Insns::Version4, KernelVersion::new(6, 6)),
];

/// The last helper of each version that brought some (`enum bpf_func_id`, include/uapi/linux/bpf.h).
#[rustfmt::skip]
const HELPERS: &[(u32, KernelVersion)] = &[
    (3, KernelVersion::new(3, 19)), (11, KernelVersion::new(4, 1)), (16, KernelVersion::new(4, 2)),
    (22, KernelVersion::new(4, 3)), (25, KernelVersion::new(4, 4)), (26, KernelVersion::new(4, 5)),
    (30, KernelVersion::new(4, 6)), (36, KernelVersion::new(4, 8)), (41, KernelVersion::new(4, 9)),
    (44, KernelVersion::new(4, 10)), (45, KernelVersion::new(4, 11)), (47, KernelVersion::new(4, 12)),
    (50, KernelVersion::new(4, 13)), (53, KernelVersion::new(4, 14)), (57, KernelVersion::new(4, 15)),
    (59, KernelVersion::new(4, 16)), (64, KernelVersion::new(4, 17)), (80, KernelVersion::new(4, 18)),
    (83, KernelVersion::new(4, 19)), (90, KernelVersion::new(4, 20)), (92, KernelVersion::new(5, 0)),
    (98, KernelVersion::new(5, 1)), (108, KernelVersion::new(5, 2)), (109, KernelVersion::new(5, 3)),
    (110, KernelVersion::new(5, 4)), (115, KernelVersion::new(5, 5)), (118, KernelVersion::new(5, 6)),
    (124, KernelVersion::new(5, 7)), (135, KernelVersion::new(5, 8)), (141, KernelVersion::new(5, 9)),
    (155, KernelVersion::new(5, 10)), (162, KernelVersion::new(5, 11)), (163, KernelVersion::new(5, 12)),
    (165, KernelVersion::new(5, 13)), (168, KernelVersion::new(5, 14)), (175, KernelVersion::new(5, 15)),
    (179, KernelVersion::new(5, 16)), (185, KernelVersion::new(5, 17)), (193, KernelVersion::new(5, 18)),
    (203, KernelVersion::new(5, 19)), (207, KernelVersion::new(6, 0)), (209, KernelVersion::new(6, 1)),
    (211, KernelVersion::new(6, 2)),
];

/// Tells since when Linux has a helper; `None` where the table does not know it.
pub(super) fn helper_since(id: u32) -> Option<KernelVersion> {
    HELPERS.iter().find(|(last, _)| id != 0 && id <= *last).map(|(_, since)| *since)
}

/// The most instructions before `BPF_COMPLEXITY_LIMIT_INSNS` was the limit (`BPF_MAXINSNS`).
const MAX_INSNS: usize = 4096;

/// Refuses a program with an instruction that the kernel does not know.
pub(super) fn check(older: &Older, insns: &[u8]) -> Result<(), Refusal> {
    if insns.len() / 8 > MAX_INSNS && older.hides_insns(Insns::Many) {
        return Err(Refusal { errno: Errno::E2BIG, log: String::new() });
    }
    let mut at = 0;
    let mut slots = insns.chunks_exact(8);
    while let Some(slot) = slots.next() {
        let src = if cfg!(target_endian = "big") { slot[1] & 0xf } else { slot[1] >> 4 };
        let off = i16::from_ne_bytes([slot[2], slot[3]]);
        let imm = u32::from_ne_bytes([slot[4], slot[5], slot[6], slot[7]]);
        let refuse = |log| Err(Refusal { errno: Errno::EINVAL, log });
        if let Some(kind) = kind(slot[0], src, off, imm) {
            if older.hides_insns(kind) {
                return refuse(format!(
                    "{at}: ({:02x}) unknown opcode\nunknown opcode {:02x}\n",
                    slot[0], slot[0]
                ));
            }
        }
        if slot[0] == CALL && src == 0 && older.hides_helper(imm) {
            return refuse(format!("{at}: (85) call unknown#{imm}\ninvalid func unknown#{imm}\n"));
        }
        at += 1;
        if slot[0] == LOAD_IMM64 {
            slots.next();
            at += 1;
        }
    }
    Ok(())
}

/// The opcode of a call, and of a 64-bit load of an immediate (RFC 9669 §4.3 and §5.4).
const CALL: u8 = 0x85;
const LOAD_IMM64: u8 = 0x18;

/// Tells which kind an instruction is of; `None` for those that all versions know.
fn kind(code: u8, src: u8, off: i16, imm: u32) -> Option<Insns> {
    // Classes and the operation's upper half byte (RFC 9669 §3).
    let (class, op) = (code & 0x07, code & 0xf0);
    match (class, op) {
        (0x00, 0x10) if code == LOAD_IMM64 => match src {
            BPF_PSEUDO_MAP_VALUE => Some(Insns::MapValue),
            BPF_PSEUDO_BTF_ID => Some(Insns::KernelVariable),
            BPF_PSEUDO_FUNC => Some(Insns::FunctionAddress),
            BPF_PSEUDO_MAP_IDX | BPF_PSEUDO_MAP_IDX_VALUE => Some(Insns::MapByIndex),
            _ => None,
        },
        // Loads that extend the sign have a mode of their own.
        (0x01, _) if code & 0xe0 == 0x80 => Some(Insns::Version4),
        // Of atomic operations, the addition that fetches nothing is as old as the instruction set.
        (0x03, _) if code & 0xe0 == 0xc0 && imm != 0 => Some(Insns::Atomic),
        (0x05, 0x80) if src == BPF_PSEUDO_CALL => Some(Insns::FunctionCall),
        (0x05, 0x80) if src == BPF_PSEUDO_KFUNC_CALL => Some(Insns::KernelCall),
        (0x05, 0xa0..=0xd0) => Some(Insns::JumpLess),
        (0x06, 0x00) => Some(Insns::Version4),
        (0x06, _) => Some(Insns::Jump32),
        // Signed division and remainder, moves that extend the sign, unconditional swaps of bytes.
        (0x04 | 0x07, 0x30 | 0x90 | 0xb0) if off != 0 => Some(Insns::Version4),
        (0x07, 0xd0) => Some(Insns::Version4),
        _ => None,
    }
}

impl Older {
    fn hides_insns(&self, kind: Insns) -> bool {
        let is_newer = INSNS.iter().any(|(row, since)| *row == kind && *since > self.version);
        is_newer || self.hidden.contains(&Hidden::Insns(kind))
    }

    fn hides_helper(&self, id: u32) -> bool {
        helper_since(id).is_some_and(|since| since > self.version)
            || self.hidden.contains(&Hidden::Helper(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_apart() {
        for (code, src, off, imm, wanted) in [
            (0x18, 0, 0, 0, None),
            (0x18, 1, 0, 0, None),
            (0x18, 2, 0, 0, Some(Insns::MapValue)),
            (0x85, 0, 0, 113, None),
            (0x85, 1, 0, 0, Some(Insns::FunctionCall)),
            (0xa5, 0, 1, 0, Some(Insns::JumpLess)),
            (0x95, 0, 0, 0, None),
            (0xa6, 0, 1, 0, Some(Insns::Jump32)),
            (0x06, 0, 0, 0, Some(Insns::Version4)),
            (0xdb, 1, 0, 0, None),
            (0xdb, 1, 0, 1, Some(Insns::Atomic)),
            (0x79, 1, 0, 0, None),
            (0x99, 1, 0, 0, Some(Insns::Version4)),
            (0x81, 1, 0, 0, Some(Insns::Version4)),
            (0xbf, 1, 0, 0, None),
            (0xbf, 1, 32, 0, Some(Insns::Version4)),
            (0xd4, 0, 0, 16, None),
            (0xd7, 0, 0, 16, Some(Insns::Version4)),
        ] {
            assert_eq!(kind(code, src, off, imm), wanted, "{code:#x} {src} {off} {imm}");
        }
    }

    #[test]
    fn helpers_come_in_the_order_of_their_numbers() {
        assert!(HELPERS.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1));
        assert_eq!(helper_since(113), Some(KernelVersion::new(5, 5)));
        assert_eq!((helper_since(0), helper_since(212)), (None, None));
    }
}
