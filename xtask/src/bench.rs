//! Measurements beside named peers: `lab/bench`, built in release form and run.

use crate::cargo;
use crate::outcome::Outcome;
use crate::vectors;
use anyhow::{Result, bail};

/// What is measured where nothing is named.
const EVERYTHING: [&str; 5] = ["loader", "encoder", "machine", "compile", "shapes"];

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    if let Err(reason) = vectors::compiler() {
        return Ok(Outcome::Skipped(reason));
    }
    match args {
        [what, ..] if !what.starts_with('-') => measure(args)?,
        _ => {
            for what in EVERYTHING {
                measure(&[&[what.to_owned()], args].concat())?;
            }
        }
    }
    Ok(Outcome::Done(String::new()))
}

fn measure(args: &[String]) -> Result<()> {
    let target = cargo::target_dir().join("bench");
    let mut command = cargo::cargo();
    command.args(["run", "--quiet", "--release", "--manifest-path", "lab/bench/Cargo.toml", "--"]).args(args);
    let status = command.env("CARGO_TARGET_DIR", target).status()?;
    if !status.success() {
        bail!("the measurements ended with {status}");
    }
    Ok(())
}
