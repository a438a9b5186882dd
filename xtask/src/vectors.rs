//! `cargo xtask vectors [--check]`: compiles every committed BPF object again.
//!
//! `lab/vectors/objects.txt` is the table of objects. Compiled by the same package of clang, an object is the same to
//! the byte, wherever the repository lies; `lab/vectors/compiler.txt` names the package that made the committed ones.
//! With `--check` nothing is written: another compiler must accept all sources, the same one must give the same bytes.

use crate::cargo::{root, target_dir};
use crate::outcome::Outcome;
use crate::tools;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The compiler, which is also the name of Debian's package.
const COMPILER: &str = "clang-19";

const TABLE: &str = "lab/vectors/objects.txt";
const COMPILER_RECORD: &str = "lab/vectors/compiler.txt";
const PACKET: &str = "lab/vectors/packet.hex";
const RECORD_HEAD: &str = "# Made by `cargo xtask vectors`: the compiler of every committed BPF object.\n";

/// Objects below it are made by `cargo xtask compilers rust`.
const RUST_FOLDER: &str = "lab/vectors/rust/";

/// Folders in which each `.bpf.c`, `.bpf.rs` and `.bpf.o` has to be in the table.
const FOLDERS: [&str; 3] = ["examples", "lab/shapes", "lab/vectors"];

/// What clang is told for every object. No header but our own is in reach, overflow wraps as it does in the kernel's
/// own C, and no path outside the repository gets into an object.
const USUAL_ARGS: &[&str] = &[
    "-O2",
    "-g",
    "-std=gnu11",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-nostdinc",
    "-ffreestanding",
    "-fwrapv",
    "-fdebug-compilation-dir=.",
    "-Iexamples/include",
    "-target",
    "bpfel",
    "-mcpu=v3",
    "-c",
];

/// What becomes of an object when somebody loads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// It loads, and its programs return 0 on the packet of the vectors.
    Run,
    /// It loads; what its programs do depends on where they are attached.
    Load,
    /// It is read and shown, never loaded.
    Parse,
    /// It is read, and no kernel loads it.
    Reject,
    /// It is not even read.
    Refuse,
}

const EXPECTS: [(&str, Expect); 5] = [
    ("run", Expect::Run),
    ("load", Expect::Load),
    ("parse", Expect::Parse),
    ("reject", Expect::Reject),
    ("refuse", Expect::Refuse),
];

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Object {
    /// The object's path without `.bpf.o`.
    pub(crate) stem: String,
    /// What becomes of it.
    pub(crate) expect: Expect,
    /// What clang is told besides the usual.
    pub(crate) args: Vec<String>,
}

impl Object {
    /// The object's path, relative to the workspace.
    pub(crate) fn object(&self) -> PathBuf {
        PathBuf::from(format!("{}.bpf.o", self.stem))
    }

    /// Whether its source is in Rust, and not in C.
    pub(crate) fn is_rust(&self) -> bool {
        self.stem.starts_with(RUST_FOLDER)
    }

    /// The source: variants of one differ behind the dot in their last part.
    pub(crate) fn source(&self) -> PathBuf {
        let (folder, name) = self.stem.rsplit_once('/').unwrap_or(("", &self.stem));
        let name = name.split('.').next().unwrap_or(name);
        Path::new(folder).join(format!("{name}.bpf.{}", if self.is_rust() { "rs" } else { "c" }))
    }
}

/// Compiles every object, or with `--check` compares with the committed ones.
pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    let objects = objects()?;
    refuse_strangers(&objects)?;
    let objects: Vec<_> = objects.into_iter().filter(|object| !object.is_rust()).collect();
    match args {
        [] => build(&objects),
        [word] if word == "--check" => check(&objects),
        _ => bail!("usage: cargo xtask vectors [--check]"),
    }
}

/// The rows of the table.
pub(crate) fn objects() -> Result<Vec<Object>> {
    let table =
        std::fs::read_to_string(root().join(TABLE)).with_context(|| format!("cannot read {TABLE}"))?;
    parse_table(&table)
}

