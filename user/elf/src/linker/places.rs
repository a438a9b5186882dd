//! Relocations: where they are now, and what stands there if they refer to a section as a whole.

use super::input::{File, FileIdx};
use super::layout::{Layout, OutReloc, OutSection, Share};
use super::symbols::Symbols;
use crate::error::{ElfError, Problem};
use crate::image::{
    Home, Image, R_BPF_64_32, R_BPF_64_64, R_BPF_64_ABS32, R_BPF_64_ABS64, Reloc, SectionKind,
};
use skep_isa::ByteOrder;

/// `BPF_JMP | BPF_CALL`: the opcode of a call, whose immediate counts instructions.
const CALL: u8 = 0x85;
/// Bytes of an instruction.
const INSN: u64 = 8;
/// Where the immediate stands in an instruction.
const IMM: u64 = 4;

/// Moves the relocations of each file to where its sections went.
pub(super) fn relocate(
    files: &[File<'_>],
    layout: &mut Layout<'_>,
    symbols: &Symbols<'_>,
) -> Result<(), ElfError> {
    for (index, file) in files.iter().enumerate() {
        for section in file.image.sections() {
            let Some(part) = layout.part(FileIdx(index), section.index) else { continue };
            if part.share == Share::Same {
                continue;
            }
            for reloc in file.image.relocs(section.index) {
                let fail =
                    |error: ElfError| error.at_byte(reloc.offset).in_section(section.name).in_file(file.name);
                let file_index = FileIdx(index);
                if symbols.became(file_index, reloc.symbol).is_none() {
                    let target = file.image.describe(reloc.symbol);
                    let wanted = "something that is linked";
                    return Err(fail(Problem::BadTarget { target, wanted }.into()));
                }
                let moved = moved_by(file, file_index, layout, &reloc);
                let offset = reloc.offset.checked_add(part.delta);
                let offset = offset.ok_or_else(|| fail(Problem::TooLarge.into()))?;
                let to = &mut layout.sections[part.section.0];
                adjust(to, file.image.order, section.kind, offset, reloc.r_type, moved)
                    .map_err(|problem| fail(problem.into()))?;
                to.relocs.push(OutReloc {
                    offset,
                    r_type: reloc.r_type,
                    file: file_index,
                    symbol: reloc.symbol,
                });
            }
        }
    }
    Ok(())
}

/// How far what a relocation refers to has moved, where the place itself says how far behind its symbol that is: the
/// symbol of a section, which stays at the start.
fn moved_by(file: &File<'_>, index: FileIdx, layout: &Layout<'_>, reloc: &Reloc) -> u64 {
    let image: &Image<'_> = &file.image;
    let symbol = image.symbol(reloc.symbol);
    match symbol.home {
        Home::Section(section) if symbol.is_section => {
            layout.part(index, section).map_or(0, |part| part.delta)
        }
        _ => 0,
    }
}

/// Adds to what stands in the place.
fn adjust(
    to: &mut OutSection<'_>,
    order: ByteOrder,
    kind: SectionKind,
    offset: u64,
    r_type: u32,
    moved: u64,
) -> Result<(), Problem> {
    let misplaced = |what| move || Problem::MisplacedRelocation(what);
    match (r_type, kind) {
        (R_BPF_64_64 | R_BPF_64_32, SectionKind::Code) => {
            if offset % INSN != 0 {
                return Err(Problem::MisplacedRelocation("instruction"));
            }
            let start = usize::try_from(offset).map_err(|_| Problem::TooLarge)?;
            let opcode = to.data.get(start).copied().ok_or_else(misplaced("instruction"))?;
            // Calls say their target less one, in instructions.
            let moved = if opcode == CALL { moved / INSN } else { moved };
            let place = word(to, offset.saturating_add(IMM)).ok_or_else(misplaced("instruction"))?;
            let sum = i64::from(read32(*place, order) as i32) + moved as i64;
            let sum = match r_type {
                R_BPF_64_64 => u32::try_from(sum).map_err(|_| Problem::TooLarge)?,
                _ => i32::try_from(sum).map_err(|_| Problem::TooLarge)? as u32,
            };
            *place = write32(sum, order);
        }
        (R_BPF_64_ABS64, _) => {
            let start = usize::try_from(offset).ok();
            let rest = start.and_then(|start| to.data.get_mut(start..));
            let place = rest.and_then(|rest| rest.first_chunk_mut::<8>());
            let place = place.ok_or_else(misplaced("room for 64 bits"))?;
            *place = match order {
                ByteOrder::Little => u64::from_le_bytes(*place).wrapping_add(moved).to_le_bytes(),
                ByteOrder::Big => u64::from_be_bytes(*place).wrapping_add(moved).to_be_bytes(),
            };
        }
        (R_BPF_64_ABS32, _) => {
            let place = word(to, offset).ok_or_else(misplaced("room for 32 bits"))?;
            let sum = u64::from(read32(*place, order)) + moved;
            *place = write32(u32::try_from(sum).map_err(|_| Problem::TooLarge)?, order);
        }
        (R_BPF_64_64 | R_BPF_64_32, _) => return Err(Problem::MisplacedRelocation("instruction")),
        _ => return Err(Problem::UnknownRelocation(r_type)),
    }
    Ok(())
}

fn word<'s>(to: &'s mut OutSection<'_>, offset: u64) -> Option<&'s mut [u8; 4]> {
    to.data.get_mut(usize::try_from(offset).ok()?..)?.first_chunk_mut()
}

fn read32(bytes: [u8; 4], order: ByteOrder) -> u32 {
    match order {
        ByteOrder::Little => u32::from_le_bytes(bytes),
        ByteOrder::Big => u32::from_be_bytes(bytes),
    }
}

fn write32(word: u32, order: ByteOrder) -> [u8; 4] {
    match order {
        ByteOrder::Little => word.to_le_bytes(),
        ByteOrder::Big => word.to_be_bytes(),
    }
}
