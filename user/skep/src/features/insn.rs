//! The few instructions that questions are made of (RFC 9669 §3 to §5).

/// One slot.
pub(super) type Insn = [u8; 8];

const fn slot(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    let regs = if cfg!(target_endian = "big") { dst << 4 | src } else { src << 4 | dst };
    let (o, i) = (off.to_ne_bytes(), imm.to_ne_bytes());
    [code, regs, o[0], o[1], i[0], i[1], i[2], i[3]]
}

/// `r = imm`.
pub(super) const fn set(dst: u8, imm: i32) -> Insn {
    slot(0xb7, dst, 0, 0, imm)
}

/// `dst = src`.
pub(super) const fn copy(dst: u8, src: u8) -> Insn {
    slot(0xbf, dst, src, 0, 0)
}

/// `r += imm`.
pub(super) const fn add(dst: u8, imm: i32) -> Insn {
    slot(0x07, dst, 0, 0, imm)
}

/// `*(u64 *)(r + 0) = imm`.
pub(super) const fn store(dst: u8, imm: i32) -> Insn {
    slot(0x7a, dst, 0, 0, imm)
}

/// A call of a helper.
pub(super) const fn helper(id: u32) -> Insn {
    slot(0x85, 0, 0, 0, id as i32)
}

/// A call of the function that starts so many slots behind the next one.
pub(super) const fn function(distance: i32) -> Insn {
    slot(0x85, 0, skep_abi::flags::BPF_PSEUDO_CALL, 0, distance)
}

/// `if r < imm goto +0`, which came with the second version of the instruction set.
pub(super) const fn jump_less(dst: u8, imm: i32) -> Insn {
    slot(0xa5, dst, 0, 0, imm)
}

/// `if w < imm goto +0`, which came with the third.
pub(super) const fn jump_less_32(dst: u8, imm: i32) -> Insn {
    slot(0xa6, dst, 0, 0, imm)
}

/// `if r < imm goto` so many slots on.
pub(super) const fn jump_less_to(dst: u8, imm: i32, off: i16) -> Insn {
    slot(0xa5, dst, 0, off, imm)
}

/// `r = (s8)r`, which came with the fourth.
pub(super) const fn sign_extend(register: u8) -> Insn {
    slot(0xbf, register, register, 8, 0)
}

/// `exit`.
pub(super) const EXIT: Insn = slot(0x95, 0, 0, 0, 0);

/// `r = ` a place in the value of a map, by the map's descriptor.
pub(super) const fn map_value(dst: u8, map: i32, offset: i32) -> [Insn; 2] {
    [slot(0x18, dst, skep_abi::flags::BPF_PSEUDO_MAP_VALUE, 0, map), slot(0, 0, 0, 0, offset)]
}

/// `r = ` a map, by its index among the descriptors that go with the program.
pub(super) const fn map_by_index(dst: u8, index: i32) -> [Insn; 2] {
    [slot(0x18, dst, skep_abi::flags::BPF_PSEUDO_MAP_IDX, 0, index), slot(0, 0, 0, 0, 0)]
}
