//! A BTF without some of its types.

use alloc::vec::Vec;

use super::renumbered::{Renumbered, StringMap};
use crate::btf::{Btf, StrOff, TypeId};
use crate::encode::Builder;
use crate::error::{Error, Problem, Section};
use crate::kind::Word;
use crate::record::Type;

/// What becomes of a type; see [`Btf::select`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Stays,
    /// What refers to it refers to this type, which stays.
    Becomes(TypeId),
    /// It goes, and nothing that stays refers to it.
    Goes,
}

impl Btf<'_> {
    /// Starts with those of the own types that stay, in their order, and with all own strings.
    ///
    /// # Errors
    ///
    /// [`Problem::UnknownType`] if a type that stays refers to one that goes, or that becomes one that does not stay;
    /// [`Problem::UnknownKind`] if there is a type of which only a layout section tells the size;
    /// [`Problem::NoMemory`]. What does not fit is reported by [`Builder::finish`].
    ///
    /// # Examples
    ///
    /// ```
    /// use skep_btf::{Btf, Builder, Endian, Fate, Kind};
    ///
    /// let mut all = Builder::new(Endian::Little);
    /// let (half, double) = (all.float("half", 2), all.float("double", 8));
    /// all.ptr(half);
    /// let all = Btf::from_vec(all.finish()?)?;
    ///
    /// let fate = |id| if id == half { Fate::Becomes(double) } else { Fate::Stays };
    /// let (builder, numbers) = all.select(|ty| fate(ty.id()))?;
    /// let fewer = Btf::from_vec(builder.finish()?)?;
    /// assert_eq!((fewer.len(), numbers.id(half)), (3, fewer.find("double", Kind::Float)));
    /// # Ok::<(), skep_btf::Error>(())
    /// ```
    pub fn select(&self, mut fate: impl FnMut(Type<'_>) -> Fate) -> Result<(Builder, Renumbered), Error> {
        let first = self.first_own().0;
        let no_memory = |_| Error::at(Section::Types, 0, Problem::NoMemory);
        let count = (self.len() - first) as usize;
        let (mut fates, mut ids) = (Vec::new(), Vec::new());
        fates.try_reserve_exact(count).map_err(no_memory)?;
        ids.try_reserve_exact(count).map_err(no_memory)?;
        let mut next = first;
        for ty in self.own_types() {
            let fate = fate(ty);
            fates.push(fate);
            ids.push((fate == Fate::Stays).then_some(TypeId(next)));
            next += u32::from(fate == Fate::Stays);
        }
        // Only what stays has a number yet, so that nothing becomes what itself becomes something else.
        for (own, fate) in fates.iter().enumerate() {
            let Fate::Becomes(other) = *fate else { continue };
            ids[own] = match other.0.checked_sub(first) {
                None => Some(other),
                Some(at) => match (fates.get(at as usize), ids.get(at as usize)) {
                    (Some(Fate::Stays), Some(&id)) => id,
                    _ => return Err(self.ty(other)?.error(Problem::UnknownType(other))),
                },
            };
        }
        let mut builder = match self.base() {
            Some(base) => Builder::split(base),
            None => Builder::new(self.endian()),
        };
        let mut strings = StringMap::new(self)?;
        strings.copy_all(self, &mut builder);
        let numbers = Renumbered { first, ids, strings };
        for (ty, _) in self.own_types().zip(&fates).filter(|(_, fate)| **fate == Fate::Stays) {
            let kind = ty.kind().ok_or_else(|| ty.unknown_kind())?;
            let mut gone = None;
            let words = ty.bytes().chunks_exact(4).enumerate().map(|(index, word)| {
                let word = self.endian().word(word, 0);
                match kind.word(index) {
                    Word::Name => numbers.string(StrOff(word)).unwrap_or_default().0,
                    Word::Type => {
                        let id = numbers.id(TypeId(word));
                        id.unwrap_or_else(|| *gone.insert(TypeId(word))).0
                    }
                    Word::Plain => word,
                }
            });
            builder.raw_record(words);
            if let Some(gone) = gone {
                return Err(ty.error(Problem::UnknownType(gone)));
            }
        }
        Ok((builder, numbers))
    }
}
