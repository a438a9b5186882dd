//! Decoding refuses, or is undone exactly by encoding: over every opcode and every interesting field.

use skep_isa::table::{self, INTERNAL, Next, Op, Pick, ROWS};
use skep_isa::{
    ByteOrder, DecodeError, DecodeErrorKind, Field, Flow, Insn, InsnIdx, Kind, Program, RawInsn, Reg, decode,
    insns, raw,
};

const OFFS: [i16; 13] = [0, 1, 2, 3, 8, 16, 32, 64, -1, -2, i16::MIN, i16::MAX, 0x100];

const IMMS: [i32; 27] = [
    0,
    1,
    2,
    8,
    0x10,
    0x11,
    0x20,
    0x40,
    0x41,
    0x50,
    0x51,
    0xa0,
    0xa1,
    0xe0,
    0xe1,
    0xf0,
    0xf1,
    0xff,
    0x100,
    0x101,
    0x110,
    0x111,
    0x1_0000,
    -1,
    -2,
    i32::MIN,
    i32::MAX,
];

/// Checks one slot, or pair; returns whether it was accepted.
fn check(slot: RawInsn, next: Option<RawInsn>) -> bool {
    let insn = match decode(slot, next) {
        Ok(insn) => insn,
        Err(_) => return false,
    };
    let encoded = insn.encode();
    assert_eq!(encoded.first(), slot, "{insn:?}");
    match insn.slots() {
        1 => assert_eq!(encoded.len(), 1),
        _ => assert_eq!(encoded[..], [slot, next.expect("a wide instruction has a second slot")]),
    }
    true
}

#[test]
fn every_slot_is_refused_or_encodes_to_itself() {
    let mut accepted_codes = 0;
    for code in 0..=u8::MAX {
        let mut accepted = 0u32;
        for regs in 0..=u8::MAX {
            if !matches!(regs & 0xf, 0 | 1 | 10 | 11) {
                continue;
            }
            for off in OFFS {
                for imm in IMMS {
                    let slot = RawInsn { code, regs, off, imm };
                    accepted += u32::from(check(slot, Some(RawInsn::default())));
                }
            }
        }
        assert_eq!(accepted > 0, !table::rows_of(code).is_empty(), "opcode {code:#04x}");
        accepted_codes += u32::from(accepted > 0);
    }
    // 53 of arithmetic, 44 branches, 7 other jumps and calls, 22 loads and stores, 4 of atomics.
    assert_eq!(accepted_codes, 130);
}

/// No immediate but those of the table makes an atomic operation.
#[test]
fn atomics_are_told_apart_by_the_whole_immediate() {
    for code in [0xc3, 0xcb, 0xd3, 0xdb] {
        let accepted: Vec<i32> = (-0x1_0000..=0x1_0000)
            .chain([i32::MIN, i32::MAX, 0xe1 | i32::MIN])
            .filter(|&imm| check(RawInsn::new(code, 1, 2, -8, imm), None))
            .collect();
        let mut wanted: Vec<i32> = vec![0x100, 0x110];
        if matches!(code, 0xc3 | 0xdb) {
            wanted.extend([0x00, 0x40, 0x50, 0xa0, 0x01, 0x41, 0x51, 0xa1, 0xe1, 0xf1]);
        }
        wanted.sort_unstable();
        assert_eq!(accepted, wanted, "opcode {code:#04x}");
    }
}

#[test]
fn second_slots_must_be_zero_but_for_used_immediates() {
    let zero = RawInsn::default();
    let seconds = [
        (zero, None),
        (RawInsn { code: 1, ..zero }, Some(Field::NextCode)),
        (RawInsn { regs: 0x01, ..zero }, Some(Field::NextDst)),
        (RawInsn { regs: 0x10, ..zero }, Some(Field::NextSrc)),
        (RawInsn { off: -1, ..zero }, Some(Field::NextOff)),
        (RawInsn { imm: 7, ..zero }, Some(Field::NextImm)),
    ];
    for src in 0..=6 {
        let first = RawInsn::new(0x18, 3, src, 0, -5);
        assert_eq!(decode(first, None), Err(DecodeErrorKind::HalfWide));
        for (second, refused) in seconds {
            let used = refused == Some(Field::NextImm) && matches!(src, 0 | 2 | 3 | 6);
            match refused {
                Some(field) if !used => {
                    let found = field.read(second);
                    let wanted = DecodeErrorKind::UnusedField { field, found };
                    assert_eq!(decode(first, Some(second)), Err(wanted));
                }
                _ => assert!(check(first, Some(second)), "kind {src} with {second:?}"),
            }
        }
    }
}

