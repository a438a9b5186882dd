//! `skep check`: verdicts by program, and that skep's own never contradicts the kernel's.

use crate::common::{Ran, objects, scratch, skep};
use serde_json::Value;

const FIREWALL: &str = "examples/xdp-firewall/xdp_firewall.bpf.o";

/// Whether this process may ask the running kernel; says so where not.
fn has_linux(test: &str) -> bool {
    let ran = skep(&["check", "--on", "linux", "lab/vectors/code/branches.v1.bpf.o", "--json"]);
    let may = ran.status == 0;
    if !may {
        println!("skipped: {test}: {}", ran.json());
    }
    may
}

fn programs(ran: &Ran) -> Vec<Value> {
    let document = ran.json();
    let objects = document["objects"].as_array().unwrap().clone();
    objects.iter().flat_map(|object| object["programs"].as_array().unwrap().clone()).collect()
}

/// An object whose only program, an XDP one, has these slots in place of the real ones.
fn patched(name: &str, first_slots: &[[u8; 8]]) -> String {
    let mut bytes =
        std::fs::read(crate::common::root().join("lab/vectors/refused/unchecked_packet.bpf.o")).unwrap();
    // r1 = *(u32 *)(r1 + 0): the program's first instruction.
    let code = [0x61, 0x11, 0, 0, 0, 0, 0, 0];
    let at = bytes.windows(8).position(|window| window == code).expect("the program starts so");
    for (slot, place) in first_slots.iter().zip(bytes[at..].chunks_exact_mut(8)) {
        place.copy_from_slice(slot);
    }
    scratch(name, &bytes).to_str().unwrap().to_owned()
}

#[test]
fn what_is_verified_says_what_it_took() {
    let ran = skep(&["check", FIREWALL, "--json"]).expect(0);
    let program = &programs(&ran)[0];
    assert_eq!((&program["name"], &program["type"]), (&"xdp_firewall".into(), &"xdp".into()));
    let embedded = &program["embedded"];
    assert_eq!(embedded["verdict"], "accepted");
    for count in ["processed_insns", "states", "peak_states", "time_ns"] {
        assert!(embedded[count].as_u64().unwrap() > 0, "{count}: {embedded}");
    }
    assert_eq!((program.get("linux"), program.get("rejection")), (None, None));
    let human = skep(&["check", FIREWALL]).expect(0);
    assert!(human.text().contains("embedded: accepted, "), "{}", human.text());
}

#[test]
fn what_is_not_modelled_is_said_plainly() {
    let ran = skep(&["check", "lab/vectors/maps/arena.bpf.o", "--json"]).expect(3);
    let reasons: Vec<String> = programs(&ran)
        .iter()
        .filter(|program| program["embedded"]["verdict"] == "unsupported")
        .map(|program| program["embedded"]["reason"].as_str().unwrap().to_owned())
        .collect();
    assert!(reasons.iter().any(|reason| reason.contains("not modelled")), "{reasons:?}");
}

#[test]
fn both_kernels_are_asked() {
    if !has_linux("both_kernels_are_asked") {
        return;
    }
    let object = "lab/vectors/wrong/null_check.bpf.o";
    let program = &programs(&skep(&["check", "--on", "both", object, "--json"]).expect(1))[0];
    for kernel in ["embedded", "linux"] {
        assert_eq!(
            (&program[kernel]["verdict"], &program[kernel]["errno"]),
            (&"rejected".into(), &"EACCES".into())
        );
    }
    assert_eq!(program["rejection"]["id"], "pointer-null");
    let human = skep(&["check", "--on", "both", object]).expect(1);
    for part in ["embedded: rejected", "linux: rejected", "error[pointer-null]"] {
        assert!(human.text().contains(part), "{part} in {}", human.text());
    }
    skep(&["check", "--on", "both", FIREWALL]).expect(0);
}

