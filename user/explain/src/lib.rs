//! Renders a rejection as a diagnostic over the C source.
//!
//! The lines come from the object itself: BTF has the text of each line that became instructions, and `.BTF.ext` says which. Where the
//! file is at hand and has the same lines, those between are shown, too.

mod labels;
mod source;

pub use source::{Place, Source};

use annotate_snippets::{Level, Renderer, Snippet};
use skep_verifier::{Note, Rejection};
use std::ops::Range;

/// Renders a rejection, without colours. `read` gives a file's text, by the name that the compiler was given.
pub fn render(rejection: &Rejection, source: &Source<'_>, read: &dyn Fn(&str) -> Option<String>) -> String {
    let title = clean(&rejection.to_string());
    let marks = marks(rejection, source);
    let pages: Vec<Page<'_>> =
        files(&marks).into_iter().map(|file| Page::of(file, &marks, source, read)).collect();
    let snippets = pages.iter().map(|page| {
        let annotations = page.spans.iter().map(|(span, mark)| {
            let level = if mark.is_first { Level::Error } else { Level::Note };
            level.span(span.clone()).label(&mark.label)
        });
        Snippet::source(&page.text)
            .line_start(page.first)
            .origin(&page.file)
            .fold(true)
            .annotations(annotations)
    });
    // What has no place in the source is said below it.
    let placeless: Vec<String> = rejection
        .notes
        .iter()
        .filter(|note| source.covering(note.insn.0).is_none())
        .map(|note| clean(&format!("instruction {}: {}", note.insn, note.message)))
        .collect();
    let notes = placeless.iter().map(|note| Level::Note.title(note));
    let message = Level::Error
        .title(&title)
        .id(rejection.id())
        .snippets(snippets)
        .footers(notes)
        .footer(Level::Help.title(rejection.help()));
    format!("{}\n", Renderer::plain().render(message))
}

/// A place with what is to be said there.
struct Mark {
    place: Place,
    label: String,
    is_first: bool,
}

/// The place to look at: that of the mistake, where it is known; or else that of the instruction.
pub fn place(rejection: &Rejection, source: &Source<'_>) -> Option<Place> {
    let mistake = rejection.notes.iter().find(|note| note.is_mistake);
    mistake.and_then(|note| source.covering(note.insn.0)).or_else(|| place_of_insn(rejection, source))
}

/// The place of the instruction, or, where all ways out of a function meet at its closing brace, the last on the way there.
fn place_of_insn(rejection: &Rejection, source: &Source<'_>) -> Option<Place> {
    let at = source.covering(rejection.insn?.0)?;
    if !source.is_brace(&at) {
        return Some(at);
    }
    let way = rejection.path.iter().rev().take(WAY).filter_map(|insn| source.covering(insn.0));
    let mut way = way.filter(|place| place.file == at.file && !source.is_brace(place));
    Some(way.next().unwrap_or(at))
}

/// How far back the way out of a function is looked for.
const WAY: usize = 16;

fn marks(rejection: &Rejection, source: &Source<'_>) -> Vec<Mark> {
    let mistake = |place: &Place| {
        let is_here = |note: &&Note| note.is_mistake && source.covering(note.insn.0).as_ref() == Some(place);
        rejection.notes.iter().find(is_here)
    };
    let (first, here) = (place(rejection, source), place_of_insn(rejection, source));
    let label = labels::of(rejection.rule).to_owned();
    let mut marks = Vec::new();
    if let Some(place) = first {
        match mistake(&place) {
            Some(note) => {
                marks.push(Mark { place, label: clean(&note.message), is_first: true });
                marks.extend(here.map(|place| Mark { place, label, is_first: false }));
            }
            None => marks.push(Mark { place, label, is_first: true }),
        }
    }
    for note in rejection.notes.iter().filter(|note| !note.is_mistake) {
        if let Some(place) = source.covering(note.insn.0) {
            marks.push(Mark { place, label: clean(&note.message), is_first: false });
        }
    }
    marks
}