/// Every row decodes to its own operation, uses exactly the fields it says, and names the field it refuses.
#[test]
fn rows_and_decoder_say_the_same() {
    for row in &ROWS {
        let next = Some(RawInsn::default());
        let base = row.base();
        let insn = decode(base, next).unwrap_or_else(|kind| panic!("{row:?}: {kind}"));
        assert_eq!(insn.op(), row.op);
        assert!(std::ptr::eq(row.op.row(), row));
        assert_eq!(insn.slots() == 2, row.next != Next::None);
        for field in Field::FIRST {
            if row.pick.field().is_some_and(|(picking, _)| picking == field) {
                continue;
            }
            let slot = match field {
                Field::Dst => RawInsn { regs: base.regs | 9, ..base },
                Field::Src => RawInsn { regs: base.regs | 9 << 4, ..base },
                Field::Off => RawInsn { off: 77, ..base },
                _ => RawInsn { imm: 77, ..base },
            };
            let wanted = match row.fields.uses(field) {
                true => Ok(row.op),
                false => Err(DecodeErrorKind::UnusedField { field, found: field.read(slot) }),
            };
            assert_eq!(decode(slot, next).map(Insn::op), wanted, "{row:?} with {field}");
        }
    }
}

/// What is kept of each instruction is what its meaning says, for every row and every pair of registers.
#[test]
fn facts_are_those_of_the_meaning() {
    for row in &ROWS {
        for (dst, src) in (0..11).flat_map(|dst| (0..11).map(move |src| (dst, src))) {
            let base = row.base();
            let dst = if row.fields.uses(Field::Dst) { dst } else { base.dst() };
            let src = if row.fields.uses(Field::Src) { src } else { base.src() };
            let first = RawInsn::new(row.code, dst, src, base.off, base.imm);
            let slots = [first, RawInsn::default()];
            let len = if row.next == Next::None { 1 } else { 2 };
            let program = Program::decode(&slots[..len]).expect("it is a program");
            let (insn, facts) = (program.at(InsnIdx(0)).expect("it starts there"), program.facts());
            assert_eq!((facts[0].reads, facts[0].writes), (insn.reads(), insn.writes()), "{insn:?}");
            assert_eq!(facts.len(), len);
            assert!(facts[1..].iter().all(|facts| facts.kind == Kind::Half && facts.writes.is_empty()));
            let goes_on = insn.flow() == Flow::Next && insn.function_offset().is_none() && !insn.is_call();
            let is_plain = facts[0].kind.is_plain();
            assert!(goes_on || !is_plain, "{insn:?} is looked at by whoever follows control");
            assert_eq!(facts[0].kind == Kind::Jump, insn.flow() != Flow::Next, "{insn:?}");
            let calls = insn.function_offset().is_some() || insn.is_call();
            assert_eq!(facts[0].kind == Kind::Call, calls, "{insn:?}");
        }
    }
}

#[test]
fn each_operation_has_one_row() {
    let mut seen = std::collections::HashSet::new();
    for row in &ROWS {
        assert!(seen.insert(row.op), "{row:?}");
        assert!(row.since.is_some() || row.op == Op::CallReg);
    }
    assert_eq!(seen.len(), Op::COUNT);
}

#[test]
fn texts_of_a_dialect_are_distinct() {
    let mut seen = std::collections::HashSet::new();
    for row in &ROWS {
        assert!(seen.insert(("linux", row.linux)), "{}", row.linux);
        assert!(seen.insert(("mnemonic", row.mnemonic)), "{}", row.mnemonic);
    }
}

