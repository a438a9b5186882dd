//! `.BTF.ext` while it grows.

use alloc::vec::Vec;

use super::renumbered::Renumbered;
use crate::btf::StrOff;
use crate::endian::Endian;
use crate::error::{Error, Problem, Section};
use crate::ext::{CoreRelo, Ext, FuncInfo, InfoSections, LineInfo, Record};
use crate::header;

/// Builds `.BTF.ext`: records by section of the object.
///
/// Sections come in the order in which they first get a record. Strings are offsets of the BTF that it will belong to
/// ([`Builder::string`](crate::Builder::string)).
///
/// # Examples
///
/// ```
/// use skep_btf::{Btf, Builder, Endian, Ext, ExtBuilder, Func, FuncInfo, FuncLinkage, TypeId};
///
/// let mut types = Builder::new(Endian::Little);
/// let proto = types.func_proto(TypeId::VOID, &[]);
/// let type_id = types.func("main", Func { proto, linkage: FuncLinkage::Global });
/// let mut ext = ExtBuilder::new(Endian::Little);
/// ext.push_func(types.string(b"xdp"), FuncInfo { insn_off: 0, type_id });
///
/// let (btf, ext) = (Btf::from_vec(types.finish()?)?, ext.finish()?);
/// assert_eq!(Ext::parse(&ext, &btf)?.func_info().count(), 1);
/// # Ok::<(), skep_btf::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ExtBuilder {
    endian: Endian,
    func: Table,
    line: Table,
    core: Table,
    /// The first thing that did not fit.
    error: Option<Error>,
}

/// The sections of one kind of record.
#[derive(Clone, Debug, Default)]
struct Table {
    sections: Vec<Part>,
    /// Positions in the list of sections, by name.
    by_name: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Part {
    name: StrOff,
    /// How many records it has.
    count: u32,
    records: Vec<u8>,
}

impl ExtBuilder {
    /// Starts without records.
    pub fn new(endian: Endian) -> ExtBuilder {
        let table = Table::default;
        ExtBuilder { endian, func: table(), line: table(), core: table(), error: None }
    }

    /// Appends a function to those of a section of the object.
    pub fn push_func(&mut self, section: StrOff, record: FuncInfo) {
        let done = self.func.push(section, &record.to_bytes(self.endian));
        self.note(done);
    }

    /// Appends a line to those of a section of the object.
    pub fn push_line(&mut self, section: StrOff, record: LineInfo) {
        let done = self.line.push(section, &record.to_bytes(self.endian));
        self.note(done);
    }

    /// Appends a CO-RE relocation to those of a section of the object.
    pub fn push_core(&mut self, section: StrOff, record: CoreRelo) {
        let done = self.core.push(section, &record.to_bytes(self.endian));
        self.note(done);
    }

    /// Appends the records of an `.BTF.ext` whose BTF was renumbered. `place` says where a section of that name went:
    /// the name of the section that it is part of now, and how many bytes into it; or that it is gone.
    ///
    /// # Errors
    ///
    /// [`Problem::UnknownType`] or [`Problem::NameOutside`] if the new BTF does not have what a record refers to, and
    /// [`Problem::TooLarge`] if an instruction lies beyond what a record can say.
    pub fn append(
        &mut self,
        ext: &Ext<'_>,
        numbers: &Renumbered,
        mut place: impl FnMut(StrOff) -> Option<(StrOff, u32)>,
    ) -> Result<(), Error> {
        let string =
            |off: StrOff| numbers.string(off).ok_or(Error::at(Section::Ext, 0, Problem::NameOutside(off.0)));
        let id = |id| numbers.id(id).ok_or(Error::at(Section::Ext, 0, Problem::UnknownType(id)));
        each(ext.func_info(), &mut place, |name, record, insn_off| {
            self.push_func(name, FuncInfo { insn_off, type_id: id(record.type_id)? });
            Ok(())
        })?;
        each(ext.line_info(), &mut place, |name, record, insn_off| {
            let (file_name, line) = (string(record.file_name)?, string(record.line)?);
            self.push_line(name, LineInfo { insn_off, file_name, line, ..record });
            Ok(())
        })?;
        each(ext.core_relos(), &mut place, |name, record, insn_off| {
            let (type_id, access) = (id(record.type_id)?, string(record.access)?);
            self.push_core(name, CoreRelo { insn_off, type_id, access, ..record });
            Ok(())
        })
    }

