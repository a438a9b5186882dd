//! From SSA and places to operations.

use crate::alloc::{Places, allocate};
use crate::build::build;
use crate::error::{BuildError, BuildErrorKind};
use crate::machine::Machine;
use crate::ops::{Arg, Args, Code, FunctionCode, Loc, Op, OpIdx};
use crate::passes;
use crate::source::{Level, Options, Source};
use crate::ssa::{Edge, Function, List, Node, Rhs, Sum, Term, Unit, Val, filled, grow};
use alloc_crate::vec::Vec;
use skep_isa::{Cond, InsnIdx};

/// Compiles a program for a machine.
///
/// In debug builds every step is checked by its checker, and a fault of the compiler panics.
///
/// # Errors
///
/// [`BuildError`] names the instruction that cannot be compiled.
pub fn compile(source: Source<'_>, machine: &Machine, options: &Options) -> Result<Code, BuildError> {
    let start = |kind| BuildError { at: InsnIdx::ZERO, kind };
    if options.level == Level::O0 {
        // What is not compiled there is refused here, in words.
        if let Ok(code) = crate::baseline::compile(source, machine, options) {
            #[cfg(any(debug_assertions, fuzzing))]
            crate::held::check(&code, machine).unwrap_or_else(|fault| panic!("operations: {fault}\n{code}"));
            look_at_accesses(&code, machine, options);
            return Ok(code);
        }
    }
    let mut unit = build(source, options)?;
    #[cfg(any(debug_assertions, fuzzing))]
    crate::ssa::verify::check(&unit).unwrap_or_else(|fault| panic!("built: {fault}\n{unit}"));
    passes::run(&mut unit, machine, options).map_err(start)?;
    #[cfg(any(debug_assertions, fuzzing))]
    crate::ssa::verify::check(&unit).unwrap_or_else(|fault| panic!("after passes: {fault}\n{unit}"));
    let code = lower(&unit, machine).map_err(start)?;
    look_at_accesses(&code, machine, options);
    Ok(code)
}

/// Has the checks of accesses looked at in debug builds.
fn look_at_accesses(code: &Code, machine: &Machine, options: &Options) {
    if cfg!(any(debug_assertions, fuzzing)) && options.access == crate::Access::Checked {
        crate::cover::check(code, machine, options.stack_bytes)
            .unwrap_or_else(|fault| panic!("lowered: {fault}\n{code}"));
    }
}

/// Lowers a unit for a machine.
///
/// # Errors
///
/// [`BuildErrorKind::OutOfMemory`] and [`BuildErrorKind::TooLarge`].
pub fn lower(unit: &Unit, machine: &Machine) -> Result<Code, BuildErrorKind> {
    let mut code = Code { by_number: unit.by_number, ..Code::default() };
    for function in &unit.functions {
        let places = allocate(function, machine)?;
        #[cfg(any(debug_assertions, fuzzing))]
        crate::alloc::check::check(function, machine, &places)
            .unwrap_or_else(|fault| panic!("allocation: {fault}\n{function}\n{:?}", places.of));
        Lowering::new(function, &places, &mut code)?.run()?;
    }
    Ok(code)
}

/// Stands for a target that is not placed yet.
const UNPLACED: OpIdx = OpIdx(u32::MAX);

/// Is the way to a block that needs operations of its own.
struct Stub {
    /// Names the branch that leads here.
    from: OpIdx,
    edge: Edge,
    at: InsnIdx,
}

struct Lowering<'l> {
    function: &'l Function,
    places: &'l Places,
    code: &'l mut Code,
    /// Holds where each block starts.
    starts: Vec<OpIdx>,
    /// Holds the jumps and branches to blocks, by operation.
    pending: Vec<(OpIdx, u32)>,
    stubs: Vec<Stub>,
    moves: Moves,
    at: InsnIdx,
}

