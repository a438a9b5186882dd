//! Command lines that are wrong, help, and pipes that close early.

use crate::common::{root, skep};
use std::io::Read;
use std::process::{Command, Stdio};

#[test]
fn a_wrong_command_line_exits_with_2() {
    for args in [&["nonsense"][..], &["show"], &["show", "a", "b"], &["disasm", "--dialect", "french", "x"]] {
        let ran = skep(args).expect(2);
        assert!(ran.stdout.is_empty() && !ran.stderr.is_empty(), "{args:?}");
    }
    skep(&[]).expect(2);
}

#[test]
fn who_asks_for_json_gets_a_document_even_then() {
    let ran = skep(&["show", "--json"]).expect(2);
    let document = ran.json();
    assert_eq!(document["error"]["kind"], "usage");
    let message = document["error"]["message"].as_str().unwrap();
    assert!(message.ends_with("<OBJECT>"), "{message}");
    assert!(ran.stderr.contains("Usage:"), "{}", ran.stderr);
}

#[test]
fn help_is_an_answer() {
    let ran = skep(&["--help"]).expect(0);
    assert!(ran.text().contains("Usage: skep") && ran.stderr.is_empty());
    assert!(skep(&["show", "--help"]).expect(0).text().contains("--json"));
    assert!(skep(&["--version"]).expect(0).text().starts_with("skep "));
}

#[test]
fn a_pipe_that_closes_early_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_skep"))
        .args(["disasm", "lab/vectors/code/long_jump.bpf.o", "--json"])
        .current_dir(root())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 16]).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
}
