//! One instruction, encoded.
//!
//! [`Inst`] has a constructor for each form; the files here are the families. Every constructor is a pure function: the same
//! arguments give the same bytes, and all arguments give an instruction (Intel SDM vol. 2 has the formats).

mod alu;
mod atomic;
mod bits;
mod flow;
mod kinds;
mod mov;
mod operand;
mod reg;
mod shift;
mod vex;

pub use kinds::{
    Alu, Bit, Cond, Flags, LockAlu, Narrow, Shift, ShiftX, Size, SizedImm, SwapSize, Unary, Width,
};
pub use operand::{Mem, Rm, Scale};
pub use reg::{Gpr, Index};

use core::fmt;
use operand::Target;

/// Holds one encoded instruction, 1–15 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Inst {
    /// The bytes, the first one lowest, zero beyond the length.
    bits: u128,
    len: u8,
    /// Where the four bytes are that hold a label's number until the distance is known; zero where there are none.
    label_at: u8,
}

impl Inst {
    /// Returns the instruction's bytes in an array, of which the first [`len`](Inst::len) count.
    ///
    /// Where an operand is a label, its four bytes are not yet what will run: the [`Assembler`](super::Assembler) fills them.
    #[inline]
    pub const fn bytes(&self) -> [u8; 16] {
        self.bits.to_le_bytes()
    }

    /// Counts the instruction's bytes.
    #[inline]
    #[allow(clippy::len_without_is_empty)]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Returns where the label's number is, if there is one, and the number.
    #[inline(always)]
    pub(super) const fn label(&self) -> Option<(u8, u32)> {
        match self.label_at {
            0 => None,
            at => Some((at, (self.bits >> (8 * at as u32)) as u32)),
        }
    }

    /// Encodes an instruction that is the same bytes always.
    #[inline]
    pub(super) const fn fixed(bits: u64, len: u8) -> Inst {
        Inst { bits: bits as u128, len, label_at: 0 }
    }
}

impl fmt::Debug for Inst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inst(")?;
        for (at, byte) in self.bytes()[..self.len()].iter().enumerate() {
            write!(f, "{}{byte:02x}", if at == 0 { "" } else { " " })?;
        }
        f.write_str(")")
    }
}

/// The bytes of an instruction before its displacement: prefixes, opcode, ModRM, SIB. There are at most seven.
#[derive(Clone, Copy)]
struct Head {
    bits: u64,
    len: u8,
}

impl Head {
    #[inline(always)]
    const fn new() -> Self {
        Head { bits: 0, len: 0 }
    }

    /// Appends the low `len` bytes of `bits`, whose other bytes are zero.
    #[inline(always)]
    const fn push(self, bits: u32, len: u8) -> Self {
        Head { bits: self.bits | (bits as u64) << (8 * self.len), len: self.len + len }
    }

    /// Appends a byte that is left out if it is zero.
    #[inline(always)]
    const fn push_some(self, byte: u8) -> Self {
        self.push(byte as u32, (byte != 0) as u8)
    }

    /// Joins the head with displacement and immediate.
    #[inline(always)]
    const fn finish(self, tail: Imm) -> Inst {
        let bits = self.bits as u128 | (tail.bits as u128) << (8 * self.len);
        Inst { bits, len: self.len + tail.len, label_at: 0 }
    }

    /// Appends ModRM with the `reg` bits, SIB and displacement of the other operand, and the immediate.
    #[inline(always)]
    fn operand(self, reg: u8, place: operand::Place, imm: Imm) -> Inst {
        let head = self.push(u32::from(place.modrm | u16::from((reg & 7) << 3)), place.modrm_len);
        let tail = Imm {
            bits: u64::from(place.disp) | imm.bits << (8 * place.disp_len),
            len: place.disp_len + imm.len,
        };
        let label_at = if place.target == Target::Label { head.len } else { 0 };
        Inst { label_at, ..head.finish(tail) }
    }
}

/// An immediate: bits beyond its length are zero.
#[derive(Clone, Copy)]
struct Imm {
    bits: u64,
    len: u8,
}

impl Imm {
    const NONE: Imm = Imm { bits: 0, len: 0 };

    #[inline(always)]
    const fn byte(value: u8) -> Imm {
        Imm { bits: value as u64, len: 1 }
    }

    #[inline(always)]
    const fn four(value: i32) -> Imm {
        Imm { bits: value as u32 as u64, len: 4 }
    }

    /// Writes an immediate with the length that an operand of its size takes.
    #[inline(always)]
    const fn sized(value: SizedImm) -> Imm {
        match value {
            SizedImm::B1(value) => Imm::byte(value as u8),
            SizedImm::B2(value) => Imm { bits: value as u16 as u64, len: 2 },
            SizedImm::B4(value) | SizedImm::B8(value) => Imm::four(value),
        }
    }
}

