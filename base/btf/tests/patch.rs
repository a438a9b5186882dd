//! The values of CO-RE relocations in instructions, and instructions that cannot take them.

use skep_btf::core::{Check, Outcome, POISON, PatchError, Patched, Resize, Values, patch};
use skep_isa::RawInsn;

const CALL: RawInsn = RawInsn::new(0x85, 0, 0, 0, POISON);

fn value(local: u64, target: u64) -> Values {
    Values { local, target, check: Check::Exact, resize: Resize::Keep }
}

/// Patches one instruction; gives it and what was done.
fn one(insn: RawInsn, values: Values) -> Result<(RawInsn, Patched), PatchError> {
    let mut insns = [insn];
    let done = patch(&mut insns, 0, &Outcome::Value(values))?;
    Ok((insns[0], done))
}

#[test]
fn immediates() {
    for code in [0xb7, 0xb4, 0x07, 0x04, 0x67] {
        let insn = RawInsn::new(code, 3, 0, 0, 8);
        let done = (RawInsn { imm: 16, ..insn }, Patched::Immediate { from: 8, to: 16 });
        assert_eq!(one(insn, value(8, 16)), Ok(done));
        let unexpected = PatchError::Unexpected { wanted: 9, found: 8 };
        assert_eq!(one(insn, value(9, 16)), Err(unexpected));
        let lenient = Values { check: Check::Lenient, ..value(9, 16) };
        assert_eq!(one(insn, lenient), Ok(done));
        let register = RawInsn { code: code | 8, ..insn };
        assert_eq!(one(register, value(8, 16)), Err(PatchError::Unsuitable { code: code | 8 }));
    }
    // Immediates are signed, and an enumerator below zero is what they are compared with.
    let minus = RawInsn::new(0xb7, 0, 0, 0, -2);
    assert_eq!(one(minus, value(-2i64 as u64, 1)).unwrap().0.imm, 1);
    assert!(one(minus, value(0xffff_fffe, 1)).is_err());
}

#[test]
fn offsets_of_loads_and_stores() {
    // Loads, stores of registers and of immediates, in four sizes; and an atomic.
    for class in [0x61u8, 0x62, 0x63] {
        for size in [0x00, 0x08, 0x10, 0x18] {
            let insn = RawInsn::new(class & !0x18 | size, 1, 2, 4, 7);
            let (patched, done) = one(insn, value(4, 1234)).unwrap();
            assert_eq!(patched, RawInsn { off: 1234, ..insn });
            assert_eq!(done, Patched::Offset { from: 4, to: 1234, resized: None });
        }
    }
    let load = RawInsn::new(0x61, 1, 2, 4, 0);
    assert_eq!(one(load, value(4, 32767)).unwrap().0.off, 32767);
    assert_eq!(one(load, value(4, 32768)), Err(PatchError::TooFar(32768)));
    assert_eq!(one(load, value(5, 8)), Err(PatchError::Unexpected { wanted: 5, found: 4 }));
}

#[test]
fn sizes_of_loads_and_stores() {
    let with = |from, to| Values { resize: Resize::Change { from, to }, ..value(4, 8) };
    let load = |code| RawInsn::new(code, 1, 2, 4, 0);
    for (code, from) in [(0x61, 4), (0x69, 2), (0x71, 1), (0x79, 8), (0x63, 4), (0x81, 4)] {
        for (to, bits) in [(4, 0x00), (2, 0x08), (1, 0x10), (8, 0x18)] {
            let (patched, done) = one(load(code), with(from, to)).unwrap();
            assert_eq!((patched.code, patched.off), (code & !0x18 | bits, 8));
            assert_eq!(done, Patched::Offset { from: 4, to: 8, resized: Some((from, to)) });
        }
        assert_eq!(
            one(load(code), with(from, 3)),
            Err(PatchError::Bytes { wanted: from, found: from, target: 3 })
        );
        assert_eq!(
            one(load(code), with(16, 4)),
            Err(PatchError::Bytes { wanted: 16, found: from, target: 4 })
        );
    }
    // A load that would be wrong is poisoned; an addition does not mind.
    let wrong = Values { resize: Resize::Wrong, ..value(4, 8) };
    assert_eq!(one(load(0x61), wrong), Ok((CALL, Patched::Poisoned)));
    assert_eq!(one(RawInsn::new(0x07, 1, 0, 0, 4), wrong).unwrap().0.imm, 8);
}

#[test]
fn wide_loads() {
    let pair =
        |imm: u64| [RawInsn::new(0x18, 1, 0, 0, imm as i32), RawInsn::new(0, 0, 0, 0, (imm >> 32) as i32)];
    let mut insns = pair(0x1_0000_0002);
    let (from, to) = (0x1_0000_0002, 0xffff_ffff_8000_0003);
    let done = patch(&mut insns, 0, &Outcome::Value(value(from, to)));
    assert_eq!((done, insns), (Ok(Patched::Wide { from, to }), pair(to)));
    assert!(patch(&mut insns, 0, &Outcome::Value(value(1, 2))).is_err());
    let unsuitable = |change: fn(&mut [RawInsn; 2])| {
        let mut insns = pair(1);
        change(&mut insns);
        assert_eq!(
            patch(&mut insns, 0, &Outcome::Value(value(1, 2))),
            Err(PatchError::Unsuitable { code: 0x18 })
        );
    };
    unsuitable(|insns| insns[0].regs = 0x11);
    unsuitable(|insns| insns[0].off = 1);
    unsuitable(|insns| insns[1].code = 1);
    unsuitable(|insns| insns[1].regs = 1);
    unsuitable(|insns| insns[1].off = 1);
    assert_eq!(patch(&mut pair(1)[..1], 0, &Outcome::Value(value(1, 2))), Err(PatchError::Outside));
}

#[test]
fn what_is_missing_is_poisoned() {
    assert_eq!(POISON, 0xbad_2310);
    let other = RawInsn::new(0x95, 0, 0, 0, 0);
    for code in [0xb7, 0x61, 0x85, 0x05] {
        let mut insns = [other, RawInsn::new(code, 1, 2, 3, 4), other];
        assert_eq!(patch(&mut insns, 1, &Outcome::Missing), Ok(Patched::Poisoned));
        assert_eq!(insns, [other, CALL, other]);
    }
    let mut wide = [RawInsn::new(0x18, 1, 0, 0, 1), RawInsn::default(), other];
    assert_eq!(patch(&mut wide, 0, &Outcome::Missing), Ok(Patched::Poisoned));
    assert_eq!(wide, [CALL, CALL, other]);
    assert_eq!(patch(&mut wide, 3, &Outcome::Missing), Err(PatchError::Outside));
    for code in [0x05, 0x85, 0x95, 0x20, 0x00] {
        let mut insns = [RawInsn::new(code, 0, 0, 0, 1), other];
        assert_eq!(patch(&mut insns, 0, &Outcome::Value(value(1, 2))), Err(PatchError::Unsuitable { code }));
    }
}
