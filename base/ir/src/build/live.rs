//! Which variables somebody may still read at the start of each piece.

use super::flow::Flow;
use super::vars::{VarSet, Vars};
use crate::error::BuildErrorKind;
use crate::source::Link;
use crate::ssa::filled;
use alloc_crate::vec::Vec;
use skep_isa::structure::Structure;
use skep_isa::{Insn, InsnIdx, Program, Reg, RegSet};

/// Is what is known of whoever a function calls.
#[derive(Clone, Copy)]
pub(super) struct Callees<'c> {
    pub(super) link: &'c dyn Link,
    pub(super) structure: &'c Structure,
    /// Holds what each function of the program takes, as far as it is known.
    pub(super) takes: &'c [RegSet],
}

/// Says which registers an instruction reads, with what is known of whom it calls.
fn reads(at: InsnIdx, insn: Insn, callees: Callees<'_>) -> RegSet {
    match insn {
        Insn::CallHelper { id } => arguments(callees.link.helper(id).unwrap_or(5)),
        Insn::CallLocal { .. } => {
            let callee = insn.call_target(at).and_then(|target| callees.structure.subprogram_at(target));
            callee.and_then(|callee| callees.takes.get(callee)).copied().unwrap_or(insn.reads())
        }
        _ => insn.reads(),
    }
}

/// Returns the first argument registers.
pub(crate) fn arguments(count: u8) -> RegSet {
    Reg::ALL[1..=usize::from(count.min(5))].iter().fold(RegSet::EMPTY, |set, reg| set.with(*reg))
}

/// Finds, for each piece, the variables that are live where it starts.
pub(super) fn live(
    program: &Program,
    callees: Callees<'_>,
    flow: &Flow,
    vars: &Vars,
) -> Result<Vec<VarSet>, BuildErrorKind> {
    let count = flow.pieces.len();
    let mut gen_kill = filled((VarSet::default(), VarSet::default()), count)?;
    for (piece, (uses, defs)) in flow.pieces.iter().zip(&mut gen_kill) {
        if !piece.reachable {
            continue;
        }
        for (at, insn) in piece.insns(program) {
            let (reads, writes) = vars.uses_and_defs(insn, reads(at, insn, callees));
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
