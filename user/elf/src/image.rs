//! The ELF file as sections, symbols and relocations, all checked once.

use crate::error::{ElfError, Problem};
use crate::sort::heap_sort;
use crate::source::Source;
use object::Endianness;
use object::elf::{
    EM_BPF, ET_REL, FileHeader64, SHF_EXECINSTR, SHN_ABS, SHN_COMMON, SHN_UNDEF, SHT_NOBITS, SHT_PROGBITS,
    SHT_REL, SHT_RELA, SHT_SYMTAB, STB_LOCAL, STB_WEAK, STT_FUNC, STT_SECTION, STV_HIDDEN, STV_INTERNAL,
};
use object::read::elf::{FileHeader, SectionHeader, Sym};
use skep_btf::Visibility;
use skep_isa::ByteOrder;

/// Position of a section in the ELF table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SecIdx(pub(crate) u32);

/// Position of a symbol in the ELF table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SymIdx(pub(crate) u32);

/// One section.
#[derive(Debug)]
pub(crate) struct Section<'d> {
    pub(crate) index: SecIdx,
    pub(crate) name: &'d str,
    pub(crate) kind: SectionKind,
    /// Empty where the file holds none (`.bss`).
    pub(crate) data: &'d [u8],
    /// The size it has in memory, as the header claims it.
    pub(crate) size: u64,
    /// `SHT_*`.
    pub(crate) sh_type: u32,
    /// `SHF_*`.
    pub(crate) flags: u64,
    pub(crate) align: u64,
    /// By offset.
    pub(crate) relocs: Vec<Reloc>,
}

/// What a section's header says it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SectionKind {
    /// Instructions.
    Code,
    /// Bytes.
    Bytes,
    /// Zeroes that the file does not hold.
    NoBits,
    /// Tables of ELF's own, and whatever else.
    Other,
}

/// One relocation; BPF keeps the addend in the place itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reloc {
    pub(crate) offset: u64,
    pub(crate) r_type: u32,
    pub(crate) symbol: SymIdx,
}

/// `R_BPF_64_64`: the 64-bit immediate of an LDDW (LLVM's `docs`, "BPF relocations").
pub(crate) const R_BPF_64_64: u32 = 1;
/// `R_BPF_64_ABS64`: 64 bits of data.
pub(crate) const R_BPF_64_ABS64: u32 = 2;
/// `R_BPF_64_ABS32`: 32 bits of data.
pub(crate) const R_BPF_64_ABS32: u32 = 3;
/// `R_BPF_64_NODYLD32`: 32 bits in `.BTF` and `.BTF.ext`.
pub(crate) const R_BPF_64_NODYLD32: u32 = 4;
/// `R_BPF_64_32`: the immediate of a call.
pub(crate) const R_BPF_64_32: u32 = 10;

/// One symbol.
#[derive(Debug)]
pub(crate) struct Symbol<'d> {
    pub(crate) name: &'d str,
    pub(crate) home: Home,
    pub(crate) value: u64,
    pub(crate) size: u64,
    pub(crate) is_func: bool,
    pub(crate) is_section: bool,
    pub(crate) binding: Binding,
    pub(crate) visibility: Visibility,
    /// `STT_*`.
    pub(crate) st_type: u8,
    /// The visibility and what else that byte may hold.
    pub(crate) st_other: u8,
    /// The section as the symbol has it, which tells absolute from common symbols.
    pub(crate) shndx: u16,
}

/// Where a symbol lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    Undefined,
    Section(SecIdx),
    /// An absolute or common symbol.
    Nowhere,
}

/// Who may refer to a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    Local,
    Global,
    Weak,
}

/// The file.
#[derive(Debug)]
pub(crate) struct Image<'d> {
    pub(crate) order: ByteOrder,
    pub(crate) sections: Vec<Section<'d>>,
    pub(crate) symbols: Vec<Symbol<'d>>,
    /// The symbols of all sections, by section, those of sections themselves left out.
    members: Vec<(SecIdx, SymIdx)>,
    /// The sections by name, those of one name by number.
    by_name: Vec<SecIdx>,
}

type Header = FileHeader64<Endianness>;

