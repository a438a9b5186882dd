//! BTF that is skimmed says what BTF that is parsed says, and answers whatever its bytes are.

mod common;

use common::{BOTH, Blob, every_kind, k};
use proptest::prelude::*;
use skep_btf::core::{Candidate, Candidates, essential_name};
use skep_btf::{Answer, Btf, Endian, Kind, Look, Names, Problem, Type, TypeId};
use std::sync::Arc;

/// Looks at every type in order, at random and by name, in both.
fn compare(bytes: &[u8]) {
    let (parsed, skimmed) = (Btf::parse(bytes).unwrap(), Btf::skim(bytes.to_vec()).unwrap());
    same(&parsed, &skimmed);
}

fn same(parsed: &Btf<'_>, skimmed: &Btf<'_>) {
    assert_eq!(parsed.len(), skimmed.len());
    let pairs = parsed.types().zip(skimmed.types());
    assert!(pairs.clone().all(|(a, b)| (a.id(), a.bytes(), a.name()) == (b.id(), b.bytes(), b.name())));
    assert_eq!(pairs.count() as u32, parsed.len() - 1);
    for ty in parsed.types().step_by(7) {
        assert_eq!(skimmed.get(ty.id()).map(|other| other.bytes()), Some(ty.bytes()));
        assert_eq!(parsed.size_of(ty.id()), skimmed.size_of(ty.id()));
    }
    assert_eq!(
        parsed.own_types().map(|ty| ty.id()).collect::<Vec<_>>(),
        skimmed.own_types().map(|ty| ty.id()).collect::<Vec<_>>()
    );
    assert!(skimmed.get(TypeId(parsed.len())).is_none() && skimmed.get(TypeId(u32::MAX)).is_none());
}

/// More types than one step of the index.
fn many(endian: Endian) -> Blob {
    let mut blob = every_kind(endian);
    for number in 0..100 {
        let int = blob.int(&format!("int{number}"), 4, 1);
        blob.composite(k::STRUCT, &format!("s{number}"), 8, &[("a", int, 0), ("b", int, 32)][..number % 3]);
    }
    blob
}

#[test]
fn it_says_the_same_in_both_byte_orders() {
    for endian in BOTH {
        compare(&Blob::new(endian).bytes());
        compare(&every_kind(endian).bytes());
        compare(&many(endian).bytes());
        let skimmed = Btf::skim(many(endian).bytes()).unwrap();
        assert_eq!(skimmed.find("s99", Kind::Struct), Some(TypeId(skimmed.len() - 1)));
    }
}

#[test]
fn it_says_the_same_of_split_btf() {
    let base = many(Endian::Little);
    let (next, strings) = (base.next, base.strings.len() as u32);
    let mut own = Blob::new(Endian::Little);
    own.strings.clear();
    own.next = next;
    for _ in 0..70 {
        own.add("", k::PTR, 0, next - 1, &[]);
    }
    let bytes = own.bytes();
    let parsed = Btf::parse_split(&bytes, Arc::new(Btf::from_vec(base.bytes()).unwrap())).unwrap();
    let skimmed = Btf::skim_split(bytes.clone(), Arc::new(Btf::skim(base.bytes()).unwrap())).unwrap();
    same(&parsed, &skimmed);
    assert_eq!(skimmed.string(skep_btf::StrOff(strings)), None);
}

#[test]
fn it_says_the_same_of_the_running_kernel() {
    match std::fs::read("/sys/kernel/btf/vmlinux") {
        Ok(bytes) => compare(&bytes),
        Err(error) => println!("skipped: it_says_the_same_of_the_running_kernel: {error}"),
    }
}