#[test]
fn a_rejection_has_its_place_in_the_source() {
    // r0 = r10's own address taken for writing: r10 += 1.
    let object = patched("fp.o", &[[0x07, 0x0a, 0, 0, 1, 0, 0, 0]]);
    let ran = skep(&["check", &object, "--json"]).expect(1);
    let program = &programs(&ran)[0];
    assert_eq!(program["embedded"]["verdict"], "rejected");
    assert_eq!(program["embedded"]["errno"], "EACCES");
    let rejection = &program["rejection"];
    assert_eq!(rejection["id"], "register-frame-pointer");
    assert_eq!((&rejection["category"], &rejection["insn"]), (&"register".into(), &0.into()));
    assert_eq!(rejection["source"]["file"], "./lab/vectors/refused/unchecked_packet.bpf.c");
    assert!(rejection["source"]["line"].as_u64().unwrap() > 0);
    let human = skep(&["check", &object]).expect(1);
    for part in ["error[register-frame-pointer]: instruction 0: ", "--> ./lab/vectors", "help: "] {
        assert!(human.text().contains(part), "{part} in {}", human.text());
    }
    if has_linux("a_rejection_has_its_place_in_the_source") {
        let ran = skep(&["check", &object, "--on", "linux", "--json"]).expect(1);
        assert_eq!(programs(&ran)[0]["linux"]["errno"], "EACCES");
    }
}

#[test]
fn bad_objects_are_part_of_the_answer() {
    let ran = skep(&["check", "lab/vectors/refused/undefined_function.bpf.o", FIREWALL, "--json"]).expect(1);
    let document = ran.json();
    let error = &document["objects"][0]["error"];
    assert_eq!((&error["kind"], &error["place"]["insn"]), (&"object".into(), &1.into()));
    assert_eq!(document["objects"][1]["programs"][0]["name"], "xdp_firewall");
    assert!(ran.stderr.contains("defined_nowhere"), "{}", ran.stderr);
}

#[test]
fn types_are_named_on_the_command_line() {
    // XDP has no packet loads of classic BPF; socket filters do.
    let object = patched("abs.o", &[[0xbf, 0x16, 0, 0, 0, 0, 0, 0], [0x30, 0, 0, 0, 12, 0, 0, 0]]);
    skep(&["check", &object]).expect(1);
    let ran = skep(&["check", &object, "--type", "socket_filter", "--json"]);
    assert_eq!(programs(&ran)[0]["type"], "socket_filter");
    let ran = skep(&["check", &object, "--type", "nonsense", "--json"]).expect(2);
    assert!(ran.stderr.contains("xdp"), "the help lists the types: {}", ran.stderr);
    skep(&["check", FIREWALL, "--program", "nobody"]).expect(2);
    let ran = skep(&["check", "lab/vectors/refused/unknown_section.bpf.o", "--json"]).expect(3);
    assert!(programs(&ran)[0]["embedded"]["reason"].as_str().unwrap().contains("--type"));
}

#[test]
fn linux_says_why() {
    if !has_linux("linux_says_why") {
        return;
    }
    let ran = skep(&["check", "--on", "linux", FIREWALL, "--json"]).expect(0);
    let program = &programs(&ran)[0];
    assert_eq!(program["linux"]["verdict"], "accepted");
    assert!(program["linux"]["processed_insns"].as_u64().unwrap() > 900, "{program}");
    let ran =
        skep(&["check", "--on", "both", "lab/vectors/refused/unchecked_packet.bpf.o", "--json"]).expect(1);
    let linux = &programs(&ran)[0]["linux"];
    assert_eq!((&linux["verdict"], &linux["errno"]), (&"rejected".into(), &"EACCES".into()));
    assert_eq!(linux["processed_insns"], 2);
    assert!(linux["log_tail"].as_str().unwrap().contains("invalid access to packet"), "{linux}");
}

#[test]
fn a_rejection_of_skeps_is_one_of_linuxs() {
    if !has_linux("a_rejection_of_skeps_is_one_of_linuxs") {
        return;
    }
    let (mut seen, mut rejected) = (0, 0);
    for object in objects(|name| !name.contains(".be.")) {
        for program in programs(&skep(&["check", &object, "--json"])) {
            seen += 1;
            if program["embedded"]["verdict"] != "rejected" {
                continue;
            }
            rejected += 1;
            let name = program["name"].as_str().unwrap();
            let ran = skep(&["check", "--on", "linux", &object, "--program", name, "--json"]).expect(1);
            assert_eq!(programs(&ran)[0]["linux"]["verdict"], "rejected", "{object}: {program}");
        }
    }
    assert!(seen > 100 && rejected > 0, "{seen} programs, {rejected} rejected");
}
