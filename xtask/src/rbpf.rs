//! `cargo xtask rbpf`: rbpf's own tests and examples, taken from its published crate, on the virtual machine.
//!
//! The crate is fetched by cargo; its tests and examples are copied into a package of the build folder that has
//! `lab/rbpf-compat` for a dependency in rbpf's place. Tests fail where `lab/rbpf-compat/differences.txt` says so and why,
//! and nowhere else. Examples print what they print with rbpf itself. Nothing of rbpf's is committed.

use crate::cargo;
use crate::outcome::Outcome;
use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The version whose tests are run.
const VERSION: &str = "0.4.1";

/// The Rust that it wants, whatever its manifest says: it has `let` in conditions.
const RUST_MINOR: u32 = 88;

/// What differs, and why.
const DIFFERENCES: &str = "lab/rbpf-compat/differences.txt";

/// What rbpf's tests and examples use besides (its `Cargo.toml`).
const DEV_DEPENDENCIES: &str = "elf = \"0.8.0\"\nhex = \"0.4.3\"\njson = \"0.12\"\nlibc = \"0.2\"\n";

/// Examples whose output is compared, with what they are started with. `date` says what time it is, and `allowed_memory`
/// wants an object that is not in the published crate.
const EXAMPLES: [(&str, &[&str]); 4] = [
    ("disassemble", &[]),
    ("load_elf", &[]),
    ("to_json", &[]),
    // r0 = *(u16 *)(r1 + 1); exit. It wants one more word after the program, and does not look at it.
    ("rbpf_plugin", &["aabbcc", "--program", "69100100000000009500000000000000", "-"]),
];

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    if let Some(word) = args.first() {
        bail!("`rbpf` takes no `{word}`");
    }
    let said = Command::new("rustc").arg("--version").output().context("cannot run rustc")?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    if minor(&said).is_none_or(|minor| minor < RUST_MINOR) {
        return Ok(Outcome::Skipped(format!(
            "rbpf {VERSION} wants Rust 1.{RUST_MINOR}, found {}",
            said.trim()
        )));
    }
    let differences = fs::read_to_string(cargo::root().join(DIFFERENCES)).context(DIFFERENCES)?;
    let differences = parse(&differences)?;
    let folder = cargo::target_dir().join("rbpf");
    let source = match fetch(&folder.join("fetch"))? {
        Ok(source) => source,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let ours =
        format!("{{ package = \"skep-rbpf-compat\", path = {:?} }}", cargo::root().join("lab/rbpf-compat"));
    let suite = Suite::lay_out(&folder.join("ours"), &source, &ours)?;
    let tests = suite.tests()?;
    let faults = faults(&tests, &differences);
    let theirs = Suite::lay_out(&folder.join("theirs"), &source, &format!("\"={VERSION}\""))?;
    let mut unlike = Vec::new();
    for (name, args) in EXAMPLES {
        if suite.example(name, args)? != theirs.example(name, args)? {
            unlike.push(format!("example {name} prints something else than with rbpf"));
        }
    }
    let faults: Vec<_> = faults.into_iter().chain(unlike).collect();
    if !faults.is_empty() {
        bail!("\n  {}", faults.join("\n  "));
    }
    let reasons: BTreeSet<_> = differences.values().collect();
    Ok(Outcome::Done(format!(
        "{} of {} tests pass, {} differ for {} reasons; {} examples print the same",
        tests.values().filter(|passed| **passed).count(),
        tests.len(),
        differences.len(),
        reasons.len(),
        EXAMPLES.len(),
    )))
}

/// Reads the second number of a version of Rust 1.
fn minor(version: &str) -> Option<u32> {
    version.strip_prefix("rustc 1.")?.split('.').next()?.parse().ok()
}

/// Reads the table: a reason at the start of a line, indented tests below it.
fn parse(text: &str) -> Result<BTreeMap<String, String>> {
    let mut table = BTreeMap::new();
    let mut reason = None;
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix("  ") {
            None => reason = Some(line),
            Some(test) => {
                let reason = reason.with_context(|| format!("{DIFFERENCES}: {test} has no reason"))?;
                let before = table.insert(test.to_owned(), reason.to_owned());
                ensure!(before.is_none(), "{DIFFERENCES}: {test} stands there twice");
            }
        }
    }
    Ok(table)
}

/// Compares what passed with what must.
fn faults(tests: &BTreeMap<String, bool>, differences: &BTreeMap<String, String>) -> Vec<String> {
    let mut faults = Vec::new();
    for (test, passed) in tests {
        match (passed, differences.get(test)) {
            (false, None) => faults.push(format!("{test} fails, and {DIFFERENCES} has no reason for it")),
            (true, Some(_)) => faults.push(format!("{test} passes, and {DIFFERENCES} says that it does not")),
            _ => {}
        }
    }
    let gone = differences.keys().filter(|test| !tests.contains_key(*test));
    faults.extend(gone.map(|test| format!("{test} is in {DIFFERENCES} and did not run")));
    faults
}

/// Fetches the published crate, and returns where its source is; or says why it cannot be had.
fn fetch(folder: &Path) -> Result<Result<PathBuf, String>> {
    fs::create_dir_all(folder.join("src"))?;
    fs::write(folder.join("src/lib.rs"), "")?;
    let manifest = format!(
        "[package]\nname = \"fetch\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[workspace]\n\
         [dependencies]\nrbpf = \"={VERSION}\"\n"
    );
    fs::write(folder.join("Cargo.toml"), manifest)?;
    let output = cargo::cargo().current_dir(folder).args(["metadata", "--format-version=1"]).output()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let last =
            text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned();
        return Ok(Err(format!("rbpf {VERSION} cannot be fetched: {last}")));
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    let rbpf = packages.iter().find(|package| package["name"] == "rbpf").context("there is no rbpf")?;
    let manifest = Path::new(rbpf["manifest_path"].as_str().context("rbpf has no manifest")?);
    Ok(Ok(manifest.parent().context("rbpf has no folder")?.to_owned()))
}

