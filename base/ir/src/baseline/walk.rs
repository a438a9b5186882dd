//! From one instruction to the next: where a function is entered, jumps, fuel.

use super::Elsewhere;
use super::origins::Origins;
use super::places::Places;
use super::scan::{Entered, Shape, Slot};
use crate::build::MAX_LOOPS;
use crate::fuel;
use crate::lower::inverse;
use crate::machine::Machine;
use crate::ops::{Code, FunctionCode, Loc, Op, OpIdx};
use crate::source::{Access, Metering, Options, Source};
use crate::ssa::grow;
use alloc_crate::vec::Vec;
use skep_isa::{AluOp, Cond, Insn, InsnIdx, Operand, Reg, Width};

/// Stands for a target that is not placed yet.
const UNPLACED: OpIdx = OpIdx(u32::MAX);

/// Bounds the operations of one instruction, and of a function's entry besides those for its variables: no call is more
/// than itself and five registers, and no entry more than ten registers, the frame pointer and fuel.
const LARGEST: usize = 16;

/// Bounds all operations but the last few, so that each has a number.
const MOST: usize = i32::MAX as usize;

/// Says what is taken for granted at heads of loops.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heads {
    /// That what is only moved on points where it did.
    Assumed,
    /// Nothing.
    Unknown,
}

/// Makes the operations of one function after the other.
pub(super) struct Walk<'w> {
    pub(super) source: Source<'w>,
    pub(super) options: &'w Options,
    pub(super) machine: &'w Machine,
    pub(super) shapes: &'w [Shape],
    pub(super) shape: &'w Shape,
    pub(super) slots: &'w mut [Slot],
    pub(super) places: Places,
    pub(super) code: &'w mut Code,
    /// Holds the jumps and branches to slots.
    pending: Vec<(OpIdx, InsnIdx)>,
    /// Says what registers point to, here.
    pub(super) origins: Origins,
    heads: Heads,
    /// Says that what was assumed of a loop was wrong.
    is_wrong: bool,
    /// Names the instruction that operations stem from.
    pub(super) at: InsnIdx,
}

