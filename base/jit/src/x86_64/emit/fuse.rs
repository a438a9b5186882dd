//! Operations that the processor does in one: scaled sums, and loads as operands.
//!
//! A load is still executed exactly once, and in its place among the others.

use super::frame::Entered;
use super::live::{self, Registers};
use super::memory::Sum;
use super::{EmitError, Emitter, Place, SCRATCH};
use crate::x86_64::{Alu, Index, Inst, Mem, Scale, Width as Bits};
use skep_ir::ops::{Loc, Op};
use skep_isa::{AluOp, Cond, LoadKind, Width};

impl Emitter<'_> {
    /// Does the operation together with the one behind it, if that can be; which is skipped then.
    pub(super) fn fuse(&mut self) -> Result<bool, EmitError> {
        let next = self.index + 1;
        let (Some(&op), Some(&behind)) =
            (self.code.ops.get(self.index as usize), self.code.ops.get(next as usize))
        else {
            return Ok(false);
        };
        let Some(first) = op.result().filter(|loc| *loc != Loc::SCRATCH && !self.is_target(next)) else {
            return Ok(false);
        };
        // What only the second one reads, and once, need not be anywhere.
        let is_gone = behind.result() == Some(first) || !self.is_live(next, first);
        let (alu, width, dst, a, b) = match (op, behind) {
            (_, Op::Alu { op, width, dst, a, b }) => (op, width, dst, a, b),
            (load, Op::Swap { width, dst, a }) if a == first && is_gone && self.is_register(first)? => {
                return self.load_swapped(load, width, dst);
            }
            (Op::Swap { width, a, .. }, Op::Store { base, src, .. })
                if src == first && base != first && is_gone && self.is_register(first)? =>
            {
                return self.store_swapped(width, a, behind);
            }
            (Op::Swap { width, a, .. }, Op::StoreSum { base, index, src, .. })
                if src == first
                    && base != first
                    && index != first
                    && is_gone
                    && self.is_register(first)? =>
            {
                return self.store_swapped(width, a, behind);
            }
            _ => return self.fuse_branch(op, behind, first),
        };
        let commutes = matches!(alu, AluOp::Add | AluOp::And | AluOp::Or | AluOp::Xor | AluOp::Mul);
        let other = match (a == first, b == first) {
            (false, true) if commutes || alu == AluOp::Sub => a,
            (true, false) if commutes => b,
            _ => return Ok(false),
        };
        let (Place::Reg(_), Place::Reg(to), Place::Reg(from)) =
            (self.place(first)?, self.place(dst)?, self.place(other)?)
        else {
            return Ok(false);
        };
        if !is_gone {
            return Ok(false);
        }
        let mem = match op {
            Op::AluImm { op: AluOp::Lsh, width: Width::W64, a: index, imm: imm @ 1..=3, .. }
                if (alu, width) == (AluOp::Add, Width::W64) =>
            {
                let Place::Reg(index) = self.place(index)? else { return Ok(false) };
                let Some(index) = Index::new(index) else { return Ok(false) };
                let scaled = Mem::indexed(from, index, Scale::ALL[imm as usize], 0);
                self.put(Inst::lea(Bits::W64, to, scaled));
                self.skip = 1;
                return Ok(true);
            }
            Op::Load { kind, base, off, .. } if fits(kind, width) => {
                Mem::base(self.read(base, SCRATCH)?, off)
            }
            Op::LoadSum { kind, base, index, scale, off, .. } if fits(kind, width) => {
                self.sum(Sum { base, index, scale, off })?
            }
            _ => return Ok(false),
        };
        let is_read = match mem {
            Mem::Base { base, .. } => base == to,
            Mem::Indexed { base, index, .. } => base == to || index.reg() == to,
            _ => false,
        };
        if from != to && is_read {
            return Ok(false);
        }
        self.skip = 1;
        self.operate(alu, width, to, from, mem);
        Ok(true)
    }

    /// Says whether a value is in a register; it is known then who reads it.
    fn is_register(&self, loc: Loc) -> Result<bool, EmitError> {
        Ok(matches!(self.place(loc)?, Place::Reg(_)))
    }

    /// Does an operation together with the branch behind it, which alone reads its result.
    fn fuse_branch(&mut self, op: Op, branch: Op, first: Loc) -> Result<bool, EmitError> {
        let next = self.index + 1;
        let (Op::BranchImm { .. } | Op::Branch { .. }) = branch else { return Ok(false) };
        if self.is_live(next, first) {
            return Ok(false);
        }
        if !self.is_register(first)? {
            return Ok(false);
        }
        let (cond, to) = match (op, branch) {
            // Some bits and nothing: what asks for bits asks for no result.
            (
                Op::AluImm { op: AluOp::And, width, a, imm, .. },
                Op::BranchImm { cond: cond @ (Cond::Eq | Cond::Ne), width: compared, a: tested, imm: 0, to },
            ) if tested == first => {
                self.branch_imm(Cond::Set, narrower(width, compared), a, imm)?;
                (cond, to)
            }
            (
                Op::Alu { op: AluOp::And, width, a, b, .. },
                Op::BranchImm { cond: cond @ (Cond::Eq | Cond::Ne), width: compared, a: tested, imm: 0, to },
            ) if tested == first => {
                self.branch(Cond::Set, narrower(width, compared), a, b)?;
                (cond, to)
            }
            (Op::Load { kind, .. } | Op::LoadSum { kind, .. }, Op::Branch { cond, width, a, b, to })
                if fits(kind, width) && a != b =>
            {
                let other = if a == first { b } else { a };
                let Place::Reg(other) = self.place(other)? else { return Ok(false) };
                let mem = match op {
                    Op::Load { base, off, .. } => Mem::base(self.read(base, SCRATCH)?, off),
                    Op::LoadSum { base, index, scale, off, .. } => {
                        self.sum(Sum { base, index, scale, off })?
                    }
                    _ => return Ok(false),
                };
                let size = super::memory::size(width.size());
                let bits = super::alu::bits(width);
                match (cond, a == first) {
                    (Cond::Set, _) => self.put(Inst::test(bits, mem, other)),
                    (_, true) => self.put(Inst::alu_to_mem(Alu::Cmp, size, mem, other)),
                    (_, false) => self.put(Inst::alu(Alu::Cmp, bits, other, mem)),
                }
                (cond, to)
            }
            _ => return Ok(false),
        };
        self.index = next;
        let (flag, to) = self.direct(super::flow::flag(cond), to);
        self.jump_if(flag, to)?;
        self.skip += 1;
        Ok(true)
    }

    /// Says whether a register is read after an operation of the function.
    fn is_live(&self, index: u32, loc: Loc) -> bool {
        let after = self.live.get((index - self.first) as usize).map_or(Registers::MAX, |step| step.after);
        after & live::one(loc, self.target.registers()) != 0
    }

    /// Says whether something leads to an operation.
    pub(super) fn is_target(&self, index: u32) -> bool {
        self.program.targets.get(index as usize).is_some_and(|entered| *entered != Entered::Never)
    }
}

/// Returns the width that two operations, one after the other, leave of a value.
fn narrower(first: Width, second: Width) -> Width {
    if first == Width::W32 { first } else { second }
}

/// Says whether what is loaded is as wide as the operation.
fn fits(kind: LoadKind, width: Width) -> bool {
    matches!((kind, width), (LoadKind::U64, Width::W64) | (LoadKind::U32, Width::W32))
}
