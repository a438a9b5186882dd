//! The static linker: two bytes say how long the first object is, two more how long the second; the third is the rest.
//! Those without bytes are left out.
//!
//! Promised: linking ends, whatever the bytes; a refusal names a file; what was linked can be read and linked again, and
//! is the same then.

use skep_elf::{Input, link};

const NAMES: [&str; 3] = ["first.o", "second.o", "third.o"];

pub(crate) fn run(data: &[u8]) {
    let Some((lengths, rest)) = data.split_first_chunk::<4>() else { return };
    let length = |low: usize| usize::from(u16::from_le_bytes([lengths[low], lengths[low + 1]]));
    let (first, rest) = rest.split_at(length(0).min(rest.len()));
    let (second, third) = rest.split_at(length(2).min(rest.len()));
    let objects = NAMES.into_iter().zip([first, second, third]).filter(|(_, bytes)| !bytes.is_empty());
    let inputs: Vec<_> = objects.map(|(file, bytes)| Input { file, bytes }).collect();
    let linked = match link(&inputs) {
        Ok(linked) => linked,
        Err(error) => {
            let text = error.to_string();
            return assert!(inputs.is_empty() || NAMES.iter().any(|name| text.contains(name)), "{text}");
        }
    };
    let again = link(&[Input { file: "linked.o", bytes: &linked }]).expect("what was linked can be linked");
    assert_eq!(linked, again, "once is enough");
}
