//! Bytes written down by hand, where encodings have exceptions: what a mistake here makes is a valid instruction that does
//! something else.

use skep_jit::x86_64::{
    Alu, Features, Flags, Gpr, Index, Inst, LockAlu, Mem, Narrow, Scale, Shift, ShiftX, Size, SizedImm,
    Unary, Width,
};

#[track_caller]
fn check(inst: Inst, wanted: &[u8]) {
    assert_eq!(inst.bytes()[..inst.len()], *wanted, "{inst:x?}");
}

fn load(mem: Mem) -> Inst {
    Inst::mov(Width::W64, Gpr::Rax, mem)
}

fn index(reg: Gpr) -> Index {
    Index::new(reg).expect("not rsp")
}

#[test]
fn rbp_and_r13_have_a_displacement_always() {
    check(load(Mem::base(Gpr::Rbp, 0)), b"\x48\x8b\x45\x00");
    check(load(Mem::base(Gpr::R13, 0)), b"\x49\x8b\x45\x00");
    check(load(Mem::indexed(Gpr::Rbp, index(Gpr::Rcx), Scale::X1, 0)), b"\x48\x8b\x44\x0d\x00");
    check(load(Mem::indexed(Gpr::R13, index(Gpr::Rcx), Scale::X8, 0)), b"\x49\x8b\x44\xcd\x00");
    // As an index they are nothing special.
    check(load(Mem::indexed(Gpr::Rcx, index(Gpr::Rbp), Scale::X1, 0)), b"\x48\x8b\x04\x29");
    check(load(Mem::indexed(Gpr::Rcx, index(Gpr::R13), Scale::X1, 0)), b"\x4a\x8b\x04\x29");
}

#[test]
fn rsp_and_r12_have_a_sib_byte_always() {
    check(load(Mem::base(Gpr::Rsp, 0)), b"\x48\x8b\x04\x24");
    check(load(Mem::base(Gpr::R12, 0)), b"\x49\x8b\x04\x24");
    check(load(Mem::base(Gpr::Rsp, 8)), b"\x48\x8b\x44\x24\x08");
    check(load(Mem::base(Gpr::R12, 0x100)), b"\x49\x8b\x84\x24\x00\x01\x00\x00");
}

#[test]
fn rsp_is_no_index_and_r12_is_one() {
    assert_eq!(Index::new(Gpr::Rsp), None);
    assert_eq!(Gpr::ALL.into_iter().filter_map(Index::new).count(), 15);
    check(load(Mem::indexed(Gpr::Rax, index(Gpr::R12), Scale::X4, 0)), b"\x4a\x8b\x04\xa0");
    check(load(Mem::indexed(Gpr::Rsp, index(Gpr::Rax), Scale::X2, 0)), b"\x48\x8b\x04\x44");
}

#[test]
fn without_a_base_there_are_four_bytes_of_displacement() {
    let scaled = Mem::Scaled { index: index(Gpr::R9), scale: Scale::X8, disp: 1 };
    check(Inst::lea(Width::W64, Gpr::Rax, scaled), b"\x4a\x8d\x04\xcd\x01\x00\x00\x00");
}

#[test]
fn displacements_of_one_byte_end_at_127_and_minus_128() {
    check(load(Mem::base(Gpr::Rcx, 127)), b"\x48\x8b\x41\x7f");
    check(load(Mem::base(Gpr::Rcx, 128)), b"\x48\x8b\x81\x80\x00\x00\x00");
    check(load(Mem::base(Gpr::Rcx, -128)), b"\x48\x8b\x41\x80");
    check(load(Mem::base(Gpr::Rcx, -129)), b"\x48\x8b\x81\x7f\xff\xff\xff");
}

