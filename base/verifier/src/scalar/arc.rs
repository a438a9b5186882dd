//! Ranges of numbers of `N` bits: arcs on their circle, and an arc on each half of it.

use super::bits::Bits;

/// A stretch of the circle of `N`-bit numbers: from a start upwards, over the top if need be.
///
/// It is the form in which sums, differences and shifts are exact; [`Range`] is the one that is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Arc<const N: u32> {
    start: u64,
    /// How many numbers there are after the start.
    span: u64,
}

impl<const N: u32> Arc<N> {
    /// The whole circle.
    const FULL: Arc<N> = Arc { start: 0, span: Range::<N>::MASK };

    /// From `start` upwards to `end`.
    #[inline]
    pub(crate) const fn between(start: u64, end: u64) -> Arc<N> {
        let mask = Range::<N>::MASK;
        Arc { start: start & mask, span: end.wrapping_sub(start) & mask }
    }

    /// From `start` upwards, with `span` numbers more; the circle, if that goes around it.
    #[inline]
    const fn new(start: u64, span: Option<u64>) -> Arc<N> {
        match span {
            Some(span) if span <= Range::<N>::MASK => Arc { start: start & Range::<N>::MASK, span },
            _ => Arc::FULL,
        }
    }

    /// The numbers from `low` to `high`, each without what is above `N` bits.
    #[inline]
    pub(crate) const fn of_integers(low: i128, high: i128) -> Arc<N> {
        let span = high - low;
        let fits = span <= Range::<N>::MASK as i128;
        Arc::new(low as u64, if fits { Some(span as u64) } else { None })
    }

    /// All sums.
    #[inline]
    pub(crate) const fn add(self, other: Arc<N>) -> Arc<N> {
        Arc::new(self.start.wrapping_add(other.start), self.span.checked_add(other.span))
    }

    /// All differences.
    #[inline]
    pub(crate) const fn sub(self, other: Arc<N>) -> Arc<N> {
        let end = other.start.wrapping_add(other.span);
        Arc::new(self.start.wrapping_sub(end), self.span.checked_add(other.span))
    }

    /// All numbers shifted left, as numbers of `M` bits; what is shifted out of them must include what is above `N` bits.
    #[inline]
    pub(crate) const fn shl<const M: u32>(self, by: u32) -> Arc<M> {
        let span = if self.span <= Range::<M>::MASK >> by { Some(self.span << by) } else { None };
        Arc::new(self.start << by, span)
    }

    /// All numbers without what is above `M` bits.
    #[inline]
    pub(crate) const fn low<const M: u32>(self) -> Arc<M> {
        Arc::new(self.start, Some(self.span))
    }
}

/// A range of `N`-bit numbers, unsigned and signed at once.
///
/// Numbers within `[umin, umax]` and `[smin, smax]` are those of at most one stretch of the lower half of the circle, where
/// both orders start at zero, and at most one of the upper half. It is kept such that each bound is a member: either both
/// halves have a stretch, `[umin, smax]` and `[smin, umax]`, or one has, and both pairs of bounds are its ends. So one form
/// holds every arc that does not pass both zero and the sign's border, and gaps at zero beside (-4095 to -1 or 1 to 100).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Range<const N: u32> {
    pub(crate) umin: u64,
    pub(crate) umax: u64,
    pub(crate) smin: i64,
    pub(crate) smax: i64,
}

impl<const N: u32> Range<N> {
    /// All bits of a number.
    pub(crate) const MASK: u64 = u64::MAX >> (64 - N);
    /// The bit of the sign.
    pub(crate) const SIGN: u64 = 1 << (N - 1);
    /// The greatest signed number.
    pub(crate) const SMAX: i64 = (Self::SIGN - 1) as i64;
    /// The least signed number.
    pub(crate) const SMIN: i64 = !Self::SMAX;
    /// All numbers.
    pub(crate) const FULL: Range<N> = Range { umin: 0, umax: Self::MASK, smin: Self::SMIN, smax: Self::SMAX };

    /// Reads a number as signed.
    #[inline]
    pub(crate) const fn signed_of(value: u64) -> i64 {
        ((value << (64 - N)) as i64) >> (64 - N)
    }

    /// Reads a signed number as unsigned.
    #[inline]
    pub(crate) const fn unsigned_of(value: i64) -> u64 {
        value as u64 & Self::MASK
    }

    /// One number.
    #[inline]
    pub(crate) const fn constant(value: u64) -> Range<N> {
        Self::piece(value, value)
    }

    /// A stretch that lies on one half.
    #[inline]
    const fn piece(low: u64, high: u64) -> Range<N> {
        Range { umin: low, umax: high, smin: Self::signed_of(low), smax: Self::signed_of(high) }
    }

