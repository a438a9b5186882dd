//! What is known of a number.

use super::arc::Range;
use super::bits::Bits;
use super::word::Word;

/// What is known of a number of 64 bits.
pub(crate) type Number = Known<64, 32>;

/// The range of a lower half, in half the space.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Lower<const H: u32> {
    umin: u32,
    umax: u32,
    smin: i32,
    smax: i32,
}

impl<const H: u32> Lower<H> {
    #[inline]
    const fn of(range: Range<H>) -> Lower<H> {
        Lower {
            umin: range.umin as u32,
            umax: range.umax as u32,
            smin: range.smin as i32,
            smax: range.smax as i32,
        }
    }

    #[inline]
    const fn range(self) -> Range<H> {
        Range {
            umin: self.umin as u64,
            umax: self.umax as u64,
            smin: self.smin as i64,
            smax: self.smax as i64,
        }
    }
}

/// What is known of a number of `N` bits, and of its lower `H` (at most 32).
///
/// Known bits, a range, and a range of the lower half; each has taken from the others what it can hold, so that equal
/// knowledge mostly has equal forms. It is one cache line large.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Known<const N: u32, const H: u32> {
    bits: Bits,
    range: Range<N>,
    lower: Lower<H>,
}

impl<const N: u32, const H: u32> Known<N, H> {
    /// Nothing is known.
    pub(crate) const UNKNOWN: Self =
        Known { bits: Bits::within(Range::<N>::MASK), range: Range::FULL, lower: Lower::of(Range::FULL) };

    /// One number.
    #[inline]
    pub(crate) const fn constant(value: u64) -> Self {
        Known {
            bits: Bits::constant(value),
            range: Range::constant(value),
            lower: Lower::of(Range::constant(value & Range::<H>::MASK)),
        }
    }

    /// From `low` to `high`, unsigned.
    pub(crate) fn unsigned(low: u64, high: u64) -> Self {
        Self::of(Bits::within(Range::<N>::MASK), Range::unsigned(low, high), Range::FULL)
    }

    /// From `low` to `high`, signed.
    pub(crate) fn signed(low: i64, high: i64) -> Self {
        Self::of(Bits::within(Range::<N>::MASK), Range::signed(low, high), Range::FULL)
    }

    /// With these bits.
    pub(crate) fn of_bits(bits: Bits) -> Self {
        Self::of(bits, Range::FULL, Range::FULL)
    }

    /// What a load of that many bytes gives that fills up with zeros.
    pub(crate) fn within_bytes(bytes: u32) -> Self {
        Self::UNKNOWN.truncate(bytes)
    }

    /// What a load of that many bytes gives that extends the sign.
    pub(crate) fn sign_extended_bytes(bytes: u32) -> Self {
        Self::UNKNOWN.sign_extend(bytes)
    }

    /// The number, if it is one.
    #[inline]
    pub(crate) const fn as_constant(&self) -> Option<u64> {
        if self.bits.is_constant() { Some(self.bits.value) } else { None }
    }

    /// Says whether nothing is known.
    #[inline]
    pub(crate) const fn is_unknown(&self) -> bool {
        self.bits.mask == Range::<N>::MASK && self.range.is_full() && self.lower.range().is_full()
    }

    /// The least, unsigned.
    #[inline]
    pub(crate) const fn umin(&self) -> u64 {
        self.range.umin
    }

    /// The greatest, unsigned.
    #[inline]
    pub(crate) const fn umax(&self) -> u64 {
        self.range.umax
    }

    /// The least, signed.
    #[inline]
    pub(crate) const fn smin(&self) -> i64 {
        self.range.smin
    }

    /// The greatest, signed.
    #[inline]
    pub(crate) const fn smax(&self) -> i64 {
        self.range.smax
    }

    /// The least of the lower half, unsigned.
    #[inline]
    pub(crate) const fn u32_min(&self) -> u32 {
        self.lower.umin
    }

    /// The greatest of the lower half, unsigned.
    #[inline]
    pub(crate) const fn u32_max(&self) -> u32 {
        self.lower.umax
    }

    /// The least of the lower half, signed.
    #[inline]
    pub(crate) const fn s32_min(&self) -> i32 {
        self.lower.smin
    }

    /// The greatest of the lower half, signed.
    #[inline]
    pub(crate) const fn s32_max(&self) -> i32 {
        self.lower.smax
    }

