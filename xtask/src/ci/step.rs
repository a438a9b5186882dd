//! One step of `ci`: a command, its log, and what it came to.

use crate::boot::suites::passed_tests;
use crate::cargo;
use crate::outcome::SKIPPED_STATUS;
use anyhow::{Context, Result};
use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Variables set for a step.
pub(super) type Env = &'static [(&'static str, &'static str)];

/// One row of the table of steps.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) call: Call,
    pub(super) env: Env,
    pub(super) share: Share,
}

/// How much of the machine a step keeps busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// All of it, or it has tests that watch the whole system: nothing runs beside it.
    Whole,
    /// About half: two such steps run side by side.
    Half,
}

/// What a step calls.
pub(super) enum Call {
    /// `cargo …`.
    Cargo(&'static [&'static str]),
    /// `cargo test …`, whose tests are counted; none at all is a failure.
    Tests(&'static [&'static str]),
    /// A chore of this program.
    Xtask(&'static [&'static str]),
}

/// What a step came to.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) step: &'static str,
    kind: Kind,
    /// Why it was skipped or failed, or what it says of itself.
    pub(super) note: String,
    /// `TEST: REASON` of each test that skipped itself.
    pub(super) skipped_tests: Vec<String>,
    /// What the log of a failed step says went wrong, a line each.
    pub(super) failures: Vec<String>,
    /// How many tests passed.
    pub(super) tests: usize,
    /// The end of the log.
    pub(super) tail: String,
    /// How long it took.
    pub(super) took: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Passed,
    Failed,
    Skipped,
}

impl Report {
    pub(super) fn is_failed(&self) -> bool {
        self.kind == Kind::Failed
    }

    pub(super) fn is_skipped(&self) -> bool {
        self.kind == Kind::Skipped
    }

    pub(super) fn word(&self) -> &'static str {
        match self.kind {
            Kind::Passed => "ok",
            Kind::Failed => "FAILED",
            Kind::Skipped => "skipped",
        }
    }
}

/// Lines of a failed step's log that are shown.
const TAIL_LINES: usize = 80;

/// How often a running step is looked at.
const POLL: Duration = Duration::from_millis(50);

/// Runs a step to its end, or to the limit, with the variables of all steps and its own.
pub(super) fn run(step: &Step, common: Env, xtask: &Path, log: &Path, limit: Duration) -> Report {
    let begin = Instant::now();
    let ended = spawn_and_wait(step, common, xtask, log, limit);
    let text = std::fs::read(log).unwrap_or_default();
    let report = judge(step, ended, &String::from_utf8_lossy(&text));
    Report { took: begin.elapsed(), ..report }
}

/// How a command ended.
enum Ended {
    By(ExitStatus),
    AtLimit(Duration),
}

fn spawn_and_wait(step: &Step, common: Env, xtask: &Path, log: &Path, limit: Duration) -> Result<Ended> {
    use std::os::unix::process::CommandExt;
    let mut command = match step.call {
        Call::Cargo(args) => {
            let mut command = cargo::cargo();
            command.args(args);
            command
        }
        Call::Tests(args) => {
            let mut command = cargo::cargo();
            command.args(args).args(["--", "--show-output"]);
            command
        }
        Call::Xtask(args) => {
            let mut command = Command::new(xtask);
            command.args(args).current_dir(cargo::root());
            command
        }
    };
    let file = File::create(log).with_context(|| log.display().to_string())?;
    let mut child = command
        .envs(common.iter().chain(step.env).copied())
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .process_group(0)
        .spawn()
        .context("cannot start it")?;
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Ended::By(status));
        }
        if begin.elapsed() > limit {
            // The group, because cargo's own children would go on.
            Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]).status()?;
            child.wait()?;
            return Ok(Ended::AtLimit(limit));
        }
        std::thread::sleep(POLL);
    }
}

fn judge(step: &Step, ended: Result<Ended>, log: &str) -> Report {
    let is_tests = matches!(step.call, Call::Tests(_));
    let tests = passed_tests(log);
    let last = log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("");
    let (kind, note) = match ended {
        Err(error) => (Kind::Failed, format!("{error:#}")),
        Ok(Ended::AtLimit(limit)) => (Kind::Failed, format!("still running after {} s", limit.as_secs())),
        Ok(Ended::By(status)) if status.success() && is_tests && tests == 0 => {
            (Kind::Failed, "no test ran".to_owned())
        }
        Ok(Ended::By(status)) if status.success() && is_tests => (Kind::Passed, format!("{tests} tests")),
        Ok(Ended::By(status)) if status.success() && matches!(step.call, Call::Xtask(_)) => {
            (Kind::Passed, last.strip_prefix(&format!("{}: ", step.name)).unwrap_or(last).to_owned())
        }
        Ok(Ended::By(status)) if status.success() => (Kind::Passed, String::new()),
        Ok(Ended::By(status)) if status.code() == Some(i32::from(SKIPPED_STATUS)) => {
            let reason = last.splitn(3, ": ").nth(2).unwrap_or(last);
            (Kind::Skipped, reason.to_owned())
        }
        Ok(Ended::By(status)) => (Kind::Failed, status.to_string()),
    };
    let lines: Vec<_> = log.lines().collect();
    let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
    let skipped_tests = if kind == Kind::Skipped { Vec::new() } else { skipped_tests(log) };
    let failures = if kind == Kind::Failed { failures(log) } else { Vec::new() };
    Report { step: step.name, kind, note, skipped_tests, failures, tests, tail, took: Duration::ZERO }
}

