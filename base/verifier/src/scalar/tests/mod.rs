//! All of the domain, asked on numbers of few bits with every member, and on numbers of 64 bits with some.

extern crate std;

mod kernel;
mod model;
mod narrow;
mod parts;
mod wide;

use skep_isa::{AluOp, Cond, Width};

pub(super) const OPS: [AluOp; 14] = [
    AluOp::Add,
    AluOp::Sub,
    AluOp::Mul,
    AluOp::Div,
    AluOp::Sdiv,
    AluOp::Or,
    AluOp::And,
    AluOp::Lsh,
    AluOp::Rsh,
    AluOp::Mod,
    AluOp::Smod,
    AluOp::Xor,
    AluOp::Mov,
    AluOp::Arsh,
];

pub(super) const CONDS: [Cond; 11] = [
    Cond::Eq,
    Cond::Gt,
    Cond::Ge,
    Cond::Set,
    Cond::Ne,
    Cond::Sgt,
    Cond::Sge,
    Cond::Lt,
    Cond::Le,
    Cond::Slt,
    Cond::Sle,
];

pub(super) const WIDTHS: [Width; 2] = [Width::W64, Width::W32];

/// A small generator of numbers, the same everywhere (xorshift64*).
pub(super) struct Noise(u64);

impl Noise {
    pub(super) fn new(seed: u64) -> Noise {
        Noise(seed | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end
    }

    pub(super) fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// All bits of a number of `width`.
pub(super) const fn mask(width: u32) -> u64 {
    u64::MAX >> (64 - width)
}

/// Reads a number of `width` bits as signed.
pub(super) const fn signed(width: u32, value: u64) -> i128 {
    let value = (value & mask(width)) as i128;
    if value >> (width - 1) == 1 { value - (1 << width) } else { value }
}

/// Computes `a op b` on numbers of `width` bits: RFC 9669 §4.1, on integers.
pub(super) fn compute(op: AluOp, width: u32, a: u64, b: u64) -> u64 {
    let (a, b) = (a & mask(width), b & mask(width));
    let (ua, ub) = (u128::from(a), u128::from(b));
    let (sa, sb) = (signed(width, a), signed(width, b));
    let by = ub % u128::from(width);
    let result = match op {
        AluOp::Add => ua + ub,
        AluOp::Sub => (1 << width) + ua - ub,
        AluOp::Mul => ua * ub,
        AluOp::Div | AluOp::Sdiv if b == 0 => 0,
        AluOp::Mod | AluOp::Smod if b == 0 => ua,
        AluOp::Div => ua / ub,
        AluOp::Mod => ua % ub,
        AluOp::Sdiv => (sa / sb) as u128,
        AluOp::Smod => (sa % sb) as u128,
        AluOp::Or => ua | ub,
        AluOp::And => ua & ub,
        AluOp::Xor => ua ^ ub,
        AluOp::Lsh => ua << by,
        AluOp::Rsh => ua >> by,
        AluOp::Arsh => (sa >> by) as u128,
        AluOp::Mov => ub,
    };
    result as u64 & mask(width)
}

/// Tells whether `a cond b` holds on numbers of `width` bits: RFC 9669 §4.3.
pub(super) fn compare(cond: Cond, width: u32, a: u64, b: u64) -> bool {
    let (a, b) = (a & mask(width), b & mask(width));
    let (sa, sb) = (signed(width, a), signed(width, b));
    match cond {
        Cond::Eq => a == b,
        Cond::Ne => a != b,
        Cond::Set => a & b != 0,
        Cond::Gt => a > b,
        Cond::Ge => a >= b,
        Cond::Lt => a < b,
        Cond::Le => a <= b,
        Cond::Sgt => sa > sb,
        Cond::Sge => sa >= sb,
        Cond::Slt => sa < sb,
        Cond::Sle => sa <= sb,
    }
}
