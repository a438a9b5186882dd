//! The header of `.BTF`: bytes to section ranges.

use core::ops::Range;

use crate::endian::Endian;
use crate::error::{Error, Problem, Section};

/// `BTF_MAGIC`, include/uapi/linux/btf.h.
pub(crate) const MAGIC: u16 = 0xeb9f;
/// The header up to and including `str_len`: what every kernel since 4.18 reads.
pub(crate) const SIZE: usize = 24;
/// The header with `layout_off` and `layout_len`, which later kernels and libbpf 1.8 write.
const SIZE_WITH_LAYOUT: usize = 32;

/// The header of `.BTF.ext` with `core_relo_off` and `core_relo_len`.
pub(crate) const EXT_SIZE: usize = 32;

/// The sections that a header describes, as ranges of the whole input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) endian: Endian,
    pub(crate) len: usize,
    pub(crate) types: Range<usize>,
    pub(crate) strings: Range<usize>,
    pub(crate) layout: Range<usize>,
}

impl Header {
    /// Whether it describes types and strings, one behind the other, and nothing else of so many bytes.
    pub(crate) fn is_plain(&self, len: usize) -> bool {
        (self.len, self.types.start) == (SIZE, SIZE)
            && (self.types.end, self.strings.end) == (self.strings.start, len)
    }
}

/// Reads the fields that `.BTF` and `.BTF.ext` share: magic, version, flags, header length.
pub(crate) fn preamble(bytes: &[u8], section: Section, least: usize) -> Result<(Endian, usize), Error> {
    let at = |offset, problem| Error::at(section, offset, problem);
    if u32::try_from(bytes.len()).is_err() {
        return Err(at(0, Problem::TooLong));
    }
    let Some(&[m0, m1, version, flags, l0, l1, l2, l3]) = bytes.first_chunk::<8>() else {
        return Err(at(0, Problem::Short { wanted: least as u64, found: bytes.len() as u64 }));
    };
    let endian = match (Endian::Little.u16([m0, m1]), Endian::Big.u16([m0, m1])) {
        (MAGIC, _) => Endian::Little,
        (_, MAGIC) => Endian::Big,
        (found, _) => return Err(at(0, Problem::Magic(found))),
    };
    let len = endian.u32([l0, l1, l2, l3]) as usize;
    if len < least {
        return Err(at(4, Problem::Short { wanted: least as u64, found: len as u64 }));
    }
    if len > bytes.len() {
        return Err(at(4, Problem::Short { wanted: len as u64, found: bytes.len() as u64 }));
    }
    if version != 1 {
        return Err(at(2, Problem::Version(version)));
    }
    if flags != 0 {
        return Err(at(3, Problem::Flags(flags)));
    }
    Ok((endian, len))
}

/// Refuses header fields past the known ones that are not zero, as the kernel does (`bpf_check_uarg_tail_zero`
/// in `btf_parse_hdr`): they would say something that is not understood.
pub(crate) fn extra_is_zero(bytes: &[u8], known: usize, len: usize, section: Section) -> Result<(), Error> {
    let extra = bytes.get(known..len).unwrap_or(&[]);
    match extra.iter().position(|&byte| byte != 0) {
        Some(index) => Err(Error::at(section, known + index, Problem::ExtraHeader(extra[index]))),
        None => Ok(()),
    }
}

/// Turns the offset and length at byte `field` of a header into a range of the whole input.
pub(crate) fn range(
    bytes: &[u8],
    endian: Endian,
    header_len: usize,
    field: usize,
    section: Section,
) -> Result<Range<usize>, Error> {
    let start = header_len as u64 + u64::from(endian.word(bytes, field));
    let end = start + u64::from(endian.word(bytes, field + 4));
    if end > bytes.len() as u64 {
        let problem = Problem::Short { wanted: end, found: bytes.len() as u64 };
        return Err(Error::at(section, field, problem));
    }
    Ok(start as usize..end as usize)
}

pub(crate) fn parse(bytes: &[u8]) -> Result<Header, Error> {
    let (endian, len) = preamble(bytes, Section::Header, SIZE)?;
    // Later fields first, as the kernel has it: what is not known may change the meaning of the rest.
    extra_is_zero(bytes, if len < SIZE_WITH_LAYOUT { SIZE } else { SIZE_WITH_LAYOUT }, len, Section::Header)?;
    let layout = match len {
        SIZE_WITH_LAYOUT.. => range(bytes, endian, len, 24, Section::Header)?,
        _ => 0..0,
    };
    let types = range(bytes, endian, len, 8, Section::Header)?;
    let strings = range(bytes, endian, len, 16, Section::Header)?;
    for (field, range) in [(8, &types), (24, &layout)] {
        let offset = range.start.saturating_sub(len);
        if offset % 4 != 0 {
            return Err(Error::at(Section::Header, field, Problem::Misaligned(offset as u32)));
        }
    }
    let sections = [(8, &types), (16, &strings), (24, &layout)];
    for (index, (_, a)) in sections.iter().enumerate() {
        for (field, b) in &sections[index + 1..] {
            if a.start < b.end && b.start < a.end {
                return Err(Error::at(Section::Header, *field, Problem::Overlap));
            }
        }
    }
    Ok(Header { endian, len, types, strings, layout })
}
