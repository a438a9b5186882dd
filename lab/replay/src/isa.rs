//! Instructions: the first byte chooses the byte order, or text; the rest is a program.
//!
//! Promised: bytes and slots are the same thing; what decodes encodes to what it came from; any slots have a text that
//! assembles to them; the structure of a program covers each of its instructions once; every refusal has a place.

use skep_isa::text::{Dialect, Labels, assemble, disassemble};
use skep_isa::{ByteOrder, Insn, InsnIdx, Program, RawInsn, raw, structure, table};

pub(crate) fn run(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else { return };
    if choice & 2 == 2 {
        return std::str::from_utf8(bytes).map_or((), check_source);
    }
    let order = if choice & 1 == 0 { ByteOrder::Little } else { ByteOrder::Big };
    let slots = match raw::from_bytes(bytes, order) {
        Ok(slots) => slots,
        Err(error) => return assert!(bytes.len() % 8 != 0 && !error.to_string().is_empty()),
    };
    assert_eq!(raw::to_bytes(&slots, order).expect("memory"), bytes, "slots give back their bytes");
    for dialect in [Dialect::Linux, Dialect::Mnemonic] {
        check_text(&slots, dialect);
    }
    match Program::decode(&slots) {
        Ok(program) => check_program(&program, &slots),
        Err(error) => {
            assert!(error.at.index() < slots.len(), "the place is in the program: {error}");
            assert!(!error.to_string().is_empty());
        }
    }
}

fn check_text(slots: &[RawInsn], dialect: Dialect) {
    let helpers = |id| (id == 5).then_some("helper");
    let labels = Labels::find(slots, &helpers).expect("memory");
    let mut text = String::new();
    disassemble(slots, dialect, &labels, &helpers, &mut text).expect("memory");
    let assembled = assemble(&text, &|name: &str| (name == "helper").then_some(5));
    match assembled {
        Ok(assembled) => assert_eq!(assembled.slots(), slots, "text is its slots:\n{text}"),
        Err(error) => panic!("{error}:\n{text}"),
    }
}

/// Text that somebody wrote.
fn check_source(source: &str) {
    match assemble(source, &()) {
        Ok(assembled) => {
            for (name, at) in assembled.labels() {
                assert_eq!(assembled.label(name), Some(at));
            }
            for (at, _) in skep_isa::insns(assembled.slots()).flatten() {
                assert!(assembled.line(at).is_some(), "every instruction has a line");
            }
            check_text(assembled.slots(), Dialect::Linux);
            check_text(assembled.slots(), Dialect::Mnemonic);
        }
        Err(error) => {
            let lines = source.split('\n').count().max(1);
            assert!((1..=lines).contains(&(error.line as usize)) && error.column >= 1, "{error}");
            assert!(!error.to_string().is_empty());
        }
    }
}

fn check_program(program: &Program, slots: &[RawInsn]) {
    assert!(program.encode().eq(slots.iter().copied()), "decoding is the identity");
    assert_eq!((program.len(), program.is_empty()), (slots.len(), slots.is_empty()));
    for (at, insn) in program.iter() {
        assert!(program.contains(at) && program.at(at) == Some(insn));
        check_insn(insn, at, slots[at.index()]);
    }
    match structure::check(program) {
        Ok(structure) => check_structure(program, &structure),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn check_insn(insn: Insn, at: InsnIdx, slot: RawInsn) {
    let encoded = insn.encode();
    assert!(encoded.len() == insn.slots() as usize && encoded[0] == slot, "an instruction is its slots");
    let row = table::find(slot).expect("what decodes has a row");
    assert_eq!(row.first_unused(slot), None, "and uses its row's fields only");
    for reg in insn.reads().union(insn.writes()).iter() {
        assert!(reg.index() < 11 && !reg.to_string().is_empty());
    }
    let _ = (
        insn.jump_target(at),
        insn.call_target(at),
        insn.function_offset(),
        insn.is_call(),
        insn.to_string(),
    );
}

fn check_structure(program: &Program, structure: &structure::Structure) {
    for (at, insn) in program.iter() {
        let index = structure.subprogram_of(at).expect("each instruction is in a subprogram");
        let around = structure.subprograms().iter().filter(|subprogram| subprogram.contains(at)).count();
        assert_eq!(around, 1, "and in one only");
        assert!(structure.subprograms()[index].contains(at), "the one that look-up finds");
        if let Some(target) = insn.jump_target(at) {
            assert_eq!(structure.subprogram_of(target), Some(index), "no jump leaves its subprogram");
        }
        if let Some(target) = insn.call_target(at) {
            assert!(structure.subprogram_at(target).is_some(), "a call enters at a start");
        }
    }
}
