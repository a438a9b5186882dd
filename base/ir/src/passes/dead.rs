//! Removes what nobody reads.

use super::params::Incoming;
use crate::error::BuildErrorKind;
use crate::ssa::{BlockData, Function, Node, Val, filled, grow};
use alloc_crate::vec::Vec;

/// Turns pure nodes whose value is not read into [`Node::Nop`], starting from what has an effect.
///
/// What flows into a parameter is read only if the parameter is. Who reads stands behind what it reads, but for what flows
/// round a loop: one walk from the end sees all readers first, and what turns out to be read only where a loop begins is
/// followed from there.
///
/// # Errors
///
/// [`BuildErrorKind::OutOfMemory`].
pub fn remove(function: &mut Function) -> Result<(), BuildErrorKind> {
    let read = read(function)?;
    // Only the entry's parameters stay where they are whether read or not: they are how the function is called.
    let entry = function.blocks[0].params as usize;
    super::params::keep(function, |val| read[val.index()] || val.index() < entry)?;
    for (node, read) in function.nodes.iter_mut().zip(&read).skip(entry) {
        if !read {
            *node = Node::Nop;
        }
    }
    Ok(())
}

/// Says which nodes have an effect, or are read by such.
fn read(function: &Function) -> Result<Vec<bool>, BuildErrorKind> {
    let mut read = filled(false, function.nodes.len())?;
    let mut heads = filled(false, function.blocks.len())?;
    let mut incoming = None;
    for (number, block) in function.blocks.iter().enumerate().rev() {
        block.term.operands().for_each(|val| read[val.index()] = true);
        for edge in block.term.edges() {
            if edge.to.index() <= number {
                heads[edge.to.index()] = true;
                continue;
            }
            let params = function.params_of(&function.blocks[edge.to.index()]);
            for (arg, param) in function.list(edge.args).iter().zip(params) {
                read[arg.index()] |= read[param.index()];
            }
        }
        for val in block.nodes().rev() {
            let node = function.nodes[val.index()];
            if read[val.index()] || !node.is_pure() {
                read[val.index()] = true;
                node.each_operand(|val| read[val.index()] = true);
                let list = node.args().map_or(&[][..], |list| function.list(list));
                list.iter().for_each(|val| read[val.index()] = true);
            }
        }
        if heads[number] {
            let incoming = match &mut incoming {
                Some(incoming) => incoming,
                none => none.insert(Incoming::new(function)?),
            };
            Round { function, incoming, read: &mut read, from: block.first, pending: Vec::new() }
                .follow(block)?;
        }
    }
    Ok(read)
}

/// Follows what flows round a loop, as far as the walk has come.
struct Round<'r> {
    function: &'r Function,
    incoming: &'r Incoming,
    read: &'r mut [bool],
    /// Names the first node that the walk has seen.
    from: Val,
    pending: Vec<Val>,
}

impl Round<'_> {
    fn follow(&mut self, head: &BlockData) -> Result<(), BuildErrorKind> {
        let function = self.function;
        for param in function.params_of(head) {
            if self.read[param.index()] {
                self.param(param)?;
            }
        }
        while let Some(val) = self.pending.pop() {
            let node = function.nodes[val.index()];
            if node == Node::Param {
                self.param(val)?;
            }
            for val in node.operands() {
                self.mark(val)?;
            }
            // What has a list has an effect, and was seen.
        }
        Ok(())
    }

    /// Marks what flows into a parameter.
    fn param(&mut self, param: Val) -> Result<(), BuildErrorKind> {
        let (block, position) = super::params::place(self.function, param);
        for list in self.incoming.of(block as usize) {
            self.mark(super::params::brought(self.function, *list, position))?;
        }
        Ok(())
    }

    /// Marks a value; what the walk has passed is followed.
    fn mark(&mut self, val: Val) -> Result<(), BuildErrorKind> {
        if !core::mem::replace(&mut self.read[val.index()], true) && val >= self.from {
            grow(&mut self.pending, val)?;
        }
        Ok(())
    }
}
