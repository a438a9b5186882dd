//! Removes what nobody reads.

use crate::error::BuildErrorKind;
use crate::ssa::{Function, Node, Val, filled, grow};
use alloc_crate::vec::Vec;

/// Turns pure nodes whose value is not read into [`Node::Nop`], starting from what has an effect.
///
/// What flows into a parameter is read only if the parameter is.
///
/// # Errors
///
/// [`BuildErrorKind::OutOfMemory`].
pub fn remove(function: &mut Function) -> Result<(), BuildErrorKind> {
    let mut read = filled(false, function.nodes.len())?;
    let mut pending = Vec::new();
    let mut mark = |val: Val, pending: &mut Vec<Val>| {
        if !read[val.index()] {
            read[val.index()] = true;
            grow(pending, val)?;
        }
        Ok::<(), BuildErrorKind>(())
    };
    for (node, index) in function.nodes.iter().zip(0..) {
        if !node.is_pure() {
            mark(Val(index), &mut pending)?;
        }
    }
    for block in &function.blocks {
        for val in block.term.operands() {
            mark(val, &mut pending)?;
        }
    }
    let incoming = super::params::Incoming::new(function)?;
    let places = super::params::places(function)?;
    while let Some(val) = pending.pop() {
        let node = function.nodes[val.index()];
        for operand in node.operands() {
            mark(operand, &mut pending)?;
        }
        if let Some(list) = node.args() {
            for operand in function.list(list) {
                mark(*operand, &mut pending)?;
            }
        }
        if node == Node::Param {
            let (block, position) = places[val.index()];
            for edge in incoming.of(block as usize) {
                mark(function.pool[(edge.args.start + position) as usize], &mut pending)?;
            }
        }
    }
    // Only the entry's parameters stay where they are whether read or not: they are how the function is called.
    let entry = function.blocks[0].params as usize;
    super::params::keep(function, |val| read[val.index()] || val.index() < entry);
    for (node, read) in function.nodes.iter_mut().zip(&read).skip(entry) {
        if !read {
            *node = Node::Nop;
        }
    }
    Ok(())
}
