//! Where instructions come from.

use skep_btf::{Btf, LineInfo, StrOff};
use std::collections::BTreeMap;

/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as the compiler was given it.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1; 0 where unknown.
    pub column: u32,
}

/// The source of a program, as far as its object has it.
pub struct Source<'a> {
    btf: Option<&'a Btf<'a>>,
    lines: Vec<LineInfo>,
}

impl<'a> Source<'a> {
    /// Takes the lines of a program, by ascending instruction.
    pub fn new(btf: Option<&'a Btf<'a>>, lines: Vec<LineInfo>) -> Source<'a> {
        Source { btf, lines }
    }

    /// The place that an instruction belongs to: the last that begins at it or before.
    pub fn covering(&self, insn: u32) -> Option<Place> {
        let after = self.lines.partition_point(|info| info.insn_off <= insn);
        let info = self.lines.get(after.checked_sub(1)?)?;
        // Line 0 is what the compiler made of no line.
        let line = Some(info.line_number()).filter(|&line| line != 0)?;
        Some(Place { file: self.text(info.file_name)?, line, column: info.column() })
    }

    /// Whether nothing but a closing brace is at a place.
    pub(crate) fn is_brace(&self, place: &Place) -> bool {
        let here = |info: &&LineInfo| info.line_number() == place.line && info.column() == place.column;
        self.lines
            .iter()
            .find(here)
            .and_then(|info| self.text(info.line))
            .is_some_and(|text| text.trim() == "}")
    }

    /// The lines of a file that instructions come from.
    pub(crate) fn lines_of(&self, file: &str) -> BTreeMap<u32, String> {
        let of_file = self.lines.iter().filter(|info| info.line_number() != 0);
        let of_file = of_file.filter(|info| self.text(info.file_name).as_deref() == Some(file));
        of_file.filter_map(|info| Some((info.line_number(), self.text(info.line)?))).collect()
    }

    fn text(&self, at: StrOff) -> Option<String> {
        Some(self.btf?.text(at)?.into_owned())
    }
}