/// What stands before ModRM, but for the bits of REX that the operands decide.
#[derive(Clone, Copy)]
struct Opcode {
    /// 0xf0 or none.
    lock: u8,
    /// 0x66, 0xf2, 0xf3 or none.
    prefix: u8,
    /// REX.W, or [`FORCED`], or nothing.
    rex: u8,
    /// The bytes after REX, the first one lowest.
    code: u32,
    len: u8,
}

/// Asks for a REX prefix that has no bit set: it makes 4–7 mean `spl`, `bpl`, `sil`, `dil` where it is a byte's register.
const FORCED: u8 = 0x40;
/// The prefix that makes 32-bit instructions 16-bit ones.
const OPERAND_16: u8 = 0x66;

impl Opcode {
    /// An opcode of the first table.
    #[inline(always)]
    const fn one(code: u8) -> Opcode {
        Opcode { lock: 0, prefix: 0, rex: 0, code: code as u32, len: 1 }
    }

    /// An opcode of the table behind 0F.
    #[inline(always)]
    const fn two(code: u8) -> Opcode {
        Opcode { lock: 0, prefix: 0, rex: 0, code: 0x0f | (code as u32) << 8, len: 2 }
    }

    /// An opcode of the table behind 0F 38.
    #[inline(always)]
    const fn three(code: u8) -> Opcode {
        Opcode { lock: 0, prefix: 0, rex: 0, code: 0x38_0f | (code as u32) << 16, len: 3 }
    }

    #[inline(always)]
    const fn width(self, width: Width) -> Opcode {
        Opcode { rex: self.rex | width.rex(), ..self }
    }

    /// Makes an opcode whose lowest bit means "not a byte" one of this size.
    #[inline(always)]
    const fn size(self, size: Size) -> Opcode {
        // The opcode's last byte is the one with the bit.
        let wide = 1 << (8 * (self.len - 1));
        match size {
            Size::B1 => Opcode { code: self.code & !wide, ..self },
            Size::B2 => Opcode { prefix: OPERAND_16, code: self.code | wide, ..self },
            Size::B4 => Opcode { code: self.code | wide, ..self },
            Size::B8 => Opcode { rex: self.rex | Width::W64.rex(), code: self.code | wide, ..self },
        }
    }

    #[inline(always)]
    const fn prefix(self, prefix: u8) -> Opcode {
        Opcode { prefix, ..self }
    }

    #[inline(always)]
    const fn lock(self) -> Opcode {
        Opcode { lock: 0xf0, ..self }
    }

    /// Forces a REX prefix if the register is to be read or written as a byte and is one that needs it.
    #[inline(always)]
    const fn byte_reg(self, reg: Gpr) -> Opcode {
        if reg as u8 & 0xc == 4 { Opcode { rex: self.rex | FORCED, ..self } } else { self }
    }

    /// The same for a register that is of this size.
    #[inline(always)]
    const fn sized_reg(self, size: Size, reg: Gpr) -> Opcode {
        match size {
            Size::B1 => self.byte_reg(reg),
            _ => self,
        }
    }

    /// The same for an operand that may be a register.
    #[inline(always)]
    const fn byte_rm(self, rm: Rm) -> Opcode {
        match rm {
            Rm::Reg(reg) => self.byte_reg(reg),
            Rm::Mem(_) => self,
        }
    }

    /// Writes prefixes and opcode, `rex` being the operands' bits.
    #[inline(always)]
    const fn head(self, rex: u8) -> Head {
        let rex = self.rex | rex;
        let rex = if rex == 0 { 0 } else { FORCED | rex };
        Head::new().push_some(self.lock).push_some(self.prefix).push_some(rex).push(self.code, self.len)
    }

    /// Encodes with a register and a register or memory.
    #[inline(always)]
    fn reg_rm(self, reg: Gpr, rm: Rm, imm: Imm) -> Inst {
        let place = rm.place();
        self.head(reg.high() << 2 | place.rex).operand(reg.low(), place, imm)
    }

    /// Encodes with a number in place of the register, which extends the opcode.
    #[inline(always)]
    fn ext_rm(self, extension: u8, rm: Rm, imm: Imm) -> Inst {
        let place = rm.place();
        self.head(place.rex).operand(extension, place, imm)
    }

    /// Encodes with a register in the opcode's low bits.
    #[inline(always)]
    const fn plus(self, reg: Gpr, imm: Imm) -> Inst {
        let low = (reg.low() as u32) << (8 * (self.len - 1));
        Opcode { code: self.code | low, ..self }.head(reg.high()).finish(imm)
    }
}
