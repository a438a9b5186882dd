//! A small program and small types, as bytes in the machine's order, for tests of loading.

use alloc::vec::Vec;

/// `r0 = number; exit`.
pub const fn returning(number: u8) -> [[u8; 8]; 2] {
    let exit = [0x95, 0, 0, 0, 0, 0, 0, 0];
    match cfg!(target_endian = "big") {
        true => [[0xb7, 0, 0, 0, 0, 0, 0, number], exit],
        false => [[0xb7, 0, 0, 0, number, 0, 0, 0], exit],
    }
}

/// `r1 = map fd_array[0]`, then [`returning`].
pub const fn with_first_map(number: u8) -> [[u8; 8]; 4] {
    let registers = if cfg!(target_endian = "big") { 0x15 } else { 0x51 };
    let [mov, exit] = returning(number);
    [[0x18, registers, 0, 0, 0, 0, 0, 0], [0; 8], mov, exit]
}

/// BTF of `int f(void)`: type 1 is `int`, 2 the prototype, 3 the function; "int" is at offset 1 of the strings.
pub fn btf() -> Vec<u8> {
    let types = [
        // A 32-bit signed integer called `int` (kind 1).
        [1, 1 << 24, 4, 1 << 24 | 32].as_slice(),
        // A function prototype that gives it (kind 13).
        &[0, 13 << 24, 1],
        // A global function `f` of that type (kind 12, linkage 1).
        &[5, 12 << 24 | 1, 2],
    ]
    .concat();
    let strings = b"\0int\0f\0";
    let mut btf = [0xeb9f_u16.to_ne_bytes(), [1, 0]].concat();
    let type_len = types.len() as u32 * 4;
    for word in [24, 0, type_len, type_len, strings.len() as u32] {
        btf.extend_from_slice(&word.to_ne_bytes());
    }
    btf.extend(types.into_iter().flat_map(u32::to_ne_bytes));
    btf.extend_from_slice(strings);
    btf
}

/// The record that says of a program's first instruction that [`btf`]'s function starts there (`struct bpf_func_info`).
pub fn func_info() -> Vec<u8> {
    [0u32, 3].into_iter().flat_map(u32::to_ne_bytes).collect()
}

/// The record that says of a program's first instruction that it is on line 1 (`struct bpf_line_info`).
pub fn line_info() -> Vec<u8> {
    [0u32, 1, 1, 1 << 10 | 1].into_iter().flat_map(u32::to_ne_bytes).collect()
}
