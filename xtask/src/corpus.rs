//! Every object that Debian ships, by skep and by libbpf, program by program: `lab/corpus`, built and run.

mod core;
mod elsewhere;
mod judge;
mod rebase;
mod selftests;
mod shard;

use crate::boot;
use crate::debian::{self, Archive, Unreachable};
use crate::objects::{self, Object};
use crate::outcome::Outcome;
use crate::{cargo, tools};
use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Parser;
use shard::Shard;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The release whose libelf and zlib libbpf is linked with.
const RELEASE: &str = "bookworm";

/// Objects that stand for the others where there is little time: of each package, loader feature and known difference one.
const SHORT: &[&str] = &[
    "bookworm_ir-keytable/",
    "bookworm_libbpf-tools/biolatency",
    "bookworm_libbpf-tools/cpufreq",
    "bookworm_libbpf-tools/javagc",
    "bookworm_libbpf-tools/mountsnoop",
    "bookworm_libbpf-tools/softirqs",
    "bookworm_libbpf-tools/tcptracer",
    "bookworm_libxdp1/",
    "bookworm_pcp/biosnoop",
    "bookworm_xdp-tests/",
    "bookworm_xdp-tools/xdp-filter",
];

/// Objects of the repository whose loads are measured: a few instructions, loops, maps.
const MEASURED: &[&str] = &[
    "lab/vectors/code/branches.v1.bpf.o",
    "lab/vectors/maps/kinds.bpf.o",
    "examples/syscount/syscount.bpf.o",
    "examples/xdp-firewall/xdp_firewall.bpf.o",
];

/// Debian's objects whose loads are measured: two instructions, then 10, 21, 53 and 7 CO-RE relocations.
const MEASURED_FETCHED: &[&str] = &[
    "bookworm_xdp-tests/xdp_drop@",
    "bookworm_libbpf-tools/statsnoop@",
    "bookworm_libbpf-tools/runqlat@",
    "bookworm_libbpf-tools/tcptracer@",
    "bookworm_libbpf-tools/ksnoop@",
];

/// An object of ours whose types are other ones where the kernel knows no tags on declarations.
const TAGGED: &str = "lab/vectors/code/context_arguments.bpf.o";

/// The self-test with the most CO-RE relocations, 271, of those that load as a whole with nobody's help.
const MEASURED_COMPILED: &str = "xdp_synproxy_kern";

/// What is known to differ, and why.
const KNOWN: &str = "lab/corpus/known.txt";

