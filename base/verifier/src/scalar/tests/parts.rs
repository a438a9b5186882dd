//! Bits and ranges, each alone and complete: all of them, with all of them.

use super::{OPS, compute, mask, signed};
use crate::scalar::arc::{Arc, Range};
use crate::scalar::bits::Bits;
use crate::scalar::word::Word;
use alloc::vec::Vec;
use skep_isa::AluOp;

/// All knowledge of the bits of numbers of `width` bits.
pub(super) fn all_bits(width: u32) -> Vec<Bits> {
    let numbers = 0..=mask(width);
    numbers
        .clone()
        .flat_map(|mask| numbers.clone().map(move |value| Bits { value, mask }))
        .filter(|bits| bits.value & bits.mask == 0)
        .collect()
}

/// All ranges of numbers of `W` bits.
pub(super) fn all_ranges<const W: u32>() -> Vec<Range<W>> {
    let half = 1 << (W - 1);
    let (nonnegative, negative) = (0..half, half..2 * half);
    let stretches = |values: core::ops::Range<u64>| -> Vec<Option<(u64, u64)>> {
        let pairs = values.clone().flat_map(|low| (low..values.end).map(move |high| Some((low, high))));
        core::iter::once(None).chain(pairs).collect()
    };
    let mut all = Vec::new();
    for above in stretches(nonnegative) {
        for below in stretches(negative.clone()) {
            let signed = |value| signed(W, value) as i64;
            all.extend(match (above, below) {
                (None, None) => None,
                (Some((low, high)), None) | (None, Some((low, high))) => {
                    Some(Range { umin: low, umax: high, smin: signed(low), smax: signed(high) })
                }
                (Some((umin, smax)), Some((smin, umax))) => {
                    Some(Range { umin, umax, smin: signed(smin), smax: signed(smax) })
                }
            });
        }
    }
    all
}

/// The numbers of `width` bits that are in something, as a set.
pub(super) fn set(width: u32, contains: impl Fn(u64) -> bool) -> u32 {
    (0..=mask(width)).filter(|value| contains(*value)).fold(0, |set, value| set | 1 << value)
}

fn bits_set(width: u32, bits: Bits) -> u32 {
    set(width, |value| bits.contains(value))
}

fn range_set<const W: u32>(range: Range<W>) -> u32 {
    set(W, |value| range.contains(value))
}

/// The numbers of a set.
pub(super) fn members(set: u32) -> impl Iterator<Item = u64> + Clone {
    (0..32).filter(move |value| set >> value & 1 == 1)
}

/// The least knowledge of bits with a set, which has a member.
fn bits_of(set: u32) -> Bits {
    members(set).map(Bits::constant).reduce(Bits::join).expect("a member")
}

#[test]
fn bits_are_sets() {
    for a in all_bits(4) {
        let set_a = bits_set(4, a);
        assert_eq!(bits_of(set_a), a);
        assert_eq!(a.is_constant(), set_a.is_power_of_two());
        assert_eq!(a.low(3), bits_of(members(set_a).fold(0, |set, value| set | 1 << (value & 3))));
        for to in [0, 1, 2, 4, 8] {
            let aligned = members(set_a).all(|value| to == 0 || value % to == 0);
            assert_eq!(a.aligned(to), aligned, "{a:?} to {to}");
        }
        for from in 0..16 {
            assert_eq!(a.at_or_above(from), members(set_a).find(|value| *value >= from), "{a:?} from {from}");
            let below = members(set_a).filter(|value| *value <= from).last();
            assert_eq!(a.at_or_below(from), below, "{a:?} from {from}");
        }
        for b in all_bits(4) {
            let set_b = bits_set(4, b);
            assert_eq!(a.covers(b), set_b & !set_a == 0, "{a:?} {b:?}");
            assert_eq!(a.meet(b).map_or(0, |both| bits_set(4, both)), set_a & set_b, "{a:?} {b:?}");
            assert_eq!(a.join(b), bits_of(set_a | set_b), "{a:?} {b:?}");
        }
    }
    for low in 0..16 {
        for high in low..16 {
            let hull = Bits::of_range(low, high);
            assert!((low..=high).all(|value| hull.contains(value)), "{low} to {high}");
            let word: Word<4> = Word { bits: Bits::within(15), range: Range::unsigned(low, high) };
            assert!((0..16).all(|value| word.contains(value) == (low <= value && value <= high)));
        }
    }
}

