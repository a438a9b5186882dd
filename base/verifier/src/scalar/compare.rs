//! What comparisons tell (Linux: `is_scalar_branch_taken`, `regs_refine_cond_op`).

use super::arc::Range;
use super::bits::Bits;
use super::number::Known;
use super::word::Word;
use skep_isa::{Cond, Width};

/// How a comparison came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// It holds.
    Holds,
    /// It does not.
    Fails,
}

/// Says how a comparison comes out, if that is certain.
pub(crate) fn decide<const N: u32, const H: u32>(
    cond: Cond,
    width: Width,
    a: &Known<N, H>,
    b: &Known<N, H>,
) -> Option<bool> {
    let (low_a, low_b) = (a.lower_word(), b.lower_word());
    match width {
        Width::W32 => low_a.decide(cond, &low_b),
        Width::W64 => a.word().decide(cond, &b.word()).or_else(|| match cond {
            // Numbers differ if their lower halves do.
            Cond::Eq | Cond::Ne if low_a.range.meet(low_b.range).is_none() => Some(cond == Cond::Ne),
            _ => None,
        }),
    }
}

/// Both sides after a comparison came out so; nothing, if it cannot.
pub(crate) fn refine<const N: u32, const H: u32>(
    cond: Cond,
    width: Width,
    outcome: Outcome,
    a: &Known<N, H>,
    b: &Known<N, H>,
) -> Option<(Known<N, H>, Known<N, H>)> {
    let relation = Relation::of(cond, outcome);
    match width {
        Width::W64 if relation == Relation::Equal => {
            let both = a.meet(b)?;
            Some((both, both))
        }
        Width::W64 => {
            let (word_a, word_b) = a.word().refine(relation, &b.word())?;
            Some((a.with_word(word_a)?, b.with_word(word_b)?))
        }
        Width::W32 => {
            let (word_a, word_b) = a.lower_word().refine(relation, &b.lower_word())?;
            Some((a.with_lower_word(word_a)?, b.with_lower_word(word_b)?))
        }
    }
}

/// The first side after a comparison with a constant came out so; nothing, if it cannot.
pub(crate) fn refine_by_constant<const N: u32, const H: u32>(
    cond: Cond,
    width: Width,
    outcome: Outcome,
    a: &Known<N, H>,
    constant: &Known<N, H>,
) -> Option<Known<N, H>> {
    let relation = Relation::of(cond, outcome);
    match width {
        Width::W64 if relation == Relation::Equal => a.meet(constant),
        Width::W64 => a.with_word(a.word().refine(relation, &constant.word())?.0),
        Width::W32 => a.with_lower_word(a.lower_word().refine(relation, &constant.lower_word())?.0),
    }
}

/// What two numbers are to each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Relation {
    Equal,
    Differing,
    /// Unsigned.
    Below,
    BelowOrEqual,
    Above,
    AboveOrEqual,
    /// Signed.
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// A one in the same place.
    Sharing,
    NotSharing,
}

impl Relation {
    #[inline]
    const fn of(cond: Cond, outcome: Outcome) -> Relation {
        match (cond, outcome) {
            (Cond::Eq, Outcome::Holds) | (Cond::Ne, Outcome::Fails) => Relation::Equal,
            (Cond::Ne, Outcome::Holds) | (Cond::Eq, Outcome::Fails) => Relation::Differing,
            (Cond::Gt, Outcome::Holds) | (Cond::Le, Outcome::Fails) => Relation::Above,
            (Cond::Ge, Outcome::Holds) | (Cond::Lt, Outcome::Fails) => Relation::AboveOrEqual,
            (Cond::Lt, Outcome::Holds) | (Cond::Ge, Outcome::Fails) => Relation::Below,
            (Cond::Le, Outcome::Holds) | (Cond::Gt, Outcome::Fails) => Relation::BelowOrEqual,
            (Cond::Sgt, Outcome::Holds) | (Cond::Sle, Outcome::Fails) => Relation::Greater,
            (Cond::Sge, Outcome::Holds) | (Cond::Slt, Outcome::Fails) => Relation::GreaterOrEqual,
            (Cond::Slt, Outcome::Holds) | (Cond::Sge, Outcome::Fails) => Relation::Less,
            (Cond::Sle, Outcome::Holds) | (Cond::Sgt, Outcome::Fails) => Relation::LessOrEqual,
            (Cond::Set, Outcome::Holds) => Relation::Sharing,
            (Cond::Set, Outcome::Fails) => Relation::NotSharing,
        }
    }
}

