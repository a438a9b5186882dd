//! Types that are looked for by name: many of them in one look at each type.

use alloc::string::String;
use alloc::vec::Vec;

use crate::btf::{Btf, StrOff, TypeId, kind_number};
use crate::core::Candidates;
use crate::error::{Error, Problem, Section};
use crate::kind::Kind;

/// What is looked for while BTF is read, or in one pass over BTF that was.
#[derive(Debug, Default)]
pub struct Look<'x, 'l> {
    names: Option<&'x mut Names>,
    /// With what stands for the BTF in the candidates.
    candidates: Option<(&'x mut Candidates<'l>, u32)>,
    filter: Filter,
}

impl<'x, 'l> Look<'x, 'l> {
    /// Looks for nothing.
    pub fn nothing() -> Look<'x, 'l> {
        Look::default()
    }

    /// Looks for names, too.
    pub fn names(mut self, names: &'x mut Names) -> Look<'x, 'l> {
        self.filter.merge(&names.filter);
        Look { names: Some(names), ..self }
    }

    /// Looks for candidates, too; `source` is what stands for the BTF in them.
    pub fn candidates(mut self, candidates: &'x mut Candidates<'l>, source: u32) -> Look<'x, 'l> {
        self.filter.merge(candidates.filter());
        Look { candidates: Some((candidates, source)), ..self }
    }

    /// Looks at one type of `btf`.
    #[inline]
    pub(crate) fn see(&mut self, btf: &Btf<'_>, id: TypeId, info: u32, name: StrOff) -> Result<(), Error> {
        if !self.filter.may_want(kind_number(info)) || name.0 == 0 {
            return Ok(());
        }
        match btf.string_tail(name) {
            Some(tail) if self.filter.may_be(tail) => self.see_closer(id, info, btf.name(name)),
            _ => Ok(()),
        }
    }

    #[cold]
    fn see_closer(&mut self, id: TypeId, info: u32, name: &str) -> Result<(), Error> {
        let number = kind_number(info);
        if let Some(names) = &mut self.names {
            names.see(id, number, name);
        }
        match &mut self.candidates {
            Some((candidates, source)) if !name.is_empty() => candidates.see(*source, id, number, name),
            _ => Ok(()),
        }
    }
}

impl Btf<'_> {
    /// Looks at each type once; in split BTF at its own.
    ///
    /// # Errors
    ///
    /// [`Problem::NoMemory`].
    pub fn look(&self, look: &mut Look<'_, '_>) -> Result<(), Error> {
        for ty in self.own_types() {
            look.see(self, ty.id(), ty.info(), ty.name_off())?;
        }
        Ok(())
    }
}

/// Names and kinds, and the first type that has each; for BTF that a [`Look`] goes through.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// In the order of names and kinds.
    rows: Vec<Name>,
    filter: Filter,
}

#[derive(Clone, Debug)]
struct Name {
    text: String,
    kind: Kind,
    found: Option<TypeId>,
}

/// What became of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is this type's.
    Found(TypeId),
    /// No type has it.
    Nobodys,
    /// It was not looked for.
    NotAsked,
}

impl Names {
    /// Begins with what is looked for, and nothing found.
    ///
    /// # Errors
    ///
    /// [`Problem::NoMemory`].
    pub fn new(wanted: impl IntoIterator<Item = (String, Kind)>) -> Result<Names, Error> {
        let mut names = Names::default();
        for (text, kind) in wanted {
            let no_memory = |_| Error::at(Section::Types, 0, Problem::NoMemory);
            names.rows.try_reserve(1).map_err(no_memory)?;
            names.filter.add(text.as_bytes(), &[kind.number()], &[0]);
            names.rows.push(Name { text, kind, found: None });
        }
        names.rows.sort_unstable_by(|a, b| a.key().cmp(&b.key()));
        names.rows.dedup_by(|a, b| a.key() == b.key());
        Ok(names)
    }