/// Computes with all knowledge of bits, and says how often the result is the least there is.
#[test]
fn bits_compute() {
    let all: Vec<_> = all_bits(4).into_iter().map(|bits| (bits, bits_set(4, bits))).collect();
    for op in OPS {
        let (mut least, mut asked) = (0, 0);
        for (a, set_a) in &all {
            for (b, set_b) in &all {
                let (word_a, word_b) =
                    (Word::<4> { bits: *a, range: Range::FULL }, Word::<4> { bits: *b, range: Range::FULL });
                let bits = word_a.alu_bits(op, &word_b);
                let results = results(op, 4, *set_a, *set_b);
                assert!(members(results).all(|value| bits.contains(value)), "{a:?} {op:?} {b:?} is {bits:?}");
                assert!(
                    bits.possible() < 16 && bits.value & bits.mask == 0,
                    "{a:?} {op:?} {b:?} is {bits:?}"
                );
                asked += 1;
                least += u32::from(bits == bits_of(results));
            }
        }
        let percent = least * 100 / asked;
        let floor = match op {
            AluOp::Add | AluOp::Sub | AluOp::And | AluOp::Or | AluOp::Xor | AluOp::Mov => 100,
            AluOp::Mul => 97,
            AluOp::Lsh => 84,
            AluOp::Rsh | AluOp::Arsh => 59,
            AluOp::Sdiv => 53,
            AluOp::Smod => 47,
            AluOp::Mod => 30,
            AluOp::Div => 14,
        };
        assert!(percent >= floor, "{op:?} is the least that could be known in {percent} %, not in {floor}");
    }
}

/// All results of an operation on two sets.
pub(super) fn results(op: AluOp, width: u32, a: u32, b: u32) -> u32 {
    let pairs = members(a).flat_map(|a| members(b).map(move |b| (a, b)));
    pairs.fold(0, |set, (a, b)| set | 1 << compute(op, width, a, b))
}

fn check_bounds<const W: u32>(range: Range<W>) {
    for bound in [range.umin, range.umax, range.smin as u64 & mask(W), range.smax as u64 & mask(W)] {
        assert!(range.contains(bound), "{range:?} has a bound that is no member");
    }
}

#[test]
fn ranges_are_sets() {
    let all = all_ranges::<3>();
    assert_eq!(all.len(), 11 * 11 - 1);
    for a in &all {
        check_bounds(*a);
        let set_a = range_set(*a);
        assert_eq!(range_set(a.complement()), members(set_a).fold(0, |set, value| set | 1 << (7 - value)));
        for b in &all {
            let set_b = range_set(*b);
            assert_eq!(a.covers(*b), set_b & !set_a == 0, "{a:?} {b:?}");
            assert_eq!(a.meet(*b).map_or(0, range_set), set_a & set_b, "{a:?} {b:?}");
            let join = a.join(*b);
            check_bounds(join);
            // Of the ranges that have both, it is within each.
            assert!(join.covers(*a) && join.covers(*b));
            let others = all.iter().filter(|other| other.covers(*a) && other.covers(*b));
            assert!(others.clone().all(|other| other.covers(join)), "{a:?} {b:?}");
        }
        for bits in all_bits(3) {
            let both = set_a & bits_set(3, bits);
            check_within(*a, a.within_bits(bits), both);
        }
        for low in all_ranges::<2>() {
            let both = set_a & set(3, |value| low.contains(value & 3));
            check_within(*a, a.within_low(low), both);
        }
        let low = a.low::<2>();
        assert!(members(set_a).all(|value| low.contains(value & 3)), "{a:?} {low:?}");
    }
    for a in all_ranges::<4>() {
        let (low, upper) = (a.low::<2>(), a.upper::<2>());
        assert!(members(range_set(a)).all(|value| low.contains(value & 3) && upper.contains(value >> 2)));
    }
}

