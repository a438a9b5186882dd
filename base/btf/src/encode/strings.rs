//! The string section while it grows: each string once.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::btf::StrOff;

/// Strings with their offsets. What was there before stays where it was.
#[derive(Clone, Debug)]
pub(super) struct Strings {
    bytes: Vec<u8>,
    /// The offset of the first own string: behind those of the base.
    first: u32,
    /// Own strings by text; made when the first is asked for, since rewriting often needs none.
    index: Option<BTreeMap<Vec<u8>, u32>>,
}

impl Strings {
    /// Strings of their own: the empty one.
    pub(super) fn new() -> Strings {
        Strings { bytes: alloc::vec![0], first: 0, index: None }
    }

    /// Continues a section that starts at offset `first`.
    pub(super) fn continuing(bytes: Vec<u8>, first: u32) -> Strings {
        Strings { bytes, first, index: None }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The offset of a string, which is added if it is not there; `None` if it has a NUL or the section is full.
    pub(super) fn intern(&mut self, text: &str) -> Option<StrOff> {
        if text.is_empty() {
            return Some(StrOff(0));
        }
        if text.as_bytes().contains(&0) {
            return None;
        }
        let (first, bytes) = (self.first, &mut self.bytes);
        let index = self.index.get_or_insert_with(|| index(bytes));
        let own = match index.get(text.as_bytes()) {
            Some(&own) => own,
            None => {
                let own = u32::try_from(bytes.len()).ok()?;
                let end = own.checked_add(first)?.checked_add(u32::try_from(text.len()).ok()?)?;
                // The NUL needs an offset too.
                end.checked_add(1)?;
                bytes.extend_from_slice(text.as_bytes());
                bytes.push(0);
                index.insert(text.as_bytes().to_vec(), own);
                own
            }
        };
        Some(StrOff(first.checked_add(own)?))
    }
}

fn index(bytes: &[u8]) -> BTreeMap<Vec<u8>, u32> {
    let mut index = BTreeMap::new();
    let mut at = 0;
    for text in bytes.split_inclusive(|&byte| byte == 0) {
        index.entry(text.strip_suffix(&[0]).unwrap_or(text).to_vec()).or_insert(at as u32);
        at += text.len();
    }
    index
}
