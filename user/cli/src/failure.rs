//! Why a command could not do its work: what, where, and the exit status that says so.

use serde::Serialize;
use skep::ErrorKind;
use skep_elf::ElfError;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;

/// The exit status of the whole command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// It is done.
    Done = 0,
    /// A program was rejected or stopped, or an input is bad.
    Bad = 1,
    /// The command line is wrong: in itself, or because it names what the input does not have.
    Usage = 2,
    /// This kernel, machine or build cannot do it.
    Unable = 3,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> ExitCode {
        ExitCode::from(status as u8)
    }
}

/// What went wrong, and where.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failure {
    #[serde(skip)]
    pub(crate) status: Status,
    /// What kind of thing went wrong; stable.
    pub(crate) kind: &'static str,
    /// What was wanted and what was found.
    pub(crate) message: String,
    /// Where, as far as that is known.
    #[serde(skip_serializing_if = "is_nowhere")]
    pub(crate) place: Box<Place>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) help: Option<String>,
    /// The end of what the kernel's verifier wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log_tail: Option<String>,
}

/// Where something went wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Place {
    /// The file, as the command line names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    /// The section of an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) section: Option<String>,
    /// A program, map or variable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) symbol: Option<String>,
    /// The instruction slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) insn: Option<u32>,
    /// The byte in the section, or in the file where there are no sections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) offset: Option<u64>,
    /// The line of text, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u32>,
    /// The column of text, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<u32>,
}

impl Place {
    /// A whole file.
    pub(crate) fn file(path: &Path) -> Place {
        Place { file: Some(path.display().to_string()), ..Place::default() }
    }

    fn is_empty(&self) -> bool {
        *self == Place::default()
    }
}

#[expect(clippy::borrowed_box, reason = "serde hands out the member as it is")]
fn is_nowhere(place: &Box<Place>) -> bool {
    place.is_empty()
}

impl Failure {
    /// A bad input.
    pub(crate) fn bad(kind: &'static str, message: impl fmt::Display) -> Failure {
        Failure::new(Status::Bad, kind, message)
    }

    /// A command line that is wrong.
    pub(crate) fn usage(message: impl fmt::Display) -> Failure {
        Failure::new(Status::Usage, "usage", message)
    }

    /// What this kernel, machine or build cannot do.
    pub(crate) fn unable(kind: &'static str, message: impl fmt::Display) -> Failure {
        Failure::new(Status::Unable, kind, message)
    }

    fn new(status: Status, kind: &'static str, message: impl fmt::Display) -> Failure {
        Failure {
            status,
            kind,
            message: message.to_string(),
            place: Box::default(),
            help: None,
            log_tail: None,
        }
    }

    /// Adds the place.
    pub(crate) fn at(mut self, place: Place) -> Failure {
        *self.place = place;
        self
    }

    /// Adds what to do about it.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Failure {
        self.help = Some(help.into());
        self
    }

    /// A file that could not be read or written.
    pub(crate) fn file(path: &Path, error: &std::io::Error) -> Failure {
        Failure::bad("file", error).at(Place::file(path))
    }
}

impl From<ElfError> for Failure {
    fn from(error: ElfError) -> Failure {
        let place = error.place();
        Failure::bad("object", error.problem()).at(Place {
            file: Some(place.file.clone()),
            section: place.section.clone(),
            symbol: place.symbol.clone(),
            insn: place.insn.map(|insn| insn.0),
            offset: place.offset,
            ..Place::default()
        })
    }
}

/// Lines of a verifier's log that are kept.
const TAIL: usize = 12;

/// The last lines of a verifier's log that are not statistics: the reason stands there.
pub(crate) fn log_tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !line.starts_with("processed ")).collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

/// Answers of kernels that say: not this kernel, or not with these rights.
fn status_of(kind: ErrorKind) -> (Status, &'static str) {
    match kind {
        ErrorKind::Permission => (Status::Unable, "permission"),
        ErrorKind::Unsupported => (Status::Unable, "unsupported"),
        ErrorKind::Rejected => (Status::Bad, "rejected"),
        ErrorKind::Object => (Status::Bad, "object"),
        // What the command line names or sets.
        ErrorKind::NotFound | ErrorKind::Setting => (Status::Usage, "usage"),
        _ => (Status::Bad, "kernel"),
    }
}

impl From<skep::Error> for Failure {
    fn from(error: skep::Error) -> Failure {
        let place = error.place();
        let at = Place {
            file: place.file.clone(),
            section: place.section.clone(),
            symbol: [&place.program, &place.map, &place.variable, &place.path, &place.object]
                .into_iter()
                .find_map(Clone::clone),
            insn: place.insn,
            ..Place::default()
        };
        // The place stands in front of the message, and is told apart here.
        let text = error.to_string();
        let prefix = format!("{place}: ");
        let message = text.strip_prefix(&prefix).unwrap_or(&text);
        let (status, kind) = status_of(error.kind());
        let mut failure = Failure::new(status, kind, message).at(at);
        failure.log_tail = error.verifier_log().map(log_tail);
        match kind {
            "permission" => {
                failure.help("run it as root, or with CAP_BPF and what the program type needs besides")
            }
            _ => failure,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        let mut part = |f: &mut fmt::Formatter<'_>, text: fmt::Arguments<'_>, join: &'static str| {
            write!(f, "{between}{text}")?;
            between = join;
            Ok(())
        };
        if let Some(file) = &self.file {
            part(f, format_args!("{file}"), ": ")?;
        }
        match (self.line, self.column) {
            (Some(line), Some(column)) => write!(f, ":{line}:{column}")?,
            (Some(line), None) => write!(f, ":{line}")?,
            _ => {}
        }
        if let Some(section) = &self.section {
            part(f, format_args!("section {section}"), ": ")?;
        }
        if let Some(symbol) = &self.symbol {
            part(f, format_args!("{symbol}"), ": ")?;
        }
        if let Some(insn) = self.insn {
            part(f, format_args!("instruction {insn}"), ": ")?;
        }
        if let Some(offset) = self.offset {
            part(f, format_args!("byte {offset:#x}"), ": ")?;
        }
        Ok(())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_stands_at_the_end_of_a_log() {
        let log = "0: R1=ctx() R10=fp0\n1: (95) exit\nR0 !read_ok\nprocessed 2 insns (limit 1000000) max\n";
        assert_eq!(log_tail(log), "0: R1=ctx() R10=fp0\n1: (95) exit\nR0 !read_ok");
        assert_eq!(log_tail(""), "");
        assert_eq!(log_tail(&"line\n".repeat(50)).lines().count(), TAIL);
    }

    #[test]
    fn a_place_reads_from_the_outside_in() {
        let place = Place {
            file: Some("x.o".to_owned()),
            section: Some("xdp".to_owned()),
            symbol: Some("drop".to_owned()),
            insn: Some(3),
            ..Place::default()
        };
        assert_eq!(place.to_string(), "x.o: section xdp: drop: instruction 3");
        let place = Place { line: Some(2), column: Some(7), ..Place::file(Path::new("a.s")) };
        let failure = Failure::bad("syntax", "wanted a number").at(place);
        assert_eq!(failure.to_string(), "a.s:2:7: wanted a number");
    }
}
