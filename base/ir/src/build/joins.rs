//! What variables are where ways meet.
//!
//! | a piece with | has as parameters |
//! | --- | --- |
//! | one way in | nothing |
//! | several | the live variables that are not the same on all of them |
//! | a way back among them | besides those, the live variables that something in the loop assigns |
//!
//! What parameters turn out to be copies nevertheless, by way of a loop that only moves things around, is found
//! [later](crate::passes::params).

use super::Builder;
use super::flow::{Flow, NONE};
use super::live::Liveness;
use super::vars::{MAX_VARS, VarSet};
use crate::error::BuildErrorKind;
use crate::ssa::{Block, List, Node, Val, filled, grow};
use alloc_crate::vec::Vec;

/// Says which way out of its block an edge is, in the order of [`Term::edges`](crate::ssa::Term::edges).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    First,
    Second,
}

/// Is a way into a piece that is not built yet.
#[derive(Clone, Copy)]
struct Arrival {
    /// Names the block that it comes from.
    from: u32,
    way: Way,
    /// Says where the values of the live variables start in the list of those that are kept.
    values: u32,
    /// Names the arrival before.
    next: u32,
}

/// Holds what is known of each piece's variables.
pub(super) struct Joins {
    /// Holds the values of variables that are live at the end of ways.
    kept: Vec<Val>,
    arrivals: Vec<Arrival>,
    /// Names the last arrival at each piece.
    last: Vec<u32>,
    /// Holds the parameters of each piece that is built.
    params: Vec<VarSet>,
    /// Holds what loops assign, by the piece that they start at; nothing where that is not known.
    assigned: Option<Vec<VarSet>>,
}

impl Joins {
    pub(super) fn new(flow: &Flow, liveness: &Liveness) -> Result<Joins, BuildErrorKind> {
        let count = flow.pieces.len();
        let assigned = match &flow.loops {
            Some(loops) => loops.assigned(&flow.order, &liveness.defs)?,
            None => None,
        };
        let params = filled(VarSet::default(), count)?;
        Ok(Joins { kept: Vec::new(), arrivals: Vec::new(), last: filled(NONE, count)?, params, assigned })
    }
}

impl Builder<'_> {
    /// Notes what variables are on the way to a piece, and lists the arguments if its parameters are known.
    pub(super) fn leave(&mut self, to: usize, block: Block, way: Way) -> Result<List, BuildErrorKind> {
        let shape = self.shape;
        let from = self.out.blocks.len() as u32;
        if block.0 <= from {
            let start = u32::try_from(self.out.pool.len()).map_err(|_| BuildErrorKind::TooLarge)?;
            let params = self.joins.params[to];
            for var in params.iter() {
                grow(&mut self.out.pool, self.env[var.index()])?;
            }
            return Ok(List { start, len: params.len() as u32 });
        }
        // What is built next goes on with what is here; a count of rounds is another on the second way.
        let preds = shape.flow.pieces[to].preds;
        if preds == 1 && block.0 == from + 1 && shape.vars.loops.is_none() {
            return Ok(List::default());
        }
        let live = shape.liveness.live[to];
        let joins = &mut self.joins;
        let values = u32::try_from(joins.kept.len()).map_err(|_| BuildErrorKind::TooLarge)?;
        joins.kept.try_reserve(live.len()).map_err(|_| BuildErrorKind::OutOfMemory)?;
        joins.kept.extend(live.iter().map(|var| self.env[var.index()]));
        let next = joins.last[to];
        joins.last[to] = joins.arrivals.len() as u32;
        grow(&mut joins.arrivals, Arrival { from, way, values, next })?;
        Ok(List::default())
    }

    /// Sets the variables to what they are where a piece starts, and counts its parameters.
    pub(super) fn arrive(&mut self, piece: usize) -> Result<u32, BuildErrorKind> {
        let shape = self.shape;
        let (preds, live) = (shape.flow.pieces[piece].preds, shape.liveness.live[piece]);
        let Some(last) = self.joins.arrivals.get(self.joins.last[piece] as usize).copied() else {
            return Ok(0);
        };
        let kept = &self.joins.kept;
        let values = |arrival: &Arrival| &kept[arrival.values as usize..][..live.len()];
        // Says, by position, what is not the same on all ways.
        let mut differs = [false; MAX_VARS];
        let (mut ways, mut next) = (1, last.next);
        while let Some(arrival) = self.joins.arrivals.get(next as usize) {
            for (differs, (a, b)) in differs.iter_mut().zip(values(&last).iter().zip(values(arrival))) {
                *differs |= a != b;
            }
            next = arrival.next;
            ways += 1;
        }
        // What goes round a loop is not here yet.
        let assigned = match &self.joins.assigned {
            _ if ways == preds => VarSet::default(),
            Some(assigned) => assigned[piece],
            None => live,
        };
        let mut params = VarSet::default();
        for (var, (differs, value)) in live.iter().zip(differs.iter_mut().zip(values(&last))) {
            *differs |= assigned.contains(var);
            self.env[var.index()] = if *differs {
                params.insert(var);
                self.out.push(Node::Param, self.at)?
            } else {
                *value
            };
        }
        self.joins.params[piece] = params;
        let len = params.len() as u32;
        let mut next = self.joins.last[piece];
        while let Some(arrival) = self.joins.arrivals.get(next as usize).filter(|_| len != 0) {
            let start = u32::try_from(self.out.pool.len()).map_err(|_| BuildErrorKind::TooLarge)?;
            for (value, _) in values(arrival).iter().zip(differs).filter(|(_, differs)| *differs) {
                grow(&mut self.out.pool, *value)?;
            }
            let mut edges = self.out.blocks[arrival.from as usize].term.edges_mut();
            let edge = match arrival.way {
                Way::First => edges.next(),
                Way::Second => edges.nth(1),
            };
            if let Some(edge) = edge {
                edge.args = List { start, len };
            }
            next = arrival.next;
        }
        Ok(len)
    }
}
