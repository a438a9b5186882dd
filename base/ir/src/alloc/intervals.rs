//! From where to where each value lives.
//!
//! Positions count nodes and block ends in order, two for each: operands are read at the even one, results written at the
//! odd one. Blocks stand behind those that dominate them, so a value is defined at a lower position than it is read.

use crate::error::BuildErrorKind;
use crate::machine::{Machine, RegMask};
use crate::ssa::{Function, MemAddr, Node, Rhs, Term, Val, filled, grow};
use alloc_crate::vec::Vec;

/// Is the life of one value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interval {
    pub(super) start: u32,
    pub(super) end: u32,
    /// Says how much is lost if it lives in memory.
    pub(super) weight: u32,
    /// Is a value whose place would save a move.
    pub(super) hint: Hint,
}

/// Is a wish for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    None,
    /// Where this value is.
    Val(Val),
    /// In this register.
    Reg(u8),
}

/// Is what must be known to place values.
pub(super) struct Intervals {
    /// Holds one for each node; those that need no place have `start` above `end`.
    pub(super) of: Vec<Interval>,
    /// Holds the positions at which registers are destroyed, by kind.
    pub(super) destroyed: [(RegMask, Vec<u32>); 4],
    /// Counts the loops around each block.
    pub(super) depth: Vec<u8>,
}

pub(super) const NOWHERE: Interval = Interval { start: 1, end: 0, weight: 0, hint: Hint::None };

impl Interval {
    pub(super) const fn is_needed(&self) -> bool {
        self.start <= self.end
    }
}

/// Says whether a value needs no place: numbers that are only moved are made where they go.
fn is_number(function: &Function, val: Val) -> bool {
    matches!(function.nodes[val.index()], Node::Const(_))
}

pub(super) fn intervals(function: &Function, machine: &Machine) -> Result<Intervals, BuildErrorKind> {
    let mut walk = Walk {
        function,
        machine,
        of: filled(NOWHERE, function.nodes.len())?,
        destroyed: [machine.calls, machine.divisions, machine.shifts, machine.exchanges]
            .map(|mask| (mask, Vec::new())),
        depth: depths(function)?,
        weight: 1,
    };
    let entry = function.params_of(&function.blocks[0]);
    for (param, reg) in entry.zip(&function.params) {
        let wish = machine.arguments[usize::from(*reg) - 1];
        if wish != u8::MAX {
            walk.of[param.index()].hint = Hint::Reg(wish);
        }
    }
    let mut block_starts = Vec::new();
    let mut loops = Loops::new(function)?;
    for (number, block) in function.blocks.iter().enumerate() {
        let base = block.first.0.checked_add(number as u32).and_then(|at| at.checked_mul(2));
        let base = base.ok_or(BuildErrorKind::TooLarge)?;
        grow(&mut block_starts, base)?;
        walk.weight = 1 << (3 * walk.depth[number].min(5));
        for param in function.params_of(block) {
            // What flows in from above has left a wish already.
            let hint = walk.of[param.index()].hint;
            walk.of[param.index()] = Interval { start: base, end: base + 1, weight: walk.weight, hint };
        }
        for val in block.nodes() {
            walk.node(val, base + 2 * (val.0 - block.first.0))?;
        }
        let end = base + 2 * (block.end.0 - block.first.0);
        walk.term(number, &block.term, end);
        for edge in block.term.edges() {
            if edge.to.index() <= number {
                loops.add(edge.to.index(), end + 1);
            }
        }
    }
    loops.finish();
    let Walk { mut of, destroyed, depth, .. } = walk;
    for interval in of.iter_mut().filter(|interval| interval.is_needed()) {
        loops.stretch(&block_starts, interval);
    }
    Ok(Intervals { of, destroyed, depth })
}

struct Walk<'w> {
    function: &'w Function,
    machine: &'w Machine,
    of: Vec<Interval>,
    destroyed: [(RegMask, Vec<u32>); 4],
    depth: Vec<u8>,
    /// Says how much an operand here counts.
    weight: u32,
}

