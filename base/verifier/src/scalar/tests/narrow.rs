//! Numbers of four bits with lower halves of two: every operation against every member.

use super::parts::{all_bits, all_ranges, members, results, set};
use super::{Noise, WIDTHS, compare, compute, std};
use crate::scalar::alu::{alu, neg};
use crate::scalar::compare::{Outcome, decide, refine, refine_by_constant};
use crate::scalar::number::Known;
use alloc::vec::Vec;
use skep_isa::{AluOp, Cond, Width};
use std::collections::HashSet;

type Narrow = Known<4, 2>;

fn members_of(number: &Narrow) -> u32 {
    set(4, |value| number.contains(value))
}

/// The least that can be known of a number in the set.
fn least(set: u32) -> Option<Narrow> {
    members(set).map(Narrow::constant).reduce(|a, b| a.join(&b))
}

/// Some of everything that can be known, each with its members: all bits with all ranges, each with some lower range.
fn numbers() -> Vec<(Narrow, u32)> {
    let lowers = all_ranges::<2>();
    let mut noise = Noise::new(1);
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for bits in all_bits(4) {
        for range in all_ranges::<4>() {
            let lower = noise.of(&lowers);
            let expected =
                set(4, |value| bits.contains(value) && range.contains(value) && lower.contains(value & 3));
            if expected == 0 {
                continue;
            }
            let number = Narrow::of(bits, range, lower);
            if seen.insert(number) {
                assert_eq!(members_of(&number), expected, "{bits:?} {range:?} {lower:?} is {number:?}");
                all.push((number, expected));
            }
        }
    }
    all
}

const fn bits_of(width: Width) -> u32 {
    match width {
        Width::W64 => 4,
        Width::W32 => 2,
    }
}

/// The lower halves of a set, where a width is only that.
fn cut(width: Width, set: u32) -> u32 {
    match width {
        Width::W64 => set,
        Width::W32 => members(set).fold(0, |set, value| set | 1 << (value & 3)),
    }
}

/// Counts how often a result is the least that could be known.
#[derive(Default)]
struct Tightness {
    least: u32,
    asked: u32,
}

impl Tightness {
    /// Asks whether `number` has all of a set, and counts.
    fn ask(&mut self, number: &Narrow, set: u32, what: impl FnOnce() -> std::string::String) {
        let has = members_of(number);
        assert!(set & !has == 0, "{} may be {set:#b}, not {number:?}", what());
        self.asked += 1;
        self.least += u32::from(least(set).is_none_or(|least| members_of(&least) == has));
    }

    /// Fails where the results are worse than they were.
    fn at_least(&self, percent: u32, what: &str) {
        let now = self.least * 100 / self.asked;
        assert!(now >= percent, "{what}: the least in {now} %, not in {percent}");
    }
}

/// Pairs of numbers: some of all, and each beside some constant, on either side.
fn pairs(all: &[(Narrow, u32)], some: usize, mut ask: impl FnMut(&(Narrow, u32), &(Narrow, u32))) {
    let mut noise = Noise::new(2);
    for _ in 0..some {
        ask(&noise.of(all), &noise.of(all));
    }
    for (at, number) in all.iter().enumerate() {
        let value = at as u64 % 16;
        let constant = (Narrow::constant(value), 1 << value);
        ask(number, &constant);
        ask(&constant, number);
    }
}

/// How often results are the least that could be known, in percent: of pairs at both widths, and by constants.
const COMPUTED: [(AluOp, [u32; 4]); 14] = [
    (AluOp::Add, [66, 81, 95, 82]),
    (AluOp::Sub, [67, 81, 95, 82]),
    (AluOp::Mul, [20, 66, 31, 80]),
    (AluOp::Div, [58, 50, 83, 85]),
    (AluOp::Sdiv, [68, 64, 71, 65]),
    (AluOp::Or, [55, 80, 77, 89]),
    (AluOp::And, [54, 80, 77, 89]),
    (AluOp::Lsh, [18, 53, 74, 82]),
    (AluOp::Rsh, [24, 65, 81, 86]),
    (AluOp::Mod, [14, 51, 38, 78]),
    (AluOp::Smod, [37, 69, 45, 87]),
    (AluOp::Xor, [34, 73, 27, 65]),
    (AluOp::Mov, [100, 85, 100, 100]),
    (AluOp::Arsh, [49, 81, 91, 86]),
];

