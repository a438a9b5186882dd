//! Block parameters: which are only other names for one value.

use crate::error::BuildErrorKind;
use crate::ssa::{Edge, Function, Node, Renaming, Val, filled};
use alloc_crate::vec::Vec;

/// Holds the edges into each block.
pub(crate) struct Incoming {
    edges: Vec<Edge>,
    starts: Vec<u32>,
}

impl Incoming {
    pub(crate) fn new(function: &Function) -> Result<Incoming, BuildErrorKind> {
        let count = function.blocks.len();
        let mut starts = filled(0u32, count + 1)?;
        for edge in function.blocks.iter().flat_map(|block| block.term.edges()) {
            starts[edge.to.index() + 1] += 1;
        }
        for index in 0..count {
            starts[index + 1] += starts[index];
        }
        let mut next = starts.clone();
        let nowhere = Edge { to: crate::ssa::Block::ENTRY, args: Default::default(), charge: 0 };
        let mut edges = filled(nowhere, starts[count] as usize)?;
        for edge in function.blocks.iter().flat_map(|block| block.term.edges()) {
            let place = &mut next[edge.to.index()];
            edges[*place as usize] = *edge;
            *place += 1;
        }
        Ok(Incoming { edges, starts })
    }

    pub(crate) fn of(&self, block: usize) -> &[Edge] {
        &self.edges[self.starts[block] as usize..self.starts[block + 1] as usize]
    }
}

/// Says for each parameter which block it is of, and its position there; other nodes have an arbitrary answer.
pub(crate) fn places(function: &Function) -> Result<Vec<(u32, u32)>, BuildErrorKind> {
    let mut places = filled((0u32, 0u32), function.nodes.len())?;
    for (block, number) in function.blocks.iter().zip(0..) {
        for (param, position) in function.params_of(block).zip(0..) {
            places[param.index()] = (number, position);
        }
    }
    Ok(places)
}

/// Finds which block a parameter is of, and its position there.
pub(crate) fn place(function: &Function, param: Val) -> (u32, u32) {
    let block = function.blocks.partition_point(|block| block.first <= param).saturating_sub(1);
    let before = function.params_of(&function.blocks[block]).take_while(|val| *val < param);
    (block as u32, before.count() as u32)
}

/// Removes parameters that receive one and the same value from everywhere but themselves. Says whether there were any.
///
/// # Errors
///
/// [`BuildErrorKind::OutOfMemory`].
pub fn remove_copies(function: &mut Function) -> Result<bool, BuildErrorKind> {
    if !function.nodes.iter().skip(function.blocks[0].params as usize).any(Node::is_param) {
        return Ok(false);
    }
    let incoming = Incoming::new(function)?;
    let (mut becomes, mut any) = (Renaming::default(), false);
    loop {
        let mut changed = false;
        for (block, number) in function.blocks.iter().zip(0..).skip(1) {
            for (position, param) in function.params_of(block).enumerate() {
                if becomes.of(param) != param {
                    continue;
                }
                let copy = only_value(function, &incoming, &becomes, number, position, param)
                    .or_else(|| twin(function, &incoming, &becomes, number, position));
                if let Some(copy) = copy {
                    becomes.set(param, copy)?;
                    changed = true;
                }
            }
        }
        if !changed {
            break;
        }
        any = true;
    }
    if any {
        super::rename(function, &becomes);
        keep(function, |val| becomes.of(val) == val);
    }
    Ok(any)
}

/// Finds the one value that a parameter stands for; equal numbers are one value.
fn only_value(
    function: &Function,
    incoming: &Incoming,
    becomes: &Renaming,
    block: usize,
    position: usize,
    param: Val,
) -> Option<Val> {
    let mut only = None;
    for edge in incoming.of(block) {
        let val = becomes.of(function.pool[edge.args.start as usize + position]);
        if val == param {
            continue;
        }
        match only {
            None => only = Some(val),
            Some(other) if other == val => {}
            Some(_) => return None,
        }
    }
    only
}

/// Finds an earlier parameter that receives the same from everywhere.
fn twin(
    function: &Function,
    incoming: &Incoming,
    becomes: &Renaming,
    block: usize,
    position: usize,
) -> Option<Val> {
    let arg = |edge: &Edge, position: usize| becomes.of(function.pool[edge.args.start as usize + position]);
    let edges = incoming.of(block);
    let (first, others) = edges.split_first()?;
    let earlier = function.params_of(&function.blocks[block]).take(position).enumerate();
    let wanted = arg(first, position);
    earlier
        .filter(|(_, val)| becomes.of(*val) == *val)
        .find(|(at, _)| {
            arg(first, *at) == wanted && others.iter().all(|edge| arg(edge, *at) == arg(edge, position))
        })
        .map(|(_, val)| val)
}

/// Removes the parameters that are not to be kept, with what flows into them; their nodes become [`Node::Nop`].
pub(crate) fn keep(function: &mut Function, wanted: impl Fn(Val) -> bool) {
    let Function { nodes, blocks, pool, .. } = function;
    // The edges first: they go by the position of the parameter, which the blocks still know.
    for index in 0..blocks.len() {
        let mut term = blocks[index].term;
        for edge in term.edges_mut() {
            let target = blocks[edge.to.index()];
            let start = edge.args.start as usize;
            let mut kept = 0;
            let params = target.head().filter(|val| nodes[val.index()].is_param());
            for (position, param) in params.enumerate() {
                if wanted(param) {
                    pool[start + kept as usize] = pool[start + position];
                    kept += 1;
                }
            }
            edge.args.len = kept;
        }
        blocks[index].term = term;
    }
    for block in blocks.iter().skip(1) {
        for param in block.head() {
            if nodes[param.index()].is_param() && !wanted(param) {
                nodes[param.index()] = Node::Nop;
            }
        }
    }
}