    /// Tells what became of a name.
    pub fn of(&self, text: &str, kind: Kind) -> Answer {
        let found = self.rows.binary_search_by(|row| row.key().cmp(&(text, kind.number())));
        match found.ok().and_then(|at| self.rows.get(at)) {
            Some(Name { found: Some(id), .. }) => Answer::Found(*id),
            Some(_) => Answer::Nobodys,
            None => Answer::NotAsked,
        }
    }

    fn see(&mut self, id: TypeId, number: u8, name: &str) {
        let found = self.rows.binary_search_by(|row| row.key().cmp(&(name, number)));
        if let Some(row) = found.ok().and_then(|at| self.rows.get_mut(at)) {
            row.found = row.found.or(Some(id));
        }
    }
}

impl Name {
    fn key(&self) -> (&str, u8) {
        (&self.text, self.kind.number())
    }
}

/// What most types are told apart by without looking at their names as a whole: the kind, and a hash of the first four
/// bytes of the name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filter {
    kinds: u128,
    starts: [u64; Filter::WORDS],
}

impl Default for Filter {
    fn default() -> Filter {
        Filter::EMPTY
    }
}

impl Filter {
    const WORDS: usize = 64;
    /// Lets nothing pass.
    pub(crate) const EMPTY: Filter = Filter { kinds: 0, starts: [0; Filter::WORDS] };

    /// Lets a name pass: the numbers of the kinds it may be of, and which bytes may stand behind the name where it is
    /// shorter than what is hashed.
    pub(crate) fn add(&mut self, name: &[u8], kinds: &[u8], ends: &[u8]) {
        for number in kinds {
            self.kinds |= 1 << (number & 0x7f);
        }
        for end in ends {
            let byte = |at: usize| name.get(at).copied().unwrap_or(*end);
            let (word, bit) = slot(clear_after_end([byte(0), byte(1), byte(2), byte(3)]));
            self.starts[word] |= bit;
        }
    }

    /// Lets pass what the other lets pass.
    fn merge(&mut self, other: &Filter) {
        self.kinds |= other.kinds;
        for (word, more) in self.starts.iter_mut().zip(&other.starts) {
            *word |= more;
        }
    }

    #[inline]
    fn may_want(&self, number: u8) -> bool {
        self.kinds >> (number & 0x7f) & 1 != 0
    }

    /// Whether a string may start with a wanted name.
    #[inline]
    fn may_be(&self, tail: &[u8]) -> bool {
        let start = match tail.first_chunk::<4>() {
            Some(start) => *start,
            None => {
                let byte = |at: usize| tail.get(at).copied().unwrap_or(0);
                [byte(0), byte(1), byte(2), byte(3)]
            }
        };
        let (word, bit) = slot(clear_after_end(start));
        self.starts[word] & bit != 0
    }
}

/// Zeroes what stands behind the end of a string.
#[inline]
fn clear_after_end(start: [u8; 4]) -> [u8; 4] {
    match start {
        [0, ..] => [0; 4],
        [a, 0, ..] => [a, 0, 0, 0],
        [a, b, 0, _] => [a, b, 0, 0],
        whole => whole,
    }
}

#[inline]
fn slot(start: [u8; 4]) -> (usize, u64) {
    let hash = u32::from_le_bytes(start).wrapping_mul(0x9e37_79b1) >> 20;
    ((hash >> 6) as usize % Filter::WORDS, 1 << (hash & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_pass_with_and_without_what_may_follow() {
        let mut filter = Filter::EMPTY;
        filter.add(b"ab", &[4], b"\0_");
        filter.add(b"longer", &[6, 19], b"\0_");
        for name in ["ab\0", "ab\0x", "ab___1\0", "longer\0", "longer___x\0"] {
            assert!(filter.may_be(name.as_bytes()), "{name}");
        }
        assert!([4, 6, 19].iter().all(|number| filter.may_want(*number)) && !filter.may_want(5));
    }
}
