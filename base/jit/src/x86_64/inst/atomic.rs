//! What other processors see as one step.

use super::alu::{imm_to_mem, to_mem};
use super::kinds::{LockAlu, Size, SizedImm};
use super::operand::Mem;
use super::reg::Gpr;
use super::{Inst, Opcode};

impl Inst {
    /// Does `mem = mem op src`, atomically.
    #[inline(always)]
    pub fn lock_alu(op: LockAlu, size: Size, mem: Mem, src: Gpr) -> Inst {
        to_mem(Opcode::one((op as u8) << 3).lock(), size, mem, src)
    }

    /// Does `mem = mem op imm`, atomically.
    #[inline(always)]
    pub fn lock_alu_imm(op: LockAlu, mem: Mem, imm: SizedImm) -> Inst {
        imm_to_mem(Opcode::one(0x80).lock(), op as u8, mem, imm)
    }

    /// Adds `reg` to `mem` and leaves the old value in `reg`, atomically. One and two bytes leave the rest of `reg`.
    #[inline(always)]
    pub fn lock_xadd(size: Size, mem: Mem, reg: Gpr) -> Inst {
        to_mem(Opcode::two(0xc0).lock(), size, mem, reg)
    }

    /// Exchanges `mem` and `reg`, atomically: with memory this needs no prefix. One and two bytes leave the rest of `reg`.
    #[inline(always)]
    pub fn xchg(size: Size, mem: Mem, reg: Gpr) -> Inst {
        to_mem(Opcode::one(0x86), size, mem, reg)
    }

    /// Does `mem = new` if `mem` equals `rax`, and else `rax = mem`, atomically; the zero flag says which.
    ///
    /// Of four bytes, whoever needs the upper half of `rax` to be zero clears it: only the load does so by itself.
    #[inline(always)]
    pub fn lock_cmpxchg(size: Size, mem: Mem, new: Gpr) -> Inst {
        to_mem(Opcode::two(0xb0).lock(), size, mem, new)
    }

    /// Lets no load or store pass.
    #[inline(always)]
    pub const fn mfence() -> Inst {
        Inst::fixed(0xf0_ae_0f, 3)
    }

    /// Lets nothing behind it begin, not even by speculation, before all loads ahead of it are done.
    #[inline(always)]
    pub const fn lfence() -> Inst {
        Inst::fixed(0xe8_ae_0f, 3)
    }
}
