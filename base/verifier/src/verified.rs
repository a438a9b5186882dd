//! The whole verdict.

use crate::explore::Explorer;
use crate::rejection::{Rejection, Rule};
use crate::structured::{Structured, structured};
use crate::subject::Subject;

/// How much a verification may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The instructions that may be processed, on all paths together (`BPF_COMPLEXITY_LIMIT_INSNS`).
    pub insns: u32,
    /// The functions that may be active at once (`MAX_CALL_FRAMES`).
    pub frames: u32,
    /// The bytes of stack of all functions that are active at once (`MAX_BPF_STACK`).
    pub stack: u32,
    /// The paths that may wait at once (`BPF_COMPLEXITY_LIMIT_JMP_SEQ`).
    pub waiting: u32,
}

impl Limits {
    /// Those of Linux.
    pub const LINUX: Limits = Limits { insns: 1_000_000, frames: 8, stack: 512, waiting: 8192 };
}

/// What a verification took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Instructions processed, on all paths together.
    pub insns: u32,
    /// States kept, over all.
    pub states: u32,
    /// States kept at once, at most.
    pub peak_states: u32,
}

/// A program that is verified: only [`verify`] makes one.
#[derive(Clone, Debug)]
pub struct Verified {
    structured: Structured,
    stats: Stats,
}

impl Verified {
    /// The program's structure.
    pub fn structured(&self) -> &Structured {
        &self.structured
    }

    /// What it took.
    pub fn stats(&self) -> Stats {
        self.stats
    }
}

/// Verifies a program.
///
/// # Errors
///
/// The first rule that the program breaks on the first path that breaks one, in the order in which Linux follows them;
/// [`Rule::Unmodelled`](crate::Rule::Unmodelled) where the program needs what is not modelled.
pub fn verify(subject: &Subject<'_>, limits: &Limits) -> Result<Verified, Rejection> {
    let structured = structured(subject)?;
    let prog = subject
        .platform
        .prog(subject.kind)
        .ok_or_else(|| Rule::ProgType.broken(None, format_args!("no program has type {}", subject.kind)))?;
    let mut explorer = Explorer::new(subject, prog, limits, &structured)?;
    explorer.follow_all()?;
    let stats = explorer.stats;
    Ok(Verified { structured, stats })
}
