//! One bit of a register, and counting bits.

use super::kinds::{Bit, Width};
use super::operand::Rm;
use super::reg::Gpr;
use super::{Imm, Inst, Opcode};
use crate::x86_64::features::{Bmi1, Lzcnt, Popcnt};

impl Inst {
    /// Works on one bit by number, of which the processor takes the low five bits, or six at 64.
    #[inline(always)]
    pub fn bit_imm(op: Bit, width: Width, operand: impl Into<Rm>, bit: u8) -> Inst {
        Opcode::two(0xba).width(width).ext_rm(op as u8, operand.into(), Imm::byte(bit))
    }

    /// Works on the bit of `dst` whose number is in `bit`, of which the processor takes the low five bits, or six at 64.
    #[inline(always)]
    pub fn bit(op: Bit, width: Width, dst: Gpr, bit: Gpr) -> Inst {
        // Of memory the register would select a byte far outside the operand, so there is no such form here.
        Opcode::two(0x83 | (op as u8) << 3).width(width).reg_rm(bit, Rm::Reg(dst), Imm::NONE)
    }

    /// Counts the bits of `src` that are set.
    #[inline(always)]
    pub fn popcnt(_: Popcnt, width: Width, dst: Gpr, src: impl Into<Rm>) -> Inst {
        count(0xb8, width, dst, src.into())
    }

    /// Counts the zeros below the lowest set bit of `src`; the width if there is none.
    #[inline(always)]
    pub fn tzcnt(_: Bmi1, width: Width, dst: Gpr, src: impl Into<Rm>) -> Inst {
        count(0xbc, width, dst, src.into())
    }

    /// Counts the zeros above the highest set bit of `src`; the width if there is none.
    #[inline(always)]
    pub fn lzcnt(_: Lzcnt, width: Width, dst: Gpr, src: impl Into<Rm>) -> Inst {
        count(0xbd, width, dst, src.into())
    }
}

#[inline(always)]
fn count(code: u8, width: Width, dst: Gpr, src: Rm) -> Inst {
    Opcode::two(code).prefix(0xf3).width(width).reg_rm(dst, src, Imm::NONE)
}
