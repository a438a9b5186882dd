//! Every check and test, in order: what continuous integration calls, and all that it calls.
//!
//! A step is a command. Its output goes to `target/ci/STEP.log` and is shown when it fails. A step that cannot run here is
//! skipped with its reason, and so is, by its own name, each test that printed a line `skipped: TEST: REASON`.
//! Steps that keep half a machine busy run two at a time. All steps run, also after one failed; the last line counts them: `ci: N passed, N failed, N skipped`.
//! A whole run builds without cargo's incremental state (half of all that it would write), and where the disk gets full it removes
//! what single steps have built as soon as they are done.

mod room;
mod step;

use crate::cargo;
use crate::outcome::Outcome;
use anyhow::{Context, Result, bail};
use clap::Parser;
use room::Room;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use step::{Call, Env, Report, Share, Step};

/// Run every check and test, as continuous integration does.
#[derive(Parser)]
#[command(name = "cargo xtask ci")]
struct Options {
    /// Run only the steps of this name (may be repeated).
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Print the steps and run none.
    #[arg(long)]
    list: bool,
}

const PLAIN: Env = &[];

const STEPS: &[Step] = &[
    Step { name: "tools", call: Call::Xtask(&["tools"]), env: PLAIN, share: Share::Whole },
    Step { name: "fmt", call: Call::Cargo(&["fmt", "--all", "--check"]), env: PLAIN, share: Share::Whole },
    Step { name: "layers", call: Call::Xtask(&["layers"]), env: PLAIN, share: Share::Half },
    Step { name: "rooms", call: Call::Xtask(&["rooms"]), env: PLAIN, share: Share::Half },
    Step { name: "deny", call: Call::Xtask(&["deny"]), env: PLAIN, share: Share::Half },
    Step { name: "vectors", call: Call::Xtask(&["vectors", "--check"]), env: PLAIN, share: Share::Half },
    Step { name: "programs", call: Call::Xtask(&["programs", "--check"]), env: PLAIN, share: Share::Half },
    Step { name: "traffic", call: Call::Xtask(&["traffic", "--check"]), env: PLAIN, share: Share::Half },
    Step { name: "planted", call: Call::Xtask(&["planted"]), env: PLAIN, share: Share::Half },
    Step { name: "abi", call: Call::Xtask(&["abi", "--check"]), env: PLAIN, share: Share::Half },
    Step { name: "platform", call: Call::Xtask(&["platform", "--check"]), env: PLAIN, share: Share::Half },
    Step { name: "api", call: Call::Xtask(&["api"]), env: PLAIN, share: Share::Half },
    Step {
        name: "clippy",
        call: Call::Cargo(&["clippy", "--workspace", "--all-targets", "--", "-Dwarnings"]),
        env: PLAIN,
        share: Share::Half,
    },
    Step { name: "msrv", call: Call::Xtask(&["msrv"]), env: PLAIN, share: Share::Half },
    Step {
        name: "test",
        call: Call::Tests(&[
            "test",
            "--workspace",
            "--lib",
            "--bins",
            "--tests",
            "--examples",
            "--no-fail-fast",
        ]),
        env: PLAIN,
        share: Share::Whole,
    },
    Step {
        name: "doctest",
        call: Call::Tests(&["test", "--workspace", "--doc", "--no-fail-fast"]),
        env: PLAIN,
        share: Share::Half,
    },
    Step {
        name: "doc",
        call: Call::Cargo(&["doc", "--workspace", "--no-deps"]),
        env: &[("RUSTDOCFLAGS", "-Dwarnings")],
        share: Share::Half,
    },
    Step { name: "compare", call: Call::Xtask(&["compare"]), env: PLAIN, share: Share::Whole },
    Step {
        name: "planted-compiler",
        call: Call::Xtask(&["planted", "compiler", "--short"]),
        env: PLAIN,
        share: Share::Half,
    },
    Step { name: "objects", call: Call::Xtask(&["objects", "--check"]), env: PLAIN, share: Share::Half },
    Step {
        name: "corpus",
        call: Call::Xtask(&["corpus", "--short", "--bytes", "--check"]),
        env: PLAIN,
        share: Share::Half,
    },
    Step { name: "corpus-tests", call: Call::Xtask(&["corpus", "--tests"]), env: PLAIN, share: Share::Half },
    Step {
        name: "core",
        call: Call::Xtask(&["corpus", "--core", "--short", "--kernel=6.1"]),
        env: PLAIN,
        share: Share::Half,
    },
    Step {
        name: "rebase",
        call: Call::Xtask(&["corpus", "--rebase", "--short"]),
        env: PLAIN,
        share: Share::Half,
    },
    Step { name: "loads", call: Call::Xtask(&["bench", "loads", "--short"]), env: PLAIN, share: Share::Half },
    Step {
        name: "oracle",
        call: Call::Xtask(&["oracle", "--linux", "--short"]),
        env: PLAIN,
        share: Share::Half,
    },
    Step { name: "rbpf", call: Call::Xtask(&["rbpf"]), env: PLAIN, share: Share::Half },
    Step { name: "asan", call: Call::Xtask(&["checkers", "asan"]), env: PLAIN, share: Share::Half },
    Step { name: "miri", call: Call::Xtask(&["checkers", "miri"]), env: PLAIN, share: Share::Half },
    Step { name: "loom", call: Call::Xtask(&["checkers", "loom"]), env: PLAIN, share: Share::Half },
    Step { name: "coverage", call: Call::Xtask(&["fuzz", "--coverage"]), env: PLAIN, share: Share::Half },
    Step {
        name: "fuzz",
        call: Call::Xtask(&["fuzz", "--for=8s", "--seed=1"]),
        env: PLAIN,
        share: Share::Half,
    },
    Step { name: "bare", call: Call::Xtask(&["bare"]), env: PLAIN, share: Share::Half },
    Step {
        name: "boot-5.10",
        call: Call::Xtask(&["boot", "--kernel=5.10", "--check"]),
        env: PLAIN,
        share: Share::Half,
    },
    Step {
        name: "boot-6.1",
        call: Call::Xtask(&["boot", "--kernel=6.1", "--check"]),
        env: PLAIN,
        share: Share::Half,
    },
    Step {
        name: "boot-6.12",
        call: Call::Xtask(&["boot", "--kernel=6.12", "--check"]),
        env: PLAIN,
        share: Share::Half,
    },
];

