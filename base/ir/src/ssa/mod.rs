//! The form in which we optimise: values defined once, blocks with parameters.
//!
//! Nodes stand in one array in the order of the bytecode, so a value's number is also its place; a block is a range of it.
//! Values have 64 bits; operations of 32 bits zero-extend.

pub mod eval;
mod node;
mod print;
pub mod verify;

pub use node::{MemAddr, Node, Operands, Sum};

use crate::error::BuildErrorKind;
use alloc_crate::vec::Vec;
use core::fmt;
use core::ops::Range;
use skep_isa::{Cond, InsnIdx, Width};

/// Names a value: what the node with this number computes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Val(pub u32);

impl Val {
    /// Returns the number as an index.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for Val {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// Names a block of a function.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Block(pub u32);

impl Block {
    /// Names the block where a function starts; its parameters are the function's.
    pub const ENTRY: Block = Block(0);

    /// Returns the number as an index.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b{}", self.0)
    }
}

/// Is a list of values in a function's pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct List {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl List {
    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }

    /// Counts the values.
    pub const fn len(self) -> usize {
        self.len as usize
    }

    /// Says whether there are none.
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// Is a way from one block to another, with the values for the target's parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Edge {
    /// Names the target.
    pub to: Block,
    /// Holds one value for each of its parameters.
    pub args: List,
    /// Says how much fuel going there costs.
    pub charge: u32,
}

/// Is a second operand of a comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rhs {
    /// A value.
    Val(Val),
    /// A number, sign-extended.
    Imm(i32),
}

/// Is how a block ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Term {
    /// Goes on in one block.
    Jump(Edge),
    /// Goes on in one of two.
    Branch {
        /// Says how to compare.
        cond: Cond,
        /// Says at which width.
        width: Width,
        /// Holds the first operand.
        a: Val,
        /// Holds the second.
        b: Rhs,
        /// Is taken if the comparison holds.
        then: Edge,
        /// Is taken if it does not.
        other: Edge,
    },
    /// Leaves the function with a result.
    Return(Val),
}

impl Term {
    /// Yields the ways out.
    pub fn edges(&self) -> impl Iterator<Item = &Edge> {
        let (first, second) = match self {
            Term::Jump(edge) => (Some(edge), None),
            Term::Branch { then, other, .. } => (Some(then), Some(other)),
            Term::Return(_) => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// Yields the ways out, to change.
    pub fn edges_mut(&mut self) -> impl Iterator<Item = &mut Edge> {
        let (first, second) = match self {
            Term::Jump(edge) => (Some(edge), None),
            Term::Branch { then, other, .. } => (Some(then), Some(other)),
            Term::Return(_) => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// Lets `map` replace each value that it reads itself.
    pub fn map_operands(&mut self, mut map: impl FnMut(Val) -> Val) {
        match self {
            Term::Jump(_) => {}
            Term::Branch { a, b, .. } => {
                *a = map(*a);
                if let Rhs::Val(val) = b {
                    *val = map(*val);
                }
            }
            Term::Return(val) => *val = map(*val),
        }
    }

    /// Yields the values that it reads itself, without those on its edges.
    pub fn operands(&self) -> impl Iterator<Item = Val> {
        let (first, second) = match *self {
            Term::Jump(_) => (None, None),
            Term::Branch { a, b: Rhs::Val(b), .. } => (Some(a), Some(b)),
            Term::Branch { a, b: Rhs::Imm(_), .. } => (Some(a), None),
            Term::Return(a) => (Some(a), None),
        };
        first.into_iter().chain(second)
    }
}

/// Is one block: parameters first, then nodes, then the way out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockData {
    /// Names the first node.
    pub first: Val,
    /// Counts the first nodes, where the parameters are.
    pub params: u32,
    /// Names the node after the last.
    pub end: Val,
    /// Says how it ends.
    pub term: Term,
    /// Names the instruction that ends it.
    pub at: InsnIdx,
}

impl BlockData {
    /// Yields all its nodes, the parameters among them.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = Val> + use<> {
        (self.first.0..self.end.0).map(Val)
    }

    /// Yields the first nodes, where its parameters are; a pass may have made some of them [`Node::Nop`].
    pub fn head(&self) -> impl DoubleEndedIterator<Item = Val> + use<> {
        (self.first.0..self.first.0 + self.params).map(Val)
    }
}

/// Is one function.
#[derive(Clone, Debug, Default)]
pub struct Function {
    /// Holds the nodes.
    pub nodes: Vec<Node>,
    /// Holds, for each node, the instruction that it stems from.
    pub at: Vec<InsnIdx>,
    /// Holds the blocks; the first is the entry, and the order is that of the bytecode.
    pub blocks: Vec<BlockData>,
    /// Holds the lists that nodes and edges refer to.
    pub pool: Vec<Val>,
    /// Says which of r1–r5 the entry's parameters are, in order.
    pub params: Vec<u8>,
    /// Says whether the function touches its stack in memory.
    pub uses_stack: bool,
}

impl Function {
    /// Returns a node.
    #[inline]
    pub fn node(&self, val: Val) -> Node {
        self.nodes[val.index()]
    }

    /// Returns a list.
    #[inline]
    pub fn list(&self, list: List) -> &[Val] {
        &self.pool[list.range()]
    }

    /// Yields a block's parameters, in the order in which its edges list their values.
    pub fn params_of<'f>(&'f self, block: &BlockData) -> impl Iterator<Item = Val> + use<'f> {
        block.head().filter(|val| self.nodes[val.index()].is_param())
    }

