//! The ELF file as sections, symbols and relocations, all checked once.

use crate::error::{ElfError, Problem};
use crate::sort::heap_sort;
use crate::source::Source;
use object::Endianness;
use object::elf::{
    EM_BPF, ET_REL, FileHeader64, Rel64, SHF_EXECINSTR, SHN_ABS, SHN_COMMON, SHN_UNDEF, SHT_NOBITS,
    SHT_PROGBITS, SHT_REL, SHT_RELA, SHT_SYMTAB, STB_LOCAL, STB_WEAK, STT_FUNC, STT_SECTION, STV_HIDDEN,
    STV_INTERNAL, SectionHeader64,
};
use object::read::elf::{FileHeader, SectionHeader, SectionTable, Sym, SymbolTable};
use object::read::{SectionIndex, SymbolIndex};
use skep_btf::Visibility;
use skep_isa::ByteOrder;
use std::ops::Range;

/// Position of a section in the ELF table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SecIdx(pub(crate) u32);

/// Position of a symbol in the ELF table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SymIdx(pub(crate) u32);

/// One section, as its header has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Section<'d> {
    pub(crate) index: SecIdx,
    pub(crate) name: &'d str,
    pub(crate) kind: SectionKind,
    /// Empty where the file holds none (`.bss`), or it is not kept.
    pub(crate) data: &'d [u8],
    /// Where the file holds it.
    pub(crate) offset: u64,
    /// The size it has in memory, as the header claims it.
    pub(crate) size: u64,
    /// `SHT_*`.
    pub(crate) sh_type: u32,
    /// `SHF_*`.
    pub(crate) flags: u64,
    pub(crate) align: u64,
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
#[derive(Clone, Copy, Debug)]
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

/// The file. Its tables stay as they are: what is asked of them is read where it stands, so that nothing is held twice.
#[derive(Debug)]
pub(crate) struct Image<'d> {
    pub(crate) order: ByteOrder,
    data: Source<'d>,
    keep: Keep,
    endian: Endianness,
    sections: SectionTable<'d, Header, Source<'d>>,
    symbols: SymbolTable<'d, Header, Source<'d>>,
    section_names: Names<'d>,
    symbol_names: Names<'d>,
    /// Those of each section that has some, in the order of the sections.
    relocs: Vec<(SecIdx, Relocs<'d>)>,
    /// The symbols of all sections, by section, those of sections themselves left out.
    members: Vec<(SecIdx, SymIdx)>,
    /// The sections by name, those of one name by number.
    by_name: Vec<SecIdx>,
}

/// Names of a string table that were looked at, of which only the lengths are held: headers tell where they begin.
#[derive(Debug)]
struct Names<'d> {
    table: &'d [u8],
    /// The same if all of it is text, so that no name has to be looked at again; nothing otherwise.
    text: &'d str,
    lens: Vec<u32>,
}

impl<'d> Names<'d> {
    fn of(table: &'d [u8], count: usize) -> Names<'d> {
        let text = std::str::from_utf8(table).unwrap_or_default();
        Names { table, text, lens: Vec::with_capacity(count) }
    }

    fn add(&mut self, name: &[u8]) -> Result<(), ElfError> {
        self.lens.push(text(name)?.len() as u32);
        Ok(())
    }

    /// The name of this number, which begins there.
    fn get(&self, index: usize, start: u32) -> &'d str {
        let start = start as usize;
        let end = start + self.lens.get(index).map_or(0, |len| *len as usize);
        if let Some(name) = self.text.get(start..end) {
            return name;
        }
        // All were looked at when they were added.
        self.table.get(start..end).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

/// Relocations, by offset.
#[derive(Debug)]
enum Relocs<'d> {
    /// As the file has them, in order.
    Stored(&'d [Rel64<Endianness>]),
    /// Put in order.
    Sorted(Vec<Reloc>),
}

impl Relocs<'_> {
    fn len(&self) -> usize {
        match self {
            Relocs::Stored(stored) => stored.len(),
            Relocs::Sorted(sorted) => sorted.len(),
        }
    }

    fn get(&self, index: usize, endian: Endianness) -> Option<Reloc> {
        match self {
            Relocs::Stored(stored) => stored.get(index).map(|rel| reloc(rel, endian)),
            Relocs::Sorted(sorted) => sorted.get(index).copied(),
        }
    }

    /// How many are before an offset.
    fn before(&self, offset: u64, endian: Endianness) -> usize {
        match self {
            Relocs::Stored(stored) => stored.partition_point(|rel| rel.r_offset.get(endian) < offset),
            Relocs::Sorted(sorted) => sorted.partition_point(|reloc| reloc.offset < offset),
        }
    }
}

fn reloc(rel: &Rel64<Endianness>, endian: Endianness) -> Reloc {
    let symbol = SymIdx(rel.r_sym(endian));
    Reloc { offset: rel.r_offset.get(endian), r_type: rel.r_type(endian), symbol }
}

type Header = FileHeader64<Endianness>;

/// What of a file's sections is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// The bytes and the relocations of all.
    Everything,
    /// What a load needs.
    Loadable,
    /// What a load needs but `.BTF`, `.BTF.ext` and code, which are read where they are needed.
    LoadableInParts,
}