/// What of a file's sections is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// The bytes and the relocations of all.
    Everything,
    /// What a load needs.
    Loadable,
    /// What a load needs but `.BTF` and `.BTF.ext`, which are elsewhere.
    LoadableWithoutBtf,
}

impl Keep {
    /// Whether the bytes of a section are read.
    pub(crate) fn bytes(self, name: &[u8]) -> bool {
        match self {
            Keep::Everything => true,
            Keep::Loadable => !is_debug(name),
            Keep::LoadableWithoutBtf => !is_debug(name) && name != BTF && name != BTF_EXT,
        }
    }

    /// Whether the relocations of a section are read. Those of BTF tell addresses of sections, and these are zero.
    pub(crate) fn relocations(self, name: &[u8]) -> bool {
        self == Keep::Everything || !(is_debug(name) || name == BTF || name == BTF_EXT)
    }
}

pub(crate) const BTF: &[u8] = b".BTF";
pub(crate) const BTF_EXT: &[u8] = b".BTF.ext";

/// Whether a section is for debuggers only (DWARF 5, 7.4).
fn is_debug(name: &[u8]) -> bool {
    name.starts_with(b".debug_")
}

impl<'d> Image<'d> {
    pub(crate) fn parse(data: Source<'d>, keep: Keep) -> Result<Image<'d>, ElfError> {
        let header = Header::parse(data)?;
        let endian = header.endian()?;
        if header.e_machine(endian) != EM_BPF {
            return Err(Problem::WrongMachine(header.e_machine(endian)).into());
        }
        if header.e_type(endian) != ET_REL {
            return Err(Problem::WrongType(header.e_type(endian)).into());
        }
        let order = match endian {
            Endianness::Little => ByteOrder::Little,
            Endianness::Big => ByteOrder::Big,
        };
        let table = header.sections(endian, data)?;
        let mut sections = Vec::with_capacity(table.len());
        for (index, section) in table.enumerate() {
            let name = text(table.section_name(endian, section)?)?;
            let sh_type = section.sh_type(endian);
            let executable = section.sh_flags(endian) & u64::from(SHF_EXECINSTR) != 0;
            let kind = match sh_type {
                SHT_PROGBITS if executable => SectionKind::Code,
                SHT_PROGBITS => SectionKind::Bytes,
                SHT_NOBITS => SectionKind::NoBits,
                _ => SectionKind::Other,
            };
            let bytes = match kind {
                SectionKind::Code => section.data(endian, data)?,
                SectionKind::Bytes if keep.bytes(name.as_bytes()) => section.data(endian, data)?,
                SectionKind::Bytes | SectionKind::NoBits | SectionKind::Other => &[],
            };
            let size = section.sh_size(endian);
            sections.push(Section {
                index: SecIdx(index.0 as u32),
                name,
                kind,
                data: bytes,
                size,
                sh_type,
                flags: section.sh_flags(endian),
                align: section.sh_addralign(endian),
                relocs: Vec::new(),
            });
        }
        let symtab = table.symbols(endian, data, SHT_SYMTAB)?;
        let mut symbols = Vec::with_capacity(symtab.len());
        for (index, symbol) in symtab.enumerate() {
            let name = text(symtab.symbol_name(endian, symbol)?)?;
            let home = match symbol.st_shndx(endian) {
                SHN_UNDEF => Home::Undefined,
                SHN_ABS | SHN_COMMON => Home::Nowhere,
                _ => match symtab.symbol_section(endian, symbol, index)? {
                    Some(section) if section.0 < sections.len() => Home::Section(SecIdx(section.0 as u32)),
                    _ => {
                        return Err(ElfError::from(Problem::BadTarget {
                            target: format!("section {}", symbol.st_shndx(endian)),
                            wanted: "a section that exists",
                        })
                        .in_symbol(name));
                    }
                },
            };
            symbols.push(Symbol {
                name,
                home,
                value: symbol.st_value(endian),
                size: symbol.st_size(endian),
                is_func: symbol.st_type() == STT_FUNC,
                is_section: symbol.st_type() == STT_SECTION,
                binding: match symbol.st_bind() {
                    STB_LOCAL => Binding::Local,
                    STB_WEAK => Binding::Weak,
                    _ => Binding::Global,
                },
                visibility: match symbol.st_visibility() {
                    STV_HIDDEN | STV_INTERNAL => Visibility::Hidden,
                    _ => Visibility::Default,
                },
                st_type: symbol.st_type(),
                st_other: symbol.st_other(),
                shndx: symbol.st_shndx(endian),
            });
        }
        for (_, section) in table.enumerate() {
            match section.sh_type(endian) {
                SHT_REL => {}
                SHT_RELA => return Err(Problem::Unsupported("relocations with addends").into()),
                _ => continue,
            }
            let target = section.sh_info(endian) as usize;
            let Some(target) = sections.get_mut(target) else {
                return Err(Problem::BadTarget {
                    target: format!("section {target}"),
                    wanted: "a section that exists",
                }
                .into());
            };
            if !keep.relocations(target.name.as_bytes()) {
                continue;
            }
            let Some((rels, _)) = section.rel(endian, data)? else { continue };
            target.relocs.reserve(rels.len());
            for rel in rels {
                let symbol = SymIdx(rel.r_sym(endian));
                let offset = rel.r_offset.get(endian);
                if symbol.0 as usize >= symbols.len() {
                    return Err(ElfError::from(Problem::BadTarget {
                        target: format!("symbol {}", symbol.0),
                        wanted: "a symbol that exists",
                    })
                    .in_section(target.name)
                    .at_byte(offset));
                }
                target.relocs.push(Reloc { offset, r_type: rel.r_type(endian), symbol });
            }
            if !target.relocs.is_sorted_by_key(|reloc| reloc.offset) {
                target.relocs.sort_by_key(|reloc| reloc.offset);
            }
        }
        let mut members = Vec::with_capacity(symbols.len());
        members.extend(symbols.iter().enumerate().filter_map(|(index, symbol)| match symbol.home {
            Home::Section(section) if !symbol.is_section => Some((section, SymIdx(index as u32))),
            _ => None,
        }));
        heap_sort(&mut members, |one, other| one < other);
        let mut by_name = Vec::with_capacity(sections.len());
        by_name.extend(sections.iter().map(|section| section.index));
        let place = |index: &SecIdx| (sections[index.0 as usize].name, *index);
        heap_sort(&mut by_name, |one, other| place(one) < place(other));
        Ok(Image { order, sections, symbols, members, by_name })
    }

    pub(crate) fn section(&self, index: SecIdx) -> &Section<'d> {
        &self.sections[index.0 as usize]
    }

