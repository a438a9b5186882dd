//! Beside what Linux knows: from the same facts, what is known here is never less.

use super::model::{Bounds, Model, UNKNOWN, all, meet, signed};
use super::wide::value;
use super::{CONDS, Noise, WIDTHS, compare, compute};
use crate::scalar::alu::{alu, neg};
use crate::scalar::arc::Range;
use crate::scalar::bits::Bits;
use crate::scalar::compare::{Outcome, decide, refine};
use crate::scalar::number::Number;
use skep_isa::{AluOp, Cond, Width};

impl Model {
    /// `regs_refine_cond_op`, for `self cond other` that holds.
    fn refine(mut self, cond: Cond, width: Width, mut other: Model) -> (Model, Model) {
        let constant = match width {
            Width::W64 => other.bits,
            Width::W32 => other.bits.subreg(),
        };
        let (a, b) = match width {
            Width::W64 => (&mut self.wide, &mut other.wide),
            Width::W32 => (&mut self.low, &mut other.low),
        };
        match cond {
            Cond::Eq => {
                let (x, y) = (*a, *b);
                for side in [&mut *a, &mut *b] {
                    side.meet_unsigned(x.umin.max(y.umin), x.umax.min(y.umax));
                    side.meet_signed(x.smin.max(y.smin), x.smax.min(y.smax));
                }
                if width == Width::W64 {
                    let (x, y) = (self.low, other.low);
                    for side in [&mut self.low, &mut other.low] {
                        side.meet_unsigned(x.umin.max(y.umin), x.umax.min(y.umax));
                        side.meet_signed(x.smin.max(y.smin), x.smax.min(y.smax));
                    }
                    (self.bits, other.bits) = (meet(self.bits, other.bits), meet(self.bits, other.bits));
                } else {
                    let low = meet(self.bits.subreg(), other.bits.subreg());
                    self.bits = self.bits.with_low(0xffff_ffff, low);
                    other.bits = other.bits.with_low(0xffff_ffff, low);
                }
            }
            Cond::Ne if constant.is_constant() => {
                let value = constant.value;
                a.umin += u64::from(a.umin == value);
                a.umax -= u64::from(a.umax == value);
                a.smin += i64::from(a.smin == signed(width, value));
                a.smax -= i64::from(a.smax == signed(width, value));
            }
            Cond::Set if constant.value.is_power_of_two() && constant.is_constant() => {
                self.bits =
                    Bits { value: self.bits.value | constant.value, mask: self.bits.mask & !constant.value };
            }
            Cond::Ne | Cond::Set => {}
            Cond::Le => (a.umax, b.umin) = (a.umax.min(b.umax), b.umin.max(a.umin)),
            Cond::Lt => (a.umax, b.umin) = (a.umax.min(b.umax - 1), b.umin.max(a.umin + 1)),
            Cond::Sle => (a.smax, b.smin) = (a.smax.min(b.smax), b.smin.max(a.smin)),
            Cond::Slt => (a.smax, b.smin) = (a.smax.min(b.smax - 1), b.smin.max(a.smin + 1)),
            Cond::Ge | Cond::Gt | Cond::Sge | Cond::Sgt => {
                let turned = match cond {
                    Cond::Ge => Cond::Le,
                    Cond::Gt => Cond::Lt,
                    Cond::Sge => Cond::Sle,
                    _ => Cond::Slt,
                };
                let (other, this) = other.refine(turned, width, self);
                return (this, other);
            }
        }
        (self.sync(), other.sync())
    }