#[test]
fn bytes_of_rsp_rbp_rsi_rdi_take_a_rex_prefix() {
    let at = Mem::base(Gpr::Rcx, 0);
    check(Inst::store(Size::B1, at, Gpr::Rbx), b"\x88\x19");
    check(Inst::store(Size::B1, at, Gpr::Rsp), b"\x40\x88\x21");
    check(Inst::store(Size::B1, at, Gpr::Rbp), b"\x40\x88\x29");
    check(Inst::store(Size::B1, at, Gpr::Rsi), b"\x40\x88\x31");
    check(Inst::store(Size::B1, at, Gpr::Rdi), b"\x40\x88\x39");
    check(Inst::store(Size::B1, at, Gpr::R8), b"\x44\x88\x01");
    check(Inst::mov_zx(Size::B1, Gpr::Rax, Gpr::Rsi), b"\x40\x0f\xb6\xc6");
    check(Inst::mov_zx(Size::B1, Gpr::Rsi, Gpr::Rax), b"\x0f\xb6\xf0");
    check(Inst::mov_sx(Width::W32, Narrow::B1, Gpr::Rax, Gpr::Rdi), b"\x40\x0f\xbe\xc7");
    check(Inst::set(skep_jit::x86_64::Cond::E, Gpr::Rdi), b"\x40\x0f\x94\xc7");
    check(Inst::test_imm_byte(Gpr::Rsi, 1), b"\x40\xf6\xc6\x01");
    // As the base of an address they are not bytes, and two bytes of them need nothing.
    check(Inst::store(Size::B1, Mem::base(Gpr::Rsi, 0), Gpr::Rax), b"\x88\x06");
    check(Inst::mov_zx(Size::B2, Gpr::Rax, Gpr::Rsi), b"\x0f\xb7\xc6");
    check(Inst::xchg(Size::B1, at, Gpr::Rsi), b"\x40\x86\x31");
}

#[test]
fn immediates_of_one_byte_end_at_127_and_minus_128() {
    let add = |imm| Inst::alu_imm(Alu::Add, Width::W64, Gpr::Rcx, imm);
    check(add(127), b"\x48\x83\xc1\x7f");
    check(add(128), b"\x48\x81\xc1\x80\x00\x00\x00");
    check(add(-128), b"\x48\x83\xc1\x80");
    check(add(-129), b"\x48\x81\xc1\x7f\xff\xff\xff");
    let cmp = |imm| Inst::alu_imm_to_mem(Alu::Cmp, Mem::base(Gpr::Rcx, 0), imm);
    check(cmp(SizedImm::B2(127)), b"\x66\x83\x39\x7f");
    check(cmp(SizedImm::B2(128)), b"\x66\x81\x39\x80\x00");
    check(cmp(SizedImm::B1(-1)), b"\x80\x39\xff");
}

#[test]
fn sized_immediates_are_cut_and_eight_bytes_must_extend() {
    assert_eq!(SizedImm::truncate(Size::B1, 0x1ff), Some(SizedImm::B1(-1)));
    assert_eq!(SizedImm::truncate(Size::B2, 0xdead), Some(SizedImm::B2(0xdead_u16 as i16)));
    assert_eq!(SizedImm::truncate(Size::B4, u64::MAX >> 1), Some(SizedImm::B4(-1)));
    assert_eq!(SizedImm::truncate(Size::B8, u64::MAX), Some(SizedImm::B8(-1)));
    assert_eq!(SizedImm::truncate(Size::B8, 0x7fff_ffff), Some(SizedImm::B8(i32::MAX)));
    assert_eq!(SizedImm::truncate(Size::B8, 0x8000_0000), None);
}

#[test]
fn constants_are_extended_by_the_right_sign() {
    check(Inst::mov_imm(Gpr::Rax, 0x8000_0000, Flags::Keep), b"\xb8\x00\x00\x00\x80");
    check(Inst::mov_imm(Gpr::Rax, 0xffff_ffff_8000_0000, Flags::Keep), b"\x48\xc7\xc0\x00\x00\x00\x80");
    check(Inst::mov_imm(Gpr::R9, 1 << 32, Flags::Keep), b"\x49\xb9\x00\x00\x00\x00\x01\x00\x00\x00");
    check(Inst::mov_imm(Gpr::R9, 0, Flags::MayChange), b"\x45\x31\xc9");
    check(Inst::mov_imm(Gpr::R9, 0, Flags::Keep), b"\x41\xb9\x00\x00\x00\x00");
}

#[test]
fn a_shift_by_zero_is_not_one_by_one() {
    check(Inst::shift_imm(Shift::Shl, Width::W32, Gpr::Rax, 0), b"\xc1\xe0\x00");
    check(Inst::shift_imm(Shift::Shl, Width::W32, Gpr::Rax, 1), b"\xd1\xe0");
    check(Inst::shift_imm(Shift::Sar, Width::W64, Gpr::R15, 63), b"\x49\xc1\xff\x3f");
    check(Inst::rol16(Gpr::R8, 8), b"\x66\x41\xc1\xc0\x08");
}

