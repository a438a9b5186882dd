//! `cargo xtask msrv`: checks the whole workspace with the oldest Rust that it promises to build with.
//!
//! That is the Rust of Debian's stable release, and Debian's own package is what is used, in a [Debian](crate::trixie) of its
//! own.

use crate::cargo;
use crate::outcome::Outcome;
use crate::trixie::{self, Debian, RELEASE, Recipe, VENDORED};
use anyhow::{Context, Result, bail, ensure};
use std::fs;

const RECIPE: Recipe = Recipe {
    name: "msrv",
    packages: "rustc,cargo,gcc,libc6-dev",
    architectures: &[],
    foreign: &[],
    also_vendored: None,
};

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    if let Some(word) = args.first() {
        bail!("`msrv` takes no `{word}`");
    }
    if let Some(reason) = trixie::missing() {
        return Ok(Outcome::Skipped(reason));
    }
    let promised = promised()?;
    let debian = Debian::prepare(&RECIPE)?;
    let said = debian.command(&["rustc", "--version"]).output().context("cannot enter Debian")?;
    let said = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    ensure!(
        said.starts_with(&format!("rustc {promised}.")),
        "Debian {RELEASE} has `{said}`, the workspace promises {promised}"
    );
    let mut check = debian.command(&["cargo", "check"]);
    check.args(VENDORED).args(["--workspace", "--all-targets", "--keep-going", "--quiet"]);
    let status = check.status().context("cannot run cargo")?;
    ensure!(status.success(), "{said} does not take the workspace ({status})");
    Ok(Outcome::Done(format!("{said} takes the workspace and its tests")))
}

/// The `rust-version` of the workspace, as `MAJOR.MINOR`.
fn promised() -> Result<String> {
    let text = fs::read_to_string(cargo::root().join("Cargo.toml")).context("Cargo.toml")?;
    let manifest: toml::Table = text.parse().context("Cargo.toml")?;
    let version = manifest["workspace"]["package"]["rust-version"].as_str();
    Ok(version.context("the workspace has no rust-version")?.to_owned())
}
