//! The programs that chores call, and the Debian packages that bring them.

use crate::outcome::Outcome;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program that some chore calls.
struct Tool {
    program: &'static str,
    /// Debian's package of it.
    package: &'static str,
    /// What cannot be done without it.
    wanted_for: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool { program: "cc", package: "gcc", wanted_for: "linking" },
    Tool { program: "clang-19", package: "clang-19", wanted_for: "rebuilding the committed BPF objects" },
    Tool { program: "llvm-mc-19", package: "llvm-19", wanted_for: "tests beside LLVM's assembler" },
    Tool { program: "qemu-system-x86_64", package: "qemu-system-x86", wanted_for: "booting other kernels" },
    Tool { program: "busybox", package: "busybox-static", wanted_for: "booting other kernels" },
    Tool { program: "dpkg-deb", package: "dpkg", wanted_for: "unpacking Debian packages" },
    Tool { program: "debootstrap", package: "debootstrap", wanted_for: "building with the oldest Rust" },
    Tool { program: "strace", package: "strace", wanted_for: "tests that count system calls" },
    Tool { program: "bpftool", package: "bpftool", wanted_for: "loading objects beside libbpf" },
    Tool { program: "ip", package: "iproute2", wanted_for: "tests that attach to interfaces" },
];

/// Folders that hold programs for root and may be missing from `PATH`.
const MORE_FOLDERS: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    if let Some(word) = args.first() {
        bail!("`tools` takes no `{word}`");
    }
    let missing = missing();
    if missing.is_empty() {
        return Ok(Outcome::Done(format!("all {} are here", TOOLS.len())));
    }
    if !(is_root() && find("apt-get").is_some()) {
        return Ok(Outcome::Skipped(format!("not installed (needs root and apt): {}", names(&missing))));
    }
    apt_get(&["update"])?;
    for tool in &missing {
        if let Err(error) = apt_get(&["install", "--yes", "--no-install-recommends", tool.package]) {
            eprintln!("{}: {error:#}", tool.package);
        }
    }
    let missing = self::missing();
    if missing.is_empty() {
        return Ok(Outcome::Done(format!("all {} are here", TOOLS.len())));
    }
    Ok(Outcome::Skipped(format!("not to be had from apt: {}", names(&missing))))
}

/// Where a program is, or which package to install and that it is missing.
pub(crate) fn need(program: &str) -> Result<PathBuf, String> {
    find(program).ok_or_else(|| match TOOLS.iter().find(|tool| tool.program == program) {
        Some(tool) => format!("no `{program}` (Debian package {})", tool.package),
        None => format!("no `{program}`"),
    })
}

/// Where a program is, if it is installed.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(MORE_FOLDERS.iter().map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|file| is_program(file))
}

/// Whether this process may do what only root may.
pub(crate) fn is_root() -> bool {
    let id = Command::new("id").arg("-u").stderr(Stdio::null()).output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn missing() -> Vec<&'static Tool> {
    TOOLS.iter().filter(|tool| find(tool.program).is_none()).collect()
}

fn names(missing: &[&Tool]) -> String {
    let names: Vec<_> =
        missing.iter().map(|tool| format!("{} (for {})", tool.package, tool.wanted_for)).collect();
    names.join(", ")
}

fn apt_get(args: &[&str]) -> Result<()> {
    let status = Command::new("apt-get")
        .args(["-q", "-oDPkg::Lock::Timeout=300"])
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .status()
        .context("cannot run apt-get")?;
    if !status.success() {
        bail!("apt-get {} failed ({status})", args.join(" "));
    }
    Ok(())
}
