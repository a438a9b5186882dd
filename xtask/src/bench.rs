//! Measurements beside named peers: `lab/bench`, and for loads `lab/corpus`, which has libbpf, built in release form and run.

use crate::cargo;
use crate::corpus;
use crate::outcome::Outcome;
use crate::vectors;
use anyhow::{Result, bail};

/// What is measured where nothing is named.
const EVERYTHING: [&str; 7] = ["loads", "loader", "encoder", "machine", "compile", "shapes", "verifier"];

/// What `lab/corpus` measures.
const LOADS: &str = "loads";

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    if args.first().is_some_and(|what| what == LOADS) {
        return corpus::measure(&args[1..]);
    }
    if let Err(reason) = vectors::compiler() {
        return Ok(Outcome::Skipped(reason));
    }
    match args {
        [what, ..] if !what.starts_with('-') => measure(args)?,
        _ => {
            for what in EVERYTHING {
                match what {
                    LOADS => {
                        if let Outcome::Skipped(reason) = corpus::measure(args)? {
                            println!("skipped: {what}: {reason}");
                        }
                    }
                    _ => measure(&[&[what.to_owned()], args].concat())?,
                }
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