/// The packet that the programs of the vectors run on.
pub(crate) fn packet() -> Result<Vec<u8>> {
    let text =
        std::fs::read_to_string(root().join(PACKET)).with_context(|| format!("cannot read {PACKET}"))?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let bytes = lines.flat_map(str::split_whitespace).map(|byte| u8::from_str_radix(byte, 16));
    bytes.collect::<Result<_, _>>().with_context(|| format!("{PACKET} is not in hexadecimal"))
}

/// Compiles one source to one object; paths are relative to the workspace or absolute.
pub(crate) fn compile(clang: &Path, source: &Path, object: &Path, more_args: &[String]) -> Result<()> {
    compile_by(Command::new(clang), source, object, more_args)
}

/// Compiles likewise, by a command that is a compiler.
pub(crate) fn compile_by(
    mut clang: Command,
    source: &Path,
    object: &Path,
    more_args: &[String],
) -> Result<()> {
    if let Some(folder) = object.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let output = clang
        .current_dir(root())
        .args(USUAL_ARGS)
        .arg(format!("-ffile-prefix-map={}=.", root().display()))
        .args(more_args)
        .arg(source)
        .arg("-o")
        .arg(object)
        .output()
        .context("cannot run clang")?;
    ensure!(
        output.status.success(),
        "{}: clang says\n{}",
        source.display(),
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(())
}

/// The compiler, or why there is none.
pub(crate) fn compiler() -> Result<PathBuf, String> {
    tools::find(COMPILER).ok_or_else(|| format!("{COMPILER} (Debian's package {COMPILER}) is not installed"))
}

fn build(objects: &[Object]) -> Result<Outcome> {
    let clang = match compiler() {
        Ok(clang) => clang,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    for object in objects {
        compile(&clang, &object.source(), &root().join(object.object()), &object.args)?;
    }
    let record = format!("{RECORD_HEAD}{}\n", version(&clang)?);
    std::fs::write(root().join(COMPILER_RECORD), record).context("cannot write the compiler's record")?;
    Ok(Outcome::Done(format!("{} objects", objects.len())))
}

fn check(objects: &[Object]) -> Result<Outcome> {
    let clang = match compiler() {
        Ok(clang) => clang,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let here = version(&clang)?;
    let record = std::fs::read_to_string(root().join(COMPILER_RECORD)).unwrap_or_default();
    let there = record.lines().find(|line| !line.starts_with('#')).unwrap_or("nobody");
    let scratch = target_dir().join("vectors");
    let mut different = Vec::new();
    for object in objects {
        let fresh = scratch.join(object.object());
        compile(&clang, &object.source(), &fresh, &object.args)?;
        let fresh = std::fs::read(&fresh).with_context(|| format!("cannot read {}", fresh.display()))?;
        // A missing file is a difference, and it is named as one.
        if std::fs::read(root().join(object.object())).ok() != Some(fresh) {
            different.push(object.object().display().to_string());
        }
    }
    if here != there {
        let note = "all sources compile, and bytes were not compared: the committed objects were made by";
        return Ok(Outcome::Skipped(format!("{note} `{there}`, here is `{here}`")));
    }
    ensure!(different.is_empty(), "run `cargo xtask vectors`: these differ: {}", different.join(", "));
    Ok(Outcome::Done(format!("{} objects are as compiled by {here}", objects.len())))
}

/// The first line of what the compiler says about itself.
pub(crate) fn version(clang: &Path) -> Result<String> {
    version_by(Command::new(clang))
}

/// The same of a command that is a compiler.
pub(crate) fn version_by(mut clang: Command) -> Result<String> {
    let output = clang.arg("--version").output().context("cannot ask clang for its version")?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().context("clang did not say its version")?.trim().to_owned())
}

fn parse_table(text: &str) -> Result<Vec<Object>> {
    let mut objects = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let object = parse_row(line).with_context(|| format!("{TABLE}, line {}", index + 1))?;
        ensure!(
            seen.insert(object.stem.clone()),
            "{TABLE}, line {}: {} stands there twice",
            index + 1,
            object.stem
        );
        objects.push(object);
    }
    Ok(objects)
}

fn parse_row(line: &str) -> Result<Object> {
    let mut words = line.split_whitespace().map(str::to_owned);
    let stem = words.next().context("no object")?;
    let expect = words.next().context("what is expected is missing")?;
    let since = words.next().context("since which version is missing")?;
    let known = EXPECTS.iter().find(|(word, _)| *word == expect);
    let (_, expect) =
        known.with_context(|| format!("`{expect}` is none of run, load, parse, reject, refuse"))?;
    let loads = matches!(expect, Expect::Run | Expect::Load);
    ensure!(loads != (since == "-"), "`{since}`: a version stands where something loads, and only there");
    ensure!(since == "-" || is_release(&since), "`{since}` is no version of Linux");
    Ok(Object { stem, expect: *expect, args: words.collect() })
}

/// Whether this is two numbers with a dot between.
fn is_release(text: &str) -> bool {
    let number = |part: &str| part.parse::<u16>().is_ok();
    text.split_once('.').is_some_and(|(major, minor)| number(major) && number(minor))
}

/// Fails if a source or an object lies in one of the folders and in no row.
fn refuse_strangers(objects: &[Object]) -> Result<()> {
    let known: BTreeSet<PathBuf> =
        objects.iter().flat_map(|object| [object.source(), object.object()]).collect();
    let mut strangers = Vec::new();
    for folder in FOLDERS {
        bpf_files(&root(), Path::new(folder), &mut |file| {
            if !known.contains(file) {
                strangers.push(file.display().to_string());
            }
        })?;
    }
    ensure!(strangers.is_empty(), "not in {TABLE}: {}", strangers.join(", "));
    Ok(())
}

/// Tells of each `.bpf.c`, `.bpf.rs` and `.bpf.o` below a folder, by its path relative to `base`.
fn bpf_files(base: &Path, folder: &Path, tell: &mut impl FnMut(&Path)) -> Result<()> {
    let entries =
        std::fs::read_dir(base.join(folder)).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
        let path = folder.join(entry.file_name());
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().with_context(|| format!("cannot look at {}", path.display()))?.is_dir() {
            if name != "target" {
                bpf_files(base, &path, tell)?;
            }
        } else if name.ends_with(".bpf.c") || name.ends_with(".bpf.rs") || name.ends_with(".bpf.o") {
            tell(&path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_share_a_source() {
        let rows =
            parse_table("# head\n\na/b/c.v1 run 5.10 -mcpu=v1\na/b/c.be parse - -target bpfeb\n").unwrap();
        assert_eq!(rows[0].source(), Path::new("a/b/c.bpf.c"));
        assert_eq!(rows[1].source(), Path::new("a/b/c.bpf.c"));
        assert_eq!(rows[1].object(), Path::new("a/b/c.be.bpf.o"));
        assert_eq!(rows[1].args, ["-target", "bpfeb"]);
    }

    #[test]
    fn mistakes_in_the_table_are_told_with_their_line() {
        for (table, told) in [
            ("a", "what is expected is missing"),
            ("a runs 5.10", "`runs` is none of"),
            ("a run -", "a version stands where something loads"),
            ("a parse 5.10", "a version stands where something loads"),
            ("a run five", "no version of Linux"),
            ("a run 5.10\na run 5.10", "line 2: a stands there twice"),
        ] {
            let error = format!("{:#}", parse_table(table).unwrap_err());
            assert!(error.contains(told), "{error}");
            assert!(error.contains("line "), "{error}");
        }
    }

    #[test]
    fn committed_table_covers_the_committed_files() {
        let table = std::fs::read_to_string(root().join(TABLE)).unwrap();
        let objects = parse_table(&table).unwrap();
        refuse_strangers(&objects).unwrap();
        for object in &objects {
            assert!(root().join(object.object()).is_file(), "{} is not committed", object.object().display());
            assert!(root().join(object.source()).is_file(), "{} is not committed", object.source().display());
        }
    }
}
