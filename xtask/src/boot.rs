//! Runs a program inside another Linux: Debian's kernels 5.10, 6.1 and 6.12, in QEMU, without KVM.
//!
//! Nothing is installed in the guest: its only file system is an archive made of busybox, the files that the caller sends and
//! the shared libraries these need. The program's output and exit status come back over serial lines of their own, so that
//! the kernel's messages never mix with them.
//!
//! `cargo xtask boot` is the command line of it; other chores call [`run_in`].

mod archive;
mod guest;
mod kernels;
pub(crate) mod qemu;
pub(crate) mod suites;
mod types;

pub(crate) use guest::{Content, Guest};
pub(crate) use kernels::{KERNELS, Kernel, module_bytes, module_name};
pub(crate) use qemu::Ran;
pub(crate) use types::types_of;

use crate::outcome::Outcome;
use crate::{debian, tools};
use anyhow::{Context, Result, bail};
use clap::Parser;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// How many bytes the check sends through a serial line.
const BULK: usize = 256 * 1024;

/// Run a program inside Debian's kernels, in QEMU.
#[derive(Parser)]
#[command(name = "cargo xtask boot")]
struct Options {
    /// The kernel (5.10, 6.1 or 6.12; may be repeated); all three unless said.
    #[arg(long, value_name = "VERSION")]
    kernel: Vec<String>,
    /// Load a kernel module first, with what it depends on (may be repeated).
    #[arg(long, value_name = "NAME")]
    module: Vec<String>,
    /// Send a file along, to GUEST or to its own path (may be repeated).
    #[arg(long, value_name = "FILE[:GUEST]")]
    file: Vec<String>,
    /// Give up after so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    timeout: u64,
    /// Show the kernel's messages.
    #[arg(long)]
    console: bool,
    /// Check that output and exit status come back as they were, then run the workspace's own tests that talk to a kernel.
    #[arg(long, conflicts_with = "command")]
    check: bool,
    /// The program and its arguments.
    #[arg(last = true, required_unless_present = "check", value_name = "PROGRAM")]
    command: Vec<String>,
}

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    let options = Options::parse_from(std::iter::once("boot").chain(args.iter().map(String::as_str)));
    if let Some(reason) = missing() {
        return Ok(Outcome::Skipped(reason));
    }
    let kernels = chosen(&options.kernel)?;
    if options.check {
        check(&kernels)?;
        return suites::run(&kernels);
    }
    let guest = guest_of(&options)?;
    let mut failed = Vec::new();
    for kernel in kernels {
        let ran = run_in(kernel, &guest)?;
        if options.console {
            std::io::stderr().write_all(&ran.console)?;
        }
        std::io::stdout().write_all(&ran.stdout)?;
        std::io::stderr().write_all(&ran.stderr)?;
        if ran.status != 0 {
            failed.push(format!("exit status {} on {}", ran.status, kernel.version));
        }
    }
    if !failed.is_empty() {
        bail!("{}", failed.join(", "));
    }
    Ok(Outcome::Done(String::new()))
}

/// Says why no other kernel can be booted here, if so.
pub(crate) fn missing() -> Option<String> {
    if !cfg!(target_arch = "x86_64") {
        return Some("the kernels to boot are for x86-64, this machine is not".to_owned());
    }
    let programs = ["qemu-system-x86_64", "busybox", "ldd"];
    programs.iter().find_map(|program| tools::need(program).err()).or_else(debian::missing)
}

/// Boots `kernel`, runs the guest's command in it, and returns how that ended.
///
/// # Errors
///
/// When the kernel cannot be had, when a file to send cannot be read, or when the guest did not get as far as an exit
/// status: the error then shows the end of its console.
pub(crate) fn run_in(kernel: &Kernel, guest: &Guest) -> Result<Ran> {
    let image = kernel.fetch().with_context(|| format!("cannot get kernel {}", kernel.version))?;
    let initramfs = guest.initramfs(&image)?;
    qemu::boot(&image.vmlinuz, &initramfs, guest).with_context(|| format!("kernel {}", kernel.version))
}

/// The kernel of a version.
///
/// # Errors
///
/// Names those that there are.
pub(crate) fn kernel(version: &str) -> Result<&'static Kernel> {
    let known: Vec<_> = KERNELS.iter().map(|kernel| kernel.version).collect();
    let kernel = KERNELS.iter().find(|kernel| kernel.version == version);
    kernel.with_context(|| format!("no kernel {version}; there are {}", known.join(", ")))
}

fn chosen(versions: &[String]) -> Result<Vec<&'static Kernel>> {
    if versions.is_empty() {
        return Ok(KERNELS.iter().collect());
    }
    versions.iter().map(|version| kernel(version)).collect()
}

fn guest_of(options: &Options) -> Result<Guest> {
    let (program, args) = options.command.split_first().context("no program")?;
    let mut guest = Guest::new(Duration::from_secs(options.timeout));
    guest.modules.clone_from(&options.module);
    let program = PathBuf::from(program);
    let name = program.file_name().context("the program has no name")?.to_string_lossy();
    let place = format!("/bin/{name}");
    guest.send(&place, Content::File(program.clone()));
    guest.command = std::iter::once(place).chain(args.iter().cloned()).collect();
    for file in &options.file {
        let (from, to) = file.split_once(':').unwrap_or((file, file));
        guest.send(to, Content::File(from.into()));
    }
    Ok(guest)
}

/// The round trip that every other use relies on.
fn check(kernels: &[&Kernel]) -> Result<()> {
    let data: Vec<u8> = (0..=255).cycle().take(BULK).collect();
    let mut guest = Guest::new(Duration::from_secs(120));
    guest.send("/data/bytes", Content::Bytes(data.clone()));
    guest.modules.push("veth".to_owned());
    let script =
        "cat /data/bytes; ip link add type veth && grep -c veth /proc/net/dev >&2; uname -r >&2; exit 7";
    guest.command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    for kernel in kernels {
        let ran = run_in(kernel, &guest)?;
        let said = String::from_utf8_lossy(&ran.stderr);
        let wanted = format!("2\n{}.", kernel.version);
        if ran.status != 7 || ran.stdout != data || !said.starts_with(&wanted) {
            bail!("kernel {}: status {}, {} bytes, `{said}`", kernel.version, ran.status, ran.stdout.len());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_chosen_by_version() {
        assert_eq!(chosen(&[]).expect("all").len(), 3);
        assert_eq!(chosen(&["6.1".to_owned()]).expect("one")[0].version, "6.1");
        assert!(chosen(&["4.19".to_owned()]).is_err());
    }
}
