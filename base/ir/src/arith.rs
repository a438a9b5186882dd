//! What pure operations compute: RFC 9669 §4, on plain numbers.
//!
//! Constant folding, the evaluator and the interpreter use this one; the reference machine has its own, on purpose.

use skep_isa::{AluOp, Cond, Endian, LoadKind, Movsx, Size, SwapWidth, Width};

/// Is what a conversion of byte order does on this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ordered {
    /// It swaps.
    Swapped,
    /// It keeps the low bytes.
    Kept(Size),
}

/// Says what a conversion does.
pub(crate) const fn ordered(op: Endian, width: SwapWidth) -> Ordered {
    let is_ours = match op {
        Endian::ToLe => cfg!(target_endian = "little"),
        Endian::ToBe => cfg!(target_endian = "big"),
        Endian::Swap => false,
    };
    match (is_ours, width) {
        (false, _) => Ordered::Swapped,
        (true, SwapWidth::W16) => Ordered::Kept(Size::H),
        (true, SwapWidth::W32) => Ordered::Kept(Size::W),
        (true, SwapWidth::W64) => Ordered::Kept(Size::Dw),
    }
}

/// Computes `a op b` at a width; 32-bit results are zero-extended.
#[inline(always)]
pub fn alu(width: Width, op: AluOp, a: u64, b: u64) -> u64 {
    match width {
        Width::W64 => match op {
            AluOp::Add => a.wrapping_add(b),
            AluOp::Sub => a.wrapping_sub(b),
            AluOp::Mul => a.wrapping_mul(b),
            AluOp::Div => a.checked_div(b).unwrap_or(0),
            AluOp::Sdiv => {
                if b == 0 {
                    0
                } else {
                    (a as i64).wrapping_div(b as i64) as u64
                }
            }
            AluOp::Or => a | b,
            AluOp::And => a & b,
            AluOp::Lsh => a << (b & 63),
            AluOp::Rsh => a >> (b & 63),
            AluOp::Mod => a.checked_rem(b).unwrap_or(a),
            AluOp::Smod => {
                if b == 0 {
                    a
                } else {
                    (a as i64).wrapping_rem(b as i64) as u64
                }
            }
            AluOp::Xor => a ^ b,
            AluOp::Mov => b,
            AluOp::Arsh => ((a as i64) >> (b & 63)) as u64,
        },
        Width::W32 => {
            let (a, b) = (a as u32, b as u32);
            u64::from(match op {
                AluOp::Add => a.wrapping_add(b),
                AluOp::Sub => a.wrapping_sub(b),
                AluOp::Mul => a.wrapping_mul(b),
                AluOp::Div => a.checked_div(b).unwrap_or(0),
                AluOp::Sdiv => {
                    if b == 0 {
                        0
                    } else {
                        (a as i32).wrapping_div(b as i32) as u32
                    }
                }
                AluOp::Or => a | b,
                AluOp::And => a & b,
                AluOp::Lsh => a << (b & 31),
                AluOp::Rsh => a >> (b & 31),
                AluOp::Mod => a.checked_rem(b).unwrap_or(a),
                AluOp::Smod => {
                    if b == 0 {
                        a
                    } else {
                        (a as i32).wrapping_rem(b as i32) as u32
                    }
                }
                AluOp::Xor => a ^ b,
                AluOp::Mov => b,
                AluOp::Arsh => ((a as i32) >> (b & 31)) as u32,
            })
        }
    }
}

/// Tells whether `a cond b` holds at a width.
#[inline(always)]
pub fn compare(width: Width, cond: Cond, a: u64, b: u64) -> bool {
    let (a, b, sa, sb) = match width {
        Width::W64 => (a, b, a as i64, b as i64),
        Width::W32 => (u64::from(a as u32), u64::from(b as u32), i64::from(a as i32), i64::from(b as i32)),
    };
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

/// Negates at a width.
#[inline(always)]
pub fn neg(width: Width, a: u64) -> u64 {
    match width {
        Width::W64 => a.wrapping_neg(),
        Width::W32 => u64::from((a as u32).wrapping_neg()),
    }
}

/// Sign-extends a part of `a`.
#[inline(always)]
pub fn movsx(kind: Movsx, a: u64) -> u64 {
    match kind {
        Movsx::S8To32 => u64::from(a as i8 as u32),
        Movsx::S16To32 => u64::from(a as i16 as u32),
        Movsx::S8To64 => a as i8 as u64,
        Movsx::S16To64 => a as i16 as u64,
        Movsx::S32To64 => a as i32 as u64,
    }
}

/// Swaps the low bytes of `a`; what is above them becomes zero.
#[inline(always)]
pub fn swap(width: SwapWidth, a: u64) -> u64 {
    match width {
        SwapWidth::W16 => u64::from((a as u16).swap_bytes()),
        SwapWidth::W32 => u64::from((a as u32).swap_bytes()),
        SwapWidth::W64 => a.swap_bytes(),
    }
}

/// Rotates left at a width; 32-bit results are zero-extended.
#[inline(always)]
pub fn rotl(width: Width, a: u64, amount: u32) -> u64 {
    match width {
        Width::W64 => a.rotate_left(amount),
        Width::W32 => u64::from((a as u32).rotate_left(amount)),
    }
}

/// Keeps the low bytes of `a` and zeroes the rest.
#[inline(always)]
pub fn truncate(size: Size, a: u64) -> u64 {
    match size {
        Size::B => u64::from(a as u8),
        Size::H => u64::from(a as u16),
        Size::W => u64::from(a as u32),
        Size::Dw => a,
    }
}

/// Extends what a load has read.
#[inline(always)]
pub fn extend(kind: LoadKind, a: u64) -> u64 {
    match kind {
        LoadKind::U8 => u64::from(a as u8),
        LoadKind::U16 => u64::from(a as u16),
        LoadKind::U32 => u64::from(a as u32),
        LoadKind::U64 => a,
        LoadKind::S8 => a as i8 as u64,
        LoadKind::S16 => a as i16 as u64,
        LoadKind::S32 => a as i32 as u64,
    }
}
