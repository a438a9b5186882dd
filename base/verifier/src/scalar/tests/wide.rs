//! Numbers of 64 bits: random ones, and what happens to them in random programs, beside some of their members.

use super::{CONDS, Noise, OPS, WIDTHS, compare, compute};
use crate::scalar::alu::{alu, byte_swap, movsx, neg};
use crate::scalar::bits::Bits;
use crate::scalar::compare::{Outcome, decide, refine, refine_by_constant};
use crate::scalar::number::Number;
use alloc::vec::Vec;
use skep_isa::{AluOp, ByteOrder, Endian, Movsx, SwapWidth, Width};

const MOVES: [Movsx; 5] = [Movsx::S8To32, Movsx::S16To32, Movsx::S8To64, Movsx::S16To64, Movsx::S32To64];
const SWAPS: [SwapWidth; 3] = [SwapWidth::W16, SwapWidth::W32, SwapWidth::W64];
const CONVERSIONS: [Endian; 3] = [Endian::ToLe, Endian::ToBe, Endian::Swap];
const OUTCOMES: [Outcome; 2] = [Outcome::Fails, Outcome::Holds];

/// A number that is near a border, or small, or of some length, or any.
pub(super) fn value(noise: &mut Noise) -> u64 {
    let near = noise.next() % 9;
    match noise.below(8) {
        0 => near,
        1 => near.wrapping_neg(),
        2 => (1_u64 << noise.below(64)).wrapping_add(near).wrapping_sub(4),
        3 => (noise.next() >> noise.below(64)).wrapping_neg(),
        4 => noise.next() << 32 | noise.next() >> (32 + noise.below(32)),
        5 => noise
            .of(&[u64::from(u32::MAX), i32::MIN as u64, i64::MAX as u64])
            .wrapping_add(near)
            .wrapping_sub(4),
        6 => noise.next() >> noise.below(64),
        _ => noise.next(),
    }
}

/// A number of which something is known, and which may be `value`.
fn number_around(noise: &mut Noise, value: u64) -> Number {
    let other = self::value(noise);
    match noise.below(7) {
        0 => Number::constant(value),
        1 => Number::unsigned(value.min(other), value.max(other)),
        2 => {
            let (low, high) = ((value as i64).min(other as i64), (value as i64).max(other as i64));
            Number::signed(low, high)
        }
        3 => Number::of_bits(Bits { value: value & !other, mask: other }),
        4 => Number::constant(value).join(&Number::constant(other)),
        5 => {
            // What a comparison at 32 bits leaves.
            let (cond, border) = (noise.of(&CONDS), Number::constant(other));
            let holds = OUTCOMES[usize::from(compare(cond, 32, value, other))];
            refine(cond, Width::W32, holds, &Number::UNKNOWN, &border).expect("it came out so").0
        }
        _ => {
            let (a, b) = (number_around(noise, value), number_around(noise, value));
            a.meet(&b).expect("both may be the value")
        }
    }
}

/// A number with some members: the one that it is made around, its bounds, and what is near them.
fn number(noise: &mut Noise) -> (Number, Vec<u64>) {
    let around = value(noise);
    let number = number_around(noise, around);
    let mut members =
        Vec::from([around, number.umin(), number.umax(), number.smin() as u64, number.smax() as u64]);
    members.extend([noise.next() & number.bits().mask | number.bits().value, value(noise)]);
    members.push(around >> 32 << 32 | u64::from(number.u32_min()));
    members.retain(|member| number.contains(*member));
    assert!(members.contains(&around), "{number:?} lost {around:#x}");
    (number, members)
}

const fn bits_of(width: Width) -> u32 {
    width.bits()
}

#[test]
fn bounds_hold() {
    let mut noise = Noise::new(11);
    for _ in 0..10_000 {
        let (number, members) = number(&mut noise);
        for member in members {
            assert!(number.umin() <= member && member <= number.umax(), "{number:?} {member:#x}");
            assert!(
                number.smin() <= member as i64 && member as i64 <= number.smax(),
                "{number:?} {member:#x}"
            );
            let low = member as u32;
            assert!(number.u32_min() <= low && low <= number.u32_max(), "{number:?} {member:#x}");
            assert!(
                number.s32_min() <= low as i32 && low as i32 <= number.s32_max(),
                "{number:?} {member:#x}"
            );
            assert!(number.bits().contains(member), "{number:?} {member:#x}");
            assert!(number.as_constant().is_none_or(|constant| constant == member), "{number:?} {member:#x}");
            assert!(number.low32_constant().is_none_or(|constant| constant == low), "{number:?} {member:#x}");
            assert!(!number.upper_is_zero() || member >> 32 == 0, "{number:?} {member:#x}");
            assert!(number.bits().subreg().contains(u64::from(low)), "{number:?} {member:#x}");
        }
    }
}

