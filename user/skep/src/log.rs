//! What Linux's verifier says of a program that it refuses, as data.
//!
//! The log is text for people (kernel/bpf/verifier.c, kernel/bpf/log.c), and its shape changes from release to release.
//! What is read from it here is what has stayed: instructions begin with their number, statistics stand at the end, and the
//! reason is the last thing before them.

use std::fmt;

/// Why the verifier refused a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejection {
    /// The verifier's own words: the last line before the statistics.
    pub cause: String,
    /// The instruction that it was at, counted in slots of the program as it was loaded.
    pub insn: Option<u32>,
    /// The line of the source that the instruction came from.
    pub source: Option<SourceLine>,
    /// What the instruction stands for that this kernel does not have, where a load has put a call in its place that no
    /// kernel takes.
    pub missing: Option<String>,
    /// What the verifier did.
    pub stats: VerifierStats,
}

/// A line of the source of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceLine {
    /// The file, as the compiler named it.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1; 0 where it is not known.
    pub column: u32,
    /// The line's text.
    pub text: String,
}

impl fmt::Display for SourceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.text.trim())
    }
}

/// What a verifier did with a program, as far as it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifierStats {
    /// The instructions that it looked at, each as often as it did.
    pub processed_insns: Option<u64>,
    /// The states that it has kept.
    pub total_states: Option<u64>,
    /// The most states that it kept at once.
    pub peak_states: Option<u64>,
    /// How long it took, in microseconds.
    pub time_us: Option<u64>,
}

impl Rejection {
    /// Reads a log; `None` where nothing is said.
    pub(crate) fn read(log: &str) -> Option<Rejection> {
        let cause = cause(log)?;
        let insn = log.lines().rev().find_map(insn_of).or_else(|| number_behind(cause, "insn "));
        Some(Rejection {
            cause: cause.to_owned(),
            insn,
            stats: VerifierStats::read(log),
            ..Rejection::default()
        })
    }

    /// Gives the number of the helper that is called and that no kernel has.
    pub(crate) fn unknown_helper(&self) -> Option<u32> {
        number_behind(&self.cause, "unknown#")
    }
}

impl VerifierStats {
    /// Reads the statistics of a log.
    pub fn read(log: &str) -> VerifierStats {
        let find = |word: &str| {
            log.lines().rev().find_map(|line| {
                let is_of_statistics =
                    line.starts_with("processed ") || line.starts_with("verification time ");
                number_behind(line, word).filter(|_| is_of_statistics).map(u64::from)
            })
        };
        VerifierStats {
            processed_insns: find("processed "),
            total_states: find("total_states "),
            peak_states: find("peak_states "),
            time_us: find("verification time "),
        }
    }
}

/// The verifier's own reason: the last line that is neither an instruction, a source line, a state nor statistics
/// (`print_verification_stats`).
fn cause(log: &str) -> Option<&str> {
    const NOISE: &[&str] = &[
        "processed ",
        "verification time ",
        "stack depth ",
        "max_states_per_insn ",
        "; ",
        "from ",
        "last_idx ",
        "regs=",
        "parent ",
        "mark_precise: ",
        "propagating ",
        "Validating ",
    ];
    let is_step = |line: &str| {
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        digits != 0 && line[digits..].starts_with(": ")
    };
    let is_noise =
        |line: &&str| line.is_empty() || is_step(line) || NOISE.iter().any(|noise| line.starts_with(noise));
    log.lines().rev().map(str::trim).find(|line| !is_noise(line))
}

/// The number of the instruction that a line shows, as `12: (85) call …`.
fn insn_of(line: &str) -> Option<u32> {
    let (number, rest) = line.trim_start().split_once(": (")?;
    let is_opcode = rest.get(..3).is_some_and(|code| code.ends_with(')'));
    number.parse().ok().filter(|_| is_opcode)
}

/// The number that stands behind a word.
fn number_behind(text: &str, word: &str) -> Option<u32> {
    let rest = &text[text.find(word)? + word.len()..];
    rest[..rest.bytes().take_while(u8::is_ascii_digit).count()].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_last_word() {
        let log = "0: R1=ctx() R10=fp0\n; return *data @ x.c:8\n0: (61) r1 = *(u32 *)(r1 +0)\n\
                   12: (79) r0 = *(u64 *)(r1 +0)\nR1 invalid mem access 'scalar'\n\
                   verification time 57 usec\nstack depth 0+8\n\
                   processed 13 insns (limit 1000000) max_states_per_insn 0 total_states 4 peak_states 3 mark_read 1\n";
        let found = Rejection::read(log).unwrap();
        assert_eq!((found.cause.as_str(), found.insn), ("R1 invalid mem access 'scalar'", Some(12)));
        let stats = VerifierStats {
            processed_insns: Some(13),
            total_states: Some(4),
            peak_states: Some(3),
            time_us: Some(57),
        };
        assert_eq!(found.stats, stats);
        for nothing in ["", "processed 2 insns\n", "0: (b7) r0 = 0\n\n"] {
            assert_eq!(Rejection::read(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn an_instruction_may_be_named_by_the_reason_only() {
        let found = Rejection::read("unreachable insn 5\nprocessed 0 insns (limit 1000000)\n").unwrap();
        assert_eq!(found.insn, Some(5));
        let found = Rejection::read("BPF program is too large. Processed 1000001 insn\n").unwrap();
        assert_eq!((found.insn, found.stats.processed_insns), (None, None));
    }

    #[test]
    fn numbers_that_are_none_are_not_read() {
        assert_eq!(number_behind("unknown#", "unknown#"), None);
        assert_eq!(number_behind("unknown#99999999999", "unknown#"), None);
        assert_eq!(number_behind("invalid func unknown#2001000003", "unknown#"), Some(2_001_000_003));
        assert_eq!((insn_of("7: R1=ctx()"), insn_of("x: (85) call"), insn_of("7: (8")), (None, None, None));
    }
}
