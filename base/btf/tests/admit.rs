//! What Linux 6.18 takes through `BPF_BTF_LOAD`, and the errno with which it refuses the rest. Each line here was put
//! before that kernel, as were 180,000 mutated and random inputs.

mod common;

use common::{BOTH, Blob, KIND_FLAG, every_kind, k};
use skep_btf::{Btf, Endian, Reason, TypeId};

const E2BIG: u16 = 7;
const EEXIST: u16 = 17;
const EINVAL: u16 = 22;
const ENOTSUPP: u16 = 524;

/// What comes of types that are added behind `int` [1], `_Bool` [2] and `struct s { int a; }` [3].
fn verdict<R>(endian: Endian, add: impl Fn(&mut Blob) -> R) -> Result<(), (Reason, u16)> {
    let mut b = Blob::new(endian);
    b.int("int", 4, 1);
    b.int("_Bool", 1, 4);
    b.composite(k::STRUCT, "s", 4, &[("a", 1, 0)]);
    add(&mut b);
    let bytes = b.bytes();
    let btf = Btf::parse(&bytes).unwrap();
    btf.admit().map_err(|refusal| (refusal.reason, refusal.errno()))
}

fn admitted<R>(add: impl Fn(&mut Blob) -> R) {
    for endian in BOTH {
        assert_eq!(verdict(endian, &add), Ok(()));
    }
}

fn refused<R>(reason: Reason, errno: u16, add: impl Fn(&mut Blob) -> R) {
    for endian in BOTH {
        assert_eq!(verdict(endian, &add), Err((reason, errno)));
    }
}

fn bad<R>(reason: Reason, add: impl Fn(&mut Blob) -> R) {
    refused(reason, EINVAL, add);
}

fn looped<R>(add: impl Fn(&mut Blob) -> R) {
    refused(Reason::Loop, EEXIST, add);
}

#[test]
fn ordinary_types_are_admitted() {
    for endian in BOTH {
        let bytes = every_kind(endian).bytes();
        let btf = Btf::parse(&bytes).unwrap();
        assert_eq!(btf.admit().map_err(|refusal| refusal.to_string()), Ok(()));
    }
    admitted(|b| {
        b.add("", k::PTR, 0, 5, &[]);
        b.add("name.with.dots", k::TYPEDEF, 0, 1, &[]);
    });
    admitted(|b| b.add("?optional section", k::DATASEC, 0, 1, &[]));
}