    /// What `is_scalar_branch_taken` knows.
    fn decide(&self, cond: Cond, width: Width, other: &Model) -> Option<bool> {
        let (a, b) = match width {
            Width::W64 => (self.wide, other.wide),
            Width::W32 => (self.low, other.low),
        };
        let (bits_a, bits_b) = (self.bits.low(all(width)), other.bits.low(all(width)));
        let apart =
            |a: Bounds, b: Bounds| a.umin > b.umax || a.umax < b.umin || a.smin > b.smax || a.smax < b.smin;
        let certain = |holds: bool, fails: bool| (holds || fails).then_some(holds);
        let equal = if bits_a.is_constant() && bits_b.is_constant() {
            Some(bits_a.value == bits_b.value)
        } else {
            let differ = apart(a, b) || width == Width::W64 && apart(self.low, other.low);
            certain(false, differ)
        };
        match cond {
            Cond::Eq => equal,
            Cond::Ne => equal.map(|equal| !equal),
            Cond::Set if bits_b.is_constant() => {
                certain(bits_a.value & bits_b.value != 0, bits_a.possible() & bits_b.value == 0)
            }
            Cond::Set => None,
            Cond::Gt => certain(a.umin > b.umax, a.umax <= b.umin),
            Cond::Ge => certain(a.umin >= b.umax, a.umax < b.umin),
            Cond::Lt => certain(a.umax < b.umin, a.umin >= b.umax),
            Cond::Le => certain(a.umax <= b.umin, a.umin > b.umax),
            Cond::Sgt => certain(a.smin > b.smax, a.smax <= b.smin),
            Cond::Sge => certain(a.smin >= b.smax, a.smax < b.smin),
            Cond::Slt => certain(a.smax < b.smin, a.smin >= b.smax),
            Cond::Sle => certain(a.smax <= b.smin, a.smin > b.smax),
        }
    }

    /// `reg_set_min_max`: the comparison that holds after the one that came out so.
    fn after(self, cond: Cond, width: Width, outcome: Outcome, other: Model) -> (Model, Model) {
        let inverse = match (cond, outcome) {
            (_, Outcome::Holds) => cond,
            (Cond::Eq, _) => Cond::Ne,
            (Cond::Ne, _) => Cond::Eq,
            (Cond::Gt, _) => Cond::Le,
            (Cond::Ge, _) => Cond::Lt,
            (Cond::Lt, _) => Cond::Ge,
            (Cond::Le, _) => Cond::Gt,
            (Cond::Sgt, _) => Cond::Sle,
            (Cond::Sge, _) => Cond::Slt,
            (Cond::Slt, _) => Cond::Sge,
            (Cond::Sle, _) => Cond::Sgt,
            (Cond::Set, _) => {
                // Where the constant has ones, there are none.
                let constant = other.bits.low(all(width));
                let mut this = self;
                if constant.is_constant() {
                    this.bits = Bits { value: this.bits.value, mask: this.bits.mask & !constant.value };
                }
                return (this.sync(), other);
            }
        };
        if inverse == Cond::Ne && self.bits.low(all(width)).is_constant() {
            // Linux turns the sides around so that the constant is the second.
            let (other, this) = other.refine(inverse, width, self);
            return (this, other);
        }
        self.refine(inverse, width, other)
    }

    /// The same facts, here.
    fn number(&self) -> Option<Number> {
        let wide = Bounds::range::<64>(self.wide)?;
        let low = Bounds::range::<32>(self.low)?;
        Some(Number::of(self.bits, wide, low))
    }

    /// Says whether `number` knows no less.
    fn is_known_by(&self, number: &Number) -> bool {
        let low = (u64::from(number.u32_min()), u64::from(number.u32_max()));
        self.wide.umin <= number.umin()
            && number.umax() <= self.wide.umax
            && self.wide.smin <= number.smin()
            && number.smax() <= self.wide.smax
            && self.low.umin <= low.0
            && low.1 <= self.low.umax
            && self.low.smin <= number.s32_min().into()
            && i64::from(number.s32_max()) <= self.low.smax
            && self.bits.covers(number.bits())
    }
}

impl Bounds {
    fn range<const W: u32>(self) -> Option<Range<W>> {
        Range { umin: self.umin, umax: self.umax, smin: self.smin, smax: self.smax }.settle()
    }
}

