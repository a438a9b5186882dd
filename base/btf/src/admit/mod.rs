//! Whether a kernel takes this BTF from a program: the rules of Linux 6.18 for `BPF_BTF_LOAD`, stricter than parsing.
//!
//! Rules and their order are those of kernel/bpf/btf.c: header and sections (`btf_parse_hdr`, `btf_check_sec_info`,
//! `btf_parse_str_sec`), then each record by itself (`btf_check_all_metas`), then types as wholes
//! (`btf_check_all_types`), then type tags (`btf_check_type_tags`). So the same input gives the same errno.

mod member;
mod names;
mod record;
mod whole;

use core::fmt;

use crate::btf::{Btf, TypeId};
use crate::error::{Error, Place, Problem, Section};
use crate::header;

/// `BTF_MAX_SIZE`, kernel/bpf/btf.c: 16 MiB.
const MAX_SIZE: usize = 16 << 20;
/// `BTF_MAX_NAME_OFFSET`, include/uapi/linux/btf.h.
const MAX_NAME: usize = 0x00ff_ffff;

/// Numbers of Linux's errors.
mod errno {
    pub(super) const E2BIG: u16 = 7;
    pub(super) const ENOMEM: u16 = 12;
    pub(super) const EEXIST: u16 = 17;
    pub(super) const EINVAL: u16 = 22;
    pub(super) const ELOOP: u16 = 40;
    /// A number that only the kernel uses, and that BTF lets out.
    pub(super) const ENOTSUPP: u16 = 524;
}

/// Says why a kernel would refuse BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// Where the reason lies.
    pub place: Place,
    /// What is wrong.
    pub reason: Reason,
}

/// What a kernel dislikes about BTF that parses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// It is longer than 16 MiB.
    TooBig,
    /// Header fields are set that came after Linux 6.18.
    LongHeader,
    /// There are bytes between or after the sections, or the strings do not come last.
    Gap,
    /// There are no types.
    NoTypes,
    /// The info word has bits without a meaning.
    Info(u32),
    /// A name is missing, or there where none may be, or not an identifier.
    Name,
    /// A reference is to `void` or out of range where it may not be.
    Reference(TypeId),
    /// A field that has no meaning for this kind is not zero.
    NotZero(u32),
    /// The size is none that the kind can have.
    Size(u32),
    /// The bits of an integer do not fit its size.
    IntBits(u8),
    /// An integer has more than one encoding.
    IntEncoding(u8),
    /// The type of an array's index is no regular integer.
    ArrayIndex,
    /// The type of an array's elements has no size, or is no regular integer, or makes it too large.
    ArrayElement,
    /// A member lies before the one before it, or outside its struct.
    MemberPlace(u32),
    /// A member's type has no size, or cannot be a bitfield.
    MemberType(u32),
    /// A variable of a section overlaps another, or lies outside.
    VarPlace(u32),
    /// Something in a section is no variable, or smaller than its type.
    VarType(u32),
    /// The linkage is none that a program's BTF may have.
    Linkage(u32),
    /// A parameter has no size or a bad name.
    Param(u32),
    /// What a function returns has no size.
    Return,
    /// What is referred to cannot be referred to so.
    Target,
    /// A tag is on a member or parameter that does not exist.
    Component(u32),
    /// A type contains itself, or is reached by two ways at once.
    Loop,
    /// Types nest deeper than 32.
    TooDeep,
    /// A type tag stands behind another modifier.
    TagOrder,
    /// More than 32 modifiers follow each other.
    LongChain,
    /// Memory for the check could not be had.
    NoMemory,
}

impl Refusal {
    /// Linux's number for it.
    pub fn errno(&self) -> u16 {
        match self.reason {
            Reason::TooBig | Reason::LongHeader | Reason::TooDeep => errno::E2BIG,
            Reason::Loop => errno::EEXIST,
            Reason::LongChain => errno::ELOOP,
            Reason::IntEncoding(_) => errno::ENOTSUPP,
            Reason::NoMemory => errno::ENOMEM,
            _ => errno::EINVAL,
        }
    }
}

