//! `cargo xtask compilers`: compiles the vectors with every clang that Debian has, and with rustc and bpf-linker, and uses
//! what comes out.
//!
//! What users load was made by whatever clang they have, and compilers differ in the sections, relocations, types and
//! instructions that they write. So each object of each compiler has to be read, shown, decoded, written as text and
//! assembled again, and to load, run and be refused where the committed one is.

mod clang;
mod judge;
mod rust;

use crate::outcome::Outcome;
use crate::vectors::{self, Expect, Object};
use crate::{cargo, debian, tools};
use anyhow::{Context, Result, bail};
use clang::Clang;
use clap::Parser;
use judge::{Judge, Verdict};
use rust::Rust;
use std::collections::BTreeMap;
use std::path::Path;

/// A version of clang, and the Debian release that has it.
struct Source {
    version: u32,
    release: &'static str,
}

const SOURCES: [Source; 7] = [
    Source { version: 13, release: "bookworm" },
    Source { version: 14, release: "bookworm" },
    Source { version: 15, release: "bookworm" },
    Source { version: 16, release: "bookworm" },
    Source { version: 17, release: "trixie" },
    Source { version: 18, release: "trixie" },
    Source { version: 19, release: "bookworm" },
];

/// What a source needs of the compiler: the first version that has it.
struct Need {
    /// An argument in its row, or the end of its stem.
    of: &'static str,
    since: u32,
    what: &'static str,
}

const NEEDS: &[Need] = &[
    Need { of: "-mcpu=v4", since: 18, what: "-mcpu=v4" },
    Need { of: "code/edges.v3", since: 15, what: "the assembly of code/edges" },
    Need { of: "code/may_goto", since: 19, what: "`may_goto`" },
    Need { of: "code/context_arguments", since: 14, what: "tags on declarations" },
    Need { of: "btf/core", since: 15, what: "the relocation of matching types" },
    Need { of: "btf/core.be", since: 15, what: "the relocation of matching types" },
    // Until then the register was in the immediate, where no kernel and no document has it.
    Need { of: "refused/call_by_register", since: 19, what: "calls by the register in the right field" },
];

impl Need {
    fn is_of(&self, object: &Object) -> bool {
        object.stem.ends_with(self.of) || object.args.iter().any(|arg| arg == self.of)
    }
}

/// Compile the vectors with every clang that Debian has, and with rustc and bpf-linker, and use what comes out.
#[derive(Parser)]
#[command(name = "cargo xtask compilers")]
struct Options {
    /// The versions of clang to try, or `rust`; all unless said.
    compilers: Vec<String>,
    /// Commit what rustc and bpf-linker make. (`cargo xtask vectors` does that with clang's.)
    #[arg(long)]
    keep: bool,
}

/// What objects are made by.
enum Compiler {
    Clang(u32, Clang),
    Rust(Rust),
}

impl Compiler {
    fn name(&self) -> String {
        match self {
            Self::Clang(version, _) => format!("clang-{version}"),
            Self::Rust(_) => RUST.to_owned(),
        }
    }

    fn version(&self) -> Result<String> {
        match self {
            Self::Clang(_, clang) => clang.version(),
            Self::Rust(rust) => rust.version(),
        }
    }

    /// What the object needs and this compiler lacks.
    fn lacks(&self, object: &Object) -> Option<&'static str> {
        let Self::Clang(version, _) = self else { return None };
        NEEDS.iter().find(|need| *version < need.since && need.is_of(object)).map(|need| need.what)
    }

    fn compile(&self, object: &Object, file: &Path) -> Result<()> {
        match self {
            Self::Clang(_, clang) => {
                // What it warns of is of no interest: the sources are for the compiler of the committed objects.
                let args = [object.args.as_slice(), &["-w".to_owned()]].concat();
                vectors::compile_by(clang.command(), &object.source(), file, &args)
            }
            Self::Rust(rust) => rust.compile(object, file),
        }
    }
}

