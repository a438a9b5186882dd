//! Arithmetic on plain numbers: RFC 9669 §4, without any idea of what they mean.

use skep_isa::{AluOp, Cond, Endian, LoadKind, Movsx, Size, SwapWidth, Width};

/// Computes `a op b` at a width; 32-bit results are zero-extended.
#[inline(always)]
pub(crate) fn alu(width: Width, op: AluOp, a: u64, b: u64) -> u64 {
    match width {
        Width::W64 => alu64(op, a, b),
        Width::W32 => u64::from(alu32(op, a as u32, b as u32)),
    }
}

fn alu64(op: AluOp, a: u64, b: u64) -> u64 {
    match op {
        AluOp::Add => a.wrapping_add(b),
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Mul => a.wrapping_mul(b),
        AluOp::Div => a.checked_div(b).unwrap_or(0),
        AluOp::Sdiv if b == 0 => 0,
        AluOp::Sdiv => (a as i64).wrapping_div(b as i64) as u64,
        AluOp::Or => a | b,
        AluOp::And => a & b,
        AluOp::Lsh => a.wrapping_shl(b as u32),
        AluOp::Rsh => a.wrapping_shr(b as u32),
        AluOp::Mod => a.checked_rem(b).unwrap_or(a),
        AluOp::Smod if b == 0 => a,
        AluOp::Smod => (a as i64).wrapping_rem(b as i64) as u64,
        AluOp::Xor => a ^ b,
        AluOp::Mov => b,
        AluOp::Arsh => (a as i64).wrapping_shr(b as u32) as u64,
    }
}

fn alu32(op: AluOp, a: u32, b: u32) -> u32 {
    match op {
        AluOp::Add => a.wrapping_add(b),
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Mul => a.wrapping_mul(b),
        AluOp::Div => a.checked_div(b).unwrap_or(0),
        AluOp::Sdiv if b == 0 => 0,
        AluOp::Sdiv => (a as i32).wrapping_div(b as i32) as u32,
        AluOp::Or => a | b,
        AluOp::And => a & b,
        AluOp::Lsh => a.wrapping_shl(b),
        AluOp::Rsh => a.wrapping_shr(b),
        AluOp::Mod => a.checked_rem(b).unwrap_or(a),
        AluOp::Smod if b == 0 => a,
        AluOp::Smod => (a as i32).wrapping_rem(b as i32) as u32,
        AluOp::Xor => a ^ b,
        AluOp::Mov => b,
        AluOp::Arsh => (a as i32).wrapping_shr(b) as u32,
    }
}

/// Tells whether `a cond b` holds at a width.
#[inline(always)]
pub(crate) fn compare(width: Width, cond: Cond, a: u64, b: u64) -> bool {
    let (a, b, sa, sb) = match width {
        Width::W64 => (a, b, a as i64, b as i64),
        Width::W32 => (u64::from(a as u32), u64::from(b as u32), i64::from(a as i32), i64::from(b as i32)),
    };
    match cond {
        Cond::Eq => a == b,
        Cond::Gt => a > b,
        Cond::Ge => a >= b,
        Cond::Set => a & b != 0,
        Cond::Ne => a != b,
        Cond::Sgt => sa > sb,
        Cond::Sge => sa >= sb,
        Cond::Lt => a < b,
        Cond::Le => a <= b,
        Cond::Slt => sa < sb,
        Cond::Sle => sa <= sb,
    }
}

/// Negates at a width.
pub(crate) fn neg(width: Width, a: u64) -> u64 {
    match width {
        Width::W64 => a.wrapping_neg(),
        Width::W32 => u64::from((a as u32).wrapping_neg()),
    }
}

/// Sign-extends a part of `a`.
pub(crate) fn movsx(kind: Movsx, a: u64) -> u64 {
    let extended = sign_extend(kind.from(), a);
    match kind.width() {
        Width::W64 => extended,
        Width::W32 => u64::from(extended as u32),
    }
}

/// Keeps the low bits of `a`, in another byte order where one is asked for that this machine does not have.
pub(crate) fn swap(op: Endian, width: SwapWidth, a: u64) -> u64 {
    match (op, width) {
        (Endian::ToLe, SwapWidth::W16) => u64::from((a as u16).to_le()),
        (Endian::ToLe, SwapWidth::W32) => u64::from((a as u32).to_le()),
        (Endian::ToLe, SwapWidth::W64) => a.to_le(),
        (Endian::ToBe, SwapWidth::W16) => u64::from((a as u16).to_be()),
        (Endian::ToBe, SwapWidth::W32) => u64::from((a as u32).to_be()),
        (Endian::ToBe, SwapWidth::W64) => a.to_be(),
        (Endian::Swap, SwapWidth::W16) => u64::from((a as u16).swap_bytes()),
        (Endian::Swap, SwapWidth::W32) => u64::from((a as u32).swap_bytes()),
        (Endian::Swap, SwapWidth::W64) => a.swap_bytes(),
    }
}

/// Extends what a load has read.
pub(crate) fn extend(kind: LoadKind, a: u64) -> u64 {
    if kind.is_signed() { sign_extend(kind.size(), a) } else { a }
}

fn sign_extend(size: Size, a: u64) -> u64 {
    match size {
        Size::B => a as i8 as u64,
        Size::H => a as i16 as u64,
        Size::W => a as i32 as u64,
        Size::Dw => a,
    }
}