/// What Linux might know of a number that may be `value`.
fn model_around(noise: &mut Noise, value: u64) -> Model {
    if noise.below(4) == 0 {
        return Model::constant(value);
    }
    let mut model = UNKNOWN;
    for _ in 0..=noise.below(3) {
        let other = self::value(noise);
        let (a, b) = (value as i64, other as i64);
        let (low, other_low) = (value as u32, other as u32);
        match noise.below(5) {
            0 => model.wide.meet_unsigned(value.min(other), value.max(other)),
            1 => model.wide.meet_signed(a.min(b), a.max(b)),
            2 => model.low.meet_unsigned(low.min(other_low).into(), low.max(other_low).into()),
            3 => {
                let (a, b) = (low as i32, other_low as i32);
                model.low.meet_signed(a.min(b).into(), a.max(b).into());
            }
            _ => model.bits = Bits { value: value & !other, mask: other },
        }
    }
    model.sync()
}

/// Asks both in random programs of one register and fresh operands, run on one input.
#[test]
fn linux_knows_no_more() {
    const OPS: [AluOp; 9] = [
        AluOp::Add,
        AluOp::Sub,
        AluOp::Mul,
        AluOp::And,
        AluOp::Or,
        AluOp::Xor,
        AluOp::Lsh,
        AluOp::Rsh,
        AluOp::Arsh,
    ];
    let mut noise = Noise::new(21);
    let (mut same, mut more) = (0, 0);
    for _ in 0..8_000 {
        let mut x = value(&mut noise);
        let mut model = model_around(&mut noise, x);
        let Some(mut number) = model.number() else { panic!("{model:?} may be {x:#x}") };
        assert!(model.is_known_by(&number), "{model:?} is {number:?}");
        for _ in 0..4 {
            let y = if noise.below(3) == 0 { x } else { value(&mut noise) };
            let operand = model_around(&mut noise, y);
            let Some(beside) = operand.number() else { panic!("{operand:?} may be {y:#x}") };
            let width = noise.of(&WIDTHS);
            let (before, number_before) = (model, number);
            let what;
            if noise.below(2) == 0 {
                let op = noise.of(&OPS);
                what = alloc::format!("{op:?} at {width:?}");
                number = alu(op, width, &number, &beside);
                x = compute(op, width.bits(), x, y);
                let known =
                    before.bits.low(all(width)).is_constant() && operand.bits.low(all(width)).is_constant();
                model = if known { Model::constant(x) } else { model.alu(op, width, operand) };
            } else {
                let cond = noise.of(&CONDS);
                let holds = compare(cond, width.bits(), x, y);
                what = alloc::format!("{cond:?} at {width:?}, {holds}");
                let answer = model.decide(cond, width, &operand);
                assert!(
                    answer.is_none() || decide(cond, width, &number, &beside) == answer,
                    "{model:?} {what} {operand:?} is certain"
                );
                let outcome = if holds { Outcome::Holds } else { Outcome::Fails };
                let refined = refine(cond, width, outcome, &number, &beside);
                let Some((a, b)) = refined else { panic!("{model:?} {what} {operand:?} is possible") };
                let (model_a, model_b) = model.after(cond, width, outcome, operand);
                assert!(model_b.is_known_by(&b), "{operand:?} after {model:?} {what}: {model_b:?} and {b:?}");
                (number, model) = (a, model_a);
            }
            let what = || {
                alloc::format!(
                    "{before:?} {what} {operand:?}\nfrom {number_before:?}\nand {beside:?}\nis {model:?}\nand {number:?}"
                )
            };
            assert!(model.is_known_by(&number), "{}", what());
            let exactly = model.number().is_some_and(|known| known == number);
            (same, more) = (same + u32::from(exactly), more + u32::from(!exactly));
        }
        assert!(number.contains(x));
        assert!(Model::constant(0).alu(AluOp::Sub, Width::W64, model).is_known_by(&neg(Width::W64, &number)));
    }
    assert!(more > same / 4, "as much {same} times, more {more} times");
}