#[test]
fn registers_above_ten_are_refused_by_name() {
    for number in 11..16 {
        let dst = RawInsn::new(0xbf, number, 0, 0, 0);
        let src = RawInsn::new(0xbf, 0, number, 0, 0);
        let refused = |field| Err(DecodeErrorKind::UnknownRegister { field, found: number });
        assert_eq!(decode(dst, None), refused(Field::Dst));
        assert_eq!(decode(src, None), refused(Field::Src));
        assert_eq!(Reg::new(number), None);
    }
}

#[test]
fn forms_of_the_kernel_itself_are_refused_by_name() {
    for row in &INTERNAL {
        let slot = match row.pick {
            Pick::Off(off) => RawInsn::new(row.code, 1, 2, off, 0),
            _ => RawInsn::new(row.code, 1, 2, 0, 0),
        };
        let refused = DecodeErrorKind::Internal { code: row.code };
        assert_eq!(decode(slot, None), Err(refused));
        assert!(refused.to_string().contains(row.name));
    }
}

#[test]
fn refusals_say_what_was_wanted_and_what_was_found() {
    let cases = [
        (RawInsn::new(0x07, 1, 0, 3, 5), "unused field `off` must be zero, found 3"),
        (RawInsn::new(0x61, 1, 2, 3, -1), "unused field `imm` must be zero, found -1"),
        (RawInsn::new(0x95, 2, 0, 0, 0), "unused field `dst` must be zero, found 2"),
        (RawInsn::new(0xff, 0, 0, 0, 0), "unknown opcode 0xff"),
        (RawInsn::new(0x3f, 1, 2, 2, 0), "opcode 0x3f wants 0 or 1 in field `off`, found 2"),
        (RawInsn::new(0xbc, 1, 2, 32, 0), "opcode 0xbc wants 0, 8 or 16 in field `off`, found 32"),
        (RawInsn::new(0xd4, 1, 0, 0, 8), "opcode 0xd4 wants 16, 32 or 64 in field `imm`, found 8"),
        (RawInsn::new(0xcb, 1, 2, 0, 1), "opcode 0xcb wants 0x100 or 0x110 in field `imm`, found 1"),
        (RawInsn::new(0x85, 0, 3, 0, 1), "opcode 0x85 wants 0, 1 or 2 in field `src`, found 3"),
        (RawInsn::new(0xe5, 0, 1, 0, 0), "opcode 0xe5 wants 0 in field `src`, found 1"),
        (RawInsn::new(0xb7, 12, 0, 0, 0), "field `dst` wants a register r0 to r10, found r12"),
        (
            RawInsn::new(0xc2, 0, 0, 0, 0),
            "NOSPEC (opcode 0xc2) is internal to the kernel and accepted from no program",
        ),
        (RawInsn::new(0x18, 0, 0, 0, 0), "wide instruction lacks its second slot"),
    ];
    for (slot, wanted) in cases {
        assert_eq!(decode(slot, None).map_err(|kind| kind.to_string()), Err(wanted.into()));
    }
}

#[test]
fn iteration_goes_on_after_an_error_and_refuses_half_a_wide_one() {
    let exit = RawInsn::new(0x95, 0, 0, 0, 0);
    let wide = RawInsn::new(0x18, 1, 0, 0, 7);
    let bad = RawInsn::new(0xff, 0, 0, 0, 0);
    let slots = [wide, RawInsn { imm: 1, ..RawInsn::default() }, bad, exit, wide];
    let found: Vec<_> = insns(&slots).collect();
    assert_eq!(
        found,
        [
            Ok((InsnIdx(0), Insn::LoadImm64 { dst: Reg::R1, value: 1 << 32 | 7 })),
            Err(DecodeError { at: InsnIdx(2), kind: DecodeErrorKind::UnknownOpcode { code: 0xff } }),
            Ok((InsnIdx(3), Insn::Exit)),
            Err(DecodeError { at: InsnIdx(4), kind: DecodeErrorKind::HalfWide }),
        ]
    );
}

