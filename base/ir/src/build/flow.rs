//! Where control goes in one function, in blocks of bytecode.

use crate::error::BuildErrorKind;
use crate::ssa::{filled, grow};
use alloc_crate::vec::Vec;
use skep_isa::structure::Subprogram;
use skep_isa::{Flow as Goes, Insn, InsnIdx, Program};

/// Is no block.
pub(super) const NONE: u32 = u32::MAX;

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
}

/// Finds the pieces.
pub(super) fn flow(program: &Program, function: Subprogram) -> Result<Flow, BuildErrorKind> {
    let base = function.start.0;
    let len = (function.end.0 - base) as usize;
    let mut leads = filled(false, len + 1)?;
    leads[0] = true;
    let insns = |from: u32, to: u32| {
        (from..to).filter_map(|slot| program.at(InsnIdx(slot)).map(|insn| (InsnIdx(slot), insn)))
    };
    for (at, insn) in insns(base, function.end.0) {
        if insn.flow() != Goes::Next {
            leads[(at.0 - base + insn.slots()) as usize] = true;
        }
        if let Some(target) = insn.jump_target(at) {
            leads[(target.0 - base) as usize] = true;
        }
    }
    let mut pieces: Vec<Piece> = Vec::new();
    let mut piece_at = filled(NONE, len)?;
    for (at, insn) in insns(base, function.end.0) {
        let slot = (at.0 - base) as usize;
        if leads[slot] {
            piece_at[slot] = pieces.len() as u32;
            let fresh = Piece {
                start: at.0,
                last: at.0,
                end: at.0 + insn.slots(),
                jump: NONE,
                next: NONE,
                preds: 0,
                reachable: false,
            };
            grow(&mut pieces, fresh)?;
        } else if let Some(piece) = pieces.last_mut() {
            piece.last = at.0;
            piece.end = at.0 + insn.slots();
        }
    }
    for index in 0..pieces.len() {
        let last = InsnIdx(pieces[index].last);
        let Some(insn) = program.at(last) else { continue };
        let goes = insn.flow();
        if let Some(target) = insn.jump_target(last) {
            pieces[index].jump = piece_at[(target.0 - base) as usize];
        }
        if matches!(goes, Goes::Next | Goes::Branch { .. }) && index + 1 < pieces.len() {
            pieces[index].next = index as u32 + 1;
        }
    }
    let order = reach(&mut pieces)?;
    Ok(Flow { pieces, order })
}

/// Marks what can be reached, counts the ways into it, and orders it: each piece behind all that lead to it but by a way back,
/// and what follows in the bytecode right behind where that can be (a reverse postorder).
fn reach(pieces: &mut [Piece]) -> Result<Vec<u32>, BuildErrorKind> {
    let mut order = Vec::new();
    // Pieces that are being left, with how many of their ways out have been gone.
    let mut open: Vec<(u32, u8)> = Vec::new();
    // The way in from the function's entry.
    pieces[0].preds = 1;
    pieces[0].reachable = true;
    grow(&mut open, (0, 0))?;
    while let Some((index, gone)) = open.last_mut() {
        let Piece { jump, next, .. } = pieces[*index as usize];
        // What is gone last stands first.
        let Some(to) = [jump, next].get(usize::from(*gone)).copied() else {
            grow(&mut order, *index)?;
            open.pop();
            continue;
        };
        *gone += 1;
        if let Some(piece) = pieces.get_mut(to as usize) {
            piece.preds += 1;
            if !piece.reachable {
                piece.reachable = true;
                grow(&mut open, (to, 0))?;
            }
        }
    }
    order.reverse();
    Ok(order)
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