    /// From `low` to `high`, unsigned.
    #[inline]
    pub(crate) const fn unsigned(low: u64, high: u64) -> Range<N> {
        Self::of_arc(Arc::between(low, high))
    }

    /// From `low` to `high`, signed.
    #[inline]
    pub(crate) const fn signed(low: i64, high: i64) -> Range<N> {
        Self::of_arc(Arc::between(low as u64, high as u64))
    }

    /// From the least number with these bits to the greatest, in either order.
    #[inline]
    pub(crate) const fn of_bits(bits: Bits) -> Range<N> {
        let sign = bits.mask & Self::SIGN;
        Range {
            umin: bits.value,
            umax: bits.possible(),
            smin: Self::signed_of(bits.value | sign),
            smax: Self::signed_of(bits.possible() & !sign),
        }
    }

    /// The numbers of an arc; all, if it passes both zero and the sign's border.
    #[inline]
    pub(crate) const fn of_arc(arc: Arc<N>) -> Range<N> {
        let end = arc.start.wrapping_add(arc.span) & Self::MASK;
        let (from, to) = (Self::signed_of(arc.start), Self::signed_of(end));
        // An arc that passes a border ends before where it starts, in the order of which this is the border.
        let (umin, umax) = if arc.start <= end { (arc.start, end) } else { (0, Self::MASK) };
        let (smin, smax) = if from <= to { (from, to) } else { (Self::SMIN, Self::SMAX) };
        Range { umin, umax, smin, smax }
    }

    /// The arc from the least to the greatest, unsigned.
    #[inline]
    pub(crate) const fn unsigned_arc(self) -> Arc<N> {
        Arc::between(self.umin, self.umax)
    }

    /// The arc from the least to the greatest, signed.
    #[inline]
    pub(crate) const fn signed_arc(self) -> Arc<N> {
        Arc::between(self.smin as u64, self.smax as u64)
    }

    /// The shorter of both arcs.
    #[inline]
    pub(crate) const fn shorter_arc(self) -> Arc<N> {
        let (unsigned, signed) = (self.unsigned_arc(), self.signed_arc());
        if signed.span < unsigned.span { signed } else { unsigned }
    }

    /// Says whether it is all numbers.
    #[inline]
    pub(crate) const fn is_full(self) -> bool {
        self.umin == 0 && self.umax == Self::MASK && self.smin == Self::SMIN && self.smax == Self::SMAX
    }

    /// Says whether it is one stretch on one half.
    #[inline]
    pub(crate) const fn is_one_piece(self) -> bool {
        self.umin == Self::unsigned_of(self.smin) && self.umax == Self::unsigned_of(self.smax)
    }

    /// Says whether a number is within.
    #[inline]
    pub(crate) const fn contains(self, value: u64) -> bool {
        let signed = Self::signed_of(value);
        self.umin <= value && value <= self.umax && self.smin <= signed && signed <= self.smax
    }

    /// Says whether every number of `other` is within.
    #[inline]
    pub(crate) const fn covers(self, other: Range<N>) -> bool {
        self.umin <= other.umin
            && other.umax <= self.umax
            && self.smin <= other.smin
            && other.smax <= self.smax
    }

    /// The least range with both.
    #[inline]
    pub(crate) fn join(self, other: Range<N>) -> Range<N> {
        // Bounds are members, so on each half this is from the least to the greatest there.
        Range {
            umin: self.umin.min(other.umin),
            umax: self.umax.max(other.umax),
            smin: self.smin.min(other.smin),
            smax: self.smax.max(other.smax),
        }
    }

    /// What is in both, if anything is.
    #[inline]
    pub(crate) fn meet(self, other: Range<N>) -> Option<Range<N>> {
        Range {
            umin: self.umin.max(other.umin),
            umax: self.umax.min(other.umax),
            smin: self.smin.max(other.smin),
            smax: self.smax.min(other.smax),
        }
        .settle()
    }

    /// Makes each bound a member (`__reg64_deduce_bounds` and `__reg32_deduce_bounds` do so where one order stays on one
    /// half); nothing, if there is none.
    #[inline]
    pub(crate) fn settle(self) -> Option<Range<N>> {
        if self.umin > self.umax || self.smin > self.smax {
            return None;
        }
        let (low, high) = if self.smin >= 0 || self.smax < 0 {
            (self.umin.max(Self::unsigned_of(self.smin)), self.umax.min(Self::unsigned_of(self.smax)))
        } else if self.umax < Self::SIGN || self.umin >= Self::SIGN {
            let low = self.smin.max(Self::signed_of(self.umin));
            let high = self.smax.min(Self::signed_of(self.umax));
            if low > high {
                return None;
            }
            (Self::unsigned_of(low), Self::unsigned_of(high))
        } else {
            let least_negative = Self::unsigned_of(self.smin);
            match (Self::signed_of(self.umin) <= self.smax, least_negative <= self.umax) {
                (true, true) => return Some(self),
                (true, false) => (self.umin, Self::unsigned_of(self.smax)),
                (false, true) => (least_negative, self.umax),
                (false, false) => return None,
            }
        };
        (low <= high).then_some(Self::piece(low, high))
    }

