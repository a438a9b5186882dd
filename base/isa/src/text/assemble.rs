//! The assembler: labels, directives, lines.

use super::cursor::{Cursor, without_comment};
use super::error::{AsmError, AsmErrorKind, Wanted};
use super::index::Index;
use super::is_label;
use super::parse::{Failure, LabelUse, Parsed, Scope, expected, parse, parse_fields, parse_number};
use crate::table::Op;
use crate::{Field, InsnIdx, RawInsn};
use alloc::vec::Vec;

/// Gives numbers to the names that text may mention. Every method may know nothing, as those of `()` do.
pub trait Symbols {
    /// Returns the number of a helper.
    fn helper(&self, name: &str) -> Option<u32> {
        let _ = name;
        None
    }

    /// Returns the value of a constant.
    fn constant(&self, name: &str) -> Option<i64> {
        let _ = name;
        None
    }
}

impl Symbols for () {}

/// Takes the numbers of helpers from a function.
impl<F: Fn(&str) -> Option<u32>> Symbols for F {
    fn helper(&self, name: &str) -> Option<u32> {
        self(name)
    }
}

/// Is a program made from text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Assembled<'s> {
    slots: Vec<RawInsn>,
    lines: Vec<u32>,
    labels: Vec<Label<'s>>,
}

impl<'s> Assembled<'s> {
    /// Returns the slots.
    pub fn slots(&self) -> &[RawInsn] {
        &self.slots
    }

    /// Returns the slots alone.
    pub fn into_slots(self) -> Vec<RawInsn> {
        self.slots
    }

    /// Returns the line, counted from one, that a slot was made from.
    pub fn line(&self, at: InsnIdx) -> Option<u32> {
        self.lines.get(at.index()).copied()
    }

    /// Returns the slot that a label stands before; one past the last if nothing follows it.
    pub fn label(&self, name: &str) -> Option<InsnIdx> {
        find(&self.labels, name).map(|label| label.at)
    }

    /// Yields the labels by name, with their slots.
    pub fn labels(&self) -> impl ExactSizeIterator<Item = (&'s str, InsnIdx)> + '_ {
        self.labels.iter().map(|label| (label.name, label.at))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Label<'s> {
    name: &'s str,
    line: u32,
    column: u32,
    at: InsnIdx,
}

fn find<'a, 's>(labels: &'a [Label<'s>], name: &str) -> Option<&'a Label<'s>> {
    labels.binary_search_by_key(&name, |label| label.name).ok().and_then(|i| labels.get(i))
}

/// Makes a program from text, in either dialect or both.
///
/// - An instruction stands on a line of its own, after any number of labels, `name:`.
/// - A comment starts with `//`, `;`, or a `#` after a space.
/// - `.equ NAME, value` names a number; `.insn code, dst, src, off, imm` is any slot by its fields.
/// - Where nothing is called `exit`, the label `exit` is the first `exit` instruction.
///
/// What is made decodes, but for `.insn`; where its jumps lead, if by number, is not checked.
///
/// # Errors
///
/// [`AsmError`] with line, column, what was expected and what was found.
///
/// ```
/// use skep_isa::text::assemble;
///
/// let helpers = |name: &str| (name == "bpf_ktime_get_ns").then_some(5);
/// let linux = assemble("call bpf_ktime_get_ns\nif r0 > 9 goto out\nr0 = 0\nout: exit\n", &helpers)?;
/// let mnemonic = assemble("call 5\njgt %r0, 9, exit\nmov %r0, 0\nexit", &())?;
/// assert_eq!(linux.slots(), mnemonic.slots());
///
/// let error = assemble("r0 = 1\nr1 += r11", &()).unwrap_err();
/// assert_eq!(error.to_string(), "2:7: expected a number or a register r0 to r10, found `r11`");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn assemble<'s>(source: &'s str, symbols: &dyn Symbols) -> Result<Assembled<'s>, AsmError> {
    let mut assembler = Assembler {
        out: Assembled { labels: labels(source)?, ..Assembled::default() },
        constants: Vec::new(),
        uses: Vec::new(),
        first_exit: None,
        index: Index::new().map_err(|kind| AsmError { line: 1, column: 1, kind })?,
        symbols,
    };
    for (line, text) in lines(source) {
        let place = |failure: Failure| failure.at(line, text);
        let mut cursor = Cursor::new(without_comment(text));
        while let Some(name) = label(&mut cursor) {
            assembler.place_label(name).map_err(place)?;
        }
        if !cursor.at_end() {
            assembler.statement(cursor, line).map_err(place)?;
        }
    }
    assembler.finish(source)
}

