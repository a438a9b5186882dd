//! What is known of each bit of a number (Linux: `struct tnum`, `kernel/bpf/tnum.c`).

/// Each bit of a number: zero, one, or unknown.
///
/// A narrower number is held with its upper bits known to be zero; what is computed of it has to be cut to its width
/// ([`Bits::low`]), for carries only go upwards.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Bits {
    /// The known ones; zero where a bit is unknown.
    pub(crate) value: u64,
    /// The unknown bits.
    pub(crate) mask: u64,
}

impl Bits {
    /// Nothing is known of 64 bits.
    #[cfg(test)]
    pub(crate) const UNKNOWN: Bits = Bits { value: 0, mask: u64::MAX };

    /// All bits are known.
    #[inline]
    pub(crate) const fn constant(value: u64) -> Bits {
        Bits { value, mask: 0 }
    }

    /// Nothing is known but where ones cannot be.
    #[inline]
    pub(crate) const fn within(mask: u64) -> Bits {
        Bits { value: 0, mask }
    }

    /// What all numbers from `low` to `high` have in common: the bits above the highest in which the two differ
    /// (`tnum_range`).
    #[inline]
    pub(crate) const fn of_range(low: u64, high: u64) -> Bits {
        let differing = low ^ high;
        if differing == 0 {
            return Bits::constant(low);
        }
        let mask = u64::MAX >> differing.leading_zeros();
        Bits { value: low & !mask, mask }
    }

    /// Says whether every bit is known.
    #[inline]
    pub(crate) const fn is_constant(self) -> bool {
        self.mask == 0
    }

    /// Returns the bits that may be one.
    #[inline]
    pub(crate) const fn possible(self) -> u64 {
        self.value | self.mask
    }

    /// Says whether a number may be `value`.
    #[inline]
    pub(crate) const fn contains(self, value: u64) -> bool {
        value & !self.mask == self.value
    }

    /// Says whether every number of `other` is one of these (`tnum_in`).
    #[inline]
    pub(crate) const fn covers(self, other: Bits) -> bool {
        other.mask & !self.mask == 0 && other.value & !self.mask == self.value
    }

    /// Says whether every number is a multiple of `to`, a power of two; of zero everything is (`tnum_is_aligned`).
    #[inline]
    #[cfg(test)]
    pub(crate) const fn aligned(self, to: u64) -> bool {
        to == 0 || self.possible() & (to - 1) == 0
    }

    /// Keeps the bits of `mask`; the others become zero.
    #[inline]
    pub(crate) const fn low(self, mask: u64) -> Bits {
        Bits { value: self.value & mask, mask: self.mask & mask }
    }

    /// Replaces the bits of `mask` by those of `part`, which has no others (`tnum_with_subreg`).
    #[inline]
    pub(crate) const fn with_low(self, mask: u64, part: Bits) -> Bits {
        Bits { value: self.value & !mask | part.value, mask: self.mask & !mask | part.mask }
    }

    /// Returns the lower half of 64 bits (`tnum_subreg`).
    #[inline]
    #[cfg(test)]
    pub(crate) const fn subreg(self) -> Bits {
        self.low(u32::MAX as u64)
    }

    /// What is known of a number that is one of these or one of those (`tnum_union`).
    #[inline]
    pub(crate) const fn join(self, other: Bits) -> Bits {
        let mask = self.mask | other.mask | (self.value ^ other.value);
        Bits { value: self.value & !mask, mask }
    }

    /// What is known of a number that is one of these and one of those; none is, if a bit is known to be zero here and one
    /// there.
    #[inline]
    pub(crate) const fn meet(self, other: Bits) -> Option<Bits> {
        if (self.value ^ other.value) & !self.mask & !other.mask != 0 {
            return None;
        }
        Some(Bits { value: self.value | other.value, mask: self.mask & other.mask })
    }

    /// Adds (`tnum_add`): the least and the greatest sum differ where a carry may go.
    #[inline]
    pub(crate) const fn add(self, other: Bits) -> Bits {
        let least = self.value.wrapping_add(other.value);
        let greatest = self.possible().wrapping_add(other.possible());
        let mask = (least ^ greatest) | self.mask | other.mask;
        Bits { value: least & !mask, mask }
    }

    /// Subtracts (`tnum_sub`).
    #[inline]
    pub(crate) const fn sub(self, other: Bits) -> Bits {
        let greatest = self.possible().wrapping_sub(other.value);
        let least = self.value.wrapping_sub(other.possible());
        let mask = (least ^ greatest) | self.mask | other.mask;
        Bits { value: self.value.wrapping_sub(other.value) & !mask, mask }
    }

