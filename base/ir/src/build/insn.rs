//! What each instruction becomes.

use super::Builder;
use super::vars::Var;
use crate::arith::{self, Ordered};
use crate::error::BuildErrorKind;
use crate::source::{Access, Key, LookUp, Region};
use crate::ssa::{MemAddr, Node, Rhs, Val, grow};
use skep_isa::{
    AluOp, AtomicOp, Cond, Endian, Insn, LoadKind, Movsx, Operand, PacketSize, Reg, Size, SwapWidth, Width,
};
use skep_model::MapAccess;

/// Is an address where no memory is.
const NOWHERE: u64 = 1;

impl Builder<'_> {
    /// Returns what a register holds.
    pub(super) fn reg(&self, reg: Reg) -> Result<Val, BuildErrorKind> {
        Ok(Var::reg(reg).map_or(self.frame, |var| self.env[var.index()]))
    }

    fn set(&mut self, reg: Reg, val: Val) -> Result<(), BuildErrorKind> {
        let var = Var::reg(reg).ok_or(BuildErrorKind::FramePointer)?;
        self.env[var.index()] = val;
        Ok(())
    }

    pub(super) fn push(&mut self, node: Node) -> Result<Val, BuildErrorKind> {
        self.out.push(node, self.at)
    }

    /// Builds an instruction that control passes through.
    pub(super) fn insn(&mut self, insn: Insn) -> Result<(), BuildErrorKind> {
        match insn {
            Insn::Alu { width, op: AluOp::Mov, dst, src } => {
                let val = match (src, width) {
                    (Operand::Imm(imm), Width::W64) => self.constant(i64::from(imm) as u64)?,
                    (Operand::Imm(imm), Width::W32) => self.constant(u64::from(imm as u32))?,
                    (Operand::Reg(src), Width::W64) => self.reg(src)?,
                    (Operand::Reg(src), Width::W32) => self.truncate(Size::W, self.reg(src)?)?,
                };
                self.set(dst, val)
            }
            Insn::Alu { width, op, dst, src } => {
                let a = self.reg(dst)?;
                let val = match src {
                    Operand::Imm(imm) => self.alu_imm(op, width, a, imm)?,
                    Operand::Reg(src) => self.alu(op, width, a, self.reg(src)?)?,
                };
                self.set(dst, val)
            }
            Insn::Neg { width, dst } => {
                let val = self.neg(width, self.reg(dst)?)?;
                self.set(dst, val)
            }
            Insn::Movsx { kind, dst, src } => {
                let val = self.sext(kind, self.reg(src)?)?;
                self.set(dst, val)
            }
            Insn::ByteSwap { op, width, dst } => {
                let val = self.byte_swap(op, width, self.reg(dst)?)?;
                self.set(dst, val)
            }
            Insn::LoadImm64 { dst, value } => {
                let val = self.constant(value)?;
                self.set(dst, val)
            }
            Insn::LoadAddr { dst, addr } => {
                let number = self.source.number(insn, addr, self.at);
                let val = self.constant(number.ok_or(BuildErrorKind::UnknownAddress)?)?;
                self.set(dst, val)
            }
            Insn::Load { kind, dst, base, off } => {
                let val = match self.shape.vars.slot(base, off, kind.size()) {
                    Some(var) => self.read_slot(kind, self.env[var.index()])?,
                    None => {
                        let addr = self.access(base, off, kind.size(), false)?;
                        self.push(Node::Load { kind, addr })?
                    }
                };
                self.set(dst, val)
            }
            Insn::Store { size, base, off, src } => self.store(size, base, off, src),
            Insn::Atomic { width, op, base, off, src } => self.atomic(width, op, base, off, src),
            Insn::LoadAcquire { size, dst, base, off } => {
                let addr = self.access(base, off, size, false)?;
                let val = self.push(Node::LoadAcquire { size, addr })?;
                self.set(dst, val)
            }
            Insn::StoreRelease { size, base, off, src } => {
                let addr = self.access(base, off, size, true)?;
                let value = self.reg(src)?;
                self.push(Node::StoreRelease { size, addr, value }).map(drop)
            }
            Insn::CallHelper { id } => {
                if let Some(found) = self.look_up(id) {
                    return self.found(found);
                }
                let count = self.source.link.helper(id).ok_or(BuildErrorKind::UnknownHelper { id })?;
                let args = self.out.push_list(self.env[1..=usize::from(count.min(5))].iter().copied())?;
                self.call(Node::Helper { id, args })
            }
            Insn::CallLocal { .. } => self.call_local(insn),
            Insn::CallReg { reg } if self.options.register_calls => {
                let target = self.reg(reg)?;
                let [_, r1, r2, r3, r4, r5, ..] = self.env[..] else {
                    return Err(BuildErrorKind::TooLarge);
                };
                let args = self.out.push_list([target, r1, r2, r3, r4, r5].into_iter())?;
                self.call(Node::CallReg { args })
            }
            Insn::CallReg { .. } => Err(BuildErrorKind::Unsupported { what: "a call through a register" }),
            Insn::CallKfunc { .. } => {
                Err(BuildErrorKind::Unsupported { what: "a call of a kernel function" })
            }
            Insn::AddrSpaceCast { .. } => Err(BuildErrorKind::Unsupported { what: "addr_space_cast" }),
            Insn::LoadAbs { size, off } if self.source.link.has_packet() => {
                let offset = self.constant(u64::from(off as u32))?;
                self.packet(size, offset)
            }
            Insn::LoadInd { size, src, off } if self.source.link.has_packet() => {
                let offset = self.alu_imm(AluOp::Add, Width::W32, self.reg(src)?, off)?;
                self.packet(size, offset)
            }
            Insn::LoadAbs { .. } | Insn::LoadInd { .. } => {
                Err(BuildErrorKind::Unsupported { what: "a legacy packet load" })
            }
            Insn::Goto { .. }
            | Insn::Gotol { .. }
            | Insn::Gotox { .. }
            | Insn::Branch { .. }
            | Insn::MayGoto { .. }
            | Insn::Exit => Ok(()),
        }
    }

    fn store(&mut self, size: Size, base: Reg, off: i16, src: Operand) -> Result<(), BuildErrorKind> {
        if let Some(var) = self.shape.vars.slot(base, off, size) {
            let val = match src {
                Operand::Imm(imm) => self.constant(arith::truncate(size, i64::from(imm) as u64))?,
                Operand::Reg(src) => self.truncate(size, self.reg(src)?)?,
            };
            self.env[var.index()] = val;
            return Ok(());
        }
        let addr = self.access(base, off, size, true)?;
        let node = match src {
            Operand::Imm(imm) => Node::StoreImm { size, addr, imm },
            Operand::Reg(src) => self.simpler(Node::Store { size, addr, value: self.reg(src)? }),
        };
        self.push(node).map(drop)
    }

    fn atomic(
        &mut self,
        width: Width,
        op: AtomicOp,
        base: Reg,
        off: i16,
        src: Reg,
    ) -> Result<(), BuildErrorKind> {
        let addr = self.access(base, off, width.size(), true)?;
        let value = self.reg(src)?;
        if op == AtomicOp::Cmpxchg {
            let expected = self.env[0];
            self.env[0] = self.push(Node::Cmpxchg { width, addr, expected, src: value })?;
            return Ok(());
        }
        let old = self.push(Node::Atomic { op, width, addr, src: value })?;
        if op.fetches() { self.set(src, old) } else { Ok(()) }
    }

    /// Makes the address of an access, and its check.
    fn access(&mut self, base: Reg, off: i16, size: Size, write: bool) -> Result<MemAddr, BuildErrorKind> {
        let addr = self.address(self.reg(base)?, i32::from(off));
        if self.options.access == Access::Checked {
            self.push(Node::Check { addr, bytes: size.bytes(), write, region: Region::Unknown })?;
        }
        Ok(addr)
    }

    /// Says how a helper's look-up is done without calling it.
    fn look_up(&self, id: u32) -> Option<LookUp> {
        match self.options.access {
            Access::Checked => None,
            Access::Unchecked => self.source.link.look_up(self.at, id),
        }
    }

    /// Finds a value as a helper would.
    fn found(&mut self, LookUp { map, access, key }: LookUp) -> Result<(), BuildErrorKind> {
        let MapAccess::Array { values, stride, entries } = access;
        let passed = self.env[1];
        let index = match key {
            Key::Address => {
                let addr = self.address(self.env[2], 0);
                self.push(Node::Load { kind: LoadKind::U32, addr })?
            }
            Key::Number => self.truncate(Size::W, self.env[2])?,
        };
        let offset = match stride.checked_ilog2().filter(|_| stride.is_power_of_two()) {
            Some(shift) => self.alu_imm(AluOp::Lsh, Width::W64, index, shift as i32)?,
            None => {
                let stride = self.constant(u64::from(stride))?;
                self.alu(AluOp::Mul, Width::W64, index, stride)?
            }
        };
        let values = self.constant(values)?;
        let then = self.alu(AluOp::Add, Width::W64, offset, values)?;
        let b = match i32::try_from(entries) {
            Ok(entries) => Rhs::Imm(entries),
            Err(_) => Rhs::Val(self.constant(u64::from(entries))?),
        };
        let other = self.zero();
        match self.out.constant(index) {
            Some(number) => {
                self.env[0] = if number < u64::from(entries) { then } else { other };
                self.env[1..6].fill(other);
            }
            None => {
                self.call(Node::Select { cond: Cond::Lt, width: Width::W64, a: index, b, then, other })?;
            }
        }
        if cfg!(any(debug_assertions, fuzzing)) && self.out.constant(passed) != Some(map) {
            let (b, then, other) = (Rhs::Val(self.constant(map)?), self.env[0], self.constant(NOWHERE)?);
            self.env[0] =
                self.push(Node::Select { cond: Cond::Eq, width: Width::W64, a: passed, b, then, other })?;
        }
        Ok(())
    }

    fn call_local(&mut self, insn: Insn) -> Result<(), BuildErrorKind> {
        let target = insn.call_target(self.at).and_then(|target| self.source.structure.subprogram_at(target));
        let Some(function) = target else {
            return Err(BuildErrorKind::Unsupported { what: "a call to nowhere" });
        };
        let shapes = self.shapes;
        let params = &shapes[function].params;
        let start = self.out.pool.len() as u32;
        for reg in params {
            grow(&mut self.out.pool, self.env[usize::from(*reg)])?;
        }
        let args = crate::ssa::List { start, len: params.len() as u32 };
        self.call(Node::Call { function: function as u32, args })
    }

    /// Adds a load from the packet, whose context is in r6 (`check_ld_abs` in `kernel/bpf/verifier.c`).
    fn packet(&mut self, size: PacketSize, offset: Val) -> Result<(), BuildErrorKind> {
        let context = self.reg(Reg::R6)?;
        let args = self.out.push_list([context, offset].into_iter())?;
        self.call(Node::Packet { size, args })
    }

    /// Adds a call; what it leaves in r1–r5 nobody may read, and it reads as zero.
    fn call(&mut self, node: Node) -> Result<(), BuildErrorKind> {
        self.env[0] = self.push(node)?;
        let zero = self.zero();
        self.env[1..6].fill(zero);
        Ok(())
    }

    /// Returns the zero that the entry made.
    fn zero(&self) -> Val {
        Val(self.frame.0 + 1)
    }

    /// Extends what a promoted slot holds, which is truncated to its size.
    fn read_slot(&mut self, kind: LoadKind, val: Val) -> Result<Val, BuildErrorKind> {
        match kind {
            LoadKind::U8 | LoadKind::U16 | LoadKind::U32 | LoadKind::U64 => Ok(val),
            LoadKind::S8 => self.sext(Movsx::S8To64, val),
            LoadKind::S16 => self.sext(Movsx::S16To64, val),
            LoadKind::S32 => self.sext(Movsx::S32To64, val),
        }
    }

    fn byte_swap(&mut self, op: Endian, width: SwapWidth, a: Val) -> Result<Val, BuildErrorKind> {
        match arith::ordered(op, width) {
            Ordered::Swapped => self.swap(width, a),
            Ordered::Kept(size) => self.truncate(size, a),
        }
    }
}
