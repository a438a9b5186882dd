//! Records as words of this machine, in which equal names are equal words.

use alloc::vec::Vec;

use super::texts::Texts;
use super::type_id;
use crate::btf::{Btf, StrOff, kind_number, vlen};
use crate::error::{Error, Problem};
use crate::kind::{Kind, Word};

/// The types of a BTF and its base.
pub(super) struct Graph<'b> {
    pub(super) btf: &'b Btf<'b>,
    words: Vec<u32>,
    /// Where each type's record starts, and after the last where it ends; `void` has none.
    starts: Vec<u32>,
}

impl<'b> Graph<'b> {
    pub(super) fn new(btf: &'b Btf<'b>) -> Result<Graph<'b>, Error> {
        let no_memory = |_| Error::of(type_id(0), 0, Problem::NoMemory);
        let count = btf.types().fold(0, |count, ty| count + ty.bytes().len() / 4);
        let (mut words, mut starts) = (Vec::new(), Vec::new());
        words.try_reserve_exact(count).map_err(no_memory)?;
        starts.try_reserve_exact(btf.len() as usize + 1).map_err(no_memory)?;
        starts.push(0);
        let mut texts = Texts::default();
        for ty in btf.types() {
            let kind = ty.kind().ok_or_else(|| ty.unknown_kind())?;
            // Four bytes each of at most 4 GiB in each of base and split.
            starts.push(words.len() as u32);
            for (index, bytes) in ty.bytes().chunks_exact(4).enumerate() {
                let word = btf.endian().word(bytes, 0);
                words.push(match kind.word(index) {
                    Word::Name => texts.canonical(btf, StrOff(word)).map_err(|p| ty.error(p))?.0,
                    // What was only skimmed may refer to what is not there.
                    Word::Type if word >= btf.len() => {
                        return Err(ty.error(Problem::UnknownType(type_id(word))));
                    }
                    Word::Type | Word::Plain => word,
                });
            }
        }
        if starts.len() != btf.len() as usize {
            let missing = type_id(starts.len() as u32);
            return Err(Error::of(missing, 0, Problem::UnknownType(missing)));
        }
        starts.push(words.len() as u32);
        Ok(Graph { btf, words, starts })
    }

    /// The number of types, `void` included.
    pub(super) fn len(&self) -> u32 {
        self.btf.len()
    }

    /// The first type that is not the base's.
    pub(super) fn first(&self) -> u32 {
        self.btf.first_own().0
    }

    /// How many words the types take.
    pub(super) fn words(&self) -> usize {
        self.words.len()
    }

    pub(super) fn record(&self, id: u32) -> &[u32] {
        let id = id as usize;
        &self.words[self.starts[id] as usize..self.starts[id + 1] as usize]
    }

    pub(super) fn record_mut(&mut self, id: u32) -> &mut [u32] {
        let id = id as usize;
        &mut self.words[self.starts[id] as usize..self.starts[id + 1] as usize]
    }

    /// The kind; `None` for `void`.
    pub(super) fn kind(&self, id: u32) -> Option<Kind> {
        Kind::from_number(kind_number(*self.record(id).get(1)?))
    }

    /// The name, as a number that only equal names have; 0 is none.
    pub(super) fn name(&self, id: u32) -> u32 {
        self.record(id).first().copied().unwrap_or(0)
    }

    /// Bit 31 of the info word, and the number of elements.
    pub(super) fn flag_and_len(&self, id: u32) -> (bool, u32) {
        let info = self.record(id).get(1).copied().unwrap_or(0);
        (info >> 31 != 0, vlen(info))
    }

    /// What a type refers to, in order; `void` is left in.
    pub(super) fn targets(&self, id: u32) -> impl Iterator<Item = u32> {
        let record = self.record(id);
        let positions = self.kind(id).map(|kind| kind.type_words(record.len()));
        positions.into_iter().flatten().map(|at| record[at])
    }

    /// Whether two types are the same but for the types that they refer to.
    pub(super) fn same_shape(&self, a: u32, b: u32) -> bool {
        let (Some(kind), a, b) = (self.kind(a), self.record(a), self.record(b)) else { return false };
        // The info word is compared, so that the kinds are equal.
        a.len() == b.len()
            && (a.iter().zip(b).enumerate()).all(|(at, (a, b))| a == b || kind.word(at) == Word::Type)
    }

    /// A hash of the whole record.
    pub(super) fn hash_all(&self, id: u32) -> u32 {
        hash(self.record(id).iter().copied())
    }

    /// A hash of the record without the types that it refers to.
    pub(super) fn hash_shape(&self, id: u32) -> u32 {
        let kind = self.kind(id);
        let is_type = |at| kind.is_some_and(|kind| kind.word(at) == Word::Type);
        hash(self.record(id).iter().enumerate().map(|(at, &word)| if is_type(at) { 0 } else { word }))
    }

    /// A hash of the name alone.
    pub(super) fn hash_name(&self, id: u32) -> u32 {
        hash([self.name(id)])
    }

    /// An error at a type's record.
    pub(super) fn error(&self, id: u32, problem: Problem) -> Error {
        match self.btf.get(type_id(id)) {
            Some(ty) => ty.error(problem),
            None => Error::of(type_id(id), 0, problem),
        }
    }
}

/// Mixes words; each step is a multiplication by an odd number and a shift, so that none is lost.
fn hash(words: impl IntoIterator<Item = u32>) -> u32 {
    let mixed = words.into_iter().fold(0x9e37_79b9_7f4a_7c15_u64, |hash, word| {
        let hash = (hash ^ u64::from(word)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash ^ hash >> 32
    });
    mixed as u32
}