const CALL: usize = 0;
const DIVISION: usize = 1;
const SHIFT: usize = 2;
const EXCHANGE: usize = 3;

impl Walk<'_> {
    fn read(&mut self, val: Val, at: u32) {
        let interval = &mut self.of[val.index()];
        interval.end = interval.end.max(at);
        interval.weight = interval.weight.saturating_add(self.weight);
    }

    /// Notes that something is compared with a room, which costs hardly more where that is in memory.
    fn compared(&mut self, room: Val, at: u32) {
        let interval = &mut self.of[room.index()];
        interval.end = interval.end.max(at);
    }

    /// Notes that a list is moved somewhere; numbers are made there.
    fn moved(&mut self, val: Val, at: u32, hint: Hint) {
        if is_number(self.function, val) {
            return;
        }
        self.read(val, at);
        let interval = &mut self.of[val.index()];
        if interval.hint == Hint::None {
            interval.hint = hint;
        }
    }

    fn node(&mut self, val: Val, at: u32) -> Result<(), BuildErrorKind> {
        let function = self.function;
        let node = function.nodes[val.index()];
        // An operand that must outlive what the operation destroys or writes first is read late.
        let late = |late: bool| if late { at + 1 } else { at };
        let destroys_first = self.machine.destroys_first;
        match node {
            Node::Nop | Node::Param | Node::Charge(_) => return Ok(()),
            Node::Alu { op, a, b, .. } => {
                use skep_isa::AluOp;
                let kind = match op {
                    AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod => Some(DIVISION),
                    AluOp::Lsh | AluOp::Rsh | AluOp::Arsh => Some(SHIFT),
                    _ => None,
                };
                self.read(a, at);
                let destroys = kind.is_some_and(|kind| self.destroyed[kind].0 != RegMask(0));
                let is_late = self.machine.two_address || destroys && destroys_first;
                self.read(b, late(is_late));
                if let Some(kind) = kind {
                    grow(&mut self.destroyed[kind].1, at)?;
                }
            }
            Node::AluImm { op, a, .. } => {
                use skep_isa::AluOp;
                self.read(a, at);
                if matches!(op, AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod) {
                    grow(&mut self.destroyed[DIVISION].1, at)?;
                }
            }
            Node::Atomic { addr, src, .. } => {
                self.read(addr.base, late(destroys_first));
                self.read(src, late(destroys_first));
                grow(&mut self.destroyed[EXCHANGE].1, at)?;
            }
            Node::Cmpxchg { addr, expected, src, .. } => {
                self.read(addr.base, late(destroys_first));
                self.read(src, late(destroys_first));
                self.read(expected, at);
                grow(&mut self.destroyed[EXCHANGE].1, at)?;
            }
            Node::Helper { args, .. } | Node::Call { args, .. } | Node::Packet { args, .. } => {
                for (arg, wish) in function.list(args).iter().zip(self.machine.arguments) {
                    let hint = if wish == u8::MAX { Hint::None } else { Hint::Reg(wish) };
                    self.moved(*arg, at, hint);
                }
                grow(&mut self.destroyed[CALL].1, at)?;
            }
            Node::CallReg { args } => {
                for arg in function.list(args) {
                    self.moved(*arg, at, Hint::None);
                }
                grow(&mut self.destroyed[CALL].1, at)?;
            }
            Node::CheckRoom { addr: MemAddr { base, .. }, room, .. } => {
                self.read(base, at);
                self.compared(room, at);
            }
            Node::CheckSum { base, index, room, .. } => {
                self.read(base, at);
                self.read(index, at);
                self.compared(room, at);
            }
            node => {
                for operand in node.operands() {
                    self.read(operand, at);
                }
            }
        }
        if node.has_value() {
            let hint = match node {
                Node::Helper { .. } | Node::Call { .. } | Node::CallReg { .. } | Node::Packet { .. }
                    if self.machine.result != u8::MAX =>
                {
                    Hint::Reg(self.machine.result)
                }
                Node::Select { other, .. } => Hint::Val(other),
                _ => node.operands().into_iter().next().map_or(Hint::None, Hint::Val),
            };
            self.of[val.index()] = Interval { start: at + 1, end: at + 1, weight: self.weight, hint };
        }
        Ok(())
    }

    fn term(&mut self, number: usize, term: &Term, at: u32) {
        let function = self.function;
        match *term {
            Term::Jump(_) => {}
            Term::Branch { a, b, .. } => {
                self.read(a, at);
                if let Rhs::Val(b) = b {
                    self.read(b, at);
                }
            }
            Term::Return(val) => {
                let wish = self.machine.result;
                self.moved(val, at, if wish == u8::MAX { Hint::None } else { Hint::Reg(wish) });
            }
        }
        for edge in term.edges() {
            let target = &function.blocks[edge.to.index()];
            for (arg, param) in function.list(edge.args).iter().zip(function.params_of(target)) {
                self.moved(*arg, at, Hint::Val(param));
                if edge.to.index() <= number {
                    // Round a loop it had best be where the parameter is, so that nothing moves.
                    self.of[arg.index()].hint = Hint::Val(param);
                }
                // What flows in first is where the parameter had best be.
                let interval = &mut self.of[param.index()];
                if interval.hint == Hint::None && !is_number(function, *arg) {
                    interval.hint = Hint::Val(*arg);
                }
            }
        }
    }
}

