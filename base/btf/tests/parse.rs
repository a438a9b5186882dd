//! What the parser reads, and what it refuses and where.

mod common;

use std::sync::Arc;

use common::{BOTH, Blob, KIND_FLAG, every_kind, k};
use skep_btf::{
    Btf, Def, Endian, Enumerator, Error, FuncLinkage, FwdKind, IntEncoding, Kind, MAX_NAME_LEN, NameIndex,
    Packing, Param, Problem, SecInfo, Section, StrOff, TagStyle, TypeId, VarLinkage,
};

fn def(btf: &Btf<'_>, id: u32) -> String {
    format!("{:?}", btf.ty(TypeId(id)).unwrap().def())
}

#[test]
fn every_kind_means_the_same_in_both_byte_orders() {
    let [little, big] = BOTH.map(|endian| every_kind(endian).bytes());
    assert_ne!(little, big);
    let [little, big] = [&little, &big].map(|bytes| Btf::parse(bytes).unwrap());
    assert_eq!((little.endian(), big.endian()), (Endian::Little, Endian::Big));
    assert_eq!(little.len(), 27);
    for id in 0..27 {
        assert_eq!(def(&little, id), def(&big, id));
        assert_eq!(little.ty(TypeId(id)).unwrap().name(), big.ty(TypeId(id)).unwrap().name());
    }
    let seen: std::collections::BTreeSet<_> = little.types().filter_map(|ty| ty.kind()).collect();
    assert!(seen.into_iter().eq(Kind::all()), "a kind is not in the test");
}

#[test]
fn every_kind_has_its_meaning() {
    let bytes = every_kind(Endian::Big).bytes();
    let btf = Btf::parse(&bytes).unwrap();
    let def = |id| btf.ty(TypeId(id)).unwrap().def();
    assert!(matches!(def(0), Def::Void));
    assert!(matches!(def(1), Def::Int(int) if int.size == 4 && int.bits == 32 && int.offset == 0));
    assert!(
        matches!(def(1), Def::Int(int) if int.encoding == IntEncoding::SIGNED && int.encoding.is_signed())
    );
    assert!(matches!(def(3), Def::Int(int) if int.encoding.is_bool() && !int.encoding.is_signed()));
    assert!(matches!(def(5), Def::Ptr(TypeId(1))));
    assert!(matches!(def(6), Def::Array(a) if (a.elem, a.index, a.len) == (TypeId(2), TypeId(1), 16)));
    let Def::Enum(mode) = def(7) else { panic!("{:?}", def(7)) };
    let values: Vec<_> = mode.values().collect();
    assert_eq!(values, [Enumerator { name: "OFF", value: -1 }, Enumerator { name: "ON", value: 7 }]);
    let Def::Struct(event) = def(9) else { panic!("{:?}", def(9)) };
    assert_eq!((event.size, event.packing, event.members.len()), (48, Packing::Bitfields, 7));
    let b = event.members.get(3).unwrap();
    assert_eq!((b.name, b.bit_offset, b.bitfield.map(u8::from)), ("b", 195, Some(5)));
    assert_eq!(event.members.get(7), None);
    assert_eq!(event.members.get(usize::MAX), None);
    assert!(matches!(def(8), Def::Union(u) if u.packing == Packing::Plain && u.members.len() == 2));
    assert!(matches!(def(10), Def::Fwd(FwdKind::Struct)));
    assert!(matches!(def(11), Def::Fwd(FwdKind::Union)));
    assert!(matches!(def(12), Def::Typedef(TypeId(9))));
    assert!(matches!(def(13), Def::Volatile(TypeId(12))));
    assert!(matches!(def(14), Def::Const(TypeId(13))));
    assert!(matches!(def(15), Def::Restrict(TypeId(5))));
    let Def::FuncProto(proto) = def(16) else { panic!("{:?}", def(16)) };
    assert_eq!(proto.ret, TypeId(1));
    assert_eq!(proto.params.iter().last(), Some(Param { name: "", type_id: TypeId::VOID }));
    assert_eq!(proto.params.get(1), Some(Param { name: "n", type_id: TypeId(4) }));
    assert!(matches!(def(17), Def::Func(f) if f.proto == TypeId(16) && f.linkage == FuncLinkage::Global));
    assert!(matches!(def(18), Def::Var(v) if v.type_id == TypeId(14) && v.linkage == VarLinkage::Global));
    assert!(matches!(def(20), Def::Datasec(sec) if sec.size == 56
        && sec.vars.get(1) == Some(SecInfo { type_id: TypeId(19), offset: 48, size: 8 })));
    assert!(matches!(def(21), Def::Float(8)));
    assert!(matches!(def(22), Def::DeclTag(t) if t.component == Some(1) && t.style == TagStyle::Tag));
    assert!(matches!(def(23), Def::DeclTag(t) if t.component.is_none() && t.target == TypeId(9)));
    assert!(matches!(def(24), Def::TypeTag(t) if t.target == TypeId(1)));
    let Def::Enum(wide) = def(25) else { panic!("{:?}", def(25)) };
    let values: Vec<_> = wide.values().map(|item| item.value).collect();
    assert_eq!(values, [1, 0x8000_0000_0000_0005]);
    let Def::Enum(wide) = def(26) else { panic!("{:?}", def(26)) };
    assert_eq!(wide.values().next().unwrap().value, -2);
}

