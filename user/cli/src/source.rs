//! The source lines of a program's instructions.

use serde::Serialize;
use skep_abi::LineInfo;
use skep_btf::{Btf, StrOff};
use skep_isa::InsnIdx;
use skep_model::ProgramSpec;
use std::borrow::Cow;

/// The line that an instruction was compiled from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Source {
    /// The file, as the compiler was given it.
    pub(crate) file: String,
    /// The line, from 1.
    pub(crate) line: u32,
    /// The column, from 1; 0 where unknown.
    pub(crate) column: u32,
    /// The text of the line, without the space around it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) text: String,
}

/// The lines of one program.
pub(crate) struct Lines<'a> {
    btf: Option<&'a Btf<'static>>,
    infos: &'a [LineInfo],
}

impl<'a> Lines<'a> {
    /// Takes the lines of a program; they ascend by instruction.
    pub(crate) fn of(btf: Option<&'a Btf<'static>>, program: &'a ProgramSpec) -> Lines<'a> {
        Lines { btf, infos: &program.line_info }
    }

    /// The line that begins at an instruction.
    pub(crate) fn at(&self, insn: InsnIdx) -> Option<Source> {
        let at = self.infos.binary_search_by_key(&insn.0, |info| info.insn_off).ok()?;
        Some(self.source(&self.infos[at]))
    }

    /// The line that an instruction belongs to: the last that begins at it or before.
    pub(crate) fn covering(&self, insn: InsnIdx) -> Option<Source> {
        let after = self.infos.partition_point(|info| info.insn_off <= insn.0);
        Some(self.source(&self.infos[after.checked_sub(1)?]))
    }

    fn source(&self, info: &LineInfo) -> Source {
        let text = |off: u32| {
            let text = self.btf.and_then(|btf| btf.text(StrOff(off))).unwrap_or(Cow::Borrowed(""));
            // One line, whatever bytes somebody put there.
            text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
        };
        Source {
            file: text(info.file_name_off),
            line: info.line(),
            column: info.column(),
            text: text(info.line_off),
        }
    }
}
