//! Function types, source lines and CO-RE relocations of `.BTF.ext`, by section and instruction.

use crate::image::SecIdx;
use crate::programs::Place;
use skep_btf::{Btf, CoreRelo, Ext, FuncInfo, InfoSections, LineInfo, Record, Records};
use skep_isa::{InsnIdx, RawInsn};
use skep_model::{BtfId, CoreTarget, FuncInfoSpec, ProgramSpec, RelocTarget, Relocation};
use std::iter::Take;

/// The records of an object.
#[derive(Debug)]
pub(crate) struct Info<'d> {
    btf: &'d Btf<'static>,
    functions: Lists<'d, FuncInfo>,
    lines: Lists<'d, LineInfo>,
    core: Lists<'d, CoreRelo>,
}

/// Records of one kind, by the name of the section, in the order of these.
type Lists<'d, R> = Vec<(&'d [u8], List<'d, R>)>;

/// The records of a section, in the order of their instructions.
#[derive(Debug)]
enum List<'d, R: Record> {
    /// As the file has them: compilers and linkers write them in order, so they can be left where they are.
    Stored(Records<'d, R>),
    /// Put in order.
    Sorted(Vec<R>),
}

impl<'d> Info<'d> {
    pub(crate) fn read(btf: &'d Btf<'static>, ext: &Ext<'d>) -> Info<'d> {
        Info {
            btf,
            functions: lists(btf, ext.func_info()),
            lines: lists(btf, ext.line_info()),
            core: lists(btf, ext.core_relos()),
        }
    }

    /// Adds the records of a program's functions, each of which was linked from one of `places`. `section` names sections.
    pub(crate) fn add<'s>(
        &self,
        program: &mut ProgramSpec,
        places: &[Place],
        section: impl Fn(SecIdx) -> &'s str,
    ) {
        let ProgramSpec { functions, func_info, line_info, relocations, .. } = program;
        let linked = || {
            let linked = functions.iter().zip(places);
            linked.map(|(function, place)| {
                let (base, start) = (function.start.index(), place.start as usize);
                let moved = move |insn_off: u32| (insn_off as usize / RawInsn::BYTES - start + base) as u32;
                (section(place.section).as_bytes(), (start, start + function.slots as usize), moved)
            })
        };
        func_info.reserve_exact(functions.len());
        line_info
            .reserve_exact(linked().map(|(name, range, _)| within(&self.lines, name, range).len()).sum());
        relocations
            .reserve_exact(linked().map(|(name, range, _)| within(&self.core, name, range).len()).sum());
        for (name, range, moved) in linked() {
            if let Some(r) = within(&self.functions, name, (range.0, range.0 + 1)).next() {
                func_info
                    .push(FuncInfoSpec { insn: InsnIdx(moved(r.insn_off)), type_id: BtfId(r.type_id.0) });
            }
            line_info.extend(within(&self.lines, name, range).map(|r| skep_abi::LineInfo {
                insn_off: moved(r.insn_off),
                file_name_off: r.file_name.0,
                line_off: r.line.0,
                line_col: r.line_col,
            }));
            relocations.extend(
                within(&self.core, name, range)
                    .map(|r| core_relocation(self.btf, &r, InsnIdx(moved(r.insn_off)))),
            );
        }
    }
}

/// A CO-RE relocation of a slot.
pub(crate) fn core_relocation(btf: &Btf<'_>, record: &CoreRelo, insn: InsnIdx) -> Relocation {
    let access = btf.text(record.access).unwrap_or_default().into();
    let target = CoreTarget { type_id: BtfId(record.type_id.0), access, kind: record.kind as u32 };
    Relocation { insn, target: RelocTarget::Core(Box::new(target)) }
}

fn lists<'d, R: Record>(btf: &'d Btf<'static>, sections: InfoSections<'d, R>) -> Lists<'d, R> {
    let named = sections.map(|section| (btf.string(section.name).unwrap_or_default(), section.records));
    let mut named: Vec<_> = named.collect();
    named.sort_by_key(|(name, _)| *name);
    let lists = named.chunk_by(|a, b| a.0 == b.0).map(|same| {
        let list = match same {
            [(_, records)] if records.clone().map(|record| record.insn_off()).is_sorted() => {
                List::Stored(records.clone())
            }
            _ => sorted(same.iter().flat_map(|(_, records)| records.clone())),
        };
        (same[0].0, list)
    });
    lists.collect()
}

fn sorted<'d, R: Record>(records: impl Iterator<Item = R>) -> List<'d, R> {
    let mut records: Vec<R> = records.collect();
    records.sort_by_key(R::insn_off);
    List::Sorted(records)
}

/// The records of the slots from one up to another of a section.
fn within<'i, R: Record>(
    lists: &'i [(&[u8], List<'_, R>)],
    section: &[u8],
    (start, end): (usize, usize),
) -> Within<'i, R> {
    // What lies behind four gigabytes has no records, as no offset is that large.
    let offset = |slot: usize| u32::try_from(slot * RawInsn::BYTES).unwrap_or(u32::MAX);
    let (start, end) = (offset(start), offset(end));
    let found = lists.binary_search_by_key(&section, |(name, _)| *name).ok();
    match found.map(|index| &lists[index].1) {
        Some(List::Stored(records)) => {
            let from = records.count_before(start);
            let count = records.count_before(end) - from;
            let mut records = records.clone();
            if let Some(last) = from.checked_sub(1) {
                records.nth(last);
            }
            Within::Stored(records.take(count))
        }
        Some(List::Sorted(records)) => {
            let from = records.partition_point(|record| record.insn_off() < start);
            let to = records.partition_point(|record| record.insn_off() < end);
            Within::Sorted(records[from..to].iter())
        }
        None => Within::Sorted([].iter()),
    }
}

/// Iterates over records.
enum Within<'i, R: Record> {
    Stored(Take<Records<'i, R>>),
    Sorted(std::slice::Iter<'i, R>),
}

impl<R: Record> Iterator for Within<'_, R> {
    type Item = R;

    #[inline]
    fn next(&mut self) -> Option<R> {
        match self {
            Within::Stored(records) => records.next(),
            Within::Sorted(records) => records.next().copied(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Within::Stored(records) => records.size_hint(),
            Within::Sorted(records) => records.size_hint(),
        }
    }
}

impl<R: Record> ExactSizeIterator for Within<'_, R> {}
