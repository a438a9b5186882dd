//! `.BTF.ext`: function, line and CO-RE relocation records by section of the object.

use core::fmt;
use core::marker::PhantomData;
use core::ops::Range;

use crate::btf::{Btf, StrOff, TypeId};
use crate::endian::Endian;
use crate::error::{Error, Problem, Section};
use crate::header;

/// The header up to `line_info_len`.
const HEADER: usize = 24;
/// The header with `core_relo_off` and `core_relo_len`.
const HEADER_WITH_CORE: usize = header::EXT_SIZE;

/// A record of `.BTF.ext`. This trait is sealed.
pub trait Record: Copy + fmt::Debug + sealed::Sealed {
    /// The bytes of a record that are known; sections may have longer ones.
    const SIZE: usize;
    #[doc(hidden)]
    fn read(endian: Endian, bytes: &[u8]) -> Result<Self, Problem>;
    #[doc(hidden)]
    fn check(&self, btf: &Btf<'_>) -> Result<(), Problem>;
    /// The offset of its instruction, in bytes from the start of the section.
    fn insn_off(&self) -> u32;
}

mod sealed {
    #[allow(unreachable_pub, reason = "sealed")]
    pub trait Sealed {}
    impl Sealed for super::FuncInfo {}
    impl Sealed for super::LineInfo {}
    impl Sealed for super::CoreRelo {}
}

/// Says which function starts at an instruction (`struct bpf_func_info`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FuncInfo {
    /// The offset: in the object bytes from the start of the section, in the kernel's interface instructions.
    pub insn_off: u32,
    /// The FUNC.
    pub type_id: TypeId,
}

/// Says which line of the source an instruction comes from (`struct bpf_line_info`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineInfo {
    /// The offset: in the object bytes from the start of the section, in the kernel's interface instructions.
    pub insn_off: u32,
    /// The name of the file.
    pub file_name: StrOff,
    /// The text of the line.
    pub line: StrOff,
    /// The number of the line, with the column below it; see [`LineInfo::line_number`].
    pub line_col: u32,
}

/// A CO-RE relocation (`struct bpf_core_relo`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreRelo {
    /// The offset of the instruction in bytes from the start of the section.
    pub insn_off: u32,
    /// The type that the access starts from.
    pub type_id: TypeId,
    /// The access, such as `0:1:3`.
    pub access: StrOff,
    /// What is wanted.
    pub kind: CoreRelocKind,
}

/// What a CO-RE relocation wants to know (`enum bpf_core_relo_kind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum CoreRelocKind {
    /// The offset of a field in bytes.
    FieldByteOffset = 0,
    /// The size of a field in bytes.
    FieldByteSize = 1,
    /// Whether a field exists.
    FieldExists = 2,
    /// Whether a field is signed.
    FieldSigned = 3,
    /// The left shift that brings a bitfield's top bit to bit 63.
    FieldLshiftU64 = 4,
    /// The right shift that then brings its bottom bit to bit 0.
    FieldRshiftU64 = 5,
    /// The type's identifier in the object.
    TypeIdLocal = 6,
    /// The type's identifier in the target.
    TypeIdTarget = 7,
    /// Whether a type exists.
    TypeExists = 8,
    /// The size of a type in bytes.
    TypeSize = 9,
    /// Whether an enumerator exists.
    EnumvalExists = 10,
    /// The value of an enumerator.
    EnumvalValue = 11,
    /// Whether a type exists with the same members.
    TypeMatches = 12,
}

