//! Sections of one name behind each other.

use super::input::{File, FileIdx};
use crate::error::{ElfError, Problem};
use crate::image::{SecIdx, Section, SectionKind, SymIdx};
use object::elf::{SHT_NULL, SHT_PROGBITS, SHT_REL, SHT_STRTAB, SHT_SYMTAB};
use std::collections::HashMap;

/// `SHT_LLVM_ADDRSIG`: which symbols' addresses matter; only compilers' own linkers ask (LLVM's `docs/Extensions.rst`).
const SHT_LLVM_ADDRSIG: u32 = 0x6fff_4c03;

/// Bytes between sections that alignments may ask for altogether: an alignment is a claim, and costs the file nothing.
const MAX_PADDING: u64 = 1 << 24;

/// Position of a section in the result, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct OutIdx(pub(super) usize);

/// A section of the result.
#[derive(Debug)]
pub(super) struct OutSection<'d> {
    pub(super) name: &'d str,
    /// The file that it was found in first.
    first: FileIdx,
    pub(super) sh_type: u32,
    pub(super) flags: u64,
    pub(super) align: u64,
    /// Empty where the file holds none (`.bss`).
    pub(super) data: Vec<u8>,
    pub(super) size: u64,
    pub(super) relocs: Vec<OutReloc>,
}

/// A relocation of the result.
#[derive(Clone, Copy, Debug)]
pub(super) struct OutReloc {
    pub(super) offset: u64,
    pub(super) r_type: u32,
    pub(super) file: FileIdx,
    pub(super) symbol: SymIdx,
}

/// Where a section of a file went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) section: OutIdx,
    /// How many bytes into it.
    pub(super) delta: u64,
    pub(super) share: Share,
}

/// Whether a section brought its own bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// They are there.
    Own,
    /// They were there already: one licence is enough.
    Same,
}

/// The sections of the result, and where those of each file went.
pub(super) struct Layout<'d> {
    pub(super) sections: Vec<OutSection<'d>>,
    parts: Vec<Vec<Option<Part>>>,
    by_name: HashMap<&'d str, OutIdx>,
    /// What is left of [`MAX_PADDING`].
    padding: u64,
}

impl<'d> Layout<'d> {
    pub(super) fn of(files: &[File<'d>]) -> Result<Layout<'d>, ElfError> {
        let mut layout =
            Layout { sections: Vec::new(), parts: Vec::new(), by_name: HashMap::new(), padding: MAX_PADDING };
        for (index, file) in files.iter().enumerate() {
            let mut parts = Vec::new();
            for section in file.image.sections() {
                let part = match is_kept(&section) {
                    Ok(true) => layout.add(files, FileIdx(index), &section).map(Some),
                    Ok(false) => Ok(None),
                    Err(problem) => Err(problem.into()),
                };
                parts.push(part.map_err(|error| error.in_section(section.name).in_file(file.name))?);
            }
            layout.parts.push(parts);
        }
        Ok(layout)
    }

    /// Where a section of a file went; nowhere if it was left out.
    pub(super) fn part(&self, file: FileIdx, section: SecIdx) -> Option<Part> {
        self.parts.get(file.0)?.get(section.0 as usize).copied().flatten()
    }

    /// The section of that name.
    pub(super) fn named(&self, name: &str) -> Option<OutIdx> {
        self.by_name.get(name).copied()
    }

    fn add(&mut self, files: &[File<'d>], file: FileIdx, from: &Section<'d>) -> Result<Part, ElfError> {
        let align = from.align.max(1);
        if !align.is_power_of_two() {
            let unit = align.checked_next_power_of_two().unwrap_or(1 << 63);
            return Err(Problem::OddSize { unit, found: align }.into());
        }
        if from.kind == SectionKind::Code && from.size % 8 != 0 {
            return Err(Problem::OddSize { unit: 8, found: from.size }.into());
        }
        let index = *self.by_name.entry(from.name).or_insert_with(|| {
            self.sections.push(OutSection {
                name: from.name,
                first: file,
                sh_type: from.sh_type,
                flags: from.flags,
                align,
                data: Vec::new(),
                size: 0,
                relocs: Vec::new(),
            });
            OutIdx(self.sections.len() - 1)
        });
        let to = &mut self.sections[index.0];
        let differ = |what| {
            let other = files[to.first.0].name.to_owned();
            Err(ElfError::from(Problem::SectionsDiffer { other, what }))
        };
        if to.sh_type != from.sh_type {
            return differ("type");
        }
        if to.flags != from.flags {
            return differ("flags");
        }
        // A licence and a version are said once.
        if to.first != file && matches!(from.name, "license" | "version") {
            return match to.data == from.data {
                true => Ok(Part { section: index, delta: 0, share: Share::Same }),
                false => differ("content"),
            };
        }
        to.align = to.align.max(align);
        // What came first lies at 0, or at a multiple of its own, smaller alignment.
        let delta = to.size.checked_next_multiple_of(to.align).ok_or(Problem::TooLarge)?;
        let end = delta.checked_add(from.size).filter(|&end| end <= u64::from(u32::MAX));
        let end = end.ok_or(Problem::TooLarge)?;
        if from.sh_type == SHT_PROGBITS {
            self.padding = self.padding.checked_sub(delta - to.size).ok_or(Problem::TooMuchPadding)?;
            to.data.resize(delta as usize, 0);
            to.data.extend_from_slice(from.data);
        }
        to.size = end;
        Ok(Part { section: index, delta, share: Share::Own })
    }
}

/// Whether a section goes into the result; what the linker makes itself, and debugging information, does not.
fn is_kept(section: &Section<'_>) -> Result<bool, Problem> {
    match (section.sh_type, section.kind) {
        (SHT_NULL | SHT_STRTAB | SHT_SYMTAB | SHT_REL | SHT_LLVM_ADDRSIG, _) => Ok(false),
        _ if section.name.starts_with(".debug_") => Ok(false),
        // Compilers write an empty one where no function is.
        (SHT_PROGBITS, _) if section.name == ".text" && section.size == 0 => Ok(false),
        (SHT_PROGBITS, _) if matches!(section.name, ".BTF" | ".BTF.ext") => Ok(false),
        (_, SectionKind::Other) => Err(Problem::UnknownSection(section.sh_type)),
        _ if section.name.is_empty() => Err(Problem::BadName),
        _ => Ok(true),
    }
}
