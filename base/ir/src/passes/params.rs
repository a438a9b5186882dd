//! Block parameters: which are only other names for one value.

use crate::error::BuildErrorKind;
use crate::ssa::{Function, Node, Renaming, Val, filled, grow};
use alloc_crate::vec::Vec;

/// Holds the ways into each block: where the lists of their arguments start.
pub(crate) struct Incoming {
    lists: Vec<u32>,
    ends: Vec<u32>,
}

impl Incoming {
    pub(crate) fn new(function: &Function) -> Result<Incoming, BuildErrorKind> {
        let mut ends = filled(0u32, function.blocks.len())?;
        for edge in function.blocks.iter().flat_map(|block| block.term.edges()) {
            ends[edge.to.index()] += 1;
        }
        let mut ways = 0;
        for end in &mut ends {
            (*end, ways) = (ways, ways + *end);
        }
        // Where each block's begin, until they are filled in; then where they end.
        let mut lists = filled(0u32, ways as usize)?;
        for edge in function.blocks.iter().flat_map(|block| block.term.edges()) {
            let place = &mut ends[edge.to.index()];
            lists[*place as usize] = edge.args.start;
            *place += 1;
        }
        Ok(Incoming { lists, ends })
    }

    /// Returns, for each way into a block, where the list of its arguments starts.
    #[inline]
    pub(crate) fn of(&self, block: usize) -> &[u32] {
        let start = block.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.lists[start as usize..self.ends[block] as usize]
    }
}

/// Returns what a way with a list of arguments brings for the parameter at a position.
#[inline]
pub(crate) fn brought(function: &Function, list: u32, position: u32) -> Val {
    function.pool[(list + position) as usize]
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

/// Is a parameter, and where it stands.
#[derive(Clone, Copy)]
struct Param {
    val: Val,
    block: u32,
    position: u32,
    /// Names the parameter before it in the list that receives the same by the first way in.
    like: u32,
}

/// Lists the parameters but those of the entry, by block.
fn listed(function: &Function) -> Result<Vec<Param>, BuildErrorKind> {
    let mut list = Vec::new();
    for (block, number) in function.blocks.iter().zip(0..).skip(1).filter(|(block, _)| block.params != 0) {
        for (val, position) in function.params_of(block).zip(0..) {
            grow(&mut list, Param { val, block: number, position, like: NOBODY })?;
        }
    }
    Ok(list)
}

/// Removes parameters that receive one and the same value from everywhere but themselves. Returns the nodes that read something
/// else from then on; nothing where there were no such parameters.
///
/// # Errors
///
/// [`BuildErrorKind::OutOfMemory`].
pub fn remove_copies(function: &mut Function) -> Result<Option<Vec<Val>>, BuildErrorKind> {
    let mut list = listed(function)?;
    if list.is_empty() {
        return Ok(None);
    }
    let mut copies = Copies {
        function,
        incoming: Incoming::new(function)?,
        becomes: Renaming::default(),
        lately: filled(NOBODY, function.nodes.len())?,
    };
    let (all, mut first) = (list.len(), Val(u32::MAX));
    loop {
        let (before, mut kept) = (list.len(), 0);
        for index in 0..before {
            list[kept] = list[index];
            match copies.only_value(&list[kept]).or_else(|| copies.twin(&mut list[..=kept])) {
                Some(copy) => {
                    first = first.min(list[kept].val);
                    copies.becomes.set(list[kept].val, copy)?;
                }
                None => kept += 1,
            }
        }
        list.truncate(kept);
        if kept == before {
            break;
        }
    }
    let becomes = copies.becomes;
    if list.len() == all {
        return Ok(None);
    }
    let readers = super::rename_from(function, first, &becomes)?;
    keep(function, |val| becomes.of(val) == val)?;
    Ok(Some(readers))
}

/// Is no parameter of a list.
const NOBODY: u32 = u32::MAX;

struct Copies<'c> {
    function: &'c Function,
    incoming: Incoming,
    becomes: Renaming,
    /// Names, for each value, the parameter that was looked at last and receives it by the first way into its block; what is
    /// no such parameter any more was looked at before that.
    lately: Vec<u32>,
}

impl Copies<'_> {
    /// Returns what a parameter at a position receives by a way.
    #[inline]
    fn arg(&self, list: u32, position: u32) -> Val {
        self.becomes.of(brought(self.function, list, position))
    }

    /// Finds the one value that a parameter stands for.
    fn only_value(&self, param: &Param) -> Option<Val> {
        let mut only = None;
        for list in self.incoming.of(param.block as usize) {
            let val = self.arg(*list, param.position);
            if val == param.val {
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

    /// Finds a parameter in front of the last of a list that receives the same from everywhere.
    fn twin(&mut self, list: &mut [Param]) -> Option<Val> {
        let (last, before) = list.split_last_mut()?;
        let (first, others) = self.incoming.of(last.block as usize).split_first()?;
        let wanted = self.arg(*first, last.position);
        // Who stands in the list at a number may be another one now, of this block or of none yet.
        let (mut like, mut bound) = (self.lately[wanted.index()], before.len());
        while let Some(param) = before[..bound].get(like as usize).filter(|param| param.block == last.block) {
            let same = |list: &u32| self.arg(*list, param.position) == self.arg(*list, last.position);
            if same(first) && others.iter().all(same) {
                return Some(param.val);
            }
            (like, bound) = (param.like, like as usize);
        }
        last.like = self.lately[wanted.index()];
        self.lately[wanted.index()] = before.len() as u32;
        None
    }
}

/// Removes the parameters that are not to be kept, with what flows into them; their nodes become [`Node::Nop`].
///
/// # Errors
///
/// [`BuildErrorKind::OutOfMemory`].
pub(crate) fn keep(function: &mut Function, wanted: impl Fn(Val) -> bool) -> Result<(), BuildErrorKind> {
    let mut loses = filled(false, function.blocks.len())?;
    for (block, loses) in function.blocks.iter().zip(&mut loses).skip(1) {
        *loses = block.params != 0 && function.params_of(block).any(|param| !wanted(param));
    }
    let Function { nodes, blocks, pool, .. } = function;
    // The edges first: they go by the position of the parameter, which the blocks still know.
    for index in 0..blocks.len() {
        if !blocks[index].term.edges().any(|edge| loses[edge.to.index()]) {
            continue;
        }
        let mut term = blocks[index].term;
        for edge in term.edges_mut().filter(|edge| loses[edge.to.index()]) {
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
    for (block, _) in blocks.iter().zip(&loses).filter(|(_, loses)| **loses) {
        for param in block.head() {
            if nodes[param.index()].is_param() && !wanted(param) {
                nodes[param.index()] = Node::Nop;
            }
        }
    }
    Ok(())
}
