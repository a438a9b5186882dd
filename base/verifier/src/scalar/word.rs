//! Bits and a range of numbers of one width, and what arithmetic gives of them.

use super::arc::{Arc, Range};
use super::bits::Bits;
use skep_isa::AluOp;

/// What is known of a number of `W` bits, whatever it is a part of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Word<const W: u32> {
    pub(crate) bits: Bits,
    pub(crate) range: Range<W>,
}

impl<const W: u32> Word<W> {
    /// The number, if it is one.
    #[inline]
    pub(crate) const fn as_constant(&self) -> Option<u64> {
        if self.bits.is_constant() { Some(self.bits.value) } else { None }
    }

    /// Says whether the number may be `value`.
    #[inline]
    pub(crate) const fn contains(&self, value: u64) -> bool {
        self.bits.contains(value) && self.range.contains(value)
    }

    /// The least and the greatest amount by which this shifts numbers of `W` bits.
    #[inline]
    fn amounts(&self) -> (u32, u32) {
        let bits = self.bits.low(u64::from(W - 1));
        let (mut low, mut high) = (bits.value, bits.possible());
        if self.range.umax < u64::from(W) {
            (low, high) = (low.max(self.range.umin), high.min(self.range.umax));
        }
        (low as u32, high as u32)
    }

    /// What is known of the bits of `self op other`.
    pub(crate) fn alu_bits(&self, op: AluOp, other: &Word<W>) -> Bits {
        let (a, b) = (self.bits, other.bits);
        let all = Range::<W>::MASK;
        let unknown = Bits::within(all);
        match op {
            AluOp::Add => a.add(b).low(all),
            AluOp::Sub => a.sub(b).low(all),
            AluOp::Mul => a.mul(b).low(all),
            AluOp::And => a.and(b),
            AluOp::Or => a.or(b),
            AluOp::Xor => a.xor(b),
            AluOp::Mov => b,
            AluOp::Lsh => match other.amounts() {
                (by, high) if by == high => a.shl(by).low(all),
                (low, _) => Bits::within((lowest(a) << low).wrapping_neg() & all),
            },
            AluOp::Rsh => match other.amounts() {
                (by, high) if by == high => a.shr(by),
                _ => unknown,
            },
            AluOp::Arsh => match other.amounts() {
                (by, high) if by == high => a.sar(by, W),
                _ => unknown,
            },
            AluOp::Div => match other.as_constant() {
                Some(0) => Bits::constant(0),
                Some(by) if by.is_power_of_two() => a.shr(by.trailing_zeros()),
                _ => unknown,
            },
            AluOp::Mod => match other.as_constant() {
                Some(by) if by.is_power_of_two() => a.low(by - 1),
                _ => remainder_bits(a, b, all),
            },
            AluOp::Sdiv => match other.as_constant() {
                Some(0) => Bits::constant(0),
                _ => unknown,
            },
            AluOp::Smod => remainder_bits(a, b, all),
        }
    }