/// Yields the lines with their numbers.
fn lines(source: &str) -> impl Iterator<Item = (u32, &str)> {
    (1..).zip(source.lines())
}

/// Takes a label off the start of a line.
fn label<'s>(cursor: &mut Cursor<'s>) -> Option<&'s str> {
    let mut ahead = *cursor;
    let name = ahead.word();
    if name.is_empty() || !ahead.eat_joined(':') {
        return None;
    }
    *cursor = ahead;
    Some(name)
}

/// Finds all labels, sorted by name. Their slots are filled in as the lines are read.
fn labels(source: &str) -> Result<Vec<Label<'_>>, AsmError> {
    let mut labels: Vec<Label<'_>> = Vec::new();
    for (line, text) in lines(source) {
        let mut cursor = Cursor::new(without_comment(text));
        let mut pos = cursor.pos();
        while let Some(name) = label(&mut cursor) {
            if !is_label(name) {
                let kind = AsmErrorKind::ReservedName { name: name.into() };
                return Err(Failure { pos, kind }.at(line, text));
            }
            reserve(&mut labels).map_err(|kind| Failure { pos, kind }.at(line, text))?;
            let column = column(text, pos);
            labels.push(Label { name, line, column, at: InsnIdx(u32::MAX) });
            pos = cursor.pos();
        }
    }
    labels.sort_unstable_by_key(|label| (label.name, label.line, label.column));
    let again = labels.windows(2).filter(|pair| pair[0].name == pair[1].name);
    let again = again.min_by_key(|pair| (pair[1].line, pair[1].column));
    if let Some(&[Label { name, line: first_line, .. }, Label { line, column, .. }]) = again {
        let kind = AsmErrorKind::DuplicateName { name: name.into(), first_line };
        return Err(AsmError { line, column, kind });
    }
    Ok(labels)
}

fn reserve<T>(list: &mut Vec<T>) -> Result<(), AsmErrorKind> {
    list.try_reserve(1).map_err(|_| AsmErrorKind::OutOfMemory)
}

impl Failure {
    fn at(self, line: u32, text: &str) -> AsmError {
        AsmError { line, column: column(text, self.pos), kind: self.kind }
    }
}

/// Counts the characters up to and with the one at a byte of a line.
fn column(text: &str, pos: usize) -> u32 {
    text.get(..pos).unwrap_or(text).chars().count() as u32 + 1
}