/// How many lines of what went wrong are kept of a step.
const FAILURES: usize = 20;

/// Failed tests, their panics with what they say, dead threads, errors of compilers and of chores.
fn failures(log: &str) -> Vec<String> {
    let failed_test = |line: &str| {
        line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED")).map(str::to_owned)
    };
    let tests: Vec<_> = log.lines().filter_map(failed_test).collect();
    let mut found: Vec<_> = tests.iter().map(|test| format!("test {test}")).collect();
    let lines: Vec<_> = log.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        // The message of a panic and the place of a compiler's error come with the next lines.
        let with_next = |count: usize| {
            lines[at..].iter().take(1 + count).map(|line| line.trim()).collect::<Vec<_>>().join(" ")
        };
        let thread = line.strip_prefix("thread '").and_then(|line| line.split('\'').next());
        match thread {
            // Others panic because a test wants it.
            Some(thread)
                if line.contains(" panicked at ")
                    && (tests.is_empty() || tests.iter().any(|test| test == thread)) =>
            {
                found.push(with_next(3));
            }
            Some(_) if line.contains(" has overflowed its stack") => found.push((*line).to_owned()),
            None if line.starts_with("error") || line.starts_with("Error:") => found.push(with_next(1)),
            _ => {}
        }
    }
    found.dedup();
    found.truncate(FAILURES);
    found
}

fn skipped_tests(log: &str) -> Vec<String> {
    let mut found: Vec<_> =
        log.lines().filter_map(|line| line.strip_prefix("skipped: ")).map(str::to_owned).collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_skips_itself_is_named_once() {
        let log = "skipped: loads_on_linux: needs root\nok\nskipped: loads_on_linux: needs root\n";
        assert_eq!(skipped_tests(log), ["loads_on_linux: needs root"]);
    }

    #[test]
    fn what_went_wrong_is_said_in_few_lines() {
        let log = "test a ... ok\nthread 'a' (6) panicked at src/a.rs:1:2:\nwanted\ntest b::c ... FAILED\n\
                   thread 'b::c' (7) panicked at src/b.rs:1:2:\nnot equal\n  left: 1\n right: 2\nstack backtrace:\n\
                   thread 'd' (8) has overflowed its stack\nerror[E0425]: no `x`\n --> src/lib.rs:3:4\nno error here\n";
        assert_eq!(
            failures(log),
            [
                "test b::c",
                "thread 'b::c' (7) panicked at src/b.rs:1:2: not equal left: 1 right: 2",
                "thread 'd' (8) has overflowed its stack",
                "error[E0425]: no `x` --> src/lib.rs:3:4",
            ]
        );
        let report = run_script(&["-c", "echo 'error: no kernel'; exit 1"], LONG);
        assert_eq!(report.failures, ["error: no kernel"]);
    }

    /// Runs `script` as if it were a chore.
    fn run_script(script: &'static [&'static str], limit: Duration) -> Report {
        let name = format!("xtask-step-{}-{:?}", std::process::id(), std::thread::current().id());
        let log = std::env::temp_dir().join(name);
        let step = Step {
            name: "layers",
            call: Call::Xtask(script),
            env: &[("STEP_TEST", "set")],
            share: Share::Half,
        };
        let report = run(&step, &[("STEP_COMMON", "set")], Path::new("/bin/sh"), &log, limit);
        std::fs::remove_file(&log).expect("the log");
        report
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn status_and_last_line_say_what_a_chore_came_to() {
        let passed = run_script(&["-c", "echo 'layers: 3 crates'"], LONG);
        assert_eq!((passed.word(), passed.note.as_str()), ("ok", "3 crates"));
        let skipped = run_script(&["-c", "echo 'skipped: layers: no: cargo'; exit 3"], LONG);
        assert_eq!((skipped.word(), skipped.note.as_str()), ("skipped", "no: cargo"));
        let failed = run_script(&["-c", "echo \"$STEP_TEST\" \"$STEP_COMMON\"; exit 1"], LONG);
        assert_eq!((failed.word(), failed.tail.as_str()), ("FAILED", "set set"));
    }

    #[test]
    fn a_step_that_hangs_is_ended_with_its_children() {
        let hung = run_script(&["-c", "sleep 300 & wait"], Duration::ZERO);
        assert_eq!(hung.word(), "FAILED");
    }

    #[test]
    fn a_test_run_without_tests_has_failed() {
        let step = Step { name: "test", call: Call::Tests(&[]), env: &[], share: Share::Half };
        let ended = Command::new("true").status().map(Ended::By).map_err(Into::into);
        assert_eq!(judge(&step, ended, "running 0 tests").note, "no test ran");
    }
}
