//! Every object of the corpus, by skep and by libbpf: which programs load, and what reaches `bpf(2)`.
//!
//! `load` is one side's work on one object, in a process of its own, a line of JSON for each load. `compare` starts it for
//! both sides of every object and holds the answers beside each other. Both loaders get the same sizes for maps whose size
//! their tool sets ([`sizes`]). `judge` holds skep's verifier beside Linux's on the same programs.
//!
//! This is an unsafe room for three reasons: libbpf is C, [`seam`] stands in for the C library's `syscall` to see what
//! the loaders ask of the kernel, and [`heap`] for its `malloc` to count what they hold. What a difference means it is told: `known.txt` names
//! those that are expected, and why.

mod areas;
mod compare;
mod core;
mod differ;
mod heap;
mod judge;
mod libbpf;
mod load;
mod ours;
mod peers;
mod rebase;
mod refused;
mod report;
mod seam;
mod sent;
mod sizes;
mod time;

use clap::{Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;

/// A result of this program.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Load objects by skep and by libbpf.
#[derive(Parser)]
#[command(name = "skep-lab-corpus")]
struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Load one object's programs by one side; a line of JSON for each.
    Load(load::Options),
    /// Load the programs of objects by both sides, and report.
    Compare(compare::Options),
    /// Measure loads of whole objects by both sides and two more.
    Time(time::Options),
    /// Answer the CO-RE relocations of objects by both sides from another kernel's types, and compare.
    Core(core::Options),
    /// Make the types of modules small and fit them to another kernel, by both sides, and compare.
    Rebase(rebase::Options),
    /// Report what was compared earlier.
    Report(compare::Again),
    /// Hold skep's verifier beside Linux's, program by program.
    Judge(judge::Options),
    /// Do that with one object; lines of JSON.
    #[command(hide = true)]
    JudgeOne(judge::One),
}

/// Who loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Side {
    /// This project.
    Skep,
    /// libbpf, as its -sys crate has it.
    Libbpf,
}

impl Side {
    /// The word for the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Skep => "skep",
            Self::Libbpf => "libbpf",
        }
    }
}

/// What is loaded at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Unit {
    /// Each program, as if it were alone in its object.
    Program,
    /// All programs that the object loads.
    Object,
}

impl Unit {
    /// The word for the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::Object => "object",
        }
    }
}

/// A file of the corpus.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) path: PathBuf,
}

impl File {
    /// `PACKAGE/FILE`.
    pub(crate) fn name(&self) -> String {
        let parts: Vec<_> = self.path.iter().map(|part| part.to_string_lossy()).collect();
        parts[parts.len().saturating_sub(2)..].join("/")
    }
}

fn main() -> ExitCode {
    let done = match Options::parse().what {
        What::Load(options) => load::run(&options),
        What::Compare(options) => compare::run(&options),
        What::Time(options) => time::run(&options),
        What::Core(options) => core::run(&options),
        What::Rebase(options) => rebase::run(&options),
        What::Report(options) => compare::again(&options),
        What::Judge(options) => judge::run(&options),
        What::JudgeOne(options) => judge::one(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("corpus: {error}");
            ExitCode::FAILURE
        }
    }
}