#[test]
fn records_are_checked() {
    bad(Reason::NotZero(1), |b| b.add("", k::PTR, 1, 1, &[]));
    bad(Reason::Info(KIND_FLAG | k::PTR << 24), |b| b.add("", k::PTR | KIND_FLAG, 0, 1, &[]));
    bad(Reason::Info(k::STRUCT << 24 | 1 << 16), |b| {
        b.add("", k::STRUCT, 1 << 16, 0, &vec![0; 3 << 16]);
    });
    bad(Reason::Name, |b| b.add("x", k::PTR, 0, 1, &[]));
    bad(Reason::Name, |b| b.add("", k::TYPEDEF, 0, 1, &[]));
    bad(Reason::Name, |b| b.add("9lives", k::TYPEDEF, 0, 1, &[]));
    bad(Reason::Name, |b| b.add("with space", k::FWD, 0, 0, &[]));
    bad(Reason::Name, |b| b.add("", k::TYPE_TAG, 0, 1, &[]));
    bad(Reason::Name, |b| b.add("a\tb", k::DATASEC, 0, 1, &[]));
    bad(Reason::Name, |b| b.add(&"a".repeat(513), k::TYPEDEF, 0, 1, &[]));
    bad(Reason::IntBits(33), |b| b.add("i", k::INT, 0, 4, &[33]));
    bad(Reason::IntBits(128), |b| b.add("i", k::INT, 0, 64, &[1 << 16 | 128]));
    bad(Reason::NotZero(1), |b| b.add("i", k::INT, 0, 4, &[1 << 28 | 32]));
    refused(Reason::IntEncoding(3), ENOTSUPP, |b| b.add("i", k::INT, 0, 4, &[3 << 24 | 32]));
    refused(Reason::IntEncoding(8), ENOTSUPP, |b| b.add("i", k::INT, 0, 4, &[8 << 24 | 32]));
    bad(Reason::NotZero(4), |b| b.add("", k::ARRAY, 0, 4, &[1, 1, 1]));
    bad(Reason::Reference(TypeId(0)), |b| b.add("", k::ARRAY, 0, 0, &[0, 1, 1]));
    bad(Reason::Reference(TypeId(0)), |b| b.add("", k::ARRAY, 0, 0, &[1, 0, 1]));
    bad(Reason::NotZero(1), |b| b.add("f", k::FWD, 0, 1, &[]));
    bad(Reason::MemberPlace(1), |b| b.composite(k::STRUCT, "t", 8, &[("a", 1, 32), ("b", 1, 0)]));
    bad(Reason::MemberPlace(0), |b| b.composite(k::STRUCT, "t", 4, &[("a", 1, 33)]));
    bad(Reason::MemberPlace(0), |b| b.composite(k::UNION, "t", 8, &[("a", 1, 32)]));
    bad(Reason::Reference(TypeId(0)), |b| b.composite(k::STRUCT, "t", 8, &[("a", 0, 0)]));
    bad(Reason::Size(3), |b| b.add("e", k::ENUM, 0, 3, &[]));
    bad(Reason::Size(16), |b| b.add("e", k::ENUM64, 0, 16, &[]));
    bad(Reason::Name, |b| b.add("e", k::ENUM, 1, 4, &[0, 0]));
    bad(Reason::Size(3), |b| b.add("f", k::FLOAT, 0, 3, &[]));
    bad(Reason::Linkage(2), |b| b.add("v", k::VAR, 0, 1, &[2]));
    bad(Reason::Linkage(2), |b| {
        b.add("", k::FUNC_PROTO, 0, 0, &[]);
        b.add("f", k::FUNC, 2, 4, &[]);
    });
    bad(Reason::Size(0), |b| b.add(".data", k::DATASEC, 0, 0, &[]));
    bad(Reason::Component(0x8000_0000), |b| b.add("t", k::DECL_TAG, 0, 3, &[0x8000_0000]));
}

#[test]
fn sections_hold_variables_in_order() {
    let section = |places: &'static [u32]| {
        move |b: &mut Blob| {
            b.add("v", k::VAR, 0, 1, &[1]);
            b.add("w", k::VAR, 0, 1, &[1]);
            b.add(".data", k::DATASEC, places.len() as u32 / 3, 16, places);
        }
    };
    admitted(section(&[4, 0, 4, 5, 8, 8]));
    let bad = |reason, places| bad(reason, section(places));
    bad(Reason::VarPlace(1), &[4, 0, 4, 5, 2, 4]);
    bad(Reason::VarPlace(1), &[4, 4, 4, 5, 0, 4]);
    bad(Reason::VarPlace(0), &[4, 14, 4]);
    bad(Reason::VarPlace(0), &[4, 0, 0]);
    bad(Reason::VarType(0), &[4, 0, 3]);
    bad(Reason::VarType(0), &[1, 0, 4]);
    bad(Reason::Reference(TypeId(0)), &[0, 0, 4]);
}

