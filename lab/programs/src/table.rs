//! The table of programs, and the results beside it.

use crate::{BadInput, Cpu, Input, digest, folder};
use std::collections::HashMap;
use std::path::PathBuf;
use std::{fmt, fs, io};

const PROGRAMS: &str = include_str!("../programs.txt");
const RESULTS: &str = include_str!("../results.txt");

/// One program.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name, which its files have.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// What its memory holds at first.
    pub input: Input,
    /// What must come of a run; none before native code has said so.
    pub expected: Option<Expected>,
}

/// What native code makes of a program's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The result.
    pub result: u64,
    /// The [`digest`] of the memory afterwards.
    pub memory: u64,
}

/// Why a table cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableError {
    /// The file.
    pub file: &'static str,
    /// The line, from 1.
    pub line: usize,
    /// Why.
    pub why: String,
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}: {}", self.file, self.line, self.why)
    }
}

impl std::error::Error for TableError {}

/// Lists all programs.
///
/// # Errors
/// Says which line of which table is none.
pub fn all() -> Result<Vec<Program>, TableError> {
    let results = results(RESULTS)?;
    programs(PROGRAMS, &results)
}

impl Program {
    /// Gives the path of its source.
    pub fn source(&self) -> PathBuf {
        folder().join("c").join(format!("{}.c", self.name))
    }

    /// Gives the path that its bytecode for a CPU has, if it differs from that for all.
    pub fn bytecode_path(&self, cpu: Cpu) -> PathBuf {
        let name = match cpu {
            Cpu::V3 => format!("{}.bin", self.name),
            Cpu::V4 => format!("{}.v4.bin", self.name),
        };
        folder().join("bytecode").join(name)
    }

    /// Reads its bytecode: instruction slots of 8 bytes, little-endian, the entry first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn bytecode(&self, cpu: Cpu) -> io::Result<Vec<u8>> {
        match fs::read(self.bytecode_path(cpu)) {
            Err(error) if cpu == Cpu::V4 && error.kind() == io::ErrorKind::NotFound => {
                fs::read(self.bytecode_path(Cpu::V3))
            }
            read => read,
        }
    }

    /// Makes its memory as it is before a run.
    pub fn memory(&self) -> Vec<u8> {
        self.input.bytes(digest(self.name.as_bytes()))
    }
}

fn rows(text: &'static str) -> impl Iterator<Item = (usize, &'static str)> {
    let rows = text.lines().enumerate().map(|(index, row)| (index + 1, row));
    rows.filter(|(_, row)| !row.is_empty() && !row.starts_with('#'))
}

fn programs(
    text: &'static str,
    results: &HashMap<&'static str, Expected>,
) -> Result<Vec<Program>, TableError> {
    let mut programs: Vec<Program> = Vec::new();
    for (line, row) in rows(text) {
        let wrong = |why: String| TableError { file: "programs.txt", line, why };
        let missing = |what: &str| wrong(format!("{what} is missing"));
        let (name, rest) = row.split_once(' ').ok_or_else(|| missing("the input"))?;
        let (input, about) = rest.trim_start().split_once(' ').ok_or_else(|| missing("what it is about"))?;
        let input = Input::parse(input).map_err(|error: BadInput| wrong(error.to_string()))?;
        if programs.iter().any(|program| program.name == name) {
            return Err(wrong(format!("{name} stands there twice")));
        }
        programs.push(Program {
            name,
            about: about.trim_start(),
            input,
            expected: results.get(name).copied(),
        });
    }
    Ok(programs)
}

fn results(text: &'static str) -> Result<HashMap<&'static str, Expected>, TableError> {
    let mut results = HashMap::new();
    for (line, row) in rows(text) {
        let wrong = || TableError { file: "results.txt", line, why: "not a name and two numbers".to_owned() };
        let words: Vec<&str> = row.split_whitespace().collect();
        let &[name, result, memory] = words.as_slice() else { return Err(wrong()) };
        let number = |text: &str| u64::from_str_radix(text, 16).map_err(|_| wrong());
        results.insert(name, Expected { result: number(result)?, memory: number(memory)? });
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_with_their_line() {
        let told = |text| programs(text, &HashMap::new()).unwrap_err().to_string();
        assert_eq!(told("# head\na"), "programs.txt, line 2: the input is missing");
        assert_eq!(told("a zero:8"), "programs.txt, line 1: what it is about is missing");
        assert_eq!(
            told("a zero:many all"),
            "programs.txt, line 1: `zero:many` is no kind of bytes and a count"
        );
        assert_eq!(told("a zero:8 x\na zero:8 x"), "programs.txt, line 2: a stands there twice");
        let error = results("a 1 2\nb 1").unwrap_err();
        assert_eq!(error.to_string(), "results.txt, line 2: not a name and two numbers");
    }

    #[test]
    fn every_program_has_its_files_and_its_result() {
        let programs = all().unwrap();
        assert!(programs.len() > 30);
        for program in &programs {
            assert!(program.source().is_file() && program.expected.is_some(), "{}", program.name);
            assert!(program.bytecode_path(Cpu::V3).is_file(), "{}", program.name);
        }
        let sources = fs::read_dir(folder().join("c")).unwrap().count();
        assert_eq!(sources, programs.len() + 2, "c has these, bench.h and native.c");
    }
}
