//! syscount's counts, exact for a process whose every system call is known.

use crate::common::root;
use crate::run::has_linux;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const TEST: &str = "syscount::counts_agree_with_a_known_workload";

/// Set for the process that is the workload.
const WORKLOAD: &str = "SKEP_TEST_WORKLOAD";

const GETPPIDS: u64 = 12_345;
const WRITES: u64 = 678;
const READS: u64 = 90;

/// How long anything may take before it counts as hung.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn counts_agree_with_a_known_workload() {
    if std::env::var_os(WORKLOAD).is_some() {
        work();
    }
    if !has_linux(TEST) {
        return;
    }
    let mut workload = Ended(
        Command::new(std::env::current_exe().unwrap())
            // One thread, so that nobody else in the process calls anything.
            .args(["--exact", TEST, "--nocapture", "--test-threads=1"])
            .env(WORKLOAD, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let pid = workload.0.id();
    let mut output = BufReader::new(workload.0.stdout.take().unwrap());
    read_until(&mut output, "ready");
    // It is asleep in the read that waits for the word: no call is on its way any more.
    wait_until("the workload sleeps", || state(pid) == Some('S'));

    let mut skep = Ended(
        Command::new(env!("CARGO_BIN_EXE_skep"))
            .current_dir(root())
            .args(["run", "examples/syscount/syscount.bpf.o", "--on", "linux", "--json"])
            .args(["--attach", "--set", &format!("target_tgid={pid}")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    wait_until("skep is attached", || {
        assert!(skep.0.try_wait().unwrap().is_none(), "skep ended by itself");
        holds_a_raw_tracepoint(skep.0.id())
    });
    workload.0.stdin.take().unwrap().write_all(b"!").unwrap();
    read_until(&mut output, "done");
    let interrupt = Command::new("kill").args(["-INT", &skep.0.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let mut text = String::new();
    skep.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(skep.0.wait().unwrap().success(), "{text}");

    let document: Value = serde_json::from_str(&text).unwrap();
    let processes = document["maps"]["processes"].as_array().unwrap();
    assert_eq!(processes.len(), 1, "{document}");
    assert_eq!(processes[0]["key"], format!("{pid:#010x}"));
    // The last write says that it is done.
    assert_eq!(processes[0]["value"]["count"], GETPPIDS + WRITES + READS + 1, "{document}");
    let calls = document["maps"]["calls"].as_array().unwrap();
    assert!(calls.iter().all(|call| call["key"]["tgid"] == pid), "{document}");
    let mut counts: Vec<u64> = calls.iter().map(|call| call["value"].as_u64().unwrap()).collect();
    counts.sort_unstable();
    assert_eq!(counts, [READS, WRITES + 1, GETPPIDS], "{document}");
    assert_eq!(
        document["globals"]["missed"],
        serde_json::json!({ "processes": 0, "calls": 0 }),
        "{document}"
    );
}

/// The workload: waits for a word, makes its calls, says so, and from then on makes none.
fn work() -> ! {
    let (mut zero, mut null) =
        (File::open("/dev/zero").unwrap(), File::options().write(true).open("/dev/null").unwrap());
    // Not the standard library's streams: what they buffer, they may write later.
    let mut input = File::open("/dev/stdin").unwrap();
    let mut output = File::options().write(true).open("/dev/stdout").unwrap();
    let mut byte = [0];
    output.write_all(b"\nready\n").unwrap();
    input.read_exact(&mut byte).unwrap();
    for _ in 0..GETPPIDS {
        std::hint::black_box(std::os::unix::process::parent_id());
    }
    for _ in 0..WRITES {
        assert_eq!(null.write(&byte).unwrap(), 1);
    }
    for _ in 0..READS {
        assert_eq!(zero.read(&mut byte).unwrap(), 1);
    }
    output.write_all(b"done\n").unwrap();
    // To sleep or to exit would be a call. The test ends this process.
    loop {
        std::hint::spin_loop();
    }
}

/// A process that does not outlive the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn read_until(output: &mut impl BufRead, word: &str) {
    let found = output.lines().map(Result::unwrap).any(|line| line == word);
    assert!(found, "the workload ended before it was {word}");
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LIMIT, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The letter behind the name in `/proc/PID/stat` (proc(5)).
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Whether a process has a link to a raw tracepoint. Its descriptor appears once the program is registered
/// (`bpf_raw_tp_link_attach`, kernel/bpf/syscall.c: `bpf_link_settle` comes last).
fn holds_a_raw_tracepoint(pid: u32) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else { return false };
    let mut infos = entries.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
    infos.any(|info| info.lines().any(|line| line == "link_type:\traw_tracepoint"))
}
