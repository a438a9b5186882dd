use crate::check::*;
use skep_jit::x86_64::{Bit, Features, Inst, Size};

#[test]
fn one_bit() {
    let mnemonic = |op| match op {
        Bit::Test => Mnemonic::Bt,
        Bit::Set => Mnemonic::Bts,
        Bit::Reset => Mnemonic::Btr,
        Bit::Complement => Mnemonic::Btc,
    };
    for &op in Bit::ALL {
        for (width, size) in WIDTHS {
            for operand in rms() {
                for bit in [0, 1, 31, 32, 63, 255] {
                    let wanted = [rm(size, operand), imm(Size::B1, bit.into())];
                    check(Inst::bit_imm(op, width, operand, bit), mnemonic(op), &wanted);
                }
            }
            for (dst, bit) in reg_regs() {
                check(Inst::bit(op, width, dst, bit), mnemonic(op), &[reg(size, dst), reg(size, bit)]);
            }
        }
    }
}

#[test]
fn counting() {
    let (bmi1, lzcnt, popcnt) = (Features::V3.bmi1(), Features::V3.lzcnt(), Features::V3.popcnt());
    let (bmi1, lzcnt, popcnt) = (bmi1.expect("v3"), lzcnt.expect("v3"), popcnt.expect("v2"));
    for (width, size) in WIDTHS {
        for (dst, src) in reg_rms() {
            let wanted = [reg(size, dst), rm(size, src)];
            check(Inst::popcnt(popcnt, width, dst, src), Mnemonic::Popcnt, &wanted);
            check(Inst::tzcnt(bmi1, width, dst, src), Mnemonic::Tzcnt, &wanted);
            check(Inst::lzcnt(lzcnt, width, dst, src), Mnemonic::Lzcnt, &wanted);
        }
    }
}
