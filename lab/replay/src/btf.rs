//! BTF: two bytes say how long the type information is; after it comes `.BTF.ext`, whose bytes also serve as a value.
//!
//! Promised: whatever the bytes, parsing ends; what parses answers every question about every type without a panic,
//! with an amount of work that the bytes bound.

use skep_btf::{
    Answer, Btf, Builder, Def, Endian, Ext, FuncLinkage, Literal, Look, NameIndex, Names, PointerSize,
    Record, Records, Type, TypeId,
};

use std::sync::Arc;

/// Types that are asked everything; the rest would only take time.
const ASKED: usize = 256;

pub(crate) fn run(data: &[u8]) {
    let Some((len, rest)) = data.split_first_chunk::<2>() else { return };
    let (bytes, other) = rest.split_at(usize::from(u16::from_le_bytes(*len)).min(rest.len()));
    check_skimmed(bytes, other);
    let btf = match Btf::parse(bytes) {
        Ok(btf) => btf,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(btf.bytes(), bytes);
    check_names(&btf);
    for ty in btf.types().take(ASKED) {
        let id = ty.id();
        assert_eq!(btf.get(id).map(|found| found.id()), Some(id), "a type is found by its number");
        let _ = (ty.kind(), ty.bytes(), ty.modified(), format!("{:?}", ty.def()));
        check_parts(&btf, &ty);
        let _ = (btf.resolve(id).is_ok(), btf.align_of(id), btf.layout(id));
        let size = btf.size_of(id);
        for endian in [Endian::Little, Endian::Big] {
            let value = btf.value_in(id, other, endian);
            assert!(!value.to_string().is_empty(), "every value has a text");
            assert!(value.as_int().is_none() || value.member("a").is_none(), "a number has no members");
        }
        if let Ok(size) = size {
            check_assign(&btf, id, size);
        }
        if let Def::Datasec(datasec) = ty.def() {
            for variable in btf.variables(datasec) {
                assert!(btf.get(variable.var_id).is_some() && btf.get(variable.type_id).is_some());
                let _ = btf.locate(variable.name);
            }
        }
    }
    check_pointers(&btf);
    check_ext(&btf, other);
    check_merging(&btf, other);
    check_path(&btf, other);
    let owned = btf.into_owned();
    assert_eq!(owned.bytes(), bytes, "owning changes nothing");
    check_split(&owned, other);
}

/// What was only skimmed answers too, or says what is wrong when it is asked.
fn check_skimmed(bytes: &[u8], other: &[u8]) {
    let Ok(btf) = Btf::skim(bytes.to_vec()) else { return };
    for ty in btf.types().take(ASKED) {
        assert_eq!(btf.get(ty.id()).map(|found| found.bytes().len()), Some(ty.bytes().len()));
        let _ = (btf.resolve(ty.id()).is_ok(), btf.layout(ty.id()), ty.name().len());
    }
    if let Err(error) = btf.dedup(None) {
        assert!(!error.to_string().is_empty());
    }
    if let Ok(split) = Btf::skim_split(other.to_vec(), Arc::new(btf)) {
        for ty in split.own_types().take(ASKED) {
            let _ = (split.size_of(ty.id()).is_ok(), ty.references().count());
        }
    }
}

fn check_names(btf: &Btf<'_>) {
    let index = NameIndex::new(btf).expect("memory");
    for ty in btf.types().take(ASKED) {
        let (Some(kind), name) = (ty.kind(), ty.name()) else { continue };
        let slow = btf.find(name, kind);
        if !name.is_empty() {
            assert_eq!(index.find(btf, name, kind), slow, "the index finds what a search finds: {name:?}");
        }
    }
    check_look(btf);
}

/// One look finds each name's first type among the BTF's own, as going through all does.
fn check_look(btf: &Btf<'_>) {
    let own = || btf.own_types().take(ASKED).filter_map(|ty| Some((ty, ty.kind()?)));
    let wanted = own().map(|(ty, kind)| (ty.name().to_owned(), kind));
    let mut names = Names::new(wanted).expect("memory");
    btf.look(&mut Look::nothing().names(&mut names)).expect("memory");
    for (ty, kind) in own().filter(|(ty, _)| !ty.name().is_empty()) {
        let first = own().find(|(other, of)| *of == kind && other.name() == ty.name());
        let first = first.map_or(Answer::Nobodys, |(first, _)| Answer::Found(first.id()));
        assert_eq!(names.of(ty.name(), kind), first, "{ty:?}");
    }
}

/// What only some kinds have: each part is of a type that exists.
fn check_parts(btf: &Btf<'_>, ty: &Type<'_>) {
    assert_eq!(ty.btf().len(), btf.len());
    assert!(ty.references().all(|target| btf.get(target).is_some()), "what is referred to exists");
    match ty.def() {
        Def::Func(func) => {
            assert!(func.linkage.number() < 1 << 24, "it is stored in 24 bits");
            assert_eq!(FuncLinkage::from_number(func.linkage.number()), func.linkage);
        }
        Def::Enum(values) => {
            assert!(
                values.values().take(ASKED).enumerate().all(|(at, value)| values.value(at) == Some(value))
            );
            assert_eq!(values.value(values.len()), None);
            assert_eq!(values.is_empty(), values.values().next().is_none());
        }
        Def::Var(var) => assert!(btf.get(var.type_id).is_some()),
        _ => {}
    }
    match ty.as_composite() {
        Ok(composite) => {
            let members = composite.members;
            assert!(members.get(members.len()).is_none());
            for member in members.iter() {
                assert!(btf.get(member.type_id).is_some());
                let _ = (btf.resolve(member.type_id).is_ok(), btf.member(ty.id(), member.name).is_ok());
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(datasec) = ty.as_datasec() {
        assert!(datasec.vars.iter().all(|info| btf.get(info.type_id).is_some()));
        let is_found = btf.datasec(ty.name()).is_some_and(|(id, _)| id == ty.id());
        for variable in btf.variables(datasec).filter(|_| is_found) {
            assert!(btf.variable(ty.name(), variable.name).is_some());
        }
    }
    if let Ok(proto) = ty.as_func_proto() {
        assert!(proto.params.iter().all(|param| btf.get(param.type_id).is_some()));
    }
}

/// Numbers and texts, where they fit.
fn check_assign(btf: &Btf<'_>, id: TypeId, size: u32) {
    let mut bytes = [0u8; 64];
    let Some(bytes) = bytes.get_mut(..size as usize) else { return };
    let texts = ["7", "-1", "0xff", "a", "true", "1.5", "'x'", "E_B"].map(Literal::Text);
    for value in texts.into_iter().chain([Literal::Bytes(&[1, 2, 3, 4])]) {
        assign(btf, id, "", value, bytes);
    }
}

fn assign(btf: &Btf<'_>, id: TypeId, path: &str, value: Literal<'_>, bytes: &mut [u8]) {
    let before = bytes.to_vec();
    if let Err(error) = btf.assign(id, path, value, bytes) {
        assert_eq!(before, bytes, "an assignment that fails writes nothing");
        assert!(!error.to_string().is_empty());
    }
}

/// A split BTF on top of this one: the rest of the input, read as BTF.
fn check_split(btf: &Btf<'static>, bytes: &[u8]) {
    let base = Arc::new(btf.clone());
    let Ok(split) = Btf::parse_split(bytes, base) else { return };
    assert_eq!(split.base().map(Btf::len), Some(btf.len()));
    for ty in split.own_types().take(ASKED) {
        assert!(ty.id() >= split.first_own());
        let _ = (split.resolve(ty.id()).is_ok(), split.size_of(ty.id()), ty.name());
    }
}

/// The rest of the input as `path=value`, as a user sets a variable.
fn check_path(btf: &Btf<'_>, text: &[u8]) {
    let Some((path, value)) = std::str::from_utf8(text).ok().and_then(|text| text.split_once('=')) else {
        return;
    };
    for ty in btf.types().take(ASKED) {
        let mut bytes = [0u8; 64];
        let size = btf.size_of(ty.id()).map_or(bytes.len(), |size| bytes.len().min(size as usize));
        assign(btf, ty.id(), path, Literal::Text(value), &mut bytes[..size]);
        if let Err(error) = btf.field(ty.id(), path) {
            assert!(!error.to_string().is_empty());
        }
    }
    let Some(located) = btf.locate(path) else { return };
    let mut bytes = vec![0; btf.size_of(located.variable.type_id).map_or(0, |size| size.min(4096) as usize)];
    assign(btf, located.variable.type_id, located.path, Literal::Text(value), &mut bytes);
}

fn check_ext(btf: &Btf<'_>, bytes: &[u8]) {
    let ext = match Ext::parse(bytes, btf) {
        Ok(ext) => ext,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let name = |off| btf.string(off).and_then(|name| std::str::from_utf8(name).ok()).map(str::to_owned);
    for section in ext.func_info() {
        let found = name(section.name).and_then(|name| ext.func_info().named(btf, &name));
        assert_eq!(found.is_some(), name(section.name).is_some(), "a section is found by its name");
        check_records(section.records.clone(), |record| record.to_bytes(btf.endian()));
        section.records.for_each(|record| assert!(is_part_of(bytes, &record.to_bytes(btf.endian()))));
    }
    for section in ext.line_info() {
        check_records(section.records.clone(), |record| record.to_bytes(btf.endian()));
        for record in section.records {
            assert!(is_part_of(bytes, &record.to_bytes(btf.endian())));
            assert!(btf.text(record.file_name).is_some() && btf.text(record.line).is_some());
            assert_eq!(record.line_col, record.line_number() << 10 | record.column());
        }
    }
    for section in ext.core_relos() {
        check_records(section.records.clone(), |record| record.to_bytes(btf.endian()));
        section.records.for_each(|record| assert!(is_part_of(bytes, &record.to_bytes(btf.endian()))));
    }
}

/// Each record is found by its index, and where they are in order, how many lie before an instruction.
fn check_records<R: Record, const N: usize>(records: Records<'_, R>, bytes: impl Fn(&R) -> [u8; N]) {
    let all: Vec<R> = records.clone().take(ASKED).collect();
    for (index, record) in all.iter().enumerate() {
        assert_eq!(records.get(index).as_ref().map(&bytes), Some(bytes(record)));
    }
    assert!(records.get(records.len()).is_none());
    let is_sorted = records.clone().is_sorted_by_key(|record| record.insn_off());
    for record in &all {
        let before = records.count_before(record.insn_off());
        assert!(before <= records.len());
        if is_sorted {
            assert_eq!(before, records.clone().filter(|other| other.insn_off() < record.insn_off()).count());
        }
    }
}

/// Pointers of four bytes make nothing larger.
fn check_pointers(btf: &Btf<'_>) {
    let sized = |size| {
        let mut btf = btf.clone();
        btf.set_pointer_size(size);
        assert_eq!(btf.pointer_size(), size);
        btf
    };
    let (small, large) = (sized(PointerSize::Four), sized(PointerSize::Eight));
    for ty in btf.types().take(ASKED) {
        if let (Ok(small), Ok(large)) = (small.size_of(ty.id()), large.size_of(ty.id())) {
            assert!(small <= large, "{ty:?}");
        }
    }
}

/// What is left of two BTFs, and of the records of one.
fn check_merging(btf: &Btf<'_>, other: &[u8]) {
    let ext = Ext::parse(other, btf).ok();
    if let Ok(deduped) = btf.dedup(ext.as_ref()) {
        let left = Btf::parse(&deduped.bytes).expect("what was merged can be read");
        assert!(left.len() <= btf.len() && deduped.bytes.len() <= btf.bytes().len().max(64));
        for ty in btf.types().take(ASKED) {
            assert!(deduped.numbers.id(ty.id()).is_some_and(|id| left.get(id).is_some()), "no type is lost");
        }
        if let (Some(before), Some(after)) = (ext, &deduped.ext) {
            let after = Ext::parse(after, &left).expect("what was merged can be read");
            let count = |ext: &Ext<'_>| ext.line_info().map(|section| section.records.len()).sum::<usize>();
            assert_eq!(count(&before), count(&after));
        }
        let again = left.dedup(None).map(|again| again.bytes.len());
        assert!(again.is_ok_and(|len| len <= deduped.bytes.len()));
    }
    let mut both = Builder::new(btf.endian());
    let mut append = |btf: &Btf<'_>| both.append(btf).map(|_| ());
    if append(btf).is_err() || append(&Btf::parse(other).unwrap_or_else(|_| btf.clone())).is_err() {
        return;
    }
    if let Ok(both) = both.finish() {
        let both = Btf::from_vec(both).expect("what was appended can be read");
        let _ = both.dedup(None).map_err(|error| error.to_string());
    }
}

/// Whether bytes that were read can be found where they were read from.
fn is_part_of(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
