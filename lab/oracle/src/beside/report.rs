//! What was found, as it is printed and kept.

use super::{Error, Origin};
use crate::contain;
use serde::{Deserialize, Serialize};
use skep_abi::Errno;
use skep_verifier::Rejection;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Programs that are kept of each kind.
const EXAMPLES: usize = 3;
/// Kinds that are told apart.
const KINDS: usize = 4000;

/// Things of one sort, by kind.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Findings(pub BTreeMap<String, Finding>);

/// One kind.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Finding {
    /// How often.
    pub count: u64,
    /// Programs, the first ones.
    pub examples: Vec<String>,
}

impl Findings {
    /// Whether a further program of this kind is kept.
    pub(super) fn wants(&self, kind: &str) -> bool {
        match self.0.get(kind) {
            Some(finding) => finding.examples.len() < EXAMPLES,
            None => self.0.len() < KINDS,
        }
    }

    pub(super) fn add(&mut self, kind: String, example: impl FnOnce() -> String) {
        let is_wanted = self.wants(&kind);
        self.count(kind.clone());
        if let Some(finding) = self.0.get_mut(&kind).filter(|_| is_wanted) {
            finding.examples.push(example());
        }
    }

    /// Counts one that is not kept.
    pub(super) fn count(&mut self, kind: String) {
        if self.0.len() < KINDS || self.0.contains_key(&kind) {
            self.0.entry(kind).or_default().count += 1;
        }
    }

    pub(super) fn is_empty_of(&self, kind: &str) -> bool {
        self.0.get(kind).is_none_or(|finding| finding.examples.is_empty())
    }

    /// How many there are of all kinds.
    pub fn total(&self) -> u64 {
        self.0.values().map(|finding| finding.count).sum()
    }

    fn print(&self, what: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{what}: {}", self.total())?;
        let mut all: Vec<_> = self.0.iter().collect();
        all.sort_by_key(|(_, finding)| std::cmp::Reverse(finding.count));
        for (kind, finding) in all {
            writeln!(f, "  {:>8} {kind}", finding.count)?;
        }
        Ok(())
    }
}

/// How many steps lay in a state.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Contained {
    /// Programs that ran.
    pub programs: u64,
    /// Programs that the machine does not run, or of which there are too many states.
    pub left_out: u64,
    /// Steps that lay in a state.
    pub steps: u64,
    /// Steps at instructions with too many states.
    pub unsaid: u64,
}

impl Contained {
    pub(super) fn add(&mut self, tally: &contain::Tally) {
        self.programs += tally.programs as u64;
        self.left_out += tally.left_out as u64;
        self.steps += tally.steps;
        self.unsaid += tally.unsaid;
    }
}

/// Seconds by what they were spent on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Spent {
    /// Asking Linux.
    pub linux: f64,
    /// Asking skep.
    pub skep: f64,
    /// Running.
    pub runs: f64,
}

/// What was tried and found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// The seed of all.
    pub seed: u64,
    /// The number of the next program.
    pub next: u64,
    /// Seconds so far.
    pub seconds: f64,
    /// Of which.
    pub spent: Spent,
    /// Programs that were left out because they take long.
    pub long: u64,
    /// Programs that others are made of by changes, and those that were left out.
    pub seeds: u64,
    /// The latter.
    pub left_out: u64,
    /// Numbers of which no program came.
    pub not_made: u64,
    /// Programs that Linux did not come to verify, by the error.
    pub unasked: BTreeMap<String, u64>,
    /// Numbers of programs at which Linux ended the process that asked.
    #[serde(default)]
    pub deadly: Vec<u64>,
    /// Programs that both looked at.
    pub programs: u64,
    /// Those of objects.
    pub of_objects: u64,
    /// Those of self-tests.
    pub of_selftests: u64,
    /// Those made anew.
    pub made: u64,
    /// How many have so many instructions.
    pub lengths: BTreeMap<usize, u64>,
    /// Both accept.
    pub both_accept: u64,
    /// Both refuse.
    pub both_refuse: u64,
    /// Of those, programs that skep does not model.
    pub both_unmodelled: u64,
    /// Only Linux accepts.
    pub linux_only: u64,
    /// Of those, programs that skep does not model.
    pub unmodelled: u64,
    /// Only skep accepts.
    pub skep_only: u64,
    /// Of those, programs that Linux refuses on an instruction that none comes to, for all that skep knows.
    pub unreached: u64,
    /// Of those, programs that Linux refuses as it does not know that an element of an array under a constant key is there.
    #[serde(default)]
    pub of_elements: u64,
    /// Refusals of both whose instructions were compared, and those with the same.
    pub places: (u64, u64),
    /// Where these differ: Linux's words and skep's rule.
    pub elsewhere: BTreeMap<String, u64>,
    /// What Linux refuses for.
    pub causes: BTreeMap<String, u64>,
    /// What skep refuses for.
    pub rules: BTreeMap<String, u64>,
    /// What only Linux accepts, by skep's rule.
    pub gaps: Findings,
    /// What only skep accepts, by Linux's words.
    pub extras: Findings,
    /// Panics of the verifier.
    pub panicked: Findings,
    /// Steps in states.
    pub contained: Contained,
    /// States that happened and were not looked at.
    pub misses: Findings,
    /// Accepted programs that the reference machine stopped.
    pub stopped: Findings,
    /// Accepted programs that are refused where less is pruned.
    pub unlike: Findings,
    /// Those of Linux's words for programs that only skep accepts which nobody has explained.
    pub unexplained: Vec<String>,
    /// How often each of Linux's phrases was heard.
    pub phrases: BTreeMap<String, u64>,
}