impl<'l> Lowering<'l> {
    fn new(
        function: &'l Function,
        places: &'l Places,
        code: &'l mut Code,
    ) -> Result<Lowering<'l>, BuildErrorKind> {
        Ok(Lowering {
            function,
            places,
            code,
            starts: filled(UNPLACED, function.blocks.len())?,
            pending: Vec::new(),
            stubs: Vec::new(),
            moves: Moves::new(places.locs)?,
            at: InsnIdx::ZERO,
        })
    }

    fn run(mut self) -> Result<(), BuildErrorKind> {
        // About as many operations as nodes.
        let nodes = self.function.nodes.len();
        let reserved = self.code.ops.try_reserve(nodes).and_then(|()| self.code.at.try_reserve(nodes));
        reserved.map_err(|_| BuildErrorKind::OutOfMemory)?;
        let first = self.code.ops.len() as u32;
        for number in 0..self.function.blocks.len() {
            self.starts[number] = self.here()?;
            self.block(number)?;
        }
        for index in 0..self.stubs.len() {
            let Stub { from, edge, at } = self.stubs[index];
            self.at = at;
            let here = self.here()?;
            self.retarget(from, here);
            self.follow(&edge, None)?;
        }
        for index in 0..self.pending.len() {
            let (op, block) = self.pending[index];
            self.retarget(op, self.starts[block as usize]);
        }
        let (mut takes, mut params) = (0, [Loc::NONE; 5]);
        let entry = self.function.params_of(&self.function.blocks[0]);
        for (param, reg) in entry.zip(&self.function.params) {
            takes |= 1 << (reg - 1);
            params[usize::from(*reg) - 1] = self.of(param);
        }
        let end = self.code.ops.len() as u32;
        let function = FunctionCode {
            ops: first..end,
            takes,
            params,
            locs: self.places.locs,
            uses_stack: self.function.uses_stack,
        };
        grow(&mut self.code.functions, function)
    }

    fn here(&self) -> Result<OpIdx, BuildErrorKind> {
        u32::try_from(self.code.ops.len()).map(OpIdx).map_err(|_| BuildErrorKind::TooLarge)
    }

    fn emit(&mut self, op: Op) -> Result<OpIdx, BuildErrorKind> {
        let here = self.here()?;
        grow(&mut self.code.ops, op)?;
        grow(&mut self.code.at, self.at)?;
        Ok(here)
    }

    fn retarget(&mut self, op: OpIdx, target: OpIdx) {
        match &mut self.code.ops[op.0 as usize] {
            Op::Jump { to } | Op::Branch { to, .. } | Op::BranchImm { to, .. } => *to = target,
            _ => {}
        }
    }

    fn of(&self, val: Val) -> Loc {
        self.places.of(val)
    }

    fn block(&mut self, number: usize) -> Result<(), BuildErrorKind> {
        let block = self.function.blocks[number];
        for val in block.nodes() {
            self.at = self.function.at[val.index()];
            self.node(val)?;
        }
        self.at = block.at;
        let next = number as u32 + 1;
        let goes_back = |edge: &Edge| edge.to.0 < next;
        let depth = |edge: &Edge| self.places.depth[edge.to.index()];
        match block.term {
            Term::Jump(edge) => self.follow(&edge, Some(next)),
            Term::Return(val) => {
                let op = match self.function.constant(val) {
                    Some(value) => Op::ReturnNumber { value },
                    None => Op::Return { src: self.of(val) },
                };
                self.emit(op).map(drop)
            }
            Term::Branch { cond, width, a, b, then, other } => {
                let branch = |cond| match b {
                    Rhs::Val(b) => Op::Branch { cond, width, a: self.of(a), b: self.of(b), to: UNPLACED },
                    Rhs::Imm(imm) => Op::BranchImm { cond, width, a: self.of(a), imm, to: UNPLACED },
                };
                let (taken, follows) = (branch(cond), inverse(cond).map(branch));
                match follows {
                    // A loop's way back with something to do on it is best gone straight through, a way out of it aside.
                    Some(follows)
                        if self.is_work(&then)
                            && (!self.is_work(&other) || goes_back(&then))
                            && depth(&then) >= depth(&other) =>
                    {
                        let op = self.emit(follows)?;
                        if self.is_work(&other) {
                            grow(&mut self.stubs, Stub { from: op, edge: other, at: self.at })?;
                        } else {
                            grow(&mut self.pending, (op, other.to.0))?;
                        }
                        self.follow(&then, Some(next))
                    }
                    _ => {
                        let op = self.emit(taken)?;
                        if self.is_work(&then) {
                            grow(&mut self.stubs, Stub { from: op, edge: then, at: self.at })?;
                        } else {
                            grow(&mut self.pending, (op, then.to.0))?;
                        }
                        self.follow(&other, Some(next))
                    }
                }
            }
        }
    }

    /// Says whether a way has anything to do besides leading somewhere.
    fn is_work(&self, edge: &Edge) -> bool {
        let target = &self.function.blocks[edge.to.index()];
        let args = self.function.list(edge.args);
        // A number's place may be another's by now: it is always made anew.
        let moves = |(arg, param): (&Val, Val)| {
            let (from, to) = (self.of(*arg), self.of(param));
            to != Loc::NONE && (from != to || self.function.constant(*arg).is_some())
        };
        edge.charge != 0 || args.iter().zip(self.function.params_of(target)).any(moves)
    }

    /// Goes a way: fuel, moves, and a jump unless the target comes next.
    fn follow(&mut self, edge: &Edge, next: Option<u32>) -> Result<(), BuildErrorKind> {
        if edge.charge != 0 {
            self.emit(Op::Charge { units: edge.charge })?;
        }
        let function = self.function;
        let target = &function.blocks[edge.to.index()];
        for (arg, param) in function.list(edge.args).iter().zip(function.params_of(target)) {
            let dst = self.of(param);
            match (self.of(*arg), function.constant(*arg)) {
                (_, Some(value)) => grow(&mut self.moves.numbers, (dst, value))?,
                (src, None) => grow(&mut self.moves.moves, (dst, src))?,
            }
        }
        let mut moves = core::mem::take(&mut self.moves);
        moves.resolve(|op| self.emit(op).map(drop))?;
        self.moves = moves;
        if next == Some(edge.to.0) {
            return Ok(());
        }
        let op = self.emit(Op::Jump { to: UNPLACED })?;
        grow(&mut self.pending, (op, edge.to.0))
    }

    /// Lists a call's arguments.
    fn args(&mut self, list: List) -> Result<Args, BuildErrorKind> {
        let start = u32::try_from(self.code.pool.len()).map_err(|_| BuildErrorKind::TooLarge)?;
        let function = self.function;
        for val in function.list(list) {
            let arg = match function.constant(*val) {
                Some(number) => Arg::Number(number),
                None => Arg::Loc(self.of(*val)),
            };
            grow(&mut self.code.pool, arg)?;
        }
        Ok(Args { start, len: list.len() as u8 })
    }

    fn node(&mut self, val: Val) -> Result<(), BuildErrorKind> {
        let dst = self.of(val);
        let of = |val: Val| self.places.of(val);
        let op = match self.function.nodes[val.index()] {
            Node::Nop | Node::Param => return Ok(()),
            Node::Const(_) | Node::FramePointer if dst == Loc::NONE => return Ok(()),
            Node::Const(value) => Op::Const { dst, value },
            Node::FramePointer => Op::FramePointer { dst },
            Node::Alu { op, width, a, b } => Op::Alu { op, width, dst, a: of(a), b: of(b) },
            Node::AluImm { op, width, a, imm } => Op::AluImm { op, width, dst, a: of(a), imm },
            Node::Neg { width, a } => Op::Neg { width, dst, a: of(a) },
            Node::Sext { kind, a } => Op::Sext { kind, dst, a: of(a) },
            Node::Trunc { size, a } => Op::Trunc { size, dst, a: of(a) },
            Node::Swap { width, a } => Op::Swap { width, dst, a: of(a) },
            Node::Rotl { width, a, amount } => Op::Rotl { width, dst, a: of(a), amount },
            Node::Set { cond, width, a, b } => match b {
                Rhs::Val(b) => Op::Set { cond, width, dst, a: of(a), b: of(b) },
                Rhs::Imm(imm) => Op::SetImm { cond, width, dst, a: of(a), imm },
            },
            Node::Select { cond, width, a, b, then, other } => {
                let (a, then, other) = (of(a), of(then), of(other));
                match b {
                    Rhs::Val(b) => Op::Select { cond, width, dst, a, b: of(b), then, other },
                    Rhs::Imm(imm) => Op::SelectImm { cond, width, dst, a, imm, then, other },
                }
            }
            Node::Check { addr, bytes, write, region } => {
                Op::Check { base: of(addr.base), off: addr.off, bytes: bytes as u16, write, region }
            }
            Node::Room { base, end, scale, write, region } => {
                Op::Room { dst, base: of(base), end, scale, write, region }
            }
            Node::CheckRoom { addr, size, write, region, room } => {
                Op::CheckRoom { base: of(addr.base), room: of(room), off: addr.off, size, write, region }
            }
            Node::CheckSum { base, index, off, what, region, room } => {
                Op::CheckSum { base: of(base), index: of(index), room: of(room), off, what, region }
            }
            Node::Load { kind, addr } => Op::Load { kind, dst, base: of(addr.base), off: addr.off },
            Node::Store { size, addr, value } => {
                Op::Store { size, base: of(addr.base), off: addr.off, src: of(value) }
            }
            Node::StoreImm { size, addr, imm } => {
                Op::StoreImm { size, base: of(addr.base), off: addr.off, imm }
            }
            Node::LoadSum { kind, sum } => {
                let Sum { base, index, off, scale } = sum;
                Op::LoadSum { kind, dst, base: of(base), index: of(index), scale, off }
            }
            Node::StoreSum { size, sum, value } => {
                let Sum { base, index, off, scale } = sum;
                Op::StoreSum { size, base: of(base), index: of(index), scale, off, src: of(value) }
            }
            Node::StoreImmSum { size, sum, imm } => {
                let Sum { base, index, off, scale } = sum;
                Op::StoreImmSum { size, base: of(base), index: of(index), scale, off, imm }
            }
            Node::Atomic { op, width, addr, src } => {
                Op::Atomic { op, width, dst, base: of(addr.base), off: addr.off, src: of(src) }
            }
            Node::Cmpxchg { width, addr, expected, src } => Op::Cmpxchg {
                width,
                dst,
                base: of(addr.base),
                off: addr.off,
                expected: of(expected),
                src: of(src),
            },
            Node::LoadAcquire { size, addr } => {
                Op::LoadAcquire { size, dst, base: of(addr.base), off: addr.off }
            }
            Node::StoreRelease { size, addr, value } => {
                Op::StoreRelease { size, base: of(addr.base), off: addr.off, src: of(value) }
            }
            Node::Helper { id, args } => {
                let args = self.args(args)?;
                Op::Helper { id, dst, args }
            }
            Node::Call { function, args } => {
                let args = self.args(args)?;
                Op::Call { function, dst, args }
            }
            Node::CallReg { args } => {
                let args = self.args(args)?;
                Op::CallReg { dst, args }
            }
            Node::Packet { size, args } => {
                let args = self.args(args)?;
                Op::Packet { size, dst, args }
            }
            Node::Charge(units) => Op::Charge { units },
        };
        self.emit(op).map(drop)
    }
}

