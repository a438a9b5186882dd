//! What both verifiers say of a program.

use super::expect::Expected;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A program and what was said of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Judged {
    /// `PACKAGE/FILE`.
    pub(crate) object: String,
    /// The program.
    pub(crate) program: String,
    /// Its section.
    pub(crate) section: String,
    /// What its author expects.
    pub(crate) expected: Option<Expected>,
    /// What it is, where it reached the kernel.
    pub(crate) about: Option<About>,
    /// What Linux says.
    pub(crate) linux: Linux,
    /// What skep's verifier says, where Linux was asked.
    pub(crate) ours: Option<Ours>,
    /// What both took of memory, where it was measured.
    #[serde(default)]
    pub(crate) memory: Option<Peaks>,
}

/// Bytes at most.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Peaks {
    /// That the kernel was charged for, for all of the load.
    pub(crate) linux: u64,
    /// That skep's verifier had of the heap.
    pub(crate) ours: u64,
}

/// What a program is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct About {
    /// The name of its type.
    pub(crate) prog_type: String,
    /// Its instruction slots.
    pub(crate) insns: usize,
    /// What of the kernel's own types it needs: functions, variables, contexts and pointers that only these describe.
    pub(crate) needs: Vec<String>,
}

/// What Linux says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Linux {
    /// It takes the program.
    Accepted {
        /// What it took.
        took: Took,
        /// What a run on 64 zero bytes has returned, where a result is expected, or why it could not be run.
        returned: Option<Result<u32, String>>,
    },
    /// Its verifier refuses the program.
    Refused {
        /// The error's name.
        errno: String,
        /// The last lines of the log.
        log: Vec<String>,
        /// The instruction that it was at.
        insn: Option<u32>,
        /// What it took.
        took: Took,
    },
    /// Its verifier was not asked, or has said nothing.
    Unasked {
        /// Why.
        why: String,
    },
}

/// What a verification took.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Took {
    /// Instructions processed, each as often as it was.
    pub(crate) insns: Option<u64>,
    /// States kept over all.
    pub(crate) states: Option<u64>,
    /// States kept at once.
    pub(crate) peak: Option<u64>,
    /// Nanoseconds.
    pub(crate) time: u64,
}

/// What skep's verifier says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ours {
    /// It takes the program.
    Accepted {
        /// What it took.
        took: Took,
    },
    /// It refuses the program.
    Refused {
        /// The rule.
        rule: String,
        /// The instruction.
        insn: Option<u32>,
        /// The words.
        message: String,
        /// What it took.
        took: Took,
    },
    /// It does not model what the program needs.
    Unmodelled {
        /// The instruction.
        insn: Option<u32>,
        /// The words.
        message: String,
    },
    /// It has panicked, or its process has died.
    Died {
        /// How.
        how: String,
    },
}

/// The rule of what is not modelled.
const UNMODELLED: &str = "unsupported";

impl Ours {
    /// Takes the verifier's answer.
    pub(crate) fn of(answer: &Result<skep_verifier::Verified, skep_verifier::Rejection>, time: u64) -> Ours {
        match answer {
            Ok(verified) => {
                let stats = verified.stats();
                Ours::Accepted {
                    took: Took {
                        insns: Some(u64::from(stats.insns)),
                        states: Some(u64::from(stats.states)),
                        peak: Some(u64::from(stats.peak_states)),
                        time,
                    },
                }
            }
            Err(rejection) => {
                let (insn, message) = (rejection.insn.map(|insn| insn.0), rejection.message.clone());
                match rejection.id() {
                    UNMODELLED => Ours::Unmodelled { insn, message },
                    rule => Ours::Refused {
                        rule: rule.to_owned(),
                        insn,
                        message,
                        took: Took { time, ..Took::default() },
                    },
                }
            }
        }
    }

    /// The answer of a process that has none.
    pub(crate) fn died(how: String) -> Ours {
        Ours::Died { how }
    }

    pub(crate) fn is_accepted(&self) -> bool {
        matches!(self, Ours::Accepted { .. })
    }

    /// The instruction that a refusal names.
    pub(crate) fn insn(&self) -> Option<u32> {
        match self {
            Ours::Refused { insn, .. } | Ours::Unmodelled { insn, .. } => *insn,
            Ours::Accepted { .. } | Ours::Died { .. } => None,
        }
    }

    /// The kind of answer and its words, without the numbers that differ from program to program.
    pub(crate) fn kind(&self) -> String {
        match self {
            Ours::Accepted { .. } => "accepted".to_owned(),
            Ours::Refused { rule, message, .. } => format!("{rule}: {}", without_numbers(message)),
            Ours::Unmodelled { message, .. } => format!("not modelled: {}", without_numbers(message)),
            Ours::Died { how } => format!("died: {}", without_numbers(how)),
        }
    }

    /// What it took, where that was counted.
    pub(crate) fn took(&self) -> Option<Took> {
        match self {
            Ours::Accepted { took } | Ours::Refused { took, .. } => Some(*took),
            Ours::Unmodelled { .. } | Ours::Died { .. } => None,
        }
    }