/// Load Debian's objects by skep and by libbpf.
#[derive(Parser)]
#[command(name = "cargo xtask corpus")]
struct Options {
    /// Only objects whose `PACKAGE/FILE` has this in it (may be repeated).
    #[arg(long)]
    only: Vec<String>,
    /// Only some objects, of packages that other checks download too.
    #[arg(long, conflicts_with = "only")]
    short: bool,
    /// Only a part of the objects, the K-th of N: every N-th.
    #[arg(long, value_name = "K/N", value_parser = shard::parse)]
    shard: Option<Shard>,
    /// The self-tests of Linux 6.12 instead, compiled from Debian's source of it.
    #[arg(long, conflicts_with = "short")]
    selftests: bool,
    /// Instead of loading, answer the CO-RE relocations from the types of other kernels: of `--kernel`, or of all three.
    #[arg(long, conflicts_with_all = ["whole", "bytes", "check", "time", "json"])]
    core: bool,
    /// Instead of loading, make the types of modules small and fit them to their own kernel and to the running one: modules
    /// of `--kernel`, or of 6.1.
    #[arg(long, conflicts_with_all = ["core", "whole", "bytes", "check", "time", "json", "selftests", "only", "shard"])]
    rebase: bool,
    /// Instead of loading, run the unit tests of the program that compares.
    #[arg(long, exclusive = true)]
    tests: bool,
    /// Load whole objects instead of each program on its own.
    #[arg(long)]
    whole: bool,
    /// Compare what reaches `bpf(2)`, too.
    #[arg(long)]
    bytes: bool,
    /// Fail on every difference that `lab/corpus/known.txt` does not name.
    #[arg(long)]
    check: bool,
    /// Measure how long whole objects take to load, in thirty rounds of turns, one process a load.
    #[arg(long, conflicts_with_all = ["kernel", "check", "json", "bytes"])]
    time: bool,
    /// In this kernel (5.10, 6.1 or 6.12), in QEMU, instead of the running one.
    #[arg(long, value_name = "VERSION")]
    kernel: Option<String>,
    /// Write every pair of answers here, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Options {
    /// Whether all of Debian's objects are compared.
    fn is_all(&self) -> bool {
        self.only.is_empty() && self.shard.is_none() && !self.selftests
    }
}

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    let options = Options::parse_from(std::iter::once("corpus").chain(args.iter().map(String::as_str)));
    if let Some(reason) = missing(&options) {
        return Ok(Outcome::Skipped(reason));
    }
    if options.tests {
        let status = with_libraries("test")?.status().context("cannot run cargo test")?;
        ensure!(status.success(), "the tests of lab/corpus ended with {status}");
        return Ok(Outcome::Done(String::new()));
    }
    let program = build()?;
    if options.rebase {
        return rebase::run(&program, options.kernel.as_deref(), options.short);
    }
    let all = match (options.short, options.selftests) {
        (_, true) => selftests::fetch()?,
        (true, _) => objects::fetch()?,
        _ => objects::fetch_corpus()?,
    };
    let only: Vec<&str> = match options.short {
        true => SHORT.to_vec(),
        false => options.only.iter().map(String::as_str).collect(),
    };
    let mut objects: Vec<Object> =
        all.into_iter().filter(|object| is_wanted(&object.name(), &only)).collect();
    objects.sort();
    if let Some(shard) = options.shard {
        objects = shard.of(objects);
    }
    ensure!(!objects.is_empty(), "no object is called so");
    if options.core {
        return core::run(&program, options.kernel.as_deref(), &objects);
    }
    let mut answers = None;
    let mut command = match &options.kernel {
        None if options.time => {
            let mut command = Command::new(&program);
            command.arg("time").args(objects.iter().map(|object| &object.file));
            command
        }
        None => here(&program, &options, &objects),
        Some(version) => {
            let kernel = boot::kernel(version)?;
            let all = elsewhere::compare(&program, &words(&options), kernel, &objects)?;
            if let Some(json) = &options.json {
                fs::copy(&all, json).with_context(|| json.display().to_string())?;
            }
            let mut command = Command::new(&program);
            command.arg("report").arg(answers.insert(all));
            command
        }
    };
    if options.check {
        command.arg("--known").arg(cargo::root().join(KNOWN));
        // What is known of others is not found among a few.
        command.args(options.is_all().then_some("--all-known"));
    }
    let status = command.stdin(Stdio::null()).status().context("cannot run the comparison")?;
    if let Some(answers) = answers {
        fs::remove_file(&answers).with_context(|| answers.display().to_string())?;
    }
    ensure!(status.success(), "the comparison ended with {status}");
    if options.short && options.bytes && options.kernel.is_none() {
        without_tags(&program)?;
    }
    Ok(Outcome::Done(format!("{} objects", objects.len())))
}

/// Measures loads by skep, libbpf, libbpf-rs and aya, with the arguments of `skep-lab-corpus time`; `--short` takes the
/// repository's own objects, once, and fails where calls or heap are more than libbpf's.
pub(crate) fn measure(args: &[String]) -> Result<Outcome> {
    if !tools::is_root() {
        return Ok(Outcome::Skipped("needs root (to load programs)".to_owned()));
    }
    let programs = ["cc", "make", "pkg-config"];
    if let Some(reason) =
        programs.iter().find_map(|program| tools::need(program).err()).or_else(debian::missing)
    {
        return Ok(Outcome::Skipped(reason));
    }
    let program = build()?;
    let (short, args): (Vec<&String>, Vec<&String>) = args.iter().partition(|arg| *arg == "--short");
    let mut files: Vec<PathBuf> = MEASURED.iter().map(|path| cargo::root().join(path)).collect();
    let mut command = Command::new(&program);
    command.arg("time").args(args).stdin(Stdio::null());
    if short.is_empty() {
        let fetched = objects::fetch()?.into_iter();
        let fetched = fetched.filter(|object| is_wanted(&object.name(), MEASURED_FETCHED));
        files.extend(fetched.map(|object| object.file));
        match selftests::compiled(MEASURED_COMPILED)? {
            Some(file) => files.push(file),
            None => println!("skipped: {MEASURED_COMPILED}: `cargo xtask corpus --selftests` compiles it"),
        }
    } else {
        command.args(["--rounds=1", "--check"]);
    }
    let status = command.args(files).status().context("cannot run the measurement")?;
    ensure!(status.success(), "the measurement ended with {status}");
    Ok(Outcome::Done(String::new()))
}

/// Holds skep's verifier beside that of the running Linux.
pub(crate) fn judge(args: &[String]) -> Result<Outcome> {
    judge::run(args)
}

/// The kernel's self-tests, where they can be compiled.
pub(crate) fn selftests() -> Result<Vec<Object>> {
    match selftests::missing() {
        Some(reason) => bail!("no self-tests: {reason}"),
        None => selftests::fetch(),
    }
}

