//! `cargo xtask escape [--for 20m] [--from SEED]`: the long form of `lab/escape`, in an optimised build.
//!
//! The short form is that crate's test. What is found says its seed; `--seed N` runs that one again, and `--checkers` runs
//! with the compiler's own checkers, which are slow.

use crate::cargo::{self, cargo, executables};
use crate::fuzz::parse_time;
use crate::outcome::Outcome;
use anyhow::{Context, Result, bail};
use clap::Parser;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Run programs that try to reach what they may not, in machine code between guard pages.
#[derive(Parser)]
#[command(name = "cargo xtask escape")]
struct Options {
    /// How long (20m, 90s).
    #[arg(long = "for", value_name = "TIME", value_parser = parse_time, default_value = "60s")]
    time: Duration,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Run this seed alone, and print its program.
    #[arg(long)]
    seed: Option<u64>,
    /// Build with the compiler's checkers, which look at every program.
    #[arg(long)]
    checkers: bool,
}

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Ok(Outcome::Skipped("there is no machine code for this system".to_owned()));
    }
    let options = Options::parse_from(std::iter::once("escape").chain(args.iter().map(String::as_str)));
    let mut build = cargo();
    build.args(["build", "--package=skep-lab-escape", "--message-format=json", "--release"]);
    build.env("CARGO_TARGET_DIR", cargo::target_dir().join("escape"));
    if options.checkers {
        build.env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true");
    }
    let output = build.stderr(Stdio::inherit()).output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("lab/escape does not build");
    }
    let programs = executables(&String::from_utf8_lossy(&output.stdout));
    let mut escape = Command::new(programs.last().context("cargo built no program")?);
    match options.seed {
        Some(seed) => escape.args(["--show", "--seed", &seed.to_string()]),
        None => {
            let seconds = options.time.as_secs().to_string();
            escape.args(["--from", &options.from.to_string(), "--seconds", &seconds])
        }
    };
    let status = escape.status().context("cannot run it")?;
    if !status.success() {
        bail!("something has escaped ({status})");
    }
    Ok(Outcome::Done(format!("{} s", options.time.as_secs())))
}