#[test]
fn members_have_room() {
    let member = |kind, size, ty, offset| {
        move |b: &mut Blob| {
            b.add("", k::PTR, 0, 1, &[]); // 4
            b.add("", k::ARRAY, 0, 0, &[1, 1, 3]); // 5
            b.add("d", k::FLOAT, 0, 8, &[]); // 6
            b.add("", k::CONST, 0, 5, &[]); // 7
            b.add("f", k::FWD, 0, 0, &[]); // 8
            b.add("e", k::ENUM, 0, 4, &[]); // 9
            b.add("odd", k::INT, 0, 4, &[7]); // 10
            b.composite(kind, "t", size, &[("m", ty, offset)]);
        }
    };
    let flagged = k::STRUCT | KIND_FLAG;
    let wide = |bits: u32, offset: u32| bits << 24 | offset;
    for (kind, size, ty, offset) in [
        (k::STRUCT, 8, 4, 0),
        (k::STRUCT, 13, 5, 8),
        (k::STRUCT, 16, 6, 64),
        (k::STRUCT, 12, 7, 0),
        (k::STRUCT, 1, 10, 1),
        (flagged, 4, 1, wide(3, 29)),
        (flagged, 4, 9, wide(32, 0)),
    ] {
        admitted(member(kind, size, ty, offset));
    }
    for (kind, size, ty, offset) in [
        (k::STRUCT, 7, 4, 0),
        (k::STRUCT, 12, 4, 4),
        (k::STRUCT, 12, 5, 8),
        (k::STRUCT, 16, 6, 32),
        (k::STRUCT, 11, 7, 0),
        (k::STRUCT, 1, 10, 2),
        (k::STRUCT, 3, 3, 0),
        (flagged, 4, 1, wide(4, 29)),
        (flagged, 8, 1, wide(33, 0)),
        (flagged, 8, 9, wide(33, 0)),
        (flagged, 8, 1, 1),
        (flagged, 8, 10, 0),
        (flagged, 8, 4, wide(8, 0)),
    ] {
        refused(Reason::MemberPlace(0), EINVAL, member(kind, size, ty, offset));
    }
    refused(Reason::MemberType(0), EINVAL, member(k::STRUCT, 8, 8, 0));
}

#[test]
fn references_end_and_make_sense() {
    looped(|b| b.add("t", k::TYPEDEF, 0, 4, &[]));
    looped(|b| b.add("", k::PTR, 0, 4, &[]));
    looped(|b| b.composite(k::STRUCT, "t", 8, &[("a", 4, 0)]));
    looped(|b| b.add("", k::ARRAY, 0, 0, &[4, 1, 1]));
    looped(|b| {
        b.add("", k::CONST, 0, 5, &[]);
        b.add("", k::PTR, 0, 4, &[]);
    });
    // A list is no loop: the pointer stops it.
    admitted(|b| {
        b.composite(k::STRUCT, "list", 8, &[("next", 5, 0)]);
        b.add("", k::PTR, 0, 4, &[]);
    });
    let chain = |len: u32| {
        move |b: &mut Blob| {
            for id in 4..4 + len {
                b.add("", k::CONST, 0, if id + 1 == 4 + len { 1 } else { id + 1 }, &[]);
            }
        }
    };
    admitted(chain(32));
    refused(Reason::TooDeep, E2BIG, chain(33));
    bad(Reason::Target, |b| {
        b.add("v", k::VAR, 0, 1, &[1]);
        b.add("", k::PTR, 0, 4, &[]);
    });
    bad(Reason::Target, |b| {
        b.add("f", k::FWD, 0, 0, &[]);
        b.add("v", k::VAR, 0, 4, &[1]);
    });
    bad(Reason::ArrayIndex, |b| b.add("", k::ARRAY, 0, 0, &[1, 3, 1]));
    bad(Reason::ArrayElement, |b| {
        b.add("f", k::FWD, 0, 0, &[]);
        b.add("", k::ARRAY, 0, 0, &[4, 1, 1]);
    });
    bad(Reason::ArrayElement, |b| b.add("", k::ARRAY, 0, 0, &[1, 1, 1 << 30]));
    bad(Reason::Target, |b| b.add("f", k::FUNC, 1, 1, &[]));
    bad(Reason::Target, |b| b.add("t", k::DECL_TAG, 0, 1, &[u32::MAX]));
    bad(Reason::Component(1), |b| b.add("t", k::DECL_TAG, 0, 3, &[1]));
    bad(Reason::TagOrder, |b| {
        b.add("tag", k::TYPE_TAG, 0, 1, &[]);
        b.add("", k::CONST, 0, 4, &[]);
    });
    admitted(|b| {
        b.add("", k::CONST, 0, 1, &[]);
        b.add("tag", k::TYPE_TAG, 0, 4, &[]);
    });
}

