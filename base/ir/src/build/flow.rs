//! Where control goes in one function, in blocks of bytecode.

use super::scan::{STARTS, Slot};
use super::vars::VarSet;
use crate::error::BuildErrorKind;
use crate::ssa::{filled, grow};
use alloc_crate::vec::Vec;
use skep_isa::structure::Subprogram;
use skep_isa::{Flow as Goes, Insn, InsnIdx, Program};

/// Is no block.
pub(super) const NONE: u32 = u32::MAX;

/// Stands for a way that has been gone.
const GONE: u32 = NONE - 1;

/// Is a straight piece of the function.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// Names the first instruction.
    pub(super) start: u32,
    /// Names the last.
    pub(super) last: u32,
    /// Names the slot after it.
    pub(super) end: u32,
    /// Names the piece that a jump leads to, if the last instruction is a jump.
    pub(super) jump: u32,
    /// Names the piece that follows where no jump is taken.
    pub(super) next: u32,
    /// Counts the ways in.
    pub(super) preds: u32,
    /// Says whether any way leads here.
    pub(super) reachable: bool,
}

/// Holds a function's pieces in the order of the bytecode.
pub(super) struct Flow {
    pub(super) pieces: Vec<Piece>,
    /// Lists those that can be reached in the order in which they are built: each behind all that dominate it.
    pub(super) order: Vec<u32>,
    /// Says which of them are loops; nothing where none is.
    pub(super) loops: Option<Loops>,
}

/// Finds the pieces.
pub(super) fn flow(
    program: &Program,
    function: Subprogram,
    slots: &mut [Slot],
) -> Result<Flow, BuildErrorKind> {
    let base = function.start.0;
    let mut pieces: Vec<Piece> = Vec::new();
    for (at, slot) in (base..function.end.0).zip(slots.iter_mut()) {
        if slot.piece == STARTS {
            if let Some(before) = pieces.last_mut() {
                before.end = at;
            }
            slot.piece = pieces.len() as u32;
            let (last, end) = (at, function.end.0);
            let fresh = Piece { start: at, last, end, jump: NONE, next: NONE, preds: 0, reachable: false };
            grow(&mut pieces, fresh)?;
        }
    }
    let count = pieces.len() as u32;
    for (piece, number) in pieces.iter_mut().zip(1..) {
        // The last slot may be the second half of an instruction.
        let found = (1..=2).find_map(|back| {
            let at = InsnIdx(piece.end.checked_sub(back)?);
            Some((at, program.at(at)?))
        });
        let Some((last, insn)) = found else { continue };
        piece.last = last.0;
        if let Some(target) = insn.jump_target(last) {
            piece.jump = slots[(target.0 - base) as usize].piece;
        }
        if matches!(insn.flow(), Goes::Next | Goes::Branch { .. }) && number < count {
            piece.next = number;
        }
    }
    let (order, loops) = reach(&mut pieces)?;
    Ok(Flow { pieces, order, loops })
}

/// Marks what can be reached, counts the ways into it, and orders it: each piece behind all that lead to it but by a way back,
/// loops in one piece where that can be, and what follows in the bytecode right behind (a reverse postorder).
fn reach(pieces: &mut [Piece]) -> Result<(Vec<u32>, Option<Loops>), BuildErrorKind> {
    // The way in from the function's entry.
    pieces[0].preds = 1;
    pieces[0].reachable = true;
    let ways = |pieces: &[Piece], index: u32| [pieces[index as usize].jump, pieces[index as usize].next];
    let order = walk(pieces.len(), |index| ways(pieces, index))?;
    for index in &order {
        for to in pieces[*index as usize].succs() {
            pieces[to].preds += 1;
            pieces[to].reachable = true;
        }
    }
    let Some(loops) = Loops::find(pieces, &order)? else { return Ok((order, None)) };
    let order = walk(pieces.len(), |index| {
        let [jump, next] = ways(pieces, index);
        if loops.leaves(index, next) && !loops.leaves(index, jump) { [next, jump] } else { [jump, next] }
    })?;
    Ok((order, Some(loops)))
}

/// Walks all that can be reached, and orders it: what a piece lists last stands first behind it.
fn walk(count: usize, ways: impl Fn(u32) -> [u32; 2]) -> Result<Vec<u32>, BuildErrorKind> {
    let mut order = Vec::new();
    order.try_reserve_exact(count).map_err(|_| BuildErrorKind::OutOfMemory)?;
    // One entry more stands for no piece, where nobody wants to go.
    let mut seen = filled(false, count + 1)?;
    seen[count] = true;
    // Pieces that are being left, with the ways out that have not been gone.
    let mut open: Vec<(u32, [u32; 2])> = Vec::new();
    seen[0] = true;
    grow(&mut open, (0, ways(0)))?;
    while let Some((index, left)) = open.last_mut() {
        let to = left[0];
        if to == GONE {
            grow(&mut order, *index)?;
            open.pop();
            continue;
        }
        *left = [left[1], GONE];
        let seen = &mut seen[(to as usize).min(count)];
        if !*seen {
            *seen = true;
            grow(&mut open, (to, ways(to)))?;
        }
    }
    order.reverse();
    Ok(order)
}

/// Says which loop each piece is in, by the piece that the loop is entered at.
pub(super) struct Loops {
    /// Names, for each piece, the innermost loop that it is in.
    inner: Vec<u32>,
    /// Names, for each loop, the one around it.
    outer: Vec<u32>,
    /// Says whether any is entered elsewhere than where it starts.
    entered_inside: bool,
}