impl CoreRelocKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [CoreRelocKind; 13] = [
        CoreRelocKind::FieldByteOffset,
        CoreRelocKind::FieldByteSize,
        CoreRelocKind::FieldExists,
        CoreRelocKind::FieldSigned,
        CoreRelocKind::FieldLshiftU64,
        CoreRelocKind::FieldRshiftU64,
        CoreRelocKind::TypeIdLocal,
        CoreRelocKind::TypeIdTarget,
        CoreRelocKind::TypeExists,
        CoreRelocKind::TypeSize,
        CoreRelocKind::EnumvalExists,
        CoreRelocKind::EnumvalValue,
        CoreRelocKind::TypeMatches,
    ];

    /// The kind with that number, if there is one.
    pub fn from_number(number: u32) -> Option<CoreRelocKind> {
        CoreRelocKind::ALL.get(number as usize).copied()
    }

    /// The name that libbpf and bpftool print (`core_relo_kind_str`).
    pub const fn name(self) -> &'static str {
        match self {
            CoreRelocKind::FieldByteOffset => "byte_off",
            CoreRelocKind::FieldByteSize => "byte_sz",
            CoreRelocKind::FieldExists => "field_exists",
            CoreRelocKind::FieldSigned => "signed",
            CoreRelocKind::FieldLshiftU64 => "lshift_u64",
            CoreRelocKind::FieldRshiftU64 => "rshift_u64",
            CoreRelocKind::TypeIdLocal => "local_type_id",
            CoreRelocKind::TypeIdTarget => "target_type_id",
            CoreRelocKind::TypeExists => "type_exists",
            CoreRelocKind::TypeSize => "type_size",
            CoreRelocKind::EnumvalExists => "enumval_exists",
            CoreRelocKind::EnumvalValue => "enumval_value",
            CoreRelocKind::TypeMatches => "type_matches",
        }
    }
}

impl LineInfo {
    /// The number of the line, from 1.
    pub const fn line_number(&self) -> u32 {
        self.line_col >> 10
    }

    /// The number of the column, from 1; 0 if it is not known.
    pub const fn column(&self) -> u32 {
        self.line_col & 0x3ff
    }

    /// The record as the kernel reads it.
    pub fn to_bytes(&self, endian: Endian) -> [u8; 16] {
        concat([self.insn_off, self.file_name.0, self.line.0, self.line_col], endian)
    }
}

impl FuncInfo {
    /// The record as the kernel reads it.
    pub fn to_bytes(&self, endian: Endian) -> [u8; 8] {
        concat([self.insn_off, self.type_id.0], endian)
    }
}

impl CoreRelo {
    /// The record as the kernel reads it.
    pub fn to_bytes(&self, endian: Endian) -> [u8; 16] {
        concat([self.insn_off, self.type_id.0, self.access.0, self.kind as u32], endian)
    }
}

fn concat<const WORDS: usize, const BYTES: usize>(words: [u32; WORDS], endian: Endian) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    for (chunk, word) in bytes.chunks_exact_mut(4).zip(words) {
        chunk.copy_from_slice(&endian.bytes32(word));
    }
    bytes
}

impl Record for FuncInfo {
    const SIZE: usize = 8;

    #[inline]
    fn read(endian: Endian, bytes: &[u8]) -> Result<Self, Problem> {
        Ok(FuncInfo { insn_off: endian.word(bytes, 0), type_id: TypeId(endian.word(bytes, 4)) })
    }

    fn check(&self, btf: &Btf<'_>) -> Result<(), Problem> {
        known(btf, self.type_id)
    }

    fn insn_off(&self) -> u32 {
        self.insn_off
    }
}

impl Record for LineInfo {
    const SIZE: usize = 16;

    #[inline]
    fn read(endian: Endian, bytes: &[u8]) -> Result<Self, Problem> {
        Ok(LineInfo {
            insn_off: endian.word(bytes, 0),
            file_name: StrOff(endian.word(bytes, 4)),
            line: StrOff(endian.word(bytes, 8)),
            line_col: endian.word(bytes, 12),
        })
    }

    fn check(&self, btf: &Btf<'_>) -> Result<(), Problem> {
        inside(btf, self.file_name)?;
        inside(btf, self.line)
    }

    fn insn_off(&self) -> u32 {
        self.insn_off
    }
}

impl Record for CoreRelo {
    const SIZE: usize = 16;

    #[inline]
    fn read(endian: Endian, bytes: &[u8]) -> Result<Self, Problem> {
        let number = endian.word(bytes, 12);
        let kind = CoreRelocKind::from_number(number).ok_or(Problem::UnknownRelocation(number))?;
        Ok(CoreRelo {
            insn_off: endian.word(bytes, 0),
            type_id: TypeId(endian.word(bytes, 4)),
            access: StrOff(endian.word(bytes, 8)),
            kind,
        })
    }