    /// Returns the number, if a value is one.
    #[inline]
    pub fn constant(&self, val: Val) -> Option<u64> {
        match self.nodes[val.index()] {
            Node::Const(number) => Some(number),
            _ => None,
        }
    }

    /// Makes room for about so many nodes and blocks.
    pub(crate) fn reserve(&mut self, nodes: usize, blocks: usize) -> Result<(), BuildErrorKind> {
        let reserved = self.nodes.try_reserve(nodes).and_then(|()| self.at.try_reserve(nodes));
        let reserved = reserved.and_then(|()| self.blocks.try_reserve(blocks));
        reserved.map_err(|_| BuildErrorKind::OutOfMemory)
    }

    /// Adds a node at the end.
    pub(crate) fn push(&mut self, node: Node, at: InsnIdx) -> Result<Val, BuildErrorKind> {
        let val = u32::try_from(self.nodes.len()).map_err(|_| BuildErrorKind::TooLarge)?;
        grow(&mut self.nodes, node)?;
        grow(&mut self.at, at)?;
        Ok(Val(val))
    }

    /// Adds a list to the pool.
    pub(crate) fn push_list(
        &mut self,
        values: impl ExactSizeIterator<Item = Val>,
    ) -> Result<List, BuildErrorKind> {
        let start = u32::try_from(self.pool.len()).map_err(|_| BuildErrorKind::TooLarge)?;
        let len = values.len() as u32;
        self.pool.try_reserve(values.len()).map_err(|_| BuildErrorKind::OutOfMemory)?;
        self.pool.extend(values);
        Ok(List { start, len })
    }
}

/// Appends where memory allows.
#[inline(always)]
pub(crate) fn grow<T>(list: &mut Vec<T>, item: T) -> Result<(), BuildErrorKind> {
    if list.len() == list.capacity() {
        more(list)?;
    }
    list.push(item);
    Ok(())
}

/// Counts the items that a list has room for at first.
const FIRST: usize = 16;

#[cold]
#[inline(never)]
fn more<T>(list: &mut Vec<T>) -> Result<(), BuildErrorKind> {
    list.try_reserve(FIRST).map_err(|_| BuildErrorKind::OutOfMemory)
}

/// Makes a list of equal items where memory allows.
pub(crate) fn filled<T: Clone>(item: T, len: usize) -> Result<Vec<T>, BuildErrorKind> {
    let mut list = Vec::new();
    list.try_reserve_exact(len).map_err(|_| BuildErrorKind::OutOfMemory)?;
    list.resize(len, item);
    Ok(list)
}

/// Holds what values turned out to be.
#[derive(Default)]
pub(crate) struct Renaming {
    to: Vec<Val>,
}

impl Renaming {
    /// Returns what a value is now.
    pub(crate) fn of(&self, mut val: Val) -> Val {
        while let Some(to) = self.to.get(val.index()) {
            if *to == val {
                break;
            }
            val = *to;
        }
        val
    }

    /// Notes that a value is another one.
    pub(crate) fn set(&mut self, val: Val, to: Val) -> Result<(), BuildErrorKind> {
        let len = val.index() + 1;
        if let Some(more) = len.checked_sub(self.to.len()) {
            self.to.try_reserve(more).map_err(|_| BuildErrorKind::OutOfMemory)?;
            let start = self.to.len() as u32;
            self.to.extend((start..len as u32).map(Val));
        }
        self.to[val.index()] = self.of(to);
        Ok(())
    }
}

/// Is a whole program.
#[derive(Clone, Debug, Default)]
pub struct Unit {
    /// Holds the functions, numbered as in the program's structure.
    pub functions: Vec<Function>,
    /// Says whether functions may be called by their [number](crate::handle): through a register, or by a helper.
    pub by_number: bool,
}

impl Unit {
    /// Says whether the function that the program is entered at may be called too.
    pub(crate) fn calls_entry(&self) -> bool {
        let calls = |node: &Node| matches!(node, Node::Call { function: 0, .. });
        self.by_number || self.functions.iter().any(|function| function.nodes.iter().any(calls))
    }
}
