//! Errors as data: what was wanted, what was found, and where.

use core::fmt;

use crate::btf::TypeId;
use crate::kind::Kind;

/// Names the part of the input in which an error lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Section {
    /// The header of `.BTF`.
    Header,
    /// The type section; offsets count from its first byte.
    Types,
    /// The string section; offsets count from its first byte.
    Strings,
    /// The layout section, which describes kinds that the reader may not know.
    Layout,
    /// `.BTF.ext`; offsets count from its first byte.
    Ext,
}

/// Says where an error lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The part of the input.
    pub section: Section,
    /// The byte offset within that part.
    pub offset: u32,
    /// The type whose record it is, where there is one.
    pub type_id: Option<TypeId>,
}

/// Says what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Problem {
    /// More bytes were wanted than there are.
    Short {
        /// Bytes wanted.
        wanted: u64,
        /// Bytes found.
        found: u64,
    },
    /// The input is longer than an offset of 32 bits can say.
    TooLong,
    /// The first two bytes are not 0xeb9f in either byte order.
    Magic(u16),
    /// The version is not 1.
    Version(u8),
    /// Header flags are set that have no meaning yet.
    Flags(u8),
    /// The byte order differs from that of the BTF it belongs to.
    MixedEndian,
    /// A header field that this reader does not know is not zero.
    ExtraHeader(u8),
    /// An offset or length is not a multiple of four.
    Misaligned(u32),
    /// Two sections of the input overlap.
    Overlap,
    /// The string section does not begin or end with a NUL.
    Unterminated,
    /// A name lies outside the string section.
    NameOutside(u32),
    /// A name is not UTF-8.
    NameNotUtf8(u32),
    /// A name is longer than [`MAX_NAME_LEN`](crate::MAX_NAME_LEN).
    NameTooLong(u32),
    /// The kind is not known, and no layout section describes it.
    UnknownKind(u8),
    /// A type that does not exist is referred to.
    UnknownType(TypeId),
    /// There are more types than an identifier can count.
    TooManyTypes,
    /// A type of one kind was wanted, and one of another found.
    WrongKind {
        /// What was wanted, in words.
        wanted: &'static str,
        /// What was found; `None` is `void`.
        found: Option<Kind>,
    },
    /// The type contains itself by value.
    Loop,
    /// The type nests deeper than [`MAX_DEPTH`](crate::MAX_DEPTH).
    TooDeep,
    /// Answering would take more steps than any real type needs.
    TooComplex,
    /// The size does not fit 32 bits.
    TooLarge,
    /// The type has no size: `void`, a function, or a forward declaration.
    Unsized,
    /// A struct or union has no such member.
    NoMember,
    /// An index lies outside its array.
    NoElement {
        /// The index.
        index: u64,
        /// The number of elements.
        len: u32,
    },
    /// A path to a field does not parse.
    BadPath,
    /// A record of `.BTF.ext` is shorter than its kind requires, or not a multiple of four.
    RecordSize {
        /// The shortest size that is valid.
        wanted: u32,
        /// The size that the section states.
        found: u32,
    },
    /// A section of `.BTF.ext` states that it has no records.
    NoRecords,
    /// A CO-RE relocation has a kind that does not exist.
    UnknownRelocation(u32),
    /// Memory for an index, or for what is written, could not be had.
    NoMemory,
    /// The object has no section of that name, or an empty one.
    NoSection,
    /// The object has no symbol for a variable.
    NoSymbol,
    /// A name to be written has a NUL in it, or the string section is full.
    BadName,
    /// A type to be written has more elements than a record can count.
    TooManyElements(u64),
    /// A bit offset to be written does not fit beside a bitfield's width.
    BadOffset(u32),
    /// An enumerator's value to be written does not fit its width and sign.
    BadValue,
    /// BTF continues another base than what it is to be appended to.
    OtherBase,
    /// The other base has no type of the same name and kind, and the same size where that matters.
    NoMatch,
    /// The other base has several types of the same name, kind and size.
    Ambiguous,
}

/// An error in BTF, or in a question asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Error {
    /// Where it lies.
    pub place: Place,
    /// What is wrong.
    pub problem: Problem,
}

impl Error {
    pub(crate) fn at(section: Section, offset: usize, problem: Problem) -> Error {
        let offset = u32::try_from(offset).unwrap_or(u32::MAX);
        Error { place: Place { section, offset, type_id: None }, problem }
    }