impl Loops {
    /// Finds loops from the inside out, each as what leads to a way back without passing its entrance; none where there are
    /// none. What has several entrances is a loop by its first, and as large as that tells.
    fn find(pieces: &[Piece], order: &[u32]) -> Result<Option<Loops>, BuildErrorKind> {
        let count = pieces.len();
        let mut position = filled(NONE, count)?;
        for (piece, place) in order.iter().zip(0..) {
            position[*piece as usize] = place;
        }
        let goes_back = |from: usize, to: usize| position[to] <= position[from];
        let mut ways = order.iter().flat_map(|from| {
            let from = *from as usize;
            pieces[from].succs().map(move |to| (from, to))
        });
        if !ways.any(|(from, to)| goes_back(from, to)) {
            return Ok(None);
        }
        let preds = Preds::new(pieces, order)?;
        let (mut inner, mut outer) = (filled(NONE, count)?, filled(NONE, count)?);
        // Names the outermost loop so far that each piece is in, or the piece itself.
        let mut around: Vec<u32> = Vec::new();
        around.try_reserve_exact(count).map_err(|_| BuildErrorKind::OutOfMemory)?;
        around.extend(0..count as u32);
        let (mut pending, mut entered_inside) = (Vec::new(), false);
        for head in order.iter().rev().copied() {
            let mut is_loop = false;
            for from in preds.of(head).filter(|from| goes_back(*from as usize, head as usize)) {
                is_loop = true;
                grow(&mut pending, find(&mut around, from))?;
            }
            while let Some(piece) = pending.pop() {
                if piece == head || around[piece as usize] != piece {
                    continue;
                }
                around[piece as usize] = head;
                let known = if inner[piece as usize] == piece { &mut outer } else { &mut inner };
                known[piece as usize] = head;
                for from in preds.of(piece) {
                    let from = find(&mut around, from);
                    entered_inside |= position[from as usize] < position[head as usize];
                    if position[from as usize] > position[head as usize] {
                        grow(&mut pending, from)?;
                    }
                }
            }
            if is_loop {
                inner[head as usize] = head;
            }
        }
        Ok(Some(Loops { inner, outer, entered_inside }))
    }

    /// Finds, for each piece that a loop starts at, the variables that something in the loop assigns, given those that each
    /// piece assigns. Nothing where a loop is entered elsewhere: around it, more may change than what is in it.
    pub(super) fn assigned(
        &self,
        order: &[u32],
        defs: &[VarSet],
    ) -> Result<Option<Vec<VarSet>>, BuildErrorKind> {
        if self.entered_inside {
            return Ok(None);
        }
        let mut assigned = filled(VarSet::default(), self.inner.len())?;
        // What is in a loop stands behind its start.
        for piece in order.iter().rev().map(|piece| *piece as usize) {
            let (head, outer) = (self.inner[piece], self.outer[piece]);
            let Some(known) = assigned.get(head as usize).copied() else { continue };
            let all = known.union(defs[piece]);
            assigned[head as usize] = all;
            if head as usize == piece && outer != NONE {
                assigned[outer as usize] = assigned[outer as usize].union(all);
            }
        }
        Ok(Some(assigned))
    }

    /// Says whether a way out of a piece leads out of the innermost loop that this is in.
    fn leaves(&self, from: u32, to: u32) -> bool {
        let around = self.inner[from as usize];
        let Some(target) = self.inner.get(to as usize) else { return false };
        // A loop inside is entered where it starts.
        let enters = *target == to && self.outer[to as usize] == around;
        around != NONE && *target != around && !enters
    }
}

/// Returns the outermost loop so far around a piece, and shortens the way there.
fn find(around: &mut [u32], mut piece: u32) -> u32 {
    while around[piece as usize] != piece {
        let next = around[piece as usize];
        around[piece as usize] = around[next as usize];
        piece = next;
    }
    piece
}

/// Holds the pieces that lead to each piece.
struct Preds {
    from: Vec<u32>,
    starts: Vec<u32>,
}

impl Preds {
    fn new(pieces: &[Piece], order: &[u32]) -> Result<Preds, BuildErrorKind> {
        // Ways to nowhere are counted as those of one piece more, so that none has to be told apart.
        let count = pieces.len();
        let ways = |from: u32| {
            let Piece { jump, next, .. } = pieces[from as usize];
            [jump, next].map(|to| (to as usize).min(count))
        };
        let mut starts = filled(0u32, count + 2)?;
        for from in order.iter().copied() {
            let [jump, next] = ways(from);
            starts[jump + 1] += 1;
            starts[next + 1] += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut places = filled(0u32, count + 1)?;
        places.copy_from_slice(&starts[..=count]);
        let mut list = filled(NONE, 2 * order.len())?;
        for from in order.iter().copied() {
            for to in ways(from) {
                list[places[to] as usize] = from;
                places[to] += 1;
            }
        }
        Ok(Preds { from: list, starts })
    }

    fn of(&self, piece: u32) -> impl Iterator<Item = u32> + use<'_> {
        let range = self.starts[piece as usize] as usize..self.starts[piece as usize + 1] as usize;
        self.from[range].iter().copied()
    }
}

impl Piece {
    /// Yields the pieces that may follow.
    pub(super) fn succs(&self) -> impl Iterator<Item = usize> + use<> {
        [self.jump, self.next].into_iter().filter(|to| *to != NONE).map(|to| to as usize)
    }

    /// Yields its instructions.
    pub(super) fn insns<'p>(&self, program: &'p Program) -> impl Iterator<Item = (InsnIdx, Insn)> + use<'p> {
        (self.start..self.end)
            .filter_map(move |slot| program.at(InsnIdx(slot)).map(|insn| (InsnIdx(slot), insn)))
    }
}