#[test]
fn computes() {
    let all = numbers();
    for (op, floors) in COMPUTED {
        for (width, floor) in WIDTHS.into_iter().zip(floors) {
            let mut tightness = Tightness::default();
            let table: Vec<u32> =
                (0..256).map(|at| 1 << compute(op, bits_of(width), at >> 4, at & 15)).collect();
            pairs(&all, 8_000, |(a, set_a), (b, set_b)| {
                let results = members(*set_a)
                    .flat_map(|a| members(*set_b).map(move |b| a << 4 | b))
                    .fold(0, |set, at| set | table[at as usize]);
                let result = alu(op, width, a, b);
                tightness.ask(&result, results, || std::format!("{a:?} {op:?} {b:?} at {width:?}"));
            });
            tightness.at_least(floor, &std::format!("{op:?} {width:?}"));
        }
    }
}

#[test]
fn computes_by_constants() {
    let all = numbers();
    for (op, floors) in COMPUTED {
        for (width, floor) in WIDTHS.into_iter().zip(&floors[2..]) {
            let mut tightness = Tightness::default();
            for (a, set_a) in all.iter().step_by(3) {
                for value in 0..16 {
                    let result = alu(op, width, a, &Narrow::constant(value));
                    let results = results(op, bits_of(width), cut(width, *set_a), cut(width, 1 << value));
                    tightness.ask(&result, results, || std::format!("{a:?} {op:?} {value} at {width:?}"));
                }
            }
            tightness.at_least(*floor, &std::format!("{op:?} {width:?} by constants"));
        }
    }
}

#[test]
fn negates_and_extends() {
    for (a, set_a) in &numbers() {
        let mapped = |f: &dyn Fn(u64) -> u64| members(*set_a).fold(0, |set, value| set | 1 << f(value));
        for width in WIDTHS {
            let negated = mapped(&|value| value.wrapping_neg() & super::mask(bits_of(width)));
            let mut tightness = Tightness::default();
            tightness.ask(&neg(width, a), negated, || std::format!("-{a:?}"));
        }
        for kept in 1..=4 {
            let truncated = mapped(&|value| value & super::mask(kept));
            let extended = mapped(&|value| super::signed(kept, value) as u64 & 15);
            let mut tightness = Tightness::default();
            tightness.ask(&a.truncate_bits(kept), truncated, || std::format!("{a:?} cut to {kept}"));
            tightness.ask(&a.sign_extend_bits(kept), extended, || std::format!("{a:?} extended from {kept}"));
        }
    }
}

#[test]
fn joins_and_meets() {
    let all = numbers();
    let (mut joined, mut met, mut widened) =
        (Tightness::default(), Tightness::default(), Tightness::default());
    pairs(&all, 15_000, |(a, set_a), (b, set_b)| {
        let what = || std::format!("{a:?} and {b:?}");
        joined.ask(&a.join(b), set_a | set_b, what);
        widened.ask(&a.widen(b), set_a | set_b, what);
        match a.meet(b) {
            Some(both) => {
                met.ask(&both, set_a & set_b, what);
                assert_eq!(members_of(&both), set_a & set_b, "{a:?} and {b:?}");
            }
            None => assert_eq!(set_a & set_b, 0, "{a:?} and {b:?}"),
        }
        assert!(!a.covers(b) || set_b & !set_a == 0, "{a:?} covers {b:?}");
        let join = a.join(b);
        assert!(join.covers(a) && join.covers(b), "{join:?} of {a:?} and {b:?}");
        let widened = a.widen(b);
        assert!(widened.covers(a) && widened.covers(b), "{widened:?} of {a:?} and {b:?}");
        assert_eq!(join.meet(&join), Some(join), "joins are settled: {a:?} and {b:?}");
    });
    joined.at_least(87, "join");
    met.at_least(100, "meet");
}

