//! The bugs planted in the compiler and the engines behind it: each is put into a copy of what is needed of the workspace, and
//! the test that its file names has to fail there, found by whom the file says.
//!
//! The copy stays in `target/planted/compiler` and is brought up to date by content, so that each bug builds again only what
//! depends on the crate that it is in.

use super::{Planted, all, field};
use crate::cargo::{cargo, executables, root, target_dir};
use crate::files;
use crate::outcome::Outcome;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const FOLDER: &str = "lab/planted/compiler";

/// What is copied of the workspace: what the tests need, and what those depend on.
const COPIED: [&str; 8] = [
    "base",
    "user/embedded",
    "user/linux",
    "lab/escape",
    "lab/filetests",
    "lab/seam",
    "lab/trace",
    "lab/world",
];
/// The members of the copy.
const MEMBERS: &str =
    r#"members = ["base/*", "user/embedded", "user/linux", "lab/escape", "lab/filetests", "lab/world"]"#;

/// What a test may take before the bug counts as not found.
const TEST_LIMIT: Duration = Duration::from_secs(120);

/// One planted bug.
struct Bug {
    planted: Planted,
    /// The test that has to fail.
    test: Test,
    /// Who finds it.
    finder: Finder,
}

/// A test of the workspace, as a bug's file names it: package, test target and, if need be, a part of the test's name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Test {
    package: String,
    target: String,
    filter: Option<String>,
}

/// What says that something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Finder {
    name: &'static str,
    /// Stands in what the failing test prints.
    says: &'static [&'static str],
}

/// The checkers of the compiler, in the order in which they come to see a program; what none of them notices a comparison
/// must.
const FINDERS: [Finder; 8] = [
    Finder { name: "ssa::verify", says: &["\nbuilt: ", "\nafter passes: "] },
    Finder { name: "bounds check", says: &["\nbounds: "] },
    Finder { name: "alloc::check", says: &["\nallocation: "] },
    Finder { name: "held check", says: &["\noperations: "] },
    Finder { name: "covering check", says: &[": the access has no check"] },
    Finder { name: "campaign", says: &["escape: seed "] },
    Finder { name: "evaluator", says: &["evaluates to something else after "] },
    Finder { name: "comparison", says: &[""] },
];

/// Which bugs to plant.
pub(super) enum Choice<'a> {
    /// Every one.
    All,
    /// One in three of those that a checker finds, and at least one of each.
    Short,
    /// Those that are named.
    Named(&'a [&'a str]),
}

/// One bug in so many is planted in the short form.
const SHORT: usize = 3;

/// Plants one after the other.
pub(super) fn run(choice: &Choice<'_>) -> Result<Outcome> {
    let bugs = all(FOLDER)?.into_iter().map(parse).collect::<Result<Vec<_>>>()?;
    // Also of those that are not chosen: what no longer stands in the source is noticed by the short form too.
    bugs.iter().try_for_each(|bug| bug.planted.plant().map(drop))?;
    let mut bugs = choice.of(bugs)?;
    // What is in one crate is built anew once for each; whatever lies between is built twice more.
    bugs.sort_by(|one, other| one.planted.file.cmp(&other.planted.file));
    let copy = Copy::update()?;
    let mut tests: Vec<&Test> = Vec::new();
    for bug in &bugs {
        if !tests.contains(&&bug.test) {
            tests.push(&bug.test);
        }
    }
    for test in tests {
        let ran = copy.run(test)?;
        ensure!(ran.passed, "{test} fails without any bug:\n{}", ran.output);
    }
    let mut wrong = Vec::new();
    for bug in &bugs {
        let begin = Instant::now();
        let found = copy.find(bug);
        let seconds = begin.elapsed().as_secs_f64();
        match found {
            Ok(()) => println!("{:<28} {seconds:>5.1} s  {}", bug.planted.name, bug.finder.name),
            Err(error) => {
                println!("{:<28} {seconds:>5.1} s  {error:#}", bug.planted.name);
                wrong.push(bug.planted.name.as_str());
            }
        }
    }
    if !wrong.is_empty() {
        return Ok(Outcome::Failed(format!(
            "of {} bugs not found as said: {}",
            bugs.len(),
            wrong.join(", ")
        )));
    }
    let by = |finder: &Finder| {
        let count = bugs.iter().filter(|bug| bug.finder == *finder).count();
        format!("{count} by {}", finder.name)
    };
    let counts: Vec<_> = FINDERS.iter().map(by).collect();
    Ok(Outcome::Done(format!("{} bugs found, {}", bugs.len(), counts.join(", "))))
}