impl<'w> Walk<'w> {
    pub(super) fn new(
        source: Source<'w>,
        machine: &'w Machine,
        options: &'w Options,
        shapes: &'w [Shape],
        slots: &'w mut [Slot],
        code: &'w mut Code,
    ) -> Walk<'w> {
        Walk {
            source,
            options,
            machine,
            shapes,
            shape: &shapes[0],
            slots,
            places: Places::NONE,
            code,
            pending: Vec::new(),
            origins: Origins::unknown(),
            heads: Heads::Assumed,
            is_wrong: false,
            at: InsnIdx::ZERO,
        }
    }

    /// Makes a function's operations.
    pub(super) fn function(&mut self, number: usize) -> Result<(), Elsewhere> {
        let shapes = self.shapes;
        self.shape = &shapes[number];
        self.places = Places::new(self.machine, self.shape);
        let (first, args) = (self.code.ops.len(), self.code.pool.len());
        self.heads = Heads::Assumed;
        self.body(number)?;
        if self.is_wrong {
            self.code.ops.truncate(first);
            self.code.at.truncate(first);
            self.code.pool.truncate(args);
            self.heads = Heads::Unknown;
            let function = self.shape.function;
            for slot in &mut self.slots[function.start.index()..function.end.index()] {
                slot.origins = Origins::UNSEEN;
            }
            self.body(number)?;
        }
        for index in 0..self.pending.len() {
            let (op, to) = self.pending[index];
            self.retarget(op, self.slots[to.index()].start);
        }
        self.pending.clear();
        let Shape { takes, live, vars, .. } = self.shape;
        let mut params = [Loc::NONE; 5];
        for (param, reg) in params.iter_mut().zip(&Reg::ALL[1..]) {
            if live >> reg.number() & 1 != 0 {
                *param = self.places.reg(*reg);
            }
        }
        let ops = first as u32..self.here().0;
        let (takes, uses_stack) = (*takes, vars.uses_stack);
        let function = FunctionCode { ops, takes, params, locs: self.places.locs, uses_stack };
        grow(&mut self.code.functions, function).map_err(|_| Elsewhere)
    }

    fn body(&mut self, number: usize) -> Result<(), Elsewhere> {
        let function = self.shape.function;
        self.pending.clear();
        self.is_wrong = false;
        // Only as long as nobody calls it, r1 of the main function is the input.
        let is_main = number == 0 && !self.shapes.iter().any(|shape| shape.calls_main);
        self.origins = Origins::entry(is_main);
        self.at = function.start;
        self.enter()?;
        let program = self.source.program;
        // Who leads to the next instruction, if anybody does.
        let mut before = None;
        for slot in function.start.0..function.end.0 {
            let at = InsnIdx(slot);
            let Some(insn) = program.at(at) else { continue };
            self.room(LARGEST)?;
            if let Some(from) = before {
                self.at = from;
                let units = self.price(from, at);
                self.charge(units);
            }
            self.arrive(at, before.is_some() || at == function.start);
            self.at = at;
            before = self.step(insn)?.then_some(at);
        }
        Ok(())
    }

    /// Makes what a call leads to: the first values of everything, and the fuel.
    fn enter(&mut self) -> Result<(), Elsewhere> {
        let Shape { takes, live, named, vars, function, .. } = self.shape;
        self.room(LARGEST + vars.count)?;
        // What has not been written is zero: frames and registers are, as they are used.
        let zero = live & !(u16::from(*takes) << 1);
        for reg in Reg::ALL.into_iter().filter(|reg| zero >> reg.number() & 1 != 0) {
            self.put(Op::Const { dst: self.places.reg(reg), value: 0 });
        }
        if named >> Reg::FP.number() & 1 != 0 && vars.uses_stack {
            self.put(Op::FramePointer { dst: self.places.reg(Reg::FP) });
        }
        for var in vars.others() {
            let value = if vars.loops == Some(var) { u64::from(MAX_LOOPS) } else { 0 };
            self.put(Op::Const { dst: self.places.var(var), value });
        }
        if self.options.metering == Metering::Metered {
            self.charge(fuel::entry(*function));
        }
        Ok(())
    }

    /// Says where an instruction begins, and what is known there.
    #[inline]
    fn arrive(&mut self, at: InsnIdx, falls: bool) {
        let here = self.here();
        let slot = &mut self.slots[at.index()];
        slot.start = here;
        if slot.entered == Entered::Never {
            return;
        }
        if self.options.access == Access::Unchecked {
            return;
        }
        let known = match (slot.origins, falls) {
            (Origins::UNSEEN, true) => self.origins,
            (Origins::UNSEEN, false) => Origins::unknown(),
            (known, true) => known.meet(self.origins),
            (known, false) => known,
        };
        self.origins = match (slot.entered, self.heads) {
            (Entered::Back, Heads::Assumed) => known.without(slot.remade),
            (Entered::Back, Heads::Unknown) => Origins::unknown(),
            _ => known,
        };
        slot.origins = self.origins;
    }

    /// Tells where a jump leads what is known here.
    fn tell(&mut self, to: InsnIdx) {
        if self.options.access == Access::Unchecked {
            return;
        }
        let slot = &mut self.slots[to.index()];
        let met = match slot.origins {
            Origins::UNSEEN => self.origins,
            known => known.meet(self.origins),
        };
        if to <= self.at {
            self.is_wrong |= slot.origins != met;
        } else {
            slot.origins = met;
        }
    }

    /// Makes an instruction's operations, and says whether control goes on to the next.
    #[inline]
    fn step(&mut self, insn: Insn) -> Result<bool, Elsewhere> {
        match insn {
            Insn::Exit => {
                let src = self.places.reg(Reg::R0);
                self.put(Op::Return { src });
                Ok(false)
            }
            Insn::Goto { .. } | Insn::Gotol { .. } => {
                let to = self.target(insn)?;
                if to.0 == self.at.0 + 1 {
                    return Ok(true);
                }
                self.tell(to);
                let units = self.price(self.at, to);
                self.charge(units);
                self.jump(to)?;
                Ok(false)
            }
            Insn::Branch { width, cond, dst, src, .. } => {
                let a = self.places.reg(dst);
                let branch = |cond| match src {
                    Operand::Imm(imm) => Op::BranchImm { cond, width, a, imm, to: UNPLACED },
                    Operand::Reg(src) => Op::Branch { cond, width, a, b: self.places.reg(src), to: UNPLACED },
                };
                let (taken, not_taken) = (branch(cond), inverse(cond).map(branch));
                let to = self.target(insn)?;
                self.tell(to);
                self.branch(taken, not_taken, to)?;
                Ok(true)
            }
            Insn::MayGoto { .. } => {
                let loops = self.shape.vars.loops.ok_or(Elsewhere)?;
                let a = self.places.var(loops);
                let branch = |cond| Op::BranchImm { cond, width: Width::W64, a, imm: 0, to: UNPLACED };
                let to = self.target(insn)?;
                self.tell(to);
                self.branch(branch(Cond::Eq), Some(branch(Cond::Ne)), to)?;
                // Where it jumps, nobody counts any more; only the way on takes one off.
                self.put(Op::AluImm { op: AluOp::Sub, width: Width::W64, dst: a, a, imm: 1 });
                Ok(true)
            }
            // The commonest each have a copy in which it is known what they are.
            Insn::Alu { width, op, dst, src } => self.plain(Insn::Alu { width, op, dst, src }),
            Insn::Load { kind, dst, base, off } => self.plain(Insn::Load { kind, dst, base, off }),
            Insn::Store { size, base, off, src } => self.plain(Insn::Store { size, base, off, src }),
            insn => self.any(insn),
        }
    }

    #[inline(never)]
    fn any(&mut self, insn: Insn) -> Result<bool, Elsewhere> {
        self.plain(insn)
    }

    #[inline(always)]
    fn plain(&mut self, insn: Insn) -> Result<bool, Elsewhere> {
        self.insn(insn)?;
        if self.options.access == Access::Checked {
            self.origins.follow(insn);
        }
        Ok(true)
    }

    fn target(&self, insn: Insn) -> Result<InsnIdx, Elsewhere> {
        insn.jump_target(self.at).ok_or(Elsewhere)
    }

    fn jump(&mut self, to: InsnIdx) -> Result<(), Elsewhere> {
        let op = self.here();
        self.put(Op::Jump { to: UNPLACED });
        self.wait(op, to)
    }

    /// Notes that an operation leads to a slot.
    fn wait(&mut self, op: OpIdx, to: InsnIdx) -> Result<(), Elsewhere> {
        if self.pending.is_empty() {
            // Each of a few dozen instructions is a jump.
            self.pending.try_reserve(self.slots.len() / 16 + 8).map_err(|_| Elsewhere)?;
        }
        grow(&mut self.pending, (op, to)).map_err(|_| Elsewhere)
    }

    /// Goes to a slot if the comparison holds, paying for the way there.
    fn branch(&mut self, taken: Op, not_taken: Option<Op>, to: InsnIdx) -> Result<(), Elsewhere> {
        let units = self.price(self.at, to);
        let first = self.here();
        if units == 0 {
            self.put(taken);
            return self.wait(first, to);
        }
        // Over what is paid, or, where the comparison cannot be turned round, over the jump over it.
        let over = match not_taken {
            Some(not_taken) => {
                self.put(not_taken);
                first
            }
            None => {
                self.put(taken);
                let over = self.here();
                self.put(Op::Jump { to: UNPLACED });
                self.retarget(first, self.here());
                over
            }
        };
        self.charge(units);
        self.jump(to)?;
        self.retarget(over, self.here());
        Ok(())
    }

    /// Says what a way costs.
    #[inline]
    fn price(&self, from: InsnIdx, to: InsnIdx) -> u32 {
        match self.options.metering {
            Metering::Metered => fuel::edge(self.shape.function, from, to),
            Metering::Free => 0,
        }
    }

    #[inline]
    fn charge(&mut self, units: u32) {
        if units != 0 {
            self.put(Op::Charge { units });
        }
    }

    #[inline(always)]
    fn here(&self) -> OpIdx {
        // As many as `room` has seen to fit.
        OpIdx(self.code.ops.len() as u32)
    }

    /// Makes room for so many operations.
    #[inline(always)]
    fn room(&mut self, ops: usize) -> Result<(), Elsewhere> {
        let (code, len) = (&*self.code, self.code.ops.len());
        let is_there = code.ops.capacity() - len >= ops && code.at.capacity() - len >= ops;
        if is_there && len <= MOST { Ok(()) } else { self.more(ops) }
    }

    #[cold]
    fn more(&mut self, ops: usize) -> Result<(), Elsewhere> {
        if self.code.ops.len() > MOST {
            return Err(Elsewhere);
        }
        self.code.ops.try_reserve(ops).map_err(|_| Elsewhere)?;
        self.code.at.try_reserve(ops).map_err(|_| Elsewhere)
    }

    /// Puts an operation where [`room`](Self::room) has made room.
    #[inline(always)]
    pub(super) fn put(&mut self, op: Op) {
        self.code.ops.push(op);
        self.code.at.push(self.at);
    }

    fn retarget(&mut self, op: OpIdx, target: OpIdx) {
        match &mut self.code.ops[op.0 as usize] {
            Op::Jump { to } | Op::Branch { to, .. } | Op::BranchImm { to, .. } => *to = target,
            _ => {}
        }
    }
}
