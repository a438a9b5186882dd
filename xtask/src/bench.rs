//! Measurements against named peers: `lab/bench`, built in release form and run.

use crate::cargo;
use crate::outcome::Outcome;
use anyhow::{Result, bail};

/// Rounds where none are asked for.
const ROUNDS: &str = "11";

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    let rounds = match args {
        [] => ROUNDS,
        [rounds] => rounds,
        _ => bail!("usage: cargo xtask bench [ROUNDS]"),
    };
    let target = cargo::target_dir().join("bench");
    let mut command = cargo::cargo();
    command.args(["run", "--quiet", "--release", "--manifest-path", "lab/bench/Cargo.toml", "--", rounds]);
    let status = command.env("CARGO_TARGET_DIR", target).status()?;
    if !status.success() {
        bail!("the measurements ended with {status}");
    }
    Ok(Outcome::Done(format!("{rounds} rounds")))
}
