//! `skep gen object` and `skep gen min-btf`.

use crate::common::{root, scratch, skep};
use std::process::Command;

const FIREWALL: &str = "examples/xdp-firewall/xdp_firewall.bpf.o";
const TRAFFIC: &str = "examples/xdp-firewall/traffic.pcap";

#[test]
fn a_linked_object_runs_as_before() {
    let output = scratch("linked.o", b"");
    let output = output.to_str().unwrap();
    let document = skep(&["gen", "object", output, FIREWALL, "--json"]).expect(0).json();
    assert_eq!(document["output"], output);
    assert_eq!(document["inputs"][0], FIREWALL);
    assert_eq!(document["bytes"], std::fs::read(output).unwrap().len());
    assert_eq!(skep(&["gen", "object", output, FIREWALL]).expect(0).text(), "");
    let runs = [FIREWALL, output].map(|object| {
        let document = skep(&["run", object, "--pcap", TRAFFIC, "--json"]).expect(0).json();
        ["returns", "maps", "runs"].map(|member| document[member].clone())
    });
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0][2].as_u64().is_some_and(|runs| runs > 1));
}

/// Compiles a case of user/elf, where there is a clang.
fn compile(test: &str, case: &str) -> Option<String> {
    let Some(clang) = ["clang-19", "clang"].into_iter().find(|name| runs(name)) else {
        println!("skipped: {test}: no clang");
        return None;
    };
    let object = scratch(&format!("{case}.o"), b"");
    let done = Command::new(clang)
        .args(["-g", "-O2", "-mcpu=v3", "-target", "bpfel", "-c", "-o"])
        .arg(&object)
        .arg(root().join(format!("user/elf/tests/link/{case}.bpf.c")))
        .status();
    assert!(done.unwrap().success());
    Some(object.to_str().unwrap().to_owned())
}

fn runs(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// The cases of user/elf, linked by both, come to the same in both orders.
#[test]
fn files_linked_by_both_do_the_same() {
    let test = "files_linked_by_both_do_the_same";
    let (Some(main), Some(library)) = (compile(test, "main"), compile(test, "library")) else { return };
    let (main, library) = (main.as_str(), library.as_str());
    let output = scratch("ours.o", b"");
    let (output, packet) = (output.to_str().unwrap(), scratch("packet", &[7; 64]));
    let answer = |object: &str| {
        let packet = packet.to_str().unwrap();
        let ran = skep(&["run", object, "--program", "entry", "--data", packet, "--json"]).expect(0).json();
        (ran["return"].clone(), ran["maps"].clone())
    };
    skep(&["gen", "object", output, main, library]).expect(0);
    let ours = answer(output);
    assert_eq!(ours.0, "0x2", "{ours:?}");
    assert_eq!(ours.1["counts"][1]["value"], 1, "{ours:?}");
    skep(&["gen", "object", output, library, main]).expect(0);
    assert_eq!(answer(output).0, ours.0);
    if !runs("bpftool") {
        println!("skipped: {test}: no bpftool to compare with");
        return;
    }
    let done = Command::new("bpftool").args(["gen", "object", output, main, library]).status();
    assert!(done.unwrap().success());
    assert_eq!(answer(output), ours);
}

#[test]
fn what_cannot_be_linked_is_named() {
    let output = scratch("refused.o", b"");
    std::fs::remove_file(&output).unwrap();
    let output = output.to_str().unwrap();
    let refused = skep(&["gen", "object", output, FIREWALL, FIREWALL, "--json"]).expect(1).json();
    assert_eq!(refused["error"]["place"]["file"], FIREWALL);
    assert!(refused["error"]["message"].as_str().unwrap().contains("defines it too"), "{refused}");
    assert!(!std::path::Path::new(output).exists());
    skep(&["gen", "object", output]).expect(2);
    skep(&["gen", "object", output, "no such file"]).expect(1);
}

#[test]
fn a_kernel_becomes_as_small_as_a_program_needs() {
    let Some(core) = compile("a_kernel_becomes_as_small_as_a_program_needs", "core") else { return };
    let core = core.as_str();
    let output = scratch("small.btf", b"");
    let output = output.to_str().unwrap();
    // The object's own types stand in for a kernel's, which not every machine has.
    let document = skep(&["gen", "min-btf", core, output, core, "--json"]).expect(0).json();
    assert!(document["relocations"].as_u64().is_some_and(|count| count > 8), "{document}");
    let small = skep(&["btf", "dump", output, "--json"]).expect(0).json();
    let all = skep(&["btf", "dump", core, "--json"]).expect(0).json();
    let count = |document: &serde_json::Value| document["types"].as_array().unwrap().len();
    assert_eq!(document["types"], count(&small));
    assert!(count(&small) < count(&all));
    skep(&["gen", "min-btf", core, output]).expect(2);
}
