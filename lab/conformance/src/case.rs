//! One file of the suite: sections between lines that begin with two dashes.

use crate::maps::Maps;
use skep_isa::text;
use skep_isa::{ByteOrder, raw};
use skep_machine::Program;

/// What must come of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The program returns this.
    Returns(u64),
    /// It is refused or stopped.
    Fails,
    /// Anything but this: a file by which the suite tests that its runner compares.
    ReturnsNot(u64),
}

/// A file, read.
#[derive(Clone, Debug)]
pub struct Case {
    /// The instructions; or why they are none, which is what files that must fail want.
    pub program: Result<Program, String>,
    /// The maps that it may name.
    pub maps: Maps,
    /// What r1 points to.
    pub memory: Vec<u8>,
    /// What must come of it.
    pub expect: Expect,
}

/// Why a file cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(pub String);

/// What a file is for, which its folder says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Positive,
    Negative,
}

/// The sections that are read, and those that say nothing about what must come of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Asm,
    Raw,
    Mem,
    Result,
    Error,
    Map,
    Ignored,
}

/// A word that the line has, and the section it begins; the first that fits counts, as in the suite's own reader
/// (`src/bpf_test_parser.cc`).
const SECTIONS: [(&str, Section); 10] = [
    ("asm", Section::Asm),
    ("result", Section::Result),
    ("mem", Section::Mem),
    ("raw", Section::Raw),
    ("map", Section::Map),
    ("no register offset", Section::Ignored),
    ("no jit", Section::Ignored),
    ("error pattern", Section::Error),
    ("error", Section::Error),
    (" c", Section::Ignored),
];

#[derive(Debug, Default)]
struct Sections {
    asm: Option<String>,
    raw: Option<String>,
    mem: String,
    result: Option<String>,
    error: Option<String>,
    map: String,
}

impl Case {
    /// Reads a file of `tests/`, or of uBPF's tests.
    ///
    /// # Errors
    /// [`Unreadable`] where it has a section that is not known, or nothing to run or to compare with.
    pub fn positive(text: &str) -> Result<Case, Unreadable> {
        Case::parse(text, Purpose::Positive)
    }

    /// Reads a file of `negative/`.
    ///
    /// # Errors
    /// As [`Case::positive`].
    pub fn negative(text: &str) -> Result<Case, Unreadable> {
        Case::parse(text, Purpose::Negative)
    }

    pub(crate) fn parse(text: &str, purpose: Purpose) -> Result<Case, Unreadable> {
        let sections = match Sections::read(text) {
            Ok(sections) => sections,
            // Reading them is what such files are to fail at.
            Err(why) if purpose == Purpose::Negative => {
                return Ok(Case {
                    program: Err(why),
                    maps: Maps::default(),
                    memory: Vec::new(),
                    expect: Expect::Fails,
                });
            }
            Err(why) => return Err(Unreadable(why)),
        };
        let maps = Maps::parse(&sections.map).map_err(Unreadable)?;
        let result = sections.result.as_deref().map(number).transpose().map_err(Unreadable)?;
        let says_error = sections.error.as_deref().is_some_and(|error| !error.trim().is_empty());
        let expect = match (purpose, result) {
            // With a text or without; uBPF's files have the number that its test program returns after an error.
            (Purpose::Positive, _) if sections.error.is_some() => Expect::Fails,
            (Purpose::Positive, Some(result)) => Expect::Returns(result),
            (Purpose::Negative, Some(result)) => Expect::ReturnsNot(result),
            // The suite's runner takes zero for a result that is not there, and wants its own words for an error, which no
            // engine here has.
            (Purpose::Negative, None) if says_error => Expect::ReturnsNot(0),
            (Purpose::Negative, None) => Expect::Fails,
            (Purpose::Positive, None) => {
                return Err(Unreadable("it has neither a result nor an error".to_owned()));
            }
        };
        let program = match (&sections.raw, &sections.asm) {
            (Some(raw), _) => program_of_raw(raw),
            (None, Some(asm)) => program_of_text(asm, &maps),
            (None, None) if purpose == Purpose::Negative => Err("it has no instructions".to_owned()),
            (None, None) => return Err(Unreadable("it has no instructions".to_owned())),
        };
        let memory = bytes(&sections.mem).map_err(Unreadable)?;
        Ok(Case { program, maps, memory, expect })
    }
}