    /// The bytes of the whole: header, then functions, lines and CO-RE relocations.
    ///
    /// # Errors
    ///
    /// The first thing that did not fit: [`Problem::TooLong`], [`Problem::NoMemory`].
    pub fn finish(self) -> Result<Vec<u8>, Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let tables = [
            (&self.func, <FuncInfo as Record>::SIZE),
            (&self.line, <LineInfo as Record>::SIZE),
            (&self.core, <CoreRelo as Record>::SIZE),
        ];
        let header = header::EXT_SIZE;
        let total = tables.iter().fold(header as u64, |total, (table, _)| total + table.len());
        if total > u64::from(u32::MAX) {
            return Err(Error::at(Section::Ext, 0, Problem::TooLong));
        }
        let mut bytes = Vec::new();
        let no_memory = |_| Error::at(Section::Ext, 0, Problem::NoMemory);
        bytes.try_reserve_exact(total as usize).map_err(no_memory)?;
        let word = |word: u32| self.endian.bytes32(word);
        bytes.extend(self.endian.bytes16(header::MAGIC));
        bytes.extend([1, 0]);
        bytes.extend(word(header as u32));
        let mut at = 0;
        for (table, _) in tables {
            bytes.extend(word(at));
            bytes.extend(word(table.len() as u32));
            at += table.len() as u32;
        }
        for (table, stride) in tables.iter().filter(|(table, _)| !table.sections.is_empty()) {
            bytes.extend(word(*stride as u32));
            for part in &table.sections {
                bytes.extend(word(part.name.0));
                bytes.extend(word(part.count));
                bytes.extend_from_slice(&part.records);
            }
        }
        Ok(bytes)
    }

    fn note(&mut self, done: Result<(), Problem>) {
        if let Err(problem) = done {
            self.error.get_or_insert(Error::at(Section::Ext, 0, problem));
        }
    }
}

/// Goes through the records that stay, with the place of each instruction in its new section.
fn each<R: Record>(
    sections: InfoSections<'_, R>,
    place: &mut impl FnMut(StrOff) -> Option<(StrOff, u32)>,
    mut push: impl FnMut(StrOff, R, u32) -> Result<(), Error>,
) -> Result<(), Error> {
    for section in sections {
        let Some((name, delta)) = place(section.name) else { continue };
        for record in section.records {
            let insn_off = record.insn_off().checked_add(delta);
            push(name, record, insn_off.ok_or(Error::at(Section::Ext, 0, Problem::TooLarge))?)?;
        }
    }
    Ok(())
}

impl Table {
    fn push(&mut self, name: StrOff, record: &[u8]) -> Result<(), Problem> {
        let no_memory = |_| Problem::NoMemory;
        let is_last = self.sections.last().is_some_and(|last| last.name == name);
        let index = match is_last {
            true => self.sections.len() - 1,
            false => match self.by_name.binary_search_by_key(&name, |&at| self.sections[at as usize].name) {
                Ok(found) => self.by_name[found] as usize,
                Err(free) => {
                    self.by_name.try_reserve(1).map_err(no_memory)?;
                    self.sections.try_reserve(1).map_err(no_memory)?;
                    self.by_name.insert(free, self.sections.len() as u32);
                    self.sections.push(Part { name, count: 0, records: Vec::new() });
                    self.sections.len() - 1
                }
            },
        };
        let part = &mut self.sections[index];
        part.records.try_reserve(record.len()).map_err(no_memory)?;
        part.count = part.count.checked_add(1).ok_or(Problem::TooLong)?;
        part.records.extend_from_slice(record);
        Ok(())
    }

    /// The bytes of the subsection.
    fn len(&self) -> u64 {
        match self.sections.as_slice() {
            [] => 0,
            parts => parts.iter().fold(4, |len, part| len + 8 + part.records.len() as u64),
        }
    }
}
