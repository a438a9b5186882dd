//! The whole verdict.

use crate::binding::Binding;
use crate::explore::Explorer;
use crate::linux::{Detail, Log, Sink, tell_functions};
use crate::rejection::{Rejection, Rule};
use crate::structured::{Control, Structured, structure};
use crate::subject::Subject;
use crate::trace::Trace;
use alloc::vec::Vec;
use core::fmt;
use skep_isa::InsnIdx;
use skep_model::Facts;

/// How much a verification may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The instructions that may be processed, on all paths together (`BPF_COMPLEXITY_LIMIT_INSNS`).
    pub insns: u32,
    /// The functions that may be active at once (`MAX_CALL_FRAMES`), at most 8, whatever is said here.
    pub frames: u32,
    /// The bytes of stack of all functions that are active at once (`MAX_BPF_STACK`); one has at most 512, whatever is said here.
    pub stack: u32,
    /// The paths that may wait at once (`BPF_COMPLEXITY_LIMIT_JMP_SEQ`).
    pub waiting: u32,
    /// Which paths need not be followed.
    pub pruning: Pruning,
    /// What becomes of loops that are not seen to end.
    pub loops: Loops,
}

/// What becomes of loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loops {
    /// Every loop is seen to end, turn by turn.
    Bounded,
    /// Some may not be: whoever runs the program counts its steps and ends it. Nothing else that a program must keep to
    /// is let go for it, whatever the turn.
    Metered,
}

/// Which paths need not be followed, as another one was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pruning {
    /// Those that come to where another one was, if all that was seen to matter there is the same.
    Full,
    /// Those that come to where another one was, if all that is known lies within what was known there. It takes more time, and is
    /// for holding the verifier against itself and against what happens.
    Within,
    /// None, but in loops that go round until nothing new happens.
    Never,
}

impl Limits {
    /// Those of Linux.
    pub const LINUX: Limits = Limits {
        insns: 1_000_000,
        frames: 8,
        stack: 512,
        waiting: 8192,
        pruning: Pruning::Full,
        loops: Loops::Bounded,
    };
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
    /// States that one was compared with where it came to, at most.
    pub states_per_insn: u32,
}

/// In the words of Linux (`print_verification_stats`). Marks of reads it has no more itself: it still prints their number, which is always 0.
impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stats { insns, states, peak_states, states_per_insn } = self;
        write!(
            f,
            "processed {insns} insns (limit {}) max_states_per_insn {states_per_insn} total_states {states} peak_states {peak_states} mark_read 0",
            Limits::LINUX.insns
        )
    }
}

impl Stats {
    /// Counts in what another attempt took.
    fn add(&mut self, other: Stats) {
        self.insns = self.insns.saturating_add(other.insns);
        self.states = self.states.saturating_add(other.states);
        self.peak_states = self.peak_states.max(other.peak_states);
        self.states_per_insn = self.states_per_insn.max(other.states_per_insn);
    }
}

/// A program that is verified: only [`verify`] makes one.
#[derive(Clone, Debug)]
pub struct Verified {
    structured: Structured,
    binding: Binding,
    facts: Facts,
    stats: Stats,
    metered: Vec<InsnIdx>,
}

impl Verified {
    /// The program's structure.
    pub fn structured(&self) -> &Structured {
        &self.structured
    }

    /// What it was verified against: whoever runs it compares.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// What was found out that holds in every run.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What it took.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Whether every loop was seen to end. If not, the program needs fuel.
    pub fn loops(&self) -> Loops {
        if self.metered.is_empty() { Loops::Bounded } else { Loops::Metered }
    }

    /// Where loops come round that were not seen to end, in order: a run that does not end comes to some of these again and again.
    pub fn metered(&self) -> &[InsnIdx] {
        &self.metered
    }
}

/// Verifies a program.
///
/// # Errors
///
/// The first rule that the program breaks on the first path that breaks one, in the order in which Linux follows them;
/// [`Rule::Unmodelled`](crate::Rule::Unmodelled) where the program needs what is not modelled.
pub fn verify(subject: &Subject<'_>, limits: &Limits) -> Result<Verified, Rejection> {
    verify_with(subject, limits, None, None)
}

/// Verifies a program, and writes what Linux's log says of the way; what it says at the end, and [`Rejection::linux`], are not in it. Two
/// attempts are one in the text: of the first, nothing is left.
///
/// # Errors
///
/// Those of [`verify`].
pub fn verify_logged(
    subject: &Subject<'_>,
    limits: &Limits,
    log: &mut dyn Sink,
    detail: Detail,
) -> Result<Verified, Rejection> {
    tell_functions(subject, log, detail)?;
    verify_with(subject, limits, None, Some((log, detail)))
}

/// Verifies a program, and tells of every state in which it looks at an instruction. With [`Pruning::Within`], whatever happens when
/// an accepted program runs lies in one of these.
///
/// # Errors
///
/// Those of [`verify`].
pub fn verify_traced(
    subject: &Subject<'_>,
    limits: &Limits,
    trace: &mut dyn Trace,
) -> Result<Verified, Rejection> {
    verify_with(subject, limits, Some(trace), None)
}

fn verify_with(
    subject: &Subject<'_>,
    limits: &Limits,
    trace: Option<&mut dyn Trace>,
    log: Option<(&mut dyn Sink, Detail)>,
) -> Result<Verified, Rejection> {
    let structured = structure(subject, Control::Followed)?;
    let prog = subject
        .platform
        .prog(subject.kind)
        .ok_or_else(|| Rule::ProgType.broken(None, format_args!("no program has type {}", subject.kind)))?;
    let (mut trace, mut log) = (trace, log);
    let told = log.as_ref().map_or(0, |(sink, _)| sink.position());
    let (mut stats, mut metered, mut facts) = (Stats::default(), Vec::new(), Facts::default());
    // Only where turns cannot be followed one by one less is known of them all together.
    for loops in [Loops::Bounded, Loops::Metered] {
        let mut explorer = Explorer::new(subject, prog, (limits, loops), &structured)?;
        explorer.trace = match &mut trace {
            Some(trace) => Some(&mut **trace),
            None => None,
        };
        if let Some((sink, detail)) = &mut log {
            sink.back_to(told);
            let mut log = Log::new(subject, &mut **sink, *detail);
            log.live(structured.program(), &explorer.live);
            explorer.log = Some(log);
        }
        let followed = explorer.follow_all();
        stats.add(explorer.stats);
        metered = core::mem::take(&mut explorer.metered);
        match followed {
            Ok(()) => {
                facts = explorer.facts()?;
                break;
            }
            Err(rejection) if loops == limits.loops || !rejection.rule.may_be_endless() => {
                return Err(Rejection { stats, ..rejection });
            }
            Err(_) => {}
        }
    }
    let binding = Binding::of(subject, structured.program())?;
    Ok(Verified { structured, binding, facts, stats, metered })
}
