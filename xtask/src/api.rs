//! `cargo xtask api [--bless]`: the public interface of the public crates, as text, so that a change is seen in review.
//!
//! rustdoc tells what is public, in its JSON, with macros expanded and names resolved; `lab/api` writes that down in
//! lines. The JSON is not a stable interface of the toolchain, but stable Rust writes it when told so, in a format that
//! carries a number: a toolchain whose number is another one than `lab/api` reads is passed over, by name.

use crate::outcome::Outcome;
use crate::{cargo, checkers};
use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The crates whose interface is a promise (`skep` gives all of `skep-embedded` on). Those that are not born yet get their
/// snapshot with their first line.
const PUBLIC: [&str; 9] = [
    "skep",
    "skep-btf",
    "skep-codegen",
    "skep-embedded",
    "skep-isa",
    "skep-kernel",
    "skep-linux",
    "skep-machine",
    "skep-sys",
];

/// Where the snapshots are.
const FOLDER: &str = "docs/api";

const HEAD: &str = "# Made by `cargo xtask api --bless`: all that is public, with all features.\n";

/// The format that `lab/api` reads: that of the `rustdoc-types` below its `public-api`.
const FORMAT: u32 = 57;

/// What writes a crate down, apart from the workspace.
const WRITER: &str = "lab/api/Cargo.toml";

/// Compare the public interface of the public crates with the committed snapshots.
#[derive(Parser)]
#[command(name = "cargo xtask api")]
struct Options {
    /// Write the snapshots instead.
    #[arg(long)]
    bless: bool,
}

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    let Options { bless } =
        Options::parse_from(std::iter::once("api").chain(args.iter().map(String::as_str)));
    let here: Vec<_> = cargo::packages()?.into_iter().map(|package| package.name).collect();
    let public: Vec<_> = PUBLIC.into_iter().filter(|name| here.iter().any(|it| it == name)).collect();
    let toolchain = match Toolchain::choose(public[0])? {
        Ok(toolchain) => toolchain,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let folder = cargo::root().join(FOLDER);
    let snapshots = toolchain.snapshots(&public)?;
    if bless {
        write(&folder, &snapshots)?;
        return Ok(Outcome::Done(format!("{} crates", public.len())));
    }
    let changes = compare(&folder, &snapshots)?;
    if changes.is_empty() {
        let lines: usize = snapshots.values().map(|text| text.lines().count() - 1).sum();
        return Ok(Outcome::Done(format!("{lines} lines of {} crates are as committed", public.len())));
    }
    changes.iter().for_each(|change| println!("{change}"));
    Ok(Outcome::Failed(format!(
        "{} lines differ; if that is meant: `cargo xtask api --bless`",
        changes.len()
    )))
}

/// A toolchain whose rustdoc writes the format that is read here.
struct Toolchain {
    cargo: fn() -> Command,
}

impl Toolchain {
    /// Chooses the one that cargo runs on, else nightly; or says why neither will do.
    fn choose(probe: &str) -> Result<Result<Self, String>> {
        let mut reasons = Vec::new();
        let nightly = checkers::no_nightly().is_none().then_some(cargo::nightly as fn() -> Command);
        for cargo in [Some(cargo::cargo as fn() -> Command), nightly].into_iter().flatten() {
            let toolchain = Self { cargo };
            let json = fs::read_to_string(toolchain.rustdoc(probe)?)?;
            let format = format_of(&json).context("rustdoc's JSON does not say which format it is")?;
            if format == FORMAT {
                return Ok(Ok(toolchain));
            }
            reasons.push(format.to_string());
        }
        Ok(Err(format!("rustdoc here writes JSON of format {}, not {FORMAT}", reasons.join(" and "))))
    }

    /// The lines of each crate, by the name of its file.
    fn snapshots(&self, names: &[&str]) -> Result<BTreeMap<String, String>> {
        let described = names.iter().map(|name| self.rustdoc(name)).collect::<Result<Vec<_>>>()?;
        let mut writer = (self.cargo)();
        writer.args(["run", "--quiet", "--manifest-path", WRITER, "--"]).args(&described);
        let status = writer.env("CARGO_TARGET_DIR", target_dir()).status().context("cannot run cargo")?;
        ensure!(status.success(), "the crates are not written down ({status})");
        let mut snapshots = BTreeMap::new();
        for (name, json) in names.iter().zip(described) {
            let lines = fs::read_to_string(json.with_extension("txt")).with_context(|| (*name).to_owned())?;
            snapshots.insert(format!("{name}.txt"), format!("{HEAD}{lines}"));
        }
        Ok(snapshots)
    }

