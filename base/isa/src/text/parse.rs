//! One instruction: a line against the templates.

use super::cursor::{Cursor, Sign};
use super::error::{AsmErrorKind, Wanted};
use super::index::Index;
use super::template::{Hole, Piece, pieces};
use super::{is_label, is_register, is_word};
use crate::table::{Next, ROWS, Row};
use crate::{Field, RawInsn};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Knows the names that an instruction may mention.
pub(super) trait Scope {
    fn is_label(&self, name: &str) -> bool;
    fn helper(&self, name: &str) -> Option<u32>;
    fn constant(&self, name: &str) -> Option<i64>;
}

/// Is an instruction read, its label still to be looked up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parsed<'s> {
    pub(super) slot: RawInsn,
    pub(super) next: Option<RawInsn>,
    pub(super) label: Option<LabelUse<'s>>,
}

/// Is a label in place of a distance.
#[derive(Clone, Copy, Debug)]
pub(super) struct LabelUse<'s> {
    pub(super) name: &'s str,
    /// Says where the distance goes, [`Field::Off`] or [`Field::Imm`].
    pub(super) field: Field,
    /// Holds the byte of the line where the name is.
    pub(super) pos: usize,
}

/// Says where a line stopped fitting, and why.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) pos: usize,
    pub(super) kind: AsmErrorKind,
}

/// Reads an instruction that fills the rest of a line.
pub(super) fn parse<'s>(index: &Index, start: Cursor<'s>, scope: &dyn Scope) -> Result<Parsed<'s>, Failure> {
    let mut cursor = start;
    cursor.eat('%');
    let first = cursor.token();
    cursor.word();
    let second = cursor.token().chars().next();
    let mut furthest = Furthest::new(start);
    let mut tried = false;
    for spelling in index.starting_with(first).filter(|spelling| spelling.may_go_on_with(second)) {
        tried = true;
        match Attempt::new(spelling.row, start, scope).run(spelling.template) {
            Ok(parsed) => return Ok(parsed),
            Err(miss) => furthest.add(miss),
        }
    }
    if !tried {
        // Nothing fits; trying the rest says what was expected.
        for spelling in index.starting_with(first) {
            if let Err(miss) = Attempt::new(spelling.row, start, scope).run(spelling.template) {
                furthest.add(miss);
            }
        }
    }
    Err(furthest.into_failure())
}

/// Says why one template does not fit.
enum Miss {
    Wanted(Wanted),
    Wrong(AsmErrorKind),
}

/// Collects misses and keeps those that came furthest: what the writer most likely meant.
struct Furthest<'s> {
    start: Cursor<'s>,
    pos: usize,
    wanted: Vec<Wanted>,
    wrong: Option<AsmErrorKind>,
}

