//! The types of a target that may be meant: those of the same name and kind.

use alloc::vec::Vec;

use super::name::essential_name;
use super::{alike, is_enum, number_of};
use crate::btf::{Btf, TypeId};
use crate::error::{Error, Problem, Section};

/// A type of a target that may be meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Candidate {
    /// Which of the BTFs that are searched.
    pub source: u32,
    /// Its identifier there.
    pub type_id: TypeId,
}

/// The candidates of all types that an object's relocations start from.
///
/// A search looks once at every type of a BTF, however many are wanted.
#[derive(Clone, Debug)]
pub struct Candidates<'l> {
    local: &'l Btf<'l>,
    /// In the order of the local identifiers.
    wanted: Vec<Wanted>,
    filter: Filter,
}

/// One type that is wanted.
#[derive(Clone, Debug)]
struct Wanted {
    local: TypeId,
    state: State,
    found: Vec<Candidate>,
}

/// Whether a search still adds to the candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Settled,
}

impl<'l> Candidates<'l> {
    /// Begins with the types that are wanted, and no candidates.
    ///
    /// # Errors
    ///
    /// [`Problem::UnknownType`], [`Problem::NoMemory`].
    pub fn new(
        local: &'l Btf<'_>,
        wanted: impl IntoIterator<Item = TypeId>,
    ) -> Result<Candidates<'l>, Error> {
        let mut ids: Vec<TypeId> = Vec::new();
        for id in wanted {
            local.ty(id)?;
            ids.try_reserve(1).map_err(|_| Error::at(Section::Types, 0, Problem::NoMemory))?;
            ids.push(id);
        }
        ids.sort_unstable();
        ids.dedup();
        let wanted = ids.iter().map(|&local| Wanted { local, state: State::Open, found: Vec::new() });
        let mut made = Candidates { local, wanted: wanted.collect(), filter: Filter::EMPTY };
        made.renew();
        Ok(made)
    }

    /// Adds the types of `btf` that may be meant, its own only where it continues another BTF. `source` is what stands
    /// for it in the candidates.
    ///
    /// # Errors
    ///
    /// [`Problem::NoMemory`].
    pub fn search(&mut self, source: u32, btf: &Btf<'_>) -> Result<(), Error> {
        if !self.is_open() {
            return Ok(());
        }
        for ty in btf.own_types() {
            let off = ty.name_off();
            if !self.filter.may_want(number_of(ty)) || off.0 == 0 {
                continue;
            }
            let Some(tail) = btf.string_tail(off) else { continue };
            if !self.filter.may_be(tail) {
                continue;
            }
            let name = essential_name(ty.name());
            for wanted in self.wanted.iter_mut().filter(|wanted| wanted.state == State::Open) {
                let Some(local) = self.local.get(wanted.local) else { continue };
                if !name.is_empty() && alike(local, ty) && essential_name(local.name()) == name {
                    wanted.found.try_reserve(1).map_err(|_| ty.error(Problem::NoMemory))?;
                    wanted.found.push(Candidate { source, type_id: ty.id() });
                }
            }
        }
        Ok(())
    }

    /// Ends the search for the types that have a candidate: what the kernel itself has is not looked for in its modules.
    pub fn settle(&mut self) {
        for wanted in &mut self.wanted {
            if !wanted.found.is_empty() {
                wanted.state = State::Settled;
            }
        }
        self.renew();
    }

    /// Whether a further search may add anything.
    pub fn is_open(&self) -> bool {
        self.wanted.iter().any(|wanted| wanted.state == State::Open)
    }

    /// The candidates of a type; none for one that was not wanted.
    pub fn of(&mut self, local: TypeId) -> Option<&mut Vec<Candidate>> {
        let at = self.wanted.binary_search_by_key(&local, |wanted| wanted.local).ok()?;
        self.wanted.get_mut(at).map(|wanted| &mut wanted.found)
    }

    fn renew(&mut self) {
        self.filter = Filter::EMPTY;
        for wanted in self.wanted.iter().filter(|wanted| wanted.state == State::Open) {
            if let Some(ty) = self.local.get(wanted.local) {
                self.filter.add(ty.name(), number_of(ty), is_enum(ty));
            }
        }
    }
}

/// What most types of a target are told apart by without looking at their names as a whole: the kind, and a hash of the
/// first four bytes.
#[derive(Clone, Copy, Debug)]
struct Filter {
    kinds: u128,
    starts: [u64; Filter::WORDS],
}

impl Filter {
    const WORDS: usize = 64;
    const EMPTY: Filter = Filter { kinds: 0, starts: [0; Filter::WORDS] };

    fn add(&mut self, name: &str, number: u8, is_enum: bool) {
        if name.is_empty() {
            return;
        }
        let enums = 1 << crate::Kind::Enum.number() | 1 << crate::Kind::Enum64.number();
        self.kinds |= if is_enum { enums } else { 1 << (number & 0x7f) };
        // What follows a short name in the target is its end or a flavour.
        let name = essential_name(name).as_bytes();
        for fill in [0, b'_'] {
            let byte = |at: usize| name.get(at).copied().unwrap_or(fill);
            self.mark([byte(0), byte(1), byte(2), byte(3)]);
        }
    }

    fn mark(&mut self, start: [u8; 4]) {
        let (word, bit) = slot(start);
        self.starts[word] |= bit;
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
    fn short_names_pass_with_and_without_a_flavour() {
        let mut filter = Filter::EMPTY;
        filter.add("ab___mine", 4, false);
        filter.add("longer", 4, false);
        for name in ["ab\0", "ab\0x", "ab___1\0", "longer\0", "longer___x\0"] {
            assert!(filter.may_be(name.as_bytes()), "{name}");
        }
        assert!(filter.may_want(4) && !filter.may_want(6));
        filter.add("e", 6, true);
        assert!(filter.may_want(6) && filter.may_want(19));
    }
}
