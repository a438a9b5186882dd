//! From where to where each value lives.
//!
//! Positions count nodes and block ends in order, two for each: operands are read at the even one, results written at the
//! odd one. Blocks stand behind those that dominate them, so a value is defined at a lower position than it is read.

use crate::error::BuildErrorKind;
use crate::machine::{Machine, RegMask};
use crate::ssa::{BlockData, Function, MemAddr, Node, Rhs, Term, Val, filled, grow};
use alloc_crate::vec::Vec;

/// Is the life of one value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interval {
    pub(super) start: u32,
    pub(super) end: u32,
    /// Names the block that it ends in.
    pub(super) last: u32,
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

impl Hint {
    /// Wishes for a register of a [`Machine`], where it has one to wish for.
    fn register(reg: u8) -> Hint {
        if reg == u8::MAX { Hint::None } else { Hint::Reg(reg) }
    }
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

pub(super) const NOWHERE: Interval = Interval { start: 1, end: 0, last: 0, weight: 0, hint: Hint::None };

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
    let loops = Loops::new(function)?;
    let mut walk = Walk {
        function,
        machine,
        of: filled(NOWHERE, function.nodes.len())?,
        destroyed: [machine.calls, machine.divisions, machine.shifts, machine.exchanges]
            .map(|mask| (mask, Vec::new())),
        depth: loops.depths(function)?,
        number: 0,
        weight: 1,
    };
    let entry = function.params_of(&function.blocks[0]);
    for (param, reg) in entry.zip(&function.params) {
        walk.of[param.index()].hint = Hint::register(machine.arguments[usize::from(*reg) - 1]);
    }
    for (block, number) in function.blocks.iter().zip(0..) {
        let base = block.first.0.checked_add(number).and_then(|at| at.checked_mul(2));
        let base = base.ok_or(BuildErrorKind::TooLarge)?;
        walk.number = number;
        walk.weight = 1 << (3 * walk.depth[number as usize].min(5));
        for param in function.params_of(block) {
            // What flows in from above has left a wish already.
            let hint = walk.of[param.index()].hint;
            let (weight, last) = (walk.weight, number);
            walk.of[param.index()] = Interval { start: base, end: base + 1, last, weight, hint };
        }
        for val in block.nodes() {
            walk.node(val, base + 2 * (val.0 - block.first.0))?;
        }
        walk.term(&block.term, end_of(block, number));
    }
    let Walk { mut of, destroyed, depth, .. } = walk;
    if let Some(reach) = loops.reach(function)? {
        for (block, number) in function.blocks.iter().zip(0..) {
            for interval in &mut of[block.first.index()..block.end.index()] {
                if interval.is_needed() && interval.last > number {
                    reach.stretch(function, number, interval);
                }
            }
        }
    }
    Ok(Intervals { of, destroyed, depth })
}

/// Returns the position of a block's end.
fn end_of(block: &BlockData, number: u32) -> u32 {
    2 * (block.end.0 + number)
}

