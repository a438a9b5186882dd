//! Bytes that somebody changed: every question has an answer or an error, in bounded time, and no panic.

mod common;

use common::{BOTH, Blob, every_kind};
use proptest::prelude::*;
use skep_btf::{Btf, Builder, CPrinter, Def, Endian, Ext, Literal, NameIndex, RustPrinter, Support, TypeId};

/// Asks everything that can be asked.
fn exercise(bytes: &[u8]) -> bool {
    let Ok(btf) = Btf::parse(bytes) else { return false };
    let index = NameIndex::new(&btf).unwrap();
    for ty in btf.types() {
        let (id, name) = (ty.id(), ty.name());
        let _ = (
            format!("{:?}", ty.def()),
            btf.layout(id),
            btf.resolve(id),
            btf.member(id, "b"),
            btf.field(id, "[1].b"),
        );
        let value = btf.value(id, &[0x41; 64]);
        assert!(value.to_string().len() < 1 << 22);
        let mut data = [0; 64];
        for text in ["1", "-1", "ON", "true", "\"x\""] {
            let _ = btf.assign(id, "", Literal::Text(text), &mut data);
        }
        if let (Some(kind), false) = (ty.kind(), name.is_empty()) {
            assert_eq!(btf.find(name, kind), index.find(&btf, name, kind));
        }
        if let Def::Datasec(datasec) = ty.def() {
            let _ = btf.variables(datasec).count();
        }
    }
    let _ = btf.locate("limit.comm[2]");
    let mut text = String::new();
    let _ = CPrinter::new(&btf).unwrap().header(&mut text);
    let _ = RustPrinter::new(&btf).unwrap().file(&[], &mut text);
    // A printer that has refused one type still writes others.
    let mut printer = CPrinter::new(&btf).unwrap();
    for ty in btf.types() {
        let _ = printer.one(ty.id(), &mut text);
    }
    btf.write_raw(&mut text).unwrap();
    assert!(text.len() < 1 << 22);
    let _ = btf.admit().map_err(|refusal| refusal.to_string());
    // What was read can be written, and what was rewritten can be read.
    let again = Builder::from_btf(&btf).finish().unwrap();
    assert_eq!(Btf::parse(&again).unwrap().len(), btf.len());
    let old = btf.sanitize(Support::NONE).unwrap();
    assert!(Btf::parse(&old).unwrap().len() >= btf.len());
    true
}

/// A BTF and a `.BTF.ext` of it.
fn with_ext(endian: Endian) -> (Vec<u8>, Vec<u8>) {
    let btf = every_kind(endian).bytes();
    let words = [8, 1, 2, 0, 17, 8, 17, 16, 1, 1, 0, 1, 1, 1025, 16, 1, 1, 0, 9, 1, 3];
    let mut ext = Blob::new(endian).header(&[0, 28, 28, 28, 56, 28]);
    ext.extend(words.iter().flat_map(|word: &u32| endian.bytes32(*word)));
    (btf, ext)
}

fn exercise_ext(bytes: &[u8], btf: &Btf<'_>) -> bool {
    let Ok(ext) = Ext::parse(bytes, btf) else { return false };
    let funcs: usize = ext.func_info().map(|section| section.records.len()).sum();
    let lines = ext
        .line_info()
        .flat_map(|section| section.records)
        .filter(|line| btf.text(line.line).is_some())
        .count();
    let relos = ext
        .core_relos()
        .flat_map(|section| section.records)
        .filter(|relo| btf.ty(relo.type_id).is_ok())
        .count();
    assert!(funcs + lines + relos <= bytes.len() / 8);
    true
}

#[test]
fn unchanged_input_is_good() {
    for endian in BOTH {
        let (btf, ext) = with_ext(endian);
        assert!(exercise(&btf));
        assert!(exercise_ext(&ext, &Btf::parse(&btf).unwrap()));
    }
}