impl Tally {
    pub(super) fn new(seed: u64) -> Tally {
        Tally { seed, ..Tally::default() }
    }

    /// Reads what was kept.
    pub(super) fn read(path: &Path, seed: u64) -> Result<Tally, Error> {
        let tally: Tally = serde_json::from_slice(&std::fs::read(path)?)?;
        match tally.seed == seed {
            true => Ok(tally),
            false => Err(format!("{} has the seed {}, not {seed}", path.display(), tally.seed).into()),
        }
    }

    /// Keeps it, wholly or not at all.
    pub(super) fn write(&self, path: &Path) -> Result<(), Error> {
        let fresh = path.with_extension("part");
        std::fs::write(&fresh, serde_json::to_vec_pretty(self)?)?;
        Ok(std::fs::rename(fresh, path)?)
    }

    pub(super) fn unasked(&mut self, errno: Errno) {
        let name = errno.name().map_or_else(|| errno.raw().to_string(), str::to_owned);
        *self.unasked.entry(name).or_default() += 1;
    }

    pub(super) fn count(&mut self, origin: Origin, len: usize) {
        self.programs += 1;
        *self.lengths.entry(len).or_default() += 1;
        match origin {
            Origin::Object => self.of_objects += 1,
            Origin::SelfTest => self.of_selftests += 1,
            Origin::Made => self.made += 1,
        }
    }

    pub(super) fn refused(&mut self, cause: &str) {
        let kind = super::phrases::without_numbers(cause);
        if self.causes.len() < KINDS || self.causes.contains_key(&kind) {
            *self.causes.entry(kind).or_default() += 1;
        }
    }

    pub(super) fn both_refuse(&mut self, rejection: &Rejection) {
        self.both_refuse += 1;
        self.both_unmodelled += u64::from(is_unmodelled(rejection));
        *self.rules.entry(rejection.id().to_owned()).or_default() += 1;
    }

    pub(super) fn gap(&mut self, rejection: &Rejection) {
        self.linux_only += 1;
        self.unmodelled += u64::from(is_unmodelled(rejection));
    }

    pub(super) fn place(&mut self, is_same: bool, cause: &str, rejection: &Rejection) {
        self.places.0 += 1;
        self.places.1 += u64::from(is_same);
        if !is_same {
            let kind = format!("{} | {}", super::phrases::without_numbers(cause), rejection.id());
            if self.elsewhere.len() < KINDS || self.elsewhere.contains_key(&kind) {
                *self.elsewhere.entry(kind).or_default() += 1;
            }
        }
    }

    /// How many Linux accepts.
    pub fn accepted(&self) -> u64 {
        self.both_accept + self.linux_only
    }

    /// The length in the middle.
    pub fn median(&self) -> usize {
        let mut before = 0;
        for (len, count) in &self.lengths {
            before += count;
            if before * 2 >= self.programs {
                return *len;
            }
        }
        0
    }

    /// The programs of all findings.
    pub(super) fn findings(&self) -> String {
        let mut text = String::new();
        for (what, findings) in [
            ("only Linux accepts", &self.gaps),
            ("only skep accepts", &self.extras),
            ("panicked", &self.panicked),
            ("not looked at", &self.misses),
            ("stopped", &self.stopped),
            ("refused where less is pruned", &self.unlike),
        ] {
            for (kind, finding) in &findings.0 {
                for example in &finding.examples {
                    text.push_str(&format!("== {what}: {kind} ({})\n{example}\n\n", finding.count));
                }
            }
        }
        text
    }

