//! Which instructions can be reached, and which are reached whatever the branches do.

use crate::rejection::{Rejection, Rule, no_memory};
use alloc::vec::Vec;
use skep_isa::structure::Structure;
use skep_isa::{Flow, InsnIdx, Program};

/// How control comes to an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// Not at all.
    Never,
    /// By some branch.
    Perhaps,
    /// Whatever the branches do, if nothing before it is refused.
    Certainly,
}

/// How each slot is reached; of a wide instruction, the first.
pub(crate) struct Reached {
    slots: Vec<Reach>,
    /// What is certainly reached, in the order of control.
    certain: Vec<InsnIdx>,
}

impl Reached {
    /// Walks every function from its start: each is called or has its address taken, or is the main one or the one that is
    /// called when the program throws.
    ///
    /// # Errors
    ///
    /// Memory: it takes a few bytes for each slot.
    pub(crate) fn walk(
        program: &Program,
        structure: &Structure,
        exception_callback: Option<InsnIdx>,
    ) -> Result<Reached, Rejection> {
        let mut slots = Vec::new();
        let mut pending: Vec<InsnIdx> = Vec::new();
        slots.try_reserve_exact(program.len()).map_err(|_| no_memory())?;
        slots.resize(program.len(), Reach::Never);
        // A slot is pushed only when its mark changes, which it does once.
        pending.try_reserve_exact(program.len()).map_err(|_| no_memory())?;
        let mut certain = Vec::new();
        certain.try_reserve_exact(program.len()).map_err(|_| no_memory())?;
        let mut reached = Reached { slots, certain };
        for subprogram in structure.subprograms() {
            reached.mark(Some(subprogram.start), program, &mut pending);
        }
        reached.mark(exception_callback, program, &mut pending);
        while let Some(at) = pending.pop() {
            let Some(insn) = program.at(at) else { continue };
            let next = InsnIdx(at.0 + insn.slots());
            if matches!(insn.flow(), Flow::Next | Flow::Branch { .. }) {
                reached.mark(Some(next), program, &mut pending);
            }
            reached.mark(insn.jump_target(at), program, &mut pending);
        }
        reached.walk_certain(program, &mut pending);
        Ok(reached)
    }

    fn mark(&mut self, at: Option<InsnIdx>, program: &Program, pending: &mut Vec<InsnIdx>) {
        let Some(at) = at.filter(|&at| program.at(at).is_some()) else { return };
        if let Some(reach @ Reach::Never) = self.slots.get_mut(at.index()) {
            *reach = Reach::Perhaps;
            pending.push(at);
        }
    }

    /// Follows the main function up to the first branch, and so each function that it calls, where it is called.
    fn walk_certain(&mut self, program: &Program, pending: &mut Vec<InsnIdx>) {
        pending.push(InsnIdx::ZERO);
        while let Some(start) = pending.pop() {
            let mut next = Some(start);
            while let Some(at) = next.take() {
                let (Some(insn), Some(reach)) = (program.at(at), self.slots.get_mut(at.index())) else {
                    break;
                };
                if *reach == Reach::Certainly {
                    break;
                }
                *reach = Reach::Certainly;
                self.certain.push(at);
                next = match insn.flow() {
                    Flow::Next => Some(InsnIdx(at.0 + insn.slots())),
                    Flow::Jump { .. } => insn.jump_target(at),
                    Flow::Branch { .. } | Flow::Indirect | Flow::Exit => None,
                };
                // A function whose address is taken is not called by that.
                if let skep_isa::Insn::CallLocal { .. } = insn {
                    pending.extend(next);
                    next = insn.call_target(at);
                }
            }
        }
    }

    /// Lists what is reached whatever the branches do, in the order of control.
    pub(crate) fn certain(&self) -> &[InsnIdx] {
        &self.certain
    }

    /// How an instruction is reached.
    pub(crate) fn at(&self, at: InsnIdx) -> Reach {
        self.slots.get(at.index()).copied().unwrap_or(Reach::Never)
    }

    /// Refuses instructions that nothing leads to (`check_cfg` in `kernel/bpf/verifier.c`: "unreachable insn").
    ///
    /// # Errors
    ///
    /// Names the first of them.
    pub(crate) fn check(&self, program: &Program) -> Result<(), Rejection> {
        // Where jumps through a register lead, this walk does not know.
        if program.iter().any(|(_, insn)| insn.flow() == Flow::Indirect) {
            return Ok(());
        }
        match program.iter().find(|&(at, _)| self.at(at) == Reach::Never) {
            Some((at, insn)) => Err(Rule::Reachable
                .broken(at, format_args!("nothing leads to `{insn}`"))
                .says(format_args!("unreachable insn {at}"))),
            None => Ok(()),
        }
    }
}
