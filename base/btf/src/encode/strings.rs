//! The string section while it grows: each string once.

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::btf::StrOff;
use crate::error::Problem;

/// Strings with their offsets. What was there before stays where it was.
#[derive(Clone, Debug)]
pub(super) struct Strings {
    bytes: Vec<u8>,
    /// The offset of the first own string: behind those of the base.
    first: u32,
    /// Own strings by text; made when the first is asked for, since rewriting often needs none.
    index: Option<Index>,
}

impl Strings {
    /// Continues a section that starts at offset `first`.
    pub(super) fn continuing(bytes: Vec<u8>, first: u32) -> Strings {
        Strings { bytes, first, index: None }
    }

    /// The offset of the first own string.
    pub(super) fn first(&self) -> u32 {
        self.first
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The offset of a string, which is added if it is not there.
    ///
    /// # Errors
    ///
    /// [`Problem::BadName`] if it has a NUL or the section is full, [`Problem::NoMemory`].
    pub(super) fn intern(&mut self, text: &[u8]) -> Result<StrOff, Problem> {
        if text.is_empty() {
            return Ok(StrOff(0));
        }
        if text.contains(&0) {
            return Err(Problem::BadName);
        }
        let index = match &mut self.index {
            Some(index) => index,
            none => none.insert(Index::of(&self.bytes)?),
        };
        let own = match index.find(&self.bytes, text) {
            Ok(own) => own,
            Err(place) => {
                let own = u32::try_from(self.bytes.len()).map_err(|_| Problem::BadName)?;
                let len = u32::try_from(text.len()).map_err(|_| Problem::BadName)?;
                // The NUL needs an offset too.
                let end = own.checked_add(self.first).and_then(|at| at.checked_add(len)?.checked_add(1));
                end.ok_or(Problem::BadName)?;
                self.bytes.try_reserve(text.len() + 1).map_err(|_| Problem::NoMemory)?;
                index.insert(place, own)?;
                self.bytes.extend_from_slice(text);
                self.bytes.push(0);
                own
            }
        };
        own.checked_add(self.first).map(StrOff).ok_or(Problem::BadName)
    }
}

/// Offsets in one block at most; half of it moves when a string is added.
const BLOCK: usize = 512;

/// Offsets of strings in the order of their text.
///
/// They lie in blocks, so that one more moves few of them, and memory is had piece by piece and may be refused: a
/// `BTreeMap` would abort.
#[derive(Clone, Debug, Default)]
struct Index {
    blocks: Vec<Vec<u32>>,
}

/// Where a string is to be added.
#[derive(Clone, Copy)]
struct Place {
    block: usize,
    at: usize,
}

impl Index {
    /// Finds the strings of a section; of equal ones the first counts.
    fn of(bytes: &[u8]) -> Result<Index, Problem> {
        let no_memory = |_| Problem::NoMemory;
        let mut offsets: Vec<u32> = Vec::new();
        let mut at = 0;
        for text in bytes.split_inclusive(|&byte| byte == 0) {
            offsets.try_reserve(1).map_err(no_memory)?;
            offsets.push(at);
            at += text.len() as u32;
        }
        offsets.sort_unstable_by(|&a, &b| text(bytes, a).cmp(text(bytes, b)).then(a.cmp(&b)));
        offsets.dedup_by(|later, first| text(bytes, *later).eq(text(bytes, *first)));
        let mut index = Index::default();
        index.blocks.try_reserve_exact(offsets.len().div_ceil(BLOCK / 2)).map_err(no_memory)?;
        for part in offsets.chunks(BLOCK / 2) {
            let mut block = new_block()?;
            block.extend_from_slice(part);
            index.blocks.push(block);
        }
        Ok(index)
    }

    /// The offset of a string, or where it is to be added.
    fn find(&self, bytes: &[u8], wanted: &[u8]) -> Result<u32, Place> {
        let order = |&at: &u32| text(bytes, at).cmp(wanted.iter());
        let starts_before =
            |block: &Vec<u32>| block.first().is_some_and(|first| order(first) != Ordering::Greater);
        let block = self.blocks.partition_point(starts_before).saturating_sub(1);
        let Some(offsets) = self.blocks.get(block) else { return Err(Place { block: 0, at: 0 }) };
        match offsets.binary_search_by(order) {
            Ok(at) => Ok(offsets[at]),
            Err(at) => Err(Place { block, at }),
        }
    }

    /// Adds the offset of a string that was not found.
    fn insert(&mut self, Place { mut block, mut at }: Place, offset: u32) -> Result<(), Problem> {
        self.blocks.try_reserve(1).map_err(|_| Problem::NoMemory)?;
        if self.blocks.is_empty() {
            self.blocks.push(new_block()?);
        }
        if self.blocks[block].len() >= BLOCK {
            let mut upper = new_block()?;
            upper.extend(self.blocks[block].drain(BLOCK / 2..));
            self.blocks.insert(block + 1, upper);
            if at > BLOCK / 2 {
                (block, at) = (block + 1, at - BLOCK / 2);
            }
        }
        self.blocks[block].insert(at, offset);
        Ok(())
    }
}

fn new_block() -> Result<Vec<u32>, Problem> {
    let mut block = Vec::new();
    block.try_reserve_exact(BLOCK).map_err(|_| Problem::NoMemory)?;
    Ok(block)
}

/// The bytes of the string at an offset. Comparing ends at the first byte that differs, however long the string.
fn text(bytes: &[u8], at: u32) -> impl Iterator<Item = &u8> {
    bytes.get(at as usize..).unwrap_or(&[]).iter().take_while(|&&byte| byte != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn many_strings_are_found_again() {
        let mut strings = Strings::continuing(alloc::vec![0], 0);
        // Neither in order nor in reverse, and enough for several blocks.
        let names: Vec<_> = (0..5000u32).map(|i| format!("name_{}", i.wrapping_mul(2_654_435_761))).collect();
        let offsets: Vec<_> = names.iter().map(|name| strings.intern(name.as_bytes()).unwrap()).collect();
        let len = strings.bytes().len();
        let mut again = Strings::continuing(strings.bytes().to_vec(), 0);
        for (name, offset) in names.iter().zip(&offsets) {
            assert_eq!(strings.intern(name.as_bytes()), Ok(*offset));
            assert_eq!(again.intern(name.as_bytes()), Ok(*offset));
            let at = offset.0 as usize;
            assert_eq!(&strings.bytes()[at..=at + name.len()], format!("{name}\0").as_bytes());
        }
        assert_eq!((strings.bytes().len(), again.bytes().len()), (len, len));
        assert!(strings.index.unwrap().blocks.len() > 8);
    }

    #[test]
    fn of_equal_strings_the_first_counts() {
        let mut strings = Strings::continuing(b"\0one\0two\0one\0".to_vec(), 100);
        assert_eq!(strings.intern(b"one"), Ok(StrOff(101)));
        assert_eq!(strings.intern(b"two"), Ok(StrOff(105)));
        assert_eq!(strings.intern(b"three"), Ok(StrOff(113)));
        assert_eq!(strings.intern(b""), Ok(StrOff(0)));
        assert_eq!(strings.intern(b"a\0b"), Err(Problem::BadName));
    }
}
