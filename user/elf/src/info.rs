//! Function types, source lines and CO-RE relocations of `.BTF.ext`, by section and instruction.

use crate::error::ElfError;
use skep_btf::{Btf, Ext, StrOff};
use skep_isa::InsnIdx;
use skep_model::{BtfId, FuncInfoSpec, LineInfoSpec, ProgramSpec, RelocTarget, Relocation};
use std::collections::HashMap;

/// The records of an object.
#[derive(Debug, Default)]
pub(crate) struct Info {
    sections: HashMap<String, Records>,
}

/// The records of a section, each list by instruction slot.
#[derive(Debug, Default)]
struct Records {
    functions: Vec<(u32, BtfId)>,
    lines: Vec<(u32, LineInfoSpec)>,
    core: Vec<(u32, RelocTarget)>,
}

impl Info {
    pub(crate) fn read(btf: &Btf<'_>, ext: &Ext<'_>) -> Result<Info, ElfError> {
        let mut info = Info::default();
        for section in ext.func_info() {
            let records = info.section(btf, section.name);
            records.functions.extend(section.records.map(|r| (r.insn_off / 8, BtfId(r.type_id.0))));
        }
        for section in ext.line_info() {
            let records = info.section(btf, section.name);
            records.lines.extend(section.records.map(|r| {
                let insn = InsnIdx(r.insn_off / 8);
                let (file_name, line_text) = (r.file_name.0, r.line.0);
                (
                    insn.0,
                    LineInfoSpec { insn, file_name, line_text, line: r.line_number(), column: r.column() },
                )
            }));
        }
        for section in ext.core_relos() {
            let records = info.section(btf, section.name);
            for r in section.records {
                let access = btf.text(r.access).unwrap_or_default().into_owned();
                let target = RelocTarget::Core { type_id: BtfId(r.type_id.0), access, kind: r.kind as u32 };
                records.core.push((r.insn_off / 8, target));
            }
        }
        for records in info.sections.values_mut() {
            records.functions.sort_by_key(|record| record.0);
            records.lines.sort_by_key(|record| record.0);
            records.core.sort_by_key(|record| record.0);
        }
        Ok(info)
    }

    fn section(&mut self, btf: &Btf<'_>, name: StrOff) -> &mut Records {
        let name = btf.text(name).unwrap_or_default().into_owned();
        self.sections.entry(name).or_default()
    }

    /// Adds the records of the function at `start` to the program that has it at `base`.
    pub(crate) fn append(
        &self,
        section: &str,
        start: usize,
        slots: usize,
        base: usize,
        program: &mut ProgramSpec,
    ) {
        let Some(records) = self.sections.get(section) else { return };
        let (start, end) = (start as u32, (start + slots) as u32);
        let moved = |insn: u32| InsnIdx(insn - start + base as u32);
        if let [(_, type_id), ..] = within(&records.functions, start, start + 1) {
            program.func_info.push(FuncInfoSpec { insn: moved(start), type_id: *type_id });
        }
        program.line_info.extend(
            within(&records.lines, start, end)
                .iter()
                .map(|(insn, line)| LineInfoSpec { insn: moved(*insn), ..*line }),
        );
        program.relocations.extend(
            within(&records.core, start, end)
                .iter()
                .map(|(insn, target)| Relocation { insn: moved(*insn), target: target.clone() }),
        );
    }
}

/// The part of a sorted list from `start` up to `end`.
fn within<T>(records: &[(u32, T)], start: u32, end: u32) -> &[(u32, T)] {
    let from = records.partition_point(|record| record.0 < start);
    let to = records.partition_point(|record| record.0 < end);
    &records[from..to]
}
