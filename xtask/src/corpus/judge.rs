//! skep's verifier beside Linux's, program by program.

use super::{build, is_wanted, selftests};
use crate::objects::{self, Object};
use crate::outcome::Outcome;
use crate::{cargo, debian, tools};
use anyhow::{Context, Result, ensure};
use clap::Parser;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Which self-tests are accepted although they are to be refused, and why.
const KNOWN: &str = "lab/corpus/accepted.txt";

/// Hold skep's verifier beside that of the running Linux.
#[derive(Parser)]
#[command(name = "cargo xtask judge")]
struct Options {
    /// Only objects whose `PACKAGE/FILE` has this in it (may be repeated).
    #[arg(long)]
    only: Vec<String>,
    /// The self-tests of Linux 6.12 instead, compiled from Debian's source of it, beside what they expect.
    #[arg(long)]
    selftests: bool,
    /// Fail where a self-test is accepted that is to be refused, and `lab/corpus/accepted.txt` does not say why.
    #[arg(long, requires = "selftests")]
    check: bool,
    /// Write each answer here, a line of JSON for each program.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// For `skep-lab-corpus judge`, as `-- --different`.
    #[arg(last = true)]
    rest: Vec<String>,
}

pub(super) fn run(args: &[String]) -> Result<Outcome> {
    let options = Options::parse_from(std::iter::once("judge").chain(args.iter().map(String::as_str)));
    if let Some(reason) = missing(&options) {
        return Ok(Outcome::Skipped(reason));
    }
    let program = build()?;
    let all = if options.selftests { selftests::fetch()? } else { objects::fetch_corpus()? };
    let only: Vec<&str> = options.only.iter().map(String::as_str).collect();
    let mut objects: Vec<Object> =
        all.into_iter().filter(|object| is_wanted(&object.name(), &only)).collect();
    objects.sort();
    ensure!(!objects.is_empty(), "no object is called so");
    let mut command = Command::new(&program);
    command.arg("judge").args(options.selftests.then_some("--selftests")).args(&options.rest);
    if let Some(json) = &options.json {
        command.arg("--json").arg(json);
    }
    if options.check {
        command.arg("--known").arg(cargo::root().join(KNOWN));
        command.args((!only.is_empty()).then_some("--some"));
    }
    command.args(objects.iter().map(|object| &object.file));
    let status = command.stdin(Stdio::null()).status().context("cannot run the comparison")?;
    ensure!(status.success(), "the comparison ended with {status}");
    Ok(Outcome::Done(format!("{} objects", objects.len())))
}

/// Says why nothing can be judged here, if so.
fn missing(options: &Options) -> Option<String> {
    if !tools::is_root() {
        return Some("needs root (to load programs)".to_owned());
    }
    if let Some(reason) = options.selftests.then(selftests::missing).flatten() {
        return Some(reason);
    }
    let programs = ["cc", "make", "pkg-config"];
    programs.iter().find_map(|program| tools::need(program).err()).or_else(debian::missing)
}