#[test]
fn arithmetic_holds() {
    let mut noise = Noise::new(12);
    for _ in 0..5_000 {
        let ((a, in_a), (b, in_b)) = (number(&mut noise), number(&mut noise));
        let (op, width) = (noise.of(&OPS), noise.of(&WIDTHS));
        let result = alu(op, width, &a, &b);
        let negated = neg(width, &a);
        for x in &in_a {
            for y in &in_b {
                let value = compute(op, bits_of(width), *x, *y);
                assert!(
                    result.contains(value),
                    "{x:#x} of {a:?} {op:?} {y:#x} of {b:?} is not in {result:?}"
                );
            }
            let value = compute(AluOp::Sub, bits_of(width), 0, *x);
            assert!(negated.contains(value), "-{x:#x} of {a:?} is not in {negated:?}");
        }
        assert_eq!(a.add(&b), alu(AluOp::Add, Width::W64, &a, &b));
        assert_eq!(a.sub(&b), alu(AluOp::Sub, Width::W64, &a, &b));
    }
}

#[test]
fn conversions_hold() {
    let mut noise = Noise::new(13);
    for _ in 0..5_000 {
        let (a, in_a) = number(&mut noise);
        let (kind, swap, conversion) = (noise.of(&MOVES), noise.of(&SWAPS), noise.of(&CONVERSIONS));
        let order = noise.of(&[ByteOrder::Little, ByteOrder::Big]);
        let moved = movsx(kind, &a);
        let swapped = byte_swap(conversion, swap, order, &a);
        for x in in_a {
            let extended = super::signed(kind.from().bits(), x) as u64 & super::mask(kind.width().bits());
            assert!(moved.contains(extended), "{kind:?} of {x:#x} of {a:?} is not in {moved:?}");
            let mut bytes = x.to_le_bytes();
            let kept = &mut bytes[..swap.bits() as usize / 8];
            match (conversion, order) {
                (Endian::ToLe, ByteOrder::Little) | (Endian::ToBe, ByteOrder::Big) => {}
                _ => kept.reverse(),
            }
            let expected = u64::from_le_bytes(bytes) & super::mask(swap.bits());
            assert!(swapped.contains(expected), "{conversion:?} of {x:#x} of {a:?} is not in {swapped:?}");
            for bytes in [1, 2, 4, 8] {
                let (cut, extended) = (x & super::mask(bytes * 8), super::signed(bytes * 8, x) as u64);
                assert!(a.truncate(bytes).contains(cut), "{x:#x} of {a:?} to {bytes}");
                assert!(a.sign_extend(bytes).contains(extended), "{x:#x} of {a:?} from {bytes}");
                assert!(Number::within_bytes(bytes).contains(cut));
                assert!(Number::sign_extended_bytes(bytes).contains(extended));
            }
        }
    }
}

#[test]
fn comparisons_hold() {
    let mut noise = Noise::new(14);
    for _ in 0..5_000 {
        let ((a, in_a), (mut b, mut in_b)) = (number(&mut noise), number(&mut noise));
        if noise.below(4) == 0 {
            // Numbers that overlap.
            b = number_around(&mut noise, in_a[0]);
            in_b = in_a.iter().copied().filter(|value| b.contains(*value)).collect();
        }
        let (cond, width) = (noise.of(&CONDS), noise.of(&WIDTHS));
        let answer = decide(cond, width, &a, &b);
        let refined = OUTCOMES.map(|outcome| refine(cond, width, outcome, &a, &b));
        let constant = Number::constant(in_b.first().copied().unwrap_or_default());
        for outcome in OUTCOMES {
            let both = refine(cond, width, outcome, &a, &constant);
            let alone = refine_by_constant(cond, width, outcome, &a, &constant);
            assert_eq!(alone, both.map(|(a, _)| a), "{a:?} {cond:?} {constant:?} at {width:?}: {outcome:?}");
        }
        for x in &in_a {
            for y in &in_b {
                let holds = compare(cond, bits_of(width), *x, *y);
                let what = || alloc::format!("{x:#x} of {a:?} {cond:?} {y:#x} of {b:?} at {width:?}");
                assert!(answer.is_none_or(|answer| answer == holds), "{}", what());
                let Some((refined_a, refined_b)) = refined[usize::from(holds)] else {
                    panic!("{} is possible", what());
                };
                assert!(refined_a.contains(*x) && refined_b.contains(*y), "{}", what());
            }
        }
    }
}