/// A chain of widened numbers, each with something new, is short.
#[test]
fn widening_ends() {
    let all = numbers();
    let mut noise = Noise::new(3);
    for _ in 0..200 {
        let mut number = noise.of(&all).0;
        let mut steps = 0;
        for _ in 0..200 {
            let wider = noise.of(&all).0.widen(&number);
            steps += u32::from(wider != number);
            number = wider;
        }
        assert!(steps <= 12, "{steps} steps to {number:?}");
    }
}

/// How often what is certain is decided, and how often what is left is the least, in percent, at both widths.
const COMPARED: [(Cond, [(u32, u32); 2]); 11] = [
    (Cond::Eq, [(92, 99), (76, 96)]),
    (Cond::Ne, [(92, 99), (76, 96)]),
    (Cond::Set, [(53, 80), (71, 92)]),
    (Cond::Gt, [(100, 100), (78, 97)]),
    (Cond::Ge, [(100, 100), (79, 97)]),
    (Cond::Lt, [(100, 100), (79, 97)]),
    (Cond::Le, [(100, 100), (78, 97)]),
    (Cond::Sgt, [(100, 100), (80, 98)]),
    (Cond::Sge, [(100, 100), (80, 98)]),
    (Cond::Slt, [(100, 100), (80, 98)]),
    (Cond::Sle, [(100, 100), (80, 98)]),
];

#[test]
fn compares() {
    let all = numbers();
    for (cond, floors) in COMPARED {
        for (width, (certain, least)) in WIDTHS.into_iter().zip(floors) {
            let mut tightness = Tightness::default();
            let (mut decided, mut decidable) = (0, 0);
            let holds: Vec<bool> =
                (0..256).map(|at| compare(cond, bits_of(width), at >> 4, at & 15)).collect();
            pairs(&all, 5_000, |(a, set_a), (b, set_b)| {
                let what = || std::format!("{a:?} {cond:?} {b:?} at {width:?}");
                let (mut sets, mut answers) = ([(0, 0); 2], [false; 2]);
                for x in members(*set_a) {
                    for y in members(*set_b) {
                        let side = usize::from(holds[(x << 4 | y) as usize]);
                        answers[side] = true;
                        sets[side].0 |= 1 << x;
                        sets[side].1 |= 1 << y;
                    }
                }
                let answer = decide(cond, width, a, b);
                if let Some(answer) = answer {
                    assert!(!answers[usize::from(!answer)], "{} is not certain to be {answer}", what());
                    decided += 1;
                }
                decidable += u32::from(answers[0] != answers[1]);
                for (outcome, (set_a, set_b)) in [Outcome::Fails, Outcome::Holds].into_iter().zip(sets) {
                    let refined = refine(cond, width, outcome, a, b);
                    if b.as_constant().is_some() {
                        let alone = refine_by_constant(cond, width, outcome, a, b);
                        assert_eq!(alone, refined.map(|(a, _)| a), "{} {outcome:?}", what());
                    }
                    match refined {
                        None => assert_eq!((set_a, set_b), (0, 0), "{} {outcome:?}", what()),
                        Some((refined_a, refined_b)) => {
                            assert!(a.covers(&refined_a) && b.covers(&refined_b), "{} {outcome:?}", what());
                            tightness.ask(&refined_a, set_a, what);
                            tightness.ask(&refined_b, set_b, what);
                        }
                    }
                }
            });
            let percent = decided * 100 / decidable;
            assert!(percent >= certain, "{cond:?} {width:?}: decided in {percent} %, not in {certain}");
            tightness.at_least(least, &std::format!("{cond:?} {width:?}"));
        }
    }
}