/// Gives the comparison that holds where this one does not, if there is one.
pub(crate) fn inverse(cond: Cond) -> Option<Cond> {
    Some(match cond {
        Cond::Eq => Cond::Ne,
        Cond::Ne => Cond::Eq,
        Cond::Gt => Cond::Le,
        Cond::Le => Cond::Gt,
        Cond::Ge => Cond::Lt,
        Cond::Lt => Cond::Ge,
        Cond::Sgt => Cond::Sle,
        Cond::Sle => Cond::Sgt,
        Cond::Sge => Cond::Slt,
        Cond::Slt => Cond::Sge,
        Cond::Set => return None,
    })
}

/// Orders moves that happen at once, in time proportional to their number.
#[derive(Default)]
struct Moves {
    /// Holds destination and source.
    moves: Vec<(Loc, Loc)>,
    /// Holds destination and number.
    numbers: Vec<(Loc, u64)>,
    /// Says, for each place, how many moves that are not done yet read it.
    readers: Vec<u16>,
    /// Says, for each place, which move writes it; `u16::MAX` for none.
    writer: Vec<u16>,
    ready: Vec<u16>,
}

impl Moves {
    fn new(locs: u16) -> Result<Moves, BuildErrorKind> {
        let locs = usize::from(locs);
        Ok(Moves { readers: filled(0, locs)?, writer: filled(u16::MAX, locs)?, ..Moves::default() })
    }