#[test]
fn names_are_found_by_kind() {
    let bytes = every_kind(Endian::Little).bytes();
    let btf = Btf::parse(&bytes).unwrap();
    let index = NameIndex::new(&btf).unwrap();
    for (name, kind, id) in [
        ("event", Kind::Struct, Some(9)),
        ("event", Kind::Union, None),
        ("event_t", Kind::Typedef, Some(12)),
        ("vent", Kind::Struct, None),
        ("event\0", Kind::Struct, None),
        ("", Kind::Ptr, Some(5)),
        (".rodata", Kind::Datasec, Some(20)),
    ] {
        assert_eq!(btf.find(name, kind), id.map(TypeId), "{name}");
        if !name.is_empty() {
            assert_eq!(index.find(&btf, name, kind), id.map(TypeId), "{name}");
        }
    }
    assert_eq!(index.all(&btf, "event").count(), 1);
    assert_eq!(index.all(&btf, "nothing of the kind").count(), 0);
}

#[test]
fn split_btf_continues_its_base() {
    for endian in BOTH {
        let base_blob = every_kind(endian);
        let base_bytes = base_blob.bytes();
        let base = Arc::new(Btf::parse(&base_bytes).unwrap());
        let mut blob = Blob::new(endian);
        blob.strings.clear();
        let first = base_blob.strings.len() as u32;
        // struct more { struct event event; }, its name its own and its member's the base's.
        let event = base.ty(TypeId(9)).unwrap().name_off().0;
        blob.strings.extend(b"more\0");
        let words = [first, k::STRUCT << 24 | 1, 48, event, 9, 0];
        blob.types.extend(words.iter().flat_map(|word| endian.bytes32(*word)));
        let bytes = blob.bytes();
        let split = Btf::parse_split(&bytes, base.clone()).unwrap();
        assert_eq!((split.first_own(), split.len()), (TypeId(27), 28));
        let more = split.ty(TypeId(27)).unwrap();
        assert_eq!(more.name(), "more");
        assert_eq!(more.as_composite().unwrap().members.get(0).unwrap().name, "event");
        assert_eq!(split.find("more", Kind::Struct), Some(TypeId(27)));
        assert_eq!(split.find("event", Kind::Struct), Some(TypeId(9)));
        assert_eq!(NameIndex::new(&split).unwrap().find(&split, "more", Kind::Struct), Some(TypeId(27)));
        assert_eq!(split.field(TypeId(27), "event.mode").unwrap().bit_offset, 320);
        assert_eq!(split.types().len(), 27);
        assert_eq!(split.own_types().len(), 1);
        // The same bytes without the base refer outside.
        assert!(Btf::parse(&bytes).is_err());
        let owned = split.into_owned();
        assert_eq!(owned.ty(TypeId(27)).unwrap().name(), "more");
    }
    let little = every_kind(Endian::Little).bytes();
    let big = every_kind(Endian::Big).bytes();
    let error = Btf::parse_split(&little, Arc::new(Btf::parse(&big).unwrap())).unwrap_err();
    assert_eq!(error.problem, Problem::MixedEndian);
}

