//! One section of an ELF file that is too large to be read whole, such as a kernel with its debug information.

use skep_isa::ByteOrder;
use std::ops::Range;

/// The most section headers that are looked at; a kernel has about a hundred.
const MOST_SECTIONS: u64 = 1 << 16;
/// The longest table of section names that is read.
const MOST_NAMES: u64 = 1 << 20;
/// `SHN_XINDEX`: the number of the section of names stands elsewhere. No file with so many sections is a kernel.
const XINDEX: u16 = 0xffff;

/// Where the fields of headers are in one class of ELF (System V ABI, chapter 4).
struct Class {
    /// Bytes of an offset or size.
    word: usize,
    shoff: usize,
    shentsize: usize,
    /// `sh_offset` and `sh_size` in a section header.
    offset: usize,
    size: usize,
    /// Bytes of a section header.
    header: u64,
}

const CLASS_32: Class = Class { word: 4, shoff: 0x20, shentsize: 0x2e, offset: 16, size: 20, header: 40 };
const CLASS_64: Class = Class { word: 8, shoff: 0x28, shentsize: 0x3a, offset: 24, size: 32, header: 64 };

/// Finds where a section is in an ELF file of any class and byte order, by reading a few places of it.
///
/// `read` fills a buffer from an offset, and tells whether there was that much. `None` is for what is no ELF file, is
/// malformed, or has no such section with contents.
///
/// # Errors
/// Those of `read`.
pub fn find_section<E>(
    name: &str,
    mut read: impl FnMut(u64, &mut [u8]) -> Result<bool, E>,
) -> Result<Option<Range<u64>>, E> {
    let mut start = [0; 64];
    // The header of 32-bit files has 52 bytes, and no file with sections is shorter than 64.
    if !read(0, &mut start)? || start[..4] != *b"\x7fELF" {
        return Ok(None);
    }
    let class = match start[4] {
        1 => CLASS_32,
        2 => CLASS_64,
        _ => return Ok(None),
    };
    let order = match start[5] {
        1 => ByteOrder::Little,
        2 => ByteOrder::Big,
        _ => return Ok(None),
    };
    let half = |bytes: &[u8], at: usize| number(bytes, at, 2, order) as u16;
    let stride = u64::from(half(&start, class.shentsize));
    let count = u64::from(half(&start, class.shentsize + 2));
    let names_index = half(&start, class.shentsize + 4);
    let table = number(&start, class.shoff, class.word, order);
    if stride < class.header || count > MOST_SECTIONS || names_index == XINDEX {
        return Ok(None);
    }
    let mut header = |index: u64| -> Result<Option<(u32, Range<u64>)>, E> {
        let mut bytes = [0; 64];
        let bytes = &mut bytes[..class.header as usize];
        let Some(at) = table.checked_add(index * stride) else { return Ok(None) };
        if !read(at, bytes)? {
            return Ok(None);
        }
        let offset = number(bytes, class.offset, class.word, order);
        let end = offset.checked_add(number(bytes, class.size, class.word, order));
        Ok(end.map(|end| (number(bytes, 0, 4, order) as u32, offset..end)))
    };
    let mut sections = Vec::new();
    for index in 0..count {
        let Some(section) = header(index)? else { return Ok(None) };
        sections.push(section);
    }
    let Some((_, names)) = sections.get(usize::from(names_index)) else { return Ok(None) };
    if names.end - names.start > MOST_NAMES {
        return Ok(None);
    }
    let mut text = vec![0; (names.end - names.start) as usize];
    if !read(names.start, &mut text)? {
        return Ok(None);
    }
    let is_wanted = |at: u32| {
        let rest = text.get(at as usize..).unwrap_or_default();
        rest.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
    };
    Ok(sections.into_iter().find(|(at, range)| is_wanted(*at) && !range.is_empty()).map(|(_, range)| range))
}

fn number(bytes: &[u8], at: usize, size: usize, order: ByteOrder) -> u64 {
    let bytes = bytes.get(at..at + size).unwrap_or_default();
    let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    match order {
        ByteOrder::Little => bytes.iter().rev().fold(0, add),
        ByteOrder::Big => bytes.iter().fold(0, add),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn find(file: &[u8], name: &str) -> Option<Range<u64>> {
        let read = |at: u64, into: &mut [u8]| -> Result<bool, Infallible> {
            let from = usize::try_from(at).ok().and_then(|at| file.get(at..)?.get(..into.len()));
            if let Some(from) = from {
                into.copy_from_slice(from);
            }
            Ok(from.is_some())
        };
        find_section(name, read).unwrap_or_default()
    }

    #[test]
    fn a_section_is_found_where_the_whole_reader_finds_it() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../lab/vectors/maps");
        let file = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let file = file.filter(|path| path.extension().is_some_and(|ext| ext == "o")).min().unwrap();
        let file = std::fs::read(file).unwrap();
        let range = find(&file, ".BTF").unwrap();
        let section = &file[range.start as usize..range.end as usize];
        assert!(skep_btf::Btf::parse(section).is_ok());
        assert_eq!(find(&file, ".no_such_section"), None);
        assert_eq!(find(&file, ""), None);
        // Cut off anywhere it is found whole, or not at all.
        for len in 0..file.len().min(4096) {
            assert!(find(&file[..len], ".BTF").is_none_or(|found| found == range));
        }
    }

    #[test]
    fn other_files_have_none() {
        for file in [&b""[..], b"\x7fELF", &[0; 64], &[0xff; 64]] {
            assert_eq!(find(file, ".BTF"), None);
        }
    }
}