impl Choice<'_> {
    fn of(&self, mut bugs: Vec<Bug>) -> Result<Vec<Bug>> {
        match self {
            Self::All => {}
            Self::Short => {
                let mut seen = [0; FINDERS.len()];
                bugs.retain(|bug| {
                    let finder = FINDERS.iter().position(|finder| *finder == bug.finder);
                    let count = finder.and_then(|index| seen.get_mut(index)).expect("a finder of the table");
                    *count += 1;
                    *count % SHORT == 1
                });
            }
            Self::Named(names) => {
                let is_known = |name: &&&str| bugs.iter().any(|bug| bug.planted.name == **name);
                if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
                    bail!("no bug is called `{unknown}`");
                }
                bugs.retain(|bug| names.contains(&bug.planted.name.as_str()));
            }
        }
        Ok(bugs)
    }
}

fn parse(planted: Planted) -> Result<Bug> {
    let test = field(&planted.text, "test").and_then(|words| Test::parse(&words));
    let test = test.with_context(|| planted.name.clone())?;
    let name = field(&planted.text, "found by").with_context(|| planted.name.clone())?;
    let finder = FINDERS.into_iter().find(|finder| finder.name == name);
    let finder = finder.with_context(|| format!("{}: `{name}` finds nothing", planted.name))?;
    Ok(Bug { planted, test, finder })
}

impl Test {
    fn parse(words: &str) -> Result<Self> {
        let words: Vec<_> = words.split_whitespace().map(str::to_owned).collect();
        match &words[..] {
            [package, target] => Ok(Self { package: package.clone(), target: target.clone(), filter: None }),
            [package, target, filter] => {
                Ok(Self { package: package.clone(), target: target.clone(), filter: Some(filter.clone()) })
            }
            _ => bail!("a test is `PACKAGE TARGET [PART OF A NAME]`"),
        }
    }
}

impl std::fmt::Display for Test {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.package, self.target, self.filter.as_deref().unwrap_or(""))
    }
}

/// The copy of the workspace.
struct Copy {
    dir: PathBuf,
}

/// What a test came to.
struct Ran {
    passed: bool,
    output: String,
}

impl Copy {
    /// Makes it what the workspace is, and touches nothing that is already.
    fn update() -> Result<Self> {
        let dir = target_dir().join("planted/compiler");
        for folder in COPIED {
            mirror(&root().join(folder), &dir.join(folder))?;
        }
        let manifest = fs::read_to_string(root().join("Cargo.toml")).context("Cargo.toml")?;
        write_changed(&dir.join("Cargo.toml"), reduced(&manifest)?.as_bytes())?;
        let lock = fs::read(root().join("Cargo.lock")).context("Cargo.lock")?;
        // What is not needed here cargo takes out of it; it must not be put back each time.
        if !dir.join("Cargo.lock").exists() {
            write_changed(&dir.join("Cargo.lock"), &lock)?;
        }
        Ok(Self { dir })
    }

    /// Plants a bug, demands that it is found, and takes it away.
    fn find(&self, bug: &Bug) -> Result<()> {
        let path = self.dir.join(&bug.planted.file);
        let right = fs::read(&path).with_context(|| path.display().to_string())?;
        fs::write(&path, bug.planted.plant()?).with_context(|| path.display().to_string())?;
        let ran = self.run(&bug.test);
        fs::write(&path, right).with_context(|| path.display().to_string())?;
        let ran = ran?;
        ensure!(!ran.passed, "NOT FOUND: {} passes", bug.test);
        let finder = FINDERS.iter().find(|finder| finder.says.iter().any(|says| ran.output.contains(says)));
        let finder = finder.context("nobody says what is wrong")?;
        let log = self.dir.join(format!("{}.log", bug.planted.name));
        fs::write(&log, &ran.output)?;
        ensure!(finder == &bug.finder, "found by {}, not by {}", finder.name, bug.finder.name);
        Ok(())
    }

