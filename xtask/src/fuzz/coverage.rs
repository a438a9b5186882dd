//! How many lines of the decoding modules the replay of the corpora covers.

use super::Target;
use crate::outcome::Outcome;
use crate::{cargo, tools};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The least share of lines, in percent.
const LEAST: f64 = 90.0;

/// Replays each target's corpus in an instrumented build, and compares what it covers with what it should.
pub(super) fn check(targets: &[&Target]) -> Result<Outcome> {
    let (profdata, cov) = match llvm_tools() {
        Ok(tools) => tools,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let dir = cargo::target_dir().join("coverage");
    let program = build(&dir)?;
    let mut below = Vec::new();
    let mut notes = Vec::new();
    for target in targets {
        let profile = replay(&program, target, &dir, &profdata)?;
        let files = export(&cov, &program, &profile)?;
        let (covered, all) = lines(&files, target);
        if all == 0 {
            bail!("target {}: no lines of {} were built", target.name, target.covers.join(", "));
        }
        let share = 100.0 * covered as f64 / all as f64;
        print_files(&files, target);
        notes.push(format!("{} {share:.1} %", target.name));
        if share < LEAST {
            below.push(format!(
                "{} covers {share:.1} % of the lines of {}",
                target.name,
                target.covers.join(", ")
            ));
        }
    }
    if !below.is_empty() {
        bail!("a corpus must cover {LEAST} %: {}", below.join("; "));
    }
    Ok(Outcome::Done(notes.join(", ")))
}

/// LLVM's tools of the version that the compiler has: the format of profiles changes with it.
fn llvm_tools() -> Result<(PathBuf, PathBuf), String> {
    let version = llvm_version().map_err(|error| format!("{error:#}"))?;
    let find = |name: &str| {
        let program = format!("{name}-{version}");
        tools::find(&program).ok_or_else(|| format!("no `{program}` (Debian package llvm-{version})"))
    };
    Ok((find("llvm-profdata")?, find("llvm-cov")?))
}

/// The major version of the compiler's LLVM.
pub(crate) fn llvm_version() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("cannot run rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.lines().find_map(|line| line.strip_prefix("LLVM version: "));
    let major = version.and_then(|version| version.split('.').next());
    Ok(major.context("rustc does not say its LLVM version")?.to_owned())
}

/// Builds the replay test with counters, and returns its program.
fn build(dir: &Path) -> Result<PathBuf> {
    let output = cargo::cargo()
        .args(["test", "--package=lab-replay", "--test=corpora", "--no-run", "--message-format=json"])
        .env("CARGO_TARGET_DIR", dir)
        .env("RUSTFLAGS", "-Cinstrument-coverage")
        // Built incrementally, functions that nothing calls are left out, and so are not counted as not covered.
        .env("CARGO_INCREMENTAL", "0")
        // Build scripts and macros count, too; what is set nowhere they leave where they run.
        .env("LLVM_PROFILE_FILE", dir.join("build-%m.profraw"))
        .stderr(std::process::Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("cannot build the replay test with counters");
    }
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let programs = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let program =
        programs.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).next_back();
    program.context("cargo built no test")
}

fn replay(program: &Path, target: &Target, dir: &Path, profdata: &Path) -> Result<PathBuf> {
    let (raw, merged) =
        (dir.join(format!("{}.profraw", target.name)), dir.join(format!("{}.profdata", target.name)));
    let mut test = Command::new(program);
    test.args(["--exact", target.name])
        .env("LLVM_PROFILE_FILE", &raw)
        .current_dir(cargo::root().join("lab/replay"));
    let output = test.output()?;
    if !output.status.success() || !String::from_utf8_lossy(&output.stdout).contains("1 passed") {
        bail!("the replay of {} failed:\n{}", target.name, String::from_utf8_lossy(&output.stdout));
    }
    let status = Command::new(profdata).args(["merge", "-sparse", "-o"]).arg(&merged).arg(&raw).status()?;
    if !status.success() {
        bail!("llvm-profdata cannot merge {}", raw.display());
    }
    fs::remove_file(&raw)?;
    Ok(merged)
}

/// One source file: its path from the root, its covered lines, all its lines.
struct File {
    path: String,
    covered: u64,
    all: u64,
}

fn export(cov: &Path, program: &Path, profile: &Path) -> Result<Vec<File>> {
    let mut command = Command::new(cov);
    command.args(["export", "--summary-only", "--instr-profile"]).arg(profile).arg(program);
    let output = command.output()?;
    if !output.status.success() {
        bail!("llvm-cov failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let json: Value = serde_json::from_slice(&output.stdout).context("llvm-cov printed no JSON")?;
    parse_files(&json, &cargo::root())
}

fn parse_files(json: &Value, root: &Path) -> Result<Vec<File>> {
    let files = json["data"][0]["files"].as_array().context("llvm-cov named no files")?;
    let mut found = Vec::new();
    for file in files {
        let name = Path::new(file["filename"].as_str().context("a file without a name")?);
        let Ok(path) = name.strip_prefix(root) else { continue };
        let lines = &file["summary"]["lines"];
        let (covered, all) = (lines["covered"].as_u64(), lines["count"].as_u64());
        let (covered, all) = covered.zip(all).context("a file without counts")?;
        found.push(File { path: path.to_string_lossy().into_owned(), covered, all });
    }
    Ok(found)
}

fn is_covered_by(file: &File, target: &Target) -> bool {
    target.covers.iter().any(|place| Path::new(&file.path).starts_with(place))
}

fn lines(files: &[File], target: &Target) -> (u64, u64) {
    let counted = files.iter().filter(|file| is_covered_by(file, target));
    counted.fold((0, 0), |(covered, all), file| (covered + file.covered, all + file.all))
}

fn print_files(files: &[File], target: &Target) {
    for file in files.iter().filter(|file| is_covered_by(file, target)) {
        println!("{:<6} {:>5} of {:>5} lines  {}", target.name, file.covered, file.all, file.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lines_of_the_modules_count() {
        let text = r#"{"data":[{"files":[
            {"filename":"/r/base/isa/src/raw.rs","summary":{"lines":{"count":10,"covered":9}}},
            {"filename":"/r/base/isa/src/a/b.rs","summary":{"lines":{"count":5,"covered":5}}},
            {"filename":"/r/base/isa2/src/raw.rs","summary":{"lines":{"count":70,"covered":0}}},
            {"filename":"/other/x.rs","summary":{"lines":{"count":70,"covered":0}}}]}]}"#;
        let json: Value = serde_json::from_str(text).expect("JSON");
        let files = parse_files(&json, Path::new("/r")).expect("files");
        let target = Target { name: "isa", covers: &["base/isa/src"], longest: 1 };
        assert_eq!(lines(&files, &target), (14, 15));
    }
}