    pub(crate) fn symbol(&self, index: SymIdx) -> &Symbol<'d> {
        &self.symbols[index.0 as usize]
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Section<'d>> {
        let first = self.by_name.partition_point(|index| self.section(*index).name < name);
        let found = self.section(*self.by_name.get(first)?);
        (found.name == name).then_some(found)
    }

    /// The symbols that lie in a section, without the section's own.
    pub(crate) fn symbols_in(&self, section: SecIdx) -> impl Iterator<Item = &Symbol<'d>> {
        let from = self.members.partition_point(|(home, _)| *home < section);
        let members = self.members[from..].iter().take_while(move |(home, _)| *home == section);
        members.map(|(_, index)| self.symbol(*index))
    }

    /// What to call a symbol in a message.
    pub(crate) fn describe(&self, index: SymIdx) -> String {
        let symbol = self.symbol(index);
        match symbol.home {
            Home::Section(section) if symbol.name.is_empty() => {
                format!("section {}", self.section(section).name)
            }
            _ if symbol.name.is_empty() => format!("unnamed symbol {}", index.0),
            _ => symbol.name.to_owned(),
        }
    }
}

impl Section<'_> {
    /// The relocations of so many slots from one on, by offset.
    pub(crate) fn relocs_of(&self, start: usize, slots: usize) -> &[Reloc] {
        let (first, end) = (start as u64 * 8, (start + slots) as u64 * 8);
        let from = self.relocs.partition_point(|reloc| reloc.offset < first);
        let to = self.relocs.partition_point(|reloc| reloc.offset < end);
        &self.relocs[from..to]
    }
}

fn text(bytes: &[u8]) -> Result<&str, ElfError> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => Ok(text),
        _ => Err(Problem::BadName.into()),
    }
}
