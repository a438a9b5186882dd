//! The result as an ELF file.
//!
//! `object` can write ELF too, but only with a second copy of a hash map that the workspace has already; its structs
//! and constants do for a file of this one shape.

use super::layout::Layout;
use super::symbols::{OutHome, OutSymbol, SymRef, Symbols};
use super::types::Types;
use crate::error::{ElfError, Problem};
use crate::image::Binding;
use object::elf::{
    ELFCLASS64, ELFDATA2LSB, ELFDATA2MSB, ELFMAG, EM_BPF, ET_REL, EV_CURRENT, FileHeader64, Ident, Rel64,
    SHF_INFO_LINK, SHN_ABS, SHN_LORESERVE, SHN_UNDEF, SHT_PROGBITS, SHT_REL, SHT_STRTAB, SHT_SYMTAB,
    STB_GLOBAL, STB_LOCAL, STB_WEAK, SectionHeader64, Sym64,
};
use object::pod::bytes_of;
use object::{Endianness, U16, U32, U64};
use skep_isa::ByteOrder;
use std::collections::HashMap;

/// A section to be written.
struct Section<'s> {
    name: String,
    sh_type: u32,
    flags: u64,
    align: u64,
    entry: u64,
    link: u32,
    info: u32,
    /// The size it has in memory.
    size: u64,
    bytes: std::borrow::Cow<'s, [u8]>,
}

/// Strings behind each other, each once.
#[derive(Default)]
struct Strings<'s> {
    bytes: Vec<u8>,
    offsets: HashMap<&'s str, u32>,
}

impl<'s> Strings<'s> {
    fn add(&mut self, text: &'s str) -> u32 {
        if self.bytes.is_empty() {
            self.bytes.push(0);
        }
        if text.is_empty() {
            return 0;
        }
        *self.offsets.entry(text).or_insert_with(|| {
            let offset = self.bytes.len() as u32;
            self.bytes.extend_from_slice(text.as_bytes());
            self.bytes.push(0);
            offset
        })
    }
}

/// Writes the file: header, sections, section headers.
pub(super) fn write(
    order: ByteOrder,
    layout: &Layout<'_>,
    symbols: &Symbols<'_>,
    types: Option<&Types>,
) -> Result<Vec<u8>, ElfError> {
    let e = match order {
        ByteOrder::Little => Endianness::Little,
        ByteOrder::Big => Endianness::Big,
    };
    let related = layout.sections.iter().filter(|section| !section.relocs.is_empty()).count();
    let typed = types.map_or(0, |types| 1 + usize::from(types.ext.is_some()));
    // The first is no section; data, relocations, types, symbols, strings.
    let symtab_index = 1 + layout.sections.len() + related + typed;
    let count = symtab_index + 2;
    if count >= usize::from(SHN_LORESERVE) {
        return Err(Problem::TooLarge.into());
    }
    let mut sections = Vec::new();
    for section in &layout.sections {
        sections.push(Section {
            name: section.name.to_owned(),
            sh_type: section.sh_type,
            flags: section.flags,
            align: section.align,
            entry: 0,
            link: 0,
            info: 0,
            size: section.size,
            bytes: section.data.as_slice().into(),
        });
    }
    let number = |became: SymRef| match became {
        SymRef::Local(index) => 1 + index,
        SymRef::Global(index) => 1 + symbols.locals.len() + index,
    };
    for (index, section) in layout.sections.iter().enumerate().filter(|(_, s)| !s.relocs.is_empty()) {
        let mut bytes = Vec::new();
        for reloc in &section.relocs {
            // Places are looked up before they come here.
            let symbol = symbols.became(reloc.file, reloc.symbol).map_or(0, number) as u32;
            let r_info = Rel64::r_info(e, symbol, reloc.r_type);
            let rel = Rel64 { r_offset: U64::new(e, reloc.offset), r_info };
            bytes.extend_from_slice(bytes_of(&rel));
        }
        sections.push(Section {
            name: format!(".rel{}", section.name),
            sh_type: SHT_REL,
            flags: u64::from(SHF_INFO_LINK),
            align: 8,
            entry: size_of::<Rel64<Endianness>>() as u64,
            link: symtab_index as u32,
            info: 1 + index as u32,
            size: bytes.len() as u64,
            bytes: bytes.into(),
        });
    }
    let made = |name: &str, sh_type, align, bytes: Vec<u8>| Section {
        name: name.to_owned(),
        sh_type,
        flags: 0,
        align,
        entry: 0,
        link: 0,
        info: 0,
        size: bytes.len() as u64,
        bytes: bytes.into(),
    };
    if let Some(types) = types {
        sections.push(made(".BTF", SHT_PROGBITS, 8, types.btf.clone()));
        if let Some(ext) = &types.ext {
            sections.push(made(".BTF.ext", SHT_PROGBITS, 8, ext.clone()));
        }
    }
    let mut strings = Strings::default();
    let globals = symbols.globals.iter().map(|global| &global.symbol);
    let mut symtab = vec![0; size_of::<Sym64<Endianness>>()];
    for symbol in symbols.locals.iter().chain(globals) {
        symtab.extend_from_slice(bytes_of(&entry(e, symbol, strings.add(symbol.name))));
    }
    sections.push(Section {
        entry: size_of::<Sym64<Endianness>>() as u64,
        link: symtab_index as u32 + 1,
        info: 1 + symbols.locals.len() as u32,
        ..made(".symtab", SHT_SYMTAB, 8, symtab)
    });
    let names: Vec<String> = sections.iter().map(|section| section.name.clone()).collect();
    let name_offsets: Vec<u32> = names.iter().map(|name| strings.add(name)).collect();
    let own_name = strings.add(".strtab");
    sections.push(made(".strtab", SHT_STRTAB, 1, strings.bytes));
    Ok(lay_out(e, &sections, &name_offsets, own_name))
}

