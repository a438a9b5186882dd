//! An object file of which only those parts are read that a load needs: most of a file that clang writes is for debuggers.

use crate::image::{BTF, BTF_EXT, Keep};
use crate::source::Source;
use object::elf::{
    FileHeader64, SHF_EXECINSTR, SHT_NOBITS, SHT_PROGBITS, SHT_REL, SHT_SYMTAB, SectionHeader64,
};
use object::pod::slice_from_all_bytes;
use object::read::elf::{FileHeader, SectionHeader};
use object::{Endianness, StringTable};
use std::ops::Range;

/// Parts that are nearer to each other are read as one.
const NEAR: u64 = 256;

type Header = FileHeader64<Endianness>;

/// The parts of an object file that a load needs: all but what is there for debuggers and for the linker of debug information, and
/// but code, which is read to where it is linked.
#[derive(Debug)]
pub(crate) struct Parts {
    /// Bytes of the file.
    len: u64,
    /// By where they start; none reaches into the next.
    parts: Vec<(u64, Vec<u8>)>,
    /// The bytes of `.BTF`, on their own.
    pub(crate) btf: Option<Vec<u8>>,
    /// Where `.BTF.ext` is, which is needed when all others have been read.
    pub(crate) ext: Option<Range<u64>>,
}

/// Why a part is not there.
enum Missing<E> {
    /// It could not be read.
    Unread(E),
    /// The file is too short for it or is no such file, or there is no memory.
    Odd,
}

impl<E> From<E> for Missing<E> {
    fn from(error: E) -> Missing<E> {
        Missing::Unread(error)
    }
}

impl Parts {
    /// Reads what is needed of a file of `len` bytes; `read` fills a buffer from an offset, and tells whether there was that
    /// much. `None` is for a file that cannot be taken apart.
    ///
    /// # Errors
    /// Those of `read`.
    pub(crate) fn read<E>(
        len: u64,
        mut read: impl FnMut(u64, &mut [u8]) -> Result<bool, E>,
    ) -> Result<Option<Parts>, E> {
        match find(len, &mut read) {
            Ok(parts) => Ok(Some(parts)),
            Err(Missing::Unread(error)) => Err(error),
            Err(Missing::Odd) => Ok(None),
        }
    }

    /// Bytes of the file.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// What is there from an offset on.
    pub(crate) fn from(&self, offset: u64) -> Result<&[u8], ()> {
        let index = self.parts.partition_point(|(start, _)| *start <= offset).checked_sub(1).ok_or(())?;
        let (start, bytes) = &self.parts[index];
        usize::try_from(offset - start).ok().and_then(|skipped| bytes.get(skipped..)).ok_or(())
    }
}

/// Reads a part of a file of `len` bytes; `None` where it is not whole, or there is no memory.
pub(crate) fn part<E>(
    range: &Range<u64>,
    len: u64,
    read: &mut impl FnMut(u64, &mut [u8]) -> Result<bool, E>,
) -> Result<Option<Vec<u8>>, E> {
    let size = range.end.checked_sub(range.start).filter(|_| range.end <= len);
    let Some(size) = size.and_then(|size| usize::try_from(size).ok()) else { return Ok(None) };
    let mut bytes = Vec::new();
    if bytes.try_reserve_exact(size).is_err() {
        return Ok(None);
    }
    bytes.resize(size, 0);
    Ok(read(range.start, &mut bytes)?.then_some(bytes))
}

/// Whether what a section holds may be read by its name, although it says that it is code.
fn means_more(name: &[u8]) -> bool {
    matches!(name, b"license" | b"version" | b"maps" | b"lirc_mode2/maps")
        || [&b"maps/"[..], b"?."].iter().any(|start| name.starts_with(start))
        || name.starts_with(b".") && !name.starts_with(b".text")
}

