//! A program's tag: what tells two programs apart whatever maps they use.

use hmac_sha256::Hash;
use skep_abi::TAG_SIZE;
use skep_abi::flags::{BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE};
use skep_isa::{ByteOrder, RawInsn};

/// The opcode of a wide load (`BPF_LD | BPF_IMM | BPF_DW`).
const WIDE: u8 = 0x18;

/// Computes the tag of instructions as they are loaded: the start of their SHA-256, with zero for the numbers of
/// descriptors and what is behind them (`bpf_prog_calc_tag`, kernel/bpf/core.c, since Linux 6.18).
pub(crate) fn tag(insns: &[RawInsn]) -> [u8; TAG_SIZE] {
    let mut hash = Hash::new();
    let mut is_second = false;
    for insn in insns {
        let is_map = !is_second
            && insn.code == WIDE
            && [BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE].contains(&insn.src());
        let has_descriptor =
            is_map || (is_second && *insn == RawInsn { imm: insn.imm, ..RawInsn::default() });
        let imm = if has_descriptor { 0 } else { insn.imm };
        hash.update(RawInsn { imm, ..*insn }.to_bytes(ByteOrder::NATIVE));
        is_second = is_map;
    }
    let mut tag = [0; TAG_SIZE];
    tag.copy_from_slice(&hash.finalize()[..TAG_SIZE]);
    tag
}
