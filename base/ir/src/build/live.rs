//! Which variables somebody may still read at the start of each piece.

use super::flow::Flow;
use super::vars::{VarSet, Vars};
use crate::error::BuildErrorKind;
use crate::source::Link;
use crate::ssa::filled;
use alloc_crate::vec::Vec;
use skep_isa::{Insn, Program, Reg, RegSet};

/// Says which registers an instruction reads, with what is known of the helper that it calls.
pub(super) fn reads(insn: Insn, link: &dyn Link) -> RegSet {
    match insn {
        Insn::CallHelper { id } => arguments(link.helper(id).unwrap_or(5)),
        _ => insn.reads(),
    }
}

/// Returns the first argument registers.
fn arguments(count: u8) -> RegSet {
    Reg::ALL[1..=usize::from(count.min(5))].iter().fold(RegSet::EMPTY, |set, reg| set.with(*reg))
}

/// Finds, for each piece, the variables that are live where it starts.
pub(super) fn live(
    program: &Program,
    link: &dyn Link,
    flow: &Flow,
    vars: &Vars,
) -> Result<Vec<VarSet>, BuildErrorKind> {
    let count = flow.pieces.len();
    let mut gen_kill = filled((VarSet::default(), VarSet::default()), count)?;
    for (piece, (uses, defs)) in flow.pieces.iter().zip(&mut gen_kill) {
        if !piece.reachable {
            continue;
        }
        for (_, insn) in piece.insns(program) {
            let (reads, writes) = vars.uses_and_defs(insn, reads(insn, link));
            *uses = uses.union(reads.without(*defs));
            *defs = defs.union(writes);
        }
    }
    let mut live = filled(VarSet::default(), count)?;
    let mut changed = true;
    while changed {
        changed = false;
        for index in (0..count).rev() {
            let piece = &flow.pieces[index];
            if !piece.reachable {
                continue;
            }
            let (uses, defs) = gen_kill[index];
            let after = piece.succs().fold(VarSet::default(), |set, to| set.union(live[to]));
            let before = uses.union(after.without(defs));
            if before != live[index] {
                live[index] = before;
                changed = true;
            }
        }
    }
    Ok(live)
}
