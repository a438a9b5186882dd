//! Object files: the input is the file.
//!
//! Promised: reading ends, whatever the bytes; a refusal names the file; what is read is consistent: every place in a program that a relocation, a
//! line or a function names exists, every map that is referred to is there, and names are told apart.

use skep_elf::ObjectSpec;
use skep_model::ProgramSpec;
use std::collections::BTreeSet;

pub(crate) fn run(data: &[u8]) {
    let object = match ObjectSpec::parse("input.o", data) {
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
    assert!(program.line_info.iter().all(|line| line.insn.index() < slots));
    assert!(program.func_info.iter().all(|func| func.insn.index() < slots));
}
