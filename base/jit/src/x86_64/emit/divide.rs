//! Division and remainder (RFC 9669 §4.1): by zero the quotient is zero and the remainder the dividend; of the smallest
//! number by minus one, the quotient is that number and the remainder zero. The processor traps on both.
//!
//! The target's [machine](super::super::Target::machine) says that divisions change `rax` and `rdx`, and that the divisor is
//! elsewhere.

use super::alu::bits;
use super::{EmitError, Emitter, Place, SCRATCH, Stub};
use crate::x86_64::{Alu, Cond, Gpr, Inst, Shift, SizedImm, Unary, Width as Bits};
use skep_ir::ops::Loc;
use skep_isa::{AluOp, Width};

/// Is a division that needs no dividing: what its result is.
#[derive(Clone, Copy)]
pub(super) struct Special {
    result: Easy,
    width: Width,
    dst: Place,
    a: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Easy {
    Zero,
    Dividend,
    Negated,
}

/// Says what a division asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Wanted {
    is_signed: bool,
    is_remainder: bool,
}

fn wanted(op: AluOp) -> Wanted {
    Wanted {
        is_signed: matches!(op, AluOp::Sdiv | AluOp::Smod),
        is_remainder: matches!(op, AluOp::Mod | AluOp::Smod),
    }
}

impl Wanted {
    /// Says what dividing by zero gives.
    fn by_zero(self) -> Easy {
        if self.is_remainder { Easy::Dividend } else { Easy::Zero }
    }

    /// Says what dividing by one gives.
    fn by_one(self) -> Easy {
        if self.is_remainder { Easy::Zero } else { Easy::Dividend }
    }

    /// Says what dividing by minus one gives.
    fn by_minus_one(self) -> Easy {
        if self.is_remainder { Easy::Zero } else { Easy::Negated }
    }

    /// Returns where the processor leaves it.
    fn from(self) -> Gpr {
        if self.is_remainder { Gpr::Rdx } else { Gpr::Rax }
    }
}

impl Emitter<'_> {
    pub(super) fn divide(
        &mut self,
        op: AluOp,
        width: Width,
        dst: Loc,
        a: Loc,
        b: Loc,
    ) -> Result<(), EmitError> {
        let wanted = wanted(op);
        let (to, a, b) = (self.place(dst)?, self.place(a)?, self.place(b)?);
        if matches!(b, Place::Reg(Gpr::Rax | Gpr::Rdx | SCRATCH)) {
            return Err(self.malformed());
        }
        let (bits, back) = (bits(width), self.asm.label());
        let special = |result| Special { result, width, dst: to, a };
        match b {
            Place::Reg(reg) => self.put(Inst::test(bits, reg, reg)),
            Place::Slot(mem) => self.put(Inst::alu_imm_to_mem(Alu::Cmp, mem, sized(width, 0))),
        }
        self.aside(Cond::E, |from| Stub::Divide { from, back, special: special(wanted.by_zero()) })?;
        if wanted.is_signed {
            match b {
                Place::Reg(reg) => self.put(Inst::alu_imm(Alu::Cmp, bits, reg, -1)),
                Place::Slot(mem) => self.put(Inst::alu_imm_to_mem(Alu::Cmp, mem, sized(width, -1))),
            }
            self.aside(Cond::E, |from| Stub::Divide { from, back, special: special(wanted.by_minus_one()) })?;
        }
        if a != Place::Reg(Gpr::Rax) {
            self.put(Inst::mov(bits, Gpr::Rax, a));
        }
        if wanted.is_signed {
            self.put(Inst::sign_to_rdx(bits));
            self.put(Inst::unary(Unary::Idiv, bits, b));
        } else {
            self.put_number(Gpr::Rdx, 0);
            self.put(Inst::unary(Unary::Div, bits, b));
        }
        self.set(dst, wanted.from())?;
        self.asm.bind(back);
        Ok(())
    }

    /// Emits what stands aside: one move, or a negation.
    pub(super) fn divide_special(&mut self, special: Special) {
        let Special { result, width, dst, a } = special;
        let to = match dst {
            Place::Reg(reg) => reg,
            Place::Slot(_) => SCRATCH,
        };
        match result {
            Easy::Zero => self.put_number(to, 0),
            // Of 32 bits the upper half becomes zero even where it is at home.
            Easy::Dividend if width == Width::W32 || a != Place::Reg(to) => {
                self.put(Inst::mov(bits(width), to, a));
            }
            Easy::Dividend => {}
            Easy::Negated => {
                if a != Place::Reg(to) {
                    self.put(Inst::mov(bits(width), to, a));
                }
                self.put(Inst::unary(Unary::Neg, bits(width), to));
            }
        }
        if let Place::Slot(mem) = dst {
            self.put(Inst::store(crate::x86_64::Size::B8, mem, to));
        }
    }

    pub(super) fn divide_imm(
        &mut self,
        op: AluOp,
        width: Width,
        dst: Loc,
        a: Loc,
        imm: i32,
    ) -> Result<(), EmitError> {
        let wanted = wanted(op);
        let (to, a) = (self.place(dst)?, self.place(a)?);
        let easy = match imm {
            0 => Some(wanted.by_zero()),
            1 => Some(wanted.by_one()),
            -1 if wanted.is_signed => Some(wanted.by_minus_one()),
            _ => None,
        };
        if let Some(result) = easy {
            self.divide_special(Special { result, width, dst: to, a });
            return Ok(());
        }
        let divisor = match width {
            Width::W32 => u64::from(imm as u32),
            Width::W64 => i64::from(imm) as u64,
        };
        if wanted.is_signed {
            let bits = bits(width);
            if a != Place::Reg(Gpr::Rax) {
                self.put(Inst::mov(bits, Gpr::Rax, a));
            }
            self.put_number(SCRATCH, divisor);
            self.put(Inst::sign_to_rdx(bits));
            self.put(Inst::unary(Unary::Idiv, bits, SCRATCH));
            return self.set(dst, wanted.from());
        }
        match width {
            Width::W32 => self.quotient32(a, divisor),
            Width::W64 => self.quotient64(a, divisor),
        }
        if !wanted.is_remainder {
            return self.set(dst, Gpr::Rdx);
        }
        // The dividend is in the scratch register since before.
        let bits = bits(width);
        match i32::try_from(divisor as i64) {
            Ok(short) => self.put(Inst::imul_imm(bits, Gpr::Rdx, Gpr::Rdx, short)),
            Err(_) => {
                self.put_number(Gpr::Rax, divisor);
                self.put(Inst::imul(bits, Gpr::Rdx, Gpr::Rax));
            }
        }
        self.put(Inst::alu(Alu::Sub, bits, SCRATCH, Gpr::Rdx));
        self.set(dst, SCRATCH)
    }

    /// Leaves the quotient of the low 32 bits in `rdx` and the dividend in the scratch register.
    ///
    /// With m = ⌈2^64 / d⌉, the upper half of x·m is ⌊x / d⌋: m·d exceeds 2^64 by less than d, and x·d is less than 2^64.
    fn quotient32(&mut self, a: Place, divisor: u64) {
        self.put(Inst::mov(Bits::W32, SCRATCH, a));
        self.put_number(Gpr::Rax, u64::MAX / divisor + 1);
        self.put(Inst::unary(Unary::Mul, Bits::W64, SCRATCH));
    }

    /// Leaves the quotient in `rdx` and the dividend in the scratch register (Granlund and Montgomery, "Division by Invariant
    /// Integers using Multiplication", 1994, figure 4.1).
    fn quotient64(&mut self, a: Place, divisor: u64) {
        self.put(Inst::mov(Bits::W64, SCRATCH, a));
        let (reciprocal, shift, long) = reciprocal(divisor);
        self.put_number(Gpr::Rax, reciprocal);
        self.put(Inst::unary(Unary::Mul, Bits::W64, SCRATCH));
        if !long {
            if shift != 0 {
                self.put(Inst::shift_imm(Shift::Shr, Bits::W64, Gpr::Rdx, shift));
            }
            return;
        }
        // The reciprocal has one bit more than a register: ((x - t) / 2 + t) >> (shift - 1).
        self.put(Inst::mov(Bits::W64, Gpr::Rax, SCRATCH));
        self.put(Inst::alu(Alu::Sub, Bits::W64, Gpr::Rax, Gpr::Rdx));
        self.put(Inst::shift_imm(Shift::Shr, Bits::W64, Gpr::Rax, 1));
        self.put(Inst::alu(Alu::Add, Bits::W64, Gpr::Rdx, Gpr::Rax));
        if shift > 1 {
            self.put(Inst::shift_imm(Shift::Shr, Bits::W64, Gpr::Rdx, shift - 1));
        }
    }
}

