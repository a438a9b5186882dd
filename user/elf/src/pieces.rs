//! `.BTF.ext` read piece by piece: most of it are source lines, of which a load needs another form, and not both at once.
//!
//! Whatever is not as compilers write it is left to [`skep_btf::Ext`], which says what is wrong, or does what is seldom wanted.

use crate::image::SecIdx;
use crate::info::core_relocation;
use crate::programs::Place;
use skep_btf::{Btf, CoreRelo, Endian, FuncInfo, LineInfo, Record, StrOff};
use skep_isa::{InsnIdx, RawInsn};
use skep_model::{BtfId, FuncInfoSpec, ProgramSpec};
use std::collections::BTreeSet;
use std::ops::Range;

/// Bytes of a piece.
const PIECE: usize = 1024;
/// Bytes of the header with CO-RE relocations, which clang has written since version 10.
const HEADER: usize = 32;
/// The longest records that are read here; all that there are have 16 bytes or less.
const LONGEST: usize = 64;
/// Room is made for so many records where nothing says how many there are.
const ROOM: usize = 8;

/// A function of a program, by where it was.
struct Target<'s> {
    section: &'s [u8],
    /// Its bytes in the section.
    bytes: Range<u64>,
    program: usize,
    /// Its first slot in the program.
    base: u32,
}

/// Adds to programs what a part of a file says of the functions that they were linked from, each from one of their `places`;
/// `section` names sections, `read` fills a buffer from an offset of the file. `None` is for what has to be looked at as a whole;
/// the programs are of no use then.
pub(crate) fn add<'s, E>(
    (programs, places): (&mut [ProgramSpec], &[Place]),
    section: impl Fn(SecIdx) -> &'s str,
    btf: &Btf<'_>,
    range: &Range<u64>,
    read: impl FnMut(u64, &mut [u8]) -> Result<bool, E>,
) -> Result<Option<()>, E> {
    let Some(targets) = targets(programs, places, section) else { return Ok(None) };
    let mut pieces = Pieces { read, at: range.start, end: range.end, buffer: Vec::new(), used: 0 };
    let Some(header) = pieces.take(HEADER)? else { return Ok(None) };
    let Some([functions, lines, core]) = tables(header, btf.endian(), range.end - range.start) else {
        return Ok(None);
    };
    let linked: Vec<usize> = programs.iter().map(|program| program.relocations.len()).collect();
    let mut walk = Walk { btf, targets: &targets, programs, pieces };
    let put = |program: &mut ProgramSpec, record: FuncInfo, slot, is_first| {
        let is_new = program.func_info.last().is_none_or(|last| last.insn != slot);
        if is_first && is_new {
            program.func_info.reserve_exact(1);
            program.func_info.push(FuncInfoSpec { insn: slot, type_id: BtfId(record.type_id.0) });
        }
    };
    if walk.table(functions, |_, _| (), put)?.is_none() {
        return Ok(None);
    }
    let put = |program: &mut ProgramSpec, record: LineInfo, slot: InsnIdx, _| {
        make_room(&mut program.line_info);
        program.line_info.push(skep_abi::LineInfo {
            insn_off: slot.0,
            file_name_off: record.file_name.0,
            line_off: record.line.0,
            line_col: record.line_col,
        });
    };
    let room = |program: &mut ProgramSpec, count| program.line_info.reserve_exact(count);
    if walk.table(lines, room, put)?.is_none() {
        return Ok(None);
    }
    let put = |program: &mut ProgramSpec, record: CoreRelo, slot, _| {
        make_room(&mut program.relocations);
        program.relocations.push(core_relocation(btf, &record, slot));
    };
    let room = |program: &mut ProgramSpec, count| program.relocations.reserve_exact(count);
    if walk.table(core, room, put)?.is_none() {
        return Ok(None);
    }
    for (program, linked) in programs.iter_mut().zip(linked) {
        // By function, as they were linked, and in these by instruction: functions have their instructions to themselves.
        let ProgramSpec { func_info, line_info, relocations, .. } = program;
        func_info.sort_by_key(|info| info.insn.0);
        if !line_info.is_sorted_by_key(|line| line.insn_off) {
            line_info.sort_by_key(|line| line.insn_off);
        }
        let relocated = relocations.get_mut(linked..).unwrap_or_default();
        if !relocated.is_sorted_by_key(|relocation| relocation.insn.0) {
            relocated.sort_by_key(|relocation| relocation.insn.0);
        }
        line_info.shrink_to_fit();
        relocations.shrink_to_fit();
    }
    Ok(Some(()))
}

/// Lists the functions of programs by section and place. They are the same, or apart: sections of one name, whose functions may
/// overlap, are not for here.
fn targets<'s>(
    programs: &[ProgramSpec],
    places: &[Place],
    section: impl Fn(SecIdx) -> &'s str,
) -> Option<Vec<Target<'s>>> {
    let mut targets = Vec::with_capacity(places.len());
    let mut places = places.iter();
    for (index, program) in programs.iter().enumerate() {
        targets.extend(program.functions.iter().zip(&mut places).map(|(function, place)| {
            let start = u64::from(place.start) * RawInsn::BYTES as u64;
            Target {
                section: section(place.section).as_bytes(),
                bytes: start..start + u64::from(function.slots) * RawInsn::BYTES as u64,
                program: index,
                base: function.start.0,
            }
        }));
    }
    targets.sort_by(|a, b| (a.section, a.bytes.start).cmp(&(b.section, b.bytes.start)));
    let is_apart = |pair: &[Target<'_>]| {
        let [a, b] = pair else { return true };
        let is_same = a.bytes == b.bytes && a.program != b.program;
        a.section != b.section || is_same || a.bytes.end <= b.bytes.start
    };
    targets.windows(2).all(is_apart).then_some(targets)
}