impl Sections {
    fn read(text: &str) -> Result<Sections, String> {
        let mut sections = Sections::default();
        let mut now = Section::Ignored;
        for line in text.lines() {
            if let Some(at) = line.find("--") {
                let found = SECTIONS.iter().find(|(word, _)| line[at..].contains(word));
                now = found.ok_or_else(|| format!("unknown section `{line}`"))?.1;
                match now {
                    Section::Asm => sections.asm = Some(String::new()),
                    Section::Raw => sections.raw = Some(String::new()),
                    Section::Error => sections.error = Some(String::new()),
                    Section::Map | Section::Mem | Section::Result | Section::Ignored => {}
                }
                continue;
            }
            let joined = match now {
                // A comment may stand anywhere in a line.
                Section::Asm => {
                    let line = line.split('#').next().unwrap_or_default();
                    sections.asm.as_mut().map(|text| (text, line))
                }
                Section::Raw => {
                    let line = line.split('#').next().unwrap_or_default();
                    sections.raw.as_mut().map(|text| (text, line))
                }
                Section::Mem => Some((&mut sections.mem, line)),
                Section::Map => Some((&mut sections.map, line)),
                Section::Error => sections.error.as_mut().map(|text| (text, line)),
                Section::Result if !line.trim().is_empty() => {
                    sections.result = Some(line.trim().to_owned());
                    None
                }
                Section::Result | Section::Ignored => None,
            };
            if let Some((text, line)) = joined {
                text.push_str(line);
                text.push('\n');
            }
        }
        Ok(sections)
    }
}

/// Reads the suite's numbers: decimal or `0x`, of 64 bits.
fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok().or_else(|| text.parse::<i64>().ok().map(|number| number as u64)),
    };
    parsed.ok_or_else(|| format!("`{text}` is no number"))
}

fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let byte = |word| u8::from_str_radix(word, 16).map_err(|_| format!("`{word}` is no byte"));
    text.split_whitespace().map(byte).collect()
}

/// Reads instructions as 64-bit words, or as bytes: the files of `negative/` write bytes, which the suite's own reader takes
/// for words.
fn program_of_raw(text: &str) -> Result<Program, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let are_bytes = words.iter().all(|word| word.len() == 2 && !word.starts_with("0x"));
    let code = match are_bytes {
        true => bytes(text)?,
        false => {
            let words: Result<Vec<_>, _> = words.into_iter().map(number).collect();
            words?.into_iter().flat_map(u64::to_le_bytes).collect()
        }
    };
    let slots = raw::from_bytes(&code, ByteOrder::Little).map_err(|error| error.to_string())?;
    Program::from_slots(&slots).map_err(|error| error.to_string())
}

fn program_of_text(asm: &str, maps: &Maps) -> Result<Program, String> {
    let assembled = text::assemble(asm, maps).map_err(|error| error.to_string())?;
    Program::from_slots(assembled.slots()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_told_apart() {
        let text = "# head\n-- asm\nmov r0, 1 # one\nexit\n-- mem\naa 0b\n0c\n-- result\n0x1\n-- no register offset\ncall instruction\n";
        let case = Case::positive(text).unwrap();
        assert_eq!((case.memory, case.expect), (vec![0xaa, 0xb, 0xc], Expect::Returns(1)));
        assert_eq!(case.program.unwrap(), Program::from_text("mov r0, 1\nexit").unwrap());
    }

    #[test]
    fn raw_goes_before_asm_and_is_words_or_bytes() {
        let words = "-- asm\nexit\n-- raw\n0x00000001000000b7\n149\n-- result\n1\n";
        let bytes = "-- raw\nb7 00 00 00 01 00 00 00\n95 00 00 00 00 00 00 00\n-- result\n1\n";
        let one = Program::from_text("mov r0, 1\nexit").unwrap();
        for text in [words, bytes] {
            assert_eq!(Case::positive(text).unwrap().program.unwrap(), one);
        }
    }

    #[test]
    fn the_folder_says_what_a_result_means() {
        let text = "-- asm\nexit\n-- result\n-1\n";
        assert_eq!(Case::positive(text).unwrap().expect, Expect::Returns(u64::MAX));
        assert_eq!(Case::negative(text).unwrap().expect, Expect::ReturnsNot(u64::MAX));
        assert_eq!(Case::positive("-- asm\nexit\n-- error\n").unwrap().expect, Expect::Fails);
        let without_words = "-- asm\nexit\n-- result\n0x0\n-- error\n";
        assert_eq!(Case::positive(without_words).unwrap().expect, Expect::Fails);
        let words = "-- asm\nexit\n-- error\nInvalid\n";
        assert_eq!(Case::negative(words).unwrap().expect, Expect::ReturnsNot(0));
        let both = "-- asm\nexit\n-- result\n0xffffffffffffffff\n-- error\nout of bounds\n";
        assert_eq!(Case::positive(both).unwrap().expect, Expect::Fails);
        assert_eq!(Case::negative("-- what\n").unwrap().expect, Expect::Fails);
    }

    #[test]
    fn what_cannot_be_judged_is_said() {
        let why = |text: &str| Case::positive(text).unwrap_err().0;
        assert_eq!(why("-- asm\nexit\n"), "it has neither a result nor an error");
        assert_eq!(why("-- result\n1\n"), "it has no instructions");
        assert_eq!(why("-- what\n"), "unknown section `-- what`");
        assert_eq!(why("-- asm\nexit\n-- result\nx\n"), "`x` is no number");
        assert_eq!(why("-- asm\nexit\n-- result\n1\n-- mem\n1gg\n"), "`1gg` is no byte");
    }
}
