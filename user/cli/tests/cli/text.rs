//! `skep disasm` and `skep asm`: there and back, and what is said of text and bytes that are neither.

use crate::common::{golden, objects, scratch, skep, skep_with};

/// The objects that the reader refuses, each for a reason of its own.
const REFUSED: [&str; 6] =
    ["sizes_disagree", "unknown_attribute", "undefined_", "maps_extra", "unknown_section", "two_arenas"];

fn readable() -> Vec<String> {
    objects(|name| !REFUSED.iter().any(|refused| name.contains(refused)))
}

/// The bytes of all instructions in the document of `disasm --json`.
fn bytes_of(document: &serde_json::Value) -> String {
    let programs = document["programs"].as_array().unwrap();
    let insns = programs.iter().flat_map(|program| program["insns"].as_array().unwrap());
    insns.map(|insn| insn["bytes"].as_str().unwrap()).collect()
}

#[test]
fn every_object_assembles_again_in_both_dialects() {
    for object in readable() {
        let order = if object.contains(".be.") { "big" } else { "little" };
        for dialect in ["linux", "mnemonic"] {
            let text = skep(&["disasm", &object, "--dialect", dialect, "--source"]).expect(0);
            let bytes = skep_with(&["asm", "--json", "--order", order], &text.stdout).expect(0).json();
            let document = skep(&["disasm", &object, "--dialect", dialect, "--json"]).expect(0).json();
            assert_eq!(bytes["bytes"], bytes_of(&document).as_str(), "{object} in {dialect}");
        }
    }
}

#[test]
fn bare_instructions_go_there_and_back() {
    let source = b"mov r0, 1\nlddw r1, 0x1122334455667788\nif r1 == 0 goto out\nr0 = 2\nout: exit\n";
    let bytes = skep_with(&["asm"], source).expect(0).stdout;
    assert_eq!(bytes.len(), 6 * 8);
    let text = skep_with(&["disasm", "--raw", "-"], &bytes).expect(0);
    assert_eq!(
        text.text(),
        "    r0 = 1\n    r1 = 0x1122334455667788 ll\n    if r1 == 0 goto L5\n    r0 = 2\nL5:\n    exit\n"
    );
    let again = skep_with(&["asm", "-"], &text.stdout).expect(0).stdout;
    assert_eq!(again, bytes);
    let document = skep_with(&["disasm", "--raw", "-", "--json"], &bytes).expect(0).json();
    assert_eq!(document["insns"][1]["bytes"], "18010000887766550000000044332211");
    assert_eq!(document["insns"][2]["insn"], 3);
    assert_eq!(document["insns"][4]["labels"][0], "L5");
}

#[test]
fn undecodable_slots_survive() {
    let bytes = [0xff, 0xff, 1, 2, 3, 4, 5, 6, 0x95, 0, 0, 0, 0, 0, 0, 0];
    let text = skep_with(&["disasm", "--raw", "-"], &bytes).expect(0);
    assert!(text.text().contains(".insn 0xff"), "{}", text.text());
    assert_eq!(skep_with(&["asm"], &text.stdout).expect(0).stdout, bytes);
}

#[test]
fn a_file_takes_the_instructions() {
    let source = scratch("one.s", b"exit\n");
    let out = scratch("one.bin", b"");
    let ran = skep(&["asm", source.to_str().unwrap(), "-o", out.to_str().unwrap()]).expect(0);
    assert!(ran.stdout.is_empty());
    assert_eq!(std::fs::read(&out).unwrap(), [0x95, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn text_that_is_no_program_is_named_by_line_and_column() {
    let ran = skep_with(&["asm", "--json"], b"r0 = 1\nr1 += r11\n").expect(1);
    assert_eq!(ran.stderr, "skep: -:2:7: expected a number or a register r0 to r10, found `r11`\n");
    let error = &ran.json()["error"];
    assert_eq!((&error["kind"], &error["place"]["line"]), (&"syntax".into(), &2.into()));
    assert_eq!(error["place"]["column"], 7);

    let ran = skep_with(&["asm"], b"exit\n\xff\n").expect(1);
    assert_eq!(ran.stderr, "skep: -:2: wanted UTF-8 text\n");
    assert!(ran.stdout.is_empty());
}

#[test]
fn bytes_that_are_no_slots_are_named_by_offset() {
    let ran = skep_with(&["disasm", "--raw", "-", "--json"], &[0x95; 19]).expect(1);
    assert_eq!(ran.json()["error"]["place"]["offset"], 16);
    assert!(ran.stderr.starts_with("skep: -: byte 0x10: "), "{}", ran.stderr);
}

#[test]
fn a_program_is_picked_by_name() {
    let object = "lab/vectors/code/subprograms.bpf.o";
    let all = skep(&["disasm", object, "--json"]).expect(0).json();
    let name = all["programs"][0]["name"].as_str().unwrap();
    let one = skep(&["disasm", object, "--program", name, "--json"]).expect(0).json();
    assert_eq!(one["programs"].as_array().unwrap().len(), 1);
    assert_eq!(one["programs"][0]["insns"], all["programs"][0]["insns"]);

    let ran = skep(&["disasm", object, "--program", "nobody", "--json"]).expect(2);
    assert_eq!(ran.json()["error"]["message"], "there is no program called nobody");
    assert!(ran.stderr.contains(name), "the help lists the programs: {}", ran.stderr);
}

#[test]
fn references_and_source_lines_are_told() {
    let ran = skep(&["disasm", "lab/vectors/data/globals.bpf.o", "--source"]).expect(0);
    golden("disasm_globals.txt", ran.text());
    let document = skep(&["disasm", "examples/syscount/syscount.bpf.o", "--json"]).expect(0).json();
    let insns = document["programs"][0]["insns"].as_array().unwrap();
    let refers = |wanted: &str| insns.iter().any(|insn| insn["refers_to"] == wanted);
    assert!(refers("map processes") && refers("target_tgid in .rodata"));
    assert_eq!(insns[0]["labels"][0], "syscount");
    assert_eq!(insns[0]["source"]["file"], "./examples/syscount/syscount.bpf.c");
    assert!(insns[0]["source"]["line"].as_u64().unwrap() > 0);
}
