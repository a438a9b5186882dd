//! The committed objects, and those that Debian ships, by aya and by skep: `lab/aya`, built and run.

use crate::outcome::Outcome;
use crate::{cargo, debian, objects, tools};
use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Parser;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where the committed objects are.
const COMMITTED: [&str; 2] = ["lab/vectors", "examples"];
/// Those that are to be refused: aya ignores members of map definitions that it does not know.
const REFUSED: &str = "refused";

/// Load objects by aya and by skep; fails where aya loads what skep does not.
#[derive(Parser)]
#[command(name = "cargo xtask aya")]
struct Options {
    /// Those that Debian ships, too.
    #[arg(long, conflicts_with = "files")]
    debian: bool,
    /// These objects instead, such as aya's own tests, which no crate and no package carries.
    files: Vec<PathBuf>,
}

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    let options = Options::parse_from(std::iter::once("aya").chain(args.iter().map(String::as_str)));
    if !tools::is_root() {
        return Ok(Outcome::Skipped("needs root (to load programs)".to_owned()));
    }
    if let Some(reason) = options.debian.then(debian::missing).flatten() {
        return Ok(Outcome::Skipped(reason));
    }
    let mut files = Vec::new();
    for place in COMMITTED.iter().filter(|_| options.files.is_empty()) {
        collect(&cargo::root().join(place), &mut files)?;
    }
    for file in options.files {
        files.push(std::path::absolute(file)?);
    }
    if options.debian {
        files.extend(objects::fetch()?.into_iter().map(|object| object.file));
    }
    files.sort();
    ensure!(!files.is_empty(), "no objects");
    let status = Command::new(build()?).args(&files).stdin(Stdio::null()).status();
    let status = status.context("cannot run the comparison")?;
    Ok(match status.success() {
        true => Outcome::Done(format!("{} objects", files.len())),
        false => Outcome::Failed("aya loads what skep does not".to_owned()),
    })
}

/// Adds the objects below a folder.
fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with(REFUSED) {
            collect(&path, files)?;
        } else if path.to_string_lossy().ends_with(".bpf.o") && !path.to_string_lossy().contains(".be.") {
            files.push(path);
        }
    }
    Ok(())
}

/// Builds the program, and returns where it is.
fn build() -> Result<PathBuf> {
    let mut command = cargo::cargo();
    command
        .args(["build", "--quiet", "--message-format=json", "--manifest-path", "lab/aya/Cargo.toml"])
        .env("CARGO_TARGET_DIR", cargo::target_dir().join("aya"));
    let output = command.stderr(Stdio::inherit()).output().context("cannot run cargo build")?;
    if !output.status.success() {
        bail!("cannot build lab/aya ({})", output.status);
    }
    let programs = cargo::executables(&String::from_utf8_lossy(&output.stdout));
    programs.into_iter().next_back().ok_or_else(|| anyhow!("cargo names no program"))
}
