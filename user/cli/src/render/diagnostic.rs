//! Verdicts for people: a line for each kernel, and what is wrong over the C source.

use crate::shapes::check::{CheckedProgram, KernelVerdict, Verdict};
use crate::source::Source;
use std::io::{self, Write};

/// Writes what was found out about a program.
///
/// # Errors
/// Those of `out`.
pub(crate) fn program(path: &str, program: &CheckedProgram, out: &mut dyn Write) -> io::Result<()> {
    let kind = program.kind.as_deref().unwrap_or("unknown type");
    writeln!(out, "{path}: {} ({kind}, section {}, {} slots)", program.name, program.section, program.insns)?;
    for (name, of) in [("embedded", &program.embedded), ("linux", &program.linux)] {
        if let Some(of) = of {
            verdict(name, of, out)?;
        }
    }
    out.write_all(program.text.as_bytes())
}

fn verdict(name: &str, of: &KernelVerdict, out: &mut dyn Write) -> io::Result<()> {
    let word = match of.verdict {
        Verdict::Accepted => "accepted",
        Verdict::Rejected => "rejected",
        Verdict::Unsupported => "unsupported",
    };
    write!(out, "  {name}: {word}")?;
    if let Some(errno) = &of.errno {
        write!(out, ", {errno}")?;
    }
    if let Some(count) = of.processed_insns {
        write!(out, ", {count} instructions processed")?;
    }
    if let Some(reason) = &of.reason {
        write!(out, ": {reason}")?;
    }
    writeln!(out)?;
    let lines = of.log_tail.iter().flat_map(|log| log.lines());
    lines.into_iter().try_for_each(|line| writeln!(out, "    | {line}"))
}

/// Writes a line of the source with its place.
///
/// # Errors
/// Those of `out`.
pub(crate) fn source(of: &Source, out: &mut dyn Write) -> io::Result<()> {
    let Source { file, line, column, text } = of;
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    writeln!(out, "{margin}--> {file}:{line}:{column}")?;
    writeln!(out, "{margin} |\n{number} | {text}\n{margin} |")
}
