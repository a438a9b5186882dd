//! `cargo xtask msrv`: checks the whole workspace with the oldest Rust that it promises to build with.
//!
//! That is the Rust of Debian's stable release, and Debian's own package is what is used: a minimal Debian is made in the
//! cache and entered with the workspace mounted read-only, the dependencies vendored, and no network. The mounts live in
//! a namespace of the child, so that nothing is left of them whatever happens to it.

use crate::debian::{self, Archive};
use crate::outcome::Outcome;
use crate::{cache, cargo, tools};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The release whose Rust is the oldest supported.
const RELEASE: &str = "trixie";

/// What is installed there besides the least that a Debian is.
const PACKAGES: &str = "rustc,cargo,gcc,libc6-dev";

/// Run in a mount namespace of its own, with the Debian, what is mounted on each of [`MOUNTS`], and the command.
const SCRIPT: &str = r#"
set -e
root=$1
mount --bind "$2" "$root/workspace"
mount -o remount,bind,ro "$root/workspace"
mount --bind "$3" "$root/target"
mount --bind "$4" "$root/vendor"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
shift 4
exec chroot "$root" /usr/bin/env -i -C /workspace PATH=/usr/bin:/bin HOME=/root CARGO_TARGET_DIR=/target "$@"
"#;

/// Folders of that Debian that something is mounted on.
const MOUNTS: [&str; 3] = ["workspace", "target", "vendor"];

/// How cargo is told to take dependencies from the vendored copies.
const VENDORED: [&str; 4] = [
    "--config",
    "source.crates-io.replace-with=\"vendored\"",
    "--config",
    "source.vendored.directory=\"/vendor\"",
];

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    if let Some(word) = args.first() {
        bail!("`msrv` takes no `{word}`");
    }
    if let Some(reason) = missing() {
        return Ok(Outcome::Skipped(reason));
    }
    let promised = promised()?;
    let debian = Debian::prepare()?;
    let said = debian.command("rustc").arg("--version").output().context("cannot enter Debian")?;
    let said = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    ensure!(
        said.starts_with(&format!("rustc {promised}.")),
        "Debian {RELEASE} has `{said}`, the workspace promises {promised}"
    );
    let mut check = debian.command("cargo");
    check.arg("check").args(VENDORED).args(["--workspace", "--all-targets"]);
    check.args(["--locked", "--offline", "--keep-going", "--quiet"]);
    let status = check.status().context("cannot run cargo")?;
    ensure!(status.success(), "{said} does not take the workspace ({status})");
    Ok(Outcome::Done(format!("{said} takes the workspace and its tests")))
}

/// Says why another Debian cannot be entered here, if so.
fn missing() -> Option<String> {
    if !tools::is_root() {
        return Some("needs root (to enter a Debian of its own)".to_owned());
    }
    for program in ["debootstrap", "unshare", "chroot", "mount"] {
        if let Err(missing) = tools::need(program) {
            return Some(missing);
        }
    }
    let mut mount = Command::new("unshare");
    mount.args(["--mount", "mount", "-t", "tmpfs", "none", "/mnt"]).stderr(Stdio::null());
    if !mount.status().is_ok_and(|status| status.success()) {
        return Some("may not mount in a namespace of its own".to_owned());
    }
    debian::missing()
}

/// The `rust-version` of the workspace, as `MAJOR.MINOR`.
fn promised() -> Result<String> {
    let text = fs::read_to_string(cargo::root().join("Cargo.toml")).context("Cargo.toml")?;
    let manifest: toml::Table = text.parse().context("Cargo.toml")?;
    let version = manifest["workspace"]["package"]["rust-version"].as_str();
    Ok(version.context("the workspace has no rust-version")?.to_owned())
}

/// A Debian in a folder, and what is mounted in it.
struct Debian {
    root: PathBuf,
    target: PathBuf,
    vendor: PathBuf,
}

/// Makes the folder that is built in.
fn own_target() -> Result<PathBuf> {
    let target = cargo::target_dir().join("msrv");
    fs::create_dir_all(&target).with_context(|| target.display().to_string())?;
    Ok(target)
}

impl Debian {
    /// Makes it once, and brings the vendored dependencies up to date.
    fn prepare() -> Result<Self> {
        let base = cache::dir("msrv")?;
        let debian = Self {
            root: base.join(RELEASE),
            // The workspace's own: cargo tells by times whether it is up to date, and another's may be younger.
            target: own_target()?,
            vendor: cache::dir("msrv/vendor")?,
        };
        let site = Archive::of_release(RELEASE)?.site()?;
        cache::fill_once(&debian.root, |part| debootstrap(&site, part))?;
        let mut vendor = cargo::cargo();
        vendor.args(["vendor", "--quiet", "--locked", "--versioned-dirs"]).arg(&debian.vendor);
        succeed(vendor.stdout(Stdio::null()))?;
        Ok(debian)
    }

    /// A command that runs in it.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", SCRIPT, "sh"]);
        command.arg(&self.root).arg(cargo::root()).arg(&self.target).arg(&self.vendor).arg(program);
        command
    }
}

fn debootstrap(site: &str, root: &Path) -> Result<()> {
    let mut command = Command::new("debootstrap");
    command.args(["--variant=minbase", &format!("--include={PACKAGES}"), RELEASE]).arg(root).arg(site);
    succeed(&mut command)?;
    MOUNTS.iter().try_for_each(|folder| fs::create_dir_all(root.join(folder)))?;
    // What was downloaded is unpacked by now.
    Ok(fs::remove_dir_all(root.join("var/cache/apt/archives"))?)
}

fn succeed(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot run {program}"))?;
    ensure!(status.success(), "{program} ends with {status}");
    Ok(())
}
