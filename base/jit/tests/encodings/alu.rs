use crate::check::*;
use skep_jit::x86_64::{Alu, Gpr, Inst, Mem, Size, Unary, Width};

fn mnemonic(op: Alu) -> Mnemonic {
    match op {
        Alu::Add => Mnemonic::Add,
        Alu::Or => Mnemonic::Or,
        Alu::Adc => Mnemonic::Adc,
        Alu::Sbb => Mnemonic::Sbb,
        Alu::And => Mnemonic::And,
        Alu::Sub => Mnemonic::Sub,
        Alu::Xor => Mnemonic::Xor,
        Alu::Cmp => Mnemonic::Cmp,
    }
}

#[test]
fn registers_and_memory() {
    for &op in Alu::ALL {
        for (width, size) in WIDTHS {
            for (dst, src) in reg_rms() {
                check(Inst::alu(op, width, dst, src), mnemonic(op), &[reg(size, dst), rm(size, src)]);
            }
        }
    }
}

#[test]
fn to_memory() {
    for &op in Alu::ALL {
        for size in Size::ALL {
            for (src, place) in reg_mems() {
                let wanted = [mem(size, place), reg(size, src)];
                check(Inst::alu_to_mem(op, size, place, src), mnemonic(op), &wanted);
            }
        }
    }
}

#[test]
fn immediates() {
    for &op in Alu::ALL {
        for (width, size) in WIDTHS {
            for (dst, value) in Gpr::ALL.into_iter().flat_map(|dst| IMMEDIATES.map(|value| (dst, value))) {
                let inst = Inst::alu_imm(op, width, dst, value);
                check(inst, mnemonic(op), &[reg(size, dst), imm(size, value.into())]);
            }
        }
    }
}

#[test]
fn immediates_to_memory() {
    for &op in Alu::ALL {
        for value in sized_imms() {
            for &place in few_mems() {
                let size = value.size();
                let wanted = [mem(size, place), imm(size, value.value().into())];
                check(Inst::alu_imm_to_mem(op, place, value), mnemonic(op), &wanted);
            }
        }
    }
}

#[test]
fn test() {
    for (width, size) in WIDTHS {
        for (right, left) in reg_rms() {
            check(Inst::test(width, left, right), Mnemonic::Test, &[rm(size, left), reg(size, right)]);
        }
        for (left, value) in Gpr::ALL.into_iter().flat_map(|left| IMMEDIATES.map(|value| (left, value))) {
            let wanted = [reg(size, left), imm(size, value.into())];
            check(Inst::test_imm(width, left, value), Mnemonic::Test, &wanted);
        }
    }
    for left in Gpr::ALL {
        for value in 0..=255 {
            let wanted = [reg(Size::B1, left), imm(Size::B1, value.into())];
            check(Inst::test_imm_byte(left, value), Mnemonic::Test, &wanted);
        }
    }
    for value in sized_imms() {
        for &place in few_mems() {
            let wanted = [mem(value.size(), place), imm(value.size(), value.value().into())];
            check(Inst::test_mem_imm(place, value), Mnemonic::Test, &wanted);
        }
    }
}

#[test]
fn one_operand() {
    let mnemonic = |op| match op {
        Unary::Not => Mnemonic::Not,
        Unary::Neg => Mnemonic::Neg,
        Unary::Mul => Mnemonic::Mul,
        Unary::Imul => Mnemonic::Imul,
        Unary::Div => Mnemonic::Div,
        Unary::Idiv => Mnemonic::Idiv,
    };
    for &op in Unary::ALL {
        for (width, size) in WIDTHS {
            for operand in rms() {
                check(Inst::unary(op, width, operand), mnemonic(op), &[rm(size, operand)]);
            }
        }
    }
}

#[test]
fn products() {
    for (width, size) in WIDTHS {
        for (dst, src) in reg_rms() {
            check(Inst::imul(width, dst, src), Mnemonic::Imul, &[reg(size, dst), rm(size, src)]);
            for value in IMMEDIATES {
                let wanted = [reg(size, dst), rm(size, src), imm(size, value.into())];
                check(Inst::imul_imm(width, dst, src, value), Mnemonic::Imul, &wanted);
            }
        }
    }
}

#[test]
fn sign_before_a_division() {
    check(Inst::sign_to_rdx(Width::W32), Mnemonic::Cdq, &[]);
    check(Inst::sign_to_rdx(Width::W64), Mnemonic::Cqo, &[]);
}

#[test]
fn the_shortest_form_of_an_immediate_is_taken() {
    let len = |value| Inst::alu_imm(Alu::Add, Width::W64, Gpr::Rbx, value).len();
    assert_eq!([-129, -128, 127, 128].map(len), [7, 4, 4, 7]);
    // The accumulator has no use for ModRM, but a byte is shorter still.
    let len = |value| Inst::alu_imm(Alu::Add, Width::W32, Gpr::Rax, value).len();
    assert_eq!([-129, -128, 127, 128].map(len), [5, 3, 3, 5]);
    let len = |value| Inst::imul_imm(Width::W32, Gpr::Rbx, Gpr::Rcx, value).len();
    assert_eq!([-129, -128, 127, 128].map(len), [6, 3, 3, 6]);
    let len = |disp| Inst::alu(Alu::Add, Width::W32, Gpr::Rbx, Mem::base(Gpr::Rcx, disp)).len();
    assert_eq!([-129, -128, 0, 127, 128].map(len), [6, 3, 2, 3, 6]);
}
