//! Types of other kernels, as C and as Rust: Debian's kernels are booted for their BTF, and the tests of base/btf compile what is
//! written for each of them and compare the layouts with the kernel's and with those of `bpftool`'s header.

use crate::boot::{self, Guest, KERNELS, Kernel};
use crate::outcome::Outcome;
use crate::{cache, cargo};
use anyhow::{Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a kernel shows its types.
const BTF: &str = "/sys/kernel/btf/vmlinux";

/// How long a guest may take: several megabytes go through a serial line.
const LIMIT: Duration = Duration::from_secs(300);

/// The variable that names files of BTF to the tests.
const VARIABLE: &str = "SKEP_KERNEL_BTF";

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    if let Some(word) = args.first() {
        bail!("wanted no arguments, found `{word}`");
    }
    if let Some(reason) = boot::missing() {
        return Ok(Outcome::Skipped(reason));
    }
    let dir = cache::dir("btf")?;
    let files: Vec<PathBuf> = KERNELS.iter().map(|kernel| fetch(kernel, &dir)).collect::<Result<_>>()?;
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

/// The file with a kernel's types; the kernel is booted once for it.
fn fetch(kernel: &Kernel, dir: &Path) -> Result<PathBuf> {
    let file = dir.join(format!("vmlinux-{}", kernel.version));
    if file.exists() {
        return Ok(file);
    }
    let mut guest = Guest::new(LIMIT);
    guest.command = ["/bin/cat", BTF].map(str::to_owned).to_vec();
    let ran = boot::run_in(kernel, &guest)?;
    if ran.status != 0 || ran.stdout.is_empty() {
        bail!("{}: cat {BTF}: exit status {}", kernel.version, ran.status);
    }
    // Under its own name only when it is whole.
    let part = file.with_extension("part");
    fs::write(&part, &ran.stdout)?;
    fs::rename(&part, &file)?;
    Ok(file)
}
