//! A model of `struct bpf_reg_state`'s numbers: what `kernel/bpf/verifier.c` of Linux 6.18 knows of them, and what it computes.

use crate::scalar::bits::Bits;
use skep_isa::{AluOp, Width};

/// Bounds of one width, independent of each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Bounds {
    pub(super) umin: u64,
    pub(super) umax: u64,
    pub(super) smin: i64,
    pub(super) smax: i64,
}

/// A number as Linux holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Model {
    pub(super) wide: Bounds,
    pub(super) low: Bounds,
    pub(super) bits: Bits,
}

pub(super) const FULL: Bounds = Bounds { umin: 0, umax: u64::MAX, smin: i64::MIN, smax: i64::MAX };
pub(super) const FULL_LOW: Bounds =
    Bounds { umin: 0, umax: 0xffff_ffff, smin: i32::MIN as i64, smax: i32::MAX as i64 };
const UPPER: u64 = 0xffff_ffff_0000_0000;
pub(super) const UNKNOWN: Model = Model { wide: FULL, low: FULL_LOW, bits: Bits::UNKNOWN };

/// Reads bits as a signed number of a width.
pub(super) fn signed(width: Width, value: u64) -> i64 {
    super::signed(width.bits(), value) as i64
}

pub(super) fn all(width: Width) -> u64 {
    super::mask(width.bits())
}

impl Bounds {
    pub(super) fn full(width: Width) -> Bounds {
        match width {
            Width::W32 => FULL_LOW,
            Width::W64 => FULL,
        }
    }

    pub(super) fn constant(width: Width, value: u64) -> Bounds {
        let value = value & all(width);
        Bounds { umin: value, umax: value, smin: signed(width, value), smax: signed(width, value) }
    }

    pub(super) fn meet_unsigned(&mut self, low: u64, high: u64) {
        (self.umin, self.umax) = (self.umin.max(low), self.umax.min(high));
    }

    pub(super) fn meet_signed(&mut self, low: i64, high: i64) {
        (self.smin, self.smax) = (self.smin.max(low), self.smax.min(high));
    }

    /// `__update_reg32_bounds`, `__update_reg64_bounds`.
    pub(super) fn update(&mut self, width: Width, bits: Bits) {
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
    pub(super) fn deduce(&mut self, width: Width) {
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
    /// One number.
    pub(super) fn constant(value: u64) -> Model {
        Model {
            wide: Bounds::constant(Width::W64, value),
            low: Bounds::constant(Width::W32, value),
            bits: Bits::constant(value),
        }
    }

    /// `reg_bounds_sync`.
    pub(super) fn sync(mut self) -> Model {
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

    pub(super) fn update(&mut self) {
        self.low.update(Width::W32, self.bits);
        self.wide.update(Width::W64, self.bits);
    }

    /// The first half of `__reg32_deduce_bounds`.
    pub(super) fn deduce_low(&mut self) {
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
    pub(super) fn deduce_mixed(&mut self) {
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
    pub(super) fn alu(self, op: AluOp, width: Width, other: Model) -> Model {
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
    pub(super) fn cut(self, width: Width) -> Model {
        if width == Width::W64 {
            return self;
        }
        let low = self.low;
        let (smin, smax) = if low.smin >= 0 { (low.smin, low.smax) } else { (0, 0xffff_ffff) };
        Model { wide: Bounds { umin: low.umin, umax: low.umax, smin, smax }, low, bits: self.bits.subreg() }
    }
}

/// `tnum_intersect`.
pub(super) fn meet(a: Bits, b: Bits) -> Bits {
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
