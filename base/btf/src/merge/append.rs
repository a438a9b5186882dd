//! One BTF behind another.

use alloc::vec::Vec;

use super::renumbered::{Renumbered, StringMap};
use crate::btf::{Btf, StrOff, TypeId};
use crate::encode::Builder;
use crate::error::{Error, Problem, Section};
use crate::kind::Word;

impl Builder {
    /// Appends the own types and strings of `btf`, and says what they are called here. Nothing is looked for but equal
    /// strings: [`Btf::dedup`] merges types.
    ///
    /// # Errors
    ///
    /// [`Problem::MixedEndian`]; [`Problem::OtherBase`] if `btf` has a base and this does not continue it;
    /// [`Problem::UnknownKind`] if there is a type of which only a layout section tells the size, and
    /// [`Problem::NoMemory`]. What does not fit is reported by [`Builder::finish`].
    ///
    /// # Examples
    ///
    /// ```
    /// use skep_btf::{Btf, Builder, Endian, FwdKind};
    ///
    /// let mut one = Builder::new(Endian::Little);
    /// let file = one.fwd("file", FwdKind::Struct);
    /// one.ptr(file);
    /// let one = Btf::from_vec(one.finish()?)?;
    ///
    /// let mut both = Builder::new(Endian::Little);
    /// both.append(&one)?;
    /// let numbers = both.append(&one)?;
    /// let both = Btf::from_vec(both.finish()?)?;
    /// assert_eq!((numbers.id(file).map(|id| id.0), both.len()), (Some(3), 5));
    /// assert_eq!(Btf::from_vec(both.dedup(None)?.bytes)?.len(), 3);
    /// # Ok::<(), skep_btf::Error>(())
    /// ```
    pub fn append(&mut self, btf: &Btf<'_>) -> Result<Renumbered, Error> {
        if btf.endian() != self.endian() {
            return Err(Error::at(Section::Header, 0, Problem::MixedEndian));
        }
        if btf.base().is_some() && !self.continues_as(btf) {
            return Err(Error::at(Section::Header, 0, Problem::OtherBase));
        }
        for ty in btf.own_types() {
            if ty.kind().is_none() {
                return Err(ty.unknown_kind());
            }
            // What was only skimmed may refer to what is not there.
            if let Some(target) = ty.references().find(|target| target.0 >= btf.len()) {
                return Err(ty.error(Problem::UnknownType(target)));
            }
        }
        let first = btf.first_own().0;
        let mut ids = Vec::new();
        let count = (btf.len() - first) as usize;
        ids.try_reserve_exact(count).map_err(|_| Error::at(Section::Types, 0, Problem::NoMemory))?;
        let next = self.next_id().0;
        // Each type takes twelve bytes, so that the builder fails long before the numbers are spent.
        ids.extend((0..count as u32).map(|own| Some(TypeId(next.saturating_add(own)))));
        let mut strings = StringMap::new(btf)?;
        strings.copy_all(btf, self);
        let numbers = Renumbered { first, ids, strings };
        for ty in btf.own_types() {
            let Some(kind) = ty.kind() else { continue };
            let words = ty.bytes().chunks_exact(4).enumerate().map(|(index, word)| {
                let word = btf.endian().word(word, 0);
                match kind.word(index) {
                    Word::Name => numbers.string(StrOff(word)).unwrap_or_default().0,
                    Word::Type => numbers.id(TypeId(word)).unwrap_or_default().0,
                    Word::Plain => word,
                }
            });
            self.raw_record(words);
        }
        Ok(numbers)
    }
}