/// The bytes of the tables of functions, lines and CO-RE relocations, where they are one behind the other and nothing else is there.
fn tables(header: &[u8], endian: Endian, len: u64) -> Option<[u32; 3]> {
    let magic = match endian {
        Endian::Little => [0x9f, 0xeb, 1, 0],
        Endian::Big => [0xeb, 0x9f, 1, 0],
    };
    let (start, fields) = header.split_first_chunk::<4>()?;
    let mut fields =
        fields.chunks_exact(4).filter_map(|word| word.first_chunk()).map(|word| endian.u32(*word));
    if *start != magic || fields.next()? as usize != HEADER {
        return None;
    }
    let (mut tables, mut end) = ([0; 3], 0);
    for table in &mut tables {
        let at = fields.next()?;
        *table = fields.next()?;
        if at != end || *table % 4 != 0 {
            return None;
        }
        end = at.checked_add(*table)?;
    }
    (u64::from(end) + HEADER as u64 == len).then_some(tables)
}

/// Goes through tables and gives each record to the programs that it is of.
struct Walk<'w, 's, R> {
    btf: &'w Btf<'w>,
    targets: &'w [Target<'s>],
    programs: &'w mut [ProgramSpec],
    pieces: Pieces<R>,
}

impl<F> Walk<'_, '_, F> {
    /// Goes through a table of so many bytes. `room` is told how many records a program gets, where that can be told, and `put`
    /// gets each with its slot in the program, and whether a function starts there.
    fn table<R: Record, E>(
        &mut self,
        len: u32,
        room: impl Fn(&mut ProgramSpec, usize),
        mut put: impl FnMut(&mut ProgramSpec, R, InsnIdx, bool),
    ) -> Result<Option<()>, E>
    where
        F: FnMut(u64, &mut [u8]) -> Result<bool, E>,
    {
        if len == 0 {
            return Ok(Some(()));
        }
        let endian = self.btf.endian();
        let Some([stride]) = self.pieces.words(endian)? else { return Ok(None) };
        let stride = stride as usize;
        if stride < R::SIZE || stride % 4 != 0 || stride > LONGEST {
            return Ok(None);
        }
        let (mut left, mut seen) = (u64::from(len) - 4, BTreeSet::new());
        while left != 0 {
            let Some([name, count]) = self.pieces.words(endian)? else { return Ok(None) };
            let size = 8 + u64::from(count) * stride as u64;
            let Some(name) = self.btf.string(StrOff(name)).filter(|_| count != 0 && size <= left) else {
                return Ok(None);
            };
            left -= size;
            let first = self.targets.partition_point(|target| target.section < name);
            let end = self.targets.partition_point(|target| target.section <= name);
            let mut targets = self.targets.get(first..end).unwrap_or_default();
            if let Some(target) = targets.first() {
                if !seen.insert(first) {
                    return Ok(None);
                }
                if targets.iter().all(|other| other.program == target.program) {
                    room(&mut self.programs[target.program], count as usize);
                }
            }
            let mut before = 0;
            for _ in 0..count {
                let Some(bytes) = self.pieces.take(stride)? else { return Ok(None) };
                let read = R::read(endian, bytes).ok();
                let Some(record) = read.filter(|record| record.check(self.btf).is_ok()) else {
                    return Ok(None);
                };
                let at = u64::from(record.insn_off());
                if at < before {
                    return Ok(None);
                }
                before = at;
                while let [passed, rest @ ..] = targets {
                    if at < passed.bytes.end {
                        break;
                    }
                    targets = rest;
                }
                for target in targets.iter().take_while(|target| target.bytes.contains(&at)) {
                    let slot = (at - target.bytes.start) / RawInsn::BYTES as u64;
                    let program = &mut self.programs[target.program];
                    put(program, record, InsnIdx(target.base + slot as u32), slot == 0);
                }
            }
        }
        Ok(Some(()))
    }
}

/// A part of a file, read from its start.
struct Pieces<R> {
    read: R,
    at: u64,
    end: u64,
    buffer: Vec<u8>,
    /// Bytes of the buffer that have been taken.
    used: usize,
}

impl<E, R: FnMut(u64, &mut [u8]) -> Result<bool, E>> Pieces<R> {
    /// Takes the next bytes; `None` where there are no more.
    fn take(&mut self, count: usize) -> Result<Option<&[u8]>, E> {
        let held = self.buffer.len() - self.used;
        if held < count {
            self.buffer.copy_within(self.used.., 0);
            let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
            let more = left.min(PIECE - held);
            self.buffer.reserve_exact((held + more).saturating_sub(self.buffer.len()));
            self.buffer.resize(held + more, 0);
            self.used = 0;
            if held + more < count || !(self.read)(self.at, &mut self.buffer[held..])? {
                return Ok(None);
            }
            self.at += more as u64;
        }
        let start = self.used;
        self.used += count;
        Ok(self.buffer.get(start..self.used))
    }

    /// Takes the next words.
    fn words<const WORDS: usize>(&mut self, endian: Endian) -> Result<Option<[u32; WORDS]>, E> {
        let Some(bytes) = self.take(4 * WORDS)? else { return Ok(None) };
        let mut words =
            bytes.chunks_exact(4).filter_map(|word| word.first_chunk()).map(|word| endian.u32(*word));
        Ok(Some(std::array::from_fn(|_| words.next().unwrap_or_default())))
    }
}

/// Makes room for one more record at least.
fn make_room<T>(records: &mut Vec<T>) {
    if records.len() == records.capacity() {
        records.reserve_exact(ROOM.max(records.len() / 4));
    }
}
