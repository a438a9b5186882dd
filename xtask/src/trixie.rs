//! A Debian of its own in the cache, whose Rust is the oldest that the workspace supports.
//!
//! It is made once, and entered with the workspace mounted read-only, the dependencies vendored, and no network. The mounts
//! live in a namespace of the child, so that nothing is left of them whatever happens to it.

use crate::debian::{self, Archive};
use crate::{cache, cargo, tools};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The release whose Rust is the oldest supported.
pub(crate) const RELEASE: &str = "trixie";

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
exec chroot "$root" /usr/bin/env -i -C /workspace PATH=/usr/bin:/bin HOME=/root CARGO_TARGET_DIR=/target CARGO_INCREMENTAL=0 "$@"
"#;

/// Folders of that Debian that something is mounted on.
const MOUNTS: [&str; 3] = ["workspace", "target", "vendor"];

/// How cargo is told to take dependencies from the vendored copies, and nothing else.
pub(crate) const VENDORED: [&str; 6] = [
    "--config",
    "source.crates-io.replace-with=\"vendored\"",
    "--config",
    "source.vendored.directory=\"/vendor\"",
    "--locked",
    "--offline",
];

/// What a Debian has besides the least that one is.
pub(crate) struct Recipe {
    /// Its folder in the cache.
    pub(crate) name: &'static str,
    /// Packages, separated by commas.
    pub(crate) packages: &'static str,
    /// Further architectures, by Debian's names.
    pub(crate) architectures: &'static [&'static str],
    /// Packages of these.
    pub(crate) foreign: &'static [&'static str],
    /// A workspace in it whose dependencies are vendored, too.
    pub(crate) also_vendored: Option<&'static str>,
}

/// Says why another Debian cannot be entered here, if so.
pub(crate) fn missing() -> Option<String> {
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

/// A Debian in a folder, and what is mounted in it.
pub(crate) struct Debian {
    root: PathBuf,
    target: PathBuf,
    vendor: PathBuf,
}

impl Debian {
    /// Makes it once, and brings the vendored dependencies up to date.
    pub(crate) fn prepare(recipe: &Recipe) -> Result<Self> {
        let base = cache::dir(recipe.name)?;
        let debian = Self {
            root: base.join(RELEASE),
            // The workspace's own: cargo tells by times whether it is up to date, and another's may be younger.
            target: cargo::target_dir().join(recipe.name),
            vendor: cache::dir(&format!("{}/vendor", recipe.name))?,
        };
        fs::create_dir_all(&debian.target).with_context(|| debian.target.display().to_string())?;
        let site = Archive::of_release(RELEASE)?.site()?;
        cache::fill_once(&debian.root, |part| debootstrap(recipe, &site, part))?;
        let mut vendor = cargo::cargo();
        vendor.args(["vendor", "--quiet", "--locked", "--versioned-dirs"]);
        if let Some(workspace) = recipe.also_vendored {
            // The standard library's manifests use features that only nightly Rust, or this, takes.
            vendor.env("RUSTC_BOOTSTRAP", "1").arg("--sync").arg(debian.root.join(workspace));
        }
        succeed(vendor.arg(&debian.vendor).stdout(Stdio::null()))?;
        Ok(debian)
    }

    /// A command that runs in it; `words` may set variables in front of the program.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", SCRIPT, "sh"]);
        command.arg(&self.root).arg(cargo::root()).arg(&self.target).arg(&self.vendor).args(words);
        command
    }
}

fn debootstrap(recipe: &Recipe, site: &str, root: &Path) -> Result<()> {
    let mut command = Command::new("debootstrap");
    command.args(["--variant=minbase", &format!("--include={}", recipe.packages), RELEASE]);
    succeed(command.arg(root).arg(site))?;
    let inside = |words: &[&str]| {
        let mut command = Command::new("chroot");
        succeed(command.arg(root).args(words).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    for architecture in recipe.architectures {
        inside(&["dpkg", "--add-architecture", architecture])?;
    }
    if !recipe.foreign.is_empty() {
        inside(&["apt-get", "-qq", "update"])?;
        let install = ["apt-get", "-qq", "--yes", "--no-install-recommends", "install"];
        inside(&[&install[..], recipe.foreign].concat())?;
    }
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