fn find<E>(len: u64, read: &mut impl FnMut(u64, &mut [u8]) -> Result<bool, E>) -> Result<Parts, Missing<E>> {
    let mut part = |range: &Range<u64>| part(range, len, read)?.ok_or(Missing::Odd);
    let odd = |_| Missing::Odd;
    let start = part(&(0..size_of::<Header>() as u64))?;
    let header = Header::parse(Source::Whole(&start)).map_err(|_| Missing::Odd)?;
    let endian = header.endian().map_err(|_| Missing::Odd)?;
    let stride = size_of::<SectionHeader64<Endianness>>();
    if usize::from(header.e_shentsize.get(endian)) != stride {
        return Err(Missing::Odd);
    }
    let table_at = header.e_shoff.get(endian);
    let table_len = u64::from(header.e_shnum.get(endian)) * stride as u64;
    let table_range = table_at..table_at.checked_add(table_len).ok_or(Missing::Odd)?;
    let table = part(&table_range)?;
    let sections: &[SectionHeader64<Endianness>] = slice_from_all_bytes(&table).map_err(odd)?;
    let range = |section: &SectionHeader64<Endianness>| {
        let (offset, size) = (section.sh_offset(endian), section.sh_size(endian));
        offset.checked_add(size).map(|end| offset..end).ok_or(Missing::Odd)
    };
    let names_at = range(sections.get(usize::from(header.e_shstrndx.get(endian))).ok_or(Missing::Odd)?)?;
    let names = part(&names_at)?;
    let names = StringTable::new(Source::Whole(&names), 0, names.len() as u64);
    let name = |section: &SectionHeader64<Endianness>| section.name(endian, names).map_err(|_| Missing::Odd);
    let mut wanted = vec![0..start.len() as u64, table_range, names_at];
    let (mut btf, mut ext) = (None, None);
    for section in sections {
        let name_of = name(section)?;
        for (name, found) in [(BTF, &mut btf), (BTF_EXT, &mut ext)] {
            if name_of != name {
                continue;
            }
            // Which of several is read is not for here to say.
            if section.sh_type(endian) != SHT_PROGBITS || found.is_some() {
                return Err(Missing::Odd);
            }
            *found = Some(range(section)?).filter(|range| range.end <= len);
            if found.is_none() {
                return Err(Missing::Odd);
            }
        }
        let is_wanted = match section.sh_type(endian) {
            SHT_NOBITS => false,
            SHT_PROGBITS if section.sh_flags(endian) & u64::from(SHF_EXECINSTR) != 0 => {
                if means_more(name_of) || range(section)?.end > len && section.sh_size(endian) != 0 {
                    return Err(Missing::Odd);
                }
                false
            }
            SHT_PROGBITS => Keep::LoadableInParts.bytes(name_of),
            SHT_REL => match sections.get(section.sh_info(endian) as usize) {
                Some(target) => Keep::LoadableInParts.relocations(name(target)?),
                None => false,
            },
            _ => true,
        };
        // The names of symbols are read whatever else the section with them is.
        let symbol_names = match section.sh_type(endian) {
            SHT_SYMTAB => sections.get(section.sh_link(endian) as usize),
            _ => None,
        };
        for wants in is_wanted.then_some(section).into_iter().chain(symbol_names) {
            if wants.sh_type(endian) != SHT_NOBITS && wants.sh_size(endian) != 0 {
                wanted.push(range(wants)?);
            }
        }
    }
    wanted.sort_by_key(|range| range.start);
    wanted.dedup_by(|next, before| {
        let is_near = next.start <= before.end.saturating_add(NEAR);
        if is_near {
            before.end = before.end.max(next.end);
        }
        is_near
    });
    let parts = wanted.into_iter().map(|range| Ok((range.start, part(&range)?)));
    let parts = parts.collect::<Result<Vec<_>, Missing<E>>>()?;
    Ok(Parts { len, parts, btf: btf.map(|range| part(&range)).transpose()?, ext })
}

#[cfg(test)]
mod tests {
    use crate::{ElfError, ObjectSpec};
    use std::convert::Infallible;

    /// Reads from a slice, and counts the bytes.
    fn read(name: &str, file: &[u8], count: &mut usize) -> Option<Result<ObjectSpec, ElfError>> {
        let read = |at: u64, into: &mut [u8]| -> Result<bool, Infallible> {
            *count += into.len();
            let from = usize::try_from(at).ok().and_then(|at| file.get(at..)?.get(..into.len()));
            if let Some(from) = from {
                into.copy_from_slice(from);
            }
            Ok(from.is_some())
        };
        let Ok(parts) = ObjectSpec::read(name, file.len() as u64, read);
        parts
    }

    fn objects() -> impl Iterator<Item = (String, Vec<u8>)> {
        let folders = ["lab/vectors/code", "lab/vectors/maps", "lab/vectors/btf", "examples/xdp-firewall"];
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let entries = folders.into_iter().flat_map(move |folder| {
            std::fs::read_dir(format!("{root}/{folder}")).unwrap().map(|entry| entry.unwrap().path())
        });
        let objects = entries.filter(|path| path.extension().is_some_and(|ext| ext == "o"));
        objects.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
    }

    #[test]
    fn parts_come_to_the_same_as_the_whole() {
        let (mut found, mut count, mut all) = (0, 0, 0);
        for (name, file) in objects() {
            let parts =
                read(&name, &file, &mut count).unwrap_or_else(|| panic!("{name} cannot be taken apart"));
            let whole = ObjectSpec::parse(&name, &file);
            assert_eq!(format!("{parts:?}"), format!("{whole:?}"));
            let btf = |spec: &ObjectSpec| spec.btf.as_ref().map(|btf| btf.bytes().to_vec());
            assert_eq!(parts.as_ref().ok().map(btf), whole.as_ref().ok().map(btf), "{name}");
            (found, all) = (found + 1, all + file.len());
        }
        assert!(found > 20, "only {found} objects");
        assert!(count < all * 4 / 5, "{count} bytes read of {all}");
    }

    #[test]
    fn files_that_are_cut_off_or_changed_are_read_alike_or_not_at_all() {
        let (name, file) = objects().find(|(name, _)| name.ends_with("xdp_firewall.bpf.o")).unwrap();
        let compare = |file: &[u8]| {
            let mut count = 0;
            let parts = read(&name, file, &mut count);
            assert!(count <= 3 * file.len() + 256, "{count} bytes read of {}", file.len());
            let Some(parts) = parts else { return false };
            let whole = ObjectSpec::parse(&name, file);
            assert_eq!(format!("{parts:?}"), format!("{whole:?}"));
            true
        };
        for len in (0..file.len()).step_by(499) {
            assert!(!compare(&file[..len]), "the table of sections is the last");
        }
        let mut taken = 0;
        // Names in every section, be it one that is not read.
        let field = |at: usize, len: usize| {
            file[at..at + len].iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte))
        };
        let (table, count) = (field(40, 8), field(60, 2));
        let symbols = (0..count).map(|index| table + index * 64).find(|at| field(at + 4, 4) == 2).unwrap();
        for (index, at) in (0..count).flat_map(|index| [(index, symbols + 40), (index, 62)]) {
            let mut changed = file.clone();
            changed[at] = index as u8;
            compare(&changed);
        }
        // The header, and of the headers of sections every field.
        for at in (0..64).chain((file.len() - 31 * 64..file.len()).step_by(11)) {
            let mut changed = file.clone();
            changed[at] ^= 0x91;
            taken += usize::from(compare(&changed));
        }
        assert!(taken > 50, "only {taken} could be taken apart");
    }
}