#[test]
fn header_may_be_longer_with_zeros() {
    for endian in BOTH {
        let blob = every_kind(endian);
        let (types, strings) = (blob.types.len() as u32, blob.strings.len() as u32);
        for (extra, wanted) in [
            (vec![0], None),
            (vec![0, 0, 0], None),
            (vec![0, 0, 0, 9], Some(Problem::ExtraHeader(9))),
            (vec![9], Some(Problem::ExtraHeader(9))),
        ] {
            let mut bytes = blob.header(&[&[0, types, types, strings], &extra[..]].concat());
            bytes.extend(&blob.types);
            bytes.extend(&blob.strings);
            assert_eq!(Btf::parse(&bytes).err().map(|error| error.problem), wanted, "{extra:?}");
        }
    }
}

#[test]
fn unknown_kinds_need_a_layout_section() {
    for endian in BOTH {
        let mut blob = Blob::new(endian);
        blob.int("int", 4, 1);
        // Kind 33 with one word and two elements of two words.
        blob.add("future", 33, 2, 0, &[1, 2, 3, 4, 5]);
        blob.int("after", 4, 1);
        let error = Btf::parse(&blob.bytes()).unwrap_err();
        assert_eq!(error.problem, Problem::UnknownKind(33));
        assert_eq!((error.place.type_id, error.place.offset), (Some(TypeId(2)), 16));

        let (types, strings) = (blob.types.len() as u32, blob.strings.len() as u32);
        let mut layout = vec![0; 34 * 4];
        layout[33 * 4..33 * 4 + 2].copy_from_slice(&[4, 8]);
        let at = (strings + types).next_multiple_of(4);
        let mut bytes = blob.header(&[0, types, types, strings, at, layout.len() as u32]);
        bytes.extend(&blob.types);
        bytes.extend(&blob.strings);
        bytes.resize(32 + at as usize, 0);
        bytes.extend(&layout);
        let btf = Btf::parse(&bytes).unwrap();
        assert!(matches!(btf.ty(TypeId(2)).unwrap().def(), Def::Unknown(33)));
        assert_eq!(btf.ty(TypeId(2)).unwrap().name(), "future");
        assert_eq!(btf.ty(TypeId(3)).unwrap().name(), "after");
        assert_eq!(btf.size_of(TypeId(2)).unwrap_err().problem, Problem::Unsized);
    }
}

/// Changes one thing in good input and says what must come of it.
fn refused(change: impl Fn(&mut Vec<u8>), section: Section, offset: u32, problem: Problem) {
    let mut bytes = every_kind(Endian::Little).bytes();
    change(&mut bytes);
    let Error { place, problem: found } = Btf::parse(&bytes).unwrap_err();
    assert_eq!((place.section, place.offset, found), (section, offset, problem));
}

#[test]
fn bad_headers_are_refused_where_they_are_bad() {
    let put = |at: usize, value: u32| {
        move |bytes: &mut Vec<u8>| bytes[at..at + 4].copy_from_slice(&value.to_le_bytes())
    };
    let len = every_kind(Endian::Little).bytes().len() as u64;
    refused(|b| b.truncate(7), Section::Header, 0, Problem::Short { wanted: 24, found: 7 });
    refused(|b| b.truncate(20), Section::Header, 4, Problem::Short { wanted: 24, found: 20 });
    refused(|b| b.clear(), Section::Header, 0, Problem::Short { wanted: 24, found: 0 });
    refused(|b| b[0] = 0, Section::Header, 0, Problem::Magic(0xeb00));
    refused(|b| b[2] = 2, Section::Header, 2, Problem::Version(2));
    refused(|b| b[3] = 1, Section::Header, 3, Problem::Flags(1));
    refused(put(4, 23), Section::Header, 4, Problem::Short { wanted: 24, found: 23 });
    refused(put(4, u32::MAX), Section::Header, 4, Problem::Short { wanted: u32::MAX.into(), found: len });
    refused(
        put(12, u32::MAX),
        Section::Header,
        8,
        Problem::Short { wanted: 24 + u64::from(u32::MAX), found: len },
    );
    refused(
        put(16, u32::MAX),
        Section::Header,
        16,
        Problem::Short {
            wanted: len + u64::from(u32::MAX) - every_kind(Endian::Little).types.len() as u64,
            found: len,
        },
    );
    refused(put(8, 2), Section::Header, 8, Problem::Misaligned(2));
    refused(put(16, 4), Section::Header, 16, Problem::Overlap);
}

