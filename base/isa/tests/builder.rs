//! What the builder makes, and the mistakes it finds.

use skep_isa::structure::StructureErrorKind;
use skep_isa::table::{Next, ROWS};
use skep_isa::text::assemble;
use skep_isa::{
    Addr, AluOp, AtomicOp, BuildError, Builder, BuilderLabel, Cond, Field, Insn, InsnIdx, LoadKind, RawInsn,
    Reg, Size, Width, decode,
};

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

/// Builds an instruction by the method that is named for it; the distance of one that has any becomes that to the label.
fn by_name(b: &mut Builder, insn: Insn, label: BuilderLabel) {
    match insn {
        Insn::Alu { width: Width::W64, op: AluOp::Mov, dst, src } => b.mov(dst, src),
        Insn::Alu { width: Width::W64, op: AluOp::Add, dst, src } => b.add(dst, src),
        Insn::Alu { width: Width::W64, op, dst, src } => b.alu(op, dst, src),
        Insn::Alu { width: Width::W32, op, dst, src } => b.alu32(op, dst, src),
        Insn::Neg { width: Width::W64, dst } => b.neg(dst),
        Insn::Neg { width: Width::W32, dst } => b.neg32(dst),
        Insn::Movsx { kind, dst, src } => b.movsx(kind, dst, src),
        Insn::ByteSwap { op, width, dst } => b.byte_swap(op, width, dst),
        Insn::AddrSpaceCast { dst, src, to, from } => b.addr_space_cast(dst, src, to, from),
        Insn::LoadImm64 { dst, value } => b.imm64(dst, value),
        Insn::LoadAddr { dst, addr: Addr::Code { .. } } => b.function_addr(dst, label),
        Insn::LoadAddr { dst, addr } => b.addr(dst, addr),
        Insn::LoadAbs { size, off } => b.load_abs(size, off),
        Insn::LoadInd { size, src, off } => b.load_ind(size, src, off),
        Insn::Load { kind, dst, base, off } => b.load(kind, dst, base, off),
        Insn::Store { size, base, off, src } => b.store(size, base, off, src),
        Insn::Atomic { width: Width::W64, op, base, off, src } => b.atomic(op, base, off, src),
        Insn::Atomic { width: Width::W32, op, base, off, src } => b.atomic32(op, base, off, src),
        Insn::LoadAcquire { size, dst, base, off } => b.load_acquire(size, dst, base, off),
        Insn::StoreRelease { size, base, off, src } => b.store_release(size, base, off, src),
        Insn::Goto { .. } => b.goto(label),
        Insn::Gotol { .. } => b.gotol(label),
        Insn::Gotox { dst } => b.gotox(dst),
        Insn::Branch { width: Width::W64, cond, dst, src, .. } => b.branch(cond, dst, src, label),
        Insn::Branch { width: Width::W32, cond, dst, src, .. } => b.branch32(cond, dst, src, label),
        Insn::MayGoto { .. } => b.may_goto(label),
        Insn::CallHelper { id } => b.call_helper(id),
        Insn::CallLocal { .. } => b.call_local(label),
        Insn::CallKfunc { btf_id, fd_index } => b.call_kfunc(btf_id, fd_index),
        Insn::CallReg { reg } => b.call_reg(reg),
        Insn::Exit => b.exit(),
    };
}

/// Every row of the table, with values of either sign in the fields that it uses.
#[test]
fn every_instruction_has_a_method() {
    for row in &ROWS {
        for (dst, src, off, imm) in
            [(0, 1, 2, 2), (10, 9, -9, i32::MIN), (6, 6, i32::from(i16::MAX), 0x7fff_8001)]
        {
            let mut slot = row.base();
            let used = |field, value| if row.fields.uses(field) { value } else { 0 };
            slot.regs |= (used(Field::Dst, dst) | used(Field::Src, src) << 4) as u8;
            slot.off |= used(Field::Off, off) as i16;
            slot.imm |= used(Field::Imm, imm);
            let next = match row.next {
                Next::None => None,
                Next::Imm => Some(RawInsn { imm, ..RawInsn::default() }),
                Next::Zero => Some(RawInsn::default()),
            };
            let mut insn = decode(slot, next).unwrap_or_else(|kind| panic!("{row:?}: {kind}"));
            // Every distance becomes that to the label, past the two instructions behind.
            match &mut insn {
                Insn::Goto { off } | Insn::MayGoto { off } | Insn::Branch { off, .. } => *off = 2,
                Insn::Gotol { off } | Insn::CallLocal { off } => *off = 2,
                Insn::LoadAddr { addr: Addr::Code { off }, .. } => *off = 3,
                _ => {}
            }
            let mut b = Builder::new();
            let label = b.label();
            by_name(&mut b, insn, label);
            b.mov(Reg::R0, 0).exit().bind(label).mov(Reg::R0, 0).exit();
            let (program, _) = b.finish().unwrap_or_else(|error| panic!("{insn}: {error}"));
            assert_eq!(program.iter().next().map(|(_, built)| built), Some(insn));
        }
    }
}

#[test]
fn a_label_for_an_instruction_that_leads_nowhere_is_a_mistake() {
    let mut b = Builder::new();
    let label = b.label();
    b.bind(label).mov(Reg::R0, 0).push_to(Insn::Exit, label);
    assert_eq!(b.finish(), Err(BuildError::NoDistance { at: InsnIdx(1) }));
}
