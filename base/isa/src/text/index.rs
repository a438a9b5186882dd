//! All spellings of all instructions, ordered by how they start.

use super::alias::ALIASES;
use super::cursor::Cursor;
use super::error::AsmErrorKind;
use super::template::{Hole, Piece, pieces};
use crate::table::{ROWS, Row};
use alloc::vec::Vec;

/// Is one way to write one instruction.
#[derive(Clone, Copy)]
pub(super) struct Spelling {
    first: First,
    /// Holds the first character of the second token; none if that is an operand or there is none.
    second: Option<char>,
    pub(super) row: &'static Row,
    pub(super) template: &'static str,
}

/// Says how a spelling starts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum First {
    Register,
    HalfRegister,
    Token(&'static str),
}

impl Spelling {
    fn new(row: &'static Row, template: &'static str) -> Spelling {
        let first = match pieces(template).next() {
            Some(Piece::Hole(Hole::Half(_))) => First::HalfRegister,
            Some(Piece::Hole(_)) => First::Register,
            Some(Piece::Text(_)) | None => First::Token(Cursor::new(template).token()),
        };
        let second = match first {
            First::Token(_) => None,
            // After a register a hundred spellings differ in their operator.
            _ => template.split_once('}').and_then(|(_, after)| after.trim_start().chars().next()),
        };
        Spelling { first, second, row, template }
    }

    fn first_token(&self) -> Option<&'static str> {
        match self.first {
            First::Token(token) => Some(token),
            First::Register | First::HalfRegister => None,
        }
    }

    /// Says whether the second token of a line, by its first character, can be this spelling's.
    pub(super) fn may_go_on_with(&self, second: Option<char>) -> bool {
        self.second.is_none() || self.second == second
    }
}

/// Holds all spellings.
pub(super) struct Index(Vec<Spelling>);

impl Index {
    pub(super) fn new() -> Result<Index, AsmErrorKind> {
        let rows = ROWS.iter().flat_map(|row| [(row, row.linux), (row, row.mnemonic)]);
        let aliases = ALIASES.iter().map(|&(op, template)| (op.row(), template));
        let mut spellings = Vec::new();
        spellings.try_reserve_exact(ROWS.len() * 2 + ALIASES.len()).map_err(|_| AsmErrorKind::OutOfMemory)?;
        spellings.extend(rows.chain(aliases).map(|(row, template)| Spelling::new(row, template)));
        spellings.sort_unstable_by_key(|spelling| (spelling.first, spelling.template));
        Ok(Index(spellings))
    }

    /// Yields the spellings that a line with this first token can have; its `%` is left out.
    pub(super) fn starting_with<'a>(&'a self, first: &'a str) -> impl Iterator<Item = &'a Spelling> {
        let registers = match first.as_bytes() {
            [b'w', ..] => self.registers(First::HalfRegister),
            [b'r', ..] | b"fp" => self.registers(First::Register),
            _ => &[],
        };
        let start =
            self.0.partition_point(|spelling| spelling.first_token().is_none_or(|token| token < first));
        let rest = self.0.get(start..).unwrap_or_default();
        let tokens = rest.iter().take_while(move |spelling| spelling.first_token() == Some(first));
        registers.iter().chain(tokens)
    }

    fn registers(&self, first: First) -> &[Spelling] {
        let start = self.0.partition_point(|spelling| spelling.first < first);
        let end = self.0.partition_point(|spelling| spelling.first <= first);
        self.0.get(start..end).unwrap_or_default()
    }
}