struct Walk<'w> {
    function: &'w Function,
    machine: &'w Machine,
    of: Vec<Interval>,
    destroyed: [(RegMask, Vec<u32>); 4],
    depth: Vec<u8>,
    /// Names the block that is walked.
    number: u32,
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
        interval.last = self.number;
        interval.weight = interval.weight.saturating_add(self.weight);
    }

    /// Notes that something is compared with a room, which costs hardly more where that is in memory.
    fn compared(&mut self, room: Val, at: u32) {
        let interval = &mut self.of[room.index()];
        interval.end = interval.end.max(at);
        interval.last = self.number;
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
        // What the value wishes for; nothing where there is no value. The commonest nodes are told apart once, and no more.
        let result = Hint::register(self.machine.result);
        let wish = match node {
            Node::Nop | Node::Param | Node::Charge(_) => return Ok(()),
            Node::Const(_) | Node::FramePointer => Some(Hint::None),
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
                Some(Hint::Val(a))
            }
            Node::AluImm { op, a, .. } => {
                use skep_isa::AluOp;
                self.read(a, at);
                if matches!(op, AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod) {
                    grow(&mut self.destroyed[DIVISION].1, at)?;
                }
                Some(Hint::Val(a))
            }
            Node::Load { addr: MemAddr { base: a, .. }, .. }
            | Node::Trunc { a, .. }
            | Node::Sext { a, .. } => {
                self.read(a, at);
                Some(Hint::Val(a))
            }
            Node::Check { addr, .. } | Node::StoreImm { addr, .. } => {
                self.read(addr.base, at);
                None
            }
            Node::Store { addr, value, .. } => {
                self.read(addr.base, at);
                self.read(value, at);
                None
            }
            Node::Atomic { addr, src, .. } => {
                self.read(addr.base, late(destroys_first));
                self.read(src, late(destroys_first));
                grow(&mut self.destroyed[EXCHANGE].1, at)?;
                Some(Hint::Val(addr.base))
            }
            Node::Cmpxchg { addr, expected, src, .. } => {
                self.read(addr.base, late(destroys_first));
                self.read(src, late(destroys_first));
                self.read(expected, at);
                grow(&mut self.destroyed[EXCHANGE].1, at)?;
                Some(Hint::Val(addr.base))
            }
            Node::Helper { args, .. } | Node::Call { args, .. } | Node::Packet { args, .. } => {
                for (arg, wish) in function.list(args).iter().zip(self.machine.arguments) {
                    self.moved(*arg, at, Hint::register(wish));
                }
                grow(&mut self.destroyed[CALL].1, at)?;
                Some(result)
            }
            Node::CallReg { args } => {
                for arg in function.list(args) {
                    self.moved(*arg, at, Hint::None);
                }
                grow(&mut self.destroyed[CALL].1, at)?;
                Some(result)
            }
            Node::CheckRoom { addr: MemAddr { base, .. }, room, .. } => {
                self.read(base, at);
                self.compared(room, at);
                None
            }
            Node::CheckSum { base, index, room, .. } => {
                self.read(base, at);
                self.read(index, at);
                self.compared(room, at);
                None
            }
            node => {
                let mut first = Hint::None;
                node.each_operand(|operand| {
                    self.read(operand, at);
                    if first == Hint::None {
                        first = Hint::Val(operand);
                    }
                });
                match node {
                    Node::Select { other, .. } => Some(Hint::Val(other)),
                    node => node.has_value().then_some(first),
                }
            }
        };
        if let Some(hint) = wish {
            let (weight, last) = (self.weight, self.number);
            self.of[val.index()] = Interval { start: at + 1, end: at + 1, last, weight, hint };
        }
        Ok(())
    }

    fn term(&mut self, term: &Term, at: u32) {
        let function = self.function;
        match *term {
            Term::Jump(_) => {}
            Term::Branch { a, b, .. } => {
                self.read(a, at);
                if let Rhs::Val(b) = b {
                    self.read(b, at);
                }
            }
            Term::Return(val) => self.moved(val, at, Hint::register(self.machine.result)),
        }
        for edge in term.edges() {
            let target = &function.blocks[edge.to.index()];
            for (arg, param) in function.list(edge.args).iter().zip(function.params_of(target)) {
                self.moved(*arg, at, Hint::Val(param));
                if edge.to.0 <= self.number {
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

/// Lists the jumps back: from which block to which.
struct Loops {
    back: Vec<(u32, u32)>,
}

impl Loops {
    fn new(function: &Function) -> Result<Loops, BuildErrorKind> {
        let mut back = Vec::new();
        for (block, number) in function.blocks.iter().zip(0..) {
            for edge in block.term.edges().filter(|edge| edge.to.0 <= number) {
                grow(&mut back, (number, edge.to.0))?;
            }
        }
        Ok(Loops { back })
    }

    /// Counts the loops around each block, as far as the order of blocks tells.
    fn depths(&self, function: &Function) -> Result<Vec<u8>, BuildErrorKind> {
        if self.back.is_empty() {
            return filled(0, function.blocks.len());
        }
        let mut change = filled(0i32, function.blocks.len() + 1)?;
        for (from, to) in &self.back {
            change[*to as usize] += 1;
            change[*from as usize + 1] -= 1;
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

    /// Says how far back the jumps reach; nothing where there are none.
    fn reach(&self, function: &Function) -> Result<Option<Reach>, BuildErrorKind> {
        if self.back.is_empty() {
            return Ok(None);
        }
        let leaves = function.blocks.len().next_power_of_two();
        let mut tree = filled(0, 2 * leaves)?;
        // The list is in the order of where jumps come from, so the last one into a block is the highest.
        for (from, to) in &self.back {
            tree[leaves + *to as usize] = *from;
        }
        for index in (1..leaves).rev() {
            tree[index] = tree[2 * index].max(tree[2 * index + 1]);
        }
        Ok(Some(Reach { tree, leaves }))
    }
}

/// Answers how far back jumps reach: a tree over blocks of the highest block from which one is jumped back to, 0 for none.
struct Reach {
    tree: Vec<u32>,
    leaves: usize,
}

impl Reach {
    /// Returns the highest block from which one of `first..=last` is jumped back to.
    fn highest(&self, first: u32, last: u32) -> u32 {
        let (mut low, mut high) = (first as usize + self.leaves, last as usize + self.leaves + 1);
        let mut highest = 0;
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

    /// Lets a value of a block live to the end of each loop that starts while it lives.
    fn stretch(&self, function: &Function, home: u32, interval: &mut Interval) {
        loop {
            let from = self.highest(home + 1, interval.last);
            let reach = end_of(&function.blocks[from as usize], from) + 1;
            if reach <= interval.end {
                break;
            }
            interval.end = reach;
            interval.last = from;
        }
    }
}
