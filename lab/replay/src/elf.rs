//! Object files: the input is the file.
//!
//! Promised: reading ends, whatever the bytes; a refusal names the file; what is read is consistent: every place in a program that a relocation, a
//! line or a function names exists, every map that is referred to is there, and names are told apart; what is read from parts of the
//! file is what is read from all of it, or there are no parts.

use skep_elf::{ElfError, ObjectSpec};
use skep_model::ProgramSpec;
use std::collections::BTreeSet;
use std::convert::Infallible;

pub(crate) fn run(data: &[u8]) {
    let whole = ObjectSpec::parse("input.o", data);
    check_parts(data, &whole);
    let object = match whole {
        Ok(object) => object,
        Err(error) => return assert!(error.to_string().contains("input.o"), "{error}"),
    };
    let names: BTreeSet<_> = object.programs.iter().map(|program| program.name.as_str()).collect();
    assert_eq!(names.len(), object.programs.len(), "programs have names of their own");
    for program in &object.programs {
        assert!(object.program(&program.name).is_some_and(|found| found.name == program.name));
        check_program(program);
    }
    for map in &object.maps {
        assert!(object.map(&map.name).is_some());
    }
    assert!(
        data.len() as u64
            >= object
                .sections
                .iter()
                .filter(|section| section.code)
                .map(|section| section.size)
                .max()
                .unwrap_or(0)
    );
}

fn check_parts(data: &[u8], whole: &Result<ObjectSpec, ElfError>) {
    let read = |at: u64, into: &mut [u8]| -> Result<bool, Infallible> {
        let from = usize::try_from(at).ok().and_then(|at| data.get(at..)?.get(..into.len()));
        if let Some(from) = from {
            into.copy_from_slice(from);
        }
        Ok(from.is_some())
    };
    let Ok(parts) = ObjectSpec::read("input.o", data.len() as u64, read);
    let Some(parts) = parts else { return };
    match (parts, whole) {
        (Ok(parts), Ok(whole)) => assert_eq!(format!("{parts:?}"), format!("{whole:?}")),
        (Err(parts), Err(whole)) => assert_eq!(parts.to_string(), whole.to_string()),
        (parts, whole) => panic!("{parts:?} of the parts, {whole:?} of the whole"),
    }
}

fn check_program(program: &ProgramSpec) {
    let slots = program.insns.len();
    let mut next = 0;
    for function in &program.functions {
        assert_eq!(function.start.index(), next, "functions follow each other: {}", function.name);
        next += function.slots as usize;
    }
    assert_eq!(next, slots, "and fill the program {}", program.name);
    for relocation in &program.relocations {
        assert!(relocation.insn.index() < slots, "{relocation:?}");
    }
    assert!(program.line_info.iter().all(|line| (line.insn_off as usize) < slots));
    assert!(program.func_info.iter().all(|func| func.insn.index() < slots));
}
