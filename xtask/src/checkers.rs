//! Tests under checkers that see what tests alone do not: the address sanitizer, Miri, and loom's models of concurrency.

use crate::cargo;
use crate::outcome::Outcome;
use anyhow::{Context, Result, bail};
use std::process::{Command, Stdio};

/// The crates that hold unsafe code, and the maps, whose values lie in such memory. In the others, which forbid it, a load or store
/// outside is a panic that the tests see without a sanitizer.
const CRATES: &[&str] = &["skep-maps", "skep-linux", "skep-mem", "skep-sys", "skep-vm"];

/// The file tests whose programs the interpreter runs, and what their names contain.
const INTERPRETED_CASES: [&str; 7] = [
    "--package=skep-lab-filetests",
    "--test=agree",
    "--test=cases",
    "--test=registers",
    "--",
    "everywhere",
    "interpreter",
];

/// Crates whose models loom explores (`tests/loom.rs`).
const MODELLED: &[&str] = &["skep-mem"];

/// One checker.
struct Checker {
    name: &'static str,
    run: fn() -> Result<Outcome>,
}

const CHECKERS: &[Checker] = &[
    Checker { name: "asan", run: asan },
    Checker { name: "loom", run: loom },
    Checker { name: "miri", run: miri },
];

/// Crates whose tests Miri interprets: those with unsafe code that make no system calls.
const INTERPRETED: &[&str] = &["skep-sys"];

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    let names: Vec<_> = CHECKERS.iter().map(|checker| checker.name).collect();
    let chosen = match args {
        [name] => CHECKERS.iter().find(|checker| checker.name == name),
        _ => None,
    };
    let checker = chosen.with_context(|| format!("say which checker: {}", names.join(" or ")))?;
    (checker.run)()
}

/// The tests with every load and store checked, on nightly Rust.
fn asan() -> Result<Outcome> {
    if let Some(reason) = no_nightly() {
        return Ok(Outcome::Skipped(reason));
    }
    let host = host()?;
    let tests = || {
        let mut command = cargo::nightly();
        // Naming the target keeps the flags away from build scripts and macros.
        command.args(["test", "--quiet", "--no-fail-fast", "--target", &host]);
        // A size that no machine has must be refused like any other that cannot be had.
        command.env("ASAN_OPTIONS", "allocator_may_return_null=1");
        command.env("RUSTFLAGS", "-Zsanitizer=address");
        command.env("CARGO_TARGET_DIR", cargo::target_dir().join("asan"));
        command
    };
    run_tests(tests().args(["--lib", "--tests"]).args(CRATES.iter().flat_map(|name| ["--package", name])))?;
    run_tests(tests().args(INTERPRETED_CASES))?;
    Ok(Outcome::Done(format!("{}, and programs on the interpreter", CRATES.join(", "))))
}

/// The models, with every interleaving that loom can tell apart.
fn loom() -> Result<Outcome> {
    let mut command = cargo::cargo();
    command.args(["test", "--quiet", "--release", "--test", "loom"]);
    command.args(MODELLED.iter().flat_map(|name| ["--package", name]));
    command.env("RUSTFLAGS", "--cfg loom").env("CARGO_TARGET_DIR", cargo::target_dir().join("loom"));
    run_tests(&mut command)?;
    Ok(Outcome::Done(MODELLED.join(", ")))
}

/// The tests on an interpreter that knows every rule of the language.
fn miri() -> Result<Outcome> {
    if let Some(reason) = no_nightly() {
        return Ok(Outcome::Skipped(reason));
    }
    let version =
        cargo::nightly().args(["miri", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !version.is_ok_and(|status| status.success()) {
        return Ok(Outcome::Skipped("no Miri (`rustup +nightly component add miri rust-src`)".to_owned()));
    }
    let mut command = cargo::nightly();
    command.args(["miri", "test", "--quiet", "--lib", "--tests"]);
    command.args(INTERPRETED.iter().flat_map(|name| ["--package", name]));
    // Attributes carry addresses as numbers. Miri's model of weak memory stops at accesses of several widths to the same
    // bytes, which memory shared with a kernel cannot do without.
    command.env("MIRIFLAGS", "-Zmiri-permissive-provenance -Zmiri-disable-weak-memory-emulation");
    command.env("CARGO_TARGET_DIR", cargo::target_dir().join("miri"));
    run_tests(&mut command)?;
    Ok(Outcome::Done(INTERPRETED.join(", ")))
}

/// Says that there is no nightly Rust, if so.
pub(crate) fn no_nightly() -> Option<String> {
    let version =
        Command::new("rustc").args(["+nightly", "-V"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_there = version.is_ok_and(|status| status.success());
    (!is_there).then(|| "no nightly Rust (`rustup toolchain install nightly`)".to_owned())
}

fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("cannot run rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not name its host")?.to_owned())
}

fn run_tests(command: &mut Command) -> Result<()> {
    let status = command.status().context("cannot run cargo")?;
    if !status.success() {
        bail!("a test failed ({status})");
    }
    Ok(())
}