const RUST: &str = "rust";

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    let options = Options::parse_from(std::iter::once("compilers").chain(args.iter().map(String::as_str)));
    let known =
        |name: &String| name == RUST || SOURCES.iter().any(|source| *name == source.version.to_string());
    if let Some(unknown) = options.compilers.iter().find(|name| !known(name)) {
        bail!("`{unknown}` is none of the compilers that are tried");
    }
    let wants = |name: &str| options.compilers.is_empty() || options.compilers.iter().any(|it| it == name);
    let objects = vectors::objects()?;
    if options.keep {
        return keep(&objects);
    }
    let judge = Judge::prepare(tools::is_root())?;
    let mut bench = Bench { committed: Vec::new(), judge, faults: Vec::new(), tried: 0 };
    for object in objects {
        let verdict = bench.judge.verdict(&cargo::root().join(object.object()))?;
        bench.committed.push((object, verdict));
    }
    println!("{:<8} {:>8} {:>6} {:>8} {:>6}  version", "", "compiled", "read", "embedded", "Linux");
    match debian::missing() {
        Some(reason) => println!("skipped: clang: {reason}"),
        None => {
            for Source { version, release } in SOURCES.iter().filter(|it| wants(&it.version.to_string())) {
                bench.try_all(&Compiler::Clang(*version, Clang::fetch(release, *version)?))?;
            }
        }
    }
    if wants(RUST) {
        match Rust::find()? {
            Ok(rust) => bench.try_all(&Compiler::Rust(rust))?,
            Err(reason) => println!("skipped: {RUST}: {reason}"),
        }
    }
    if let Err(reason) = bench.judge.linux() {
        println!("skipped: loading on Linux: {reason}");
    }
    bench.faults.iter().for_each(|fault| println!("{fault}"));
    match (bench.tried, bench.faults.len()) {
        (0, _) => Ok(Outcome::Skipped("no compiler can be tried here".to_owned())),
        (tried, 0) => Ok(Outcome::Done(format!("{tried} objects are as the committed ones"))),
        (tried, count) => Ok(Outcome::Failed(format!("{count} faults in {tried} objects"))),
    }
}

/// Puts what rustc and bpf-linker make where the committed objects are.
fn keep(objects: &[Object]) -> Result<Outcome> {
    let rust = match Rust::find()? {
        Ok(rust) => rust,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let mut count = 0;
    for object in objects.iter().filter(|object| object.is_rust()) {
        rust.compile(object, &cargo::root().join(object.object()))?;
        count += 1;
    }
    let record = format!("# The compiler of the objects beside this file.\n{}\n", rust.version()?);
    std::fs::write(cargo::root().join(RUST_RECORD), record).context(RUST_RECORD)?;
    Ok(Outcome::Done(format!("{count} objects")))
}

const RUST_RECORD: &str = "lab/vectors/rust/compiler.txt";

/// Where compilers are tried, and what is expected of them.
struct Bench {
    judge: Judge,
    /// The rows, and what becomes of their committed objects.
    committed: Vec<(Object, Verdict)>,
    faults: Vec<String>,
    tried: usize,
}

/// What came of one compiler's objects.
#[derive(Default)]
struct Tally {
    compiled: usize,
    read: usize,
    embedded: usize,
    linux: usize,
    /// What it lacks, and how many objects need that.
    lacking: BTreeMap<&'static str, usize>,
}

impl Bench {
    /// Compiles and judges every object that is for the compiler, and prints a line about it.
    fn try_all(&mut self, compiler: &Compiler) -> Result<()> {
        let mut tally = Tally::default();
        let name = compiler.name();
        let folder = cargo::target_dir().join("compilers").join(&name);
        for (object, expected) in &self.committed {
            if object.is_rust() != matches!(compiler, Compiler::Rust(_)) {
                continue;
            }
            if let Some(what) = compiler.lacks(object) {
                *tally.lacking.entry(what).or_default() += 1;
                continue;
            }
            self.tried += 1;
            let mut fault = |what: &str| self.faults.push(format!("{name}: {}: {what}", object.stem));
            let file = folder.join(object.object());
            if let Err(error) = compiler.compile(object, &file) {
                fault(first_error(&format!("{error:#}")));
                continue;
            }
            let verdict = self.judge.verdict(&file)?;
            if (object.expect == Expect::Refuse) == verdict.read.is_ok() {
                fault(&format!("{:?} is expected, reading it says {:?}", object.expect, verdict.read));
            }
            tally.compiled += 1;
            tally.read += usize::from(verdict.read.is_ok());
            tally.embedded += usize::from(verdict.embedded.is_ok());
            tally.linux += usize::from(matches!(verdict.linux, Some(Ok(()))));
            verdict.differences(expected).iter().for_each(|difference| fault(difference));
        }
        let linux = self.judge.linux().map_or_else(|_| "-".to_owned(), |_| tally.linux.to_string());
        let Tally { compiled, read, embedded, lacking, .. } = tally;
        println!("{name:<8} {compiled:>8} {read:>6} {embedded:>8} {linux:>6}  {}", compiler.version()?);
        for (need, count) in lacking {
            println!("{:<8} not tried: {count} that need {need}", "");
        }
        Ok(())
    }
}

/// The line in which a compiler says what is wrong.
fn first_error(said: &str) -> &str {
    said.lines().find(|line| line.contains("error: ")).unwrap_or(said)
}
