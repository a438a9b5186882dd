use crate::check::*;
use skep_jit::x86_64::{Inst, LockAlu, Size};

fn mnemonic(op: LockAlu) -> Mnemonic {
    match op {
        LockAlu::Add => Mnemonic::Add,
        LockAlu::Or => Mnemonic::Or,
        LockAlu::And => Mnemonic::And,
        LockAlu::Sub => Mnemonic::Sub,
        LockAlu::Xor => Mnemonic::Xor,
    }
}

#[test]
fn operations() {
    for &op in LockAlu::ALL {
        for size in Size::ALL {
            for (src, place) in reg_mems() {
                let wanted = [mem(size, place), reg(size, src)];
                check_locked(Inst::lock_alu(op, size, place, src), mnemonic(op), &wanted);
            }
        }
        for value in sized_imms() {
            for &place in few_mems() {
                let wanted = [mem(value.size(), place), imm(value.size(), value.value().into())];
                check_locked(Inst::lock_alu_imm(op, place, value), mnemonic(op), &wanted);
            }
        }
    }
}

#[test]
fn exchanges() {
    for size in Size::ALL {
        for (gpr, place) in reg_mems() {
            let wanted = [mem(size, place), reg(size, gpr)];
            check_locked(Inst::lock_xadd(size, place, gpr), Mnemonic::Xadd, &wanted);
            check_locked(Inst::lock_cmpxchg(size, place, gpr), Mnemonic::Cmpxchg, &wanted);
            check(Inst::xchg(size, place, gpr), Mnemonic::Xchg, &wanted);
        }
    }
}

#[test]
fn fences() {
    check(Inst::mfence(), Mnemonic::Mfence, &[]);
    check(Inst::lfence(), Mnemonic::Lfence, &[]);
}
