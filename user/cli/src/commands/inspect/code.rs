//! What dumps of code share.

use skep::SourceLine;
use std::io::{self, Write};

/// What stands beside the instructions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// The lines of the source.
    pub(super) source: bool,
    /// The bytes.
    pub(super) opcodes: bool,
}

/// Writes lines of the source, each where it differs from the last.
#[derive(Default)]
pub(super) struct Shown(Option<String>);

impl Shown {
    pub(super) fn write(&mut self, line: &SourceLine, out: &mut dyn Write) -> io::Result<()> {
        let text = format!("// {}:{}: {}", one_line(&line.file), line.line, one_line(&line.text));
        if self.0.as_ref() != Some(&text) {
            writeln!(out, "{text}")?;
        }
        self.0 = Some(text);
        Ok(())
    }
}

/// A line of the source as JSON.
pub(super) fn source_json(line: &SourceLine) -> serde_json::Value {
    serde_json::json!({
        "file": one_line(&line.file),
        "line": line.line,
        "column": line.column,
        "text": one_line(&line.text),
    })
}

/// One line, whatever bytes somebody put there.
fn one_line(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