impl Keep {
    /// Whether the bytes of a section are read.
    pub(crate) fn bytes(self, name: &[u8]) -> bool {
        match self {
            Keep::Everything => true,
            Keep::Loadable => !is_debug(name),
            Keep::LoadableInParts => !is_debug(name) && name != BTF && name != BTF_EXT,
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
        let sections = header.sections(endian, data)?;
        let strings = |index: SectionIndex| match index.0 {
            0 => Ok(&[][..]),
            _ => sections.section(index)?.data(endian, data),
        };
        let names = SectionIndex(header.shstrndx(endian, data)? as usize);
        let mut section_names = Names::of(strings(names)?, sections.len());
        for (_, header) in sections.enumerate() {
            section_names.add(sections.section_name(endian, header)?)?;
        }
        let symbols = sections.symbols(endian, data, SHT_SYMTAB)?;
        let mut symbol_names = Names::of(strings(symbols.string_section())?, symbols.len());
        for (_, symbol) in symbols.enumerate() {
            symbol_names.add(symbols.symbol_name(endian, symbol)?)?;
        }
        let (relocs, members, by_name) = (Vec::new(), Vec::new(), Vec::new());
        let mut image = Image {
            order,
            data,
            keep,
            endian,
            sections,
            symbols,
            section_names,
            symbol_names,
            relocs,
            members,
            by_name,
        };
        image.check()?;
        image.relocs = image.find_relocs()?;
        let homes = image.symbols().zip(0..).filter_map(|(symbol, index)| match symbol.home {
            Home::Section(section) if !symbol.is_section => Some((section, SymIdx(index))),
            _ => None,
        });
        let mut members: Vec<_> = homes.collect();
        members.shrink_to_fit();
        heap_sort(&mut members, |one, other| one < other);
        image.members = members;
        let mut by_name = Vec::with_capacity(image.sections.len());
        by_name.extend((0..image.sections.len() as u32).map(SecIdx));
        let place = |index: &SecIdx| (image.section_name(*index), *index);
        heap_sort(&mut by_name, |one, other| place(one) < place(other));
        image.by_name = by_name;
        Ok(image)
    }

    /// Looks once at what is read later: the bytes of sections, and the sections of symbols.
    fn check(&self) -> Result<(), ElfError> {
        for (header, index) in self.sections.iter().zip(0..) {
            if self.holds(header, self.section_name(SecIdx(index))) {
                header.data(self.endian, self.data)?;
            }
        }
        for (index, symbol) in self.symbols.enumerate() {
            if let (Home::Nowhere, false) =
                (self.home(index, symbol), matches!(symbol.st_shndx(self.endian), SHN_ABS | SHN_COMMON))
            {
                self.symbols.symbol_section(self.endian, symbol, index)?;
                return Err(ElfError::from(Problem::BadTarget {
                    target: format!("section {}", symbol.st_shndx(self.endian)),
                    wanted: "a section that exists",
                })
                .in_symbol(self.symbol_name(index)));
            }
        }
        Ok(())
    }

    /// Finds the relocations of each section.
    fn find_relocs(&self) -> Result<Vec<(SecIdx, Relocs<'d>)>, ElfError> {
        let endian = self.endian;
        let mut found: Vec<(SecIdx, Relocs<'d>)> = Vec::new();
        for header in self.sections.iter() {
            match header.sh_type(endian) {
                SHT_REL => {}
                SHT_RELA => return Err(Problem::Unsupported("relocations with addends").into()),
                _ => continue,
            }
            let target = header.sh_info(endian);
            if target as usize >= self.sections.len() {
                return Err(Problem::BadTarget {
                    target: format!("section {target}"),
                    wanted: "a section that exists",
                }
                .into());
            }
            let name = self.section_name(SecIdx(target));
            if !self.keep.relocations(name.as_bytes()) {
                continue;
            }
            let Some((rels, _)) = header.rel(endian, self.data)? else { continue };
            let mut all = rels.iter().map(|rel| reloc(rel, endian));
            if let Some(bad) = all.find(|reloc| reloc.symbol.0 as usize >= self.symbols.len()) {
                return Err(ElfError::from(Problem::BadTarget {
                    target: format!("symbol {}", bad.symbol.0),
                    wanted: "a symbol that exists",
                })
                .in_section(name)
                .at_byte(bad.offset));
            }
            let place = found.partition_point(|(section, _)| section.0 < target);
            let before = found.get_mut(place).filter(|(section, _)| section.0 == target);
            let is_sorted = rels.is_sorted_by_key(|rel| rel.r_offset.get(endian));
            match before {
                None if is_sorted => {
                    found.reserve_exact(1);
                    found.insert(place, (SecIdx(target), Relocs::Stored(rels)));
                }
                None => found.insert(place, (SecIdx(target), sorted(&Relocs::Stored(&[]), rels, endian))),
                Some((_, before)) => *before = sorted(before, rels, endian),
            }
        }
        Ok(found)
    }

    /// Whether the bytes of a section are among those that were kept.
    fn holds(&self, header: &SectionHeader64<Endianness>, name: &str) -> bool {
        match kind(header, self.endian) {
            SectionKind::Code => self.keep != Keep::LoadableInParts,
            SectionKind::Bytes => self.keep.bytes(name.as_bytes()),
            SectionKind::NoBits | SectionKind::Other => false,
        }
    }

    /// Where a symbol lives; nowhere, too, where it names a section that is none.
    fn home(&self, index: SymbolIndex, symbol: &object::elf::Sym64<Endianness>) -> Home {
        match symbol.st_shndx(self.endian) {
            SHN_UNDEF => Home::Undefined,
            SHN_ABS | SHN_COMMON => Home::Nowhere,
            _ => match self.symbols.symbol_section(self.endian, symbol, index) {
                Ok(Some(section)) if section.0 < self.sections.len() => {
                    Home::Section(SecIdx(section.0 as u32))
                }
                _ => Home::Nowhere,
            },
        }
    }

    /// The name of a section that is there.
    fn section_name(&self, index: SecIdx) -> &'d str {
        let header = self.sections.iter().as_slice().get(index.0 as usize);
        header.map_or("", |header| self.section_names.get(index.0 as usize, header.sh_name(self.endian)))
    }

    fn symbol_name(&self, index: SymbolIndex) -> &'d str {
        let symbol = self.symbols.symbols().get(index.0);
        symbol.map_or("", |symbol| self.symbol_names.get(index.0, symbol.st_name(self.endian)))
    }

