//! Every arithmetic instruction, in both widths and both operand forms, at its edges.

mod common;

use common::{EXIT, alu, imm64, mov, returns};
use skep_isa::AluOp::{Add, And, Arsh, Div, Lsh, Mod, Mov, Mul, Or, Rsh, Sdiv, Smod, Sub, Xor};
use skep_isa::Reg::{R0, R1};
use skep_isa::{AluOp, Endian, Insn, Movsx, SwapWidth, Width};

const MIN: u64 = i64::MIN as u64;
const MAX: u64 = i64::MAX as u64;
const MIN32: u64 = 0x8000_0000;
const NEG1: u64 = u64::MAX;

/// Operation, operands, result at 64 bits, result at 32 bits.
const TABLE: &[(AluOp, u64, u64, u64, u64)] = &[
    (Add, 2, 3, 5, 5),
    (Add, NEG1, 1, 0, 0),
    (Add, MAX, 1, MIN, 0),
    (Add, 0x7fff_ffff, 1, MIN32, MIN32),
    (Add, 0xffff_ffff, 1, 0x1_0000_0000, 0),
    (Add, 1, NEG1, 0, 0),
    (Sub, 2, 3, NEG1, 0xffff_ffff),
    (Sub, 0, 1, NEG1, 0xffff_ffff),
    (Sub, MIN, 1, MAX, 0xffff_ffff),
    (Sub, 0x1_0000_0000, 1, 0xffff_ffff, 0xffff_ffff),
    (Mul, 0x1_0000, 0x1_0000, 0x1_0000_0000, 0),
    (Mul, NEG1, NEG1, 1, 1),
    (Mul, MIN, NEG1, MIN, 0),
    (Mul, 0xffff_ffff, 2, 0x1_ffff_fffe, 0xffff_fffe),
    (Div, 7, 2, 3, 3),
    (Div, 7, 0, 0, 0),
    (Div, NEG1, 2, MAX, 0x7fff_ffff),
    (Div, NEG1, NEG1, 1, 1),
    (Div, MIN, NEG1, 0, 0),
    (Div, 0x1_0000_0004, 2, 0x8000_0002, 2),
    (Sdiv, 7, 2, 3, 3),
    (Sdiv, (-7i64) as u64, 2, (-3i64) as u64, (-3i32) as u32 as u64),
    (Sdiv, 7, (-2i64) as u64, (-3i64) as u64, (-3i32) as u32 as u64),
    (Sdiv, 7, 0, 0, 0),
    (Sdiv, MIN, NEG1, MIN, 0),
    (Sdiv, MIN32, NEG1, (-(MIN32 as i64)) as u64, MIN32),
    (Mod, 7, 4, 3, 3),
    (Mod, 7, 0, 7, 7),
    (Mod, 0x5_0000_0007, 0, 0x5_0000_0007, 7),
    (Mod, NEG1, 10, 5, 5),
    (Smod, (-7i64) as u64, 4, (-3i64) as u64, (-3i32) as u32 as u64),
    (Smod, 7, (-4i64) as u64, 3, 3),
    (Smod, MIN, NEG1, 0, 0),
    (Smod, MIN32, NEG1, 0, 0),
    (Smod, 0xffff_ffff_8000_0000, 0, 0xffff_ffff_8000_0000, MIN32),
    (Or, 0xf0f0_0000_0000_0000, 0x0f0f, 0xf0f0_0000_0000_0f0f, 0x0f0f),
    (Or, 0, NEG1, NEG1, 0xffff_ffff),
    (And, NEG1, MIN32, MIN32, MIN32),
    (And, NEG1, (-2i64) as u64, (-2i64) as u64, 0xffff_fffe),
    (Xor, NEG1, NEG1, 0, 0),
    (Xor, 0x1_0000_0001, 1, 0x1_0000_0000, 0),
    (Lsh, 1, 31, MIN32, MIN32),
    (Lsh, 1, 32, 0x1_0000_0000, 1),
    (Lsh, 1, 63, MIN, MIN32),
    (Lsh, 1, 64, 1, 1),
    (Lsh, 1, NEG1, MIN, MIN32),
    (Rsh, MIN, 63, 1, 0),
    (Rsh, MIN, 64, MIN, 0),
    (Rsh, NEG1, 32, 0xffff_ffff, 0xffff_ffff),
    (Rsh, NEG1, 1, MAX, 0x7fff_ffff),
    (Rsh, MIN32, 33, 0, 0x4000_0000),
    (Arsh, MIN, 63, NEG1, 0),
    (Arsh, MIN, 65, 0xc000_0000_0000_0000, 0),
    (Arsh, MIN32, 31, 1, 0xffff_ffff),
    (Arsh, MIN32, 32, 0, MIN32),
    (Arsh, NEG1, 4, NEG1, 0xffff_ffff),
    (Mov, 5, NEG1, NEG1, 0xffff_ffff),
    (Mov, 5, MIN32, MIN32, MIN32),
    (Mov, 5, 0, 0, 0),
];

