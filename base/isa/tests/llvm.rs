//! LLVM's assembler makes the same bytes of the Linux dialect. Skipped, and said so, where `llvm-mc-19` is not installed.

use std::io::Write;
use std::process::{Command, Stdio};

/// What LLVM 19 has no text for: newer instructions, and what only relocations make.
const UNKNOWN_TO_LLVM: [&str; 8] =
    ["gotox", "map[", "var[", "subprog[", "skb[r2 -", "kfunc[", "load_acquire", "store_release"];

#[test]
fn llvm_assembles_the_linux_dialect_to_the_same_bytes() {
    let rows: Vec<(&str, &str)> = include_str!("golden.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('\t'))
        .filter_map(|(hex, texts)| Some((hex, texts.split_once('\t')?.0)))
        .filter(|(_, text)| !UNKNOWN_TO_LLVM.iter().any(|part| text.contains(part)))
        // Of a distance LLVM makes a relocation for a helper's call.
        .filter(|(_, text)| !text.starts_with("call pc"))
        .collect();
    assert_eq!(rows.len(), 162);
    let mut command = Command::new("llvm-mc-19");
    command.args(["-triple=bpfel", "-mcpu=v4", "-mattr=+alu32", "--show-encoding"]);
    let Ok(mut llvm) = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    else {
        eprintln!("skipped: llvm_assembles_the_linux_dialect_to_the_same_bytes needs llvm-mc-19");
        return;
    };
    let source: String = rows.iter().map(|(_, text)| text.replace("pc+", "+") + "\n").collect();
    let mut stdin = llvm.stdin.take().expect("a pipe");
    stdin.write_all(source.as_bytes()).expect("llvm-mc reads");
    drop(stdin);
    let output = llvm.wait_with_output().expect("llvm-mc ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = String::from_utf8(output.stdout).expect("text");
    let encodings: Vec<String> = output
        .lines()
        .filter_map(|line| line.split_once("encoding: [")?.1.split_once(']'))
        .map(|(bytes, _)| bytes.replace("0x", "").replace(',', ""))
        .collect();
    assert_eq!(encodings, rows.iter().map(|(hex, _)| hex.to_string()).collect::<Vec<_>>());
}
