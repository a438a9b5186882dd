//! Boots `lab/bare`: all of `base/` on a machine without an operating system, as an operating system would use it.
//!
//! Each check prints its name once it passed, and `lab/bare/checks.txt` says which must: a check that fails, hangs, or is not
//! there any more is an error here. That the program links is the proof that `base/` needs no `std`: the program has its own panic handler and allocator, and a crate
//! that pulled in `std` would bring the same again. So it must name every crate of `base/`, which is checked first.

use crate::boot::qemu;
use crate::cargo::{self, Package};
use crate::outcome::Outcome;
use crate::tools;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The only target that stable Rust has everywhere here; `lab/bare/.cargo/config.toml` says so too.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// QEMU's exit status when the program ends with `End::Well` (0x10): twice the value plus one.
const ENDED_WELL: i32 = 33;

/// The checks take seconds; a machine that sleeps for ever takes this.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    if let Some(word) = args.first() {
        bail!("`bare` takes no `{word}`");
    }
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return Ok(Outcome::Skipped("builds on x86-64 Linux only".to_owned()));
    }
    let dir = cargo::root().join("lab/bare");
    let unnamed = unnamed(&cargo::packages()?, &fs::read_to_string(dir.join("src/main.rs"))?);
    if !unnamed.is_empty() {
        bail!("lab/bare (Cargo.toml and src/main.rs) does not name {}", unnamed.join(", "));
    }
    let program = build(&dir)?;
    if let Err(missing) = tools::need("qemu-system-x86_64") {
        return Ok(Outcome::Skipped(format!("{missing}; the program was built, so base/ links without std")));
    }
    let names = fs::read_to_string(dir.join("checks.txt")).context("lab/bare/checks.txt")?;
    let names: Vec<_> = names.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let (status, output) = qemu::boot_bare(&program, LIMIT)?;
    print!("{output}");
    let end = match status {
        Some(ENDED_WELL) => None,
        Some(other) => Some(format!("the machine ended with {other}, not {ENDED_WELL}")),
        None => Some(format!("no end after {} s", LIMIT.as_secs())),
    };
    let faults: Vec<_> = end.into_iter().chain(faults(&names, &output)).collect();
    if !faults.is_empty() {
        bail!("\n  {}", faults.join("\n  "));
    }
    Ok(Outcome::Done(format!("{} checks", names.len())))
}

/// Compares what the machine said with the names of the checks that must pass.
fn faults(names: &[&str], output: &str) -> Vec<String> {
    let passed: Vec<_> = output.lines().filter_map(|line| line.strip_prefix("ok: ")).collect();
    let missing = names.iter().filter(|name| !passed.contains(name));
    let missing = missing.map(|name| format!("did not pass: {name}"));
    let unknown = passed.iter().filter(|name| !names.contains(name));
    let unknown = unknown.map(|name| format!("passed, but is not in lab/bare/checks.txt: {name}"));
    let mut faults: Vec<_> = missing.chain(unknown).collect();
    if faults.is_empty() && passed != names {
        faults.push("checks passed twice, or in another order than in lab/bare/checks.txt".to_owned());
    }
    faults
}

/// The crates of `base/` that the program does not link.
fn unnamed(packages: &[Package], main: &str) -> Vec<String> {
    let base = packages.iter().filter(|package| package.dir.starts_with("base"));
    let is_named =
        |package: &&Package| main.contains(&format!("use {} as _;", package.name.replace('-', "_")));
    base.filter(|package| !is_named(package)).map(|package| package.name.clone()).collect()
}

/// Checks and builds the program, with the crates that the workspace has locked.
fn build(dir: &Path) -> Result<PathBuf> {
    let lock = dir.join("Cargo.lock");
    fs::copy(cargo::root().join("Cargo.lock"), &lock).context("Cargo.lock")?;
    let target = cargo::target_dir().join("bare");
    cargo(dir, &target, &["fmt", "--check"])?;
    cargo(dir, &target, &["clippy", "--quiet", "--", "-Dwarnings"])?;
    cargo(dir, &target, &["build", "--quiet"])?;
    Ok(target.join(TARGET).join("debug/skep-bare"))
}

fn cargo(dir: &Path, target: &Path, args: &[&str]) -> Result<()> {
    let mut command: Command = cargo::cargo();
    let status = command.current_dir(dir).args(args).env("CARGO_TARGET_DIR", target).status()?;
    if !status.success() {
        bail!("cargo {} failed in lab/bare", args.join(" "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_must_pass_once() {
        let names = ["memory", "pages"];
        assert!(faults(&names, "hello\nok: memory\nok: pages\nbare: 2 checks\n").is_empty());
        assert_eq!(faults(&names, "ok: memory\nfailed: pages: it panicked\n"), ["did not pass: pages"]);
        assert_eq!(faults(&names, ""), ["did not pass: memory", "did not pass: pages"]);
        assert_eq!(faults(&names, "ok: memory\nok: pages\nok: more\n").len(), 1);
        assert_eq!(faults(&names, "ok: pages\nok: memory\n").len(), 1);
        assert_eq!(faults(&names, "ok: memory\nok: memory\nok: pages\n").len(), 1);
    }

    #[test]
    fn every_crate_of_base_must_be_named() {
        let package =
            |name: &str, dir: &str| Package { name: name.into(), dir: dir.into(), deps: Vec::new() };
        let packages = [
            package("skep-isa", "base/isa"),
            package("skep-btf", "base/btf"),
            package("skep-elf", "user/elf"),
        ];
        assert_eq!(unnamed(&packages, "use skep_isa as _;\n"), ["skep-btf"]);
        assert!(unnamed(&packages, "use skep_isa as _;\nuse skep_btf as _;\n").is_empty());
    }
}
