//! What moves values unchanged, extended or with their bytes swapped.

use super::kinds::{Cond, Flags, Narrow, Size, SizedImm, SwapSize, Width};
use super::operand::{Mem, Rm};
use super::reg::Gpr;
use super::{Imm, Inst, OPERAND_16, Opcode};
use crate::x86_64::features::Movbe;

impl Inst {
    /// Does `dst = src`; 32 bits are zero-extended, also where both are one register.
    #[inline(always)]
    pub fn mov(width: Width, dst: Gpr, src: impl Into<Rm>) -> Inst {
        match src.into() {
            // Two registers: the form that other assemblers choose.
            Rm::Reg(src) => Opcode::one(0x89).width(width).reg_rm(src, Rm::Reg(dst), Imm::NONE),
            src => Opcode::one(0x8b).width(width).reg_rm(dst, src, Imm::NONE),
        }
    }

    /// Does `dst = value` in the shortest form: `xor` of itself if the flags may change, zero-extended or sign-extended four
    /// bytes, eight bytes.
    #[inline(always)]
    pub fn mov_imm(dst: Gpr, value: u64, flags: Flags) -> Inst {
        if value == 0 && flags == Flags::MayChange {
            return Opcode::one(0x31).reg_rm(dst, Rm::Reg(dst), Imm::NONE);
        }
        if u32::try_from(value).is_ok() {
            return Opcode::one(0xb8).plus(dst, Imm::four(value as i32));
        }
        match i32::try_from(value as i64) {
            Ok(short) => Opcode::one(0xc7).width(Width::W64).ext_rm(0, Rm::Reg(dst), Imm::four(short)),
            Err(_) => Opcode::one(0xb8).width(Width::W64).plus(dst, Imm { bits: value, len: 8 }),
        }
    }

    /// Does `dst = src`, the low bytes of it, zero-extended to 64 bits.
    #[inline(always)]
    pub fn mov_zx(size: Size, dst: Gpr, src: impl Into<Rm>) -> Inst {
        let src = src.into();
        match size {
            Size::B1 => Opcode::two(0xb6).byte_rm(src).reg_rm(dst, src, Imm::NONE),
            Size::B2 => Opcode::two(0xb7).reg_rm(dst, src, Imm::NONE),
            Size::B4 => Inst::mov(Width::W32, dst, src),
            Size::B8 => Inst::mov(Width::W64, dst, src),
        }
    }

    /// Does `dst = src`, the low bytes of it, sign-extended to the width.
    #[inline(always)]
    pub fn mov_sx(width: Width, from: Narrow, dst: Gpr, src: impl Into<Rm>) -> Inst {
        let src = src.into();
        match (from, width) {
            (Narrow::B1, _) => Opcode::two(0xbe).width(width).byte_rm(src).reg_rm(dst, src, Imm::NONE),
            (Narrow::B2, _) => Opcode::two(0xbf).width(width).reg_rm(dst, src, Imm::NONE),
            (Narrow::B4, Width::W32) => Inst::mov(width, dst, src),
            (Narrow::B4, Width::W64) => Opcode::one(0x63).width(width).reg_rm(dst, src, Imm::NONE),
        }
    }

    /// Does `mem = src`, the low bytes of it.
    #[inline(always)]
    pub fn store(size: Size, mem: Mem, src: Gpr) -> Inst {
        Opcode::one(0x89).size(size).sized_reg(size, src).reg_rm(src, Rm::Mem(mem), Imm::NONE)
    }

    /// Does `mem = imm`.
    #[inline(always)]
    pub fn store_imm(mem: Mem, imm: SizedImm) -> Inst {
        Opcode::one(0xc7).size(imm.size()).ext_rm(0, Rm::Mem(mem), Imm::sized(imm))
    }

    /// Does `dst = address of mem`; 32 bits are zero-extended.
    #[inline(always)]
    pub fn lea(width: Width, dst: Gpr, mem: Mem) -> Inst {
        Opcode::one(0x8d).width(width).reg_rm(dst, Rm::Mem(mem), Imm::NONE)
    }

    /// Exchanges two registers; 32 bits of both are zero-extended.
    #[inline(always)]
    pub fn swap(width: Width, left: Gpr, right: Gpr) -> Inst {
        // Not the short form with the accumulator: of `eax` with itself that is `nop`, which extends nothing.
        Opcode::one(0x87).width(width).reg_rm(right, Rm::Reg(left), Imm::NONE)
    }

    /// Does `dst = src` if the condition holds. Memory is read in any case, and 32 bits are zero-extended in any case.
    #[inline(always)]
    pub fn cmov(cond: Cond, width: Width, dst: Gpr, src: impl Into<Rm>) -> Inst {
        Opcode::two(0x40 | cond as u8).width(width).reg_rm(dst, src.into(), Imm::NONE)
    }

    /// Sets the low byte of `dst` to one if the condition holds, or else to zero. The other bytes stay.
    #[inline(always)]
    pub fn set(cond: Cond, dst: Gpr) -> Inst {
        Opcode::two(0x90 | cond as u8).byte_reg(dst).ext_rm(0, Rm::Reg(dst), Imm::NONE)
    }

    /// Reverses the bytes of `dst`.
    #[inline(always)]
    pub fn bswap(width: Width, dst: Gpr) -> Inst {
        Opcode::two(0xc8).width(width).plus(dst, Imm::NONE)
    }

    /// Does `dst = mem` with the bytes reversed. Two bytes leave the upper six of `dst` as they are; four are zero-extended.
    #[inline(always)]
    pub fn movbe_load(_: Movbe, size: SwapSize, dst: Gpr, mem: Mem) -> Inst {
        movbe(0xf0, size, dst, mem)
    }

    /// Does `mem = src`, the low bytes of it, with the bytes reversed.
    #[inline(always)]
    pub fn movbe_store(_: Movbe, size: SwapSize, mem: Mem, src: Gpr) -> Inst {
        movbe(0xf1, size, src, mem)
    }
}

#[inline(always)]
fn movbe(code: u8, size: SwapSize, reg: Gpr, mem: Mem) -> Inst {
    let op = Opcode::three(code);
    let op = match size.size() {
        Size::B8 => op.width(Width::W64),
        Size::B2 => op.prefix(OPERAND_16),
        Size::B1 | Size::B4 => op,
    };
    op.reg_rm(reg, Rm::Mem(mem), Imm::NONE)
}