/// Counts the loops around each block, as far as the order of blocks tells.
fn depths(function: &Function) -> Result<Vec<u8>, BuildErrorKind> {
    let mut change = filled(0i32, function.blocks.len() + 1)?;
    for (number, block) in function.blocks.iter().enumerate() {
        for edge in block.term.edges().filter(|edge| edge.to.index() <= number) {
            change[edge.to.index()] += 1;
            change[number + 1] -= 1;
        }
    }
    let mut depth = 0;
    let mut depths = Vec::new();
    depths.try_reserve_exact(function.blocks.len()).map_err(|_| BuildErrorKind::OutOfMemory)?;
    depths.extend(change.iter().take(function.blocks.len()).map(|change| {
        depth += change;
        depth.clamp(0, 255) as u8
    }));
    Ok(depths)
}

/// Answers how far back jumps reach: a tree over blocks of the highest position from which one is jumped back to.
struct Loops {
    tree: Vec<u32>,
    leaves: usize,
}

impl Loops {
    fn new(function: &Function) -> Result<Loops, BuildErrorKind> {
        let leaves = function.blocks.len().next_power_of_two();
        Ok(Loops { tree: filled(0, 2 * leaves)?, leaves })
    }

    fn add(&mut self, header: usize, from: u32) {
        let leaf = &mut self.tree[self.leaves + header];
        *leaf = (*leaf).max(from);
    }

    fn finish(&mut self) {
        for index in (1..self.leaves).rev() {
            self.tree[index] = self.tree[2 * index].max(self.tree[2 * index + 1]);
        }
    }

    /// Returns the highest position from which a block of `first..=last` is jumped back to.
    fn highest(&self, first: usize, last: usize) -> u32 {
        let (mut low, mut high, mut highest) = (first + self.leaves, last + self.leaves + 1, 0);
        while low < high {
            if low % 2 == 1 {
                highest = highest.max(self.tree[low]);
                low += 1;
            }
            if high % 2 == 1 {
                high -= 1;
                highest = highest.max(self.tree[high]);
            }
            low /= 2;
            high /= 2;
        }
        highest
    }

    /// Lets a value live to the end of each loop that starts while it lives.
    fn stretch(&self, block_starts: &[u32], interval: &mut Interval) {
        let block = |position: u32| block_starts.partition_point(|start| *start <= position) - 1;
        let home = block(interval.start);
        let mut last = block(interval.end);
        while last > home {
            let reach = self.highest(home + 1, last);
            if reach <= interval.end {
                break;
            }
            interval.end = reach;
            last = block(reach);
        }
    }
}