    /// Has rustdoc describe a crate, and returns where.
    fn rustdoc(&self, name: &str) -> Result<PathBuf> {
        let target = target_dir();
        let mut command = (self.cargo)();
        command.args(["rustdoc", "--quiet", "--lib", "--all-features", "--package", name]);
        command.args(["--", "-Zunstable-options", "--output-format=json", "--cap-lints=allow"]);
        command.env("CARGO_TARGET_DIR", &target).env("RUSTC_BOOTSTRAP", "1").env_remove("RUSTDOCFLAGS");
        let status = command.status().context("cannot run cargo rustdoc")?;
        ensure!(status.success(), "rustdoc does not describe {name} ({status})");
        Ok(target.join("doc").join(format!("{}.json", name.replace('-', "_"))))
    }
}

fn target_dir() -> PathBuf {
    cargo::target_dir().join("api")
}

/// The number of the format, wherever in the document it stands.
fn format_of(json: &str) -> Option<u32> {
    let (_, rest) = json.rsplit_once("\"format_version\":")?;
    let end = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

fn write(folder: &Path, snapshots: &BTreeMap<String, String>) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    for stale in strangers(folder, snapshots)? {
        fs::remove_file(folder.join(stale))?;
    }
    for (file, text) in snapshots {
        fs::write(folder.join(file), text).with_context(|| file.clone())?;
    }
    Ok(())
}

/// What differs from the committed snapshots, a line each.
fn compare(folder: &Path, snapshots: &BTreeMap<String, String>) -> Result<Vec<String>> {
    if !folder.is_dir() {
        bail!("no folder {}", folder.display());
    }
    let mut changes: Vec<_> =
        strangers(folder, snapshots)?.into_iter().map(|file| format!("{file}: of no public crate")).collect();
    for (file, now) in snapshots {
        let before = fs::read_to_string(folder.join(file)).unwrap_or_default();
        changes.extend(differences(&before, now).into_iter().map(|line| format!("{file}: {line}")));
    }
    Ok(changes)
}

/// Files in the folder that are no crate's.
fn strangers(folder: &Path, snapshots: &BTreeMap<String, String>) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !snapshots.contains_key(&name) {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

/// The lines that only one of two texts has, as often as it has more of them.
fn differences(before: &str, now: &str) -> Vec<String> {
    let mut balance: BTreeMap<&str, i64> = BTreeMap::new();
    before.lines().for_each(|line| *balance.entry(line).or_default() -= 1);
    now.lines().for_each(|line| *balance.entry(line).or_default() += 1);
    let changed = balance.into_iter().filter(|(_, count)| *count != 0);
    changed.map(|(line, count)| format!("{} {line}", if count < 0 { '-' } else { '+' })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_line_is_both_gone_and_new() {
        let (before, now) = ("fn a()\nfn b()\nfn c()\n", "fn a()\nfn b(u8)\nfn c()\nfn c()\n");
        assert_eq!(differences(before, now), ["- fn b()", "+ fn b(u8)", "+ fn c()"]);
        assert!(differences(before, before).is_empty());
    }

    #[test]
    fn missing_and_left_over_files_are_differences() {
        let folder = std::env::temp_dir().join(format!("xtask-api-{}", std::process::id()));
        let one = BTreeMap::from([("one.txt".to_owned(), "fn a()\n".to_owned())]);
        assert!(compare(&folder, &one).is_err());
        write(&folder, &one).expect("written");
        assert!(compare(&folder, &one).expect("compared").is_empty());
        let two = BTreeMap::from([("two.txt".to_owned(), "fn a()\n".to_owned())]);
        let changes = compare(&folder, &two).expect("compared");
        assert_eq!(changes, ["one.txt: of no public crate", "two.txt: + fn a()"]);
        fs::remove_dir_all(&folder).expect("removed");
    }

    #[test]
    fn the_format_is_found_at_the_end_of_the_document() {
        assert_eq!(format_of("{\"docs\":\"\\\"format_version\\\":1\",\"format_version\":57}"), Some(57));
        assert_eq!(format_of("{}"), None);
    }
}
