//! What each instruction becomes that control passes through.

use super::Elsewhere;
use super::walk::Walk;
use crate::arith::{self, Ordered};
use crate::machine::RegMask;
use crate::ops::{Arg, Args, Loc, Op};
use crate::ssa::grow;
use skep_isa::{AluOp, AtomicOp, Insn, LoadKind, Movsx, Operand, Reg, Size, Width};

impl Walk<'_> {
    #[inline(always)]
    pub(super) fn insn(&mut self, insn: Insn) -> Result<(), Elsewhere> {
        match insn {
            Insn::Alu { width, op, dst, src } => self.alu(width, op, dst, src),
            Insn::Neg { width, dst } => {
                let dst = self.places.reg(dst);
                self.put(Op::Neg { width, dst, a: dst });
            }
            Insn::Movsx { kind, dst, src } => {
                let (dst, a) = (self.places.reg(dst), self.places.reg(src));
                self.put(Op::Sext { kind, dst, a });
            }
            Insn::ByteSwap { op, width, dst } => {
                let dst = self.places.reg(dst);
                match arith::ordered(op, width) {
                    Ordered::Swapped => self.put(Op::Swap { width, dst, a: dst }),
                    Ordered::Kept(size) => self.keep(size, dst, dst),
                }
            }
            Insn::LoadImm64 { dst, value } => self.constant(dst, value),
            Insn::LoadAddr { dst, addr } => {
                let value = self.source.number(insn, addr, self.at).ok_or(Elsewhere)?;
                self.constant(dst, value);
            }
            Insn::Load { kind, dst, base, off } => {
                let to = self.places.reg(dst);
                match self.shape.vars.slot(base, off, kind.size()) {
                    Some(var) => self.read_slot(kind, to, self.places.var(var)),
                    None => {
                        let base = self.access(base, off, kind.size(), Access::Read);
                        self.put(Op::Load { kind, dst: to, base, off: off.into() });
                    }
                }
            }
            Insn::Store { size, base, off, src } => self.store(size, base, off, src),
            Insn::Atomic { width, op, base, off, src } => self.atomic(width, op, base, off, src),
            Insn::LoadAcquire { size, dst, base, off } => {
                let base = self.access(base, off, size, Access::Read);
                let dst = self.places.reg(dst);
                self.put(Op::LoadAcquire { size, dst, base, off: off.into() });
            }
            Insn::StoreRelease { size, base, off, src } => {
                let base = self.access(base, off, size, Access::Write);
                let src = self.places.reg(src);
                self.put(Op::StoreRelease { size, base, off: off.into(), src });
            }
            Insn::CallHelper { .. } | Insn::CallLocal { .. } | Insn::CallReg { .. } => {
                self.call(insn)?;
            }
            Insn::CallKfunc { .. }
            | Insn::AddrSpaceCast { .. }
            | Insn::LoadAbs { .. }
            | Insn::LoadInd { .. }
            | Insn::Gotox { .. } => return Err(Elsewhere),
            Insn::Goto { .. }
            | Insn::Gotol { .. }
            | Insn::Branch { .. }
            | Insn::MayGoto { .. }
            | Insn::Exit => {}
        }
        Ok(())
    }

    fn constant(&mut self, dst: Reg, value: u64) {
        let dst = self.places.reg(dst);
        self.put(Op::Const { dst, value });
    }

    /// Does `dst = low bytes of a`.
    fn keep(&mut self, size: Size, dst: Loc, a: Loc) {
        match size {
            Size::Dw if dst == a => {}
            Size::Dw => self.put(Op::Move { dst, src: a }),
            size => self.put(Op::Trunc { size, dst, a }),
        }
    }

    fn alu(&mut self, width: Width, op: AluOp, dst: Reg, src: Operand) {
        let to = self.places.reg(dst);
        match (op, src) {
            (AluOp::Mov, Operand::Imm(imm)) => {
                let value = arith::truncate(width.size(), i64::from(imm) as u64);
                self.put(Op::Const { dst: to, value });
            }
            (AluOp::Mov, Operand::Reg(src)) => self.keep(width.size(), to, self.places.reg(src)),
            (op, Operand::Imm(imm)) => self.put(Op::AluImm { op, width, dst: to, a: to, imm }),
            (op, Operand::Reg(src)) if src == dst => {
                let alu = |b| Op::Alu { op, width, dst: to, a: to, b };
                // The second operand must outlive what the machine does first.
                let destroyed = self.machine.destroyed(&alu(to));
                let b = if self.machine.two_address || self.machine.destroys_first && destroyed != RegMask(0)
                {
                    self.put(Op::Move { dst: self.places.aside, src: to });
                    self.places.aside
                } else {
                    to
                };
                self.put(alu(b));
            }
            (op, Operand::Reg(src)) => {
                self.put(Op::Alu { op, width, dst: to, a: to, b: self.places.reg(src) });
            }
        }
    }

    fn store(&mut self, size: Size, base: Reg, off: i16, src: Operand) {
        if let Some(var) = self.shape.vars.slot(base, off, size) {
            let dst = self.places.var(var);
            return match src {
                Operand::Imm(imm) => {
                    let value = arith::truncate(size, i64::from(imm) as u64);
                    self.put(Op::Const { dst, value });
                }
                Operand::Reg(src) => self.keep(size, dst, self.places.reg(src)),
            };
        }
        let base = self.access(base, off, size, Access::Write);
        let off = off.into();
        self.put(match src {
            Operand::Imm(imm) => Op::StoreImm { size, base, off, imm },
            Operand::Reg(src) => Op::Store { size, base, off, src: self.places.reg(src) },
        });
    }

    fn atomic(&mut self, width: Width, op: AtomicOp, base: Reg, off: i16, src: Reg) {
        let base = self.access(base, off, width.size(), Access::Write);
        let (src, off) = (self.places.reg(src), off.into());
        let result = match op {
            AtomicOp::Cmpxchg => self.places.reg(Reg::R0),
            op if op.fetches() => src,
            _ => Loc::NONE,
        };
        // What the machine reads late must not be where it puts the result.
        let is_read = result == src || result == base;
        let dst = if is_read { self.places.aside } else { result };
        self.put(match op {
            AtomicOp::Cmpxchg => Op::Cmpxchg { width, dst, base, off, expected: result, src },
            op => Op::Atomic { op, width, dst, base, off, src },
        });
        if is_read {
            self.put(Op::Move { dst: result, src: dst });
        }
    }

    /// Returns the place of an access's base, behind its check.
    fn access(&mut self, base: Reg, off: i16, size: Size, access: Access) -> Loc {
        let place = self.places.reg(base);
        if self.options.access == crate::Access::Checked && !self.is_own_stack(base, off, size) {
            let (bytes, write) = (size.bytes() as u16, access == Access::Write);
            let region = self.origins.region(base);
            self.put(Op::Check { base: place, off: off.into(), bytes, write, region });
        }
        place
    }

    /// Says whether an access is to the function's own stack, whatever happens: r10 cannot be written.
    fn is_own_stack(&self, base: Reg, off: i16, size: Size) -> bool {
        let from = i64::from(off);
        base == Reg::FP
            && self.shape.vars.uses_stack
            && from >= -i64::from(self.options.stack_bytes)
            && from + i64::from(size.bytes()) <= 0
    }

    /// Puts a call; what it leaves in r1–r5 nobody may read, and it reads as zero.
    fn call(&mut self, insn: Insn) -> Result<(), Elsewhere> {
        let dst = self.places.reg(Reg::R0);
        let op = match insn {
            Insn::CallHelper { id } => {
                let count = self.source.link.helper(id).ok_or(Elsewhere)?;
                let args = self.args(Reg::ALL[1..=usize::from(count.min(5))].iter())?;
                Op::Helper { id, dst, args }
            }
            Insn::CallLocal { .. } => {
                let target = insn.call_target(self.at);
                let function = target.and_then(|target| self.source.structure.subprogram_at(target));
                let function = function.ok_or(Elsewhere)?;
                let takes = self.shapes[function].takes;
                let taken = Reg::ALL[1..=5].iter().filter(|reg| takes >> (reg.number() - 1) & 1 != 0);
                let args = self.args(taken)?;
                Op::Call { function: function as u32, dst, args }
            }
            Insn::CallReg { reg } if self.options.register_calls => {
                let args = self.args([reg].iter().chain(&Reg::ALL[1..=5]))?;
                Op::CallReg { dst, args }
            }
            _ => return Err(Elsewhere),
        };
        self.put(op);
        let live = self.slots.get(self.at.index() + 1).map_or(0, |next| next.live);
        for reg in Reg::ALL[1..=5].iter().filter(|reg| live >> reg.number() & 1 != 0) {
            self.constant(*reg, 0);
        }
        Ok(())
    }

    /// Lists a call's arguments.
    fn args<'r>(&mut self, regs: impl Iterator<Item = &'r Reg>) -> Result<Args, Elsewhere> {
        let start = u32::try_from(self.code.pool.len()).map_err(|_| Elsewhere)?;
        let mut len = 0;
        for reg in regs {
            grow(&mut self.code.pool, Arg::Loc(self.places.reg(*reg))).map_err(|_| Elsewhere)?;
            len += 1;
        }
        Ok(Args { start, len })
    }

    /// Extends what a promoted slot holds, which is truncated to its size.
    fn read_slot(&mut self, kind: LoadKind, dst: Loc, a: Loc) {
        let kind = match kind {
            LoadKind::U8 | LoadKind::U16 | LoadKind::U32 | LoadKind::U64 => {
                return self.put(Op::Move { dst, src: a });
            }
            LoadKind::S8 => Movsx::S8To64,
            LoadKind::S16 => Movsx::S16To64,
            LoadKind::S32 => Movsx::S32To64,
        };
        self.put(Op::Sext { kind, dst, a });
    }
}

/// Says what an access does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}