    /// Sets the time, of several.
    pub(crate) fn set_time(&mut self, time: u64) {
        if let Ours::Accepted { took } | Ours::Refused { took, .. } = self {
            took.time = time;
        }
    }
}

impl Linux {
    pub(crate) fn is_accepted(&self) -> bool {
        matches!(self, Linux::Accepted { .. })
    }

    /// Whether its verifier has refused the program.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self, Linux::Refused { .. })
    }

    /// The instruction that its log ends at.
    pub(crate) fn insn(&self) -> Option<u32> {
        match self {
            Linux::Refused { insn, .. } => *insn,
            _ => None,
        }
    }

    /// The words of a refusal: the last line that is no instruction.
    pub(crate) fn cause(&self) -> &str {
        match self {
            Linux::Refused { log, .. } => {
                let is_cause = |line: &&String| !is_statistics(line) && super::linux::insn_of(line).is_none();
                log.iter().rev().find(is_cause).map_or("", |line| line.as_str())
            }
            Linux::Unasked { why } => why,
            Linux::Accepted { .. } => "",
        }
    }

    /// What it took, where it says so.
    pub(crate) fn took(&self) -> Option<Took> {
        match self {
            Linux::Accepted { took, .. } | Linux::Refused { took, .. } => Some(*took),
            Linux::Unasked { .. } => None,
        }
    }

    /// Sets the time, of several.
    pub(crate) fn set_time(&mut self, time: u64) {
        if let Linux::Accepted { took, .. } | Linux::Refused { took, .. } = self {
            took.time = time;
        }
    }
}

/// Lines that end each log (`print_verification_stats`, kernel/bpf/verifier.c).
fn is_statistics(line: &str) -> bool {
    ["processed ", "verification time ", "stack depth "].iter().any(|word| line.starts_with(word))
}

impl Judged {
    /// A program that nobody was asked of yet.
    pub(crate) fn new(object: &str, program: &str, section: &str, expected: Option<Expected>) -> Judged {
        Judged {
            object: object.to_owned(),
            program: program.to_owned(),
            section: section.to_owned(),
            expected,
            about: None,
            linux: Linux::Unasked { why: String::new() },
            ours: None,
            memory: None,
        }
    }

    /// Whether one accepts what the other does not, or skep's has no verdict.
    pub(crate) fn differs(&self) -> bool {
        match (&self.linux, &self.ours) {
            (Linux::Unasked { .. }, ours) => matches!(ours, Some(Ours::Died { .. })),
            (linux, Some(ours)) => {
                linux.is_accepted() != ours.is_accepted() || matches!(ours, Ours::Died { .. })
            }
            (_, None) => false,
        }
    }

    /// The object, the program and its section.
    pub(crate) fn name(&self) -> String {
        format!("{} {} ({})", self.object, self.program, self.section)
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), |count| count.to_string());
        let took = |took: &Took| {
            let time = took.time as f64 / 1000.0;
            format!("{} insns, {} states, {time:.1} µs", count(took.insns), count(took.states))
        };
        let at = |insn: &Option<u32>| insn.map_or_else(String::new, |insn| format!(" at {insn}"));
        write!(f, "{}", self.name())?;
        if let Some(about) = &self.about {
            write!(f, " {}, {} slots", about.prog_type, about.insns)?;
        }
        match &self.linux {
            Linux::Accepted { took: took_it, returned } => {
                write!(f, "\n  Linux: accepted, {}", took(took_it))?;
                match returned {
                    Some(Ok(value)) => write!(f, ", returned {value:#x}")?,
                    Some(Err(why)) => write!(f, ", not run: {why}")?,
                    None => {}
                }
            }
            Linux::Refused { errno, log, insn, took: took_it } => {
                write!(f, "\n  Linux: {errno}{}, {}", at(insn), took(took_it))?;
                for line in log {
                    write!(f, "\n    | {line}")?;
                }
            }
            Linux::Unasked { why } => write!(f, "\n  Linux: not asked: {why}")?,
        }
        match &self.ours {
            Some(Ours::Accepted { took: took_it }) => write!(f, "\n  skep:  accepted, {}", took(took_it)),
            Some(Ours::Refused { rule, insn, message, took: took_it }) => {
                let time = took_it.time as f64 / 1000.0;
                write!(f, "\n  skep:  {rule}{}: {message} ({time:.1} µs)", at(insn))
            }
            Some(Ours::Unmodelled { insn, message }) => {
                write!(f, "\n  skep:  not modelled{}: {message}", at(insn))
            }
            Some(Ours::Died { how }) => write!(f, "\n  skep:  died: {how}"),
            None => Ok(()),
        }
    }
}

/// Puts `N` in the place of each number, so that the same words are counted together.
pub(crate) fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let is_in_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let end = rest.find(|letter| !is_in_word(letter)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        out.push_str(if word.starts_with(|first: char| first.is_ascii_digit()) { "N" } else { word });
        let between = after.find(is_in_word).unwrap_or(after.len());
        out.push_str(&after[..between]);
        rest = &after[between..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_do_not_tell_words_apart() {
        let words = without_numbers("instruction 12: r10 reads 64 bytes at -8, 0x7f of u32");
        assert_eq!(words, "instruction N: r10 reads N bytes at -N, N of u32");
    }
}
