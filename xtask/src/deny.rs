//! What may be depended on: `deny.toml`, checked by cargo-deny where it is installed. (Building it takes longer than all the
//! other checks, so nothing here installs it.)

use crate::outcome::Outcome;
use crate::{cargo, tools};
use anyhow::{Result, bail};

/// What is checked without a network; advisories need one.
const CHECKS: [&str; 3] = ["bans", "licenses", "sources"];

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    if let Some(word) = args.first() {
        bail!("`deny` takes no `{word}`");
    }
    if tools::find("cargo-deny").is_none() {
        return Ok(Outcome::Skipped("no `cargo-deny` (`cargo install cargo-deny`)".to_owned()));
    }
    let status = cargo::cargo().args(["deny", "check"]).args(CHECKS).status()?;
    if !status.success() {
        bail!("deny.toml forbids a dependency ({status})");
    }
    Ok(Outcome::Done(CHECKS.join(", ")))
}