#[test]
fn vex_holds_high_registers_inverted() {
    let (bmi1, bmi2) = (Features::V3.bmi1().expect("v3"), Features::V3.bmi2().expect("v3"));
    let shlx = |dst, src, count| Inst::shift_x(bmi2, ShiftX::Shlx, Width::W64, dst, src, count);
    check(shlx(Gpr::Rax, Gpr::Rbx, Gpr::Rcx), b"\xc4\xe2\xf1\xf7\xc3");
    check(shlx(Gpr::R8, Gpr::Rbx, Gpr::Rcx), b"\xc4\x62\xf1\xf7\xc3");
    check(shlx(Gpr::Rax, Gpr::R11, Gpr::Rcx), b"\xc4\xc2\xf1\xf7\xc3");
    check(shlx(Gpr::Rax, Gpr::Rbx, Gpr::R15), b"\xc4\xe2\x81\xf7\xc3");
    let far = Mem::indexed(Gpr::R12, index(Gpr::R13), Scale::X1, 0);
    check(Inst::rorx(bmi2, Width::W32, Gpr::R9, far, 7), b"\xc4\x03\x7b\xf0\x0c\x2c\x07");
    check(Inst::andn(bmi1, Width::W32, Gpr::Rax, Gpr::Rcx, Gpr::Rdx), b"\xc4\xe2\x70\xf2\xc2");
}

#[test]
fn prefixes_stand_before_rex() {
    let at = Mem::base(Gpr::R8, 0);
    check(Inst::lock_xadd(Size::B2, at, Gpr::R9), b"\xf0\x66\x45\x0f\xc1\x08");
    check(Inst::lock_cmpxchg(Size::B8, at, Gpr::Rdx), b"\xf0\x49\x0f\xb1\x10");
    check(Inst::lock_alu_imm(LockAlu::Add, at, SizedImm::B8(1)), b"\xf0\x49\x83\x00\x01");
    let movbe = Features::V3.movbe().expect("v3");
    let swap = skep_jit::x86_64::SwapSize::B2;
    check(Inst::movbe_load(movbe, swap, Gpr::R10, at), b"\x66\x45\x0f\x38\xf0\x10");
    let popcnt = Features::V3.popcnt().expect("v3");
    check(Inst::popcnt(popcnt, Width::W64, Gpr::R10, Gpr::Rax), b"\xf3\x4c\x0f\xb8\xd0");
}

#[test]
fn exchanging_eax_with_itself_is_not_a_nop() {
    check(Inst::swap(Width::W32, Gpr::Rax, Gpr::Rax), b"\x87\xc0");
}

#[test]
fn jumps_through_high_registers_keep_their_prefix() {
    check(Inst::jmp_to(Gpr::Rax), b"\xff\xe0");
    check(Inst::jmp_to(Gpr::R11), b"\x41\xff\xe3");
    check(Inst::call_to(Mem::base(Gpr::Rsp, 16)), b"\xff\x54\x24\x10");
    check(Inst::push(Gpr::R12), b"\x41\x54");
    check(Inst::pop(Gpr::Rbp), b"\x5d");
    check(Inst::unary(Unary::Div, Width::W64, Gpr::R8), b"\x49\xf7\xf0");
}

#[test]
fn the_longest_instruction_fits() {
    let far = Mem::indexed(Gpr::R12, index(Gpr::R13), Scale::X8, i32::MIN);
    let inst = Inst::lock_alu_imm(LockAlu::Xor, far, SizedImm::B8(i32::MIN));
    check(inst, b"\xf0\x4b\x81\xb4\xec\x00\x00\x00\x80\x00\x00\x00\x80");
    let inst = Inst::lock_alu_imm(LockAlu::Xor, far, SizedImm::B2(i16::MIN));
    check(inst, b"\xf0\x66\x43\x81\xb4\xec\x00\x00\x00\x80\x00\x80");
    let text = format!("{:?}", Inst::ud2());
    assert_eq!(text, "Inst(0f 0b)");
}
