//! Reading a line from left to right.

use super::is_word;

/// Stands somewhere in a line whose comment is cut off.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'s> {
    line: &'s str,
    pos: usize,
}

impl<'s> Cursor<'s> {
    pub(super) fn new(line: &'s str) -> Cursor<'s> {
        Cursor { line, pos: 0 }
    }

    /// Returns a cursor elsewhere in the same line.
    pub(super) fn at(self, pos: usize) -> Cursor<'s> {
        Cursor { pos, ..self }
    }

    /// Returns the byte where the next token starts, spaces skipped.
    pub(super) fn pos(&mut self) -> usize {
        let rest = self.rest();
        self.pos += rest.len() - rest.trim_start().len();
        self.pos
    }

    fn rest(&self) -> &'s str {
        self.line.get(self.pos..).unwrap_or_default()
    }

    /// Says whether only spaces are left.
    pub(super) fn at_end(&mut self) -> bool {
        self.pos() == self.line.len()
    }

    /// Takes the next character if it is this one.
    pub(super) fn eat(&mut self, wanted: char) -> bool {
        self.pos();
        let found = self.rest().starts_with(wanted);
        if found {
            self.pos += wanted.len_utf8();
        }
        found
    }

    /// Takes the next character, not skipping spaces, if it is this one.
    pub(super) fn eat_joined(&mut self, wanted: char) -> bool {
        self.rest().starts_with(wanted) && self.eat(wanted)
    }

    /// Takes the characters that make up a word; empty if there is none.
    pub(super) fn word(&mut self) -> &'s str {
        self.pos();
        self.take(|c| !is_word(c))
    }

    fn take(&mut self, end: impl FnMut(char) -> bool) -> &'s str {
        let rest = self.rest();
        let (token, _) = rest.split_at(rest.find(end).unwrap_or(rest.len()));
        self.pos += token.len();
        token
    }

    /// Takes a sign.
    pub(super) fn sign(&mut self) -> Option<Sign> {
        if self.eat('-') {
            return Some(Sign::Minus);
        }
        self.eat('+').then_some(Sign::Plus)
    }

    /// Takes a number without sign, decimal or `0x`; one too large for any field comes back as the largest.
    pub(super) fn digits(&mut self) -> Option<i128> {
        self.pos();
        let start = *self;
        let (digits, radix) = match self.rest().strip_prefix("0x").or_else(|| self.rest().strip_prefix("0X"))
        {
            Some(_) => {
                self.pos += 2;
                (self.take(|c| !c.is_ascii_hexdigit()), 16)
            }
            None => (self.take(|c| !c.is_ascii_digit()), 10),
        };
        // `5ll` is how LLVM's lexer lets wide numbers be written; anything else glued to a number is a mistake.
        let tail = self.rest().strip_prefix("ll").unwrap_or(self.rest());
        if digits.is_empty() || tail.starts_with(is_word) {
            *self = start;
            return None;
        }
        Some(i128::from_str_radix(digits, radix).unwrap_or(i128::MAX))
    }

    /// Returns the next token, for an error to show; empty at the end.
    pub(super) fn token(mut self) -> &'s str {
        match self.word() {
            "" => self.rest().split_inclusive(|_| true).next().unwrap_or_default(),
            word => word,
        }
    }
}

/// Is a sign before a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sign {
    Plus,
    Minus,
}

impl Sign {
    pub(super) fn apply(self, number: i128) -> i128 {
        match self {
            Sign::Plus => number,
            Sign::Minus => number.saturating_neg(),
        }
    }
}

/// Returns a line without its comment: from `;` or `//` on, or from a `#` that no word touches on its left, since helpers are
/// written `name#number`.
pub(super) fn without_comment(line: &str) -> &str {
    let mut before = ' ';
    for (i, c) in line.char_indices() {
        let starts = match c {
            ';' => true,
            '/' => line[i..].starts_with("//"),
            '#' => before.is_whitespace(),
            _ => false,
        };
        if starts {
            return &line[..i];
        }
        before = c;
    }
    line
}