#[test]
fn functions_name_and_type_their_parameters() {
    let proto = |ret: u32, params: &'static [(&'static str, u32)], kind: u32| {
        move |b: &mut Blob| {
            let mut words = Vec::new();
            for &(name, ty) in params {
                words.extend([b.string(name), ty]);
            }
            b.add("", k::FUNC_PROTO, params.len() as u32, ret, &words);
            if kind == k::FUNC {
                b.add("f", k::FUNC, 1, 4, &[]);
            }
        }
    };
    admitted(proto(1, &[("a", 1), ("", 0)], k::FUNC));
    admitted(proto(0, &[("", 1)], k::FUNC_PROTO));
    let bad = |reason, ret, params, kind| bad(reason, proto(ret, params, kind));
    bad(Reason::Param(0), 0, &[("", 1)], k::FUNC);
    bad(Reason::Param(0), 0, &[("", 0), ("b", 1)], k::FUNC_PROTO);
    bad(Reason::Param(1), 0, &[("a", 1), ("rest", 0)], k::FUNC_PROTO);
    bad(Reason::Param(0), 0, &[("9", 1)], k::FUNC_PROTO);
    bad(Reason::Return, 4, &[], k::FUNC_PROTO);
}

#[test]
fn headers_and_sections_have_no_gaps() {
    let blob = every_kind(Endian::Little);
    let (types, strings) = (blob.types.len() as u32, blob.strings.len() as u32);
    let verdict = |header: &[u32], parts: &[&[u8]]| {
        let bytes = [&[blob.header(header)], &parts.iter().map(|part| part.to_vec()).collect::<Vec<_>>()[..]]
            .concat();
        match Btf::parse(&bytes.concat()) {
            Ok(btf) => btf.admit().map_err(|refusal| refusal.errno()),
            Err(error) => Err(error.errno()),
        }
    };
    let (t, s) = (&blob.types[..], &blob.strings[..]);
    assert_eq!(verdict(&[0, types, types, strings], &[t, s]), Ok(()));
    assert_eq!(verdict(&[0, types, types, strings, 0, 0, 0], &[t, s]), Ok(()));
    assert_eq!(verdict(&[0, types, types, strings], &[t, s, &[0]]), Err(EINVAL), "bytes behind");
    assert_eq!(verdict(&[4, types, types + 4, strings], &[&[0; 4], t, s]), Err(EINVAL), "bytes before");
    assert_eq!(verdict(&[0, types, types + 4, strings], &[t, &[0; 4], s]), Err(EINVAL), "bytes between");
    assert_eq!(verdict(&[strings, types, 0, strings], &[s, t]), Err(EINVAL), "strings first");
    assert_eq!(verdict(&[0, 0, 0, strings], &[s]), Err(EINVAL), "no types");
    assert_eq!(verdict(&[0, types, types, strings, 0, 0, 1], &[t, s]), Err(E2BIG));
    assert_eq!(verdict(&[0, types, types, strings, types + strings, 4], &[t, s, &[0; 4]]), Err(E2BIG));
    let mut bytes = blob.bytes();
    bytes[2] = 2;
    assert_eq!(Btf::parse(&bytes).unwrap_err().errno(), ENOTSUPP);
    bytes[0] = 0;
    assert_eq!(Btf::parse(&bytes).unwrap_err().errno(), EINVAL);
}

#[test]
fn refusals_say_where_and_what() {
    let mut b = Blob::new(Endian::Little);
    b.int("int", 4, 1);
    b.add("t", k::TYPEDEF, 0, 2, &[]);
    let bytes = b.bytes();
    let refusal = Btf::parse(&bytes).unwrap().admit().unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "BTF types, byte 0x10, type [2]: wanted a finite type, found one that contains itself"
    );
}
