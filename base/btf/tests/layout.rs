//! Sizes, alignments, paths and sections of variables; and types that have no end.

mod common;

use common::{BOTH, Blob, every_kind, k};
use skep_btf::{Btf, Endian, Field, Layout, PointerSize, Problem, TypeId, VarLinkage};
use std::sync::Arc;

fn problem<T: std::fmt::Debug>(result: Result<T, skep_btf::Error>) -> Problem {
    result.unwrap_err().problem
}

#[test]
fn sizes_and_alignments() {
    let bytes = every_kind(Endian::Big).bytes();
    let btf = Btf::parse(&bytes).unwrap();
    let layout =
        |id| btf.layout(TypeId(id)).map(|Layout { size, align }| (size, align)).map_err(|e| e.problem);
    assert_eq!(layout(1), Ok((4, 4)));
    assert_eq!(layout(5), Ok((8, 8)));
    assert_eq!(layout(6), Ok((16, 1)));
    assert_eq!(layout(9), Ok((48, 8)));
    assert_eq!(layout(14), Ok((48, 8)), "through const, volatile, typedef");
    assert_eq!(layout(18), Ok((48, 8)), "a variable has its type's");
    assert_eq!(layout(21), Ok((8, 8)));
    for id in [0, 10, 16, 17, 22] {
        assert_eq!(layout(id), Err(Problem::Unsized), "{id}");
    }
    assert_eq!(layout(27), Err(Problem::UnknownType(TypeId(27))));
    assert_eq!(btf.resolve(TypeId(14)).unwrap().id(), TypeId(9));
    assert_eq!(btf.resolve(TypeId(5)).unwrap().id(), TypeId(5), "a pointer is no modifier");
}

#[test]
fn packed_structs_align_to_one() {
    let mut b = Blob::new(Endian::Little);
    let int = b.int("int", 4, 1);
    let by_offset = b.composite(k::STRUCT, "by_offset", 8, &[("c", int, 8), ("d", int, 40)]);
    let by_size = b.composite(k::STRUCT, "by_size", 5, &[("c", int, 0)]);
    let regular = b.composite(k::STRUCT, "regular", 4, &[("c", int, 0)]);
    let empty = b.composite(k::STRUCT, "empty", 0, &[]);
    let x87 = b.add("long double", k::FLOAT, 0, 12, &[]);
    let bytes = b.bytes();
    let btf = Btf::parse(&bytes).unwrap();
    for (id, align) in [(by_offset, 1), (by_size, 1), (regular, 4), (empty, 1), (x87, 4)] {
        assert_eq!(btf.align_of(TypeId(id)), Ok(align), "{id}");
    }
}

#[test]
fn pointers_are_as_long_as_the_type_called_long() {
    // Of other lengths none is meant, and of two that are the first.
    for (longs, wanted) in [
        (&[("long", 4)][..], PointerSize::Four),
        (&[("long unsigned int", 8), ("long", 4)], PointerSize::Eight),
        (&[("long", 2), ("int long unsigned", 4)], PointerSize::Four),
        (&[("long long", 4), ("longer", 4)], PointerSize::Eight),
        (&[], PointerSize::Eight),
    ] {
        let mut b = Blob::new(Endian::Little);
        let ids: Vec<u32> = longs.iter().map(|(name, size)| b.int(name, *size, 1)).collect();
        let pointer = b.add("", k::PTR, 0, 0, &[]);
        let wide = b.int("u64", 8, 0);
        let three = b.add("", k::ARRAY, 0, 0, &[pointer, pointer, 3]);
        let bytes = b.bytes();
        let mut btf = Btf::parse(&bytes).unwrap();
        assert_eq!(btf.pointer_size(), wanted, "{longs:?} {ids:?}");
        let size = wanted.bytes();
        assert_eq!(btf.layout(TypeId(pointer)), Ok(Layout { size, align: size }));
        assert_eq!(btf.layout(TypeId(three)), Ok(Layout { size: 3 * size, align: size }));
        assert_eq!(btf.layout(TypeId(wide)), Ok(Layout { size: 8, align: size }), "as libbpf has it");
        let text = btf.value(TypeId(pointer), &[1, 0, 0, 0, 2, 0, 0, 0]).to_string();
        assert_eq!(text, if size == 4 { "0x1" } else { "0x200000001" });
        // What continues it has its pointers; and a file's class is better than a name.
        let mut more = skep_btf::Builder::split(&btf);
        let own = more.ptr(TypeId(0));
        let more = Btf::from_vec_split(more.finish().unwrap(), Arc::new(btf.clone().into_owned())).unwrap();
        assert_eq!(more.size_of(own), Ok(size));
        for other in [PointerSize::Four, PointerSize::Eight] {
            btf.set_pointer_size(other);
            assert_eq!(btf.clone().size_of(TypeId(three)), Ok(3 * other.bytes()));
        }
    }
}