#[test]
fn every_prefix_is_refused() {
    for endian in BOTH {
        let (btf, ext) = with_ext(endian);
        let whole = Btf::parse(&btf).unwrap();
        for len in 0..btf.len() {
            assert!(Btf::parse(&btf[..len]).is_err(), "{len}");
        }
        for len in 0..ext.len() {
            assert!(Ext::parse(&ext[..len], &whole).is_err(), "{len}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes(big in any::<bool>(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let (mut btf, _) = with_ext(BOTH[usize::from(big)]);
        for (index, byte) in changes {
            *index.get_mut(&mut btf) = byte;
        }
        exercise(&btf);
    }

    /// Words that are small or huge, in the type section, where most of them mean something.
    #[test]
    fn changed_words(
        big in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![0u32..40, any::<u32>(), Just(u32::MAX)]), 1..6),
    ) {
        let endian = BOTH[usize::from(big)];
        let mut blob = every_kind(endian);
        for (index, word) in changes {
            let at = index.index(blob.types.len() / 4) * 4;
            blob.types[at..at + 4].copy_from_slice(&endian.bytes32(word));
        }
        exercise(&blob.bytes());
    }

    #[test]
    fn changed_ext(big in any::<bool>(), changes in prop::collection::vec((any::<prop::sample::Index>(), 0u32..40), 1..4)) {
        let endian = BOTH[usize::from(big)];
        let (btf, mut ext) = with_ext(endian);
        for (index, word) in changes {
            let at = index.index(ext.len() / 4) * 4;
            ext[at..at + 4].copy_from_slice(&endian.bytes32(word));
        }
        exercise_ext(&ext, &Btf::parse(&btf).unwrap());
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        exercise(&bytes);
        let mut with_magic = vec![0x9f, 0xeb, 1, 0, 24, 0, 0, 0];
        with_magic.extend(&bytes);
        exercise(&with_magic);
    }

    #[test]
    fn any_data_reads(bytes in prop::collection::vec(any::<u8>(), 0..80), id in 0u32..30, big in any::<bool>()) {
        let blob = every_kind(BOTH[usize::from(big)]).bytes();
        let btf = Btf::parse(&blob).unwrap();
        prop_assert!(!btf.value(TypeId(id), &bytes).to_string().is_empty());
    }

    /// What is written is read again, and nothing beside it changes.
    #[test]
    fn assigned_numbers_read_back(number in any::<i128>(), shift in 0u32..128, member in 0usize..8, big in any::<bool>(), fill in any::<u8>()) {
        let blob = every_kind(BOTH[usize::from(big)]).bytes();
        let btf = Btf::parse(&blob).unwrap();
        let path = ["when", "a", "b", "v4", "bytes", "ptr", "mode", "comm[3]"][member];
        let number = number >> shift;
        let before = [fill; 48];
        let mut after = before;
        if btf.assign(TypeId(9), path, Literal::Int(number), &mut after).is_ok() {
            let field = btf.field(TypeId(9), path).unwrap();
            let at = field.bit_offset as usize / 8;
            let found = match path {
                "comm[3]" => btf.value(field.type_id, &after[at..]),
                _ => btf.value(TypeId(9), &after).member(path).unwrap().clone(),
            };
            // A char may be given with a sign, and is shown without.
            let wanted = if path == "comm[3]" { number & 0xff } else { number };
            prop_assert_eq!(found.as_int(), Some(wanted));
            for (index, (before, after)) in before.iter().zip(&after).enumerate() {
                prop_assert!(before == after || (at..at + 8).contains(&index));
            }
        } else {
            prop_assert_eq!(before, after);
        }
    }
}

#[test]
fn changed_vmlinux() {
    let Ok(bytes) = std::fs::read("/sys/kernel/btf/vmlinux") else {
        println!("skipped: changed_vmlinux: no /sys/kernel/btf/vmlinux");
        return;
    };
    // A slice of the real thing, under a header of its own: many types refer outside and are refused, so the copies
    // map what is missing to void.
    let btf = Btf::parse(&bytes).unwrap();
    let mut b = Builder::new(btf.endian());
    for ty in btf.types().take(1500) {
        b.copy(ty, |id| if id.0 <= 1500 { id } else { TypeId::VOID });
    }
    let small = b.finish().unwrap();
    assert!(exercise(&small));
    let types = Btf::parse(&small).unwrap().types().map(|ty| ty.bytes().len()).sum::<usize>();
    // A fixed walk, so that a failure can be seen again.
    let mut state = 0x2545_f491_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    let mut accepted = 0;
    for _ in 0..20 {
        let mut changed = small.clone();
        for _ in 0..3 {
            let at = 24 + next() as usize % (types / 4) * 4;
            changed[at..at + 4].copy_from_slice(&(next() % 1600).to_le_bytes());
        }
        accepted += usize::from(exercise(&changed));
    }
    assert!(accepted > 0, "every change was refused, so nothing was tried");
}
