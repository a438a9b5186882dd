//! Fuzzing: `lab/fuzz` with cargo-fuzz on nightly Rust, from the committed corpora.
//!
//! The corpora are small and minimised; what a run finds stays in `target/fuzz` until `--keep` merges it into them.
//! Replaying a corpus needs none of this: `lab/replay` does it as a test. `--coverage` measures, on stable Rust, how much of the
//! decoding modules that replay covers.

mod coverage;

use crate::outcome::Outcome;
use crate::{cache, cargo, checkers, tools};
use anyhow::{Context, Result, bail};
use clap::Parser;
use std::ffi::OsString;
use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A target and the modules that its corpus must cover.
struct Target {
    name: &'static str,
    /// Sources, from the root; a folder stands for all below it.
    covers: &'static [&'static str],
    /// The longest input to invent, in bytes.
    longest: u32,
}

const TARGETS: &[Target] = &[
    Target {
        name: "attr",
        covers: &[
            "base/kernel/src/cmd",
            "base/kernel/src/cmd.rs",
            "base/kernel/src/file.rs",
            "base/kernel/src/kernel.rs",
            "base/kernel/src/log.rs",
            "base/kernel/src/name.rs",
            "base/kernel/src/perf.rs",
            "base/kernel/src/request.rs",
            "base/kernel/src/slots.rs",
            "user/embedded/src/files",
            "user/embedded/src/memory.rs",
        ],
        longest: 1024,
    },
    Target {
        name: "btf",
        covers: &[
            "base/btf/src/btf.rs",
            "base/btf/src/check.rs",
            "base/btf/src/datasec.rs",
            "base/btf/src/dedup",
            "base/btf/src/ext.rs",
            "base/btf/src/field.rs",
            "base/btf/src/header.rs",
            "base/btf/src/layout.rs",
            "base/btf/src/names.rs",
            "base/btf/src/record.rs",
            "base/btf/src/types.rs",
            "base/btf/src/value",
        ],
        longest: 8192,
    },
    Target {
        name: "core",
        covers: &["base/btf/src/core", "base/btf/src/ext.rs", "user/skep/src/load/core.rs"],
        longest: 4096,
    },
    Target {
        name: "elf",
        covers: &[
            "user/elf/src/error.rs",
            "user/elf/src/externs.rs",
            "user/elf/src/functions.rs",
            "user/elf/src/image.rs",
            "user/elf/src/info.rs",
            "user/elf/src/maps",
            "user/elf/src/maps.rs",
            "user/elf/src/object.rs",
            "user/elf/src/parts.rs",
            "user/elf/src/programs.rs",
        ],
        longest: 16384,
    },
    Target {
        name: "exact",
        covers: &["base/exact/src/alu.rs", "base/exact/src/machine", "base/exact/src/program.rs"],
        longest: 1024,
    },
    Target {
        name: "isa",
        covers: &[
            "base/isa/src/decode.rs",
            "base/isa/src/encode.rs",
            "base/isa/src/error.rs",
            "base/isa/src/insn.rs",
            "base/isa/src/program.rs",
            "base/isa/src/raw.rs",
            "base/isa/src/structure.rs",
            "base/isa/src/text",
        ],
        longest: 2048,
    },
    Target { name: "link", covers: &["user/elf/src/linker"], longest: 24576 },
    Target {
        name: "machine",
        // Not what runs callbacks, records and joined programs, which the target does not make: these are for the filetests and
        // for `cargo xtask escape`.
        covers: &[
            "base/machine/src/callee.rs",
            "base/machine/src/cpu.rs",
            "base/machine/src/helper.rs",
            "base/machine/src/helpers.rs",
            "base/machine/src/link.rs",
            "base/machine/src/machine.rs",
            "base/machine/src/maps.rs",
            "base/machine/src/program.rs",
            "base/machine/src/setup.rs",
            "base/machine/src/verify.rs",
        ],
        longest: 1024,
    },
    Target { name: "verify", covers: &["base/verifier/src"], longest: 1024 },
    Target {
        name: "vm",
        covers: &[
            "base/ir/src/alloc",
            "base/ir/src/arith.rs",
            "base/ir/src/build",
            "base/ir/src/cover.rs",
            "base/ir/src/lower.rs",
            "base/ir/src/passes",
            "base/vm/src/access.rs",
            "base/vm/src/cpu.rs",
            "base/vm/src/frame.rs",
            "base/vm/src/insn.rs",
            "base/vm/src/program.rs",
            "base/vm/src/regions.rs",
            "base/vm/src/run.rs",
        ],
        longest: 1024,
    },
];

/// What an input may take before it counts as a finding.
const INPUT_LIMITS: [&str; 2] = ["-timeout=10", "-rss_limit_mb=2048"];

/// Fuzz what reads hostile input, from the committed corpora.
#[derive(Parser)]
#[command(name = "cargo xtask fuzz")]
struct Options {
    /// The targets; all unless said.
    targets: Vec<String>,
    /// How long, for each target (20m, 90s).
    #[arg(long = "for", value_name = "TIME", value_parser = parse_time, default_value = "60s")]
    time: Duration,
    /// Where random changes begin; anywhere unless said. The same seed does not make the same run, as how far that comes depends on the machine.
    #[arg(long)]
    seed: Option<NonZeroU32>,
    /// Merge what was found into the committed corpora, and minimise them.
    #[arg(long)]
    keep: bool,
    /// Measure how much of the decoding modules the committed corpora cover, instead of fuzzing.
    #[arg(long, conflicts_with = "keep")]
    coverage: bool,
}

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    let options = Options::parse_from(std::iter::once("fuzz").chain(args.iter().map(String::as_str)));
    let targets = choose(&options.targets)?;
    if options.coverage {
        return coverage::check(&targets);
    }
    if let Some(reason) = missing() {
        return Ok(Outcome::Skipped(reason));
    }
    let fuzzer = Fuzzer::prepare()?;
    for target in &targets {
        fuzzer.run(target, options.time, options.seed)?;
        if options.keep {
            fuzzer.keep(target)?;
        }
    }
    let names: Vec<_> = targets.iter().map(|target| target.name).collect();
    Ok(Outcome::Done(format!("{} s each of {}", options.time.as_secs(), names.join(", "))))
}