impl Error {
    /// Linux's number for what `BPF_BTF_LOAD` says to input that does not parse.
    pub fn errno(&self) -> u16 {
        match self.problem {
            Problem::Version(_) | Problem::Flags(_) => errno::ENOTSUPP,
            Problem::ExtraHeader(_) => errno::E2BIG,
            // The layout section is younger than Linux 6.18.
            _ if self.place.section == Section::Header && self.place.offset as usize >= header::SIZE => {
                errno::E2BIG
            }
            Problem::NoMemory => errno::ENOMEM,
            _ => errno::EINVAL,
        }
    }
}

impl Btf<'_> {
    /// Whether Linux 6.18 takes it through `BPF_BTF_LOAD`, on a machine of its byte order.
    ///
    /// # Errors
    ///
    /// What Linux refuses, with [`Refusal::errno`] as it says it.
    pub fn admit(&self) -> Result<(), Refusal> {
        self.admit_sections()?;
        for ty in self.own_types() {
            record::check(ty)?;
        }
        whole::check(self)
    }

    fn admit_sections(&self) -> Result<(), Refusal> {
        let at = |offset, reason| Refusal {
            place: Error::at(Section::Header, offset, Problem::Overlap).place,
            reason,
        };
        let (data, header) = (self.bytes(), self.header());
        if data.len() > MAX_SIZE {
            return Err(at(0, Reason::TooBig));
        }
        if data.get(header::SIZE..header.len).unwrap_or(&[]).iter().any(|&byte| byte != 0) {
            return Err(at(header::SIZE, Reason::LongHeader));
        }
        let (types, strings) = (&header.types, &header.strings);
        if types.start != header.len || strings.start != types.end || strings.end != data.len() {
            return Err(at(8, Reason::Gap));
        }
        if strings.len() > MAX_NAME + 1 {
            return Err(at(20, Reason::Name));
        }
        if types.is_empty() && self.base().is_none() {
            return Err(at(12, Reason::NoTypes));
        }
        Ok(())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Reason::TooBig => f.write_str("wanted at most 16 MiB, found more"),
            Reason::LongHeader => f.write_str("wanted the header of Linux 6.18, found fields behind it"),
            Reason::Gap => f.write_str("wanted the types, then the strings, then nothing, found other bytes"),
            Reason::NoTypes => f.write_str("wanted at least one type, found none"),
            Reason::Info(found) => write!(f, "wanted an info word without unknown bits, found {found:#x}"),
            Reason::Name => f.write_str("wanted an identifier where this kind has a name and else none"),
            Reason::Reference(found) => write!(f, "wanted a type, found {found}"),
            Reason::NotZero(found) => write!(f, "wanted 0 in a field without a meaning, found {found}"),
            Reason::Size(found) => write!(f, "wanted a size that this kind can have, found {found}"),
            Reason::IntBits(found) => write!(f, "wanted bits that fit the size, found {found}"),
            Reason::IntEncoding(found) => write!(f, "wanted one encoding, found {found:#x}"),
            Reason::ArrayIndex => f.write_str("wanted a regular integer as index, found another type"),
            Reason::ArrayElement => f.write_str("wanted elements with a size that fit 4 GiB, found others"),
            Reason::MemberPlace(index) => {
                write!(f, "wanted member {index} within its struct, in order, found it elsewhere")
            }
            Reason::MemberType(index) => {
                write!(f, "wanted a type with a size for member {index}, found another")
            }
            Reason::VarPlace(index) => {
                write!(f, "wanted variable {index} within its section, in order, found it elsewhere")
            }
            Reason::VarType(index) => {
                write!(f, "wanted a variable that fits its place at {index}, found another type")
            }
            Reason::Linkage(found) => write!(f, "wanted a static or global linkage, found {found}"),
            Reason::Param(index) => {
                write!(f, "wanted a name and a type with a size for parameter {index}, found otherwise")
            }
            Reason::Return => f.write_str("wanted void or a type with a size as return type, found another"),
            Reason::Target => f.write_str("wanted a type that this kind can refer to, found another"),
            Reason::Component(found) => write!(f, "wanted a member or parameter that exists, found {found}"),
            Reason::Loop => f.write_str("wanted a finite type, found one that contains itself"),
            Reason::TooDeep => f.write_str("wanted at most 32 nested types, found more"),
            Reason::TagOrder => f.write_str("wanted type tags before other modifiers, found one behind"),
            Reason::LongChain => f.write_str("wanted at most 32 modifiers in a row, found more"),
            Reason::NoMemory => f.write_str("wanted memory for the check, found none"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}

impl core::error::Error for Refusal {}