/// The files, that of the rejection first.
fn files(marks: &[Mark]) -> Vec<&str> {
    let mut files: Vec<&str> = Vec::new();
    for mark in marks {
        if !files.contains(&mark.place.file.as_str()) {
            files.push(&mark.place.file);
        }
    }
    files
}

/// The lines of one file, from the first that something is said of to the last.
struct Page<'m> {
    file: String,
    first: usize,
    text: String,
    spans: Vec<(Range<usize>, &'m Mark)>,
}

const TAB: &str = "    ";

/// How far apart the lines of a page may be.
const MOST_LINES: u32 = 2000;

impl<'m> Page<'m> {
    fn of(
        file: &str,
        marks: &'m [Mark],
        source: &Source<'_>,
        read: &dyn Fn(&str) -> Option<String>,
    ) -> Page<'m> {
        let mut marks: Vec<&Mark> = marks.iter().filter(|mark| mark.place.file == file).collect();
        // What is too far from the first to be shown with it is left out.
        let middle = marks.first().map_or(1, |mark| mark.place.line);
        marks.retain(|mark| mark.place.line.abs_diff(middle) < MOST_LINES);
        let first = marks.iter().map(|mark| mark.place.line).min().unwrap_or(1);
        let last = marks.iter().map(|mark| mark.place.line).max().unwrap_or(1);
        let known = source.lines_of(file);
        let whole = read(file);
        let whole: Vec<&str> = whole.iter().flat_map(|text| text.lines()).collect();
        // A file that was changed since is no file of this object.
        let same = |(line, text): (&u32, &String)| {
            whole.get(*line as usize - 1).is_some_and(|there| there.trim() == text.trim())
        };
        let same = !whole.is_empty() && known.range(first..=last).all(same);
        let mut text = String::new();
        let mut spans = Vec::new();
        for line in first..=last {
            let start = text.len();
            let words = match (known.get(&line), same) {
                (_, true) => whole.get(line as usize - 1).copied().unwrap_or_default(),
                (Some(known), false) => known.as_str(),
                (None, false) => "",
            };
            let words = clean(words);
            // Of tabs nobody knows how wide they are.
            let wide = |end: usize| words.get(..end).unwrap_or_default().replace('\t', TAB).len();
            for mark in marks.iter().filter(|mark| mark.place.line == line) {
                let span = span(&words, mark.place.column);
                spans.push((start + wide(span.start)..start + wide(span.end), *mark));
            }
            text.push_str(&words.replace('\t', TAB));
            text.push('\n');
        }
        Page { file: clean(file), first: first as usize, text, spans }
    }
}

/// The bytes of a line that begin at a column, from 1, up to the end of what is said there.
fn span(line: &str, column: u32) -> Range<usize> {
    let indent = line.len() - line.trim_start().len();
    let start = match column {
        0 => indent,
        column => line.char_indices().nth(column as usize - 1).map_or(indent, |(at, _)| at),
    };
    let rest = line.get(start..).unwrap_or_default();
    let rest = rest.split("//").next().unwrap_or_default().split("/*").next().unwrap_or_default();
    let rest = rest.trim_end().trim_end_matches(['{', ';']).trim_end();
    if rest.is_empty() {
        let first = line.get(start..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        return start..start + first;
    }
    start..start + rest.len()
}

/// Text without what terminals act on.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_end_with_what_is_said() {
        let line = "    return value->count; // the count";
        assert_eq!(&line[span(line, 5)], "return value->count");
        assert_eq!(&line[span(line, 12)], "value->count");
        assert_eq!(&line[span(line, 0)], "return value->count");
        assert_eq!(&line[span(line, 400)], "return value->count");
        assert_eq!(span("", 7), 0..0);
        let braces = "  if (x) {";
        assert_eq!(&braces[span(braces, 3)], "if (x)");
        assert_eq!(&"ä;"[span("ä;", 1)], "ä");
    }
}