#[test]
fn what_was_not_looked_at_is_found_when_it_is_asked_for() {
    let mut blob = Blob::new(Endian::Little);
    let nowhere = blob.add("", k::PTR, 0, 77, &[]);
    let loops = blob.add("t", k::TYPEDEF, 0, 2, &[]);
    let text = blob.strings.len() as u32;
    blob.strings.extend([0xff, 0]);
    let long = blob.strings.len() as u32;
    blob.strings.extend([b'x'; 5000]);
    blob.strings.push(0);
    for name in [text, long, 0x00ff_ffff] {
        blob.types.extend([name, k::INT << 24, 4, 32].iter().flat_map(|word| word.to_le_bytes()));
    }
    let btf = Btf::skim(blob.bytes()).unwrap();
    let target = btf.ty(TypeId(nowhere)).unwrap().def();
    assert!(matches!(target, skep_btf::Def::Ptr(TypeId(77))));
    assert_eq!(btf.resolve(TypeId(77)).unwrap_err().problem, Problem::UnknownType(TypeId(77)));
    assert_eq!(btf.resolve(TypeId(loops)).unwrap_err().problem, Problem::Loop);
    for id in 3..6 {
        assert_eq!(btf.ty(TypeId(id)).unwrap().name(), "", "{id}");
    }
    // Where records start is looked at.
    let mut cut = many(Endian::Little);
    cut.types.truncate(cut.types.len() - 4);
    assert!(matches!(Btf::skim(cut.bytes()).unwrap_err().problem, Problem::Short { .. }));
}

/// What one look finds, of every name that there is and of some that there are not.
fn look(bytes: Vec<u8>) {
    let btf = Btf::from_vec(bytes.clone()).unwrap();
    let named = || btf.types().filter(|ty| !ty.name().is_empty());
    let asked = named().map(|ty| (ty.name().to_owned(), ty.kind().unwrap()));
    let absent = ["s", "s1_", "s100", "int9 "].map(|name| (name.to_owned(), Kind::Struct));
    let mut names = Names::new(asked.chain(absent)).unwrap();
    let mut candidates = Candidates::new(&btf, btf.types().map(|ty| ty.id())).unwrap();
    let mut later = candidates.clone();
    let mut both = Look::nothing().names(&mut names).candidates(&mut candidates, 3);
    let skimmed = Btf::skim_for(Arc::new(bytes), &mut both).unwrap();
    same(&btf, &skimmed);
    later.search(3, &skimmed).unwrap();

    let is_enum = |ty: &Type<'_>| matches!(ty.kind(), Some(Kind::Enum | Kind::Enum64));
    for ty in btf.types() {
        let found = names.of(ty.name(), ty.kind().unwrap());
        let first = named().find(|other| (other.name(), other.kind()) == (ty.name(), ty.kind()));
        assert_eq!(found, first.map_or(Answer::NotAsked, |first| Answer::Found(first.id())), "{ty:?}");
        let alike = named().filter(|other| ty.kind() == other.kind() || (is_enum(&ty) && is_enum(other)));
        let alike = alike.filter(|other| essential_name(other.name()) == essential_name(ty.name()));
        let wanted: Vec<_> = alike.map(|other| Candidate { source: 3, type_id: other.id() }).collect();
        assert_eq!(candidates.of(ty.id()), Some(&wanted[..]), "{ty:?}");
        assert_eq!(later.of(ty.id()), Some(&wanted[..]), "{ty:?}");
    }
    assert_eq!(names.of("s100", Kind::Struct), Answer::Nobodys);
    assert_eq!(names.of("s1", Kind::Enum), Answer::NotAsked);
}

#[test]
fn one_look_finds_what_each_question_finds() {
    for endian in BOTH {
        let mut blob = many(endian);
        let names = [
            "s1",
            "s1___old",
            "ab",
            "ab___1",
            "a",
            "a___b",
            "a___b___c",
            "longer_than_that",
            "longer_than_that___9",
        ];
        for name in names {
            blob.composite(k::STRUCT, name, 0, &[]);
            blob.composite(k::UNION, name, 0, &[]);
        }
        look(blob.bytes());
    }
}

proptest! {
    /// Whatever becomes of the bytes, each question has an answer.
    #[test]
    fn any_bytes_have_answers(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12)) {
        let mut bytes = many(Endian::Little).bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let Ok(btf) = Btf::skim(bytes) else { return Ok(()) };
        prop_assert!(btf.types().count() as u32 == btf.len() - 1);
        for ty in btf.types() {
            let _ = (ty.name(), btf.size_of(ty.id()), btf.align_of(ty.id()), btf.resolve(ty.id()).map(|ty| ty.id()));
            let _ = btf.member(ty.id(), "a");
            let _ = format!("{:?}", ty.def());
        }
    }
}