impl<const W: u32> Word<W> {
    /// Says how a comparison comes out, if that is certain.
    fn decide(&self, cond: Cond, other: &Word<W>) -> Option<bool> {
        let (a, b) = (self.range, other.range);
        match cond {
            Cond::Eq => self.equals(other),
            Cond::Ne => self.equals(other).map(|equal| !equal),
            Cond::Gt => decided(a.umin > b.umax, a.umax <= b.umin),
            Cond::Ge => decided(a.umin >= b.umax, a.umax < b.umin),
            Cond::Lt => decided(a.umax < b.umin, a.umin >= b.umax),
            Cond::Le => decided(a.umax <= b.umin, a.umin > b.umax),
            Cond::Sgt => decided(a.smin > b.smax, a.smax <= b.smin),
            Cond::Sge => decided(a.smin >= b.smax, a.smax < b.smin),
            Cond::Slt => decided(a.smax < b.smin, a.smin >= b.smax),
            Cond::Sle => decided(a.smax <= b.smin, a.smin > b.smax),
            Cond::Set => decided(
                self.bits.value & other.bits.value != 0
                    || self.is_shared_by(other)
                    || other.is_shared_by(self),
                self.bits.possible() & other.bits.possible() == 0,
            ),
        }
    }

    #[inline]
    fn equals(&self, other: &Word<W>) -> Option<bool> {
        if let (Some(a), Some(b)) = (self.as_constant(), other.as_constant()) {
            return Some(a == b);
        }
        decided(false, self.bits.meet(other.bits).is_none() || self.range.meet(other.range).is_none())
    }

    /// Says whether all bits that may be one here are ones in `other`, and one is one here.
    #[inline]
    const fn is_shared_by(&self, other: &Word<W>) -> bool {
        self.bits.possible() & !other.bits.value == 0 && !self.contains(0)
    }

    /// Both as `relation` leaves them; nothing, if it cannot be.
    fn refine(self, relation: Relation, other: &Word<W>) -> Option<(Word<W>, Word<W>)> {
        let (a, b) = (self.range, other.range);
        let ranges = match relation {
            Relation::Equal => {
                let both = Word { bits: self.bits.meet(other.bits)?, range: a.meet(b)? };
                return Some((both, both));
            }
            Relation::Differing => {
                let a = if let Some(value) = other.as_constant() { a.without(value)? } else { a };
                let b = if let Some(value) = self.as_constant() { b.without(value)? } else { b };
                (a, b)
            }
            Relation::Below => (a.below(b)?, b.above(a)?),
            Relation::Above => (a.above(b)?, b.below(a)?),
            Relation::BelowOrEqual => (a.not_above(b)?, b.not_below(a)?),
            Relation::AboveOrEqual => (a.not_below(b)?, b.not_above(a)?),
            Relation::Less => (a.less(b)?, b.greater(a)?),
            Relation::Greater => (a.greater(b)?, b.less(a)?),
            Relation::LessOrEqual => (a.not_greater(b)?, b.not_less(a)?),
            Relation::GreaterOrEqual => (a.not_less(b)?, b.not_greater(a)?),
            Relation::Sharing => return self.sharing(other),
            Relation::NotSharing => return self.not_sharing(other),
        };
        Some((Word { range: ranges.0, ..self }, Word { range: ranges.1, ..*other }))
    }