    /// Ands, bit by bit.
    #[inline]
    pub(crate) const fn and(self, other: Bits) -> Bits {
        let value = self.value & other.value;
        Bits { value, mask: self.possible() & other.possible() & !value }
    }

    /// Ors, bit by bit.
    #[inline]
    pub(crate) const fn or(self, other: Bits) -> Bits {
        let value = self.value | other.value;
        Bits { value, mask: (self.mask | other.mask) & !value }
    }

    /// Xors, bit by bit.
    #[inline]
    pub(crate) const fn xor(self, other: Bits) -> Bits {
        let mask = self.mask | other.mask;
        Bits { value: (self.value ^ other.value) & !mask, mask }
    }

    /// Shifts left.
    #[inline]
    pub(crate) const fn shl(self, by: u32) -> Bits {
        Bits { value: self.value << by, mask: self.mask << by }
    }

    /// Shifts right, filling with zeros.
    #[inline]
    pub(crate) const fn shr(self, by: u32) -> Bits {
        Bits { value: self.value >> by, mask: self.mask >> by }
    }

    /// Shifts numbers of `width` bits right, filling with the sign, known or not.
    #[inline]
    pub(crate) const fn sar(self, by: u32, width: u32) -> Bits {
        Bits { value: sar(self.value, by, width), mask: sar(self.mask, by, width) }
    }

    /// Multiplies (`tnum_mul` since 6.18). Going over either's bits is right; where one is known, neither way is always the
    /// better, and going over its ones is cheap.
    pub(crate) fn mul(self, other: Bits) -> Bits {
        let product = self.sums(other);
        if !self.is_constant() && !other.is_constant() {
            return product;
        }
        product.meet(other.sums(self)).unwrap_or(product)
    }

    /// Sums `of`, shifted, for each bit of these, with and without where the bit is unknown.
    fn sums(self, of: Bits) -> Bits {
        let mut by = self;
        if of.possible() == 0 {
            return of;
        }
        let (lowest, length) = (of.possible().trailing_zeros(), 64 - of.possible().leading_zeros());
        let mut sum = Bits::constant(0);
        while by.possible() != 0 {
            let left = by.possible();
            let at = left.trailing_zeros();
            let run = left >> at;
            if by.value == 0 && run & run.wrapping_add(1) == 0 && run.leading_zeros() + length <= 64 + lowest
            {
                // Nothing but a run of unknown bits is left, as long as the other or longer, so that what is added for each
                // of them leaves no gap.
                let end = 64 - left.leading_zeros() + length;
                let all = u64::MAX >> 64_u32.saturating_sub(end);
                let above = u64::MAX.checked_shl(at + lowest).unwrap_or(0);
                return sum.add(Bits::within(all & above));
            }
            let with = sum.add(of.shl(at));
            sum = if by.value >> at & 1 == 1 { with } else { sum.join(with) };
            by = by.low(left & (left - 1));
        }
        sum
    }

    /// Finds the least of these numbers that is not below `from`.
    #[inline]
    pub(crate) const fn at_or_above(self, from: u64) -> Option<u64> {
        let wrong = (from ^ self.value) & !self.mask;
        if wrong == 0 {
            return Some(from);
        }
        let top = 1 << (63 - wrong.leading_zeros());
        let upto = top | (top - 1);
        if from & top == 0 {
            // The number has a one where `from` has none: it is above whatever follows, so the least follows.
            return Some(from & self.mask & !upto | self.value);
        }
        // The unknown bits above count one up; known bits, filled with ones, pass the carry on.
        match (from | !self.mask | upto).checked_add(1) {
            Some(next) => Some(next & self.mask | self.value),
            None => None,
        }
    }

    /// Finds the greatest of these numbers that is not above `from`.
    #[inline]
    pub(crate) const fn at_or_below(self, from: u64) -> Option<u64> {
        // The complement turns the order around.
        match (Bits { value: !self.possible(), mask: self.mask }).at_or_above(!from) {
            Some(found) => Some(!found),
            None => None,
        }
    }
}

/// Shifts a number of `width` bits right, filling with its sign.
#[inline]
const fn sar(value: u64, by: u32, width: u32) -> u64 {
    let unused = 64 - width;
    ((((value << unused) as i64) >> unused >> by) as u64) & (u64::MAX >> unused)
}