    /// Moves each bound to the next number that has these bits (`__update_reg_bounds` moves them to the least and the
    /// greatest of all that have).
    #[inline]
    pub(crate) fn within_bits(self, bits: Bits) -> Option<Range<N>> {
        if bits.mask == Self::MASK {
            return Some(self);
        }
        if bits.contains(self.umin) && bits.contains(self.umax) {
            let (smin, smax) = (Self::unsigned_of(self.smin), Self::unsigned_of(self.smax));
            if bits.contains(smin) && bits.contains(smax) {
                return Some(self);
            }
        }
        // With the sign turned around, signed numbers are in the order of unsigned ones.
        let turned = Bits { value: bits.value ^ (Self::SIGN & !bits.mask), mask: bits.mask };
        let smin = turned.at_or_above(Self::unsigned_of(self.smin) ^ Self::SIGN)?;
        let smax = turned.at_or_below(Self::unsigned_of(self.smax) ^ Self::SIGN)?;
        Range {
            umin: bits.at_or_above(self.umin)?,
            umax: bits.at_or_below(self.umax)?,
            smin: Self::signed_of(smin ^ Self::SIGN),
            smax: Self::signed_of(smax ^ Self::SIGN),
        }
        .settle()
    }

    /// Finds the least number within that is not below `from`, unsigned.
    #[inline]
    const fn at_or_above(self, from: u64) -> Option<u64> {
        if from <= self.umin {
            Some(self.umin)
        } else if from > self.umax {
            None
        } else if from > Self::unsigned_of(self.smax) && from < Self::unsigned_of(self.smin) {
            // In the gap between two pieces.
            Some(Self::unsigned_of(self.smin))
        } else {
            Some(from)
        }
    }

    /// Finds the greatest number within that is not above `from`, unsigned.
    #[inline]
    const fn at_or_below(self, from: u64) -> Option<u64> {
        if from >= self.umax {
            Some(self.umax)
        } else if from < self.umin {
            None
        } else if from > Self::unsigned_of(self.smax) && from < Self::unsigned_of(self.smin) {
            Some(Self::unsigned_of(self.smax))
        } else {
            Some(from)
        }
    }

    /// Moves each bound to the next number whose lower `H` bits are within `low` (`__reg_deduce_mixed_bounds` replaces the
    /// lower half of a bound by that of `low`, where that is further in).
    #[inline]
    pub(crate) fn within_low<const H: u32>(self, low: Range<H>) -> Option<Range<N>> {
        if low.is_full() {
            return Some(self);
        }
        let up = |from: u64| {
            let (upper, lower) = (from & !Range::<H>::MASK, from & Range::<H>::MASK);
            match low.at_or_above(lower) {
                Some(lower) => Some(upper | lower),
                None => Some(
                    (upper | Range::<H>::MASK).checked_add(1).filter(|next| *next <= Self::MASK)? | low.umin,
                ),
            }
        };
        let down = |from: u64| {
            let (upper, lower) = (from & !Range::<H>::MASK, from & Range::<H>::MASK);
            match low.at_or_below(lower) {
                Some(lower) => Some(upper | lower),
                None => Some(upper.checked_sub(1)? & !Range::<H>::MASK | low.umax),
            }
        };
        Range {
            umin: up(self.umin)?,
            umax: down(self.umax)?,
            smin: Self::signed_of(up(Self::unsigned_of(self.smin) ^ Self::SIGN)? ^ Self::SIGN),
            smax: Self::signed_of(down(Self::unsigned_of(self.smax) ^ Self::SIGN)? ^ Self::SIGN),
        }
        .settle()
    }

    /// What the upper half of the numbers within is within, of `2 * H` bits.
    #[inline]
    pub(crate) fn upper<const H: u32>(self) -> Range<H> {
        Range { umin: self.umin >> H, umax: self.umax >> H, smin: self.smin >> H, smax: self.smax >> H }
    }

    /// What the lower `H` bits of the numbers within are within.
    #[inline]
    pub(crate) fn low<const H: u32>(self) -> Range<H> {
        if self.smin >= Range::<H>::SMIN && self.smax <= Range::<H>::SMAX {
            // Sign-extended, so nothing is lost, not even a gap.
            let mask = Range::<H>::MASK;
            return Range {
                umin: self.umin & mask,
                umax: self.umax & mask,
                smin: self.smin,
                smax: self.smax,
            };
        }
        Range::of_arc(self.shorter_arc().low())
    }
}
