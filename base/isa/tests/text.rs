//! What the disassembler writes, row by row and for whole programs.

use core::fmt::{self, Write as _};
use skep_isa::table::{Op, ROWS};
use skep_isa::text::{Dialect, Labels, Names, disassemble, write_insn};
use skep_isa::{ByteOrder, Insn, InsnIdx, RawInsn, Reg, insns, raw};
use std::collections::HashSet;

fn slots_of_hex(hex: &str) -> Vec<RawInsn> {
    let digits: Vec<u8> = hex.chars().map(|c| c.to_digit(16).expect("hexadecimal") as u8).collect();
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    raw::from_bytes(&bytes, ByteOrder::Little).expect("whole slots")
}

fn one(insn: Insn, dialect: Dialect, names: &dyn Names) -> String {
    let mut text = String::new();
    write_insn(insn, InsnIdx::ZERO, dialect, &Labels::NONE, names, &mut text).expect("strings take all");
    text
}

fn all(slots: &[RawInsn], dialect: Dialect, names: &dyn Names) -> String {
    let labels = Labels::find(slots, names).expect("memory for labels");
    let mut text = String::new();
    disassemble(slots, dialect, &labels, names, &mut text).expect("strings take all");
    text
}

#[test]
fn every_row_is_written_as_in_the_golden_file() {
    let mut seen = HashSet::new();
    for line in include_str!("golden.txt").lines().filter(|line| !line.starts_with('#')) {
        let [hex, linux, mnemonic] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let slots = slots_of_hex(hex);
        let (_, insn) = insns(&slots).next().expect("one").expect("valid");
        assert_eq!(one(insn, Dialect::Linux, &()), linux);
        assert_eq!(one(insn, Dialect::Mnemonic, &()), mnemonic);
        assert_eq!(insn.to_string(), linux);
        assert!(seen.insert(insn.op()), "{line}");
    }
    assert_eq!(seen.len(), Op::COUNT);
    assert_eq!(ROWS.len(), Op::COUNT);
}

#[test]
fn numbers_keep_their_sign_and_size() {
    let wide = |value| one(Insn::LoadImm64 { dst: Reg::R1, value }, Dialect::Linux, &());
    assert_eq!(wide(7), "r1 = 7 ll");
    assert_eq!(wide(u64::MAX), "r1 = -1 ll");
    assert_eq!(wide(0xffff_ffff), "r1 = 0xffffffff ll");
    assert_eq!(wide(1 << 63), "r1 = 0x8000000000000000 ll");
    assert_eq!(Insn::CallHelper { id: u32::MAX }.to_string(), "call 4294967295");
    assert_eq!(Insn::Goto { off: i16::MIN }.to_string(), "goto pc-32768");
    assert_eq!(Insn::Gotol { off: i32::MIN }.to_string(), "gotol pc-2147483648");
    let load = |off| Insn::Load { kind: skep_isa::LoadKind::U8, dst: Reg::R0, base: Reg::R10, off };
    assert_eq!(load(i16::MIN).to_string(), "r0 = *(u8 *)(r10 - 32768)");
    assert_eq!(load(0).to_string(), "r0 = *(u8 *)(r10 + 0)");
    assert_eq!(one(load(0), Dialect::Mnemonic, &()), "ldxb r0, [r10]");
}

struct Everything;

impl Names for Everything {
    fn helper(&self, id: u32) -> Option<&str> {
        match id {
            1 => Some("bpf_map_lookup_elem"),
            2 => Some("two words"),
            _ => None,
        }
    }

    fn function(&self, start: InsnIdx) -> Option<&str> {
        match start.0 {
            0 => Some("main"),
            6 => Some("parse"),
            7 | 8 => Some("twice"),
            9 => Some("r3"),
            _ => Some("L7"),
        }
    }

    fn remark(&self, at: InsnIdx, out: &mut dyn fmt::Write) -> fmt::Result {
        match at.0 {
            0 => out.write_str("map blocked"),
            3 => out.write_str("two\nlines"),
            _ => Ok(()),
        }
    }
}

#[test]
fn labels_names_and_remarks() {
    let slots = [
        RawInsn::new(0x18, 1, 1, 0, 0),
        RawInsn::default(),
        RawInsn::new(0x85, 0, 0, 0, 1),
        RawInsn::new(0x85, 0, 0, 0, 2),
        RawInsn::new(0x15, 0, 0, -3, 0),
        RawInsn::new(0x95, 0, 0, 0, 0),
        RawInsn::new(0x85, 0, 1, 0, -1),
        RawInsn::new(0x85, 0, 1, 0, 0),
        RawInsn::new(0x85, 0, 1, 0, 0),
        RawInsn::new(0x05, 0, 0, -9, 0),
        RawInsn::new(0x05, 0, 0, 0, 0),
    ];
    let wanted = "\
main:
    r1 = map[fd:0] ll // map blocked
L2:
    call bpf_map_lookup_elem#1
    call 2 // two lines
    if r0 == 0 goto L2
    exit
parse:
    call parse
    call func_8
func_8:
    call func_9
func_9:
    goto pc-9
    goto pc+0
";
    assert_eq!(all(&slots, Dialect::Linux, &Everything), wanted);
}

#[test]
fn what_does_not_decode_is_written_by_its_fields() {
    let slots =
        [RawInsn::new(0xff, 1, 2, -3, 4), RawInsn::new(0x05, 0, 0, -2, 0), RawInsn::new(0x18, 1, 0, 0, 9)];
    let text = all(&slots, Dialect::Linux, &Everything);
    let wanted = "    .insn 0xff, 1, 2, -3, 4 // unknown opcode 0xff; map blocked
    goto pc-2
    .insn 0x18, 1, 0, 0, 9 // wide instruction lacks its second slot
";
    assert_eq!(text, wanted);
}

#[test]
fn any_slots_can_be_written() {
    let mut state = 7u64;
    for _ in 0..2_000 {
        let slots: Vec<RawInsn> = (0..20)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let row = &ROWS[(state >> 33) as usize % ROWS.len()];
                let mut slot = row.base();
                slot.off |= (state >> 50) as i16 - 8;
                slot.imm |= (state >> 20) as i32 % 16;
                slot
            })
            .collect();
        for dialect in [Dialect::Linux, Dialect::Mnemonic] {
            let mut text = String::new();
            write!(text, "{}", all(&slots, dialect, &Everything)).expect("strings take all");
            assert!(text.lines().count() >= 10);
        }
    }
}
