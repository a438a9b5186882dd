//! Where unsafe code lives, and how much of it.
//!
//! Unsafe code has an address: the rooms listed in `xtask/rooms.txt`, each with a budget of lines
//! (`rust_text::unsafe_lines` says what counts). A room's `tests/` are not counted: nothing links them. Everywhere
//! else the keyword does not occur and the workspace's `unsafe_code = "forbid"` is in force.
//!
//! `base/` is without `std`: each crate says so, and all of them together link into a binary that has no `std` to offer.

use crate::cargo::{self, Package};
use crate::outcome::Outcome;
use crate::rust_text;
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use toml::Table;

const BUDGETS: &str = "xtask/rooms.txt";

/// One room and the number of unsafe lines it may have.
struct Room {
    dir: String,
    budget: usize,
}

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    if let Some(word) = args.first() {
        bail!("`rooms` takes no `{word}`");
    }
    let root = cargo::root();
    let rooms = parse_budgets(&fs::read_to_string(root.join(BUDGETS)).context(BUDGETS)?)?;
    let packages = cargo::packages()?;
    let mut faults = Vec::new();
    let mut report = String::new();
    for room in &rooms {
        check_budget(&root, room, &mut faults, &mut report)?;
    }
    check_outside(&root, &rooms, &mut faults)?;
    check_lints(&root, &rooms, &packages, &mut faults)?;
    check_without_std(&root, &packages, &mut faults)?;
    print!("{report}");
    if !faults.is_empty() {
        bail!("\n  {}", faults.join("\n  "));
    }
    Ok(Outcome::Done(format!("{} rooms", rooms.len())))
}

fn parse_budgets(text: &str) -> Result<Vec<Room>> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (dir, budget) = line.split_once(' ').with_context(|| format!("{BUDGETS}: `{line}`"))?;
            let budget = budget.trim().parse().with_context(|| format!("{BUDGETS}: `{line}`"))?;
            Ok(Room { dir: dir.to_owned(), budget })
        })
        .collect()
}

fn check_budget(root: &Path, room: &Room, faults: &mut Vec<String>, report: &mut String) -> Result<()> {
    let dir = root.join(&room.dir);
    if !dir.exists() {
        return Ok(());
    }
    let mut lines = 0;
    for file in rust_files(&dir)? {
        if !file.starts_with(dir.join("tests")) {
            lines += rust_text::unsafe_lines(&read(&file)?);
        }
    }
    writeln!(report, "{:<17} {lines:>4} unsafe lines of {}", room.dir, room.budget)?;
    if lines > room.budget {
        faults.push(format!("{}: {lines} unsafe lines, {BUDGETS} allows {}", room.dir, room.budget));
    }
    Ok(())
}

fn check_outside(root: &Path, rooms: &[Room], faults: &mut Vec<String>) -> Result<()> {
    for file in rust_files(root)? {
        let short = file.strip_prefix(root).unwrap_or(&file);
        if rooms.iter().any(|room| short.starts_with(&room.dir)) {
            continue;
        }
        for line in rust_text::unsafe_places(&read(&file)?) {
            faults.push(format!("{}:{line}: unsafe code outside the rooms", short.display()));
        }
    }
    Ok(())
}

/// Every crate inherits the workspace's lints; a room, which cannot (its `unsafe_code` differs), repeats them.
fn check_lints(root: &Path, rooms: &[Room], packages: &[Package], faults: &mut Vec<String>) -> Result<()> {
    let workspace = manifest(&root.join("Cargo.toml"))?;
    let wanted = lints(&workspace["workspace"], "[workspace.lints]")?;
    if level(wanted, "rust", "unsafe_code").as_deref() != Some("forbid") {
        faults.push("Cargo.toml: [workspace.lints.rust] does not forbid unsafe_code".to_owned());
    }
    let mut dirs: Vec<PathBuf> = packages.iter().map(|package| package.dir.clone()).collect();
    // Crates that are no members of the workspace repeat the lints too.
    for entry in fs::read_dir(root.join("lab")).context("lab")? {
        let dir = Path::new("lab").join(entry?.file_name());
        if root.join(&dir).join("Cargo.toml").exists() && !dirs.contains(&dir) {
            dirs.push(dir);
        }
    }
    for dir in dirs {
        let is_room = rooms.iter().any(|room| dir == Path::new(&room.dir));
        let is_member = packages.iter().any(|package| package.dir == dir);
        let name = dir.join("Cargo.toml");
        let own = manifest(&root.join(&name))?;
        let own = match own.get("lints").and_then(toml::Value::as_table) {
            Some(lints) => lints,
            None => {
                faults.push(format!("{}: no [lints]", name.display()));
                continue;
            }
        };
        if own.get("workspace").and_then(toml::Value::as_bool) == Some(true) {
            continue;
        }
        if !is_room && is_member {
            faults.push(format!("{}: [lints] does not say `workspace = true`", name.display()));
            continue;
        }
        if !is_room && level(own, "rust", "unsafe_code").as_deref() != Some("forbid") {
            faults.push(format!("{}: [lints.rust] does not forbid unsafe_code", name.display()));
        }
        for missing in missing_lints(wanted, own) {
            faults
                .push(format!("{}: [lints] does not repeat the workspace's lint {missing}", name.display()));
        }
    }
    Ok(())
}

