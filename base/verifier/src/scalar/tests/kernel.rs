//! Beside what Linux knows: a model of `struct bpf_reg_state`'s numbers as `kernel/bpf/verifier.c` of Linux 6.18 computes
//! with them. From the same facts, what is known here is never less.

use super::wide::value;
use super::{CONDS, Noise, WIDTHS, compare, compute};
use crate::scalar::alu::{alu, neg};
use crate::scalar::arc::Range;
use crate::scalar::bits::Bits;
use crate::scalar::compare::{Outcome, decide, refine};
use crate::scalar::number::Number;
use skep_isa::{AluOp, Cond, Width};

/// Bounds of one width, independent of each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Bounds {
    umin: u64,
    umax: u64,
    smin: i64,
    smax: i64,
}

/// A number as Linux holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Model {
    wide: Bounds,
    low: Bounds,
    bits: Bits,
}

const FULL: Bounds = Bounds { umin: 0, umax: u64::MAX, smin: i64::MIN, smax: i64::MAX };
const FULL_LOW: Bounds = Bounds { umin: 0, umax: 0xffff_ffff, smin: i32::MIN as i64, smax: i32::MAX as i64 };
const UPPER: u64 = 0xffff_ffff_0000_0000;
const UNKNOWN: Model = Model { wide: FULL, low: FULL_LOW, bits: Bits::UNKNOWN };

/// Reads bits as a signed number of a width.
fn signed(width: Width, value: u64) -> i64 {
    super::signed(width.bits(), value) as i64
}

fn all(width: Width) -> u64 {
    super::mask(width.bits())
}

impl Bounds {
    fn full(width: Width) -> Bounds {
        match width {
            Width::W32 => FULL_LOW,
            Width::W64 => FULL,
        }
    }

    fn constant(width: Width, value: u64) -> Bounds {
        let value = value & all(width);
        Bounds { umin: value, umax: value, smin: signed(width, value), smax: signed(width, value) }
    }

    fn meet_unsigned(&mut self, low: u64, high: u64) {
        (self.umin, self.umax) = (self.umin.max(low), self.umax.min(high));
    }

    fn meet_signed(&mut self, low: i64, high: i64) {
        (self.smin, self.smax) = (self.smin.max(low), self.smax.min(high));
    }

    /// `__update_reg32_bounds`, `__update_reg64_bounds`.
    fn update(&mut self, width: Width, bits: Bits) {
        let bits = bits.low(all(width));
        let sign = all(width) ^ (all(width) >> 1);
        self.meet_signed(
            signed(width, bits.value | bits.mask & sign),
            signed(width, bits.value | bits.mask & !sign),
        );
        self.meet_unsigned(bits.value, bits.possible());
    }

    /// What unsigned and signed bounds say of each other where they do not pass the other's border; at 64 bits, since 6.17,
    /// where they meet on one side only too (`__reg32_deduce_bounds`, `__reg64_deduce_bounds`).
    fn deduce(&mut self, width: Width) {
        if signed(width, self.umin) <= signed(width, self.umax) {
            self.meet_signed(signed(width, self.umin), signed(width, self.umax));
        }
        let (low, high) = (self.smin as u64 & all(width), self.smax as u64 & all(width));
        if low <= high {
            self.meet_unsigned(low, high);
        } else if width == Width::W64 {
            if self.umax < low {
                self.smin = signed(width, self.umin);
                self.umax = self.umax.min(high);
            } else if high < self.umin {
                self.smax = signed(width, self.umax);
                self.umin = self.umin.max(low);
            }
        }
    }
}

impl Model {
    /// `reg_bounds_sync`.
    fn sync(mut self) -> Model {
        self.update();
        for _ in 0..3 {
            self.deduce_low();
            self.low.deduce(Width::W32);
            self.wide.deduce(Width::W64);
            self.deduce_mixed();
        }
        // `__reg_bound_offset`.
        let wide = meet(self.bits, Bits::of_range(self.wide.umin, self.wide.umax));
        let low = meet(wide.subreg(), Bits::of_range(self.low.umin, self.low.umax));
        self.bits = wide.with_low(0xffff_ffff, low);
        self.update();
        self
    }

    fn update(&mut self) {
        self.low.update(Width::W32, self.bits);
        self.wide.update(Width::W64, self.bits);
    }