#[test]
fn every_operation_is_in_the_table() {
    let all = [Add, Sub, Mul, Div, Sdiv, Or, And, Lsh, Rsh, Mod, Smod, Xor, Mov, Arsh];
    for op in all {
        assert!(TABLE.iter().filter(|row| row.0 == op).count() >= 2, "{op:?}");
    }
}

#[test]
fn two_operands() {
    for &(op, a, b, want64, want32) in TABLE {
        for (width, want) in [(Width::W64, want64), (Width::W32, want32)] {
            returns(&[imm64(R0, a), imm64(R1, b), alu(width, op, R0, R1), EXIT], want);
            if let Ok(imm) = i32::try_from(b as i64) {
                returns(&[imm64(R0, a), alu(width, op, R0, imm), EXIT], want);
            }
        }
    }
}

#[test]
fn the_same_register_twice() {
    for (op, want64, want32) in
        [(Add, 6u64, 6), (Sub, 0, 0), (Xor, 0, 0), (Mul, 9, 9), (Div, 1, 1), (Mod, 0, 0), (Lsh, 24, 24)]
    {
        returns(&[mov(R0, 3), alu(Width::W64, op, R0, R0), EXIT], want64);
        returns(&[mov(R0, 3), alu(Width::W32, op, R0, R0), EXIT], want32);
    }
}

#[test]
fn negation() {
    for (a, want64, want32) in
        [(0, 0, 0), (1, NEG1, 0xffff_ffff), (MIN, MIN, 0), (MIN32, (-(MIN32 as i64)) as u64, MIN32)]
    {
        returns(&[imm64(R0, a), Insn::Neg { width: Width::W64, dst: R0 }, EXIT], want64);
        returns(&[imm64(R0, a), Insn::Neg { width: Width::W32, dst: R0 }, EXIT], want32);
    }
}

#[test]
fn sign_extending_moves() {
    for (kind, a, want) in [
        (Movsx::S8To64, 0x1280, 0xffff_ffff_ffff_ff80),
        (Movsx::S8To64, 0xff7f, 0x7f),
        (Movsx::S16To64, 0x1_8000, 0xffff_ffff_ffff_8000),
        (Movsx::S16To64, 0x1_7fff, 0x7fff),
        (Movsx::S32To64, 0x1_8000_0000, 0xffff_ffff_8000_0000),
        (Movsx::S32To64, 0x1_7fff_ffff, 0x7fff_ffff),
        (Movsx::S8To32, 0xffff_ffff_0000_0080, 0xffff_ff80),
        (Movsx::S8To32, 0xffff_ffff_ffff_ff7f, 0x7f),
        (Movsx::S16To32, 0x8000, 0xffff_8000),
        (Movsx::S16To32, 0xffff_0000_7fff, 0x7fff),
    ] {
        returns(&[imm64(R1, a), mov(R0, 9), Insn::Movsx { kind, dst: R0, src: R1 }, EXIT], want);
    }
}

#[test]
fn byte_swaps() {
    const A: u64 = 0x1122_3344_5566_7788;
    for (op, width, want) in [
        (Endian::Swap, SwapWidth::W16, 0x8877),
        (Endian::Swap, SwapWidth::W32, 0x8877_6655),
        (Endian::Swap, SwapWidth::W64, 0x8877_6655_4433_2211),
        (Endian::ToBe, SwapWidth::W16, u64::from(0x7788u16.to_be())),
        (Endian::ToBe, SwapWidth::W32, u64::from(0x5566_7788u32.to_be())),
        (Endian::ToBe, SwapWidth::W64, A.to_be()),
        (Endian::ToLe, SwapWidth::W16, u64::from(0x7788u16.to_le())),
        (Endian::ToLe, SwapWidth::W32, u64::from(0x5566_7788u32.to_le())),
        (Endian::ToLe, SwapWidth::W64, A.to_le()),
    ] {
        returns(&[imm64(R0, A), Insn::ByteSwap { op, width, dst: R0 }, EXIT], want);
    }
}

#[test]
fn wide_immediates() {
    for value in [0, 1, NEG1, MIN, MAX, 0xffff_ffff, 0x8000_0000, 0x1234_5678_9abc_def0] {
        returns(&[imm64(R0, value), EXIT], value);
    }
}
