//! Memory operands, and what ModRM and SIB make of them.
//!
//! Two numbers are taken (Intel SDM vol. 2, §2.1.5 and §2.2.1): in ModRM `rsp`/`r12` means "a SIB byte follows", and
//! `rbp`/`r13` without displacement means "RIP-relative", in SIB "no base". Both cases are decided here and nowhere else.

use super::reg::{Gpr, Index};
use crate::x86_64::asm::Label;

/// Says what an index is multiplied by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Scale {
    /// By one.
    X1 = 0,
    /// By two.
    X2 = 1,
    /// By four.
    X4 = 2,
    /// By eight.
    X8 = 3,
}

impl Scale {
    /// Lists all four.
    pub const ALL: [Scale; 4] = [Scale::X1, Scale::X2, Scale::X4, Scale::X8];

    /// Returns the factor.
    #[inline]
    pub const fn factor(self) -> u32 {
        1 << self as u32
    }
}

/// Names a place in memory. Every value has an encoding, and the shortest displacement is chosen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mem {
    /// `[base + disp]`.
    Base {
        /// Holds an address.
        base: Gpr,
        /// Is added to it.
        disp: i32,
    },
    /// `[base + index * scale + disp]`.
    Indexed {
        /// Holds an address.
        base: Gpr,
        /// Holds a number of elements.
        index: Index,
        /// Is an element's size.
        scale: Scale,
        /// Is added to both.
        disp: i32,
    },
    /// `[index * scale + disp]`: no base, of use to `lea`.
    Scaled {
        /// Holds a number.
        index: Index,
        /// Multiplies it.
        scale: Scale,
        /// Is added to it.
        disp: i32,
    },
    /// `[rip + …]`: code or data of the same assembler.
    Label(Label),
}

impl Mem {
    /// Names `[base + disp]`.
    #[inline]
    pub const fn base(base: Gpr, disp: i32) -> Mem {
        Mem::Base { base, disp }
    }

    /// Names `[base + index * scale + disp]`.
    #[inline]
    pub const fn indexed(base: Gpr, index: Index, scale: Scale, disp: i32) -> Mem {
        Mem::Indexed { base, index, scale, disp }
    }
}

/// Names a register or a place in memory, which most instructions take alike.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Rm {
    /// A register.
    Reg(Gpr),
    /// A place in memory.
    Mem(Mem),
}

impl From<Gpr> for Rm {
    #[inline]
    fn from(reg: Gpr) -> Self {
        Rm::Reg(reg)
    }
}

impl From<Mem> for Rm {
    #[inline]
    fn from(mem: Mem) -> Self {
        Rm::Mem(mem)
    }
}

/// REX.X in its place.
const X: u8 = 2;
/// ModRM with this `rm` is followed by a SIB byte.
const SIB: u8 = 4;
/// As ModRM's `rm` under mode 0: RIP-relative. As SIB's base under mode 0: none. Either way four bytes follow.
const NONE: u8 = 5;

/// How an operand is written: all but the `reg` bits of ModRM.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// REX.X and REX.B in their places.
    pub(super) rex: u8,
    /// ModRM, and SIB above it.
    pub(super) modrm: u16,
    /// One, or two with a SIB byte.
    pub(super) modrm_len: u8,
    /// The displacement; bits beyond its length are zero.
    pub(super) disp: u32,
    /// Zero, one or four.
    pub(super) disp_len: u8,
    /// Whether `disp` is a label's number.
    pub(super) target: Target,
}

/// What a displacement is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Number,
    Label,
}

impl Rm {
    #[inline(always)]
    pub(super) fn place(self) -> Place {
        match self {
            Rm::Reg(reg) => Place {
                rex: reg.high(),
                modrm: u16::from(0xc0 | reg.low()),
                modrm_len: 1,
                disp: 0,
                disp_len: 0,
                target: Target::Number,
            },
            Rm::Mem(mem) => mem.place(),
        }
    }
}

impl Mem {
    #[inline(always)]
    pub(super) fn place(self) -> Place {
        match self {
            Mem::Base { base, disp } => {
                let (mode, disp, disp_len) = displacement(base, disp);
                // `rsp` and `r12` take a SIB byte that says "no index".
                let sib = u16::from(SIB << 3 | SIB);
                let (sib, modrm_len) = if base.low() == SIB { (sib << 8, 2) } else { (0, 1) };
                let modrm = u16::from(mode << 6 | base.low()) | sib;
                Place { rex: base.high(), modrm, modrm_len, disp, disp_len, target: Target::Number }
            }
            Mem::Indexed { base, index, scale, disp } => {
                let (mode, disp, disp_len) = displacement(base, disp);
                let sib = (scale as u8) << 6 | index.reg().low() << 3 | base.low();
                let modrm = u16::from(mode << 6 | SIB) | u16::from(sib) << 8;
                let rex = (index.reg().high() * X) | base.high();
                Place { rex, modrm, modrm_len: 2, disp, disp_len, target: Target::Number }
            }
            Mem::Scaled { index, scale, disp } => {
                let sib = (scale as u8) << 6 | index.reg().low() << 3 | NONE;
                let modrm = u16::from(SIB) | u16::from(sib) << 8;
                let rex = index.reg().high() * X;
                Place { rex, modrm, modrm_len: 2, disp: disp as u32, disp_len: 4, target: Target::Number }
            }
            Mem::Label(label) => Place {
                rex: 0,
                modrm: u16::from(NONE),
                modrm_len: 1,
                disp: label.0,
                disp_len: 4,
                target: Target::Label,
            },
        }
    }
}

/// Returns ModRM's mode, the displacement, and its length.
///
/// Which of the three it is follows no pattern from one instruction to the next, so there is no branch on it.
#[inline(always)]
fn displacement(base: Gpr, disp: i32) -> (u8, u32, u8) {
    let some = disp != 0 || base.low() == NONE;
    let long = disp != i32::from(disp as i8);
    let mode = u8::from(some) + u8::from(long);
    let len = u8::from(some) + 3 * u8::from(long);
    let mask = (1_u64 << (8 * len)) - 1;
    (mode, disp as u32 & mask as u32, len)
}