    /// The first half of `__reg32_deduce_bounds`.
    fn deduce_low(&mut self) {
        let wide = self.wide;
        let (umin, umax) = (wide.umin as u32, wide.umax as u32);
        if wide.umin >> 32 == wide.umax >> 32 {
            self.low.meet_unsigned(umin.into(), umax.into());
            if umin as i32 <= umax as i32 {
                self.low.meet_signed((umin as i32).into(), (umax as i32).into());
            }
        }
        let (smin, smax) = (wide.smin as u32, wide.smax as u32);
        if wide.smin >> 32 == wide.smax >> 32 {
            if smin <= smax {
                self.low.meet_unsigned(smin.into(), smax.into());
            }
            if smin as i32 <= smax as i32 {
                self.low.meet_signed((smin as i32).into(), (smax as i32).into());
            }
        }
        let follows = |low: u64, high: u64| ((low >> 32) as u32).wrapping_add(1) == (high >> 32) as u32;
        if follows(wide.umin, wide.umax) && (umin as i32) < 0 && umax as i32 >= 0 {
            self.low.meet_signed((umin as i32).into(), (umax as i32).into());
        }
        if follows(wide.smin as u64, wide.smax as u64) && (smin as i32) < 0 && smax as i32 >= 0 {
            self.low.meet_signed((smin as i32).into(), (smax as i32).into());
        }
    }

    /// `__reg_deduce_mixed_bounds`.
    fn deduce_mixed(&mut self) {
        let (low, wide) = (self.low, &mut self.wide);
        wide.meet_unsigned(wide.umin & UPPER | low.umin, wide.umax & UPPER | low.umax);
        wide.meet_signed(
            (wide.smin as u64 & UPPER | low.umin) as i64,
            (wide.smax as u64 & UPPER | low.umax) as i64,
        );
        let fits = wide.smin >= FULL_LOW.smin && wide.smax <= FULL_LOW.smax;
        if low.smin >= 0 && fits {
            *wide = Bounds { umin: low.smin as u64, umax: low.smax as u64, smin: low.smin, smax: low.smax };
            self.bits = meet(self.bits, Bits::of_range(wide.umin, wide.umax));
        }
    }

    /// `adjust_scalar_min_max_vals`, of two numbers that are not both known.
    fn alu(self, op: AluOp, width: Width, other: Model) -> Model {
        let amount = match width {
            Width::W64 => other.bits,
            Width::W32 => other.bits.subreg(),
        };
        let by = match op {
            AluOp::Lsh | AluOp::Rsh | AluOp::Arsh
                if !amount.is_constant() || amount.value >= u64::from(width.bits()) =>
            {
                return UNKNOWN.cut(width).sync();
            }
            _ => amount.value as u32,
        };
        let (a, b) = (self.bits, other.bits);
        let bits = match op {
            AluOp::Add => a.add(b),
            AluOp::Sub => a.sub(b),
            AluOp::Mul => product(a, b),
            AluOp::And => a.and(b),
            AluOp::Or => a.or(b),
            AluOp::Xor => a.xor(b),
            AluOp::Lsh => a.shl(by),
            AluOp::Rsh if width == Width::W32 => a.subreg().shr(by),
            AluOp::Rsh => a.shr(by),
            AluOp::Arsh => a.low(all(width)).sar(by, width.bits()),
            AluOp::Mov => b,
            AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod => Bits::UNKNOWN,
        };
        let bounds = |width, a: Bounds, b: Bounds| bounds(op, width, by, bits.low(all(width)), a, b);
        let mut result = Model {
            wide: bounds(Width::W64, self.wide, other.wide),
            low: bounds(Width::W32, self.low, other.low),
            bits,
        };
        if width == Width::W64 {
            if matches!(op, AluOp::Rsh | AluOp::Arsh) {
                result.low = FULL_LOW;
            }
            if op == AluOp::Lsh && by == 32 {
                // `__scalar64_min_max_lsh`.
                (result.wide.smin, result.wide.smax) = (self.low.smin << 32, self.low.smax << 32);
            }
        }
        result.update();
        result.cut(width).sync()
    }