    /// What `self op other` is within.
    pub(crate) fn alu_range(&self, op: AluOp, other: &Word<W>) -> Range<W> {
        let (a, b) = (self.range, other.range);
        match op {
            AluOp::Add => a.sums(b),
            AluOp::Sub => a.differences(b),
            AluOp::Mul => a.products(b),
            AluOp::And => match (self.as_constant(), other.as_constant()) {
                (_, Some(mask)) => a.masked(mask),
                (Some(mask), _) => b.masked(mask),
                _ => a.ands(b),
            },
            AluOp::Or => match (self.as_constant(), other.as_constant()) {
                (_, Some(ones)) => a.complement().masked(ones ^ Range::<W>::MASK).complement(),
                (Some(ones), _) => b.complement().masked(ones ^ Range::<W>::MASK).complement(),
                _ => a.complement().ands(b.complement()).complement(),
            },
            AluOp::Xor if other.as_constant() == Some(Range::<W>::MASK) => a.complement(),
            AluOp::Xor if other.as_constant() == Some(Range::<W>::SIGN) => a.sums(b),
            AluOp::Xor => a.xors(b),
            AluOp::Mov => b,
            AluOp::Lsh => match other.amounts() {
                (by, high) if by == high => a.shl(by),
                (low, high) if a.umax <= Range::<W>::MASK >> high => {
                    Range::unsigned(a.umin << low, a.umax << high)
                }
                _ => Range::FULL,
            },
            AluOp::Rsh => {
                let (low, high) = other.amounts();
                if high == 0 { a } else { Range::unsigned(a.umin >> high, a.umax >> low) }
            }
            AluOp::Arsh => {
                let (low, high) = other.amounts();
                a.sar(low).join(a.sar(high))
            }
            AluOp::Div => a.quotients(b),
            AluOp::Sdiv => a.signed_quotients(b),
            AluOp::Mod => a.remainders(b),
            AluOp::Smod => a.signed_remainders(b),
        }
    }
}

/// The lowest bit that may be one; zero, if none may.
#[inline]
const fn lowest(bits: Bits) -> u64 {
    bits.possible() & bits.possible().wrapping_neg()
}

/// A remainder differs from the dividend by a multiple of the divisor, or not at all, so bits below the divisor's lowest stay.
#[inline]
const fn remainder_bits(a: Bits, b: Bits, all: u64) -> Bits {
    let below = match lowest(b) {
        0 => all,
        bit => bit - 1,
    };
    Bits::within(all).with_low(below, a.low(below))
}

/// All bits up to the highest of a number.
#[inline]
const fn filled(value: u64) -> u64 {
    match value {
        0 => 0,
        _ => u64::MAX >> value.leading_zeros(),
    }
}

impl<const W: u32> Range<W> {
    /// What `f` makes of the arcs of both.
    #[inline]
    fn of_arcs(self, other: Range<W>, f: impl Fn(Arc<W>, Arc<W>) -> Arc<W>) -> Range<W> {
        if self.is_full() || other.is_full() {
            return Range::FULL;
        }
        let unsigned = Range::of_arc(f(self.unsigned_arc(), other.unsigned_arc()));
        if self.is_one_piece() && other.is_one_piece() {
            return unsigned;
        }
        let signed = Range::of_arc(f(self.signed_arc(), other.signed_arc()));
        let shorter = Range::of_arc(f(self.shorter_arc(), other.shorter_arc()));
        unsigned.meet(signed).and_then(|both| both.meet(shorter)).unwrap_or(Range::FULL)
    }

    #[inline]
    fn sums(self, other: Range<W>) -> Range<W> {
        self.of_arcs(other, Arc::add)
    }

    #[inline]
    fn differences(self, other: Range<W>) -> Range<W> {
        self.of_arcs(other, Arc::sub)
    }

    /// Products as integers, unsigned and signed; what they have above `W` bits does not matter.
    fn products(self, other: Range<W>) -> Range<W> {
        let low = u128::from(self.umin) * u128::from(other.umin);
        let high = u128::from(self.umax) * u128::from(other.umax);
        let range = if high - low <= u128::from(Self::MASK) {
            Range::of_arc(Arc::between(low as u64, high as u64))
        } else {
            Range::FULL
        };
        if self.smin >= 0 && other.smin >= 0 {
            return range;
        }
        let (a, b) = (
            (i128::from(self.smin), i128::from(self.smax)),
            (i128::from(other.smin), i128::from(other.smax)),
        );
        let corners = [a.0 * b.0, a.0 * b.1, a.1 * b.0, a.1 * b.1];
        let low = corners[0].min(corners[1]).min(corners[2]).min(corners[3]);
        let high = corners[0].max(corners[1]).max(corners[2]).max(corners[3]);
        range.meet(Range::of_arc(Arc::of_integers(low, high))).unwrap_or(Range::FULL)
    }

