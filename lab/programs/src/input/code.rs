//! Code for the interpreter that `vm.c` is, and data for that code.

use super::Noise;

/// Instructions that the memory has room for.
const CODE: usize = 64;

const HALT: u8 = 0;
const SET: u8 = 1;
const ADD: u8 = 2;
const SUB: u8 = 3;
const MUL: u8 = 4;
const XOR: u8 = 5;
const SHL: u8 = 6;
const SHR: u8 = 7;
const LOAD: u8 = 8;
const LESS: u8 = 9;
const JUMP_IF: u8 = 10;
const JUMP: u8 = 11;

/// A loop of 100 turns that hashes the data and takes one of two ways by what it finds.
const PROGRAM: [[u8; 4]; 19] = [
    [SET, 0, 0, 7],
    [SET, 1, 0, 0],
    [SET, 2, 0, 100],
    [SET, 3, 0, 1],
    [LOAD, 4, 1, 0],
    [XOR, 0, 0, 4],
    [SHR, 5, 0, 33],
    [XOR, 0, 0, 5],
    [SHL, 6, 0, 3],
    [SUB, 0, 6, 0],
    [LESS, 7, 4, 0],
    [JUMP_IF, 0, 7, 14],
    [MUL, 0, 0, 4],
    [JUMP, 0, 0, 15],
    [ADD, 0, 0, 4],
    [ADD, 1, 1, 3],
    [LESS, 7, 1, 2],
    [JUMP_IF, 0, 7, 4],
    [HALT, 0, 0, 0],
];

/// Gives the code, then so many random words.
pub(super) fn with_data(noise: &mut Noise, count: usize) -> Vec<u8> {
    let mut bytes = PROGRAM.concat();
    bytes.resize(CODE * 4, 0);
    bytes.extend((0..count).flat_map(|_| noise.next().to_le_bytes()));
    bytes
}
