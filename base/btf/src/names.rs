//! Types by name and kind: a linear search for one, a hash table for many.

use alloc::vec::Vec;

use crate::btf::{Btf, StrOff, TypeId, kind_number};
use crate::error::{Error, Problem, Section};
use crate::kind::Kind;
use crate::record::Type;

impl Btf<'_> {
    /// The first type with that name and kind. It looks at every type; for more than a few questions build a
    /// [`NameIndex`].
    pub fn find(&self, name: &str, kind: Kind) -> Option<TypeId> {
        match self.base() {
            Some(base) => base.find(name, kind).or_else(|| self.find_own(name, kind)),
            None => self.find_own(name, kind),
        }
    }

    /// As [`Btf::find`], but among the types that are not the base's.
    pub fn find_own(&self, name: &str, kind: Kind) -> Option<TypeId> {
        let (types, endian) = (self.types_bytes(), self.endian());
        let is_it = |at: usize| {
            kind_number(endian.word(types, at + 4)) == kind.number()
                && self.is_named(StrOff(endian.word(types, at)), name)
        };
        match self.starts() {
            // Where each record starts is known, so most need no more than a look at their kinds.
            Some(starts) => {
                let own = starts.iter().position(|start| is_it(*start as usize))?;
                Some(TypeId(self.first_own().0 + own as u32))
            }
            None => self
                .own_types()
                .find(|ty| ty.kind() == Some(kind) && self.is_named(ty.name_off(), name))
                .map(|ty| ty.id()),
        }
    }

    /// Whether the string at `off` is `name`, without measuring it first.
    pub(crate) fn is_named(&self, off: StrOff, name: &str) -> bool {
        let Some(tail) = self.string_tail(off) else { return false };
        tail.get(name.len()) == Some(&0) && tail.starts_with(name.as_bytes())
    }
}

/// A hash table from names to types, for one [`Btf`] (its base included) that stays the same.
#[derive(Clone, Debug)]
pub struct NameIndex {
    /// Open addressing; 0 is a free slot, as `void` has no name. A power of two, at most half full.
    slots: Vec<TypeId>,
}

impl NameIndex {
    /// Builds the table.
    ///
    /// # Errors
    ///
    /// [`Problem::NoMemory`].
    pub fn new(btf: &Btf<'_>) -> Result<NameIndex, Error> {
        let named = btf.types().filter(|ty| ty.name_off().0 != 0).count();
        let len = (named * 2 + 1).next_power_of_two();
        let mut slots = Vec::new();
        slots.try_reserve_exact(len).map_err(|_| Error::at(Section::Types, 0, Problem::NoMemory))?;
        slots.resize(len, TypeId::VOID);
        for ty in btf.types().filter(|ty| ty.name_off().0 != 0) {
            let mut slot = start(btf.string_tail(ty.name_off()).unwrap_or(&[]), len);
            while !slots[slot].is_void() {
                slot = (slot + 1) & (len - 1);
            }
            slots[slot] = ty.id();
        }
        Ok(NameIndex { slots })
    }

    /// The types with that name, in the order of their identifiers. `btf` is the one that the index was built for.
    pub fn all<'i, 'b: 'i>(
        &'i self,
        btf: &'b Btf<'_>,
        name: &'i str,
    ) -> impl Iterator<Item = Type<'b>> + use<'i, 'b> {
        let btf: &'b Btf<'b> = btf;
        let first = start(name.as_bytes(), self.slots.len());
        (0..self.slots.len())
            .map(move |step| self.slots[(first + step) & (self.slots.len() - 1)])
            .take_while(|id| !id.is_void())
            .filter_map(move |id| btf.get(id))
            .filter(move |ty| btf.is_named(ty.name_off(), name))
    }

    /// The first type with that name and kind. `btf` is the one that the index was built for.
    pub fn find(&self, btf: &Btf<'_>, name: &str, kind: Kind) -> Option<TypeId> {
        self.all(btf, name).find(|ty| ty.kind() == Some(kind)).map(|ty| ty.id())
    }
}

/// The slot at which the search for a name starts: FNV-1a up to the NUL, whose low bits are good enough for names.
fn start(name: &[u8], len: usize) -> usize {
    let hash = name.iter().take_while(|&&byte| byte != 0).fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ (hash >> 32)) as usize & (len - 1)
}
