//! What has changed in a mapping since it was looked at last, in words of 8 bytes.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use skep_mem::{Block, Bytes, NoMemory, Width};

const WORD: usize = 8;

/// Memory that is shown to the caller in the place of a mapping, and the state that both sides agreed on last.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) id: u64,
    pub(super) shown: Block,
    agreed: Vec<u64>,
}

/// One word that has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    index: usize,
    value: u64,
}

impl Copy {
    /// Makes a copy of all zeros.
    pub(super) fn new(id: u64, len: usize) -> Result<Copy, NoMemory> {
        let shown = Block::zeroed(len)?;
        let words = len.div_ceil(WORD);
        let mut agreed = Vec::new();
        agreed.try_reserve_exact(words)?;
        agreed.resize(words, 0);
        Ok(Copy { id, shown, agreed })
    }

    /// Finds what the caller has written since, encoded.
    pub(super) fn written(&self) -> Result<Vec<u8>, NoMemory> {
        encode(self.id, &changes(self.shown.bytes(), &self.agreed)?)
    }

    /// Agrees to what the caller has written; writes it into `real` where there is such memory.
    pub(super) fn agree_to_written(&mut self, real: Option<Bytes<'_>>) {
        for (index, agreed) in self.agreed.iter_mut().enumerate() {
            let now = word(self.shown.bytes(), index);
            if now != *agreed {
                if let Some(real) = real {
                    store(real, index, *agreed, now);
                }
                *agreed = now;
            }
        }
    }

    /// Takes over what the kernel has written into `real` since, and gives it encoded.
    ///
    /// A ring's positions come before its data and are read first, so that no position is newer than the data; they are
    /// shown last, for the same reason.
    pub(super) fn take_over(&mut self, real: Bytes<'_>) -> Result<Vec<u8>, NoMemory> {
        let changes = changes(real, &self.agreed)?;
        let encoded = encode(self.id, &changes)?;
        for change in changes.into_iter().rev() {
            self.show(change.index, change.value);
        }
        Ok(encoded)
    }

    fn show(&mut self, index: usize, value: u64) {
        if let Some(agreed) = self.agreed.get_mut(index) {
            store(self.shown.bytes(), index, *agreed, value);
            *agreed = value;
        }
    }
}

/// Lists the words of `now` that are not as in `before`.
fn changes(now: Bytes<'_>, before: &[u64]) -> Result<Vec<Change>, NoMemory> {
    let mut changes = Vec::new();
    for (index, before) in before.iter().enumerate() {
        let value = word(now, index);
        if value != *before {
            changes.try_reserve(1)?;
            changes.push(Change { index, value });
        }
    }
    Ok(changes)
}

/// Reads a word; the last one may be short and is filled up with zeros.
fn word(bytes: Bytes<'_>, index: usize) -> u64 {
    let at = index * WORD;
    if let Ok(Some(cell)) = bytes.atomic_u64(at) {
        return cell.load(Ordering::Acquire);
    }
    let mut word = [0; WORD];
    let len = bytes.len().saturating_sub(at).min(WORD);
    // Inside by the computation of `len`; the error could say nothing else.
    let _ = bytes.copy_out(at, &mut word[..len]);
    u64::from_ne_bytes(word)
}

/// Writes what differs between two values of a word, by the narrowest access that covers it: the rest of the word may
/// be written by others at the same time.
fn store(bytes: Bytes<'_>, index: usize, old: u64, new: u64) {
    let (old, new) = (old.to_ne_bytes(), new.to_ne_bytes());
    let differs = |at: &usize| old[*at] != new[*at];
    let (Some(first), Some(last)) = ((0..WORD).find(differs), (0..WORD).rfind(differs)) else { return };
    let narrowest = [Width::B1, Width::B2, Width::B4, Width::B8]
        .into_iter()
        .find(|width| first / width.bytes() == last / width.bytes())
        .unwrap_or(Width::B8);
    let width = narrowest.bytes();
    let start = first / width * width;
    let mut value = [0; WORD];
    let place = if cfg!(target_endian = "big") { WORD - width } else { 0 };
    value[place..place + width].copy_from_slice(&new[start..start + width]);
    let at = index * WORD + start;
    core::sync::atomic::fence(Ordering::Release);
    if bytes.store(at, narrowest, u64::from_ne_bytes(value)).is_err() {
        // The short word at the end.
        let len = bytes.len().saturating_sub(at).min(width);
        let _ = bytes.copy_in(at, &new[start..start + len]);
    }
}

/// The bytes of a run's header: the mapping, the first word's index, the number of words.
const RUN: usize = 24;

