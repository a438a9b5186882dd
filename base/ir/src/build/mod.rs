//! From bytecode to SSA, in one walk.

mod flow;
mod fold;
mod insn;
mod joins;
pub(crate) mod live;
mod pairs;
mod scan;
pub(crate) mod vars;

use crate::error::{BuildError, BuildErrorKind};
use crate::fuel;
use crate::source::{Metering, Options, Source};
use crate::ssa::{Block, BlockData, Edge, Function, Node, Rhs, Term, Unit, Val, filled, grow};
use alloc_crate::vec::Vec;
use flow::{Flow, NONE, Piece};
use joins::{Joins, Way};
use live::Liveness;
use scan::Scan;
use skep_isa::structure::Subprogram;
use skep_isa::{Cond, Insn, InsnIdx, Operand, Reg, RegSet, Width};
use vars::{Var, Vars};

/// Bounds the rounds of one `may_goto` (`BPF_MAX_LOOPS` in `include/linux/bpf_verifier.h`).
pub const MAX_LOOPS: u32 = 8 * 1024 * 1024;

/// Compiles a program to SSA.
///
/// # Errors
///
/// [`BuildError`] names the instruction that cannot be compiled.
pub fn build(source: Source<'_>, options: &Options) -> Result<Unit, BuildError> {
    let shapes = shapes(source, options)?;
    let by_number = shapes.iter().any(|shape| shape.scan.by_number);
    let mut unit = Unit { by_number, ..Unit::default() };
    for (number, function) in source.structure.subprograms().iter().enumerate() {
        let place = |kind| BuildError { at: function.start, kind };
        let built = Builder::new(source, options, *function, number, &shapes).map_err(place)?.run()?;
        grow(&mut unit.functions, built).map_err(place)?;
    }
    Ok(unit)
}

/// Is what must be known of every function before any is built.
struct Shape {
    scan: Scan,
    flow: Flow,
    vars: Vars,
    liveness: Liveness,
    /// Lists which of r1–r5 it takes.
    params: Vec<u8>,
}

fn shapes(source: Source<'_>, options: &Options) -> Result<Vec<Shape>, BuildError> {
    let functions = source.structure.subprograms();
    let mut shapes = Vec::new();
    for function in functions {
        let shape = || {
            let mut scan = scan::scan(source, options, *function)?;
            let flow = flow::flow(source.program, *function, &mut scan.slots)?;
            let frame = scan.frame.iter().filter_map(|at| source.program.at(*at));
            let vars = Vars::of(frame, options.stack_bytes, scan.seen)?;
            Ok(Shape { scan, flow, vars, liveness: Liveness::default(), params: Vec::new() })
        };
        let shape = shape().map_err(|kind| BuildError { at: function.start, kind })?;
        grow(&mut shapes, shape).map_err(|kind| BuildError { at: function.start, kind })?;
    }
    let takes = take(source, &mut shapes)?;
    for ((shape, takes), function) in shapes.iter_mut().zip(takes).zip(functions) {
        for reg in (1..=5).filter(|reg| takes.contains(Reg::ALL[usize::from(*reg)])) {
            grow(&mut shape.params, reg).map_err(|kind| BuildError { at: function.start, kind })?;
        }
    }
    Ok(shapes)
}

/// Bounds the walks over the program that find what its functions take.
const WALKS: u32 = 6;

/// Finds what is live in each function, and which of r1–r5 each takes: what it reads, or passes on to whoever takes it.
fn take(source: Source<'_>, shapes: &mut [Shape]) -> Result<Vec<RegSet>, BuildError> {
    let functions = source.structure.subprograms();
    let start = |kind| BuildError { at: InsnIdx::ZERO, kind };
    let mut takes = filled(RegSet::EMPTY, functions.len()).map_err(start)?;
    // A program is entered with all that its machine sets.
    takes[0] = RegSet::ARGUMENTS;
    for walk in 0.. {
        if walk == WALKS {
            // What calls what is too deep to follow: everyone takes everything.
            takes.fill(RegSet::ARGUMENTS);
        }
        let mut changed = false;
        // Who is called stands behind who calls, mostly.
        for (number, function) in functions.iter().enumerate().rev() {
            let Shape { scan, flow, vars, liveness, .. } = &mut shapes[number];
            if walk != 0 && !scan.calls {
                continue;
            }
            let callees = live::Callees { structure: source.structure, takes: &takes };
            *liveness = live::live(source.program, callees, &scan.slots, flow, vars)
                .map_err(|kind| BuildError { at: function.start, kind })?;
            let read = |reg: &Reg| liveness.live[0].contains(Var(reg.number()));
            let found = ARGUMENTS.into_iter().filter(read).fold(takes[number], RegSet::with);
            changed |= found != takes[number];
            takes[number] = found;
        }
        if !changed {
            break;
        }
    }
    Ok(takes)
}

