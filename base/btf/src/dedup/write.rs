//! What stays, numbered anew.

use alloc::vec::Vec;

use super::{Dedup, Deduped};
use crate::btf::{StrOff, TypeId};
use crate::encode::Builder;
use crate::error::{Error, Problem};
use crate::ext::Ext;
use crate::kind::Word;
use crate::merge::{ExtBuilder, Renumbered, StringMap};

impl Dedup<'_> {
    /// Writes the types that stay, in the order in which they were, and `.BTF.ext`.
    pub(super) fn write(self, ext: Option<&Ext<'_>>) -> Result<Deduped, Error> {
        let btf = self.graph.btf;
        let mut builder = match btf.base() {
            Some(base) => Builder::split(base),
            None => Builder::new(btf.endian()),
        };
        let mut strings = StringMap::new(btf)?;
        let ids = self.numbers()?;
        let first = self.graph.first();
        let number = |id: u32| match self.resolve(id) {
            base if base < first => base,
            own => ids[(own - first) as usize].map_or(0, |id| id.0),
        };
        for id in (first..self.graph.len()).filter(|&id| self.stays(id)) {
            let Some(kind) = self.graph.kind(id) else { continue };
            let mut words = Vec::new();
            let record = self.graph.record(id);
            words.try_reserve_exact(record.len()).map_err(|_| self.error(id, Problem::NoMemory))?;
            for (index, &word) in record.iter().enumerate() {
                words.push(match kind.word(index) {
                    Word::Name => strings.copy(btf, StrOff(word), &mut builder).0,
                    Word::Type => number(word),
                    Word::Plain => word,
                });
            }
            builder.raw_record(words);
        }
        if let Some(ext) = ext {
            ext.each_string(|off| {
                strings.copy(btf, off, &mut builder);
            });
        }
        let numbers = Renumbered { first, ids, strings };
        let ext = ext.map(|ext| {
            let mut records = ExtBuilder::new(btf.endian());
            records.append(ext, &numbers, |section| Some((numbers.string(section)?, 0)))?;
            records.finish()
        });
        Ok(Deduped { bytes: builder.finish()?, ext: ext.transpose()?, numbers })
    }

    /// The new number of each own type.
    fn numbers(&self) -> Result<Vec<Option<TypeId>>, Error> {
        let first = self.graph.first();
        let mut ids = Vec::new();
        ids.try_reserve_exact((self.graph.len() - first) as usize)
            .map_err(|_| self.error(first, Problem::NoMemory))?;
        let mut next = first;
        for id in first..self.graph.len() {
            let stays = self.stays(id);
            ids.push(Some(TypeId(next)));
            next += u32::from(stays);
        }
        // What is merged may come before what it is merged into.
        for id in first..self.graph.len() {
            let becomes = self.resolve(id);
            ids[(id - first) as usize] = match becomes.checked_sub(first) {
                Some(_) if becomes == id => continue,
                Some(own) => ids[own as usize],
                None => Some(TypeId(becomes)),
            };
        }
        Ok(ids)
    }
}
