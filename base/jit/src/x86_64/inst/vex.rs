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

/// The legacy prefix that a VEX prefix stands for.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Pp {
    None = 0,
    F2 = 3,
}

impl Inst {
    /// Does `dst = src shifted by count`, of which the processor takes the low five bits, or six at 64.
    #[inline(always)]
    pub fn shift_x(_: Bmi2, op: ShiftX, width: Width, dst: Gpr, src: impl Into<Rm>, count: Gpr) -> Inst {
        vex(Map::M38, op as u8, 0xf7, width, dst, count, src.into(), Imm::NONE)
    }

    /// Does `dst = src rotated right by count`, of which the processor takes the low five bits, or six at 64.
    #[inline(always)]
    pub fn rorx(_: Bmi2, width: Width, dst: Gpr, src: impl Into<Rm>, count: u8) -> Inst {
        // The unused operand is written as register 0, which stands inverted in the prefix.
        vex(Map::M3a, Pp::F2 as u8, 0xf0, width, dst, Gpr::Rax, src.into(), Imm::byte(count))
    }

    /// Does `dst = src` without the bits from `count`'s low byte upwards.
    #[inline(always)]
    pub fn bzhi(_: Bmi2, width: Width, dst: Gpr, src: impl Into<Rm>, count: Gpr) -> Inst {
        vex(Map::M38, Pp::None as u8, 0xf5, width, dst, count, src.into(), Imm::NONE)
    }

    /// Does `dst = !inverted & src`.
    #[inline(always)]
    pub fn andn(_: Bmi1, width: Width, dst: Gpr, inverted: Gpr, src: impl Into<Rm>) -> Inst {
        vex(Map::M38, Pp::None as u8, 0xf2, width, dst, inverted, src.into(), Imm::NONE)
    }

    /// Does `dst = the field of src` whose lowest bit is in `control`'s first byte and whose width is in its second.
    #[inline(always)]
    pub fn bextr(_: Bmi1, width: Width, dst: Gpr, src: impl Into<Rm>, control: Gpr) -> Inst {
        vex(Map::M38, Pp::None as u8, 0xf7, width, dst, control, src.into(), Imm::NONE)
    }
}

/// Encodes with the three-byte prefix: these opcode tables have no shorter one (Intel SDM vol. 2, §2.3.5).
#[allow(clippy::too_many_arguments)]
#[inline(always)]
fn vex(map: Map, pp: u8, code: u8, width: Width, reg: Gpr, third: Gpr, rm: Rm, imm: Imm) -> Inst {
    let place = rm.place();
    let extensions = reg.high() << 2 | place.rex;
    let second = !extensions << 5 | map as u8;
    let w = width.rex() << 4;
    let last = w | (!third.number() & 0xf) << 3 | pp;
    let bytes = u32::from_le_bytes([0xc4, second, last, code]);
    Head::new().push(bytes, 4).operand(reg.low(), place, imm)
}
