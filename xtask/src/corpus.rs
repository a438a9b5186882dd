//! Every object that Debian ships, by skep and by libbpf, program by program: `lab/corpus`, built and run.

use crate::debian::{self, Archive};
use crate::outcome::Outcome;
use crate::{cargo, objects, tools};
use anyhow::{Context, Result, anyhow, bail};
use clap::Parser;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The release whose libelf and zlib libbpf is linked with.
const RELEASE: &str = "bookworm";

/// Load Debian's objects by skep and by libbpf.
#[derive(Parser)]
#[command(name = "cargo xtask corpus")]
struct Options {
    /// Only objects whose `PACKAGE/FILE` has this in it (may be repeated).
    #[arg(long)]
    only: Vec<String>,
    /// Load whole objects instead of each program on its own.
    #[arg(long)]
    whole: bool,
    /// Compare what reaches `bpf(2)`, too.
    #[arg(long)]
    bytes: bool,
    /// Write every pair of answers here, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    let options = Options::parse_from(std::iter::once("corpus").chain(args.iter().map(String::as_str)));
    if let Some(reason) = missing() {
        return Ok(Outcome::Skipped(reason));
    }
    let program = build()?;
    let mut files: Vec<PathBuf> = objects::fetch_corpus()?
        .into_iter()
        .filter(|object| is_wanted(&object.name(), &options.only))
        .map(|object| object.file)
        .collect();
    files.sort();
    let mut command = Command::new(program);
    command.args(["compare", "--unit", if options.whole { "object" } else { "program" }]);
    command.args(options.bytes.then_some("--bytes"));
    if let Some(json) = &options.json {
        command.arg("--json").arg(json);
    }
    let status = command.args(&files).stdin(Stdio::null()).status().context("cannot run the comparison")?;
    if !status.success() {
        bail!("the comparison ended with {status}");
    }
    Ok(Outcome::Done(format!("{} objects", files.len())))
}

fn is_wanted(name: &str, only: &[String]) -> bool {
    only.is_empty() || only.iter().any(|part| name.contains(part))
}

/// Says why nothing can be compared here, if so.
fn missing() -> Option<String> {
    if !tools::is_root() {
        return Some("needs root (to load programs)".to_owned());
    }
    ["cc", "make", "pkg-config"]
        .iter()
        .find_map(|program| tools::need(program).err())
        .or_else(debian::missing)
}

/// Builds the program, with libelf and zlib from Debian's packages linked into it, and returns where it is.
fn build() -> Result<PathBuf> {
    let archive = Archive::of_release(RELEASE)?;
    let (elf, zlib) = (archive.unpacked("libelf-dev")?, archive.unpacked("zlib1g-dev")?);
    let folders = [static_libraries(&elf)?, static_libraries(&zlib)?];
    let include = |package: &Path| format!("-I{}", package.join("usr/include").display());
    let mut command = cargo::cargo();
    command
        .args(["build", "--quiet", "--release", "--message-format=json"])
        .args(["--manifest-path", "lab/corpus/Cargo.toml"])
        .env("CARGO_TARGET_DIR", cargo::target_dir().join("corpus"))
        .env("LIBBPF_SYS_EXTRA_CFLAGS", format!("{} {}", include(&elf), include(&zlib)))
        .env("LIBBPF_SYS_LIBRARY_PATH", std::env::join_paths(folders)?);
    let output = command.stderr(Stdio::inherit()).output().context("cannot run cargo build")?;
    if !output.status.success() {
        bail!("cannot build lab/corpus ({})", output.status);
    }
    let programs = cargo::executables(&String::from_utf8_lossy(&output.stdout));
    programs.into_iter().next_back().ok_or_else(|| anyhow!("cargo names no program"))
}

/// The folder of a package's static libraries, which is named after the machine.
fn static_libraries(package: &Path) -> Result<PathBuf> {
    let lib = package.join("usr/lib");
    for entry in fs::read_dir(&lib).with_context(|| lib.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() && path.to_string_lossy().ends_with("-linux-gnu") {
            return Ok(path);
        }
    }
    bail!("no libraries in {}", lib.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_wanted_by_a_part_of_their_name() {
        assert!(is_wanted("bookworm_pcp/biosnoop@10.o", &[]));
        assert!(is_wanted("bookworm_pcp/biosnoop@10.o", &["pcp/bio".to_owned()]));
        assert!(!is_wanted("bookworm_pcp/biosnoop@10.o", &["trixie".to_owned()]));
    }
}