/// Encodes changes as runs of neighbouring words, the last run first; nothing for no changes.
fn encode(id: u64, changes: &[Change]) -> Result<Vec<u8>, NoMemory> {
    let mut encoded = Vec::new();
    for run in changes.chunk_by(|one, next| one.index + 1 == next.index).rev() {
        encoded.try_reserve(RUN + run.len() * WORD)?;
        for number in [id, run[0].index as u64, run.len() as u64] {
            encoded.extend_from_slice(&number.to_ne_bytes());
        }
        for change in run {
            encoded.extend_from_slice(&change.value.to_ne_bytes());
        }
    }
    Ok(encoded)
}

/// The encoded changes do not fit the mappings that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Misfit;

/// Shows encoded changes in the copies that they belong to.
pub(super) fn show(copies: &mut [Copy], mut encoded: &[u8]) -> Result<(), Misfit> {
    while !encoded.is_empty() {
        let (header, rest) = encoded.split_at_checked(RUN).ok_or(Misfit)?;
        let [id, first, count] = [0, 8, 16].map(|at| number(header, at));
        let words = usize::try_from(count).ok().and_then(|count| count.checked_mul(WORD)).ok_or(Misfit)?;
        let (words, rest) = rest.split_at_checked(words).ok_or(Misfit)?;
        let copy = copies.iter_mut().find(|copy| copy.id == id).ok_or(Misfit)?;
        let first = usize::try_from(first).map_err(|_| Misfit)?;
        let end = first.checked_add(words.len() / WORD).ok_or(Misfit)?;
        if end > copy.agreed.len() {
            return Err(Misfit);
        }
        for (index, word) in words.chunks_exact(WORD).enumerate().rev() {
            copy.show(first + index, number(word, 0));
        }
        encoded = rest;
    }
    Ok(())
}

fn number(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; WORD];
    word.copy_from_slice(&bytes[at..at + WORD]);
    u64::from_ne_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_stored() {
        let block = Block::zeroed(19).unwrap();
        let bytes = block.bytes();
        for index in 0..3 {
            let len = (19 - index * WORD).min(WORD);
            for first in 0..len {
                for last in first..len {
                    bytes.fill(0x55);
                    let (old, mut new) = ([0; WORD], [0; WORD]);
                    new[first..=last].fill(0xaa);
                    store(bytes, index, u64::from_ne_bytes(old), u64::from_ne_bytes(new));
                    let mut found = [0; 19];
                    bytes.copy_out(0, &mut found).unwrap();
                    let at = index * WORD;
                    assert!(found[at + first..=at + last].iter().all(|byte| *byte == 0xaa));
                    assert!(found[..at].iter().all(|byte| *byte == 0x55), "{index} {first} {last}");
                }
            }
        }
    }

    #[test]
    fn both_sides_meet() {
        let real = Block::zeroed(40).unwrap();
        let mut copy = Copy::new(7, 40).unwrap();
        real.bytes().store_u64(8, 1).unwrap();
        real.bytes().store_u64(16, 2).unwrap();
        real.bytes().store_u64(32, 3).unwrap();
        let taken = copy.take_over(real.bytes()).unwrap();
        assert_eq!(copy.shown.bytes().load_u64(16), Ok(2));
        assert_eq!(copy.take_over(real.bytes()).unwrap(), []);

        // The caller writes one half of a word while the kernel writes the other.
        copy.shown.bytes().store_u32(0, 10).unwrap();
        real.bytes().store_u32(4, 11).unwrap();
        assert_eq!(copy.written().unwrap().len(), RUN + WORD);
        copy.agree_to_written(Some(real.bytes()));
        assert_eq!(copy.written().unwrap(), []);
        copy.take_over(real.bytes()).unwrap();
        for bytes in [real.bytes(), copy.shown.bytes()] {
            assert_eq!((bytes.load_u32(0), bytes.load_u32(4)), (Ok(10), Ok(11)));
        }

        let mut copies = [Copy::new(7, 40).unwrap()];
        show(&mut copies, &taken).unwrap();
        assert_eq!(copies[0].shown.bytes().load_u64(32), Ok(3));
        for cut in 1..taken.len() {
            assert!(show(&mut copies, &taken[..cut]).is_err() || cut % (RUN + WORD) == 0, "{cut}");
        }
        let mut elsewhere = [Copy::new(8, 40).unwrap()];
        assert_eq!(show(&mut elsewhere, &taken), Err(Misfit));
        let mut shorter = [Copy::new(7, 32).unwrap()];
        assert_eq!(show(&mut shorter, &taken), Err(Misfit));
    }
}