    /// Lets go of what only symbols are found by: nothing more is asked about them.
    pub(crate) fn forget_symbols(&mut self) {
        self.members = Vec::new();
        self.symbol_names.lens = Vec::new();
    }

    pub(crate) fn section(&self, index: SecIdx) -> Section<'d> {
        let name = self.section_name(index);
        let (header, endian) = (&self.sections.iter().as_slice()[index.0 as usize], self.endian);
        // Looked at before.
        let data = if self.holds(header, name) { header.data(endian, self.data) } else { Ok(&[][..]) };
        Section {
            index,
            name,
            kind: kind(header, endian),
            data: data.unwrap_or_default(),
            offset: header.sh_offset(endian),
            size: header.sh_size(endian),
            sh_type: header.sh_type(endian),
            flags: header.sh_flags(endian),
            align: header.sh_addralign(endian),
        }
    }

    /// All sections, the one with number 0 first, which is none.
    pub(crate) fn sections(&self) -> impl ExactSizeIterator<Item = Section<'d>> + Clone + use<'_, 'd> {
        (0..self.sections.len()).map(|index| self.section(SecIdx(index as u32)))
    }

    pub(crate) fn symbol(&self, index: SymIdx) -> Symbol<'d> {
        let (index, endian) = (SymbolIndex(index.0 as usize), self.endian);
        let name = self.symbol_name(index);
        let symbol = &self.symbols.symbols()[index.0];
        Symbol {
            name,
            home: self.home(index, symbol),
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
        }
    }

    /// All symbols, the one with number 0 first, which is none.
    pub(crate) fn symbols(&self) -> impl ExactSizeIterator<Item = Symbol<'d>> + use<'_, 'd> {
        (0..self.symbols.len()).map(|index| self.symbol(SymIdx(index as u32)))
    }

    pub(crate) fn named(&self, name: &str) -> Option<Section<'d>> {
        let name_of = |index: &SecIdx| self.section_name(*index);
        let first = self.by_name.partition_point(|index| name_of(index) < name);
        let found = self.by_name.get(first).filter(|index| name_of(index) == name)?;
        Some(self.section(*found))
    }

    /// The symbols that lie in a section, without the section's own.
    pub(crate) fn symbols_in(&self, section: SecIdx) -> impl Iterator<Item = Symbol<'d>> + use<'_, 'd> {
        let from = self.members.partition_point(|(home, _)| *home < section);
        let members = self.members[from..].iter().take_while(move |(home, _)| *home == section);
        members.map(|(_, index)| self.symbol(*index))
    }

    /// The relocations of a section, by offset.
    pub(crate) fn relocs(&self, section: SecIdx) -> impl ExactSizeIterator<Item = Reloc> + Clone + '_ {
        self.relocs_within(section, 0..u64::MAX)
    }

    /// The relocations from one offset of a section up to another.
    pub(crate) fn relocs_within(
        &self,
        section: SecIdx,
        range: Range<u64>,
    ) -> impl ExactSizeIterator<Item = Reloc> + Clone + '_ {
        let found = self.relocs.binary_search_by_key(&section, |(section, _)| *section).ok();
        let relocs = found.map_or(&Relocs::Stored(&[]), |index| &self.relocs[index].1);
        let from = relocs.before(range.start, self.endian);
        let to = match range.end {
            u64::MAX => relocs.len(),
            end => relocs.before(end, self.endian),
        };
        let none = Reloc { offset: 0, r_type: 0, symbol: SymIdx(0) };
        (from..to.max(from)).map(move |index| relocs.get(index, self.endian).unwrap_or(none))
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