/// A range was cut to `both`: what is left is the least range with that.
fn check_within<const W: u32>(from: Range<W>, left: Option<Range<W>>, both: u32) {
    let least = members(both).map(Range::<W>::constant).reduce(Range::join);
    assert_eq!(left, least, "{from:?} cut to {both:#b}");
}

#[test]
fn arcs_are_ranges() {
    for start in 0..16 {
        for span in 0..16 {
            let range: Range<4> = Range::of_arc(Arc::between(start, start + span));
            check_bounds(range);
            let arc = (0..=span).fold(0, |set, at| set | 1 << ((start + at) & 15));
            let passes = |border: u64| span >= (16 + border - start) % 16 && start != border;
            let expected = if passes(0) && passes(8) { 0xffff } else { arc };
            assert_eq!(range_set(range), expected, "{start} and {span} more");
        }
    }
    for low in -8..8 {
        for high in low..8 {
            let range: Range<4> = Range::signed(low, high);
            assert_eq!(
                range_set(range),
                set(4, |value| (i128::from(low)..=i128::from(high)).contains(&signed(4, value)))
            );
        }
    }
}

/// How often results are the least range, in percent: of all ranges of three bits, and of four by constants. The rest of what
/// bits decide is known by bits.
const LEAST: [(AluOp, u32, u32); 14] = [
    (AluOp::Add, 90, 100),
    (AluOp::Sub, 90, 100),
    (AluOp::Mul, 43, 16),
    (AluOp::Div, 53, 94),
    (AluOp::Sdiv, 86, 77),
    (AluOp::Or, 62, 63),
    (AluOp::And, 62, 63),
    (AluOp::Lsh, 0, 26),
    (AluOp::Rsh, 0, 100),
    (AluOp::Mod, 30, 60),
    (AluOp::Smod, 73, 69),
    (AluOp::Xor, 67, 21),
    (AluOp::Mov, 100, 100),
    (AluOp::Arsh, 0, 100),
];

/// Computes with all ranges of three bits (whose amounts of shifts would not be those of masks), and of four with constants.
#[test]
fn ranges_compute() {
    let all: Vec<_> = all_ranges::<3>().into_iter().map(|range| (word(range), range_set(range))).collect();
    for (op, floor, _) in LEAST.into_iter().filter(|(_, floor, _)| *floor != 0) {
        let (mut least, mut asked) = (0, 0);
        for (a, set_a) in &all {
            for (b, set_b) in &all {
                asked += 1;
                least += u32::from(check_range(op, a, *set_a, b, *set_b));
            }
        }
        assert!(least * 100 / asked >= floor, "{op:?}: the least in {} %", least * 100 / asked);
    }
    let all: Vec<_> = all_ranges::<4>().into_iter().map(|range| (word(range), range_set(range))).collect();
    for (op, _, floor) in LEAST {
        let (mut least, mut asked) = (0, 0);
        for (a, set_a) in &all {
            for value in 0..16 {
                asked += 1;
                let by = word(Range::constant(value));
                least += u32::from(check_range(op, a, *set_a, &by, 1 << value));
                if a.range.is_one_piece() {
                    check_range(op, &by, 1 << value, a, *set_a);
                }
            }
        }
        assert!(least * 100 / asked >= floor, "{op:?} by constants: the least in {} %", least * 100 / asked);
    }
}

fn word<const W: u32>(range: Range<W>) -> Word<W> {
    let bits =
        if range.umin == range.umax { Bits::constant(range.umin) } else { Bits::within(Range::<W>::MASK) };
    Word { bits, range }
}

/// Says whether the result is the least range.
fn check_range<const W: u32>(op: AluOp, a: &Word<W>, set_a: u32, b: &Word<W>, set_b: u32) -> bool {
    let range = a.alu_range(op, b);
    check_bounds(range);
    let results = results(op, W, set_a, set_b);
    for value in members(results) {
        assert!(range.contains(value), "{:?} {op:?} {:?} may be {value}, not {range:?}", a.range, b.range);
    }
    members(results).map(Range::<W>::constant).reduce(Range::join) == Some(range)
}