    /// Both have a one in the same place. Where only one place is left, it is that; otherwise neither is zero.
    fn sharing(self, other: &Word<W>) -> Option<(Word<W>, Word<W>)> {
        let shared = self.bits.possible() & other.bits.possible();
        if shared == 0 {
            return None;
        }
        let one = Bits { value: shared, mask: Range::<W>::MASK & !shared };
        let of = |word: &Word<W>| {
            let bits = if shared.is_power_of_two() { word.bits.meet(one)? } else { word.bits };
            Some(Word { bits, range: word.range.without(0)? })
        };
        Some((of(&self)?, of(other)?))
    }

    /// Where one has a one, the other has none.
    fn not_sharing(self, other: &Word<W>) -> Option<(Word<W>, Word<W>)> {
        if self.bits.value & other.bits.value != 0 {
            return None;
        }
        let without = |word: &Word<W>, ones: u64| Word {
            bits: Bits { value: word.bits.value, mask: word.bits.mask & !ones },
            range: word.range,
        };
        Some((without(&self, other.bits.value), without(other, self.bits.value)))
    }
}

/// An answer of which either way is certain, or none.
#[inline]
const fn decided(holds: bool, fails: bool) -> Option<bool> {
    match (holds, fails) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    }
}

impl<const W: u32> Range<W> {
    /// Without a number, if that is a bound, on either half; nothing, if it is the only one.
    fn without(self, value: u64) -> Option<Range<W>> {
        if self.is_one_piece() {
            return if self.umin == value {
                self.at_least(value.checked_add(1)?)
            } else if self.umax == value {
                self.at_most(value.checked_sub(1)?)
            } else {
                Some(self)
            };
        }
        let signed = Self::signed_of(value);
        let mut range = self;
        if self.umin == value {
            range.umin += 1;
        }
        if self.umax == value {
            range.umax -= 1;
        }
        if self.smin == signed {
            range.smin += 1;
        }
        if self.smax == signed {
            range.smax -= 1;
        }
        range.settle()
    }

    #[inline]
    fn at_least(self, least: u64) -> Option<Range<W>> {
        Range { umin: self.umin.max(least), ..self }.settle()
    }

    #[inline]
    fn at_most(self, most: u64) -> Option<Range<W>> {
        Range { umax: self.umax.min(most), ..self }.settle()
    }

    #[inline]
    fn signed_at_least(self, least: i64) -> Option<Range<W>> {
        Range { smin: self.smin.max(least), ..self }.settle()
    }

    #[inline]
    fn signed_at_most(self, most: i64) -> Option<Range<W>> {
        Range { smax: self.smax.min(most), ..self }.settle()
    }

    /// What is below some number of `other`, unsigned; and so on.
    #[inline]
    fn below(self, other: Range<W>) -> Option<Range<W>> {
        self.at_most(other.umax.checked_sub(1)?)
    }

    #[inline]
    fn above(self, other: Range<W>) -> Option<Range<W>> {
        self.at_least(other.umin.checked_add(1)?)
    }

    #[inline]
    fn not_above(self, other: Range<W>) -> Option<Range<W>> {
        self.at_most(other.umax)
    }

    #[inline]
    fn not_below(self, other: Range<W>) -> Option<Range<W>> {
        self.at_least(other.umin)
    }

    #[inline]
    fn less(self, other: Range<W>) -> Option<Range<W>> {
        self.signed_at_most(other.smax.checked_sub(1)?)
    }

    #[inline]
    fn greater(self, other: Range<W>) -> Option<Range<W>> {
        self.signed_at_least(other.smin.checked_add(1)?)
    }

    #[inline]
    fn not_greater(self, other: Range<W>) -> Option<Range<W>> {
        self.signed_at_most(other.smax)
    }

    #[inline]
    fn not_less(self, other: Range<W>) -> Option<Range<W>> {
        self.signed_at_least(other.smin)
    }
}
