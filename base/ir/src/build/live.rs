//! Which variables somebody may still read at the start of each piece.

use super::flow::Flow;
use super::scan::{AGAIN, Slot};
use super::vars::{VarSet, Vars};
use crate::error::BuildErrorKind;
use crate::ssa::filled;
use alloc_crate::vec::Vec;
use skep_isa::structure::Structure;
use skep_isa::{Insn, InsnIdx, Program, Reg, RegSet};

/// Is what is known of whoever a function calls.
#[derive(Clone, Copy)]
pub(super) struct Callees<'c> {
    pub(super) structure: &'c Structure,
    /// Holds what each function of the program takes, as far as it is known.
    pub(super) takes: &'c [RegSet],
}

/// Says which registers an instruction reads, with what is known of whom it calls.
fn reads(at: InsnIdx, insn: Insn, callees: Callees<'_>) -> RegSet {
    match insn {
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
}

/// Finds, for each piece, the variables that are live where it starts.
pub(super) fn live(
    program: &Program,
    callees: Callees<'_>,
    slots: &[Slot],
    flow: &Flow,
    vars: &Vars,
) -> Result<Liveness, BuildErrorKind> {
    let base = flow.pieces[0].start;
    let none = || filled(VarSet::default(), flow.pieces.len());
    let (mut uses, mut defs) = (none()?, none()?);
    for index in flow.order.iter().map(|index| *index as usize) {
        let piece = flow.pieces[index];
        // Registers apart, as they are most of it.
        let (mut read, mut written) = (0, 0);
        let (mut read_besides, mut written_besides) = (VarSet::default(), VarSet::default());
        for at in piece.start..piece.end {
            let Slot { reads, writes, .. } = slots[(at - base) as usize];
            if reads & AGAIN == 0 {
                read |= reads & !written;
                written |= writes;
            } else if let Some(insn) = program.at(InsnIdx(at)) {
                let (uses, defs) = vars.uses_and_defs(insn, self::reads(InsnIdx(at), insn, callees));
                let before = written_besides.union(VarSet::registers(written));
                read_besides = read_besides.union(uses.without(before));
                written_besides = written_besides.union(defs);
                written |= writes;
            }
        }
        uses[index] = read_besides.union(VarSet::registers(read));
        defs[index] = written_besides.union(VarSet::registers(written));
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
            return Ok(Liveness { live, defs });
        }
    }
}
