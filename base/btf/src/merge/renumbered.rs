//! What the types and strings of a BTF are called in another that was made from it.

use alloc::vec::Vec;

use crate::btf::{Btf, StrOff, TypeId};
use crate::encode::Builder;
use crate::error::{Error, Problem, Section};

/// Says which numbers the types and strings of a BTF have in another that was made from it.
///
/// The types and strings of a base keep theirs.
#[derive(Clone, Debug)]
pub struct Renumbered {
    /// The identifier of the first own type of the old BTF.
    pub(crate) first: u32,
    /// By the position of an own type.
    pub(crate) ids: Vec<Option<TypeId>>,
    pub(crate) strings: StringMap,
}

impl Renumbered {
    /// The number that a type of the old BTF has in the new one, if the new one has it.
    pub fn id(&self, old: TypeId) -> Option<TypeId> {
        match old.0.checked_sub(self.first) {
            Some(own) => self.ids.get(own as usize).copied().flatten(),
            None => Some(old),
        }
    }

    /// The offset that a string of the old BTF has in the new one, if the new one has it.
    pub fn string(&self, old: StrOff) -> Option<StrOff> {
        self.strings.find(old)
    }
}

/// Own strings of a BTF by where they start, and where the copies start that were made of them.
///
/// What is copied is a whole string, whichever part of it is referred to, so that what is written is never longer than
/// what was read.
#[derive(Clone, Debug)]
pub(crate) struct StringMap {
    /// The offset of the first own string.
    first: u32,
    /// The end of the own strings.
    end: u32,
    /// Where each own string starts, in order.
    starts: Vec<StrOff>,
    /// Where its copy starts.
    copies: Vec<Option<StrOff>>,
}

impl StringMap {
    /// Finds the strings; none is copied yet.
    pub(crate) fn new(btf: &Btf<'_>) -> Result<StringMap, Error> {
        let first = btf.first_string();
        let no_memory = |_| Error::at(Section::Strings, 0, Problem::NoMemory);
        let count = btf.strings().iter().filter(|&&byte| byte == 0).count();
        let (mut starts, mut copies) = (Vec::new(), Vec::new());
        starts.try_reserve_exact(count).map_err(no_memory)?;
        copies.try_reserve_exact(count).map_err(no_memory)?;
        let mut at = first;
        for string in btf.strings().split_inclusive(|&byte| byte == 0) {
            starts.push(StrOff(at));
            at += string.len() as u32;
        }
        copies.resize(starts.len(), None);
        Ok(StringMap { first, end: at, starts, copies })
    }

    /// Copies the string that has the byte at `off`, if that has not been done, and returns where that byte is now.
    pub(crate) fn copy(&mut self, btf: &Btf<'_>, off: StrOff, to: &mut Builder) -> StrOff {
        let Some((index, within)) = self.place(off) else { return off };
        let start = self.starts[index];
        let copy = match self.copies[index] {
            Some(copy) => copy,
            None => *self.copies[index].insert(to.string(btf.string(start).unwrap_or(&[]))),
        };
        StrOff(copy.0.saturating_add(within))
    }

    /// Copies all strings.
    pub(crate) fn copy_all(&mut self, btf: &Btf<'_>, to: &mut Builder) {
        for index in 0..self.starts.len() {
            self.copy(btf, self.starts[index], to);
        }
    }

    fn find(&self, off: StrOff) -> Option<StrOff> {
        if off.0 < self.first {
            return Some(off);
        }
        let (index, within) = self.place(off)?;
        self.copies[index].map(|copy| StrOff(copy.0.saturating_add(within)))
    }

    /// Which own string has the byte at an offset, and how far behind its start.
    fn place(&self, off: StrOff) -> Option<(usize, u32)> {
        if off.0 < self.first || off.0 >= self.end {
            return None;
        }
        let index = self.starts.partition_point(|&start| start <= off).checked_sub(1)?;
        Some((index, off.0 - self.starts[index].0))
    }
}