    fn check(&self, btf: &Btf<'_>) -> Result<(), Problem> {
        known(btf, self.type_id)?;
        inside(btf, self.access)
    }

    fn insn_off(&self) -> u32 {
        self.insn_off
    }
}

fn known(btf: &Btf<'_>, id: TypeId) -> Result<(), Problem> {
    if id.0 < btf.len() { Ok(()) } else { Err(Problem::UnknownType(id)) }
}

fn inside(btf: &Btf<'_>, off: StrOff) -> Result<(), Problem> {
    if btf.has_string(off) { Ok(()) } else { Err(Problem::NameOutside(off.0)) }
}

/// `.BTF.ext` whose every section, record, name and reference has been checked against its BTF.
#[derive(Clone, Debug)]
pub struct Ext<'a> {
    endian: Endian,
    func: Table<'a>,
    line: Table<'a>,
    core: Table<'a>,
}

/// The sections of one kind of record.
#[derive(Clone, Copy, Debug, Default)]
struct Table<'a> {
    stride: usize,
    bytes: &'a [u8],
}

impl<'a> Ext<'a> {
    /// Reads and checks `.BTF.ext`, which belongs to `btf`.
    ///
    /// # Errors
    ///
    /// Says which record is malformed, and how.
    pub fn parse(bytes: &'a [u8], btf: &Btf<'_>) -> Result<Ext<'a>, Error> {
        let (endian, len) = header::preamble(bytes, Section::Ext, HEADER)?;
        if endian != btf.endian() {
            return Err(Error::at(Section::Ext, 0, Problem::MixedEndian));
        }
        let known = if len < HEADER_WITH_CORE { HEADER } else { HEADER_WITH_CORE };
        header::extra_is_zero(bytes, known, len, Section::Ext)?;
        let range = |field| header::range(bytes, endian, len, field, Section::Ext);
        let core = if len < HEADER_WITH_CORE { 0..0 } else { range(24)? };
        Ok(Ext {
            endian,
            func: table::<FuncInfo>(bytes, range(8)?, endian, btf)?,
            line: table::<LineInfo>(bytes, range(16)?, endian, btf)?,
            core: table::<CoreRelo>(bytes, core, endian, btf)?,
        })
    }

    /// The functions, by section of the object.
    pub fn func_info(&self) -> InfoSections<'a, FuncInfo> {
        self.sections(self.func)
    }

    /// The lines, by section of the object.
    pub fn line_info(&self) -> InfoSections<'a, LineInfo> {
        self.sections(self.line)
    }

    /// The CO-RE relocations, by section of the object.
    pub fn core_relos(&self) -> InfoSections<'a, CoreRelo> {
        self.sections(self.core)
    }

    /// Gives each string that a record or a section refers to.
    pub(crate) fn each_string(&self, mut give: impl FnMut(StrOff)) {
        for section in self.func_info() {
            give(section.name);
        }
        for section in self.line_info() {
            give(section.name);
            section
                .records
                .for_each(|record| [record.file_name, record.line].into_iter().for_each(&mut give));
        }
        for section in self.core_relos() {
            give(section.name);
            section.records.for_each(|record| give(record.access));
        }
    }

    fn sections<R: Record>(&self, table: Table<'a>) -> InfoSections<'a, R> {
        InfoSections { endian: self.endian, stride: table.stride, rest: table.bytes, record: PhantomData }
    }
}