fn missing_lints(wanted: &Table, own: &Table) -> Vec<String> {
    let mut missing = Vec::new();
    for (tool, list) in wanted {
        for lint in list.as_table().into_iter().flat_map(Table::keys) {
            if lint != "unsafe_code" && level(own, tool, lint) != level(wanted, tool, lint) {
                missing.push(format!("{tool}::{lint}"));
            }
        }
    }
    missing
}

/// A lint's level, from either way to write it (`"warn"`, `{ level = "warn", … }`).
fn level(lints: &Table, tool: &str, lint: &str) -> Option<String> {
    let value = lints.get(tool)?.get(lint)?;
    let value = value.as_str().or_else(|| value.get("level")?.as_str())?;
    Some(value.to_owned())
}

fn lints<'a>(table: &'a toml::Value, what: &str) -> Result<&'a Table> {
    table.get("lints").and_then(toml::Value::as_table).with_context(|| format!("Cargo.toml has no {what}"))
}

fn manifest(path: &Path) -> Result<Table> {
    read(path)?.parse().with_context(|| path.display().to_string())
}

fn check_without_std(root: &Path, packages: &[Package], faults: &mut Vec<String>) -> Result<()> {
    for package in packages.iter().filter(|package| package.dir.starts_with("base")) {
        let file = package.dir.join("src/lib.rs");
        let code = rust_text::code_only(&read(&root.join(&file))?);
        let is_said = code.lines().any(|line| {
            let line: String = line.chars().filter(|c| !c.is_whitespace()).collect();
            line.starts_with("#![no_std]")
                || (line.starts_with("#![cfg_attr(not(")
                    && line.ends_with("),no_std)]")
                    && !line.contains("feature"))
        });
        if !is_said {
            faults.push(format!("{}: a crate of base/ without #![no_std]", file.display()));
        }
    }
    Ok(())
}

/// Every `.rs` file below `dir` that is not a build product.
fn rust_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
            let entry = entry?;
            let path = entry.path();
            let name = entry.file_name();
            if entry.file_type()?.is_dir() {
                if name != "target" && !name.to_string_lossy().starts_with('.') {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        text.parse().expect("a table")
    }

    #[test]
    fn a_room_repeats_every_lint_but_unsafe_code() {
        let wanted = table(
            "[rust]\nunsafe_code = \"forbid\"\nmissing_docs = \"warn\"\n[clippy]\nall = { level = \"warn\", priority = -1 }",
        );
        let own = table("[rust]\nunsafe_code = \"allow\"\nmissing_docs = \"warn\"\n[clippy]\nall = \"warn\"");
        assert!(missing_lints(&wanted, &own).is_empty());
        let own = table("[rust]\nmissing_docs = \"allow\"");
        assert_eq!(missing_lints(&wanted, &own), ["clippy::all", "rust::missing_docs"]);
    }

    #[test]
    fn budgets_are_lines_of_a_folder_and_a_number() {
        let rooms = parse_budgets("# why\n\nbase/sys 12\n").expect("budgets");
        assert_eq!((rooms[0].dir.as_str(), rooms[0].budget, rooms.len()), ("base/sys", 12, 1));
        assert!(parse_budgets("base/sys").is_err());
        assert!(parse_budgets("base/sys many").is_err());
    }

    #[test]
    fn the_rooms_of_the_design_and_no_others() {
        let text = fs::read_to_string(cargo::root().join(BUDGETS)).expect("the budgets");
        let rooms = parse_budgets(&text).expect("budgets");
        let dirs: Vec<_> = rooms.iter().map(|room| room.dir.as_str()).collect();
        assert_eq!(
            dirs,
            [
                "base/mem",
                "base/sys",
                "base/vm",
                "lab/bare",
                "lab/bench",
                "lab/corpus",
                "lab/escape",
                "lab/filetests",
                "lab/rbpf-compat",
                "lab/vectors/rust",
                "user/cli",
                "user/embedded",
                "user/linux"
            ]
        );
    }
}
