//! Types that mean the same become one, and no other does.

mod common;

use common::{BOTH, Blob, every_kind, k};
use proptest::prelude::*;
use skep_btf::{Btf, Builder, CoreRelocKind, Def, Endian, Ext, ExtBuilder, Kind, Problem, StrOff, TypeId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many types of each kind there are.
fn census(btf: &Btf<'_>) -> BTreeMap<Kind, usize> {
    let mut census = BTreeMap::new();
    btf.own_types().for_each(|ty| *census.entry(ty.kind().unwrap()).or_default() += 1);
    census
}

fn merged(parts: &[&Btf<'_>]) -> Btf<'static> {
    let mut builder = Builder::new(parts[0].endian());
    for part in parts {
        builder.append(part).unwrap();
    }
    Btf::from_vec(builder.finish().unwrap()).unwrap()
}

fn deduped(btf: &Btf<'_>) -> Btf<'static> {
    Btf::from_vec(btf.dedup(None).unwrap().bytes).unwrap()
}

fn read(blob: &Blob) -> Btf<'static> {
    Btf::from_vec(blob.bytes()).unwrap()
}

/// Makes two BTFs by the same hand, and what is left of both together.
fn of_two(first: impl Fn(&mut Blob), second: impl Fn(&mut Blob)) -> Btf<'static> {
    let (mut a, mut b) = (Blob::new(Endian::Little), Blob::new(Endian::Little));
    first(&mut a);
    second(&mut b);
    deduped(&merged(&[&read(&a), &read(&b)]))
}

#[test]
fn twice_the_same_is_once() {
    for endian in BOTH {
        let once = read(&every_kind(endian));
        let left = deduped(&merged(&[&once, &once, &once]));
        let mut wanted = census(&once);
        // What is an instance and not a type stays.
        *wanted.get_mut(&Kind::Var).unwrap() *= 3;
        *wanted.get_mut(&Kind::Datasec).unwrap() *= 3;
        assert_eq!(census(&left), wanted);
        assert_eq!(left.endian(), endian);
    }
}

#[test]
fn strings_that_nothing_needs_are_gone() {
    let mut blob = Blob::new(Endian::Little);
    blob.string("nobody needs this");
    blob.int("int", 4, 1);
    blob.string("int");
    let left = deduped(&read(&blob));
    assert!(left.bytes().ends_with(b"\0int\0"));
    assert_eq!(left.bytes().len(), 24 + 16 + 5);
}

/// Records may refer into the middle of a string; what is equal is merged, and nothing is written out longer.
#[test]
fn names_may_share_bytes() {
    let mut blob = Blob::new(Endian::Little);
    let whole = blob.int("__int", 4, 1);
    let name = Btf::from_vec(blob.bytes()).unwrap().ty(TypeId(whole)).unwrap().name_off();
    blob.int("int", 4, 1);
    let at = blob.types.len();
    blob.int("", 4, 1);
    blob.types[at..at + 4].copy_from_slice(&(name.0 + 2).to_le_bytes());
    let left = deduped(&read(&blob));
    assert_eq!(left.types().map(|ty| ty.name().to_owned()).collect::<Vec<_>>(), ["__int", "int"]);
}

#[test]
fn declarations_become_what_they_declare() {
    // struct list { struct item *first; } with `item` declared here and defined there.
    let left = of_two(
        |b| {
            let item = b.add("item", k::FWD, 0, 0, &[]);
            let ptr = b.add("", k::PTR, 0, item, &[]);
            b.composite(k::STRUCT, "list", 8, &[("first", ptr, 0)]);
        },
        |b| {
            let int = b.int("int", 4, 1);
            let item = b.composite(k::STRUCT, "item", 4, &[("value", int, 0)]);
            let ptr = b.add("", k::PTR, 0, item, &[]);
            b.composite(k::STRUCT, "list", 8, &[("first", ptr, 0)]);
        },
    );
    assert_eq!(
        census(&left),
        BTreeMap::from([(Kind::Int, 1), (Kind::Ptr, 1), (Kind::Struct, 2)]),
        "{left:?}"
    );
    let list = left.find("list", Kind::Struct).unwrap();
    let first = left.member(list, "first").unwrap();
    let Def::Ptr(item) = left.ty(first.type_id).unwrap().def() else { panic!() };
    assert_eq!(left.size_of(item).unwrap(), 4);
}

#[test]
fn a_declaration_without_company_finds_the_only_definition() {
    let declared = |b: &mut Blob| {
        let item = b.add("item", k::FWD, 0, 0, &[]);
        b.add("", k::PTR, 0, item, &[]);
    };
    let left = of_two(declared, |b| {
        b.composite(k::STRUCT, "item", 4, &[]);
    });
    assert_eq!(census(&left), BTreeMap::from([(Kind::Ptr, 1), (Kind::Struct, 1)]));
    // Not if there are two, nor if it is a union.
    let left = of_two(declared, |b| {
        b.composite(k::STRUCT, "item", 4, &[]);
        b.composite(k::STRUCT, "item", 8, &[]);
    });
    assert_eq!(census(&left)[&Kind::Fwd], 1);
    let left = of_two(declared, |b| {
        b.composite(k::UNION, "item", 4, &[]);
    });
    assert_eq!(census(&left)[&Kind::Fwd], 1);
}

/// Two structs of one name, of which one stands behind the pair that is compared and is not yet merged with anything.
fn two_items(b: &mut Blob) {
    let next = b.next;
    b.composite(k::STRUCT, "item", 0, &[]);
    b.composite(k::STRUCT, "pair", 16, &[("m", next + 3, 0), ("m", next + 4, 64)]);
    b.composite(k::STRUCT, "item", 4, &[]);
    b.add("", k::PTR, 0, next, &[]);
    b.add("", k::PTR, 0, next + 2, &[]);
}

/// The same with one declaration for both.
fn one_declared_item(b: &mut Blob) {
    let item = b.add("item", k::FWD, 0, 0, &[]);
    let ptr = b.add("", k::PTR, 0, item, &[]);
    b.composite(k::STRUCT, "pair", 16, &[("m", ptr, 0), ("m", ptr, 64)]);
}

#[test]
fn a_declaration_is_of_one_struct() {
    for declared_first in [true, false] {
        let left = match declared_first {
            true => of_two(one_declared_item, two_items),
            false => of_two(two_items, one_declared_item),
        };
        let sizes = |name| -> Vec<_> {
            let named = left.types().filter(|ty| ty.name() == name && ty.kind() == Some(Kind::Struct));
            named.map(|ty| left.size_of(ty.id()).unwrap()).collect()
        };
        assert_eq!(sizes("pair"), [16, 16]);
        let mut items = sizes("item");
        items.sort_unstable();
        assert_eq!(items, [0, 4]);
        assert_eq!(census(&left)[&Kind::Fwd], 1);
        assert_eq!(census(&left)[&Kind::Ptr], 3);
    }
}

/// It is, if what it stands for twice becomes one.
#[test]
fn a_declaration_is_of_what_is_twice_the_same() {
    let twice = |b: &mut Blob| {
        let next = b.next;
        b.composite(k::STRUCT, "pair", 16, &[("m", next + 3, 0), ("m", next + 4, 64)]);
        b.composite(k::STRUCT, "item", 4, &[]);
        b.composite(k::STRUCT, "item", 4, &[]);
        b.add("", k::PTR, 0, next + 1, &[]);
        b.add("", k::PTR, 0, next + 2, &[]);
    };
    let wanted = BTreeMap::from([(Kind::Ptr, 1), (Kind::Struct, 2)]);
    assert_eq!(census(&of_two(one_declared_item, twice)), wanted);
    assert_eq!(census(&of_two(twice, one_declared_item)), wanted);
}

#[test]
fn structs_differ_by_what_their_members_are() {
    let list = |size: u32| {
        move |b: &mut Blob| {
            let int = b.int("number", size, 1);
            let item = b.composite(k::STRUCT, "item", 8, &[("value", int, 0)]);
            let ptr = b.add("", k::PTR, 0, item, &[]);
            b.composite(k::STRUCT, "list", 8, &[("first", ptr, 0)]);
        }
    };
    assert_eq!(census(&of_two(list(4), list(4)))[&Kind::Struct], 2);
    assert_eq!(census(&of_two(list(4), list(8)))[&Kind::Struct], 4);
}

#[test]
fn structs_that_refer_to_each_other_are_merged() {
    let ring = |b: &mut Blob| {
        // a -> *b, b -> *a; identifiers of what follows.
        let next = b.next;
        b.composite(k::STRUCT, "a", 8, &[("b", next + 2, 0)]);
        b.composite(k::STRUCT, "b", 8, &[("a", next + 3, 0)]);
        b.add("", k::PTR, 0, next + 1, &[]);
        b.add("", k::PTR, 0, next, &[]);
    };
    let left = of_two(ring, ring);
    assert_eq!(census(&left), BTreeMap::from([(Kind::Ptr, 2), (Kind::Struct, 2)]));
}

#[test]
fn one_type_may_stand_for_several() {
    // Compilers may describe one array twice within a struct; there is but one in the other file.
    let grid = |arrays: usize| {
        move |b: &mut Blob| {
            let int = b.int("int", 4, 1);
            let ids: Vec<_> = (0..arrays).map(|_| b.add("", k::ARRAY, 0, 0, &[int, int, 4])).collect();
            b.composite(k::STRUCT, "grid", 32, &[("x", ids[0], 0), ("y", ids[arrays - 1], 128)]);
        }
    };
    let wanted = BTreeMap::from([(Kind::Int, 1), (Kind::Array, 1), (Kind::Struct, 1)]);
    assert_eq!(census(&of_two(grid(1), grid(2))), wanted);
    assert_eq!(census(&of_two(grid(2), grid(1))), wanted);
}

#[test]
fn enumerations_without_values_are_declarations() {
    for first_is_full in [true, false] {
        let full = |b: &mut Blob| {
            let (name, mode) = (b.string("ON"), b.next);
            b.add("mode", k::ENUM64, 1, 8, &[name, 1, 0]);
            b.add("", k::PTR, 0, mode, &[]);
        };
        let declared = |b: &mut Blob| {
            let mode = b.add("mode", k::ENUM, 0, 4, &[]);
            b.add("", k::PTR, 0, mode, &[]);
        };
        let left = if first_is_full { of_two(full, declared) } else { of_two(declared, full) };
        assert_eq!(census(&left), BTreeMap::from([(Kind::Enum64, 1), (Kind::Ptr, 1)]));
    }
}

#[test]
fn split_btf_takes_from_its_base() {
    for endian in BOTH {
        let base = Arc::new(read(&every_kind(endian)));
        let mut builder = Builder::split(&base);
        // A copy of everything, whose references go to the copies.
        let (first, delta) = (base.len(), base.len() - 1);
        for ty in base.types() {
            builder.copy(ty, |id| if id.is_void() { id } else { TypeId(id.0 + delta) });
        }
        builder.float("half", 2);
        let split = Btf::from_vec_split(builder.finish().unwrap(), Arc::clone(&base)).unwrap();
        let result = split.dedup(None).unwrap();
        let left = Btf::from_vec_split(result.bytes, Arc::clone(&base)).unwrap();
        let wanted = BTreeMap::from([(Kind::Float, 1), (Kind::Var, 2), (Kind::Datasec, 1)]);
        assert_eq!(census(&left), wanted);
        let event = base.find("event", Kind::Struct).unwrap();
        assert_eq!(result.numbers.id(TypeId(event.0 + delta)), Some(event));
        assert_eq!(result.numbers.id(event), Some(event));
        assert_eq!(left.first_own().0, first);
    }
}

/// A declaration in the base is never taken for what the split BTF defines: the base would have to change.
#[test]
fn what_only_the_base_declares_stays_apart() {
    let list = |b: &mut Builder, item: TypeId| {
        let ptr = b.ptr(item);
        let member = skep_btf::Member { name: "first", type_id: ptr, bit_offset: 0, bitfield: None };
        b.structure("list", 8, &[member])
    };
    let mut base = Builder::new(Endian::Little);
    let item = base.fwd("item", skep_btf::FwdKind::Struct);
    list(&mut base, item);
    let base = Arc::new(Btf::from_vec(base.finish().unwrap()).unwrap());
    let mut split = Builder::split(&base);
    let item = split.structure("item", 4, &[]);
    let old_list = list(&mut split, item);
    let declared = split.fwd("item", skep_btf::FwdKind::Struct);
    let split = Btf::from_vec_split(split.finish().unwrap(), Arc::clone(&base)).unwrap();
    let result = split.dedup(None).unwrap();
    let left = Btf::from_vec_split(result.bytes, base).unwrap();
    let item = left.find("item", Kind::Struct).unwrap();
    assert_eq!(census(&left), BTreeMap::from([(Kind::Ptr, 1), (Kind::Struct, 2)]));
    assert_eq!(result.numbers.id(declared), Some(item));
    let first = left.member(result.numbers.id(old_list).unwrap(), "first").unwrap();
    assert!(matches!(left.ty(first.type_id).unwrap().def(), Def::Ptr(target) if target == item));
}

/// However often: what the declaration has been found to be does not change the base either.
#[test]
fn what_the_base_declares_twice_stays_apart_twice() {
    let holders = |b: &mut Builder, item: TypeId| {
        let ptr = b.ptr(item);
        ["list", "box"].map(|name| {
            let member = skep_btf::Member { name: "first", type_id: ptr, bit_offset: 0, bitfield: None };
            b.structure(name, 8, &[member])
        })
    };
    let mut base = Builder::new(Endian::Little);
    let item = base.fwd("item", skep_btf::FwdKind::Struct);
    holders(&mut base, item);
    let base = Arc::new(Btf::from_vec(base.finish().unwrap()).unwrap());
    let mut split = Builder::split(&base);
    let item = split.structure("item", 4, &[]);
    let old = holders(&mut split, item);
    let split = Btf::from_vec_split(split.finish().unwrap(), Arc::clone(&base)).unwrap();
    let result = split.dedup(None).unwrap();
    let left = Btf::from_vec_split(result.bytes, Arc::clone(&base)).unwrap();
    assert_eq!(census(&left), BTreeMap::from([(Kind::Ptr, 1), (Kind::Struct, 3)]));
    for id in old {
        let first = left.member(result.numbers.id(id).unwrap(), "first").unwrap();
        let Def::Ptr(target) = left.ty(first.type_id).unwrap().def() else { panic!() };
        assert_eq!(left.size_of(target).unwrap(), 4);
    }
}

#[test]
fn records_of_ext_follow() {
    for endian in BOTH {
        let once = read(&every_kind(endian));
        let mut types = Builder::new(endian);
        let first = types.append(&once).unwrap();
        let second = types.append(&once).unwrap();
        let mut ext = ExtBuilder::new(endian);
        let names: Vec<StrOff> =
            [&b"xdp"[..], b"a.c", b"return 0;\xff", b"0:1"].iter().map(|text| types.string(text)).collect();
        for numbers in [&first, &second] {
            let id = |id| numbers.id(TypeId(id)).unwrap();
            ext.push_func(names[0], skep_btf::FuncInfo { insn_off: 8, type_id: id(17) });
            let line =
                skep_btf::LineInfo { insn_off: 0, file_name: names[1], line: names[2], line_col: 1025 };
            ext.push_line(names[0], line);
            let kind = CoreRelocKind::FieldByteOffset;
            ext.push_core(
                names[0],
                skep_btf::CoreRelo { insn_off: 16, type_id: id(9), access: names[3], kind },
            );
        }
        let both = Btf::from_vec(types.finish().unwrap()).unwrap();
        let ext = ext.finish().unwrap();
        let result = both.dedup(Some(&Ext::parse(&ext, &both).unwrap())).unwrap();
        let left = Btf::parse(&result.bytes).unwrap();
        let ext = result.ext.unwrap();
        let ext = Ext::parse(&ext, &left).unwrap();
        let name = |id| left.ty(id).unwrap().name().to_owned();
        let funcs: Vec<_> = ext.func_info().named(&left, "xdp").unwrap().collect();
        assert_eq!((funcs.len(), name(funcs[1].type_id).as_str()), (2, "prog"));
        assert_eq!(funcs[0], funcs[1]);
        let line = ext.line_info().named(&left, "xdp").unwrap().next().unwrap();
        assert_eq!(left.string(line.line), Some(&b"return 0;\xff"[..]));
        assert_eq!(left.string(line.file_name), Some(&b"a.c"[..]));
        let core = ext.core_relos().named(&left, "xdp").unwrap().nth(1).unwrap();
        assert_eq!((name(core.type_id).as_str(), left.text(core.access).as_deref()), ("event", Some("0:1")));
    }
}

#[test]
fn what_cannot_be_appended_is_refused() {
    let little = read(&every_kind(Endian::Little));
    let problem = Builder::new(Endian::Big).append(&little).unwrap_err().problem;
    assert_eq!(problem, Problem::MixedEndian);
    let base = Arc::new(little);
    let split = Builder::split(&base).finish().unwrap();
    let split = Btf::from_vec_split(split, base).unwrap();
    let problem = Builder::new(Endian::Little).append(&split).unwrap_err().problem;
    assert_eq!(problem, Problem::OtherBase);
}

#[test]
fn a_loop_without_a_struct_is_refused() {
    let mut blob = Blob::new(Endian::Little);
    blob.add("", k::PTR, 0, 2, &[]);
    blob.add("", k::CONST, 0, 1, &[]);
    assert_eq!(read(&blob).dedup(None).unwrap_err().problem, Problem::Loop);
}

/// Nobody has looked at the references of what was skimmed.
#[test]
fn what_is_not_there_is_refused() {
    let mut blob = Blob::new(Endian::Little);
    blob.add("", k::PTR, 0, 7, &[]);
    let skimmed = Btf::skim(blob.bytes()).unwrap();
    let wanted = Problem::UnknownType(TypeId(7));
    assert_eq!(skimmed.dedup(None).unwrap_err().problem, wanted);
    assert_eq!(Builder::new(Endian::Little).append(&skimmed).unwrap_err().problem, wanted);
}

/// Structs of one shape that all differ, far behind a pointer: work grows with their square, and is bounded.
#[test]
fn work_is_bounded() {
    let mut blob = Blob::new(Endian::Little);
    for size in 0..3_000 {
        let item = blob.composite(k::STRUCT, "item", size, &[]);
        blob.types.truncate(blob.types.len() - 12);
        blob.next -= 1;
        let name = 1u32;
        let words = [name, k::STRUCT << 24, size];
        words.iter().for_each(|word| blob.types.extend(word.to_le_bytes()));
        blob.next += 1;
        let ptr = blob.add("", k::PTR, 0, item, &[]);
        let words = [name, k::STRUCT << 24 | 1, 8, 0, ptr, 0];
        words.iter().for_each(|word| blob.types.extend(word.to_le_bytes()));
        blob.next += 1;
    }
    assert_eq!(read(&blob).dedup(None).unwrap_err().problem, Problem::TooComplex);
}

/// The size and alignment of every type, and the members of those that have them.
fn layouts_are_kept(old: &Btf<'_>, numbers: &skep_btf::Renumbered, new: &Btf<'_>) {
    for ty in old.types() {
        let id = numbers.id(ty.id()).unwrap();
        let now = new.ty(id).unwrap();
        match (ty.def(), now.def()) {
            // What was but declared has a layout now; so may have what contains it, by value or not at all.
            (Def::Fwd(_), _) => continue,
            (Def::Enum(values), _) if values.is_empty() => continue,
            _ => {}
        }
        assert_eq!((ty.kind(), ty.name()), (now.kind(), now.name()));
        if let (Ok(before), Ok(after)) = (ty.as_composite(), now.as_composite()) {
            let members = |composite: skep_btf::Composite<'_>| {
                let each = composite.members.iter();
                each.map(|member| (member.name.to_owned(), member.bit_offset, member.bitfield))
                    .collect::<Vec<_>>()
            };
            assert_eq!((before.size, members(before)), (after.size, members(after)));
        }
    }
}

/// Random graphs of few names, so that much is alike: kind, name, and what it refers to.
fn graph() -> impl Strategy<Value = Vec<(u8, u8, Vec<u8>)>> {
    prop::collection::vec((0u8..9, 0u8..3, prop::collection::vec(any::<u8>(), 0..3)), 1..24)
}

fn build(graph: &[(u8, u8, Vec<u8>)], endian: Endian) -> Btf<'static> {
    let mut b = Blob::new(endian);
    let len = graph.len() as u32;
    for (kind, name, targets) in graph {
        let name = ["a", "b", "c"][usize::from(*name)];
        let target = |index: usize| targets.get(index).map_or(0, |&target| u32::from(target) % (len + 1));
        let members: Vec<_> =
            (0..targets.len()).map(|index| ("m", target(index), 64 * index as u32)).collect();
        match kind {
            0 => b.int(name, 4, 1),
            1 | 2 => b.add("", k::PTR, 0, target(0), &[]),
            3 | 4 => b.composite(k::STRUCT, name, 8 * members.len() as u32, &members),
            5 => b.composite(k::UNION, "", 8, &members),
            6 => b.add(name, k::FWD, 0, 0, &[]),
            7 => b.add(name, k::ENUM, 0, 4, &[]),
            _ => b.add("", k::ARRAY, 0, 0, &[target(0), target(1), 2]),
        };
    }
    Btf::from_vec(b.bytes()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_graph(graph in graph(), other in graph(), big in any::<bool>()) {
        let endian = BOTH[usize::from(big)];
        let both = merged(&[&build(&graph, endian), &build(&other, endian)]);
        let result = match both.dedup(None) {
            Ok(result) => result,
            Err(error) => {
                prop_assert_eq!(error.problem, Problem::Loop);
                return Ok(());
            }
        };
        let left = Btf::parse(&result.bytes).unwrap();
        layouts_are_kept(&both, &result.numbers, &left);
        // Once is enough.
        let again = left.dedup(None).unwrap();
        prop_assert_eq!(&again.bytes, &result.bytes);
        // A BTF that lies behind itself is itself.
        let twice = merged(&[&left, &left]);
        prop_assert_eq!(deduped(&twice).len(), left.len());
    }

    #[test]
    fn changed_words(
        big in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![0u32..60, any::<u32>()]), 1..6),
    ) {
        let endian = BOTH[usize::from(big)];
        let mut blob = every_kind(endian);
        let copy = read(&blob);
        for (index, word) in changes {
            let at = index.index(blob.types.len() / 4) * 4;
            blob.types[at..at + 4].copy_from_slice(&endian.bytes32(word));
        }
        let Ok(changed) = Btf::from_vec(blob.bytes()) else { return Ok(()) };
        let both = merged(&[&copy, &changed]);
        if let Ok(result) = both.dedup(None) {
            let left = Btf::parse(&result.bytes).unwrap();
            layouts_are_kept(&both, &result.numbers, &left);
            prop_assert!(result.bytes.len() <= both.bytes().len());
        }
    }
}

#[test]
fn kernel_types_are_merged_with_themselves() {
    let Ok(bytes) = std::fs::read("/sys/kernel/btf/vmlinux") else {
        println!("skipped: kernel_types_are_merged_with_themselves: no /sys/kernel/btf/vmlinux");
        return;
    };
    // A part of it, in which what is missing is `void`: all of it takes a while without optimisation.
    const PART: u32 = 15_000;
    let kernel = Btf::parse(&bytes).unwrap();
    let mut part = Builder::new(kernel.endian());
    for ty in kernel.types().take(PART as usize) {
        part.copy(ty, |id| if id.0 <= PART { id } else { TypeId::VOID });
    }
    let part = Btf::from_vec(part.finish().unwrap()).unwrap();
    let once = deduped(&part);
    let twice = deduped(&merged(&[&part, &part]));
    let mut wanted = census(&once);
    for kind in [Kind::Var, Kind::Datasec] {
        wanted.entry(kind).and_modify(|count| *count *= 2);
    }
    assert_eq!(census(&twice), wanted);
    // pahole has merged most of them already; without what they refer to more are alike.
    assert!(once.len() > PART * 9 / 10, "{} of {} are left", once.len(), part.len());
}