/// Returns, for a divisor above one, the low 64 bits of a reciprocal, how far the product's upper half is shifted, and whether
/// a bit is missing.
fn reciprocal(divisor: u64) -> (u64, u8, bool) {
    let bits = 64 - (divisor - 1).leading_zeros();
    // The smallest power whose reciprocal, rounded up, errs by little enough for every dividend.
    for shift in 0..bits {
        let power = 1u128 << 64 << shift;
        let up = power.div_ceil(u128::from(divisor));
        let error = up * u128::from(divisor) - power;
        if error <= 1u128 << shift {
            if let Ok(fits) = u64::try_from(up) {
                return (fits, shift as u8, false);
            }
        }
    }
    // 2^(64 + bits) / divisor, rounded up, less 2^64.
    let low = (((1u128 << bits) - u128::from(divisor)) << 64) / u128::from(divisor) + 1;
    (low as u64, bits as u8, true)
}

fn sized(width: Width, imm: i32) -> SizedImm {
    match width {
        Width::W32 => SizedImm::B4(imm),
        Width::W64 => SizedImm::B8(imm),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reciprocals_divide() {
        let edges = [0u64, 1, 2, 3, 6, 7, 9, 10, 1 << 31, 1 << 32, 1 << 63, u64::MAX, 0x1234_5678_9abc_def0];
        let dividends = |d: u64| {
            let near = [d, d.wrapping_mul(2), d.wrapping_mul(0xffff_ffff), u64::MAX / d * d];
            edges.into_iter().chain(near).flat_map(|x| [x.wrapping_sub(1), x, x.wrapping_add(1)])
        };
        let divisors = (2..300)
            .chain([641, 1000, 10_000, 1_000_003, 0x7fff_ffff, 1 << 30])
            .chain((1..300).map(|n: u64| n.wrapping_neg()))
            .chain([0xffff_ffff_8000_0000]);
        for d in divisors {
            let (m, shift, long) = reciprocal(d);
            for x in dividends(d) {
                let t = ((u128::from(m) * u128::from(x)) >> 64) as u64;
                let q = if long { (((x - t) >> 1) + t) >> (shift - 1) } else { t >> shift };
                assert_eq!(q, x / d, "{x} / {d}: {m:x} {shift} {long}");
                if d <= u64::from(u32::MAX) {
                    let x = x & 0xffff_ffff;
                    let q = (u128::from(u64::MAX / d + 1) * u128::from(x)) >> 64;
                    assert_eq!(q as u64, x / d, "{x} / {d}");
                }
            }
        }
    }
}
