//! A kernel's types, cut down to what a program needs, answer its relocations as all of them do.

use skep_btf::core::{Candidates, Outcome, Request, Used, resolve};
use skep_btf::{Btf, CoreRelocKind, TypeId};
use skep_elf::ObjectSpec;
use skep_model::{CoreTarget, RelocTarget};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// The answer to each relocation, and what all of them rest on.
fn answers(spec: &ObjectSpec, target: &Btf<'_>) -> (Vec<(CoreRelocKind, Outcome)>, Used) {
    let local = spec.btf.as_ref().unwrap();
    let (mut answers, mut used) = (Vec::new(), Used::new());
    for relocation in spec.programs.iter().flat_map(|program| &program.relocations) {
        let RelocTarget::Core(core) = &relocation.target else { continue };
        let CoreTarget { type_id, access, kind } = &**core;
        let (type_id, kind) = (TypeId(type_id.0), CoreRelocKind::from_number(*kind).unwrap());
        let mut candidates = Candidates::new(local, [type_id]).unwrap();
        candidates.search(0, target).unwrap();
        let found = candidates.of(type_id).unwrap();
        let answer = resolve(local, &Request { type_id, access, kind }, &[target], found).unwrap();
        used.add(&answer, 0, target).unwrap();
        answers.push((kind, answer.outcome));
    }
    (answers, used)
}

/// The members of each struct and union that has a name.
fn members(btf: &Btf<'_>) -> BTreeMap<String, Vec<(String, u32)>> {
    let composites =
        btf.types().filter(|ty| !ty.name().is_empty()).filter_map(|ty| Some((ty, ty.as_composite().ok()?)));
    composites
        .map(|(ty, composite)| {
            let members = composite.members.iter().map(|member| (member.name.to_owned(), member.bit_offset));
            (ty.name().to_owned(), members.collect())
        })
        .collect()
}

#[test]
fn less_answers_as_all_does() {
    let test = "less_answers_as_all_does";
    let Ok(kernel) = std::fs::read("/sys/kernel/btf/vmlinux") else {
        println!("skipped: {test}: no /sys/kernel/btf/vmlinux");
        return;
    };
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("core.bpf.o");
    let runs = |name: &&&str| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success());
    let Some(clang) = ["clang-19", "clang"].iter().find(runs) else {
        println!("skipped: {test}: no clang");
        return;
    };
    let done = Command::new(clang)
        .args(["-g", "-O2", "-target", "bpfel", "-c", "-o"])
        .arg(&output)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/link/core.bpf.c"))
        .status();
    assert!(done.unwrap().success());
    let spec = ObjectSpec::parse("core", &std::fs::read(&output).unwrap()).unwrap();
    let kernel = Btf::parse(&kernel).unwrap();
    let (wanted, used) = answers(&spec, &kernel);
    assert!(wanted.len() >= 10, "{wanted:?}");
    let small = Btf::from_vec(kernel.minimal(&used).unwrap()).unwrap();
    assert!(small.len() < 60, "{small:?}");
    let (found, again) = answers(&spec, &small);
    assert_eq!(wanted, found);
    // What is as small as can be does not become smaller.
    assert_eq!(Btf::from_vec(small.minimal(&again).unwrap()).unwrap().bytes(), small.bytes());
    assert_eq!(members(&small)["task_struct"].len(), 5);

    if !runs(&&"bpftool") {
        println!("skipped: {test}: no bpftool to compare with");
        return;
    }
    let theirs = output.with_extension("btf");
    let done = Command::new("bpftool")
        .args(["gen", "min_core_btf", "/sys/kernel/btf/vmlinux"])
        .args([&theirs, &output])
        .status();
    assert!(done.unwrap().success());
    let theirs = Btf::from_vec(std::fs::read(theirs).unwrap()).unwrap();
    assert_eq!(members(&small), members(&theirs));
}
