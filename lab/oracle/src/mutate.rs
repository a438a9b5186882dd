//! Ways to break a program at one instruction, its length kept.

use skep_isa::{AluOp, Cond, Insn, InsnIdx, LoadKind, Operand, Program, RawInsn, Reg, Size, Width};
use std::fmt;

/// A change of one instruction.
#[derive(Clone, Debug)]
pub struct Mutation {
    /// Where.
    pub at: InsnIdx,
    /// What was there.
    pub was: Insn,
    /// What stands there instead.
    pub is: Insn,
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instruction {}: `{}` became `{}`", self.at, self.was, self.is)
    }
}

impl Mutation {
    /// Makes the change.
    pub fn apply(&self, slots: &[RawInsn]) -> Vec<RawInsn> {
        let mut slots = slots.to_vec();
        let new = self.is.encode().to_vec();
        // A second slot that is no longer one does nothing.
        let rest = Insn::Goto { off: 0 }.encode().to_vec();
        let new = new.into_iter().chain(rest).take(self.was.slots() as usize);
        for (place, slot) in slots.iter_mut().skip(self.at.index()).zip(new) {
            *place = slot;
        }
        slots
    }
}

/// Lists all changes of a program.
pub fn mutations(program: &Program) -> Vec<Mutation> {
    let mut all = Vec::new();
    for (at, was) in program.iter() {
        all.extend(others(was).map(|is| Mutation { at, was, is }));
    }
    all
}

/// What an instruction may be taken for.
pub(crate) fn others(was: Insn) -> impl Iterator<Item = Insn> {
    let mut into = Vec::new();
    changes(was, &mut into);
    into.into_iter().filter(move |is| *is != was && is.slots() <= was.slots())
}

fn changes(insn: Insn, into: &mut Vec<Insn>) {
    const NOTHING: Insn = Insn::Goto { off: 0 };
    match insn {
        Insn::Branch { width, cond, dst, src, off } => {
            // The check is gone, one way or the other.
            into.extend([NOTHING, Insn::Goto { off }]);
            let others = weakened(cond).iter().map(|cond| Insn::Branch { width, cond: *cond, dst, src, off });
            into.extend(others);
            let other = if width == Width::W32 { Width::W64 } else { Width::W32 };
            into.push(Insn::Branch { width: other, cond, dst, src, off });
            if let Operand::Imm(value) = src {
                for by in [-64, -8, -1, 1, 8, 64] {
                    let src = Operand::Imm(value.wrapping_add(by));
                    into.push(Insn::Branch { width, cond, dst, src, off });
                }
                into.push(Insn::Branch { width, cond, dst, src: Operand::Imm(value.wrapping_neg()), off });
            }
        }
        Insn::Load { kind, dst, base, off } => {
            into.push(NOTHING);
            for off in moved(off) {
                into.push(Insn::Load { kind, dst, base, off });
            }
            for kind in [LoadKind::U64, LoadKind::U32, LoadKind::U8, LoadKind::S8] {
                into.push(Insn::Load { kind, dst, base, off });
            }
        }
        Insn::Store { size, base, off, src } => {
            into.push(NOTHING);
            for off in moved(off) {
                into.push(Insn::Store { size, base, off, src });
            }
            for size in [Size::Dw, Size::W, Size::B] {
                into.push(Insn::Store { size, base, off, src });
            }
        }
        Insn::Atomic { width, op, base, off, src } => {
            into.push(NOTHING);
            for off in moved(off) {
                into.push(Insn::Atomic { width, op, base, off, src });
            }
        }
        Insn::Alu { width, op, dst, src } => {
            into.push(NOTHING);
            let other = if width == Width::W32 { Width::W64 } else { Width::W32 };
            into.push(Insn::Alu { width: other, op, dst, src });
            match src {
                Operand::Imm(value) => {
                    for value in [
                        value.wrapping_add(1),
                        value.wrapping_sub(1),
                        value.wrapping_add(8),
                        value.wrapping_sub(8),
                        value.wrapping_mul(2),
                        value.wrapping_mul(2).wrapping_add(1),
                        value.wrapping_neg(),
                        i32::MAX,
                    ] {
                        into.push(Insn::Alu { width, op, dst, src: Operand::Imm(value) });
                    }
                }
                Operand::Reg(_) if op == AluOp::Mov => {
                    into.push(Insn::Alu { width, op, dst, src: Operand::Imm(0) });
                }
                Operand::Reg(_) => {}
            }
            for op in swapped(op) {
                into.push(Insn::Alu { width, op: *op, dst, src });
            }
        }
        Insn::LoadImm64 { dst, value } => {
            for value in [value.wrapping_add(1), value << 1, !value] {
                into.push(Insn::LoadImm64 { dst, value });
            }
        }
        Insn::CallHelper { .. } | Insn::CallLocal { .. } => {
            into.push(NOTHING);
            let src = Operand::Imm(0);
            into.push(Insn::Alu { width: Width::W64, op: AluOp::Mov, dst: Reg::R0, src });
        }
        Insn::Movsx { .. } | Insn::ByteSwap { .. } | Insn::Neg { .. } | Insn::Goto { .. } => {
            into.push(NOTHING);
        }
        _ => {}
    }
}

/// Offsets beside an offset.
fn moved(off: i16) -> impl Iterator<Item = i16> {
    [-8, -4, -1, 1, 2, 4, 8, 64].into_iter().filter_map(move |by| off.checked_add(by))
}

/// Conditions that are easily taken for another.
fn weakened(cond: Cond) -> &'static [Cond] {
    match cond {
        Cond::Eq => &[Cond::Ne, Cond::Le],
        Cond::Ne => &[Cond::Eq, Cond::Gt],
        Cond::Gt => &[Cond::Ge, Cond::Sgt, Cond::Le],
        Cond::Ge => &[Cond::Gt, Cond::Sge, Cond::Lt],
        Cond::Lt => &[Cond::Le, Cond::Slt, Cond::Ge],
        Cond::Le => &[Cond::Lt, Cond::Sle, Cond::Gt],
        Cond::Sgt => &[Cond::Sge, Cond::Gt, Cond::Sle],
        Cond::Sge => &[Cond::Sgt, Cond::Ge, Cond::Slt],
        Cond::Slt => &[Cond::Sle, Cond::Lt, Cond::Sge],
        Cond::Sle => &[Cond::Slt, Cond::Le, Cond::Sgt],
        Cond::Set => &[Cond::Eq, Cond::Ne],
    }
}

/// Operations that are easily taken for another.
fn swapped(op: AluOp) -> &'static [AluOp] {
    match op {
        AluOp::And => &[AluOp::Or, AluOp::Xor],
        AluOp::Or => &[AluOp::And, AluOp::Add],
        AluOp::Add => &[AluOp::Sub, AluOp::Or],
        AluOp::Sub => &[AluOp::Add],
        AluOp::Rsh => &[AluOp::Arsh, AluOp::Lsh],
        AluOp::Lsh => &[AluOp::Rsh],
        AluOp::Arsh => &[AluOp::Rsh],
        AluOp::Mul => &[AluOp::Add, AluOp::Lsh],
        AluOp::Mod => &[AluOp::Div, AluOp::And],
        AluOp::Div => &[AluOp::Mod, AluOp::Mul],
        _ => &[],
    }
}