    /// Builds a test, which must succeed, and runs it.
    fn run(&self, test: &Test) -> Result<Ran> {
        let mut build = cargo();
        // Crates of two workspaces that lie alike have the same names in a target folder.
        build.current_dir(&self.dir).env("CARGO_TARGET_DIR", self.dir.join("target"));
        // One crate is built many times, changed by one token.
        build.env("CARGO_INCREMENTAL", "1");
        build.args(["test", "--quiet", "--offline", "--no-run", "--message-format=json"]);
        build.args(["--package", &test.package, "--test", &test.target]);
        let output = build.stderr(Stdio::piped()).output().context("cannot run cargo")?;
        if !output.status.success() {
            bail!("{test} does not build:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        let programs = executables(&String::from_utf8_lossy(&output.stdout));
        // A package's programs are built for its tests, too.
        let is_test = |path: &&PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.strip_prefix(test.target.as_str()).is_some_and(|rest| rest.starts_with('-'))
        };
        let program = programs.iter().find(is_test).with_context(|| format!("cargo built no {test}"))?;
        let package = test.package.strip_prefix("skep-").unwrap_or(&test.package);
        let folder = match package.strip_prefix("lab-") {
            Some(name) => self.dir.join("lab").join(name),
            None => {
                let tops = ["base", "user"].map(|top| self.dir.join(top).join(package));
                tops.into_iter()
                    .find(|folder| folder.exists())
                    .with_context(|| format!("no folder of {test}"))?
            }
        };
        let log = self.dir.join("test.log");
        let file = fs::File::create(&log).with_context(|| log.display().to_string())?;
        let mut command = Command::new(program);
        command.args(&test.filter).current_dir(folder).stdin(Stdio::null());
        let mut child =
            command.stdout(file.try_clone()?).stderr(file).spawn().context("cannot run the test")?;
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if begin.elapsed() > TEST_LIMIT {
                child.kill()?;
                child.wait()?;
                bail!("{test} is still running after {} s", TEST_LIMIT.as_secs());
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let output = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        let ran = output.lines().any(|line| line.starts_with("running ") && line != "running 0 tests");
        ensure!(ran, "{test}: no test ran\n{output}");
        Ok(Ran { passed: status.success(), output })
    }
}

/// The workspace's manifest with the members of the copy alone.
fn reduced(manifest: &str) -> Result<String> {
    let mut found = 0;
    let mut lines = Vec::new();
    for line in manifest.lines() {
        if line.starts_with("members = ") {
            found += 1;
            lines.push(MEMBERS);
        } else if !line.starts_with("exclude = ") && !line.starts_with("default-members = ") {
            lines.push(line);
        }
    }
    ensure!(found == 1, "{found} lines of Cargo.toml name members");
    lines.push("");
    Ok(lines.join("\n"))
}

/// Makes a folder's files those of another.
fn mirror(from: &Path, to: &Path) -> Result<()> {
    let is_product = |path: &Path| path.components().any(|part| part.as_os_str() == "target");
    let relative =
        |dir: &Path, path: &Path| path.strip_prefix(dir).map(Path::to_path_buf).unwrap_or_default();
    for path in files::below(from)? {
        let name = relative(from, &path);
        if !is_product(&name) {
            let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
            write_changed(&to.join(name), &bytes)?;
        }
    }
    for path in files::below(to)? {
        let name = relative(to, &path);
        if !from.join(&name).exists() {
            fs::remove_file(&path).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

fn write_changed(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|before| before == bytes) {
        return Ok(());
    }
    let dir = path.parent().context("a file in no folder")?;
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    fs::write(path, bytes).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planted::tests::each_is_one_token;

    #[test]
    fn each_bug_is_one_token_in_a_place_of_its_own() {
        let count = each_is_one_token(FOLDER);
        assert!(count >= 20, "{count} are planted");
    }

    #[test]
    fn each_checker_finds_one_at_least() {
        let bugs = all(FOLDER).unwrap().into_iter().map(|planted| parse(planted).unwrap());
        let found: Vec<_> = bugs.map(|bug| bug.finder.name).collect();
        for finder in FINDERS {
            assert!(found.contains(&finder.name), "{} finds none", finder.name);
        }
    }

    #[test]
    fn the_copy_has_members_of_its_own() {
        let manifest = "[workspace]\nmembers = [\"a\"]\nexclude = [\"b\"]\n[profile.dev]\ndebug = 1\n";
        let reduced = reduced(manifest).unwrap();
        assert_eq!(reduced, format!("[workspace]\n{MEMBERS}\n[profile.dev]\ndebug = 1\n"));
        assert!(super::reduced("[workspace]\n").is_err());
    }
}
