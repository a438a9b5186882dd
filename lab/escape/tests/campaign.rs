//! A short campaign, in a process of its own: what ends that process is a finding.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::process::{Command, Output};

/// Counts the programs: a few seconds in a build with every checker.
const COUNT: &str = "1500";

fn escape(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_skep-lab-escape")).args(args).output().expect("it starts")
}

#[test]
fn nothing_escapes() {
    let output = escape(&["--count", COUNT]);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, found) = (text(&output.stdout), text(&output.stderr));
    print!("{said}");
    assert!(output.status.success(), "\n{said}{found}");
    for end in ["returned", "fuel", "out_of_bounds", "misaligned", "call_depth", "bad_helper_argument"] {
        assert!(said.contains(end), "no run ends so: {end}\n{said}");
    }
    let count = |what: &str| -> u64 {
        let before = said.split(what).next().and_then(|before| before.split_whitespace().last());
        before.and_then(|count| count.parse().ok()).expect("the line says how many")
    };
    assert!(count(" functions called by helpers") > 100, "helpers call functions too seldom\n{said}");
    assert!(count(" programs followed others") > 100, "programs follow others too seldom\n{said}");
}

/// What says that something has escaped says which seed it was.
#[test]
fn an_escape_has_a_name() {
    for (how, said) in [("read", "SIGSEGV at 0x"), ("write", "SIGSEGV at 0x"), ("panic", "a panic")] {
        let output = escape(&["--from", "17", "--count", "1", "--plant", how]);
        let found = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{how}: {found}");
        assert!(found.contains("escape: seed 17, way ") && found.contains(said), "{how}: {found}");
    }
}