    pub(crate) fn of(type_id: TypeId, offset: usize, problem: Problem) -> Error {
        let mut error = Error::at(Section::Types, offset, problem);
        error.place.type_id = Some(type_id);
        error
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let section = match self.section {
            Section::Header => "BTF header",
            Section::Types => "BTF types",
            Section::Strings => "BTF strings",
            Section::Layout => "BTF layout section",
            Section::Ext => ".BTF.ext",
        };
        write!(f, "{section}, byte {:#x}", self.offset)?;
        match self.type_id {
            Some(id) => write!(f, ", type [{}]", id.0),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Problem::Short { wanted, found } => write!(f, "wanted {wanted} bytes, found {found}"),
            Problem::TooLong => f.write_str("wanted less than 4 GiB, found more"),
            Problem::Magic(found) => write!(f, "wanted the magic 0xeb9f, found {found:#06x}"),
            Problem::Version(found) => write!(f, "wanted version 1, found {found}"),
            Problem::Flags(found) => write!(f, "wanted no header flags, found {found:#x}"),
            Problem::MixedEndian => {
                f.write_str("wanted the byte order of the BTF it belongs to, found the other")
            }
            Problem::ExtraHeader(found) => {
                write!(f, "wanted zeros in header fields past the known ones, found {found:#04x}")
            }
            Problem::Misaligned(found) => write!(f, "wanted a multiple of 4, found {found}"),
            Problem::Overlap => f.write_str("wanted separate sections, found two that overlap"),
            Problem::Unterminated => f.write_str("wanted strings that begin and end with NUL, found others"),
            Problem::NameOutside(found) => {
                write!(f, "wanted a name within the string section, found offset {found:#x}")
            }
            Problem::NameNotUtf8(found) => {
                write!(f, "wanted a name in UTF-8, found other bytes at string {found:#x}")
            }
            Problem::NameTooLong(found) => {
                write!(
                    f,
                    "wanted a name of at most {} bytes, found more at string {found:#x}",
                    crate::MAX_NAME_LEN
                )
            }
            Problem::UnknownKind(found) => write!(f, "wanted a kind from 1 to {}, found {found}", Kind::MAX),
            Problem::UnknownType(found) => write!(f, "wanted an existing type, found [{}]", found.0),
            Problem::TooManyTypes => f.write_str("wanted fewer types, found more than 2^32"),
            Problem::WrongKind { wanted, found } => {
                write!(f, "wanted {wanted}, found {}", found.map_or("void", Kind::name))
            }
            Problem::Loop => f.write_str("wanted a finite type, found one that contains itself"),
            Problem::TooDeep => write!(f, "wanted at most {} nested types, found more", crate::MAX_DEPTH),
            Problem::TooComplex => {
                f.write_str("wanted a type of reasonable size, found one with too many members")
            }
            Problem::TooLarge => f.write_str("wanted a size below 4 GiB, found a larger one"),
            Problem::Unsized => f.write_str("wanted a type with a size, found one without"),
            Problem::NoMember => f.write_str("wanted a member that exists, found no such name"),
            Problem::NoElement { index, len } => {
                write!(f, "wanted an index below {len}, found {index}")
            }
            Problem::BadPath => f.write_str("wanted a path such as a.b[3].c, found something else"),
            Problem::RecordSize { wanted, found } => {
                write!(f, "wanted records of at least {wanted} bytes in multiples of 4, found {found}")
            }
            Problem::NoRecords => f.write_str("wanted at least one record in the section, found none"),
            Problem::UnknownRelocation(found) => {
                write!(f, "wanted a CO-RE relocation kind from 0 to 12, found {found}")
            }
            Problem::NoMemory => f.write_str("wanted memory, found none"),
            Problem::NoSection => {
                f.write_str("wanted a section of that name with a size, found none in the object")
            }
            Problem::NoSymbol => f.write_str("wanted a symbol for the variable, found none in the object"),
            Problem::BadName => f.write_str("wanted a name without NUL and room for it, found otherwise"),
            Problem::TooManyElements(found) => write!(f, "wanted fewer than 2^24 elements, found {found}"),
            Problem::BadOffset(found) => {
                write!(f, "wanted a bit offset below 2^24 beside bitfields, found {found}")
            }
            Problem::BadValue => {
                f.write_str("wanted an enumerator that fits its width and sign, found another")
            }
            Problem::NoMatch => {
                f.write_str("wanted a type of that name, kind and size in the other base, found none")
            }
            Problem::Ambiguous => {
                f.write_str("wanted one type of that name, kind and size in the other base, found several")
            }
            Problem::OtherBase => f.write_str("wanted BTF that continues the same base, found other"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

impl core::error::Error for Error {}
