//! BMI1 and BMI2: three operands, no flags changed by shifts.

use super::kinds::{ShiftX, Width};
use super::operand::Rm;
use super::reg::Gpr;
use super::{Head, Imm, Inst};
use crate::x86_64::features::{Bmi1, Bmi2};

/// The opcode table that a VEX prefix names.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Map {
    /// 0F 38.
    M38 = 2,
    /// 0F 3A.
    M3a = 3,
}

/// The legacy prefix that a VEX prefix stands for; `ShiftX` holds the same numbers.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Pp {
    None = 0,
    F2 = 3,
}

/// What an instruction is apart from its operands.
#[derive(Clone, Copy)]
struct Vex {
    map: Map,
    pp: u8,
    code: u8,
}

const RORX: Vex = Vex { map: Map::M3a, pp: Pp::F2 as u8, code: 0xf0 };
const ANDN: Vex = Vex { map: Map::M38, pp: Pp::None as u8, code: 0xf2 };
const BZHI: Vex = Vex { map: Map::M38, pp: Pp::None as u8, code: 0xf5 };
const BEXTR: Vex = Vex { map: Map::M38, pp: Pp::None as u8, code: 0xf7 };

impl Inst {
    /// Does `dst = src shifted by count`, of which the processor takes the low five bits, or six at 64.
    #[inline(always)]
    pub fn shift_x(_: Bmi2, op: ShiftX, width: Width, dst: Gpr, src: impl Into<Rm>, count: Gpr) -> Inst {
        Vex { map: Map::M38, pp: op as u8, code: 0xf7 }.encode(width, dst, count, src.into(), Imm::NONE)
    }

    /// Does `dst = src rotated right by count`, of which the processor takes the low five bits, or six at 64.
    #[inline(always)]
    pub fn rorx(_: Bmi2, width: Width, dst: Gpr, src: impl Into<Rm>, count: u8) -> Inst {
        // The operand that is not used is written as register 0, which stands inverted in the prefix.
        RORX.encode(width, dst, Gpr::Rax, src.into(), Imm::byte(count))
    }

    /// Does `dst = src` without the bits from the number in `count`'s low byte upwards.
    #[inline(always)]
    pub fn bzhi(_: Bmi2, width: Width, dst: Gpr, src: impl Into<Rm>, count: Gpr) -> Inst {
        BZHI.encode(width, dst, count, src.into(), Imm::NONE)
    }

    /// Does `dst = !inverted & src`.
    #[inline(always)]
    pub fn andn(_: Bmi1, width: Width, dst: Gpr, inverted: Gpr, src: impl Into<Rm>) -> Inst {
        ANDN.encode(width, dst, inverted, src.into(), Imm::NONE)
    }

    /// Does `dst = the field of src` whose lowest bit is in `control`'s first byte and whose width is in its second.
    #[inline(always)]
    pub fn bextr(_: Bmi1, width: Width, dst: Gpr, src: impl Into<Rm>, control: Gpr) -> Inst {
        BEXTR.encode(width, dst, control, src.into(), Imm::NONE)
    }
}

impl Vex {
    /// Encodes with the three-byte prefix: these opcode tables have no shorter one (Intel SDM vol. 2, §2.3.5).
    #[inline(always)]
    fn encode(self, width: Width, reg: Gpr, third: Gpr, rm: Rm, imm: Imm) -> Inst {
        let place = rm.place();
        // All four register bits stand inverted: R, X and B above the table, the third operand between W and pp.
        let extensions = reg.high() << 2 | place.rex;
        let second = !extensions << 5 | self.map as u8;
        let w = width.rex() << 4;
        let last = w | (!third.number() & 0xf) << 3 | self.pp;
        Head::new().push(u32::from_le_bytes([0xc4, second, last, self.code]), 4).operand(
            reg.low(),
            place,
            imm,
        )
    }
}