    /// What is known of its bits.
    #[inline]
    pub(crate) const fn bits(&self) -> Bits {
        self.bits
    }

    /// Says whether the number may be `value`.
    #[inline]
    pub(crate) const fn contains(&self, value: u64) -> bool {
        self.bits.contains(value)
            && self.range.contains(value)
            && self.lower.range().contains(value & Range::<H>::MASK)
    }

    /// Says whether every value of `other` is certainly one of these.
    #[inline]
    pub(crate) const fn covers(&self, other: &Self) -> bool {
        self.bits.covers(other.bits)
            && self.range.covers(other.range)
            && self.lower.range().covers(other.lower.range())
    }

    /// What is known of a number that is one of these or one of those.
    #[inline]
    pub(crate) fn join(&self, other: &Self) -> Self {
        // Each part holds the join of the other two's bounds already.
        Known {
            bits: self.bits.join(other.bits),
            range: self.range.join(other.range),
            lower: Lower::of(self.lower.range().join(other.lower.range())),
        }
    }

    /// What is known of a number that is one of these and one of those; nothing, if certainly none is.
    pub(crate) fn meet(&self, other: &Self) -> Option<Self> {
        let bits = self.bits.meet(other.bits)?;
        let range = self.range.meet(other.range)?;
        let lower = self.lower.range().meet(other.lower.range())?;
        Self::settle(bits, range, lower)
    }

    /// The lower half, if it is one number.
    #[inline]
    #[cfg(test)]
    pub(crate) const fn low32_constant(&self) -> Option<u32> {
        if self.lower.umin == self.lower.umax { Some(self.lower.umin) } else { None }
    }

    /// Says whether the upper half is certainly zero.
    #[inline]
    pub(crate) const fn upper_is_zero(&self) -> bool {
        self.range.umax <= Range::<H>::MASK
    }

    /// Keeps that many of the low bytes; the others become zero.
    #[inline]
    pub(crate) fn truncate(&self, bytes: u32) -> Self {
        self.truncate_bits(bytes * 8)
    }

    /// Keeps that many of the low bytes and fills up with their sign.
    #[inline]
    pub(crate) fn sign_extend(&self, bytes: u32) -> Self {
        self.sign_extend_bits(bytes * 8)
    }

    /// Keeps `kept` low bits, at least one (`coerce_reg_to_size`).
    pub(crate) fn truncate_bits(&self, kept: u32) -> Self {
        let gone = N.saturating_sub(kept);
        if gone == 0 || self.range.umax <= Range::<N>::MASK >> gone {
            return *self;
        }
        let bits = self.bits.low(Range::<N>::MASK >> gone);
        let lower = if kept < H { Range::FULL } else { self.lower.range() };
        let range = self.shl_range(gone);
        Self::of(bits, Range::unsigned(range.umin >> gone, range.umax >> gone), lower)
    }

    /// Keeps `kept` low bits, at least one, and fills up with their sign (`coerce_reg_to_size_sx`).
    pub(crate) fn sign_extend_bits(&self, kept: u32) -> Self {
        let gone = N.saturating_sub(kept);
        if gone == 0
            || self.range.smin >= Range::<N>::SMIN >> gone && self.range.smax <= Range::<N>::SMAX >> gone
        {
            return *self;
        }
        let bits = self.bits.shl(gone).low(Range::<N>::MASK).sar(gone, N);
        let lower = if kept < H { Range::FULL } else { self.lower.range() };
        Self::of(bits, self.shl_range(gone).sar(gone), lower)
    }

    /// The range after a shift to the left, with what the lower half says where the upper is shifted out.
    #[inline]
    pub(crate) fn shl_range(&self, by: u32) -> Range<N> {
        let range = self.range.shl(by);
        if by < N - H {
            return range;
        }
        let lower = self.lower.range();
        let (unsigned, signed) = (lower.unsigned_arc().shl(by), lower.signed_arc().shl(by));
        range
            .meet(Range::of_arc(unsigned))
            .and_then(|range| range.meet(Range::of_arc(signed)))
            .unwrap_or(Range::FULL)
    }

    /// All sums, of all bits.
    #[inline]
    pub(crate) fn add(&self, other: &Self) -> Self {
        super::alu::alu(skep_isa::AluOp::Add, skep_isa::Width::W64, self, other)
    }