    /// `x & y` is above neither, unsigned; signed it is not below all of both's bits, and above zero only if one is.
    #[inline]
    fn ands(self, other: Range<W>) -> Range<W> {
        let smin = if self.smin < 0 && other.smin < 0 {
            !(filled(!self.smin.min(other.smin) as u64) as i64)
        } else {
            0
        };
        // If both are negative, or neither is, the result is above neither; otherwise it is not above the one that is not.
        let smax = if self.smin >= 0 && other.smin >= 0 || self.smax < 0 && other.smax < 0 {
            self.smax.min(other.smax)
        } else if self.smin >= 0 {
            self.smax
        } else if other.smin >= 0 {
            other.smax
        } else {
            self.smax.max(other.smax)
        };
        // x & y = x + y - (x | y), and x | y is at most all bits.
        let umin = self.umin.saturating_sub(Self::MASK - other.umin);
        Range { umin, umax: self.umax.min(other.umax), smin, smax }.settle().unwrap_or(Range::FULL)
    }

    /// `x & mask`: where the mask is of low bits it cuts arcs, where it is of high bits it keeps the order.
    #[inline]
    fn masked(self, mask: u64) -> Range<W> {
        let others = Self::MASK ^ mask;
        if others == 0 {
            return self;
        }
        if mask == 0 {
            return Range::constant(0);
        }
        if mask & (mask + 1) == 0 {
            if self.umax <= mask {
                return self;
            }
            let gone = mask.leading_zeros() + W - 64;
            let cut = self.shl(gone);
            return Range::unsigned(cut.umin >> gone, cut.umax >> gone);
        }
        if others & (others + 1) == 0 {
            let masked = |value: u64| value & mask;
            let (smin, smax) = (self.smin & !(others as i64), self.smax & !(others as i64));
            return Range { umin: masked(self.umin), umax: masked(self.umax), smin, smax };
        }
        self.ands(Range::constant(mask))
    }

    /// `x ^ y` is between the difference and the sum; signed it has no more bits than the longer of both.
    #[inline]
    fn xors(self, other: Range<W>) -> Range<W> {
        let umin = self.umin.saturating_sub(other.umax).max(other.umin.saturating_sub(self.umax));
        let umax = self.umax.saturating_add(other.umax).min(filled(self.umax | other.umax));
        let longest = |range: Range<W>| range.smax.max(!range.smin);
        let high = filled((longest(self) | longest(other)) as u64) as i64;
        Range { umin, umax, smin: !high, smax: high }.settle().unwrap_or(Range::FULL)
    }

    #[inline]
    pub(crate) fn complement(self) -> Range<W> {
        Range {
            umin: Self::MASK ^ self.umax,
            umax: Self::MASK ^ self.umin,
            smin: !self.smax,
            smax: !self.smin,
        }
    }

    /// Shifts left.
    #[inline]
    pub(crate) fn shl(self, by: u32) -> Range<W> {
        let unsigned = Range::of_arc(self.unsigned_arc().shl(by));
        if self.is_one_piece() {
            return unsigned;
        }
        unsigned.meet(Range::of_arc(self.signed_arc().shl(by))).unwrap_or(Range::FULL)
    }

    /// Shifts right, filling with the sign: each bound stays on its half.
    #[inline]
    pub(crate) fn sar(self, by: u32) -> Range<W> {
        let shifted = |value: u64| Self::unsigned_of(Self::signed_of(value) >> by);
        Range {
            umin: shifted(self.umin),
            umax: shifted(self.umax),
            smin: self.smin >> by,
            smax: self.smax >> by,
        }
    }

    fn quotients(self, other: Range<W>) -> Range<W> {
        let Some(high) = self.umax.checked_div(other.umin.max(1).min(other.umax)) else {
            return Range::constant(0);
        };
        let low = if other.umin == 0 { 0 } else { self.umin / other.umax };
        Range::unsigned(low, high)
    }

