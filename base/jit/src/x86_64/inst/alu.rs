//! Arithmetic and logic: the eight operations of two operands, `test`, multiplication, division, negation.

use super::kinds::{Alu, Size, SizedImm, Unary, Width};
use super::operand::{Mem, Rm};
use super::reg::Gpr;
use super::{Imm, Inst, Opcode};

impl Inst {
    /// Does `dst = dst op src`.
    #[inline(always)]
    pub fn alu(op: Alu, width: Width, dst: Gpr, src: impl Into<Rm>) -> Inst {
        match src.into() {
            // Two registers: the form that other assemblers choose.
            Rm::Reg(src) => {
                Opcode::one((op as u8) << 3 | 1).width(width).reg_rm(src, Rm::Reg(dst), Imm::NONE)
            }
            src => Opcode::one((op as u8) << 3 | 3).width(width).reg_rm(dst, src, Imm::NONE),
        }
    }

    /// Does `dst = dst op imm`, the immediate being sign-extended to the width.
    #[inline(always)]
    pub fn alu_imm(op: Alu, width: Width, dst: Gpr, imm: i32) -> Inst {
        match (i8::try_from(imm), dst) {
            (Ok(short), _) => {
                Opcode::one(0x83).width(width).ext_rm(op as u8, Rm::Reg(dst), Imm::byte(short as u8))
            }
            // The accumulator has a form without ModRM.
            (_, Gpr::Rax) => Opcode::one((op as u8) << 3 | 5).width(width).head(0).finish(Imm::four(imm)),
            _ => Opcode::one(0x81).width(width).ext_rm(op as u8, Rm::Reg(dst), Imm::four(imm)),
        }
    }

    /// Does `mem = mem op src`, on as many bytes as said.
    #[inline(always)]
    pub fn alu_to_mem(op: Alu, size: Size, mem: Mem, src: Gpr) -> Inst {
        to_mem(Opcode::one((op as u8) << 3), size, mem, src)
    }

    /// Does `mem = mem op imm`.
    #[inline(always)]
    pub fn alu_imm_to_mem(op: Alu, mem: Mem, imm: SizedImm) -> Inst {
        imm_to_mem(Opcode::one(0x80), op as u8, mem, imm)
    }

    /// Sets the flags of `left & right`.
    #[inline(always)]
    pub fn test(width: Width, left: impl Into<Rm>, right: Gpr) -> Inst {
        Opcode::one(0x85).width(width).reg_rm(right, left.into(), Imm::NONE)
    }

    /// Sets the flags of `left & imm`, the immediate being sign-extended to the width.
    #[inline(always)]
    pub fn test_imm(width: Width, left: Gpr, imm: i32) -> Inst {
        match left {
            Gpr::Rax => Opcode::one(0xa9).width(width).head(0).finish(Imm::four(imm)),
            _ => Opcode::one(0xf7).width(width).ext_rm(0, Rm::Reg(left), Imm::four(imm)),
        }
    }

    /// Sets the flags of the low byte of `left & imm`: three bytes shorter than [`test_imm`](Inst::test_imm).
    #[inline(always)]
    pub fn test_imm_byte(left: Gpr, imm: u8) -> Inst {
        match left {
            Gpr::Rax => Opcode::one(0xa8).head(0).finish(Imm::byte(imm)),
            _ => Opcode::one(0xf6).byte_reg(left).ext_rm(0, Rm::Reg(left), Imm::byte(imm)),
        }
    }

    /// Sets the flags of `mem & imm`.
    #[inline(always)]
    pub fn test_mem_imm(mem: Mem, imm: SizedImm) -> Inst {
        Opcode::one(0xf6).size(imm.size()).ext_rm(0, Rm::Mem(mem), Imm::sized(imm))
    }

    /// Does what [`Unary`] says with one operand.
    #[inline(always)]
    pub fn unary(op: Unary, width: Width, operand: impl Into<Rm>) -> Inst {
        Opcode::one(0xf7).width(width).ext_rm(op as u8, operand.into(), Imm::NONE)
    }

    /// Does `dst = dst * src`.
    #[inline(always)]
    pub fn imul(width: Width, dst: Gpr, src: impl Into<Rm>) -> Inst {
        Opcode::two(0xaf).width(width).reg_rm(dst, src.into(), Imm::NONE)
    }

    /// Does `dst = src * imm`, the immediate being sign-extended to the width.
    #[inline(always)]
    pub fn imul_imm(width: Width, dst: Gpr, src: impl Into<Rm>, imm: i32) -> Inst {
        match i8::try_from(imm) {
            Ok(short) => Opcode::one(0x6b).width(width).reg_rm(dst, src.into(), Imm::byte(short as u8)),
            Err(_) => Opcode::one(0x69).width(width).reg_rm(dst, src.into(), Imm::four(imm)),
        }
    }

    /// Fills `rdx` with the sign of `rax`, before a division: `cdq`, `cqo`.
    #[inline(always)]
    pub fn sign_to_rdx(width: Width) -> Inst {
        Opcode::one(0x99).width(width).head(0).finish(Imm::NONE)
    }
}

/// Encodes `mem = mem op reg` for an opcode that is even.
#[inline(always)]
pub(super) fn to_mem(op: Opcode, size: Size, mem: Mem, src: Gpr) -> Inst {
    op.size(size).sized_reg(size, src).reg_rm(src, Rm::Mem(mem), Imm::NONE)
}

/// Encodes `mem = mem op imm` for 0x80, which has a form with a sign-extended byte, 0x83.
#[inline(always)]
pub(super) fn imm_to_mem(op: Opcode, extension: u8, mem: Mem, imm: SizedImm) -> Inst {
    let op = op.size(imm.size());
    match (imm, i8::try_from(imm.value())) {
        (SizedImm::B1(_), _) | (_, Err(_)) => op.ext_rm(extension, Rm::Mem(mem), Imm::sized(imm)),
        (_, Ok(short)) => {
            Opcode { code: op.code | 2, ..op }.ext_rm(extension, Rm::Mem(mem), Imm::byte(short as u8))
        }
    }
}