/// Checks the sections of one kind of record: `rec_size`, then for each section its name, a count, the records
/// (Documentation/bpf/btf.rst, 4.2).
fn table<'a, R: Record>(
    bytes: &'a [u8],
    range: Range<usize>,
    endian: Endian,
    btf: &Btf<'_>,
) -> Result<Table<'a>, Error> {
    if range.is_empty() {
        return Ok(Table::default());
    }
    let at = |offset, problem| Error::at(Section::Ext, offset, problem);
    if range.start % 4 != 0 {
        return Err(at(range.start, Problem::Misaligned(range.start as u32)));
    }
    let all = bytes.get(range.clone()).unwrap_or(&[]);
    let short = |wanted, found: usize| Problem::Short { wanted, found: found as u64 };
    let stride = endian.u32_at(all, 0).ok_or_else(|| at(range.start, short(4, all.len())))?;
    if (stride as usize) < R::SIZE || stride % 4 != 0 {
        let problem = Problem::RecordSize { wanted: R::SIZE as u32, found: stride };
        return Err(at(range.start, problem));
    }
    let mut offset = range.start + 4;
    while offset < range.end {
        let rest = bytes.get(offset..range.end).unwrap_or(&[]);
        let (Some(name), Some(count)) = (endian.u32_at(rest, 0), endian.u32_at(rest, 4)) else {
            return Err(at(offset, short(8, rest.len())));
        };
        inside(btf, StrOff(name)).map_err(|problem| at(offset, problem))?;
        if count == 0 {
            return Err(at(offset + 4, Problem::NoRecords));
        }
        let size = u64::from(count) * u64::from(stride);
        if size > rest.len() as u64 - 8 {
            return Err(at(offset + 4, short(size, rest.len() - 8)));
        }
        offset += 8;
        for record in rest[8..8 + size as usize].chunks_exact(stride as usize) {
            let read = R::read(endian, record).and_then(|read| read.check(btf));
            read.map_err(|problem| at(offset, problem))?;
            offset += stride as usize;
        }
    }
    Ok(Table { stride: stride as usize, bytes: &all[4..] })
}

/// The records of one section of the object.
#[derive(Clone, Debug)]
pub struct InfoSection<'a, R: Record> {
    /// The name of the section.
    pub name: StrOff,
    /// The records, in the order in which they are stored.
    pub records: Records<'a, R>,
}

/// Iterates over the sections that have records of one kind.
#[derive(Clone)]
pub struct InfoSections<'a, R> {
    endian: Endian,
    stride: usize,
    rest: &'a [u8],
    record: PhantomData<fn() -> R>,
}

impl<'a, R: Record> InfoSections<'a, R> {
    /// The records of the section of that name.
    pub fn named(self, btf: &Btf<'_>, name: &str) -> Option<Records<'a, R>> {
        let mut sections = self;
        sections.find(|section| btf.is_named(section.name, name)).map(|section| section.records)
    }
}

impl<'a, R: Record> Iterator for InfoSections<'a, R> {
    type Item = InfoSection<'a, R>;

    fn next(&mut self) -> Option<InfoSection<'a, R>> {
        let name = StrOff(self.endian.u32_at(self.rest, 0)?);
        let size = (self.endian.u32_at(self.rest, 4)? as usize).checked_mul(self.stride)?;
        let (bytes, rest) = self.rest.get(8..)?.split_at_checked(size)?;
        self.rest = rest;
        let chunks = bytes.chunks_exact(self.stride);
        Some(InfoSection { name, records: Records { endian: self.endian, chunks, record: PhantomData } })
    }
}

/// Iterates over the records of one section.
#[derive(Clone)]
pub struct Records<'a, R> {
    endian: Endian,
    chunks: core::slice::ChunksExact<'a, u8>,
    record: PhantomData<fn() -> R>,
}

impl<R: Record> Records<'_, R> {
    /// The record at an index of those that are left.
    pub fn get(&self, index: usize) -> Option<R> {
        self.clone().nth(index)
    }

    /// How many of the records that are left, which are in the order of their instructions, come before an offset.
    pub fn count_before(&self, insn_off: u32) -> usize {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = from + (to - from) / 2;
            match self.get(middle) {
                Some(record) if record.insn_off() < insn_off => from = middle + 1,
                _ => to = middle,
            }
        }
        from
    }
}

impl<R: Record> Iterator for Records<'_, R> {
    type Item = R;

    #[inline]
    fn next(&mut self) -> Option<R> {
        R::read(self.endian, self.chunks.next()?).ok()
    }

    #[inline]
    fn nth(&mut self, skipped: usize) -> Option<R> {
        R::read(self.endian, self.chunks.nth(skipped)?).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.chunks.size_hint()
    }
}

impl<R: Record> ExactSizeIterator for Records<'_, R> {}

impl<R: Record> fmt::Debug for Records<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<R: Record> fmt::Debug for InfoSections<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}