struct Assembler<'s, 'a> {
    out: Assembled<'s>,
    /// Holds the constants that the text defines, sorted by name, with their lines.
    constants: Vec<(&'s str, i64, u32)>,
    /// Holds the labels used, with the slot and line they are used in.
    uses: Vec<(InsnIdx, u32, LabelUse<'s>)>,
    first_exit: Option<InsnIdx>,
    index: Index,
    symbols: &'a dyn Symbols,
}

impl Scope for Assembler<'_, '_> {
    fn is_label(&self, name: &str) -> bool {
        name == "exit" || find(&self.out.labels, name).is_some()
    }

    fn helper(&self, name: &str) -> Option<u32> {
        self.symbols.helper(name)
    }

    fn constant(&self, name: &str) -> Option<i64> {
        let own = self.constants.binary_search_by_key(&name, |constant| constant.0);
        own.ok().map(|i| self.constants[i].1).or_else(|| self.symbols.constant(name))
    }
}

impl<'s> Assembler<'s, '_> {
    fn place_label(&mut self, name: &str) -> Result<(), Failure> {
        let at = self.here().map_err(|kind| Failure { pos: 0, kind })?;
        if let Ok(i) = self.out.labels.binary_search_by_key(&name, |label| label.name) {
            self.out.labels[i].at = at;
        }
        Ok(())
    }

    /// Returns the slot that comes next.
    fn here(&self) -> Result<InsnIdx, AsmErrorKind> {
        u32::try_from(self.out.slots.len()).map(InsnIdx).map_err(|_| AsmErrorKind::TooLong)
    }

    fn statement(&mut self, start: Cursor<'s>, line: u32) -> Result<(), Failure> {
        let mut cursor = start;
        let pos = cursor.pos();
        let parsed = match cursor.word() {
            ".equ" | ".set" => return self.define(cursor, line),
            ".insn" => parse_fields(cursor, self)?,
            _ => parse(&self.index, start, self)?,
        };
        self.emit(parsed, line).map_err(|kind| Failure { pos, kind })
    }

    /// Takes `NAME, value`.
    fn define(&mut self, mut cursor: Cursor<'s>, line: u32) -> Result<(), Failure> {
        let at_name = cursor;
        let name = cursor.word();
        if name.is_empty() {
            return Err(expected(at_name, Wanted::Name));
        }
        let fail = |kind| Failure { pos: { at_name }.pos(), kind };
        if !is_label(name) {
            return Err(fail(AsmErrorKind::ReservedName { name: name.into() }));
        }
        if !cursor.eat(',') {
            return Err(expected(cursor, Wanted::Text(",")));
        }
        let value = parse_number(&mut cursor, self, i64::MIN, i64::MAX as u64)? as i64;
        if !cursor.at_end() {
            return Err(expected(cursor, Wanted::End));
        }
        match self.constants.binary_search_by_key(&name, |constant| constant.0) {
            Ok(i) => {
                let (.., first_line) = self.constants[i];
                Err(fail(AsmErrorKind::DuplicateName { name: name.into(), first_line }))
            }
            Err(i) => {
                reserve(&mut self.constants).map_err(fail)?;
                self.constants.insert(i, (name, value, line));
                Ok(())
            }
        }
    }

    fn emit(&mut self, parsed: Parsed<'s>, line: u32) -> Result<(), AsmErrorKind> {
        let at = self.here()?;
        if parsed.slot == Op::Exit.row().base() {
            self.first_exit.get_or_insert(at);
        }
        if let Some(label) = parsed.label {
            reserve(&mut self.uses)?;
            self.uses.push((at, line, label));
        }
        for slot in [Some(parsed.slot), parsed.next].into_iter().flatten() {
            reserve(&mut self.out.slots)?;
            reserve(&mut self.out.lines)?;
            self.out.slots.push(slot);
            self.out.lines.push(line);
        }
        Ok(())
    }

    /// Puts the distances to labels into the slots that use them.
    fn finish(mut self, source: &str) -> Result<Assembled<'s>, AsmError> {
        let mut texts = lines(source);
        for &(at, line, label) in &self.uses {
            let implicit = || self.first_exit.filter(|_| label.name == "exit");
            let target = find(&self.out.labels, label.name).map(|label| label.at).or_else(implicit);
            let slot = &mut self.out.slots[at.index()];
            let filled = match target {
                Some(target) => fill(slot, label.field, at.offset_to(target)),
                None => Err(AsmErrorKind::UnknownLabel { name: label.name.into() }),
            };
            filled.map_err(|kind| {
                let text = texts.find(|&(number, _)| number == line).map_or("", |(_, text)| text);
                Failure { pos: label.pos, kind }.at(line, text)
            })?;
        }
        Ok(self.out)
    }
}

fn fill(slot: &mut RawInsn, field: Field, distance: i64) -> Result<(), AsmErrorKind> {
    let too_far = |bits| AsmErrorKind::TooFar { distance, bits };
    match field {
        Field::Off => slot.off = i16::try_from(distance).map_err(|_| too_far(16))?,
        _ => slot.imm = i32::try_from(distance).map_err(|_| too_far(32))?,
    }
    Ok(())
}
