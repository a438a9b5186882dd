//! What is wrong with an object, and where.

use skep_isa::InsnIdx;
use std::fmt;

/// An object could not be read.
#[derive(Debug)]
pub struct ElfError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    place: Place,
    problem: Problem,
}

/// Where in an object something is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file, as the caller named it.
    pub file: String,
    /// The section.
    pub section: Option<String>,
    /// The symbol: a program, a map, a variable.
    pub symbol: Option<String>,
    /// The instruction slot in its section.
    pub insn: Option<InsnIdx>,
    /// The byte in the section, where it is no instruction.
    pub offset: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(section) = &self.section {
            write!(f, ": section {section}")?;
        }
        if let Some(symbol) = &self.symbol {
            write!(f, ": {symbol}")?;
        }
        if let Some(insn) = self.insn {
            write!(f, ": instruction {}", insn.0)?;
        }
        if let Some(offset) = self.offset {
            write!(f, ": byte {offset:#x}")?;
        }
        Ok(())
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The ELF structure itself; the text is the ELF reader's.
    Elf(String),
    /// It is an ELF file for another machine.
    WrongMachine(u16),
    /// It is no relocatable file.
    WrongType(u16),
    /// A name is not UTF-8 or holds a control character.
    BadName,
    /// BTF or `.BTF.ext` is malformed.
    Btf(skep_btf::Error),
    /// A map, or something about one, needs BTF, and there is none.
    NoBtf,
    /// A section's size is not a multiple of what it holds.
    OddSize {
        /// The unit in bytes.
        unit: u64,
        /// The size found.
        found: u64,
    },
    /// A symbol lies outside its section.
    OutsideSection {
        /// Where it starts.
        start: u64,
        /// Its size.
        size: u64,
        /// The section's size.
        section: u64,
    },
    /// Two functions overlap.
    Overlap(String),
    /// Two maps or two programs have the same name.
    Twice(String),
    /// A relocation is of a kind that no BPF compiler emits.
    UnknownRelocation(u32),
    /// A relocation is at a place where none can be.
    MisplacedRelocation(&'static str),
    /// A relocation refers to something that is not there or cannot be referred to so.
    BadTarget {
        /// What was referred to.
        target: String,
        /// What was wanted.
        wanted: &'static str,
    },
    /// An undefined symbol that BTF does not describe as `.ksyms` or `.kconfig`.
    Undefined(String),
    /// A map's definition has a member that this build does not know.
    UnknownMember(String),
    /// A map's definition has a member of the wrong form.
    BadMember {
        /// The member.
        member: String,
        /// What was wanted.
        wanted: &'static str,
    },
    /// A map's definition lacks something.
    Missing(&'static str),
    /// A definition in `maps` has more than zeroes behind the seven words that aya and iproute2 agree on.
    LegacyTooLong {
        /// Bytes found for one definition.
        found: u64,
    },
    /// A definition in `maps` has fewer than five words.
    LegacyTooShort {
        /// Bytes found for one definition.
        found: u64,
    },
    /// `pinning` is neither 0 nor 1.
    BadPinning(u32),
    /// A feature that is known and not supported.
    Unsupported(&'static str),
    /// The licence is no text that ends with a NUL.
    BadLicense,
    /// A program is larger than can be loaded, or something than can be linked.
    TooLarge,
    /// Alignments ask for more bytes between linked sections than anybody has.
    TooMuchPadding,
    /// There is no object to be linked.
    NothingToLink,
    /// Objects to be linked differ in their byte orders.
    ByteOrders {
        /// The object before.
        other: String,
    },
    /// A section has a type that a linker does not know.
    UnknownSection(u32),
    /// Sections of one name cannot become one.
    SectionsDiffer {
        /// The object that has the other.
        other: String,
        /// What differs.
        what: &'static str,
    },
    /// Two objects define a symbol, and neither weakly.
    DefinedTwice {
        /// The object that has the other definition.
        other: String,
    },
    /// Two objects mean different things by one name.
    TypesDiffer {
        /// The object that has the other.
        other: String,
        /// The first difference.
        what: String,
    },
    /// BTF does not describe a symbol that objects share.
    NotDescribed(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Elf(text) => write!(f, "malformed ELF: {text}"),
            Problem::WrongMachine(found) => {
                write!(f, "wanted an object for eBPF (machine 247), found machine {found}")
            }
            Problem::WrongType(found) => {
                write!(f, "wanted a relocatable object (ELF type 1), found type {found}")
            }
            Problem::BadName => f.write_str("name is not printable UTF-8"),
            Problem::Btf(error) => error.fmt(f),
            Problem::NoBtf => f.write_str("needs BTF, which the object does not have; compile with -g"),
            Problem::OddSize { unit, found } => write!(f, "wanted a multiple of {unit} bytes, found {found}"),
            Problem::OutsideSection { start, size, section } => {
                write!(f, "{size} bytes at {start:#x} do not lie in the section's {section}")
            }
            Problem::Overlap(other) => write!(f, "overlaps with {other}"),
            Problem::Twice(name) => write!(f, "{name} is defined twice"),
            Problem::UnknownRelocation(found) => write!(f, "relocation of unknown type {found}"),
            Problem::MisplacedRelocation(wanted) => write!(f, "relocation where there is no {wanted}"),
            Problem::BadTarget { target, wanted } => write!(f, "refers to {target}, wanted {wanted}"),
            Problem::Undefined(name) => {
                write!(f, "{name} is not defined, and BTF does not describe it as a kernel symbol")
            }
            Problem::UnknownMember(name) => write!(f, "map definition has unknown member {name}"),
            Problem::BadMember { member, wanted } => write!(f, "member {member} must be {wanted}"),
            Problem::Missing(what) => write!(f, "map definition lacks {what}"),
            Problem::LegacyTooLong { found } => write!(
                f,
                "legacy map definition of {found} bytes has fields beyond type, key_size, value_size, max_entries, \
                 map_flags, id and pinning; move it to .maps"
            ),
            Problem::LegacyTooShort { found } => {
                write!(f, "legacy map definition wants at least 20 bytes, found {found}")
            }
            Problem::BadPinning(found) => write!(f, "pinning must be 0 or 1, found {found}"),
            Problem::Unsupported(what) => write!(f, "{what} are not supported yet"),
            Problem::BadLicense => f.write_str("licence must be text that ends with a NUL"),
            Problem::TooLarge => {
                f.write_str("more than 16 million instructions with the functions it calls, or 4 GiB")
            }
            Problem::TooMuchPadding => {
                f.write_str("wanted alignments that leave at most 16 MiB between sections, found larger ones")
            }
            Problem::NothingToLink => f.write_str("wanted at least one object to link, found none"),
            Problem::ByteOrders { other } => write!(f, "wanted the byte order of {other}, found the other"),
            Problem::UnknownSection(found) => write!(f, "section of type {found:#x} cannot be linked"),
            Problem::SectionsDiffer { other, what } => write!(f, "differs from {other} in its {what}"),
            Problem::DefinedTwice { other } => {
                write!(f, "{other} defines it too; at least one definition has to be weak")
            }
            Problem::TypesDiffer { other, what } => write!(f, "differs from {other}: {what}"),
            Problem::NotDescribed(name) => {
                write!(f, "{name} is in several objects, but BTF does not describe it in each")
            }
        }
    }
}

impl ElfError {
    pub(crate) fn new(place: Place, problem: Problem) -> ElfError {
        ElfError(Box::new(Inner { place, problem }))
    }

    /// Gives the place.
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// Gives what is wrong there.
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    pub(crate) fn in_file(mut self, file: &str) -> ElfError {
        self.0.place.file = file.to_owned();
        self
    }

    pub(crate) fn in_section(mut self, section: &str) -> ElfError {
        self.0.place.section.get_or_insert_with(|| section.to_owned());
        self
    }

    pub(crate) fn in_symbol(mut self, symbol: &str) -> ElfError {
        self.0.place.symbol.get_or_insert_with(|| symbol.to_owned());
        self
    }

    pub(crate) fn at_insn(mut self, insn: usize) -> ElfError {
        self.0.place.insn.get_or_insert(InsnIdx(insn as u32));
        self
    }

    pub(crate) fn at_byte(mut self, offset: u64) -> ElfError {
        self.0.place.offset.get_or_insert(offset);
        self
    }
}

impl From<Problem> for ElfError {
    fn from(problem: Problem) -> ElfError {
        ElfError::new(Place::default(), problem)
    }
}

impl From<object::read::Error> for ElfError {
    fn from(error: object::read::Error) -> ElfError {
        Problem::Elf(error.to_string()).into()
    }
}

impl From<skep_btf::Error> for ElfError {
    fn from(error: skep_btf::Error) -> ElfError {
        Problem::Btf(error).into()
    }
}

impl fmt::Display for ElfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.place, self.0.problem)
    }
}

impl std::error::Error for ElfError {}