/// Compares what reaches a kernel that seems to know no tags on declarations.
fn without_tags(program: &Path) -> Result<()> {
    println!("without tags on declarations:");
    let mut command = Command::new(program);
    command.args(["compare", "--bytes", "--without-tags", "--known"]).arg(cargo::root().join(KNOWN));
    let status = command.arg(cargo::root().join(TAGGED)).stdin(Stdio::null()).status();
    let status = status.context("cannot run the comparison")?;
    ensure!(status.success(), "the comparison ended with {status}");
    Ok(())
}

/// The words that say what is compared.
fn words(options: &Options) -> Vec<&'static str> {
    let mut words = vec!["compare", "--unit", if options.whole { "object" } else { "program" }];
    words.extend(options.bytes.then_some("--bytes"));
    // Half of them are there to be refused, and some only after a million instructions.
    words.extend((options.selftests && options.kernel.is_some() && !options.bytes).then_some("--verdicts"));
    words
}

/// Compares on the running kernel.
fn here(program: &Path, options: &Options, objects: &[Object]) -> Command {
    let mut command = Command::new(program);
    command.args(words(options));
    if let Some(json) = &options.json {
        command.arg("--json").arg(json);
    }
    command.args(objects.iter().map(|object| &object.file));
    command
}

fn is_wanted(name: &str, only: &[&str]) -> bool {
    only.is_empty() || only.iter().any(|part| name.contains(part))
}

/// Says why nothing can be compared here, if so.
fn missing(options: &Options) -> Option<String> {
    if options.kernel.is_some() || options.core || options.rebase {
        if let Some(reason) = boot::missing() {
            return Some(reason);
        }
    }
    let loads = options.core || (options.kernel.is_none() && !options.rebase && !options.tests);
    if loads && !tools::is_root() {
        return Some("needs root (to load programs)".to_owned());
    }
    if let Some(reason) = options.selftests.then(selftests::missing).flatten() {
        return Some(reason);
    }
    ["cc", "make", "pkg-config"]
        .iter()
        .find_map(|program| tools::need(program).err())
        .or_else(debian::missing)
}

/// Builds the program, and returns where it is.
fn build() -> Result<PathBuf> {
    let mut command = with_libraries("build")?;
    let output = command
        .arg("--message-format=json")
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo build")?;
    if !output.status.success() {
        bail!("cannot build lab/corpus ({})", output.status);
    }
    let programs = cargo::executables(&String::from_utf8_lossy(&output.stdout));
    programs.into_iter().next_back().ok_or_else(|| anyhow!("cargo names no program"))
}

/// A command of cargo's on the program in release form, with libelf and zlib from Debian's packages for libbpf.
fn with_libraries(word: &str) -> Result<Command> {
    fetch_crates()?;
    let archive = Archive::of_release(RELEASE)?;
    let (elf, zlib) = (archive.unpacked("libelf-dev")?, archive.unpacked("zlib1g-dev")?);
    let folders = [static_libraries(&elf)?, static_libraries(&zlib)?];
    let mut command = cargo::cargo();
    command
        .args([word, "--quiet", "--release", "--manifest-path", "lab/corpus/Cargo.toml"])
        .env("CARGO_TARGET_DIR", cargo::target_dir().join("corpus"))
        .env("LIBBPF_SYS_EXTRA_CFLAGS", format!("{} {}", include(&elf), include(&zlib)))
        .env("LIBBPF_SYS_LIBRARY_PATH", std::env::join_paths(folders)?);
    Ok(command)
}

/// Downloads the crates that the program is built from, unless they are here.
fn fetch_crates() -> Result<()> {
    let fetch = |offline: &[&str]| {
        let mut command = cargo::cargo();
        command.args(["fetch", "--quiet", "--manifest-path", "lab/corpus/Cargo.toml"]);
        command.args(offline).stdin(Stdio::null()).output().context("cannot run cargo fetch")
    };
    if fetch(&["--offline"])?.status.success() {
        return Ok(());
    }
    let output = fetch(&[])?;
    let said = String::from_utf8_lossy(&output.stderr);
    match Unreachable::find("cargo", &said) {
        _ if output.status.success() => Ok(()),
        Some(unreachable) => Err(unreachable.into()),
        None => bail!("cargo fetch: {}: {}", output.status, said.trim()),
    }
}

/// How a compiler is told of a package's headers.
fn include(package: &Path) -> String {
    format!("-I{}", package.join("usr/include").display())
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
        assert!(is_wanted("bookworm_pcp/biosnoop@10.o", &["pcp/bio"]));
        assert!(!is_wanted("bookworm_pcp/biosnoop@10.o", &["trixie"]));
    }
}
