//! Shifts and rotations that every processor has.

use super::kinds::{Shift, Width};
use super::operand::Rm;
use super::reg::Gpr;
use super::{Imm, Inst, OPERAND_16, Opcode};

impl Inst {
    /// Shifts or rotates by a number, of which the processor takes the low five bits, or six at 64.
    #[inline(always)]
    pub fn shift_imm(op: Shift, width: Width, operand: impl Into<Rm>, count: u8) -> Inst {
        by_imm(Opcode::one(0xc1).width(width), op, operand.into(), count)
    }

    /// Shifts or rotates by `cl`, of which the processor takes the low five bits, or six at 64.
    #[inline(always)]
    pub fn shift_cl(op: Shift, width: Width, operand: impl Into<Rm>) -> Inst {
        Opcode::one(0xd3).width(width).ext_rm(op as u8, operand.into(), Imm::NONE)
    }

    /// Rotates the low two bytes left; by eight it swaps them. The upper six bytes stay.
    #[inline(always)]
    pub fn rol16(dst: Gpr, count: u8) -> Inst {
        by_imm(Opcode::one(0xc1).prefix(OPERAND_16), Shift::Rol, Rm::Reg(dst), count)
    }
}

#[inline(always)]
fn by_imm(op: Opcode, shift: Shift, operand: Rm, count: u8) -> Inst {
    match count {
        // By one there is a form without immediate, 0xd1.
        1 => Opcode { code: op.code | 0x10, ..op }.ext_rm(shift as u8, operand, Imm::NONE),
        _ => op.ext_rm(shift as u8, operand, Imm::byte(count)),
    }
}