/// What a step may take before it counts as hung.
const STEP_LIMIT: Duration = Duration::from_secs(20 * 60);

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    let options = Options::parse_from(std::iter::once("ci").chain(args.iter().map(String::as_str)));
    if options.list {
        STEPS.iter().for_each(|step| println!("{}", step.name));
        return Ok(Outcome::Done(String::new()));
    }
    let chosen = choose(&options.only)?;
    let place = Place::prepare(options.only.is_empty())?;
    let begin = Instant::now();
    let mut reports = Vec::new();
    for steps in chosen.chunk_by(|one, other| one.share == Share::Half && other.share == Share::Half) {
        reports.extend(place.run_side_by_side(steps));
    }
    Ok(summarise(&reports, begin.elapsed()))
}

fn choose(only: &[String]) -> Result<Vec<&'static Step>> {
    if let Some(unknown) = only.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        bail!("no step is called `{unknown}`; `cargo xtask ci --list` names them");
    }
    Ok(STEPS.iter().filter(|step| only.is_empty() || only.iter().any(|name| name == step.name)).collect())
}

/// Where the logs go, and the copy of this program that steps call: cargo may replace the original on the way.
struct Place {
    logs: PathBuf,
    xtask: PathBuf,
    /// What is set for every step.
    env: Env,
    room: Room,
}

/// Whether a change passes does not depend on luck: tests with random cases have the same ones in each run. Others come to them by hand, where
/// nothing is set.
const REPEATABLE: Env = &[("PROPTEST_RNG_SEED", "1")];
/// Incremental state is of no use to who builds everything once, besides.
const BUILT_ONCE: Env = &[REPEATABLE[0], ("CARGO_INCREMENTAL", "0")];

impl Place {
    fn prepare(is_whole: bool) -> Result<Self> {
        let logs = cargo::target_dir().join("ci");
        std::fs::create_dir_all(&logs).with_context(|| logs.display().to_string())?;
        let own = std::env::current_exe().context("cannot tell where xtask is")?;
        let xtask = logs.join("xtask");
        let fresh = logs.join(format!("xtask.{}", std::process::id()));
        std::fs::copy(&own, &fresh).with_context(|| own.display().to_string())?;
        std::fs::rename(&fresh, &xtask).with_context(|| xtask.display().to_string())?;
        let env = if is_whole { BUILT_ONCE } else { REPEATABLE };
        Ok(Self { logs, xtask, env, room: Room::new(cargo::target_dir()) })
    }