/// Puts more relocations to others, and all in order.
fn sorted<'d>(before: &Relocs<'_>, more: &[Rel64<Endianness>], endian: Endianness) -> Relocs<'d> {
    let before = (0..before.len()).filter_map(|index| before.get(index, endian));
    let mut all: Vec<Reloc> = before.chain(more.iter().map(|rel| reloc(rel, endian))).collect();
    all.sort_by_key(|reloc| reloc.offset);
    Relocs::Sorted(all)
}

fn kind(header: &SectionHeader64<Endianness>, endian: Endianness) -> SectionKind {
    match header.sh_type(endian) {
        SHT_PROGBITS if header.sh_flags(endian) & u64::from(SHF_EXECINSTR) != 0 => SectionKind::Code,
        SHT_PROGBITS => SectionKind::Bytes,
        SHT_NOBITS => SectionKind::NoBits,
        _ => SectionKind::Other,
    }
}

fn text(bytes: &[u8]) -> Result<&str, ElfError> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => Ok(text),
        _ => Err(Problem::BadName.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_text_though_not_all_of_its_table_is() {
        for table in [&b"\0maps\0.text"[..], b"\0maps\0\xff\xfe"] {
            let mut names = Names::of(table, 2);
            names.add(b"").expect("text");
            names.add(b"maps").expect("text");
            assert_eq!((names.get(0, 0), names.get(1, 1)), ("", "maps"));
            // Beyond the table there is nothing, nor is there a third name.
            assert_eq!((names.get(1, u32::MAX), names.get(2, 1)), ("", ""));
        }
        assert!(Names::of(b"\xff", 1).add(b"\xff").is_err());
    }
}
