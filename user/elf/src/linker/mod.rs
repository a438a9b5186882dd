//! The static linker: several objects become one, as `bpftool gen object` does it.
//!
//! Sections of one name follow each other, global symbols of one name become one, relocations follow both, and BTF is
//! merged and deduplicated. A definition of a symbol takes the place of declarations and of weak definitions, if BTF
//! says that their types agree; two strong definitions are refused. The rules are libbpf's (`src/linker.c`); where they
//! differ here:
//!
//! - a variable that takes the place of a weak one has its own offset in BTF, not the weak one's;
//! - local symbols come before global ones, as ELF wants it;
//! - data may refer to data, and symbols may be protected or internal;
//! - objects without BTF are linked by their symbols alone.
//!
//! Debugging information (DWARF) is left out.

mod compatible;
mod elf;
mod input;
mod layout;
mod places;
mod symbols;
mod types;

use crate::error::{ElfError, Problem};
use input::File;
use layout::Layout;
use symbols::Symbols;

/// One object to be linked.
#[derive(Clone, Copy, Debug)]
pub struct Input<'d> {
    /// The file, as messages call it.
    pub file: &'d str,
    /// What it holds.
    pub bytes: &'d [u8],
}

/// Links objects into one. One object alone is linked too: what is merged then are its own types, and what is left out
/// is debugging information.
///
/// # Errors
///
/// Says which file is malformed, or which two do not go together, and by which section or symbol.
pub fn link(inputs: &[Input<'_>]) -> Result<Vec<u8>, ElfError> {
    link_all(inputs).map_err(|error| match error.place().file.is_empty() {
        // What only all of them together are too much for.
        true => error.in_file(&inputs.iter().map(|input| input.file).collect::<Vec<_>>().join(", ")),
        false => error,
    })
}

fn link_all(inputs: &[Input<'_>]) -> Result<Vec<u8>, ElfError> {
    let mut files = Vec::new();
    for input in inputs {
        files.push(File::read(*input).map_err(|error| error.in_file(input.file))?);
    }
    let Some(first) = files.first() else { return Err(Problem::NothingToLink.into()) };
    if let Some(other) = files.iter().find(|file| file.image.order != first.image.order) {
        let error = ElfError::from(Problem::ByteOrders { other: first.name.to_owned() });
        return Err(error.in_file(other.name));
    }
    let mut layout = Layout::of(&files)?;
    let symbols = Symbols::of(&files, &layout)?;
    places::relocate(&files, &mut layout, &symbols)?;
    let types = types::merge(&files, &layout, &symbols)?;
    elf::write(first.image.order, &layout, &symbols, types.as_ref())
}
