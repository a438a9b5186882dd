use crate::check::*;
use skep_jit::x86_64::{Features, Inst, ShiftX, Size};

#[test]
fn shifts_by_any_register() {
    let bmi2 = Features::V3.bmi2().expect("v3 has it");
    let mnemonic = |op| match op {
        ShiftX::Shlx => Mnemonic::Shlx,
        ShiftX::Sarx => Mnemonic::Sarx,
        ShiftX::Shrx => Mnemonic::Shrx,
    };
    for (width, size) in WIDTHS {
        for (dst, count, src) in reg_reg_rms() {
            let wanted = [reg(size, dst), rm(size, src), reg(size, count)];
            for &op in ShiftX::ALL {
                check(Inst::shift_x(bmi2, op, width, dst, src, count), mnemonic(op), &wanted);
            }
            check(Inst::bzhi(bmi2, width, dst, src, count), Mnemonic::Bzhi, &wanted);
        }
    }
}

#[test]
fn rotations_without_flags() {
    let bmi2 = Features::V3.bmi2().expect("v3 has it");
    for (width, size) in WIDTHS {
        for (dst, src) in reg_rms() {
            for count in [0, 1, 31, 32, 63, 255] {
                let wanted = [reg(size, dst), rm(size, src), imm(Size::B1, count.into())];
                check(Inst::rorx(bmi2, width, dst, src, count), Mnemonic::Rorx, &wanted);
            }
        }
    }
}

#[test]
fn masks_and_fields() {
    let bmi1 = Features::V3.bmi1().expect("v3 has it");
    for (width, size) in WIDTHS {
        for (dst, third, src) in reg_reg_rms() {
            let wanted = [reg(size, dst), reg(size, third), rm(size, src)];
            check(Inst::andn(bmi1, width, dst, third, src), Mnemonic::Andn, &wanted);
            let wanted = [reg(size, dst), rm(size, src), reg(size, third)];
            check(Inst::bextr(bmi1, width, dst, src, third), Mnemonic::Bextr, &wanted);
        }
    }
}