#[test]
fn unions_hold() {
    let mut noise = Noise::new(15);
    for _ in 0..5_000 {
        let ((a, in_a), (b, in_b)) = (number(&mut noise), number(&mut noise));
        let (join, meet, widened) = (a.join(&b), a.meet(&b), a.widen(&b));
        assert!(join.covers(&a) && join.covers(&b) && widened.covers(&a) && widened.covers(&b));
        for x in in_a.iter().chain(&in_b) {
            assert!(join.contains(*x) && widened.contains(*x), "{x:#x} of {a:?} and {b:?}");
            let both = a.contains(*x) && b.contains(*x);
            assert_eq!(meet.is_some_and(|meet| meet.contains(*x)), both, "{x:#x} of {a:?} and {b:?}");
            assert!(!a.covers(&b) || !b.contains(*x) || a.contains(*x), "{a:?} covers {b:?}");
        }
    }
}

/// Random programs of eight registers, run in parallel on several inputs; what is known holds at every step of each.
#[test]
fn programs_hold() {
    const REGISTERS: usize = 8;
    let mut noise = Noise::new(16);
    for _ in 0..300 {
        let mut known = Vec::new();
        let mut runs = alloc::vec![[0; REGISTERS]; 6];
        for register in 0..REGISTERS {
            let (number, members) = number(&mut noise);
            known.push(number);
            runs.iter_mut().for_each(|run| run[register] = noise.of(&members));
        }
        for _ in 0..30 {
            let (a, b) = (noise.below(REGISTERS), noise.below(REGISTERS));
            let width = noise.of(&WIDTHS);
            match noise.below(5) {
                0 => {
                    let cond = noise.of(&CONDS);
                    let (first_a, first_b) = (runs[0][a], runs[0][b]);
                    let holds = compare(cond, bits_of(width), first_a, first_b);
                    runs.retain(|run| compare(cond, bits_of(width), run[a], run[b]) == holds);
                    let outcome = OUTCOMES[usize::from(holds)];
                    let refined = refine(cond, width, outcome, &known[a], &known[b]);
                    if a != b {
                        (known[a], known[b]) = refined.expect("a run came out so");
                    }
                }
                1 => {
                    let bytes = noise.of(&[1, 2, 4]);
                    known[a] = known[b].sign_extend(bytes);
                    runs.iter_mut().for_each(|run| run[a] = super::signed(bytes * 8, run[b]) as u64);
                }
                2 => {
                    known[a] = known[a].join(&known[b]);
                    if let Some(run) = runs.last_mut() {
                        run[a] = run[b];
                    }
                }
                _ => {
                    let op = noise.of(&OPS);
                    known[a] = alu(op, width, &known[a], &known[b]);
                    runs.iter_mut().for_each(|run| run[a] = compute(op, bits_of(width), run[a], run[b]));
                }
            }
            for run in &runs {
                for (number, value) in known.iter().zip(run) {
                    assert!(number.contains(*value), "{value:#x} is not in {number:?}");
                }
            }
        }
    }
}

/// Loops count up, and what is known of the counter settles after few rounds and keeps what matters.
#[test]
fn widening_keeps_alignment_and_halves() {
    let mut counter = Number::constant(0);
    for round in 0.. {
        let next = counter.join(&alu(AluOp::Add, Width::W32, &counter, &Number::constant(8)));
        let wider = next.widen(&counter);
        if wider == counter {
            break;
        }
        counter = wider;
        assert!(round < 8, "{counter:?}");
    }
    assert!(counter.bits().aligned(8) && counter.upper_is_zero(), "{counter:?}");
    let mut noise = Noise::new(17);
    for _ in 0..300 {
        let (mut number, mut steps) = (number(&mut noise).0, 0);
        for _ in 0..200 {
            let wider = self::number(&mut noise).0.widen(&number);
            steps += u32::from(wider != number);
            number = wider;
        }
        assert!(steps <= 40, "{steps} steps to {number:?}");
    }
}
