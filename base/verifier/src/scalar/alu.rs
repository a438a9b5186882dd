//! What arithmetic gives (RFC 9669 §4.1 and §4.2; Linux: `adjust_scalar_min_max_vals`).

use super::arc::Range;
use super::bits::Bits;
use super::number::{Known, Number};
use skep_isa::{AluOp, ByteOrder, Endian, Movsx, SwapWidth, Width};

/// What `a op b` is at a width; a result of the lower half's width is filled up with zeros.
pub(crate) fn alu<const N: u32, const H: u32>(
    op: AluOp,
    width: Width,
    a: &Known<N, H>,
    b: &Known<N, H>,
) -> Known<N, H> {
    match width {
        Width::W64 => {
            if let (Some(a), Some(b)) = (a.as_constant(), b.as_constant()) {
                return Known::constant(concrete::<N>(op, a, b));
            }
            match op {
                AluOp::Mov => return *b,
                AluOp::And => {
                    if let Some(mask) =
                        b.as_constant().filter(|mask| mask & mask.wrapping_add(1) == 0 && *mask != 0)
                    {
                        return a.truncate_bits(mask.trailing_ones());
                    }
                }
                AluOp::Add | AluOp::Sub | AluOp::Xor if a.is_unknown() || b.is_unknown() => {
                    return Known::UNKNOWN;
                }
                _ => {}
            }
            let (wide_a, wide_b) = (a.word(), b.word());
            let bits = wide_a.alu_bits(op, &wide_b);
            let mut range = wide_a.alu_range(op, &wide_b);
            let mut lower = Range::FULL;
            match op {
                AluOp::Add | AluOp::Sub | AluOp::Mul | AluOp::And | AluOp::Or | AluOp::Xor => {
                    // The lower half of the result is that of the lower halves.
                    lower = a.lower_word().alu_range(op, &b.lower_word());
                }
                AluOp::Lsh => {
                    if let Some(by) = b.as_constant() {
                        let by = by as u32 & (N - 1);
                        range = a.shl_range(by);
                        if by < H {
                            lower = a.lower_word().range.shl(by);
                        }
                    }
                }
                AluOp::Rsh if b.as_constant().is_some_and(|by| by & u64::from(N - 1) == u64::from(N - H)) => {
                    // What was the upper half is the lower one, gap and all.
                    lower = wide_a.range.upper();
                }
                _ => {}
            }
            Known::of(bits, range, lower)
        }
        Width::W32 => {
            let (a, b) = (a.lower_word(), b.lower_word());
            if let (Some(a), Some(b)) = (a.as_constant(), b.as_constant()) {
                return Known::constant(concrete::<H>(op, a, b));
            }
            Known::of_lower(super::word::Word { bits: a.alu_bits(op, &b), range: a.alu_range(op, &b) })
        }
    }
}

/// Computes `a op b` on numbers of `W` bits.
#[inline]
pub(crate) fn concrete<const W: u32>(op: AluOp, a: u64, b: u64) -> u64 {
    let by = b as u32 & (W - 1);
    let (signed_a, signed_b) = (Range::<W>::signed_of(a), Range::<W>::signed_of(b));
    let result = match op {
        AluOp::Add => a.wrapping_add(b),
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Mul => a.wrapping_mul(b),
        AluOp::Div => a.checked_div(b).unwrap_or(0),
        AluOp::Sdiv if b == 0 => 0,
        AluOp::Sdiv => signed_a.wrapping_div(signed_b) as u64,
        AluOp::Or => a | b,
        AluOp::And => a & b,
        AluOp::Lsh => a << by,
        AluOp::Rsh => a >> by,
        AluOp::Mod => a.checked_rem(b).unwrap_or(a),
        AluOp::Smod if b == 0 => a,
        AluOp::Smod => signed_a.wrapping_rem(signed_b) as u64,
        AluOp::Xor => a ^ b,
        AluOp::Mov => b,
        AluOp::Arsh => (signed_a >> by) as u64,
    };
    result & Range::<W>::MASK
}

/// What `-a` is at a width.
pub(crate) fn neg<const N: u32, const H: u32>(width: Width, a: &Known<N, H>) -> Known<N, H> {
    alu(AluOp::Sub, width, &Known::constant(0), a)
}

/// What a copy with the sign extended is.
pub(crate) fn movsx(kind: Movsx, a: &Number) -> Number {
    let extended = a.sign_extend(kind.from().bytes());
    match kind.width() {
        Width::W64 => extended,
        Width::W32 => extended.truncate(4),
    }
}

/// What a conversion between byte orders gives on a machine of the order `target`.
pub(crate) fn byte_swap(op: Endian, width: SwapWidth, target: ByteOrder, a: &Number) -> Number {
    let low = a.truncate(width.bits() / 8);
    match (op, target) {
        (Endian::ToLe, ByteOrder::Little) | (Endian::ToBe, ByteOrder::Big) => low,
        (Endian::Swap | Endian::ToLe | Endian::ToBe, _) => {
            let gone = 64 - width.bits();
            let swapped = |value: u64| value.swap_bytes() >> gone;
            let bits = low.bits();
            Number::of_bits(Bits { value: swapped(bits.value), mask: swapped(bits.mask) })
        }
    }
}