#[test]
fn bad_strings_are_refused() {
    let strings = every_kind(Endian::Little).strings.len();
    let last = strings as u32 - 1;
    refused(|b| *b.last_mut().unwrap() = 1, Section::Strings, last, Problem::Unterminated);
    refused(
        move |b| {
            let at = b.len() - strings;
            b[at] = 1;
        },
        Section::Strings,
        last,
        Problem::Unterminated,
    );
    // No strings at all are none that begin with NUL.
    let empty = Blob { strings: Vec::new(), ..Blob::new(Endian::Little) };
    assert_eq!(Btf::parse(&empty.bytes()).unwrap_err().problem, Problem::Unterminated);
    // Names: outside, not UTF-8, in the middle of a character.
    for endian in BOTH {
        let name = |strings: &[u8], off: u32| {
            let mut blob = Blob::new(endian);
            blob.strings = strings.to_vec();
            let words = [off, k::FLOAT << 24, 8];
            blob.types.extend(words.iter().flat_map(|word| endian.bytes32(*word)));
            let bytes = blob.bytes();
            Btf::parse(&bytes).map(|btf| btf.ty(TypeId(1)).unwrap().name().to_owned()).map_err(|e| e.problem)
        };
        assert_eq!(name(b"\0ab\0", 1).as_deref(), Ok("ab"));
        assert_eq!(name(b"\0ab\0", 3).as_deref(), Ok(""));
        assert_eq!(name(b"\0ab\0", 4), Err(Problem::NameOutside(4)));
        assert_eq!(name(b"\0ab\0", u32::MAX), Err(Problem::NameOutside(u32::MAX)));
        assert_eq!(name("\0hé\0".as_bytes(), 1).as_deref(), Ok("hé"));
        assert_eq!(name("\0hé\0".as_bytes(), 3), Err(Problem::NameNotUtf8(3)));
        assert_eq!(name("\0hé\0".as_bytes(), 5), Err(Problem::NameOutside(5)));
        // Latin-1 in the text of a source line does no harm; in a name it does.
        assert_eq!(name(b"\0\xe9\0ok\0", 3).as_deref(), Ok("ok"));
        assert_eq!(name(b"\0\xe9\0ok\0", 1), Err(Problem::NameNotUtf8(1)));
        assert_eq!(name(b"\0\xe9\0ok\0", 6), Err(Problem::NameOutside(6)));
    }
}

#[test]
fn names_have_a_limit_and_other_strings_have_none() {
    for endian in BOTH {
        for (len, is_good) in [(MAX_NAME_LEN, true), (MAX_NAME_LEN + 1, false), (MAX_NAME_LEN * 3, false)] {
            let mut b = Blob::new(endian);
            b.add(&"n".repeat(len), k::FLOAT, 0, 8, &[]);
            assert_eq!(Btf::parse(&b.bytes()).is_ok(), is_good);
        }
        // A long line of source stands beside the names.
        let mut b = Blob::new(endian);
        b.string(&"x".repeat(MAX_NAME_LEN * 3));
        let line = b.string(&"y".repeat(MAX_NAME_LEN * 3));
        b.add("short", k::FLOAT, 0, 8, &[]);
        let bytes = b.bytes();
        let btf = Btf::parse(&bytes).unwrap();
        assert_eq!(btf.ty(TypeId(1)).unwrap().name(), "short");
        assert_eq!(btf.text(StrOff(line)).unwrap().len(), MAX_NAME_LEN * 3);
    }
}