    /// All differences, of all bits.
    #[inline]
    pub(crate) fn sub(&self, other: &Self) -> Self {
        super::alu::alu(skep_isa::AluOp::Sub, skep_isa::Width::W64, self, other)
    }

    /// Contains both, and goes ahead of loops: a bound that `older` did not have yet goes on to the next border (of zero,
    /// of signed and unsigned numbers, of half and full width), a bit that was known there takes all above it along. So a
    /// chain of widened numbers ends after a few.
    pub(crate) fn widen(&self, older: &Self) -> Self {
        let joined = self.join(older);
        if joined == *older {
            return joined;
        }
        let lost = joined.bits.mask & !older.bits.mask;
        let above = if lost == 0 { 0 } else { Range::<N>::MASK << lost.trailing_zeros() & Range::<N>::MASK };
        let bits = joined.bits.join(Bits { value: joined.bits.value & !above, mask: above });
        let range = joined.range.widened(older.range, Range::<H>::SMAX as u64);
        let lower = joined.lower.range().widened(older.lower.range(), Range::<H>::SMAX as u64);
        Self::of(bits, range, lower)
    }

    /// What is known of all its bits.
    #[inline]
    pub(crate) const fn word(&self) -> Word<N> {
        Word { bits: self.bits, range: self.range }
    }

    /// What is known of its lower half.
    #[inline]
    pub(crate) const fn lower_word(&self) -> Word<H> {
        Word { bits: self.bits.low(Range::<H>::MASK), range: self.lower.range() }
    }

    /// Knows `word` of all its bits, which says no less than was known of them.
    #[inline]
    pub(crate) fn with_word(&self, word: Word<N>) -> Option<Self> {
        if word == self.word() {
            return Some(*self);
        }
        Self::settle(word.bits, word.range, self.lower.range())
    }

    /// Knows `word` of its lower half, which says no less than was known of it.
    #[inline]
    pub(crate) fn with_lower_word(&self, word: Word<H>) -> Option<Self> {
        if word == self.lower_word() {
            return Some(*self);
        }
        Self::settle(self.bits.with_low(Range::<H>::MASK, word.bits), self.range, word.range)
    }

    /// A number of the lower half's width, filled up with zeros.
    #[inline]
    pub(crate) fn of_lower(word: Word<H>) -> Self {
        let range = Range::unsigned(word.range.umin, word.range.umax);
        Self::of(word.bits, range, word.range)
    }

    /// What all three say together. Where they contradict each other there is no number, and anything may be said of it.
    #[inline]
    pub(crate) fn of(bits: Bits, range: Range<N>, lower: Range<H>) -> Self {
        Self::settle(bits, range, lower).unwrap_or(Self::UNKNOWN)
    }

    /// Lets each take from the others what it can hold; nothing, if they contradict each other (`reg_bounds_sync`).
    fn settle(mut bits: Bits, mut range: Range<N>, mut lower: Range<H>) -> Option<Self> {
        // Each round that changes something tightens it; after few rounds nothing does, and Linux stops after one.
        for _ in 0..ROUNDS {
            if bits.is_constant() {
                let fits = range.contains(bits.value) && lower.contains(bits.value & Range::<H>::MASK);
                return fits.then_some(Self::constant(bits.value));
            }
            // Where the ranges say nothing beyond the bits, they follow from these.
            let (hull, low) = (Range::of_bits(bits), Range::of_bits(bits.low(Range::<H>::MASK)));
            if range.covers(hull) && lower.covers(low) {
                return Some(Known { bits, range: hull, lower: Lower::of(low) });
            }
            let was_unknown = bits.mask == Range::<N>::MASK;
            range = range.within_bits(bits)?;
            if !range.is_full() {
                lower = lower.meet(range.low())?;
            }
            lower = lower.within_bits(bits.low(Range::<H>::MASK))?;
            let within = range.within_low(lower)?;
            let low = Bits::of_range(lower.umin, lower.umax);
            let known = bits
                .meet(Bits::of_range(within.umin, within.umax))?
                .meet(Bits::within(Range::<N>::MASK).with_low(Range::<H>::MASK, low))?;
            // Bits that come from the ranges alone have nothing new for them.
            let settled = within == range && (known == bits || was_unknown);
            (range, bits) = (within, known);
            if settled {
                break;
            }
        }
        Some(Known { bits, range, lower: Lower::of(lower) })
    }
}

/// How often what is known of the parts goes around.
const ROUNDS: u32 = 4;
