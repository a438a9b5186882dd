//! Types of other kernels, as C and as Rust: Debian's kernels are booted for their BTF, and the tests of base/btf compile what is
//! written for each of them and compare the layouts with the kernel's and with those of `bpftool`'s header.

use crate::boot::{self, KERNELS};
use crate::cargo;
use crate::outcome::Outcome;
use anyhow::{Result, bail};
use std::path::PathBuf;

/// The variable that names files of BTF to the tests.
const VARIABLE: &str = "SKEP_KERNEL_BTF";

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    if let Some(word) = args.first() {
        bail!("wanted no arguments, found `{word}`");
    }
    if let Some(reason) = boot::missing() {
        return Ok(Outcome::Skipped(reason));
    }
    let files: Vec<PathBuf> = KERNELS.iter().map(boot::types_of).collect::<Result<_>>()?;
    let status = cargo::cargo()
        .args(["test", "-p", "skep-btf", "--test", "print_c", "--test", "print_rust"])
        .args(["--", "--nocapture", "kernel", "bpftool"])
        .env(VARIABLE, std::env::join_paths(&files)?)
        .status()?;
    Ok(match status.success() {
        true => Outcome::Done(format!("{} kernels and the running one", files.len())),
        false => Outcome::Failed("a layout differs, or a compiler refuses the types".to_owned()),
    })
}