/// The example of RFC 9669 §3.1: `r1 += 0x11223344` in both byte orders.
#[test]
fn byte_orders_differ_as_the_rfc_shows() {
    let slot = RawInsn::new(0x07, 1, 0, 0, 0x1122_3344);
    assert_eq!(slot.to_bytes(ByteOrder::Little), [0x07, 0x01, 0, 0, 0x44, 0x33, 0x22, 0x11]);
    assert_eq!(slot.to_bytes(ByteOrder::Big), [0x07, 0x10, 0, 0, 0x11, 0x22, 0x33, 0x44]);
    let slot = RawInsn::new(0x61, 3, 10, -2, 0);
    assert_eq!(slot.to_bytes(ByteOrder::Little), [0x61, 0xa3, 0xfe, 0xff, 0, 0, 0, 0]);
    assert_eq!(slot.to_bytes(ByteOrder::Big), [0x61, 0x3a, 0xff, 0xfe, 0, 0, 0, 0]);
    for order in [ByteOrder::Little, ByteOrder::Big] {
        assert_eq!(RawInsn::from_bytes(slot.to_bytes(order), order), slot);
        let bytes = raw::to_bytes(&[slot, slot], order).expect("memory for two slots");
        assert_eq!(raw::from_bytes(&bytes, order), Ok(vec![slot, slot]));
        assert_eq!(raw::from_bytes(&bytes[1..], order), Err(raw::BytesError::Ragged { len: 15 }));
    }
}

/// What is in memory stays small, since programs are decoded whole.
#[test]
fn sizes() {
    assert_eq!(size_of::<RawInsn>(), 8);
    assert_eq!(size_of::<Insn>(), 16);
    assert_eq!(size_of::<Option<Insn>>(), 16);
    assert_eq!(size_of::<DecodeErrorKind>(), 8);
    assert_eq!(size_of::<DecodeError>(), 12);
    assert_eq!(size_of::<Result<Insn, DecodeErrorKind>>(), 16);
}

#[test]
fn an_opcode_is_internal_in_one_way() {
    let mut seen = std::collections::HashSet::new();
    assert!(
        INTERNAL.iter().all(|row| seen.insert(row.code) && table::internal_name(row.code) == Some(row.name))
    );
    assert_eq!(table::internal_name(0x95), None);
}

/// Random slots, by a fixed generator so that a failure repeats: no panic, and the identity.
#[test]
fn random_slots_decode_to_themselves_or_not_at_all() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut accepted = 0;
    for _ in 0..300_000 {
        let (mut first, second) = (random(), random());
        if first & 1 << 40 != 0 {
            first &= 0xf_ffff_0000_0fff; // more that decodes: no source, small immediates
        }
        let next = RawInsn::from_bytes(second.to_le_bytes(), ByteOrder::Little);
        let next = if second & 1 == 0 { RawInsn { code: 0, regs: 0, off: 0, ..next } } else { next };
        accepted += u32::from(check(RawInsn::from_bytes(first.to_le_bytes(), ByteOrder::Little), Some(next)));
    }
    assert!(accepted > 3_000, "the generator makes too few valid slots: {accepted}");
}

#[test]
fn slots_are_filled_from_and_stored_as_bytes() {
    let wanted =
        [RawInsn::new(0x18, 1, 2, -3, 4), RawInsn::default(), RawInsn::new(0x95, 15, 0, i16::MIN, -1)];
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let bytes: Vec<u8> = wanted.iter().flat_map(|slot| slot.to_bytes(order)).collect();
        let mut slots = [RawInsn::default(); 3];
        let count = RawInsn::fill(&mut slots, order, |into| {
            into.copy_from_slice(&bytes);
            into.len()
        });
        assert_eq!((count, slots), (24, wanted));
        if order == ByteOrder::NATIVE {
            assert_eq!(*RawInsn::stored(&wanted), bytes);
        }
    }
}
