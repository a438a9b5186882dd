//! Whether a function is well-formed: every use is reached by its definition, every edge carries what its target takes.

use super::{Function, Node, Term, Val};
use alloc_crate::vec;
use alloc_crate::vec::Vec;
use core::fmt;

/// Says what is wrong with a function, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A value is read where its definition does not dominate.
    NotDominated {
        /// Names the value.
        val: Val,
        /// Names the block that reads it.
        block: u32,
    },
    /// A node that has no value is read.
    NoValue {
        /// Names the node.
        val: Val,
        /// Names the block that reads it.
        block: u32,
    },
    /// An edge carries another number of values than its target has parameters.
    Arguments {
        /// Names the block that the edge leaves.
        block: u32,
    },
    /// A parameter stands behind other nodes.
    Parameter {
        /// Names it.
        val: Val,
    },
    /// A call passes another number of values than the function takes; only [`check`] of a whole unit sees this.
    Call {
        /// Names the call.
        val: Val,
    },
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::NotDominated { val, block } => {
                write!(f, "b{block} reads {val}, whose definition does not dominate it")
            }
            Malformed::NoValue { val, block } => write!(f, "b{block} reads {val}, which has no value"),
            Malformed::Arguments { block } => write!(f, "an edge from b{block} does not fit its target"),
            Malformed::Parameter { val } => write!(f, "{val} is a parameter behind other nodes"),
            Malformed::Call { val } => write!(f, "the call {val} does not fit its function"),
        }
    }
}

impl core::error::Error for Malformed {}

/// Checks a unit.
///
/// # Errors
///
/// [`Malformed`] names the first fault.
pub fn check(unit: &super::Unit) -> Result<(), Malformed> {
    for function in &unit.functions {
        check_function(function)?;
        for (node, index) in function.nodes.iter().zip(0..) {
            if let Node::Call { function: callee, args } = node {
                let takes = unit.functions.get(*callee as usize).map(|callee| callee.params.len());
                if takes != Some(args.len()) {
                    return Err(Malformed::Call { val: Val(index) });
                }
            }
        }
    }
    Ok(())
}

fn check_function(function: &Function) -> Result<(), Malformed> {
    let blocks = function.blocks.len();
    let mut preds: Vec<Vec<u32>> = vec![Vec::new(); blocks];
    let mut block_of = vec![u32::MAX; function.nodes.len()];
    for (number, block) in function.blocks.iter().enumerate() {
        for edge in block.term.edges() {
            let target = edge.to.index();
            let fits =
                target < blocks && function.params_of(&function.blocks[target]).count() == edge.args.len();
            if !fits {
                return Err(Malformed::Arguments { block: number as u32 });
            }
            preds[target].push(number as u32);
        }
        for val in block.nodes() {
            block_of[val.index()] = number as u32;
            if function.nodes[val.index()] == Node::Param && val.0 >= block.first.0 + block.params {
                return Err(Malformed::Parameter { val });
            }
        }
    }
    let dominators = Dominators::new(function, &preds);
    for (number, block) in function.blocks.iter().enumerate() {
        let number = number as u32;
        let read = |val: Val, before: u32| {
            if !function.nodes[val.index()].has_value() {
                return Err(Malformed::NoValue { val, block: number });
            }
            let home = block_of[val.index()];
            let fine = if home == number { val.0 < before } else { dominators.dominates(home, number) };
            if fine { Ok(()) } else { Err(Malformed::NotDominated { val, block: number }) }
        };
        for val in block.nodes() {
            let node = function.nodes[val.index()];
            for operand in node.operands() {
                read(operand, val.0)?;
            }
            for operand in node.args().map_or(&[][..], |list| function.list(list)) {
                read(*operand, val.0)?;
            }
        }
        for val in block.term.operands() {
            read(val, u32::MAX)?;
        }
        for edge in block.term.edges() {
            for val in function.list(edge.args) {
                read(*val, u32::MAX)?;
            }
        }
        if matches!(block.term, Term::Return(_)) {
            continue;
        }
    }
    Ok(())
}

/// Holds immediate dominators, by the iteration of Cooper, Harvey and Kennedy ("A Simple, Fast Dominance Algorithm").
struct Dominators {
    idom: Vec<u32>,
    /// Gives the place of each block in reverse postorder.
    order: Vec<u32>,
}

impl Dominators {
    fn new(function: &Function, preds: &[Vec<u32>]) -> Dominators {
        let postorder = postorder(function);
        let mut order = vec![u32::MAX; preds.len()];
        for (place, block) in postorder.iter().rev().enumerate() {
            order[*block as usize] = place as u32;
        }
        let mut idom = vec![u32::MAX; preds.len()];
        idom[0] = 0;
        let mut changed = true;
        while changed {
            changed = false;
            for &block in postorder.iter().rev().skip(1) {
                let mut new = u32::MAX;
                for &pred in &preds[block as usize] {
                    if idom[pred as usize] == u32::MAX {
                        continue;
                    }
                    new = if new == u32::MAX { pred } else { meet(&idom, &order, new, pred) };
                }
                if idom[block as usize] != new {
                    idom[block as usize] = new;
                    changed = true;
                }
            }
        }
        Dominators { idom, order }
    }

    fn dominates(&self, above: u32, mut below: u32) -> bool {
        if self.order[below as usize] == u32::MAX || above == u32::MAX {
            return false;
        }
        while self.order[below as usize] > self.order[above as usize] {
            below = self.idom[below as usize];
        }
        below == above
    }
}

fn meet(idom: &[u32], order: &[u32], mut a: u32, mut b: u32) -> u32 {
    while a != b {
        if order[a as usize] > order[b as usize] {
            a = idom[a as usize];
        } else {
            b = idom[b as usize];
        }
    }
    a
}

fn postorder(function: &Function) -> Vec<u32> {
    let mut seen = vec![false; function.blocks.len()];
    let mut out = Vec::new();
    let mut stack = vec![(0u32, 0usize)];
    seen[0] = true;
    while let Some((block, next)) = stack.pop() {
        match function.blocks[block as usize].term.edges().nth(next) {
            Some(edge) => {
                stack.push((block, next + 1));
                if !seen[edge.to.index()] {
                    seen[edge.to.index()] = true;
                    stack.push((edge.to.0, 0));
                }
            }
            None => out.push(block),
        }
    }
    out
}