    /// Emits the moves in an order in which none overwrites what another still reads, and empties the list.
    fn resolve(
        &mut self,
        mut emit: impl FnMut(Op) -> Result<(), BuildErrorKind>,
    ) -> Result<(), BuildErrorKind> {
        self.moves.retain(|(dst, src)| dst != src && *dst != Loc::NONE);
        for (index, (dst, src)) in self.moves.iter().enumerate() {
            self.readers[usize::from(src.0)] += 1;
            self.writer[usize::from(dst.0)] = index as u16;
        }
        for (index, (dst, _)) in self.moves.iter().enumerate() {
            if self.readers[usize::from(dst.0)] == 0 {
                grow(&mut self.ready, index as u16)?;
            }
        }
        for index in 0..self.moves.len() {
            self.drain(&mut emit)?;
            let (dst, src) = self.moves[index];
            if self.writer[usize::from(dst.0)] != index as u16 {
                continue;
            }
            // Only circles are left: what this one overwrites goes aside, and whoever reads it reads it there.
            emit(Op::Move { dst: Loc::SCRATCH, src: dst })?;
            self.done(dst, src);
            emit(Op::Move { dst, src })?;
            let mut place = src;
            while place != dst {
                let (_, from) = self.moves[usize::from(self.writer[usize::from(place.0)])];
                self.done(place, from);
                let src = if from == dst { Loc::SCRATCH } else { from };
                emit(Op::Move { dst: place, src })?;
                place = from;
            }
        }
        self.drain(&mut emit)?;
        self.moves.clear();
        for (dst, value) in self.numbers.drain(..) {
            if dst != Loc::NONE {
                emit(Op::Const { dst, value })?;
            }
        }
        Ok(())
    }

    fn done(&mut self, dst: Loc, src: Loc) {
        self.writer[usize::from(dst.0)] = u16::MAX;
        self.readers[usize::from(src.0)] -= 1;
    }

    fn drain(
        &mut self,
        emit: &mut impl FnMut(Op) -> Result<(), BuildErrorKind>,
    ) -> Result<(), BuildErrorKind> {
        while let Some(index) = self.ready.pop() {
            let (dst, src) = self.moves[usize::from(index)];
            emit(Op::Move { dst, src })?;
            self.done(dst, src);
            let next = self.writer[usize::from(src.0)];
            if next != u16::MAX && self.readers[usize::from(src.0)] == 0 {
                grow(&mut self.ready, next)?;
            }
        }
        Ok(())
    }
}
