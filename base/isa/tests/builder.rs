//! What the builder makes, and the mistakes it finds.

use skep_isa::structure::StructureErrorKind;
use skep_isa::text::assemble;
use skep_isa::{AluOp, AtomicOp, BuildError, Builder, Cond, Insn, InsnIdx, LoadKind, Reg, Size};

#[test]
fn built_and_assembled_programs_are_the_same() {
    let mut b = Builder::new();
    let (again, work, far) = (b.label(), b.label(), b.label());
    b.imm64(Reg::R1, 5).mov(Reg::R0, 0);
    b.bind(again).alu32(AluOp::Xor, Reg::R0, Reg::R1).store(Size::W, Reg::R10, -4, 7);
    b.branch(Cond::Sgt, Reg::R1, -1, again).branch32(Cond::Ne, Reg::R0, Reg::R1, far);
    b.function_addr(Reg::R2, work).call_local(work).call_helper(5);
    b.push_to(Insn::MayGoto { off: 0 }, again).push_to(Insn::Gotol { off: 0 }, far);
    b.bind(far).exit();
    b.bind(work)
        .load(LoadKind::U8, Reg::R0, Reg::R10, -8)
        .atomic(AtomicOp::Xchg, Reg::R10, -8, Reg::R3)
        .exit();
    let (program, structure) = b.finish().expect("well formed");
    let text = "
        r1 = 5 ll
        r0 = 0
    again:
        w0 ^= w1
        *(u32 *)(r10 - 4) = 7
        if r1 s> -1 goto again
        if w0 != w1 goto far
        r2 = subprog[work] ll
        call work
        call 5
        may_goto again
        gotol far
    far: exit
    work:
        r0 = *(u8 *)(r10 - 8)
        r3 = xchg_64(r10 - 8, r3)
        exit
    ";
    let wanted = assemble(text, &()).expect("valid");
    assert_eq!(program.encode().collect::<Vec<_>>(), wanted.slots());
    assert_eq!(structure.subprograms()[1].start, wanted.label("work").expect("defined"));
}

#[test]
fn mistakes_with_labels_are_found() {
    let mut b = Builder::new();
    let label = b.label();
    b.goto(label).exit();
    assert_eq!(b.finish(), Err(BuildError::Unbound { at: InsnIdx(0) }));

    let mut b = Builder::new();
    let label = b.label();
    b.bind(label).exit().bind(label);
    assert_eq!(b.finish(), Err(BuildError::BoundTwice { at: InsnIdx(1) }));

    let mut other = Builder::new();
    let _ = (other.label(), other.label());
    let foreign = other.label();
    let mut b = Builder::new();
    b.goto(foreign).exit();
    assert_eq!(b.finish(), Err(BuildError::Unbound { at: InsnIdx(0) }));

    let mut b = Builder::new();
    let end = b.label();
    b.goto(end);
    for _ in 0..40_000 {
        b.mov(Reg::R0, 0);
    }
    b.bind(end).exit();
    assert_eq!(b.finish(), Err(BuildError::TooFar { at: InsnIdx(0), distance: 40_000 }));
}

#[test]
fn what_does_not_hang_together_is_not_built() {
    let mut b = Builder::new();
    let error = b.mov(Reg::R0, 0).finish().expect_err("falls through");
    let BuildError::Structure(error) = error else { panic!("{error}") };
    assert!(matches!(error.kind, StructureErrorKind::FallsThrough { .. }));
    assert!(matches!(Builder::new().finish(), Err(BuildError::Structure(_))));
}
