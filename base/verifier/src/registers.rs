//! Whether what is read was ever written, as far as one path decides it.

use crate::flow::{Reach, Reached};
use crate::rejection::{Rejection, Rule};
use skep_abi::ProgType;
use skep_isa::{Flow, Insn, InsnIdx, Program, Reg, RegSet};

/// Finds the first read of a register that nothing has written, on the way from the start to the first branch
/// (`check_reg_arg` in `kernel/bpf/verifier.c`: "R0 !read_ok"). A call reads what its prototype says, which is not looked at here.
pub(crate) fn uninitialised(program: &Program, reached: &Reached, kind: ProgType) -> Option<Rejection> {
    let may_return_nothing = matches!(kind, ProgType::LSM | ProgType::STRUCT_OPS);
    // A program starts with its context in r1 and its frame in r10.
    let mut written = RegSet::of(Reg::R1).with(Reg::FP);
    let mut next = Some(InsnIdx::ZERO);
    // No path without a branch is longer than the program, unless it never ends.
    for _ in 0..program.len() {
        let at = next.filter(|at| reached.at(*at) == Reach::Certainly)?;
        let insn = program.at(at)?;
        if insn.is_call() {
            written = written.without(RegSet::ARGUMENTS).with(Reg::R0);
        } else {
            // Some functions return nothing.
            let reads = if insn == Insn::Exit && may_return_nothing { RegSet::EMPTY } else { insn.reads() };
            if let Some(reg) = reads.without(written).iter().next() {
                return Some(
                    Rule::Initialised
                        .broken(at, format_args!("`{insn}` reads {reg}, which nothing has written before")),
                );
            }
            written = match insn {
                Insn::LoadAbs { .. } | Insn::LoadInd { .. } => {
                    written.without(RegSet::ARGUMENTS).with(Reg::R0)
                }
                _ => written.union(insn.writes()),
            };
        }
        next = match insn.flow() {
            Flow::Next => Some(InsnIdx(at.0 + insn.slots())),
            Flow::Jump { .. } => insn.jump_target(at),
            Flow::Branch { .. } | Flow::Indirect | Flow::Exit => None,
        };
    }
    None
}