#[test]
fn bad_records_are_refused_where_they_are_bad() {
    for endian in BOTH {
        let refused = |kind: u32, vlen: u32, third: u32, tail: &[u32], offset: u32, problem: Problem| {
            let mut blob = Blob::new(endian);
            blob.int("int", 4, 1);
            blob.add("", kind, vlen, third, tail);
            let error = Btf::parse(&blob.bytes()).unwrap_err();
            assert_eq!(error.place.type_id, Some(TypeId(2)));
            assert_eq!((error.place.offset, error.problem), (16 + offset, problem), "kind {kind}");
        };
        let unknown = |id| Problem::UnknownType(TypeId(id));
        refused(0, 0, 0, &[], 0, Problem::UnknownKind(0));
        refused(20, 0, 0, &[], 0, Problem::UnknownKind(20));
        refused(127, 0, 0, &[], 0, Problem::UnknownKind(127));
        refused(k::INT, 0, 4, &[], 0, Problem::Short { wanted: 16, found: 12 });
        refused(k::ARRAY, 0, 0, &[1, 1], 0, Problem::Short { wanted: 24, found: 20 });
        refused(k::STRUCT, 1, 0, &[0, 1], 0, Problem::Short { wanted: 24, found: 20 });
        let most = 12 + 12 * 0x00ff_ffff;
        refused(k::STRUCT, 0x00ff_ffff, 0, &[0, 1, 0], 0, Problem::Short { wanted: most, found: 24 });
        refused(k::PTR, 0, 3, &[], 8, unknown(3));
        refused(k::PTR, 0, u32::MAX, &[], 8, unknown(u32::MAX));
        refused(k::ARRAY, 0, 0, &[3, 1, 4], 12, unknown(3));
        refused(k::ARRAY, 0, 0, &[1, 3, 4], 16, unknown(3));
        refused(k::STRUCT, 2, 8, &[0, 1, 0, 0, 3, 32], 28, unknown(3));
        refused(k::UNION, 1, 8, &[99, 1, 0], 12, Problem::NameOutside(99));
        refused(k::ENUM | KIND_FLAG, 1, 4, &[99, 0], 12, Problem::NameOutside(99));
        refused(k::ENUM64, 1, 4, &[99, 0, 0], 12, Problem::NameOutside(99));
        refused(k::FUNC_PROTO, 1, 0, &[0, 3], 16, unknown(3));
        refused(k::FUNC_PROTO, 1, 9, &[0, 1], 8, unknown(9));
        refused(k::VAR, 0, 3, &[0], 8, unknown(3));
        refused(k::DATASEC, 1, 0, &[3, 0, 0], 12, unknown(3));
        refused(k::DECL_TAG, 0, 3, &[0], 8, unknown(3));
        refused(k::TYPE_TAG, 0, 3, &[], 8, unknown(3));
    }
}

#[test]
fn errors_say_where_and_what() {
    let mut blob = Blob::new(Endian::Little);
    blob.add("", k::PTR, 0, 7, &[]);
    let error = Btf::parse(&blob.bytes()).unwrap_err();
    assert_eq!(error.to_string(), "BTF types, byte 0x8, type [1]: wanted an existing type, found [7]");
    assert!(size_of::<Error>() <= 40, "{}", size_of::<Error>());
}

#[test]
fn vmlinux_parses_and_every_type_has_a_meaning() {
    let Ok(bytes) = std::fs::read("/sys/kernel/btf/vmlinux") else {
        println!("skipped: vmlinux_parses_and_every_type_has_a_meaning: no /sys/kernel/btf/vmlinux");
        return;
    };
    let btf = Btf::parse(&bytes).unwrap();
    let index = NameIndex::new(&btf).unwrap();
    let task = btf.find("task_struct", Kind::Struct).unwrap();
    assert_eq!(index.find(&btf, "task_struct", Kind::Struct), Some(task));
    assert_eq!(btf.align_of(task), Ok(8));
    assert_eq!(btf.member(task, "pid").unwrap().bit_offset % 32, 0);
    let mut members = 0;
    for ty in btf.types() {
        if let Def::Struct(composite) | Def::Union(composite) = ty.def() {
            members += composite.members.iter().map(|member| member.name.len().min(1)).sum::<usize>();
            assert_eq!(btf.size_of(ty.id()), Ok(composite.size));
            btf.align_of(ty.id()).unwrap();
        }
    }
    assert!(members > 10_000, "{members}");
}
