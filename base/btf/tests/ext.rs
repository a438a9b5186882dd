//! `.BTF.ext`: its records by section, longer strides, and what is refused.

mod common;

use common::{BOTH, Blob, every_kind};
use skep_btf::{Btf, CoreRelocKind, Endian, Ext, Problem, Section, StrOff, TypeId};

/// Header and three tables of words.
fn ext(endian: Endian, func: &[u32], line: &[u32], core: Option<&[u32]>) -> Vec<u8> {
    let size = |words: &[u32]| words.len() as u32 * 4;
    let mut header = vec![0, size(func), size(func), size(line)];
    header.extend(core.map(|core| [size(func) + size(line), size(core)]).into_iter().flatten());
    let mut bytes = Blob::new(endian).header(&header);
    let words = [func, line, core.unwrap_or(&[])].concat();
    bytes.extend(words.iter().flat_map(|word| endian.bytes32(*word)));
    bytes
}

fn strings(btf: &Btf<'_>, name: &str) -> u32 {
    btf.ty(btf.types().find(|ty| ty.name() == name).unwrap().id()).unwrap().name_off().0
}

#[test]
fn records_come_by_section() {
    for endian in BOTH {
        let blob = every_kind(endian).bytes();
        let btf = Btf::parse(&blob).unwrap();
        let (a, b) = (strings(&btf, "prog"), strings(&btf, ".rodata"));
        let func = [8, a, 1, 0, 17, b, 2, 0, 17, 64, 17];
        let line = [16, a, 1, 8, a, b, 7 << 10 | 3];
        let core = [16, a, 1, 16, 9, b, 2];
        let bytes = ext(endian, &func, &line, Some(&core));
        let ext = Ext::parse(&bytes, &btf).unwrap();
        let funcs: Vec<_> = ext
            .func_info()
            .map(|section| {
                (section.name, section.records.map(|r| (r.insn_off, r.type_id.0)).collect::<Vec<_>>())
            })
            .collect();
        assert_eq!(funcs, [(StrOff(a), vec![(0, 17)]), (StrOff(b), vec![(0, 17), (64, 17)])]);
        let line = ext.line_info().named(&btf, "prog").unwrap().next().unwrap();
        assert_eq!((line.insn_off, line.line_number(), line.column()), (8, 7, 3));
        assert_eq!(btf.text(line.line).as_deref(), Some(".rodata"));
        assert!(ext.line_info().named(&btf, ".rodata").is_none());
        let core = ext.core_relos().next().unwrap().records.next().unwrap();
        assert_eq!((core.kind, core.type_id, core.insn_off), (CoreRelocKind::FieldExists, TypeId(9), 16));
        // Decoding is the identity.
        assert_eq!(&bytes[bytes.len() - 16..], core.to_bytes(endian));
    }
}

#[test]
fn header_without_core_relocations_and_longer_records() {
    for endian in BOTH {
        let blob = every_kind(endian).bytes();
        let btf = Btf::parse(&blob).unwrap();
        let a = strings(&btf, "prog");
        let bytes = ext(endian, &[12, a, 2, 0, 17, 99, 8, 17, 99], &[], None);
        let ext = Ext::parse(&bytes, &btf).unwrap();
        let offsets: Vec<_> = ext.func_info().next().unwrap().records.map(|record| record.insn_off).collect();
        assert_eq!(offsets, [0, 8]);
        assert_eq!((ext.line_info().count(), ext.core_relos().count()), (0, 0));
    }
}

#[test]
fn core_relocation_kinds_are_numbered_from_zero() {
    for (number, kind) in CoreRelocKind::ALL.iter().enumerate() {
        assert_eq!(*kind as usize, number);
    }
}

#[test]
fn bad_tables_are_refused_where_they_are_bad() {
    for endian in BOTH {
        let blob = every_kind(endian).bytes();
        let btf = Btf::parse(&blob).unwrap();
        let a = strings(&btf, "prog");
        let refused = |func: &[u32], offset: u32, problem: Problem| {
            let bytes = ext(endian, func, &[], Some(&[]));
            let error = Ext::parse(&bytes, &btf).unwrap_err();
            assert_eq!(error.place.section, Section::Ext);
            assert_eq!((error.place.offset, error.problem), (32 + offset, problem));
        };
        refused(&[4, a, 1, 0], 0, Problem::RecordSize { wanted: 8, found: 4 });
        refused(&[9, a, 1, 0], 0, Problem::RecordSize { wanted: 8, found: 9 });
        refused(&[0], 0, Problem::RecordSize { wanted: 8, found: 0 });
        refused(&[8, a], 4, Problem::Short { wanted: 8, found: 4 });
        refused(&[8, a, 0], 8, Problem::NoRecords);
        refused(&[8, a, 2, 0, 17], 8, Problem::Short { wanted: 16, found: 8 });
        refused(&[8, a, u32::MAX, 0, 17], 8, Problem::Short { wanted: 8 * u64::from(u32::MAX), found: 8 });
        refused(&[8, 9999, 1, 0, 17], 4, Problem::NameOutside(9999));
        refused(&[8, a, 2, 0, 17, 8, 99], 20, Problem::UnknownType(TypeId(99)));
        let bytes = ext(endian, &[], &[], Some(&[16, a, 1, 0, 9, a, 13]));
        assert_eq!(Ext::parse(&bytes, &btf).unwrap_err().problem, Problem::UnknownRelocation(13));
        let bytes = ext(endian, &[], &[16, a, 1, 0, 9999, a, 0], None);
        assert_eq!(Ext::parse(&bytes, &btf).unwrap_err().problem, Problem::NameOutside(9999));
    }
    let (little, big) = (every_kind(Endian::Little).bytes(), ext(Endian::Big, &[], &[], None));
    let error = Ext::parse(&big, &Btf::parse(&little).unwrap()).unwrap_err();
    assert_eq!(error.problem, Problem::MixedEndian);
}
