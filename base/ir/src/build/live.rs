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

/// Holds what is known of the variables at each piece.
#[derive(Default)]
pub(super) struct Liveness {
    /// Holds those that somebody may still read where it starts.
    pub(super) live: Vec<VarSet>,
    /// Holds those that it assigns.
    pub(super) defs: Vec<VarSet>,
    /// Says whether any of this depends on what functions of the program take.
    pub(super) calls: bool,
}

/// Finds, for each piece, the variables that are live where it starts.
pub(super) fn live(
    program: &Program,
    callees: Callees<'_>,
    flow: &Flow,
    vars: &Vars,
) -> Result<Liveness, BuildErrorKind> {
    let count = flow.pieces.len();
    let none = || filled(VarSet::default(), count);
    let (mut uses, mut defs, mut calls) = (none()?, none()?, false);
    for index in flow.order.iter().map(|index| *index as usize) {
        let (mut read, mut written) = (VarSet::default(), VarSet::default());
        for (at, insn) in flow.pieces[index].insns(program) {
            calls |= matches!(insn, Insn::CallLocal { .. });
            let (reads, writes) = vars.uses_and_defs(insn, reads(at, insn, callees));
            read = read.union(reads.without(written));
            written = written.union(writes);
        }
        (uses[index], defs[index]) = (read, written);
    }
    let mut live = none()?;
    loop {
        let mut changed = false;
        for index in flow.order.iter().rev().map(|index| *index as usize) {
            let after = flow.pieces[index].succs().fold(VarSet::default(), |set, to| set.union(live[to]));
            let before = uses[index].union(after.without(defs[index]));
            changed |= before != live[index];
            live[index] = before;
        }
        // Without loops, what follows is known when its turn comes.
        if !changed || flow.loops.is_none() {
            return Ok(Liveness { live, defs, calls });
        }
    }
}