    fn remainders(self, other: Range<W>) -> Range<W> {
        if other.umax == 0 || self.umax < other.umin {
            return self;
        }
        if other.umin == 0 {
            // By zero the dividend stays.
            return Range::unsigned(0, self.umax);
        }
        if other.umin == other.umax && self.umin / other.umin == self.umax / other.umin {
            return Range::unsigned(self.umin % other.umin, self.umax % other.umin);
        }
        Range::unsigned(0, self.umax.min(other.umax - 1))
    }

    /// Quotients are furthest out where both are at their bounds, divisors at those next to zero too.
    fn signed_quotients(self, other: Range<W>) -> Range<W> {
        if self.smin == Self::SMIN && other.contains(Self::MASK) {
            // The least by minus one is the least.
            return Range::FULL;
        }
        let (mut low, mut high) = if other.contains(0) { (0, 0) } else { (i64::MAX, i64::MIN) };
        // The piece of either sign, as far as there is one.
        let positive = (other.smax > 0).then_some((Self::signed_of(other.umin).max(1), other.smax));
        let negative = (other.smin < 0).then_some((other.smin, Self::signed_of(other.umax)));
        for (lowest, highest) in [positive, negative].into_iter().flatten() {
            for by in [lowest, highest] {
                for of in [self.smin, self.smax] {
                    let quotient = of.wrapping_div(by);
                    (low, high) = (low.min(quotient), high.max(quotient));
                }
            }
        }
        Range::signed(low, high)
    }

    /// Remainders have the dividend's sign, are not further from zero than it, and nearer than the divisor.
    fn signed_remainders(self, other: Range<W>) -> Range<W> {
        if self.smin >= 0 && other.smin >= 0 {
            return self.remainders(other);
        }
        let (low, high) = (self.smin.min(0), self.smax.max(0));
        if other.contains(0) {
            // By zero the dividend stays.
            return if other.umax == 0 { self } else { Range::signed(low, high) };
        }
        let (least, most) = other.magnitudes();
        if self.magnitudes().1 < least {
            return self;
        }
        // Of nonzero numbers of W bits, none is further than the sign's bit is.
        let most = (most - 1) as i64;
        Range::signed(low.max(-most), high.min(most))
    }

    /// How far from zero the numbers are, at least and at most, as far as their ends tell.
    #[inline]
    fn magnitudes(self) -> (u64, u64) {
        let ends = (self.smin.unsigned_abs(), self.smax.unsigned_abs());
        let least = match (self.smin > 0, self.smax < 0) {
            (true, _) => ends.0,
            (_, true) => ends.1,
            // The ends next to zero: of the nonnegative piece and of the negative one.
            _ => self.umin.min((Self::MASK - self.umax).saturating_add(1)),
        };
        (least, ends.0.max(ends.1))
    }

    /// Bounds that moved from those of `older` go on to the next border; `half` is the greatest signed number of half width.
    pub(crate) fn widened(self, older: Range<W>, half: u64) -> Range<W> {
        let borders = [half, half << 1 | 1, Self::SMAX as u64, Self::MASK];
        let up = |value: u64| borders.into_iter().find(|border| value <= *border).unwrap_or(Self::MASK);
        let down = |value: i64| {
            [0, !(half as i64)].into_iter().find(|border| value >= *border).unwrap_or(Self::SMIN)
        };
        let umin = if self.umin < older.umin { 0 } else { self.umin };
        let umax = if self.umax > older.umax { up(self.umax) } else { self.umax };
        let smin = if self.smin < older.smin { down(self.smin) } else { self.smin };
        let smax = if self.smax <= older.smax {
            self.smax
        } else if self.smax < 0 {
            -1
        } else {
            (up(self.smax as u64) as i64).min(Self::SMAX)
        };
        Range { umin, umax, smin, smax }
    }
}
