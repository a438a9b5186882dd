//! Compares the system calls of a process, as `strace` sees them, with the calls that crossed the seam.
//!
//! A test calls [`check`] with a closure. The test's own executable is started again under `strace`, where the closure
//! runs between two marks; each system call between them must be one call of the seam, in the same order, and each call
//! of the seam one system call. The allocator's own system calls are left out.
//!
//! It knows nothing about the seam but the names of its calls.

mod lines;

use lines::SystemCall;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Says to the process under trace where its calls' names go.
const NAMES: &str = "SKEP_TRACE_NAMES";
/// Paths that nobody has; asking for them marks the trace.
const BEGIN: &str = "/skep-trace-begin";
const END: &str = "/skep-trace-end";

/// Runs `calls` under trace, in the test of this name. It gives the names of the calls that crossed the seam.
///
/// Where `strace` is not installed or may not trace, the test says that it is skipped.
///
/// # Panics
/// Where a system call is no call of the seam, or the other way round.
pub fn check(test: &str, calls: impl FnOnce() -> Vec<&'static str>) {
    if let Some(into) = env::var_os(NAMES) {
        mark(BEGIN);
        let names = calls();
        mark(END);
        fs::write(into, names.join("\n")).unwrap();
        return;
    }
    let dir = Scratch::new(test);
    let names = dir.path.join("names");
    let child = Command::new("strace")
        .args(["-ff", "-qq", "-s", "256", "-o"])
        .arg(dir.path.join("trace"))
        .arg(env::current_exe().unwrap())
        .args(["--exact", test])
        .env(NAMES, &names)
        // The leak sanitizer stops the process itself to look at it, which another tracer forbids.
        .env("ASAN_OPTIONS", "detect_leaks=0")
        .output();
    let output = match child {
        Ok(output) => output,
        Err(error) => {
            println!("skipped: {test}: strace cannot be started: {error}");
            return;
        }
    };
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("ptrace") && said.contains("not permitted") {
        println!("skipped: {test}: strace may not trace: {said}");
        return;
    }
    assert!(output.status.success(), "under strace: {said}\n{}", String::from_utf8_lossy(&output.stdout));
    let names = fs::read_to_string(names).expect("a test of this name runs under trace");
    let names: Vec<&str> = names.lines().collect();
    let seen = system_calls(&dir.path);
    compare(&names, &seen);
    println!("{} calls, each one system call", names.len());
}

fn mark(path: &str) {
    assert!(fs::metadata(path).is_err(), "{path} is there");
}

/// Compares in order; the first difference is told with what came before it.
fn compare(names: &[&str], seen: &[SystemCall]) {
    assert!(!names.is_empty(), "no call crossed the seam");
    for index in 0..names.len().max(seen.len()) {
        let (name, call) = (names.get(index), seen.get(index));
        let same = matches!((name, call), (Some(name), Some(call)) if call.is(name));
        let before = index.saturating_sub(5);
        assert!(
            same,
            "call {index}: the seam says {name:?}, the trace says {:?}; before it: {:?}",
            call.map(|call| &call.line),
            &names[before..index.min(names.len())],
        );
    }
}

/// Reads the thread that made the marks.
fn system_calls(dir: &Path) -> Vec<SystemCall> {
    for entry in fs::read_dir(dir).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
        if let Some((_, rest)) = text.split_once(BEGIN) {
            let (between, _) = rest.split_once(END).expect("the trace has both marks");
            // The rest of the line with the first mark, and the start of that with the second, are not calls.
            let lines: Vec<&str> = between.lines().collect();
            return lines::parse(&lines[1..lines.len() - 1]);
        }
    }
    panic!("no thread made the marks");
}

/// A directory that is removed again.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = env::temp_dir().join(format!("skep-trace-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Scratch { path }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A directory that cannot be removed is no reason for a test to fail.
        let _ = fs::remove_dir_all(&self.path);
    }
}