impl<'s> Furthest<'s> {
    fn new(mut start: Cursor<'s>) -> Furthest<'s> {
        Furthest { pos: start.pos(), start, wanted: Vec::new(), wrong: None }
    }

    fn add(&mut self, (mut at, miss): (Cursor<'s>, Miss)) {
        let pos = at.pos();
        if pos < self.pos {
            return;
        }
        if pos > self.pos {
            *self = Furthest { start: self.start, pos, wanted: Vec::new(), wrong: None };
        }
        match miss {
            Miss::Wanted(wanted) if !self.wanted.contains(&wanted) => {
                if self.wanted.try_reserve(1).is_ok() {
                    self.wanted.push(wanted);
                }
            }
            Miss::Wanted(_) => {}
            // A call's name may be a label or a helper; the complaint about the helper says both.
            Miss::Wrong(wrong @ AsmErrorKind::UnknownHelper { .. }) => self.wrong = Some(wrong),
            Miss::Wrong(wrong) => self.wrong = self.wrong.take().or(Some(wrong)),
        }
    }

    fn into_failure(mut self) -> Failure {
        let Furthest { pos, .. } = self;
        let kind = match self.wrong {
            Some(wrong) => wrong,
            None if pos == self.start.pos() => {
                AsmErrorKind::UnknownInstruction { found: self.start.token().into() }
            }
            None => {
                AsmErrorKind::Unexpected { wanted: self.wanted, found: self.start.at(pos).token().into() }
            }
        };
        Failure { pos, kind }
    }
}

/// Tries one template.
struct Attempt<'s, 'a> {
    cursor: Cursor<'s>,
    scope: &'a dyn Scope,
    row: &'static Row,
    parsed: Parsed<'s>,
    next_imm: i32,
    seen: [Option<u8>; 2],
}

impl<'s, 'a> Attempt<'s, 'a> {
    fn new(row: &'static Row, cursor: Cursor<'s>, scope: &'a dyn Scope) -> Attempt<'s, 'a> {
        let parsed = Parsed { slot: row.base(), next: None, label: None };
        Attempt { cursor, scope, row, parsed, next_imm: 0, seen: [None; 2] }
    }

    fn run(mut self, template: &'static str) -> Result<Parsed<'s>, (Cursor<'s>, Miss)> {
        for piece in pieces(template) {
            let before = self.cursor;
            let read = match piece {
                Piece::Text(text) => self.text(text),
                Piece::Hole(hole) => self.hole(hole).map_err(|miss| (before, miss)),
            };
            read?;
        }
        if !self.cursor.at_end() {
            return Err((self.cursor, Miss::Wanted(Wanted::End)));
        }
        if self.row.next != Next::None {
            self.parsed.next = Some(RawInsn { imm: self.next_imm, ..RawInsn::default() });
        }
        Ok(self.parsed)
    }

    /// Takes the literal text of a template: the same words and characters, spaces between them free.
    fn text(&mut self, text: &'static str) -> Result<(), (Cursor<'s>, Miss)> {
        for token in text.split_whitespace() {
            let mut rest = token;
            while let Some(first) = rest.chars().next() {
                let before = self.cursor;
                let len = match rest.find(|c| !is_word(c)) {
                    Some(0) => first.len_utf8(),
                    end => end.unwrap_or(rest.len()),
                };
                let (part, after) = rest.split_at(len);
                let fits = match is_word(first) {
                    true => self.cursor.word() == part,
                    false => self.cursor.eat(first),
                };
                if !fits {
                    return Err((before, Miss::Wanted(Wanted::Text(token))));
                }
                rest = after;
            }
        }
        Ok(())
    }

    fn hole(&mut self, hole: Hole) -> Result<(), Miss> {
        match hole {
            Hole::Reg(field) | Hole::Half(field) => self.register(hole, field),
            Hole::Imm => {
                self.parsed.slot.imm = self.immediate(hole)?;
                Ok(())
            }
            Hole::Unsigned => {
                self.parsed.slot.imm = self.number(hole, 0, u64::from(u32::MAX))? as u32 as i32;
                Ok(())
            }
            Hole::Imm64 => {
                let number = self.number(hole, i64::MIN, u64::MAX)? as u64;
                self.parsed.slot.imm = number as u32 as i32;
                self.next_imm = (number >> 32) as i32;
                Ok(())
            }
            Hole::NextUnsigned => {
                self.next_imm = self.number(hole, 0, u64::from(u32::MAX))? as u32 as i32;
                Ok(())
            }
            Hole::NextImm => {
                self.next_imm = self.number(hole, i64::from(i32::MIN), i32::MAX as u64)? as i32;
                Ok(())
            }
            Hole::Offset => {
                self.parsed.slot.off = self.distance(i64::from(i16::MIN), i16::MAX as u64)? as i16;
                Ok(())
            }
            Hole::ImmOffset => {
                self.parsed.slot.imm = self.distance(i64::from(i32::MIN), i32::MAX as u64)? as i32;
                Ok(())
            }
            Hole::Index => {
                self.parsed.slot.off = self.number(hole, i64::from(i16::MIN), i16::MAX as u64)? as i16;
                Ok(())
            }
            Hole::Target => self.target(hole, Field::Off),
            Hole::FarTarget | Hole::Function | Hole::Callee => self.target(hole, Field::Imm),
            Hole::Helper => self.helper(),
            Hole::ToSpace => {
                let space = self.number(hole, 0, u64::from(u16::MAX))? as u16;
                self.parsed.slot.imm |= (u32::from(space) << 16) as i32;
                Ok(())
            }
            Hole::FromSpace => {
                self.parsed.slot.imm |= i32::from(self.number(hole, 0, u64::from(u16::MAX))? as u16);
                Ok(())
            }
        }
    }

    /// Takes `r1`, `%r1`, `fp`, or `w1`. A register that a template has twice must be the same.
    fn register(&mut self, hole: Hole, field: Field) -> Result<(), Miss> {
        let wanted = Miss::Wanted(hole.into());
        self.cursor.eat('%');
        let word = self.cursor.word();
        let digits = match hole {
            Hole::Half(_) => word.strip_prefix('w'),
            _ if word == "fp" => Some("10"),
            _ => word.strip_prefix('r'),
        };
        let number = match digits.map(str::as_bytes) {
            Some(&[digit @ b'0'..=b'9']) => digit - b'0',
            Some(b"10") => 10,
            _ => return Err(wanted),
        };
        let (seen, shift) = match field {
            Field::Dst => (&mut self.seen[0], 0),
            _ => (&mut self.seen[1], 4),
        };
        match *seen {
            Some(before) if before != number => Err(Miss::Wanted(Wanted::SameRegister(before))),
            Some(_) => Ok(()),
            None => {
                *seen = Some(number);
                self.parsed.slot.regs |= number << shift;
                Ok(())
            }
        }
    }

    /// Takes a number or constant with a sign or none.
    fn number(&mut self, hole: Hole, min: i64, max: u64) -> Result<i128, Miss> {
        let sign = self.cursor.sign().unwrap_or(Sign::Plus);
        let number = sign.apply(self.magnitude()?.ok_or(Miss::Wanted(hole.into()))?);
        in_range(number, min, max)
    }

    /// Takes a number of 32 bits. In decimal it is the value that it stands for; in hexadecimal, and by name, also the 32 bits, or
    /// the 64 that a negative one is extended to.
    fn immediate(&mut self, hole: Hole) -> Result<i32, Miss> {
        let mut ahead = self.cursor;
        ahead.sign();
        let is_decimal = ahead.word().bytes().all(|byte| byte.is_ascii_digit());
        let number = self.number(hole, i64::MIN, u64::MAX)?;
        let max = if is_decimal { i32::MAX as u64 } else { u64::from(u32::MAX) };
        let bits = u64::try_from(number).ok().filter(|_| !is_decimal);
        match bits.and_then(|bits| i32::try_from(bits as i64).ok()) {
            Some(imm) => Ok(imm),
            None => Ok(in_range(number, i64::from(i32::MIN), max)? as u32 as i32),
        }
    }

    /// Takes `+ 4`, `- 4`, or nothing for zero.
    fn distance(&mut self, min: i64, max: u64) -> Result<i128, Miss> {
        let Some(outer) = self.cursor.sign() else { return Ok(0) };
        let inner = self.cursor.sign().unwrap_or(Sign::Plus);
        let magnitude = self.magnitude()?.ok_or(Miss::Wanted(Wanted::Number))?;
        in_range(outer.apply(inner.apply(magnitude)), min, max)
    }

    /// Takes a number or constant; nothing if it is neither, an error for a name that is no constant's.
    fn magnitude(&mut self) -> Result<Option<i128>, Miss> {
        if let Some(number) = self.cursor.digits() {
            return Ok(Some(number));
        }
        let name = self.cursor.word();
        if !is_label(name) {
            return Ok(None);
        }
        match self.scope.constant(name) {
            Some(value) => Ok(Some(i128::from(value))),
            None => Err(Miss::Wrong(AsmErrorKind::UnknownConstant { name: name.into() })),
        }
    }

    /// Takes a label, `pc+1`, `+1`; for jumps also `1`, which for calls is a helper's number.
    fn target(&mut self, hole: Hole, field: Field) -> Result<(), Miss> {
        let pos = self.cursor.pos();
        let mut ahead = self.cursor;
        let name = ahead.word();
        if name == "pc" {
            self.cursor = ahead;
        } else if !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) {
            self.cursor = ahead;
            if !self.scope.is_label(name) {
                let known = is_label(name) && !is_register(name);
                return Err(match known {
                    true => Miss::Wrong(AsmErrorKind::UnknownLabel { name: name.into() }),
                    false => Miss::Wanted(hole.into()),
                });
            }
            self.parsed.label = Some(LabelUse { name, field, pos });
            return Ok(());
        }
        let sign = match (self.cursor.sign(), hole) {
            (Some(sign), _) => sign,
            (None, Hole::Function) => return Err(Miss::Wanted(hole.into())),
            (None, _) => Sign::Plus,
        };
        let number = sign.apply(self.cursor.digits().ok_or(Miss::Wanted(hole.into()))?);
        match field {
            Field::Off => {
                self.parsed.slot.off = in_range(number, i64::from(i16::MIN), i16::MAX as u64)? as i16;
            }
            _ => self.parsed.slot.imm = in_range(number, i64::from(i32::MIN), i32::MAX as u64)? as i32,
        }
        Ok(())
    }

    /// Takes a number, a name, or `name#number`, where the number counts.
    fn helper(&mut self) -> Result<(), Miss> {
        let mut ahead = self.cursor;
        let name = ahead.word();
        let id = if let Some(number) = self.cursor.digits() {
            in_range(number, 0, u64::from(u32::MAX))? as u32
        } else if name.is_empty() || is_register(name) {
            return Err(Miss::Wanted(Wanted::Helper));
        } else if ahead.eat_joined('#') {
            let number = ahead.digits().ok_or(Miss::Wanted(Wanted::Number))?;
            self.cursor = ahead;
            in_range(number, 0, u64::from(u32::MAX))? as u32
        } else if self.scope.is_label(name) {
            return Err(Miss::Wanted(Wanted::Helper));
        } else {
            self.cursor = ahead;
            let constant = || self.scope.constant(name).and_then(|value| u32::try_from(value).ok());
            let unknown = || Miss::Wrong(AsmErrorKind::UnknownHelper { name: name.into() });
            self.scope.helper(name).or_else(constant).ok_or_else(unknown)?
        };
        self.parsed.slot.imm = id as i32;
        Ok(())
    }
}

fn in_range(found: i128, min: i64, max: u64) -> Result<i128, Miss> {
    match i128::from(min) <= found && found <= i128::from(max) {
        true => Ok(found),
        false => Err(Miss::Wrong(AsmErrorKind::OutOfRange { min, max, found })),
    }
}

/// Takes five numbers: a slot by its fields, whatever they mean.
pub(super) fn parse_fields<'s>(mut cursor: Cursor<'s>, scope: &dyn Scope) -> Result<Parsed<'s>, Failure> {
    const RANGES: [(i64, u64); 5] = [
        (0, u8::MAX as u64),
        (0, 15),
        (0, 15),
        (i16::MIN as i64, i16::MAX as u64),
        (i32::MIN as i64, u32::MAX as u64),
    ];
    let mut numbers = [0; 5];
    for (i, (number, (min, max))) in numbers.iter_mut().zip(RANGES).enumerate() {
        if i > 0 && !cursor.eat(',') {
            return Err(expected(cursor, Wanted::Text(",")));
        }
        *number = parse_number(&mut cursor, scope, min, max)?;
    }
    if !cursor.at_end() {
        return Err(expected(cursor, Wanted::End));
    }
    let [code, dst, src, off, imm] = numbers;
    let slot = RawInsn::new(code as u8, dst as u8, src as u8, off as i16, imm as u32 as i32);
    Ok(Parsed { slot, next: None, label: None })
}

/// Takes a number or constant in a directive.
pub(super) fn parse_number(
    cursor: &mut Cursor<'_>,
    scope: &dyn Scope,
    min: i64,
    max: u64,
) -> Result<i128, Failure> {
    let mut before = *cursor;
    let mut attempt = Attempt::new(&ROWS[0], *cursor, scope);
    let number = attempt.number(Hole::Imm, min, max);
    *cursor = attempt.cursor;
    number.map_err(|miss| match miss {
        Miss::Wanted(wanted) => expected(before, wanted),
        Miss::Wrong(kind) => Failure { pos: before.pos(), kind },
    })
}

/// Says that something else should stand here.
pub(super) fn expected(mut at: Cursor<'_>, wanted: Wanted) -> Failure {
    let found: Box<str> = at.token().into();
    let mut list = Vec::new();
    if list.try_reserve(1).is_ok() {
        list.push(wanted);
    }
    Failure { pos: at.pos(), kind: AsmErrorKind::Unexpected { wanted: list, found } }
}