    /// `zext_32_to_64`.
    fn cut(self, width: Width) -> Model {
        if width == Width::W64 {
            return self;
        }
        let low = self.low;
        let (smin, smax) = if low.smin >= 0 { (low.smin, low.smax) } else { (0, 0xffff_ffff) };
        Model { wide: Bounds { umin: low.umin, umax: low.umax, smin, smax }, low, bits: self.bits.subreg() }
    }

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

/// `tnum_intersect`.
fn meet(a: Bits, b: Bits) -> Bits {
    let mask = a.mask & b.mask;
    Bits { value: (a.value | b.value) & !mask, mask }
}

/// `tnum_mul`, which goes over the bits of the destination.
fn product(a: Bits, b: Bits) -> Bits {
    (0..64).fold(Bits::constant(0), |sum, at| {
        let with = sum.add(b.shl(at));
        match (a.value >> at & 1, a.mask >> at & 1) {
            (1, _) => with,
            (_, 1) => sum.join(with),
            _ => sum,
        }
    })
}

/// `scalar_min_max_add` and its like, `scalar32_min_max_add` and its.
fn bounds(op: AluOp, width: Width, by: u32, bits: Bits, a: Bounds, b: Bounds) -> Bounds {
    let full = Bounds::full(width);
    // Both ends, if they agree on whether they pass the border.
    let unsigned = |low: i128, high: i128| {
        let modulus = 1 << width.bits();
        if low.div_euclid(modulus) == high.div_euclid(modulus) {
            (low.rem_euclid(modulus) as u64, high.rem_euclid(modulus) as u64)
        } else {
            (full.umin, full.umax)
        }
    };
    let signed_ends = |low: i128, high: i128| {
        let border = 1 << (width.bits() - 1);
        if (low + border).div_euclid(2 * border) == (high + border).div_euclid(2 * border) {
            (signed(width, low as u64), signed(width, high as u64))
        } else {
            (full.smin, full.smax)
        }
    };
    let wide = |bounds: Bounds| {
        [i128::from(bounds.umin), bounds.umax.into(), bounds.smin.into(), bounds.smax.into()]
    };
    let ([a_umin, a_umax, a_smin, a_smax], [b_umin, b_umax, b_smin, b_smax]) = (wide(a), wide(b));
    let ((umin, umax), (smin, smax)) = match op {
        AluOp::Add => {
            (unsigned(a_umin + b_umin, a_umax + b_umax), signed_ends(a_smin + b_smin, a_smax + b_smax))
        }
        AluOp::Sub => {
            (unsigned(a_umin - b_umax, a_umax - b_umin), signed_ends(a_smin - b_smax, a_smax - b_smin))
        }
        AluOp::Mul => {
            let unsigned = match a_umax.checked_mul(b_umax) {
                Some(high) if high <= full.umax.into() => ((a_umin * b_umin) as u64, high as u64),
                _ => (full.umin, full.umax),
            };
            let corners = [a_smin * b_smin, a_smin * b_smax, a_smax * b_smin, a_smax * b_smax];
            let fits = corners.iter().all(|corner| (full.smin.into()..=full.smax.into()).contains(corner));
            let (low, high) = (corners.iter().min(), corners.iter().max());
            let signed = match (low, high) {
                (Some(low), Some(high)) if fits => (*low as i64, *high as i64),
                _ => (full.smin, full.smax),
            };
            (unsigned, signed)
        }
        AluOp::And | AluOp::Or | AluOp::Xor => {
            if bits.is_constant() {
                return Bounds::constant(width, bits.value);
            }
            let (low, high) = match op {
                AluOp::And => (bits.value, a.umax.min(b.umax)),
                AluOp::Or => (a.umin.max(b.umin), bits.possible()),
                _ => (bits.value, bits.possible()),
            };
            let ordered = signed(width, low) <= signed(width, high);
            let signed =
                if ordered { (signed(width, low), signed(width, high)) } else { (full.smin, full.smax) };
            ((low, high), signed)
        }
        AluOp::Lsh if by < width.bits() => {
            let fits = a.umax <= 1 << (width.bits() - 1 - by);
            (if fits { (a.umin << by, a.umax << by) } else { (full.umin, full.umax) }, (full.smin, full.smax))
        }
        AluOp::Rsh if by < width.bits() => ((a.umin >> by, a.umax >> by), (full.smin, full.smax)),
        AluOp::Arsh if by < width.bits() => ((full.umin, full.umax), (a.smin >> by, a.smax >> by)),
        AluOp::Mov => ((b.umin, b.umax), (b.smin, b.smax)),
        _ => return full,
    };
    Bounds { umin, umax, smin, smax }
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

impl Model {
    fn constant(value: u64) -> Model {
        Model {
            wide: Bounds::constant(Width::W64, value),
            low: Bounds::constant(Width::W32, value),
            bits: Bits::constant(value),
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
}
