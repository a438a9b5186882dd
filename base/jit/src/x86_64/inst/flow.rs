//! Jumps and calls through registers and memory, the stack, and what does nothing or traps.
//!
//! Jumps and calls to labels are the [`Assembler`](crate::x86_64::Assembler)'s, since their length depends on the distance.

use super::operand::Rm;
use super::reg::Gpr;
use super::{Imm, Inst, Opcode};

/// The forms of nothing that Intel recommends, by length (Intel SDM vol. 2, NOP, "Recommended multi-byte sequence").
const NOPS: [(u128, u8); 9] = [
    (0x90, 1),
    (0x90_66, 2),
    (0x00_1f_0f, 3),
    (0x00_40_1f_0f, 4),
    (0x00_00_44_1f_0f, 5),
    (0x00_00_44_1f_0f_66, 6),
    (0x00_00_00_00_80_1f_0f, 7),
    (0x00_00_00_00_00_84_1f_0f, 8),
    (0x00_00_00_00_00_84_1f_0f_66, 9),
];

impl Inst {
    /// Jumps to the address in a register or in eight bytes of memory.
    #[inline(always)]
    pub fn jmp_to(target: impl Into<Rm>) -> Inst {
        Opcode::one(0xff).ext_rm(4, target.into(), Imm::NONE)
    }

    /// Calls the address in a register or in eight bytes of memory.
    #[inline(always)]
    pub fn call_to(target: impl Into<Rm>) -> Inst {
        Opcode::one(0xff).ext_rm(2, target.into(), Imm::NONE)
    }

    /// Returns to the caller.
    #[inline(always)]
    pub const fn ret() -> Inst {
        Inst::fixed(0xc3, 1)
    }

    /// Pushes eight bytes.
    #[inline(always)]
    pub fn push(src: Gpr) -> Inst {
        Opcode::one(0x50).plus(src, Imm::NONE)
    }

    /// Pushes eight bytes of a number, sign-extended.
    #[inline(always)]
    pub fn push_imm(imm: i32) -> Inst {
        match i8::try_from(imm) {
            Ok(short) => Opcode::one(0x6a).head(0).finish(Imm::byte(short as u8)),
            Err(_) => Opcode::one(0x68).head(0).finish(Imm::four(imm)),
        }
    }

    /// Pops eight bytes.
    #[inline(always)]
    pub fn pop(dst: Gpr) -> Inst {
        Opcode::one(0x58).plus(dst, Imm::NONE)
    }

    /// Does `rsp = rbp; pop rbp`.
    #[inline(always)]
    pub const fn leave() -> Inst {
        Inst::fixed(0xc9, 1)
    }

    /// Traps to a debugger.
    #[inline(always)]
    pub const fn int3() -> Inst {
        Inst::fixed(0xcc, 1)
    }

    /// Traps as an invalid instruction: for places that are never reached.
    #[inline(always)]
    pub const fn ud2() -> Inst {
        Inst::fixed(0x0b_0f, 2)
    }

    /// Marks a place that indirect jumps and calls may reach where control-flow enforcement is on.
    #[inline(always)]
    pub const fn endbr64() -> Inst {
        Inst::fixed(0xfa_1e_0f_f3, 4)
    }

    /// Does nothing with as many bytes as asked, nine at most; the instruction says how many it took, and of nothing it takes one.
    #[inline(always)]
    pub const fn nop(bytes: usize) -> Inst {
        let at = match bytes {
            0 => 0,
            1..=9 => bytes - 1,
            _ => 8,
        };
        let (bits, len) = NOPS[at];
        Inst { bits, len, label_at: 0 }
    }
}