/// Puts sections behind each other, and their headers behind them.
fn lay_out(e: Endianness, sections: &[Section<'_>], names: &[u32], last_name: u32) -> Vec<u8> {
    let mut bytes = vec![0; size_of::<FileHeader64<Endianness>>()];
    let mut headers = vec![0; size_of::<SectionHeader64<Endianness>>()];
    for (index, section) in sections.iter().enumerate() {
        // What claims a large alignment need not have it in the file.
        align(&mut bytes, section.align.clamp(1, 8) as usize);
        let header = SectionHeader64 {
            sh_name: U32::new(e, names.get(index).copied().unwrap_or(last_name)),
            sh_type: U32::new(e, section.sh_type),
            sh_flags: U64::new(e, section.flags),
            sh_addr: U64::new(e, 0),
            sh_offset: U64::new(e, bytes.len() as u64),
            sh_size: U64::new(e, section.size),
            sh_link: U32::new(e, section.link),
            sh_info: U32::new(e, section.info),
            sh_addralign: U64::new(e, section.align),
            sh_entsize: U64::new(e, section.entry),
        };
        headers.extend_from_slice(bytes_of(&header));
        bytes.extend_from_slice(&section.bytes);
    }
    align(&mut bytes, 8);
    let header = FileHeader64 {
        e_ident: Ident {
            magic: ELFMAG,
            class: ELFCLASS64,
            data: match e {
                Endianness::Little => ELFDATA2LSB,
                Endianness::Big => ELFDATA2MSB,
            },
            version: EV_CURRENT,
            os_abi: 0,
            abi_version: 0,
            padding: [0; 7],
        },
        e_type: U16::new(e, ET_REL),
        e_machine: U16::new(e, EM_BPF),
        e_version: U32::new(e, EV_CURRENT.into()),
        e_entry: U64::new(e, 0),
        e_phoff: U64::new(e, 0),
        e_shoff: U64::new(e, bytes.len() as u64),
        e_flags: U32::new(e, 0),
        e_ehsize: U16::new(e, size_of::<FileHeader64<Endianness>>() as u16),
        e_phentsize: U16::new(e, 0),
        e_phnum: U16::new(e, 0),
        e_shentsize: U16::new(e, size_of::<SectionHeader64<Endianness>>() as u16),
        e_shnum: U16::new(e, sections.len() as u16 + 1),
        e_shstrndx: U16::new(e, sections.len() as u16),
    };
    bytes[..size_of::<FileHeader64<Endianness>>()].copy_from_slice(bytes_of(&header));
    bytes.extend_from_slice(&headers);
    bytes
}

fn align(bytes: &mut Vec<u8>, align: usize) {
    bytes.resize(bytes.len().next_multiple_of(align), 0);
}

fn entry(e: Endianness, symbol: &OutSymbol<'_>, name: u32) -> Sym64<Endianness> {
    let binding = match symbol.binding {
        Binding::Local => STB_LOCAL,
        Binding::Global => STB_GLOBAL,
        Binding::Weak => STB_WEAK,
    };
    Sym64 {
        st_name: U32::new(e, name),
        st_info: binding << 4 | symbol.st_type & 0xf,
        st_other: symbol.visibility,
        st_shndx: U16::new(
            e,
            match symbol.home {
                OutHome::Undefined => SHN_UNDEF,
                OutHome::Absolute => SHN_ABS,
                OutHome::Section(index) => 1 + index.0 as u16,
            },
        ),
        st_value: U64::new(e, symbol.value),
        st_size: U64::new(e, symbol.size),
    }
}
