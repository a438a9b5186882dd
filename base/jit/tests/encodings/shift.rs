use crate::check::*;
use skep_jit::x86_64::{Gpr, Inst, Shift, Size};

fn mnemonic(op: Shift) -> Mnemonic {
    match op {
        Shift::Rol => Mnemonic::Rol,
        Shift::Ror => Mnemonic::Ror,
        Shift::Shl => Mnemonic::Shl,
        Shift::Shr => Mnemonic::Shr,
        Shift::Sar => Mnemonic::Sar,
    }
}

#[test]
fn by_a_number() {
    for &op in Shift::ALL {
        for (width, size) in WIDTHS {
            for operand in rms() {
                for count in [0, 1, 2, 7, 31, 32, 63, 64, 127, 128, 255] {
                    let wanted = [rm(size, operand), imm(Size::B1, count.into())];
                    check(Inst::shift_imm(op, width, operand, count), mnemonic(op), &wanted);
                }
            }
        }
    }
}

#[test]
fn by_cl() {
    for &op in Shift::ALL {
        for (width, size) in WIDTHS {
            for operand in rms() {
                let wanted = [rm(size, operand), reg(Size::B1, Gpr::Rcx)];
                check(Inst::shift_cl(op, width, operand), mnemonic(op), &wanted);
            }
        }
    }
}

#[test]
fn two_bytes() {
    for dst in Gpr::ALL {
        for count in 0..=255 {
            let wanted = [reg(Size::B2, dst), imm(Size::B1, count.into())];
            check(Inst::rol16(dst, count), Mnemonic::Rol, &wanted);
        }
    }
}

#[test]
fn the_short_form_is_by_one_and_no_other_number() {
    let len = |count| Inst::shift_imm(Shift::Shl, skep_jit::x86_64::Width::W32, Gpr::Rbx, count).len();
    assert_eq!([0, 1, 2, 33].map(len), [3, 2, 3, 3]);
}
