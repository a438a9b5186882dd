//! Which registers are read later, by the instructions alone.

use crate::rejection::{Rejection, no_memory};
use crate::step::kfunc_of;
use crate::subject::Subject;
use alloc::vec::Vec;
use skep_abi::FuncId;
use skep_isa::structure::Structure;
use skep_isa::{Flow, Insn, InsnIdx, Program, Reg, RegSet};

/// By slot, the registers that are read there or later, before they are written.
pub(crate) struct Live {
    before: Vec<RegSet>,
}

impl Live {
    /// Walks backwards until nothing changes: a few times for a program with loops.
    pub(crate) fn compute(
        program: &Program,
        structure: &Structure,
        subject: &Subject<'_>,
    ) -> Result<Live, Rejection> {
        let mut before = Vec::new();
        before.try_reserve_exact(program.len()).map_err(|_| no_memory())?;
        before.resize(program.len(), RegSet::EMPTY);
        let mut live = Live { before };
        for subprogram in structure.subprograms() {
            let mut changed = true;
            while changed {
                changed = false;
                let mut at = subprogram.end;
                while at > subprogram.start {
                    at = InsnIdx(at.0 - 1);
                    let Some(insn) = program.at(at) else { continue };
                    let next = InsnIdx(at.0 + insn.slots());
                    let after = match insn.flow() {
                        Flow::Next => live.before(next),
                        Flow::Jump { .. } => insn.jump_target(at).map_or(ALL, |to| live.before(to)),
                        Flow::Branch { .. } => {
                            insn.jump_target(at).map_or(ALL, |to| live.before(to)).union(live.before(next))
                        }
                        Flow::Indirect => ALL,
                        Flow::Exit => RegSet::EMPTY,
                    };
                    let (reads, writes) = touched(insn, subject);
                    let now = after.without(writes).union(reads);
                    if let Some(known) = live.before.get_mut(at.index()) {
                        changed |= *known != now;
                        *known = now;
                    }
                }
            }
        }
        Ok(live)
    }

    /// The registers that are read at this slot or later.
    pub(crate) fn before(&self, at: InsnIdx) -> RegSet {
        self.before.get(at.index()).copied().unwrap_or(ALL)
    }
}

const ALL: RegSet = RegSet::ALL;

fn touched(insn: Insn, subject: &Subject<'_>) -> (RegSet, RegSet) {
    let reads = match insn {
        Insn::CallHelper { id } => {
            match subject.platform.helper(FuncId(id)).ok().and_then(|helper| helper.prototype) {
                Some(prototype) => Reg::ALL.into_iter().skip(1).take(prototype.args.len()).collect(),
                None => RegSet::ARGUMENTS,
            }
        }
        Insn::CallKfunc { .. } => match kfunc_of(subject, insn) {
            Some(kfunc) => Reg::ALL.into_iter().skip(1).take(usize::from(kfunc.args)).collect(),
            None => RegSet::ARGUMENTS,
        },
        _ => insn.reads(),
    };
    (reads, insn.writes())
}