    /// All that must not be, whatever programs come.
    pub fn is_sound(&self) -> bool {
        self.unexplained.is_empty()
            && [&self.panicked, &self.misses, &self.stopped, &self.unlike]
                .iter()
                .all(|findings| findings.0.is_empty())
    }

    /// How many of a hundred that Linux accepts skep accepts, too.
    pub fn completeness(&self) -> f64 {
        self.both_accept as f64 * 100.0 / self.accepted().max(1) as f64
    }

    pub(super) fn line(&self) -> String {
        format!(
            "{} programs, {:.0} s: Linux accepts {}, skep {} of these; only skep {}; misses {}, stopped {}",
            self.programs,
            self.seconds,
            percent(self.accepted(), self.programs),
            percent(self.both_accept, self.accepted()),
            self.skep_only,
            self.misses.total(),
            self.stopped.total(),
        )
    }
}

fn is_unmodelled(rejection: &Rejection) -> bool {
    rejection.category() == skep_verifier::Category::Unsupported
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.2} %", part as f64 * 100.0 / whole.max(1) as f64)
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.gaps.print("only Linux accepts, by skep's rule", f)?;
        self.extras.print("only skep accepts, by Linux's words", f)?;
        for kind in &self.unexplained {
            writeln!(f, "  not explained: {kind}")?;
        }
        self.panicked.print("the verifier panicked", f)?;
        self.misses.print("happened and was not looked at", f)?;
        self.stopped.print("accepted, and stopped by the machine", f)?;
        self.unlike.print("accepted, and refused where less is pruned", f)?;
        writeln!(f, "skep's refusals where Linux refuses, too:")?;
        for (rule, count) in &self.rules {
            writeln!(f, "  {count:>8} {rule}")?;
        }
        let mut elsewhere: Vec<_> = self.elsewhere.iter().collect();
        elsewhere.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        writeln!(f, "refused on another instruction (the first twenty kinds):")?;
        for (kind, count) in elsewhere.iter().take(20) {
            writeln!(f, "  {count:>8} {kind}")?;
        }
        if !self.phrases.is_empty() {
            let heard = self.phrases.iter().filter(|(_, count)| **count > 0);
            let mut heard: Vec<_> = heard.collect();
            heard.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            writeln!(f, "Linux's phrases that were heard: {}", heard.len())?;
            for (phrase, count) in &heard {
                writeln!(f, "  {count:>8} {phrase}")?;
            }
            let never: Vec<_> = self.phrases.iter().filter(|(_, count)| **count == 0).collect();
            writeln!(f, "Linux's phrases that were not heard: {}", never.len())?;
            for (phrase, _) in never {
                writeln!(f, "           {phrase}")?;
            }
        }
        writeln!(
            f,
            "{} programs in {:.0} s (seed {}): {} changed ones of objects and {} of self-tests, from {}; {} made anew; median {} instructions",
            self.programs,
            self.seconds,
            self.seed,
            percent(self.of_objects, self.programs),
            percent(self.of_selftests, self.programs),
            self.seeds,
            percent(self.made, self.programs),
            self.median(),
        )?;
        writeln!(
            f,
            "not verified by Linux: {:?}; it ended who asked of {:?}; not made: {}; left out because they take long: {}; seconds: Linux {:.0}, skep {:.0}, runs {:.0}",
            self.unasked,
            self.deadly,
            self.not_made,
            self.long,
            self.spent.linux,
            self.spent.skep,
            self.spent.runs
        )?;
        writeln!(
            f,
            "Linux accepts {} ({}); skep accepts {} of these ({}), and {} that Linux does not, {} of which for an instruction that skep knows not to be reached and {} for an element under a constant key; {} of what skep refuses alone it does not model",
            self.accepted(),
            percent(self.accepted(), self.programs),
            self.both_accept,
            percent(self.both_accept, self.accepted()),
            self.skep_only,
            self.unreached,
            self.of_elements,
            self.unmodelled,
        )?;
        writeln!(
            f,
            "refused by both: {} ({} not modelled); on the same instruction {} of {}",
            self.both_refuse,
            self.both_unmodelled,
            percent(self.places.1, self.places.0),
            self.places.0,
        )?;
        write!(
            f,
            "run step by step: {} programs ({} left out), {} steps in states, {} at instructions with too many, {} misses, {} stopped",
            self.contained.programs,
            self.contained.left_out,
            self.contained.steps,
            self.contained.unsaid,
            self.misses.total(),
            self.stopped.total(),
        )
    }
}
