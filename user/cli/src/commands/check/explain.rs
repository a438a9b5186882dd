//! What a rejection becomes: a text over the source, and a part of the document.

use crate::shapes::check::{NoteShape, RejectionShape};
use crate::source::Lines;
use skep_btf::{LineInfo, StrOff};
use skep_elf::ObjectSpec;
use skep_explain::{Source, render};
use skep_isa::InsnIdx;
use skep_model::ProgramSpec;
use skep_verifier::Rejection;
use std::io::Read;

/// Files that are longer are no source.
const MOST_BYTES: u64 = 4 << 20;

/// The text over the source.
pub(super) fn text(rejection: &Rejection, object: &ObjectSpec, program: &ProgramSpec) -> String {
    render(rejection, &source(object, program), &read)
}

fn source<'o>(object: &'o ObjectSpec, program: &ProgramSpec) -> Source<'o> {
    let lines = program.line_info.iter().map(|info| LineInfo {
        insn_off: info.insn_off,
        file_name: StrOff(info.file_name_off),
        line: StrOff(info.line_off),
        line_col: info.line_col,
    });
    Source::new(object.btf.as_ref(), lines.collect())
}

/// Reads a source file that is there.
fn read(name: &str) -> Option<String> {
    let file = std::fs::File::open(name).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    file.take(MOST_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The part of the document.
pub(super) fn shape(rejection: Rejection, object: &ObjectSpec, program: &ProgramSpec) -> RejectionShape {
    let lines = Lines::of(object.btf.as_ref(), program);
    let place = |insn: InsnIdx| lines.covering(insn);
    // The line that is shown, which may be another than the instruction's.
    let shown = skep_explain::place(&rejection, &source(object, program));
    let shown = shown.and_then(|shown| {
        let insns = rejection.insn.iter().chain(rejection.path.iter().rev());
        insns
            .filter_map(|insn| place(*insn))
            .find(|source| (source.line, source.column) == (shown.line, shown.column))
    });
    RejectionShape {
        id: rejection.id(),
        category: rejection.category().name(),
        insn: rejection.insn.map(|insn| insn.0),
        source: shown,
        help: rejection.help(),
        notes: rejection
            .notes
            .into_iter()
            .map(|note| NoteShape { insn: note.insn.0, source: place(note.insn), message: note.message })
            .collect(),
        message: rejection.message,
    }
}
