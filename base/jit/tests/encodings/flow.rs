use crate::check::*;
use iced_x86::{Code, Decoder, DecoderOptions};
use skep_jit::x86_64::{Gpr, Inst, Size};

#[test]
fn through_registers_and_memory() {
    for target in rms() {
        check(Inst::jmp_to(target), Mnemonic::Jmp, &[rm(Size::B8, target)]);
        check(Inst::call_to(target), Mnemonic::Call, &[rm(Size::B8, target)]);
    }
}

#[test]
fn the_stack() {
    for gpr in Gpr::ALL {
        check(Inst::push(gpr), Mnemonic::Push, &[reg(Size::B8, gpr)]);
        check(Inst::pop(gpr), Mnemonic::Pop, &[reg(Size::B8, gpr)]);
    }
    for value in IMMEDIATES {
        check(Inst::push_imm(value), Mnemonic::Push, &[imm(Size::B8, value.into())]);
    }
    check(Inst::leave(), Mnemonic::Leave, &[]);
    check(Inst::ret(), Mnemonic::Ret, &[]);
}

#[test]
fn marks_and_traps() {
    check(Inst::int3(), Mnemonic::Int3, &[]);
    check(Inst::ud2(), Mnemonic::Ud2, &[]);
    check(Inst::endbr64(), Mnemonic::Endbr64, &[]);
}

#[test]
fn nothing_in_one_to_nine_bytes() {
    for bytes in 0..20 {
        let inst = Inst::nop(bytes);
        assert_eq!(inst.len(), bytes.clamp(1, 9));
        let read = Decoder::new(64, &inst.bytes()[..inst.len()], DecoderOptions::NONE).decode();
        assert_eq!(read.len(), inst.len(), "{inst:?}");
        let nops = [Code::Nopd, Code::Nopw, Code::Nop_rm32, Code::Nop_rm16];
        assert!(nops.contains(&read.code()), "{inst:?} is {:?}", read.code());
    }
}