/// Lists the registers that arguments are in.
const ARGUMENTS: [Reg; 5] = [Reg::R1, Reg::R2, Reg::R3, Reg::R4, Reg::R5];

/// Builds one function.
struct Builder<'s> {
    source: Source<'s>,
    options: &'s Options,
    function: Subprogram,
    shapes: &'s [Shape],
    shape: &'s Shape,
    out: Function,
    /// Holds what each variable is, here.
    env: Vec<Val>,
    /// Holds what they are where each piece starts, as far as its ways in have been built.
    joins: Joins,
    /// Holds the block of each piece.
    block_of: Vec<u32>,
    /// Names the first node of the block that is built.
    block: Val,
    /// Names the node of r10, once needed.
    frame: Val,
    /// Names the instruction being built.
    at: InsnIdx,
}

impl<'s> Builder<'s> {
    fn new(
        source: Source<'s>,
        options: &'s Options,
        function: Subprogram,
        number: usize,
        shapes: &'s [Shape],
    ) -> Result<Builder<'s>, BuildErrorKind> {
        let shape = &shapes[number];
        let pieces = shape.flow.pieces.len();
        Ok(Builder {
            source,
            options,
            function,
            shapes,
            shape,
            out: Function { uses_stack: shape.vars.uses_stack, ..Function::default() },
            env: filled(Val(0), shape.vars.count)?,
            joins: Joins::new(&shape.flow, &shape.liveness)?,
            block_of: filled(NONE, pieces)?,
            block: Val(0),
            frame: Val(0),
            at: function.start,
        })
    }

    fn run(mut self) -> Result<Function, BuildError> {
        self.function().map_err(|kind| BuildError { at: self.at, kind })?;
        Ok(self.out)
    }

    fn function(&mut self) -> Result<(), BuildErrorKind> {
        let order = &self.shape.flow.order;
        // An instruction is a node or two; checked accesses are two.
        let slots = (self.function.end.0 - self.function.start.0) as usize;
        self.out.reserve(slots + slots / 2 + 32, order.len() + 1)?;
        for (piece, number) in order.iter().zip(1..) {
            self.block_of[*piece as usize] = number;
        }
        self.entry()?;
        order.iter().try_for_each(|piece| self.piece(*piece as usize))
    }

    /// Makes the block that a call leads to: parameters, the first values of everything, and a jump.
    fn entry(&mut self) -> Result<(), BuildErrorKind> {
        let shape = self.shape;
        for reg in &shape.params {
            let param = self.out.push(Node::Param, self.at)?;
            self.env[usize::from(*reg)] = param;
            grow(&mut self.out.params, *reg)?;
        }
        let params = self.out.nodes.len() as u32;
        self.frame = self.out.push(Node::FramePointer, self.at)?;
        // What has not been written is zero: frames and registers are, as they are used.
        let zero = self.out.push(Node::Const(0), self.at)?;
        for var in 0..shape.vars.count {
            if !shape.params.contains(&(var as u8)) {
                self.env[var] = zero;
            }
        }
        if let Some(loops) = shape.vars.loops {
            self.env[loops.index()] = self.out.push(Node::Const(u64::from(MAX_LOOPS)), self.at)?;
        }
        if self.options.metering == Metering::Metered {
            self.out.push(Node::Charge(fuel::entry(self.function)), self.at)?;
        }
        let edge = self.edge(None, 0, Way::First)?;
        self.close(Val(0), params, Term::Jump(edge))
    }

    /// Makes the block of one piece.
    fn piece(&mut self, index: usize) -> Result<(), BuildErrorKind> {
        let shape = self.shape;
        let piece = shape.flow.pieces[index];
        self.at = InsnIdx(piece.start);
        let first = Val(self.out.nodes.len() as u32);
        self.block = first;
        let params = self.arrive(index)?;
        let mut previous = self.at;
        for (at, insn) in piece.insns(self.source.program) {
            if at != previous && self.options.metering == Metering::Metered {
                let charge = fuel::edge(self.function, previous, at);
                if charge != 0 {
                    self.out.push(Node::Charge(charge), previous)?;
                }
            }
            self.at = at;
            previous = at;
            if insn.flow() == skep_isa::Flow::Next {
                self.insn(insn)?;
            }
        }
        let term = self.term(&piece)?;
        self.close(first, params, term)
    }

    fn close(&mut self, first: Val, params: u32, term: Term) -> Result<(), BuildErrorKind> {
        let end = Val(self.out.nodes.len() as u32);
        grow(&mut self.out.blocks, BlockData { first, params, end, term, at: self.at })
    }

    fn term(&mut self, piece: &Piece) -> Result<Term, BuildErrorKind> {
        let last = InsnIdx(piece.last);
        let insn = self.source.program.at(last);
        Ok(match insn {
            Some(Insn::Exit) => Term::Return(self.env[0]),
            Some(Insn::Branch { width, cond, dst, src, .. }) => {
                let a = self.compared(width, self.reg(dst)?);
                let b = match src {
                    Operand::Imm(imm) => Rhs::Imm(imm),
                    Operand::Reg(reg) => self.rhs(self.compared(width, self.reg(reg)?)),
                };
                let then = self.edge(Some(piece), piece.jump, Way::First)?;
                let other = self.edge(Some(piece), piece.next, Way::Second)?;
                Term::Branch { cond, width, a, b, then, other }
            }
            Some(Insn::MayGoto { .. }) => {
                let Some(loops) = self.shape.vars.loops else {
                    return Err(BuildErrorKind::Unsupported { what: "may_goto" });
                };
                let left = self.env[loops.index()];
                // Where it jumps, nobody counts any more; only the way on takes one off.
                let then = self.edge(Some(piece), piece.jump, Way::First)?;
                self.env[loops.index()] = self.alu_imm(skep_isa::AluOp::Sub, Width::W64, left, 1)?;
                let other = self.edge(Some(piece), piece.next, Way::Second)?;
                Term::Branch { cond: Cond::Eq, width: Width::W64, a: left, b: Rhs::Imm(0), then, other }
            }
            Some(Insn::Gotox { .. }) => return Err(BuildErrorKind::Unsupported { what: "gotox" }),
            Some(Insn::Goto { .. } | Insn::Gotol { .. }) => {
                Term::Jump(self.edge(Some(piece), piece.jump, Way::First)?)
            }
            _ => Term::Jump(self.edge(Some(piece), piece.next, Way::First)?),
        })
    }

    /// Makes the way from here to a piece.
    fn edge(&mut self, from: Option<&Piece>, to: u32, way: Way) -> Result<Edge, BuildErrorKind> {
        let shape = self.shape;
        let target = shape.flow.pieces.get(to as usize);
        let Some(target) = target else {
            return Err(BuildErrorKind::Unsupported { what: "a function that does not end" });
        };
        let charge = match from {
            Some(from) if self.options.metering == Metering::Metered => {
                fuel::edge(self.function, InsnIdx(from.last), InsnIdx(target.start))
            }
            _ => 0,
        };
        let block = Block(self.block_of[to as usize]);
        let args = self.leave(to as usize, block, way)?;
        Ok(Edge { to: block, args, charge })
    }

    /// Turns a value into a second operand of a comparison.
    fn rhs(&self, val: Val) -> Rhs {
        match self.out.constant(val).and_then(as_imm) {
            Some(imm) => Rhs::Imm(imm),
            None => Rhs::Val(val),
        }
    }
}

/// Returns the number as an immediate, if sign-extending that gives it.
pub(crate) fn as_imm(number: u64) -> Option<i32> {
    i32::try_from(number as i64).ok()
}
