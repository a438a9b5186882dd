//! The BTF of any ELF file: an object, a kernel, a module.

use crate::error::ElfError;
use crate::source::Source;
use object::Endianness;
use object::elf::{FileHeader32, FileHeader64, SHT_NOBITS};
use object::read::elf::{FileHeader, SectionHeader};
use skep_btf::PointerSize;

/// Finds the bytes of the section `.BTF` in an ELF file of any machine; none where it has no such section, or an empty one.
///
/// # Errors
/// Where the file is no ELF file, or its sections lie outside of it.
pub fn btf_bytes<'d>(file: &str, bytes: &'d [u8]) -> Result<Option<&'d [u8]>, ElfError> {
    section(file, bytes, b".BTF")
}

/// Finds the bytes of the section `.BTF.base`: what the file's types need of those that they continue.
///
/// # Errors
/// As [`btf_bytes`].
pub fn btf_base_bytes<'d>(file: &str, bytes: &'d [u8]) -> Result<Option<&'d [u8]>, ElfError> {
    section(file, bytes, b".BTF.base")
}

/// How many bytes of an ELF file say its class.
pub const CLASS_END: usize = 5;

/// Tells how long pointers are on the machine that an ELF file is for: its class (`EI_CLASS`). `None` for other files.
pub fn pointer_size(bytes: &[u8]) -> Option<PointerSize> {
    match bytes.get(..CLASS_END)? {
        [0x7f, b'E', b'L', b'F', 1] => Some(PointerSize::Four),
        [0x7f, b'E', b'L', b'F', 2] => Some(PointerSize::Eight),
        _ => None,
    }
}

fn section<'d>(file: &str, bytes: &'d [u8], name: &[u8]) -> Result<Option<&'d [u8]>, ElfError> {
    const CLASS: usize = 4;
    const CLASS_32: u8 = 1;
    let found = match bytes.get(CLASS) {
        Some(&CLASS_32) => find::<FileHeader32<Endianness>>(Source::Whole(bytes), name),
        _ => find::<FileHeader64<Endianness>>(Source::Whole(bytes), name),
    };
    found.map_err(|error| ElfError::from(error).in_file(file))
}

fn find<'d, H: FileHeader<Endian = Endianness>>(
    bytes: Source<'d>,
    name: &[u8],
) -> Result<Option<&'d [u8]>, object::read::Error> {
    let header = H::parse(bytes)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, bytes)?;
    let Some((_, section)) = sections.section_by_name(endian, name) else { return Ok(None) };
    if section.sh_type(endian) == SHT_NOBITS {
        return Ok(None);
    }
    Ok(Some(section.data(endian, bytes)?).filter(|data| !data.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_have_their_btf_and_other_bytes_none() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/xdp-firewall/xdp_firewall.bpf.o");
        let object = std::fs::read(path).unwrap();
        let btf = btf_bytes("x.o", &object).unwrap().unwrap();
        assert_eq!(btf[..2], 0xeb9f_u16.to_le_bytes());
        assert!(skep_btf::Btf::parse(btf).is_ok());
        let error = btf_bytes("x.o", b"text").unwrap_err();
        assert_eq!(error.place().file, "x.o");
        for length in (0..object.len()).step_by(61) {
            let _ = btf_bytes("x.o", &object[..length]);
        }
    }
}