/// rbpf's tests and examples, in a package of their own.
struct Suite {
    folder: PathBuf,
    target: PathBuf,
}

impl Suite {
    /// Copies them, with something for `rbpf`.
    fn lay_out(folder: &Path, source: &Path, rbpf: &str) -> Result<Self> {
        for part in ["tests", "examples", "src"] {
            let to = folder.join(part);
            if to.exists() {
                fs::remove_dir_all(&to)?;
            }
            fs::create_dir_all(&to)?;
            if part == "src" {
                fs::write(to.join("lib.rs"), "")?;
                continue;
            }
            for entry in fs::read_dir(source.join(part)).with_context(|| source.display().to_string())? {
                let entry = entry?;
                if entry.file_type()?.is_file() {
                    fs::copy(entry.path(), to.join(entry.file_name()))?;
                }
            }
        }
        let manifest = format!(
            "[package]\nname = \"rbpf-suite\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n\
             [features]\ndefault = [\"std\", \"cranelift\"]\nstd = []\ncranelift = []\n\
             [dependencies]\nrbpf = {rbpf}\n[dev-dependencies]\n{DEV_DEPENDENCIES}[lints.rust]\nunused = \"allow\"\n"
        );
        fs::write(folder.join("Cargo.toml"), manifest)?;
        // In common, since most of what is compiled is.
        let target = folder.with_file_name("target");
        Ok(Self { folder: folder.to_owned(), target })
    }

    fn cargo(&self, args: &[&str]) -> Result<Output> {
        let mut command: Command = cargo::cargo();
        command
            .current_dir(&self.folder)
            .args(args)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("RUST_BACKTRACE", "0");
        command.output().context("cannot run cargo")
    }

    /// Runs every test, and tells which passed, by the name of its file and its own.
    fn tests(&self) -> Result<BTreeMap<String, bool>> {
        let built = self.cargo(&["test", "--quiet", "--no-run", "--tests"])?;
        ensure!(
            built.status.success(),
            "rbpf's tests do not compile:\n{}",
            String::from_utf8_lossy(&built.stderr)
        );
        let mut tests = BTreeMap::new();
        let mut files: Vec<_> = fs::read_dir(self.folder.join("tests"))?.collect::<Result<_, _>>()?;
        files.sort_by_key(fs::DirEntry::file_name);
        for file in files {
            let path = file.path();
            let name = path.file_stem().context("a test without a name")?.to_string_lossy().into_owned();
            let output = self.cargo(&["test", "--test", &name])?;
            let text = String::from_utf8_lossy(&output.stdout);
            ensure!(text.contains("test result: "), "rbpf's tests/{name}.rs came to no end:\n{text}");
            for (test, passed) in results(&text) {
                tests.insert(format!("{name}::{test}"), passed);
            }
        }
        ensure!(!tests.is_empty(), "rbpf has no tests");
        Ok(tests)
    }

    /// Runs an example, and returns what it prints.
    fn example(&self, name: &str, args: &[&str]) -> Result<Vec<u8>> {
        // Without rbpf's Cranelift, which no example needs.
        let run = ["run", "--quiet", "--no-default-features", "--features", "std", "--example", name, "--"];
        let output = self.cargo(&[&run, args].concat())?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "rbpf's example {name}: {}\n{said}", output.status);
        Ok(output.stdout)
    }
}

/// The tests that a test program names, and whether they passed; those that it ignores are none.
fn results(output: &str) -> Vec<(&str, bool)> {
    let result = |line: &'_ str| -> Option<(usize, bool)> {
        let rest = line.strip_prefix("test ")?;
        let (name, word) = rest.rsplit_once(" ... ")?;
        let name = name.strip_suffix(" - should panic").unwrap_or(name);
        match word {
            "ok" => Some((name.len(), true)),
            "FAILED" => Some((name.len(), false)),
            _ => None,
        }
    };
    let named = |line| result(line).map(|(len, passed)| (&line["test ".len()..][..len], passed));
    output.lines().filter_map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(minor("rustc 1.85.1 (4eb161250 2025-03-15)"), Some(85));
        assert_eq!(minor("rustc 2.0.0"), None);
    }

    #[test]
    fn results_are_read() {
        let output = "running 4 tests\ntest a ... ok\ntest b - should panic ... FAILED\ntest c ... ignored\n\
                      test d - should panic ... ok\ntest result: FAILED. 2 passed\n";
        assert_eq!(results(output), [("a", true), ("b", false), ("d", true)]);
    }

    #[test]
    fn every_difference_has_a_reason_and_is_one() {
        let table = parse("# head\n\nbecause\n  f::a\n  f::b\nelse\n  f::c\n").expect("a table");
        assert_eq!(table["f::b"], "because");
        assert!(parse("  f::a\n").is_err() && parse("x\n  f::a\ny\n  f::a\n").is_err());
        let tests =
            |list: &[(&str, bool)]| list.iter().map(|(name, passed)| ((*name).to_owned(), *passed)).collect();
        let all = [("f::a", false), ("f::b", false), ("f::c", false), ("f::d", true)];
        assert!(faults(&tests(&all), &table).is_empty());
        let found = faults(&tests(&[("f::a", true), ("f::b", false), ("f::d", false)]), &table);
        assert_eq!(found.len(), 3, "{found:?}");
    }
}
