//! The bytecode on the reference machine comes to what native code comes to.

mod run;

use run::run;
use skep_lab_programs::{Cpu, Expected, all, digest};

/// Runs every program twice on one memory, as the native results were made.
fn all_agree(cpu: Cpu) {
    let mut wrong = Vec::new();
    for program in all().unwrap() {
        let bytecode = program.bytecode(cpu).unwrap();
        let mut memory = program.memory();
        let first = run(&bytecode, &mut memory).unwrap_or_else(|error| panic!("{}: {error}", program.name));
        let second = run(&bytecode, &mut memory).unwrap();
        let found = Expected { result: second.result, memory: digest(&memory) };
        println!("{:<11} {:>4} slots {:>7} executed", program.name, bytecode.len() / 8, first.executed);
        // A program that refuses its input would agree as well.
        let enough = if program.name == "call" { 2 } else { 5_000 };
        if first.executed < enough {
            wrong.push(format!("{}: {} instructions are executed", program.name, first.executed));
        }
        if Some(found) != program.expected || first != second {
            wrong.push(format!("{}: {:x?}, not {found:x?}", program.name, program.expected));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn bytecode_of_v3_agrees_with_native_code() {
    all_agree(Cpu::V3);
}

#[test]
fn bytecode_of_v4_agrees_with_native_code() {
    all_agree(Cpu::V4);
}