    /// Runs steps in order, two at a time; the reports come in the order of the steps.
    fn run_side_by_side(&self, steps: &[&'static Step]) -> Vec<Report> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            while let Some((index, step)) = steps.iter().enumerate().nth(next.fetch_add(1, Ordering::Relaxed))
            {
                done.push((index, self.run(step)));
            }
            done
        };
        let mut reports = std::thread::scope(|scope| {
            let beside = scope.spawn(work);
            let mut done = work();
            done.extend(beside.join().expect("a step's failure is a report"));
            done
        });
        reports.sort_by_key(|(index, _)| *index);
        reports.into_iter().map(|(_, report)| report).collect()
    }

    fn run(&self, step: &'static Step) -> Report {
        println!("{:<10} ...", step.name);
        let log = self.logs.join(format!("{}.log", step.name));
        let report = step::run(step, self.env, &self.xtask, &log, STEP_LIMIT);
        let seconds = report.took.as_secs_f64();
        println!("{:<10} {:<7} {seconds:>6.1} s  {}", step.name, report.word(), report.note);
        for skip in &report.skipped_tests {
            println!("{:<10} skipped {skip}", "");
        }
        if report.is_failed() {
            println!("{}\n{:<10} log: {}", report.tail, "", log.display());
        }
        if let Some(removed) = self.room.is_done(step.name) {
            println!("{:<10} removed {removed}", "");
        }
        report
    }
}

/// Prints what was skipped, every step with its time, and last what failed with the reasons, and counts the steps.
fn summarise(reports: &[Report], took: Duration) -> Outcome {
    println!();
    for report in reports.iter().filter(|report| report.is_skipped()) {
        println!("skipped: {}: {}", report.step, report.note);
    }
    for report in reports {
        report.skipped_tests.iter().for_each(|skip| println!("skipped: {}: {skip}", report.step));
    }
    for report in reports {
        println!("{:<10} {:<7} {:>6.1} s", report.step, report.word(), report.took.as_secs_f64());
    }
    for report in reports.iter().filter(|report| report.is_failed()) {
        println!("failed:  {}: {}", report.step, report.note);
        report.failures.iter().for_each(|line| println!("failed:  {}: {line}", report.step));
    }
    let tests: usize = reports.iter().map(|report| report.tests).sum();
    println!("{tests} tests ran within the steps, {:.0} s in all", took.as_secs_f64());
    count(reports)
}

/// The one line that sums up a run.
fn count(reports: &[Report]) -> Outcome {
    let failed = reports.iter().filter(|report| report.is_failed()).count();
    let skipped = reports.iter().filter(|report| report.is_skipped()).count();
    let passed = reports.len() - failed - skipped;
    let line = format!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed > 0 { Outcome::Failed(line) } else { Outcome::Done(line) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_names_are_unique() {
        for (index, step) in STEPS.iter().enumerate() {
            assert!(STEPS[..index].iter().all(|other| other.name != step.name), "{}", step.name);
        }
    }

    #[test]
    fn the_last_line_counts_steps() {
        let report = |script: &'static [&'static str]| {
            let step = Step { name: "layers", call: Call::Xtask(script), env: PLAIN, share: Share::Half };
            let log = std::env::temp_dir().join(format!("xtask-ci-{}-{}", std::process::id(), script[1]));
            let report = step::run(&step, PLAIN, "/bin/sh".as_ref(), &log, STEP_LIMIT);
            std::fs::remove_file(log).expect("the log");
            report
        };
        let mut reports: Vec<_> = [["-c", "exit 0"], ["-c", "exit 3"]].iter().map(|s| report(s)).collect();
        assert!(matches!(count(&reports), Outcome::Done(line) if line == "1 passed, 0 failed, 1 skipped"));
        reports.push(report(&["-c", "exit 1"]));
        assert!(matches!(count(&reports), Outcome::Failed(line) if line == "1 passed, 1 failed, 1 skipped"));
    }

    #[test]
    fn an_unknown_step_is_refused() {
        assert!(choose(&["no such step".to_owned()]).is_err());
        assert_eq!(choose(&["fmt".to_owned()]).expect("a step").len(), 1);
        assert_eq!(choose(&[]).expect("all steps").len(), STEPS.len());
    }
}
