//! Where jumps and calls may lead.

use skep_isa::structure::{Structure, StructureErrorKind, Subprogram, check};
use skep_isa::{Addr, AluOp, Cond, Insn, InsnIdx, Operand, Program, RawInsn, Reg, StructureError, Width};

const NOP: Insn = Insn::Alu { width: Width::W64, op: AluOp::Mov, dst: Reg::R0, src: Operand::Imm(0) };
const WIDE: Insn = Insn::LoadImm64 { dst: Reg::R1, value: 7 };

fn branch(off: i16) -> Insn {
    Insn::Branch { width: Width::W64, cond: Cond::Eq, dst: Reg::R1, src: Operand::Imm(0), off }
}

fn program(insns: &[Insn]) -> Program {
    let slots: Vec<RawInsn> = insns.iter().flat_map(|insn| insn.encode().to_vec()).collect();
    Program::decode(&slots).expect("made of valid instructions")
}

fn structure(insns: &[Insn]) -> Result<Structure, StructureError> {
    check(&program(insns))
}

fn refused(insns: &[Insn]) -> (u32, StructureErrorKind) {
    let error = structure(insns).expect_err("must be refused");
    assert!(error.to_string().starts_with(&format!("instruction {}: ", error.at)));
    (error.at.0, error.kind)
}

fn subprogram(start: u32, end: u32) -> Subprogram {
    Subprogram { start: InsnIdx(start), end: InsnIdx(end) }
}

#[test]
fn functions_reach_to_the_next_one() {
    let code = Insn::LoadAddr { dst: Reg::R2, addr: Addr::Code { off: 5 } };
    let insns = [code, Insn::CallLocal { off: 1 }, Insn::Exit, NOP, Insn::Exit, NOP, Insn::Exit];
    let found = structure(&insns).expect("well formed");
    assert_eq!(found.subprograms(), [subprogram(0, 4), subprogram(4, 6), subprogram(6, 8)]);
    assert_eq!(found.subprogram_of(InsnIdx(5)), Some(1));
    assert_eq!(found.subprogram_at(InsnIdx(6)), Some(2));
    assert_eq!(found.subprogram_at(InsnIdx(5)), None);
    assert_eq!(found.subprogram_of(InsnIdx(8)), None);
}

#[test]
fn jumps_stay_inside() {
    assert!(structure(&[branch(-1), Insn::Exit]).is_ok());
    assert!(structure(&[Insn::Gotol { off: 0 }, Insn::Exit]).is_ok());
    assert!(structure(&[Insn::Goto { off: -1 }]).is_ok());
    assert_eq!(
        refused(&[branch(-2), Insn::Exit]),
        (0, StructureErrorKind::JumpOutOfRange { target: -1, len: 2 })
    );
    assert_eq!(
        refused(&[branch(1), Insn::Exit]),
        (0, StructureErrorKind::JumpOutOfRange { target: 2, len: 2 })
    );
    assert_eq!(
        refused(&[NOP, Insn::Gotol { off: i32::MAX }]),
        (1, StructureErrorKind::JumpOutOfRange { target: 1 + (1 << 31), len: 2 })
    );
    assert_eq!(
        refused(&[NOP, Insn::Gotol { off: i32::MIN }]),
        (1, StructureErrorKind::JumpOutOfRange { target: 2 - (1 << 31), len: 2 })
    );
}

#[test]
fn nothing_leads_into_a_wide_instruction() {
    assert_eq!(
        refused(&[branch(1), WIDE, Insn::Exit]),
        (0, StructureErrorKind::JumpIntoWide { target: InsnIdx(2) })
    );
    assert_eq!(
        refused(&[Insn::CallLocal { off: 2 }, Insn::Exit, WIDE, Insn::Exit]),
        (0, StructureErrorKind::CallIntoWide { target: InsnIdx(3) })
    );
}

#[test]
fn jumps_stay_in_their_function() {
    let insns = [Insn::CallLocal { off: 2 }, branch(1), Insn::Exit, Insn::Exit];
    assert_eq!(
        refused(&insns),
        (1, StructureErrorKind::JumpOutOfSubprogram { target: InsnIdx(3), subprogram: subprogram(0, 3) })
    );
}

#[test]
fn functions_do_not_fall_through() {
    assert_eq!(refused(&[NOP]), (0, StructureErrorKind::FallsThrough { subprogram: subprogram(0, 1) }));
    assert_eq!(refused(&[WIDE]), (0, StructureErrorKind::FallsThrough { subprogram: subprogram(0, 2) }));
    assert_eq!(refused(&[NOP, branch(-2)]).0, 1);
    assert_eq!(refused(&[NOP, Insn::MayGoto { off: -2 }]).0, 1);
    assert_eq!(
        refused(&[Insn::CallLocal { off: 1 }, NOP, Insn::Exit]),
        (1, StructureErrorKind::FallsThrough { subprogram: subprogram(0, 2) })
    );
    assert!(structure(&[NOP, Insn::Gotox { dst: Reg::R1 }]).is_ok());
}

#[test]
fn calls_lead_inside() {
    assert_eq!(
        refused(&[Insn::CallLocal { off: -1 - 1 }, Insn::Exit]),
        (0, StructureErrorKind::CallOutOfRange { target: -1, len: 2 })
    );
    assert_eq!(
        refused(&[Insn::LoadAddr { dst: Reg::R1, addr: Addr::Code { off: 2 } }, Insn::Exit]),
        (0, StructureErrorKind::CallOutOfRange { target: 3, len: 3 })
    );
}

#[test]
fn empty_programs_are_refused() {
    assert_eq!(refused(&[]), (0, StructureErrorKind::Empty));
}

#[test]
fn programs_encode_to_what_they_were_decoded_from() {
    let insns = [WIDE, branch(0), Insn::Exit];
    let slots: Vec<RawInsn> = insns.iter().flat_map(|insn| insn.encode().to_vec()).collect();
    let program = Program::decode(&slots).expect("valid");
    assert_eq!(program.encode().collect::<Vec<_>>(), slots);
    assert_eq!((program.len(), program.at(InsnIdx(1)), program.at(InsnIdx(2))), (4, None, Some(branch(0))));
}