fn choose(names: &[String]) -> Result<Vec<&'static Target>> {
    if names.is_empty() {
        return Ok(TARGETS.iter().collect());
    }
    let find = |name: &String| TARGETS.iter().find(|target| target.name == name);
    names.iter().map(|name| find(name).with_context(|| format!("no target is called `{name}`"))).collect()
}

/// Says why there is no fuzzing here, if so.
fn missing() -> Option<String> {
    checkers::no_nightly().or_else(|| ["cc", "c++"].iter().find_map(|program| tools::need(program).err()))
}

fn committed(target: &Target) -> PathBuf {
    cargo::root().join("lab/fuzz/corpus").join(target.name)
}

/// The folder where a run keeps what it finds.
fn found(target: &Target) -> Result<PathBuf> {
    let dir = cargo::target_dir().join("fuzz/found").join(target.name);
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    Ok(dir)
}

/// cargo-fuzz, installed in the cache.
struct Fuzzer {
    program: PathBuf,
}

impl Fuzzer {
    fn prepare() -> Result<Self> {
        // The crates that the workspace has locked; cargo adds the fuzzer's own.
        fs::copy(cargo::root().join("Cargo.lock"), cargo::root().join("lab/fuzz/Cargo.lock"))
            .context("Cargo.lock")?;
        if let Some(program) = tools::find("cargo-fuzz") {
            return Ok(Self { program });
        }
        let dir = cache::dir("cargo-fuzz")?;
        let program = dir.join("bin/cargo-fuzz");
        if !program.exists() {
            let args = ["install", "--quiet", "--locked", "cargo-fuzz", "--root"];
            let status = cargo::cargo().args(args).arg(&dir).status()?;
            if !status.success() {
                bail!("cannot install cargo-fuzz ({status})");
            }
        }
        Ok(Self { program })
    }

    fn run(&self, target: &Target, time: Duration, seed: Option<NonZeroU32>) -> Result<()> {
        let time = format!("-max_total_time={}", time.as_secs());
        let mut words: Vec<OsString> = vec!["run".into(), target.name.into(), found(target)?.into()];
        words.extend([committed(target).into(), "--".into(), time.into(), "-print_final_stats=1".into()]);
        words.push(format!("-max_len={}", target.longest).into());
        words.extend(seed.map(|seed| format!("-seed={seed}").into()));
        words.extend(INPUT_LIMITS.map(OsString::from));
        self.call(&words)
            .with_context(|| format!("target {} found something (see lab/fuzz/artifacts)", target.name))
    }

    /// Replaces the committed corpus by the smallest one that reaches as much as it and the finds together.
    fn keep(&self, target: &Target) -> Result<()> {
        let (found, committed) = (found(target)?, committed(target));
        copy_files(&committed, &found)?;
        // What tells inputs apart is which branches they take; how often would keep thousands.
        let mut words: Vec<OsString> = vec!["cmin".into(), target.name.into(), found.clone().into()];
        words.extend(["--", "-use_counters=0"].map(OsString::from));
        self.call(&words)?;
        fs::remove_dir_all(&committed)?;
        fs::create_dir_all(&committed)?;
        copy_files(&found, &committed)
    }

    fn call(&self, words: &[OsString]) -> Result<()> {
        let (verb, rest) = words.split_first().context("no command")?;
        let mut command = Command::new(&self.program);
        command.arg("fuzz").arg(verb).arg("--fuzz-dir").arg(cargo::root().join("lab/fuzz")).args(rest);
        cargo::on_nightly(&mut command);
        command.env("CARGO_TARGET_DIR", cargo::target_dir().join("fuzz/build")).current_dir(cargo::root());
        let status = command.status().with_context(|| self.program.display().to_string())?;
        if !status.success() {
            bail!("cargo fuzz {} failed ({status})", verb.to_string_lossy());
        }
        Ok(())
    }
}

fn copy_files(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Reads a time, as `20m` or `90s`.
pub(crate) fn parse_time(text: &str) -> Result<Duration> {
    let (number, seconds_each) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(seconds_each));
    Ok(Duration::from_secs(seconds.with_context(|| format!("`{text}` is no time; 20m or 90s is"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let seconds = |text| parse_time(text).map(|time| time.as_secs()).ok();
        assert_eq!([seconds("20m"), seconds("90s"), seconds("7")], [Some(1200), Some(90), Some(7)]);
        assert_eq!([seconds("x"), seconds(""), seconds("18446744073709551615m")], [None; 3]);
    }

    #[test]
    fn each_target_has_a_program_and_a_corpus() {
        let dir = cargo::root().join("lab/fuzz");
        for target in TARGETS {
            assert!(
                dir.join("fuzz_targets").join(target.name).with_extension("rs").exists(),
                "{}",
                target.name
            );
            assert!(committed(target).is_dir(), "{}", target.name);
            assert!(
                target.covers.iter().all(|source| cargo::root().join(source).exists()),
                "{}",
                target.name
            );
        }
        assert_eq!(fs::read_dir(dir.join("fuzz_targets")).expect("targets").count(), TARGETS.len());
    }
}