#[test]
fn endless_types_are_noticed() {
    for endian in BOTH {
        let mut b = Blob::new(endian);
        // 1: typedef of itself. 2, 3: const <-> volatile. 4: array of itself. 5: struct of itself.
        b.add("t", k::TYPEDEF, 0, 1, &[]);
        b.add("", k::CONST, 0, 3, &[]);
        b.add("", k::VOLATILE, 0, 2, &[]);
        b.add("", k::ARRAY, 0, 0, &[4, 4, 1]);
        b.composite(k::STRUCT, "s", 8, &[("", 5, 0)]);
        // 6, 7: struct -> array -> struct. 8: variable of itself. 9: pointer to itself is finite.
        b.composite(k::STRUCT, "a", 8, &[("b", 7, 0)]);
        b.add("", k::ARRAY, 0, 0, &[6, 6, 1]);
        b.add("v", k::VAR, 0, 8, &[0]);
        b.add("", k::PTR, 0, 9, &[]);
        // 10..=50: a chain of typedefs, finite but too long.
        for id in 10..50 {
            b.add("t", k::TYPEDEF, 0, id + 1, &[]);
        }
        b.int("int", 4, 1);
        let bytes = b.bytes();
        let btf = Btf::parse(&bytes).unwrap();
        for id in [1, 2, 3] {
            assert_eq!(problem(btf.resolve(TypeId(id))), Problem::Loop);
        }
        for id in [1, 2, 3, 4, 8] {
            assert_eq!(problem(btf.size_of(TypeId(id))), Problem::Loop);
        }
        for id in [1, 2, 3, 4, 5, 6, 7, 8, 10] {
            assert_eq!(problem(btf.align_of(TypeId(id))), Problem::TooDeep);
        }
        assert_eq!(problem(btf.resolve(TypeId(10))), Problem::TooDeep);
        assert_eq!(problem(btf.size_of(TypeId(10))), Problem::TooDeep);
        assert_eq!(btf.size_of(TypeId(30)), Ok(4));
        assert_eq!(btf.size_of(TypeId(9)), Ok(8));
        assert_eq!(problem(btf.member(TypeId(5), "x")), Problem::TooDeep);
    }
}

#[test]
fn types_that_double_at_each_level_cost_bounded_time() {
    let mut b = Blob::new(Endian::Little);
    b.int("int", 4, 1);
    for id in 1..31 {
        b.composite(k::UNION, "", 4, &[("", id, 0), ("", id, 0)]);
    }
    let bytes = b.bytes();
    let btf = Btf::parse(&bytes).unwrap();
    assert_eq!(problem(btf.align_of(TypeId(31))), Problem::TooComplex);
    assert_eq!(problem(btf.member(TypeId(31), "x")), Problem::TooComplex);
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let mut b = Blob::new(Endian::Little);
    let int = b.int("int", 4, 1);
    let huge = b.add("", k::ARRAY, 0, 0, &[int, int, u32::MAX]);
    let more = b.add("", k::ARRAY, 0, 0, &[huge, int, u32::MAX]);
    let none = b.add("", k::ARRAY, 0, 0, &[int, int, 0]);
    let bytes = b.bytes();
    let btf = Btf::parse(&bytes).unwrap();
    assert_eq!(problem(btf.size_of(TypeId(huge))), Problem::TooLarge);
    assert_eq!(problem(btf.size_of(TypeId(more))), Problem::TooLarge);
    assert_eq!(problem(btf.field(TypeId(more), "[4294967294]")), Problem::TooLarge);
    assert_eq!(btf.size_of(TypeId(none)), Ok(0));
}

#[test]
fn paths_lead_to_fields() {
    for endian in BOTH {
        let mut b = every_kind(endian);
        let list = b.add("", k::ARRAY, 0, 0, &[14, 1, 3]);
        let outer = b.composite(k::STRUCT, "outer", 148, &[("head", 1, 0), ("list", list, 32)]);
        let bytes = b.bytes();
        let btf = Btf::parse(&bytes).unwrap();
        let at = |path| btf.field(TypeId(outer), path).map_err(|error| error.problem);
        let field = |type_id, bit_offset, width| {
            Ok(Field { type_id: TypeId(type_id), bit_offset, bitfield: std::num::NonZeroU8::new(width) })
        };
        assert_eq!(at(""), field(outer, 0, 0));
        assert_eq!(at("head"), field(1, 0, 0));
        assert_eq!(at("list[2]"), field(14, 32 + 2 * 384, 0));
        assert_eq!(at("list[1].b"), field(1, 32 + 384 + 195, 5));
        assert_eq!(at("list[1].v4"), field(1, 32 + 384 + 224, 0), "within an anonymous union");
        assert_eq!(at("list[0].comm[3]"), field(2, 32 + 64 + 24, 0));
        assert_eq!(at("list[3]"), Err(Problem::NoElement { index: 3, len: 3 }));
        for bad in ["list[x]", "list[1", "list[1]b", ".head", "list.", "list..b", "list[-1]", "list[]"] {
            assert_eq!(at(bad), Err(Problem::BadPath), "{bad}");
        }
        assert_eq!(at("nothing"), Err(Problem::NoMember));
        assert!(matches!(at("head.x"), Err(Problem::WrongKind { .. })));
        assert!(matches!(at("head[0]"), Err(Problem::WrongKind { .. })));
        assert!(matches!(at("list[0].ptr.x"), Err(Problem::WrongKind { .. })), "pointers are not followed");
    }
}

#[test]
fn variables_are_found_in_their_section() {
    for endian in BOTH {
        let bytes = every_kind(endian).bytes();
        let btf = Btf::parse(&bytes).unwrap();
        let count = btf.variable(".rodata", "count").unwrap();
        assert_eq!((count.offset, count.size, count.type_id, count.var_id), (48, 8, TypeId(4), TypeId(19)));
        assert_eq!(count.linkage, VarLinkage::Static);
        assert_eq!(btf.variable(".rodata", "nothing"), None);
        assert_eq!(btf.variable(".data", "count"), None);
        let (id, datasec) = btf.datasec(".rodata").unwrap();
        assert_eq!((id, btf.variables(datasec).count()), (TypeId(20), 2));
    }
}
