//! What `skep check` says of programs with one mistake each, and that it accepts their mended twins.

use crate::common::{golden, objects, root, skep};
use std::collections::BTreeSet;

/// The line that its comment calls a mistake.
fn mistake(object: &str) -> u64 {
    let source = std::fs::read_to_string(root().join(object.replace(".bpf.o", ".bpf.c"))).unwrap();
    let line = source.lines().position(|line| line.ends_with("/* MISTAKE */")).expect(object);
    line as u64 + 1
}

#[test]
fn a_mistake_is_found_on_its_line_and_its_twin_has_none() {
    let wrong = objects(|name| name.starts_with("lab/vectors/wrong/") && !name.ends_with(".fixed.bpf.o"));
    assert!(wrong.len() >= 20, "{wrong:?}");
    let (mut found, mut surprises) = (String::new(), Vec::new());
    let mut categories = BTreeSet::new();
    for object in wrong {
        let ran = skep(&["check", &object, "--json"]).expect(1);
        let program = &ran.json()["objects"][0]["programs"][0];
        let rejection = &program["rejection"];
        if rejection["source"]["line"] != mistake(&object) {
            surprises.push(format!("{object}, line {}: {program}", mistake(&object)));
        }
        categories.insert(rejection["category"].as_str().unwrap_or_default().to_owned());
        found += skep(&["check", &object]).expect(1).text();
        found.push('\n');
        let fixed = skep(&["check", &object.replace(".bpf.o", ".fixed.bpf.o")]);
        if fixed.status != 0 {
            surprises.push(fixed.text().to_owned());
        }
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
    let wanted = ["call", "instruction", "limit", "memory", "obligation", "pointer", "register"];
    assert_eq!(categories.iter().map(String::as_str).collect::<Vec<_>>(), wanted);
    golden("explain.txt", &found);
}
