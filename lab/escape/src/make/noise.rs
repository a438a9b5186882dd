//! Any bytecode: slots of any opcode, with any fields, until they hang together.

use super::is_whole;
use crate::helpers;
use crate::layout::Layout;
use skep_isa::{Insn, Operand, Program, RawInsn, Reg, Width};
use skep_lab_filetests::generate::Numbers;
use std::sync::OnceLock;

/// Is the opcode of a wide load.
const WIDE: u8 = 0x18;

/// Lists opcodes that are instructions with some fields.
fn codes() -> &'static [u8] {
    static CODES: OnceLock<Vec<u8>> = OnceLock::new();
    CODES.get_or_init(|| {
        let offs = [0, 1, 8];
        let imms = [0, 1, 16, 32, 64, 0xe1, 0xf1, 0x100, 0x110];
        let decodes = |code: &u8| {
            *code == WIDE
                || offs.iter().any(|off| {
                    imms.iter().any(|imm| {
                        let slots = [RawInsn::new(*code, 1, 0, *off, *imm), RawInsn::default()];
                        Program::decode(&slots[..1]).is_ok()
                    })
                })
        };
        (0..=255).filter(decodes).collect()
    })
}

/// Gives an opcode.
pub(super) fn code(n: &mut Numbers) -> u8 {
    n.pick(codes())
}

fn slot(n: &mut Numbers, borders: &[u64], left: i16) -> Vec<RawInsn> {
    let imms = [0, 1, 8, 16, 32, 64, 0x01, 0x41, 0x51, 0xa1, 0xe1, 0xf1, 0x100, 0x110, -1];
    loop {
        let code = code(n);
        let (dst, src) = (n.below(10) as u8, n.below(11) as u8);
        let jumps = code & 7 == 5 || code & 7 == 6;
        let off = match n.below(4) {
            _ if jumps => n.below(left as u64 + 6) as i16 - 5,
            0 => 0,
            1 => n.edge() as i16,
            _ => n.below(64) as i16 - 32,
        };
        let imm = match n.below(3) {
            0 => n.pick(&imms),
            1 => n.edge() as i32,
            _ => n.below(16) as i32,
        };
        if code == WIDE {
            let word = n.pick(borders).wrapping_add(n.below(17)).wrapping_sub(8);
            return Insn::LoadImm64 { dst: Reg::new(dst).unwrap_or(Reg::R0), value: word }.encode().to_vec();
        }
        let src = if n.once_in(2) { 0 } else { src };
        let slot = match code {
            0x85 => RawInsn::new(code, 0, 0, 0, n.pick(&helpers::ALL) as i32),
            code => RawInsn::new(code, dst, src, off, imm),
        };
        if Program::decode(&[slot]).is_ok_and(|program| program.iter().all(|(_, insn)| runs(insn))) {
            return vec![slot];
        }
    }
}

/// Says whether the compiler takes an instruction at all.
fn runs(insn: Insn) -> bool {
    !insn.writes().contains(Reg::FP)
        && !matches!(
            insn,
            Insn::CallKfunc { .. }
                | Insn::Gotox { .. }
                | Insn::AddrSpaceCast { .. }
                | Insn::LoadAbs { .. }
                | Insn::LoadInd { .. }
        )
}

/// Makes a program.
pub(super) fn slots(n: &mut Numbers, layout: &Layout) -> Vec<RawInsn> {
    let borders = layout.borders();
    let keep =
        Insn::Alu { width: Width::W64, op: skep_isa::AluOp::Mov, dst: Reg::R6, src: Operand::Reg(Reg::R1) };
    for _ in 0..40 {
        let count = 4 + n.below(40) as i16;
        let mut slots = keep.encode().to_vec();
        for at in 0..count {
            slots.extend(slot(n, &borders, count - at));
        }
        slots.extend(Insn::Exit.encode().to_vec());
        if is_whole(&slots) {
            return slots;
        }
    }
    [keep.encode().to_vec(), Insn::Exit.encode().to_vec()].concat()
}
