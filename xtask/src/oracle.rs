//! The verifier held against the reference machine, on every object that there is.

use crate::objects::{self, Object};
use crate::outcome::Outcome;
use crate::{cargo, corpus, debian, tools};
use anyhow::{Context, Result, ensure};
use clap::Parser;
use std::process::{Command, Stdio};

/// The mutants that the machine must stop at least, where all objects are broken: what finds nothing is worth nothing.
const LEAST: usize = 5000;

/// Break programs at one instruction: what the reference machine stops, the verifier must refuse.
#[derive(Parser)]
#[command(name = "cargo xtask oracle")]
struct Options {
    /// Only objects whose `PACKAGE/FILE` has this in it (may be repeated).
    #[arg(long)]
    only: Vec<String>,
    /// The self-tests of Linux 6.12, too.
    #[arg(long)]
    selftests: bool,
    /// For `skep-lab-oracle mutants`, as `-- --runs 100`.
    #[arg(last = true)]
    rest: Vec<String>,
}

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    let options = Options::parse_from(std::iter::once("oracle").chain(args.iter().map(String::as_str)));
    if !tools::is_root() {
        return Ok(Outcome::Skipped("needs root (to make maps)".to_owned()));
    }
    if let Some(reason) = debian::missing() {
        return Ok(Outcome::Skipped(reason));
    }
    let mut build = cargo::cargo();
    build.args(["build", "--quiet", "--release", "--message-format=json", "-p", "skep-lab-oracle"]);
    let output = build.stderr(Stdio::inherit()).output().context("cannot run cargo build")?;
    ensure!(output.status.success(), "cannot build lab/oracle ({})", output.status);
    let programs = cargo::executables(&String::from_utf8_lossy(&output.stdout));
    let program = programs.into_iter().next_back().context("cargo names no program")?;
    let mut objects = objects::fetch_corpus()?;
    if options.selftests {
        objects.extend(corpus::selftests()?);
    }
    let is_wanted = |object: &Object| {
        let name = object.name();
        options.only.is_empty() || options.only.iter().any(|part| name.contains(part))
    };
    objects.retain(is_wanted);
    objects.sort();
    ensure!(!objects.is_empty(), "no object is called so");
    let mut command = Command::new(&program);
    command.args(["mutants", "--linux"]);
    if options.only.is_empty() {
        command.args(["--least", &LEAST.to_string()]);
    }
    command.args(&options.rest).args(objects.iter().map(|object| &object.file));
    let status = command.stdin(Stdio::null()).status().context("cannot run lab/oracle")?;
    ensure!(status.success(), "the oracle ended with {status}");
    Ok(Outcome::Done(format!("{} objects", objects.len())))
}
