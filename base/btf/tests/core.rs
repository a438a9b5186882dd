//! CO-RE over pairs of BTF made by hand: every kind of relocation, every rule, and what is wrong with both.

mod common;

use common::{BOTH, Blob, KIND_FLAG, k};
use skep_btf::core::{
    Candidate, Candidates, Check, CoreProblem, Outcome, Request, Resize, Resolution, Used, Values, Whose,
    resolve,
};
use skep_btf::{Btf, CoreRelocKind as K, Endian, Problem, TypeId};

const LE: Endian = Endian::Little;

/// Makes BTF; the function gives what it wants to know of it.
fn made<T>(endian: Endian, fill: impl FnOnce(&mut Blob) -> T) -> (Btf<'static>, T) {
    let mut blob = Blob::new(endian);
    let kept = fill(&mut blob);
    (Btf::from_vec(blob.bytes()).expect("good BTF"), kept)
}

fn search(local: &Btf<'_>, target: &Btf<'_>, id: u32) -> Vec<Candidate> {
    let mut candidates = Candidates::new(local, [TypeId(id)]).unwrap();
    candidates.search(0, target).unwrap();
    candidates.of(TypeId(id)).unwrap().to_vec()
}

fn ask(local: &Btf<'_>, target: &Btf<'_>, id: u32, access: &str, kind: K) -> Result<Resolution, CoreProblem> {
    let candidates = search(local, target, id);
    let request = Request { type_id: TypeId(id), access, kind };
    resolve(local, &request, &[target], &candidates).map_err(|error| error.problem)
}

fn values(local: &Btf<'_>, target: &Btf<'_>, id: u32, access: &str, kind: K) -> Values {
    match ask(local, target, id, access, kind).unwrap().outcome {
        Outcome::Value(values) => values,
        Outcome::Missing => panic!("nothing has it"),
    }
}

#[track_caller]
fn check(local: &Btf<'_>, target: &Btf<'_>, id: u32, access: &str, kind: K, from: u64, to: u64) {
    let values = values(local, target, id, access, kind);
    assert_eq!((values.local, values.target), (from, to), "{kind:?} {access}");
}

/// `struct task { int pid; struct { char comm[16]; int last; }; struct task *next; }`, as a program declares it.
fn task(b: &mut Blob) -> u32 {
    let int = b.int("int", 4, 1);
    let char = b.int("char", 1, 1);
    let comm = b.add("", k::ARRAY, 0, 0, &[char, int, 16]);
    let inner = b.composite(k::STRUCT, "", 20, &[("comm", comm, 0), ("last", int, 128)]);
    let next = b.add("", k::PTR, 0, inner + 2, &[]);
    b.composite(k::STRUCT, "task", 32, &[("pid", int, 0), ("", inner, 32), ("next", next, 192)])
}

/// The same in a kernel that has more members, other nesting, a flavoured name of its own and typedefs.
fn kernel_task(b: &mut Blob) -> u32 {
    let long = b.int("long", 8, 1);
    let int = b.int("int", 4, 1);
    let pid = b.add("pid_t", k::TYPEDEF, 0, int, &[]);
    let char = b.int("char", 1, 1);
    let comm = b.add("", k::ARRAY, 0, 0, &[char, int, 24]);
    let volatile = b.add("", k::VOLATILE, 0, pid, &[]);
    let deep = b.composite(k::UNION, "", 24, &[("comm", comm, 0), ("tag", long, 0)]);
    let inner = b.composite(k::STRUCT, "", 40, &[("flags", long, 0), ("", deep, 64), ("last", int, 256)]);
    let void = b.add("", k::PTR, 0, 0, &[]);
    let members = [
        ("state", long, 0),
        ("pid", volatile, 64),
        ("", inner, 128),
        ("next", void, 448),
        ("end", long, 512),
    ];
    b.composite(k::STRUCT, "task", 80, &members)
}

#[test]
fn offsets_follow_names_through_anonymous_members_and_arrays() {
    let (local, id) = made(LE, task);
    let (target, there) = made(LE, kernel_task);
    let offset = |access, from, to| check(&local, &target, id, access, K::FieldByteOffset, from, to);
    offset("0:0", 0, 8);
    offset("0:1:0", 4, 24);
    offset("0:1:0:5", 9, 29);
    offset("0:1:1", 20, 48);
    offset("0:2", 24, 56);
    // The first index counts whole structs.
    offset("2:0", 64, 168);
    offset("0", 0, 0);

    let found = ask(&local, &target, id, "0:1:0:5", K::FieldByteOffset).unwrap();
    assert_eq!(found.matching, 1);
    assert_eq!(
        found.local.text(&local),
        format!("<byte_off> [{id}] struct task.comm[5] (0:1:0:5 @ offset 9)")
    );
    assert_eq!(found.local.access(&local), "task->comm[5]");
    let target_path = found.target.unwrap();
    assert_eq!(target_path.candidate, Candidate { source: 0, type_id: TypeId(there) });
    assert_eq!(
        target_path.spec.text(&target),
        format!("<byte_off> [{there}] struct task.comm[5] (0:2:1:0:5 @ offset 29)")
    );
}

#[test]
fn sizes_and_existence_of_fields() {
    let (local, id) = made(LE, task);
    let (target, _) = made(LE, kernel_task);
    check(&local, &target, id, "0:1:0", K::FieldByteSize, 16, 24);
    check(&local, &target, id, "0:1:0:3", K::FieldByteSize, 1, 1);
    check(&local, &target, id, "0", K::FieldByteSize, 32, 80);
    check(&local, &target, id, "0:1:1", K::FieldExists, 1, 1);
    check(&local, &target, id, "0:0", K::FieldSigned, 1, 1);
    check(&local, &target, id, "0:2", K::FieldSigned, 0, 0);
    check(&local, &target, id, "0:0", K::FieldLshiftU64, 32, 32);
    check(&local, &target, id, "0:0", K::FieldRshiftU64, 32, 32);
    // The same without the member, and without the struct.
    let (other, _) = made(LE, |b| {
        let int = b.int("int", 4, 1);
        b.composite(k::STRUCT, "task", 4, &[("id", int, 0)])
    });
    let (empty, ()) = made(LE, |b| {
        b.int("int", 4, 1);
    });
    for target in [&other, &empty] {
        check(&local, target, id, "0:0", K::FieldExists, 1, 0);
        for kind in
            [K::FieldByteOffset, K::FieldByteSize, K::FieldSigned, K::FieldLshiftU64, K::FieldRshiftU64]
        {
            let found = ask(&local, target, id, "0:0", kind).unwrap();
            assert_eq!(
                (found.outcome, found.target, found.matching),
                (Outcome::Missing, None, 0),
                "{kind:?}"
            );
        }
    }
}

/// What a 32-bit kernel has: its `long` tells.
fn small_task(b: &mut Blob) -> u32 {
    let long = b.int("long unsigned int", 4, 0);
    let int = b.int("int", 4, 1);
    let char = b.int("char", 1, 1);
    let comm = b.add("", k::ARRAY, 0, 0, &[char, int, 16]);
    let void = b.add("", k::PTR, 0, 0, &[]);
    let members =
        [("state", long, 0), ("pid", int, 32), ("next", void, 64), ("comm", comm, 96), ("last", int, 224)];
    b.composite(k::STRUCT, "task", 32, &members)
}

#[test]
fn pointers_of_32_bit_kernels_are_loaded_as_such() {
    let (local, id) = made(LE, task);
    let (target, _) = made(LE, small_task);
    check(&local, &target, id, "0:2", K::FieldByteOffset, 24, 8);
    check(&local, &target, id, "0:2", K::FieldByteSize, 8, 4);
    let found = values(&local, &target, id, "0:2", K::FieldByteOffset);
    assert_eq!(found.resize, Resize::Change { from: 8, to: 4 });
    // Shifts leave as many bits as are there.
    check(&local, &target, id, "0:2", K::FieldLshiftU64, 0, 32);
    check(&local, &target, id, "0:2", K::FieldRshiftU64, 0, 32);
}

#[test]
fn elements_beyond_the_targets_array_are_missing_but_for_flexible_ones() {
    let array = |len: u32, last: bool| {
        move |b: &mut Blob| {
            let int = b.int("int", 4, 1);
            let array = b.add("", k::ARRAY, 0, 0, &[int, int, len]);
            let behind: &[_] = if last { &[] } else { &[("z", int, 512)] };
            b.composite(k::STRUCT, "s", 128, &[&[("n", int, 0), ("a", array, 32)], behind].concat())
        }
    };
    let (local, id) = made(LE, array(8, true));
    let (shorter, _) = made(LE, array(3, true));
    let (flexible, _) = made(LE, array(0, true));
    let (zero, _) = made(LE, array(0, false));
    let exists = |target, to| check(&local, target, id, "0:1:3", K::FieldExists, 1, to);
    exists(&local, 1);
    exists(&shorter, 0);
    exists(&flexible, 1);
    exists(&zero, 0);
    check(&local, &shorter, id, "0:1:2", K::FieldByteOffset, 12, 12);
    check(&local, &flexible, id, "0:1:7", K::FieldByteOffset, 32, 32);
    // In the program's own types the same holds.
    let (own, own_id) = made(LE, array(0, true));
    check(&own, &own, own_id, "0:1:100", K::FieldByteOffset, 404, 404);
    let (bad, bad_id) = made(LE, array(0, false));
    let step = |problem| matches!(problem, Err(CoreProblem::NoStep { at: 2 }));
    assert!(step(ask(&bad, &bad, bad_id, "0:1:0", K::FieldByteOffset)));
    assert!(step(ask(&local, &local, id, "0:1:8", K::FieldByteOffset)));
    // What is no offset, size or existence cannot be said of an element.
    let signed = ask(&local, &local, id, "0:1:1", K::FieldSigned);
    assert_eq!(signed.unwrap_err(), CoreProblem::Element);
}

#[test]
fn elements_of_elements() {
    let nested = |rows: u32, columns: u32| {
        move |b: &mut Blob| {
            let int = b.int("int", 4, 1);
            let row = b.add("", k::ARRAY, 0, 0, &[int, int, columns]);
            let all = b.add("", k::ARRAY, 0, 0, &[row, int, rows]);
            b.composite(k::STRUCT, "s", rows * columns * 4, &[("a", all, 0)])
        }
    };
    let (local, id) = made(LE, nested(2, 3));
    let (target, _) = made(LE, nested(4, 5));
    check(&local, &target, id, "0:0:1:2", K::FieldByteOffset, 20, 28);
    // An array without elements inside of another is not flexible.
    let (none, _) = made(LE, nested(2, 0));
    check(&local, &none, id, "0:0:1:2", K::FieldExists, 1, 0);
}

/// `struct bits { unsigned a: 3; int b: 5; unsigned c: 30; }` behind `shift` bits.
fn bits(shift: u32, size: u32) -> impl FnOnce(&mut Blob) -> u32 {
    move |b| {
        let unsigned = b.int("unsigned int", 4, 0);
        let int = b.int("int", 4, 1);
        let at = |offset: u32, width: u32| width << 24 | (offset + shift);
        let members = [("a", unsigned, at(0, 3)), ("b", int, at(3, 5)), ("c", unsigned, at(8, 30))];
        b.composite(k::STRUCT | KIND_FLAG, "bits", size, &members)
    }
}

#[test]
fn bitfields_are_loaded_by_the_smallest_aligned_load() {
    let (local, id) = made(LE, bits(0, 8));
    let (target, _) = made(LE, bits(30, 16));
    let both = |access, kind, from, to| check(&local, &target, id, access, kind, from, to);
    // At bits 0..3 here; at 30..33 there, across the border of 4 bytes, so by 8.
    both("0:0", K::FieldByteOffset, 0, 0);
    both("0:0", K::FieldByteSize, 4, 8);
    both("0:0", K::FieldLshiftU64, 61, 64 - 33);
    both("0:0", K::FieldRshiftU64, 61, 61);
    // At 33..38 there, within the second 4 bytes.
    both("0:1", K::FieldByteOffset, 0, 4);
    both("0:1", K::FieldByteSize, 4, 4);
    both("0:1", K::FieldLshiftU64, 56, 64 - 6);
    both("0:1", K::FieldSigned, 1, 1);
    // At 8..38 here, at 38..68 there: across the border of 8 bytes, which no load reads.
    both("0:2", K::FieldExists, 1, 1);
    let across = ask(&local, &target, id, "0:2", K::FieldByteOffset);
    assert_eq!(across.unwrap_err(), CoreProblem::Bitfield);
    // What a compiler chose is not compared, but for sign and right shift, which have one answer only.
    let lenient = |kind| values(&local, &target, id, "0:0", kind).check;
    for kind in [K::FieldByteOffset, K::FieldByteSize, K::FieldLshiftU64] {
        assert_eq!(lenient(kind), Check::Lenient, "{kind:?}");
    }
    assert_eq!((lenient(K::FieldSigned), lenient(K::FieldRshiftU64)), (Check::Exact, Check::Exact));
    // In big-endian data the first bits are the top ones.
    let (big, _) = made(Endian::Big, bits(0, 8));
    check(&big, &big, id, "0:0", K::FieldLshiftU64, 32, 32);
    check(&big, &big, id, "0:1", K::FieldLshiftU64, 35, 35);
}

#[test]
fn a_field_may_become_a_bitfield_and_back() {
    let (plain, id) = made(LE, |b| {
        let int = b.int("unsigned int", 4, 0);
        b.composite(k::STRUCT, "bits", 4, &[("a", int, 0)])
    });
    let (packed, _) = made(LE, bits(8, 8));
    check(&plain, &packed, id, "0:0", K::FieldByteOffset, 0, 0);
    check(&plain, &packed, id, "0:0", K::FieldLshiftU64, 32, 53);
    // A load of the whole would read its neighbours.
    assert_eq!(values(&plain, &packed, id, "0:0", K::FieldByteOffset).resize, Resize::Wrong);
}

#[test]
fn loads_change_their_size_for_pointers_and_unsigned_integers_only() {
    let with = |size: u32, encoding: u32| {
        move |b: &mut Blob| {
            let int = b.int("n", size, encoding);
            b.composite(k::STRUCT, "s", size, &[("n", int, 0)])
        }
    };
    let (narrow, id) = made(LE, with(4, 0));
    let resize =
        |local: &Btf<'_>, target: &Btf<'_>| values(local, target, id, "0:0", K::FieldByteOffset).resize;
    let (wide, _) = made(LE, with(8, 0));
    assert_eq!(resize(&narrow, &wide), Resize::Change { from: 4, to: 8 });
    assert_eq!(resize(&wide, &narrow), Resize::Change { from: 8, to: 4 });
    let (signed, _) = made(LE, with(8, 1));
    assert_eq!(resize(&narrow, &signed), Resize::Wrong);
    let (same, _) = made(LE, with(4, 1));
    assert_eq!(resize(&narrow, &same), Resize::Keep);
    let (flag, _) = made(LE, with(1, 4));
    assert_eq!(resize(&narrow, &flag), Resize::Change { from: 4, to: 1 });
}

#[test]
fn fields_whose_types_do_not_go_together_are_missing() {
    // Each row: kinds of the member here and there, and whether they go together.
    type Make = fn(&mut Blob) -> u32;
    let int: Make = |b| b.int("int", 4, 1);
    let odd: Make = |b| b.add("odd", k::INT, 0, 4, &[3 << 16 | 5]);
    let ptr: Make = |b| b.add("", k::PTR, 0, 0, &[]);
    let float: Make = |b| b.add("double", k::FLOAT, 0, 8, &[]);
    let composite: Make = |b| b.composite(k::STRUCT, "x", 8, &[]);
    let union: Make = |b| b.composite(k::UNION, "y", 8, &[]);
    let color: Make = |b| b.add("color", k::ENUM, 0, 4, &[]);
    let flavour: Make = |b| b.add("color___2", k::ENUM64, 0, 8, &[]);
    let shape: Make = |b| b.add("shape", k::ENUM, 0, 4, &[]);
    let anonymous: Make = |b| b.add("", k::ENUM, 0, 4, &[]);
    let ints: Make = |b| {
        let int = b.int("int", 4, 1);
        b.add("", k::ARRAY, 0, 0, &[int, int, 2])
    };
    let table: Make = |b| {
        let int = b.int("int", 4, 1);
        let row = b.add("", k::ARRAY, 0, 0, &[int, int, 7]);
        b.add("row_t", k::TYPEDEF, 0, row, &[])
    };
    let pointers: Make = |b| {
        let int = b.int("int", 4, 1);
        let ptr = b.add("", k::PTR, 0, int, &[]);
        b.add("", k::ARRAY, 0, 0, &[ptr, int, 2])
    };
    let long: Make = |b| {
        let long = b.int("long", 8, 0);
        let qualified = b.add("", k::CONST, 0, long, &[]);
        b.add("size_t", k::TYPEDEF, 0, qualified, &[])
    };
    let rows: &[(Make, Make, bool)] = &[
        (int, long, true),
        (int, ptr, false),
        (int, odd, false),
        (odd, int, false),
        (int, color, false),
        (ptr, ptr, true),
        (ptr, long, false),
        (float, float, true),
        (float, int, false),
        (composite, union, true),
        (composite, ptr, false),
        (color, flavour, true),
        (color, shape, false),
        (color, anonymous, true),
        (anonymous, shape, true),
        (ints, table, true),
        (ints, pointers, false),
        (ints, int, false),
    ];
    for (row, (here, there, expect)) in rows.iter().enumerate() {
        let with = |make: Make| {
            move |b: &mut Blob| {
                let member = make(b);
                b.composite(k::STRUCT, "s", 64, &[("m", member, 0)])
            }
        };
        let (local, id) = made(LE, with(*here));
        let (target, _) = made(LE, with(*there));
        let exists = values(&local, &target, id, "0:0", K::FieldExists).target;
        assert_eq!(exists == 1, *expect, "row {row}");
    }
}

#[test]
fn types_are_found_by_kind_and_name_without_flavour() {
    let (local, (a, b_id, t, e)) = made(LE, |b| {
        let int = b.int("int", 4, 1);
        let a = b.composite(k::STRUCT, "s___mine", 4, &[("n", int, 0)]);
        let u = b.composite(k::UNION, "s", 4, &[("n", int, 0)]);
        let t = b.add("s", k::TYPEDEF, 0, a, &[]);
        let e = b.add("e", k::ENUM, 0, 4, &[]);
        (a, u, t, e)
    });
    let (target, ids) = made(LE, |b| {
        let int = b.int("int", 4, 1);
        let one = b.composite(k::STRUCT, "s", 8, &[("n", int, 32)]);
        let two = b.composite(k::STRUCT, "s___kernel", 8, &[("n", int, 32)]);
        b.composite(k::STRUCT, "ss", 8, &[("n", int, 32)]);
        b.composite(k::STRUCT, "s__x", 8, &[("n", int, 32)]);
        b.composite(k::UNION, "", 8, &[("n", int, 32)]);
        let def = b.add("s", k::TYPEDEF, 0, one, &[]);
        let wide = b.add("e", k::ENUM64, 0, 8, &[]);
        (one, two, def, wide)
    });
    let found = |id| search(&local, &target, id).iter().map(|found| found.type_id.0).collect::<Vec<_>>();
    assert_eq!(found(a), [ids.0, ids.1]);
    assert_eq!(found(b_id), []);
    assert_eq!(found(t), [ids.2]);
    assert_eq!(found(e), [ids.3]);
    check(&local, &target, a, "0", K::TypeExists, 1, 1);
    check(&local, &target, b_id, "0", K::TypeExists, 1, 0);
    check(&local, &target, a, "0", K::TypeSize, 4, 8);
    check(&local, &target, b_id, "0", K::TypeSize, 4, 0);
    check(&local, &target, a, "0", K::TypeIdLocal, a.into(), a.into());
    check(&local, &target, t, "0", K::TypeIdTarget, t.into(), ids.2.into());
    check(&local, &target, b_id, "0", K::TypeIdTarget, b_id.into(), 0);
    assert_eq!(values(&local, &target, t, "0", K::TypeIdTarget).check, Check::Lenient);
    // Two candidates whose identifiers differ do not agree on the identifier.
    let ambiguous = ask(&local, &target, a, "0", K::TypeIdTarget).unwrap_err();
    let CoreProblem::Ambiguous(choices) = ambiguous else { panic!("{ambiguous:?}") };
    let texts: Vec<_> = choices.iter().map(|choice| (choice.text.as_str(), choice.value)).collect();
    assert_eq!(
        texts,
        [
            (&*format!("<target_type_id> [{}] struct s", ids.0), ids.0.into()),
            (&*format!("<target_type_id> [{}] struct s___kernel", ids.1), ids.1.into())
        ]
    );
}

#[test]
fn candidates_must_agree_and_those_without_the_field_do_not_count() {
    let (local, id) = made(LE, |b| {
        let int = b.int("int", 4, 1);
        b.composite(k::STRUCT, "s", 12, &[("a", int, 0), ("b", int, 32), ("c", int, 64)])
    });
    let (target, (first, second)) = made(LE, |b| {
        let int = b.int("int", 4, 1);
        let first = b.composite(k::STRUCT, "s", 16, &[("a", int, 0), ("b", int, 64)]);
        let second = b.composite(k::STRUCT, "s___2", 16, &[("a", int, 0), ("b", int, 96), ("c", int, 64)]);
        (first, second)
    });
    assert_eq!(ask(&local, &target, id, "0:0", K::FieldByteOffset).unwrap().matching, 2);
    check(&local, &target, id, "0:2", K::FieldByteOffset, 8, 8);
    let different = ask(&local, &target, id, "0:1", K::FieldByteOffset).unwrap_err();
    assert!(matches!(&different, CoreProblem::Ambiguous(choices) if choices.len() == 2), "{different:?}");
    let text = different.to_string();
    assert!(
        text.contains(&format!("[{first}] struct s.b")) && text.contains("struct s___2.b (0:1 @ offset 12)")
    );
    // A size is the same; but where it lies is not, and libbpf refuses that too.
    assert!(ask(&local, &target, id, "0:1", K::FieldByteSize).is_err());
    // Who has been struck from the list is not asked again.
    let mut candidates = Candidates::new(&local, [TypeId(id)]).unwrap();
    candidates.search(0, &target).unwrap();
    let mut go = |access| {
        let request = Request { type_id: TypeId(id), access, kind: K::FieldByteOffset };
        candidates.resolve(&request, &[&target])
    };
    assert!(go("0:1").is_err());
    assert_eq!(go("0:2").unwrap().matching, 1);
    let now = go("0:1").unwrap();
    assert_eq!(now.target.unwrap().candidate.type_id, TypeId(second));
}

#[test]
fn enumerators_by_name_and_their_values_in_both_widths() {
    let (local, ids) = made(LE, |b| {
        let (a, n, c) = (b.string("A___x"), b.string("N"), b.string("C"));
        let narrow = b.add("e", k::ENUM | KIND_FLAG, 3, 4, &[a, 1, n, -2i32 as u32, c, 3]);
        let big = b.add("f", k::ENUM64, 1, 8, &[c, 0x89ab_cdef, 0x0123_4567]);
        let top = b.add("g", k::ENUM, 1, 4, &[a, 0xffff_fff0]);
        (narrow, big, top)
    });
    let (target, there) = made(LE, |b| {
        let (n, a, c) = (b.string("N"), b.string("A"), b.string("C"));
        let wide = b.add("e", k::ENUM64 | KIND_FLAG, 2, 8, &[n, -3i32 as u32, u32::MAX, a, 7, 1]);
        b.add("f", k::ENUM, 1, 4, &[c, 5]);
        b.add("g", k::ENUM, 1, 4, &[a, 0x8000_0000]);
        wide
    });
    let value = |id, access, from, to| check(&local, &target, id, access, K::EnumvalValue, from, to);
    value(ids.0, "0", 1, 0x1_0000_0007);
    value(ids.0, "1", -2i64 as u64, -3i64 as u64);
    value(ids.1, "0", 0x0123_4567_89ab_cdef, 5);
    // Values of 32 bits are sign-extended, whatever their sign: the field is `__s32`.
    value(ids.2, "0", 0xffff_ffff_ffff_fff0, 0xffff_ffff_8000_0000);
    check(&local, &target, ids.0, "0", K::EnumvalExists, 1, 1);
    check(&local, &target, ids.0, "2", K::EnumvalExists, 1, 0);
    assert_eq!(ask(&local, &target, ids.0, "2", K::EnumvalValue).unwrap().outcome, Outcome::Missing);
    let found = ask(&local, &target, ids.0, "1", K::EnumvalValue).unwrap();
    assert_eq!(found.local.text(&local), format!("<enumval_value> [{}] enum e::N = -2", ids.0));
    assert_eq!(found.local.access(&local), "enum e: N");
    assert_eq!(
        found.target.unwrap().spec.text(&target),
        format!("<enumval_value> [{there}] enum64 e::N = -3")
    );
    for access in ["3", "0:0", "-1", "", "x", "0x1", "+1", "4294967296"] {
        assert!(ask(&local, &target, ids.0, access, K::EnumvalValue).is_err(), "{access}");
    }
}

#[test]
fn whether_types_match() {
    type Make = fn(&mut Blob) -> u32;
    let base: Make = |b| {
        let int = b.int("int", 4, 1);
        let next = b.add("", k::PTR, 0, int + 2, &[]);
        b.composite(k::STRUCT, "s", 16, &[("n", int, 0), ("next", next, 64)])
    };
    let more: Make = |b| {
        let int = b.int("int", 4, 1);
        let next = b.add("", k::PTR, 0, int + 2, &[]);
        b.composite(k::STRUCT, "s", 24, &[("x", int, 0), ("next", next, 64), ("n", int, 32)])
    };
    let unsigned: Make = |b| {
        let int = b.int("int", 4, 0);
        let next = b.add("", k::PTR, 0, int + 2, &[]);
        b.composite(k::STRUCT, "s", 16, &[("n", int, 0), ("next", next, 64)])
    };
    let opaque: Make = |b| {
        let int = b.int("int", 4, 1);
        let fwd = b.add("s", k::FWD, 0, 0, &[]);
        let next = b.add("", k::PTR, 0, fwd, &[]);
        b.composite(k::STRUCT, "s", 16, &[("n", int, 0), ("next", next, 64)])
    };
    let opaque_union: Make = |b| {
        let int = b.int("int", 4, 1);
        let fwd = b.add("s", k::FWD | KIND_FLAG, 0, 0, &[]);
        let next = b.add("", k::PTR, 0, fwd, &[]);
        b.composite(k::STRUCT, "s", 16, &[("n", int, 0), ("next", next, 64)])
    };
    let other: Make = |b| {
        let int = b.int("int", 4, 1);
        let next = b.add("", k::PTR, 0, int, &[]);
        b.composite(k::STRUCT, "s", 16, &[("n", int, 0), ("next", next, 64)])
    };
    let union: Make = |b| {
        let int = b.int("int", 4, 1);
        b.composite(k::UNION, "s", 16, &[("n", int, 0)])
    };
    let rows: &[(Make, Make, bool)] = &[
        (base, base, true),
        (base, more, true),
        (more, base, false),
        (base, unsigned, false),
        (base, opaque, true),
        (opaque, base, true),
        (base, opaque_union, false),
        (base, other, false),
        (base, union, false),
    ];
    for (row, (here, there, expect)) in rows.iter().enumerate() {
        let (local, id) = made(LE, here);
        let (target, _) = made(LE, there);
        let matches = values(&local, &target, id, "0", K::TypeMatches).target;
        assert_eq!(matches == 1, *expect, "row {row}");
    }
}

#[test]
fn enumerations_and_prototypes_match_by_their_parts() {
    let enums = |names: &'static [&'static str], size: u32, kind: u32| {
        move |b: &mut Blob| {
            let mut tail = Vec::new();
            for (value, name) in names.iter().enumerate() {
                tail.extend([b.string(name), value as u32]);
                tail.extend((kind == k::ENUM64).then_some(0));
            }
            b.add("e", kind, names.len() as u32, size, &tail)
        }
    };
    let (local, id) = made(LE, enums(&["A", "B"], 8, k::ENUM));
    let matches = |target: Btf<'static>| values(&local, &target, id, "0", K::TypeMatches).target == 1;
    assert!(matches(made(LE, enums(&["B___x", "C", "A"], 8, k::ENUM64)).0));
    assert!(!matches(made(LE, enums(&["A", "C", "D"], 8, k::ENUM64)).0));
    assert!(!matches(made(LE, enums(&["A", "B"], 4, k::ENUM)).0));
    assert!(!matches(made(LE, enums(&["A"], 8, k::ENUM)).0));

    let proto = |params: usize, ret: bool| {
        move |b: &mut Blob| {
            let int = b.int("int", 4, 1);
            let long = b.int("long", 8, 1);
            let tail: Vec<u32> = (0..params).flat_map(|_| [0, int]).collect();
            let proto = b.add("", k::FUNC_PROTO, params as u32, if ret { long } else { int }, &tail);
            let ptr = b.add("", k::PTR, 0, proto, &[]);
            b.add("fn_t", k::TYPEDEF, 0, ptr, &[])
        }
    };
    let (local, id) = made(LE, proto(2, false));
    let ask = |target: Btf<'static>, kind| values(&local, &target, id, "0", kind).target == 1;
    for kind in [K::TypeMatches, K::TypeExists] {
        assert!(ask(made(LE, proto(2, false)).0, kind), "{kind:?}");
        assert!(!ask(made(LE, proto(3, false)).0, kind), "{kind:?}");
    }
    // Integers of another size are compatible and do not match.
    assert!(ask(made(LE, proto(2, true)).0, K::TypeExists));
    assert!(!ask(made(LE, proto(2, true)).0, K::TypeMatches));
}

#[test]
fn modules_are_searched_for_what_the_kernel_does_not_have() {
    let (local, (a, b_id)) = made(LE, |b| {
        let int = b.int("int", 4, 1);
        (b.composite(k::STRUCT, "a", 4, &[("n", int, 0)]), b.composite(k::STRUCT, "b", 4, &[("n", int, 0)]))
    });
    let (kernel, _) = made(LE, |b| {
        let int = b.int("int", 4, 1);
        b.composite(k::STRUCT, "a", 8, &[("n", int, 32)])
    });
    let (module, there) = made(LE, |b| {
        let int = b.int("int", 4, 1);
        b.composite(k::STRUCT, "a", 16, &[("n", int, 64)]);
        b.composite(k::STRUCT, "b", 16, &[("n", int, 96)])
    });
    let mut candidates = Candidates::new(&local, [TypeId(a), TypeId(b_id), TypeId(a)]).unwrap();
    candidates.search(0, &kernel).unwrap();
    candidates.settle();
    assert!(candidates.is_open());
    candidates.search(1, &module).unwrap();
    let mut offset = |id| {
        let request = Request { type_id: TypeId(id), access: "0:0", kind: K::FieldByteOffset };
        candidates.resolve(&request, &[&kernel, &module]).unwrap()
    };
    assert!(matches!(offset(a).outcome, Outcome::Value(Values { target: 4, .. })));
    let found = offset(b_id);
    assert!(matches!(found.outcome, Outcome::Value(Values { target: 12, .. })));
    assert_eq!(found.target.unwrap().candidate, Candidate { source: 1, type_id: TypeId(there) });
    assert_eq!(candidates.of(TypeId(1)), None);
}

#[test]
fn what_is_used_is_known() {
    let (local, id) = made(LE, task);
    let (target, there) = made(LE, kernel_task);
    let mut used = Used::new();
    for (access, kind) in [("0:1:0:5", K::FieldByteOffset), ("0:0", K::FieldExists)] {
        used.add(&ask(&local, &target, id, access, kind).unwrap(), 0, &target).unwrap();
    }
    let root: Vec<u32> = used
        .types()
        .find(|(id, _)| id.0 == there)
        .and_then(|(_, members)| members)
        .unwrap()
        .iter()
        .copied()
        .collect();
    assert_eq!(root, [1, 2]);
    // `int` with its typedef and qualifier, `char`, the array, the anonymous ones.
    let ids: Vec<u32> = used.types().map(|(id, _)| id.0).collect();
    assert_eq!(ids, [2, 3, 4, 5, 6, 7, 8, there]);
}

#[test]
fn both_byte_orders_say_the_same() {
    for endian in BOTH {
        let (local, id) = made(endian, task);
        let (target, _) = made(endian, kernel_task);
        check(&local, &target, id, "0:1:1", K::FieldByteOffset, 20, 48);
    }
}

#[test]
fn paths_that_are_none_are_errors() {
    let (local, id) = made(LE, task);
    let all = |access, kind| ask(&local, &local, id, access, kind).unwrap_err();
    for access in ["", ":", "0:", ":0", "0::1", "0:-1", "0:1:a", " 0", "0:99999999999"] {
        assert_eq!(all(access, K::FieldByteOffset), CoreProblem::Access, "{access:?}");
        assert_eq!(all(access, K::TypeExists), CoreProblem::Access, "{access:?}");
    }
    assert_eq!(all("0:3", K::FieldExists), CoreProblem::NoStep { at: 1 });
    assert_eq!(all("0:0:0", K::FieldExists), CoreProblem::NoStep { at: 2 });
    assert_eq!(all("0", K::EnumvalValue), CoreProblem::NoStep { at: 0 });
    assert_eq!(all("2147483647:0", K::FieldByteOffset), CoreProblem::TooLarge);
    assert_eq!(all(&["0"; 65].join(":"), K::FieldByteOffset), CoreProblem::TooLong);
    let nobody = ask(&local, &local, 4, "0:0", K::FieldExists).unwrap_err();
    assert_eq!(nobody, CoreProblem::Anonymous);
    let error =
        resolve(&local, &Request { type_id: TypeId(id), access: "0:9", kind: K::FieldByteOffset }, &[], &[]);
    assert_eq!(
        error.unwrap_err().to_string(),
        "CO-RE relocation of task + 0:9: wanted a path within the object's own types, found step 1 outside of them"
    );
}

#[test]
fn types_without_end_are_errors() {
    // struct s { struct s; struct s; ... }: anonymous members all the way down.
    let (local, id) = made(LE, |b| {
        let int = b.int("int", 4, 1);
        b.composite(k::STRUCT, "s", 4, &[("n", int, 0)])
    });
    let (endless, _) = made(LE, |b| b.composite(k::STRUCT, "s", 4, &[("", 1, 0), ("", 1, 0)]));
    assert_eq!(ask(&local, &endless, id, "0:0", K::FieldExists).unwrap_err(), CoreProblem::TooLong);
    // Sixty levels of two each: not endless, and too much.
    let (wide, _) = made(LE, |b| {
        let mut last = b.composite(k::STRUCT, "", 4, &[]);
        for _ in 0..60 {
            last = b.composite(k::STRUCT, "", 4, &[("", last, 0), ("", last, 0)]);
        }
        b.composite(k::STRUCT, "s", 4, &[("", last, 0)])
    });
    let problem = ask(&local, &wide, id, "0:0", K::FieldExists).unwrap_err();
    let CoreProblem::Btf { whose: Whose::Target(_), error } = problem else { panic!("{problem:?}") };
    assert_eq!(error.problem, Problem::TooComplex);
    // A struct of itself, compared with itself.
    let (own, id) = made(LE, |b| b.composite(k::STRUCT, "s", 4, &[("a", 1, 0), ("b", 1, 0)]));
    assert!(matches!(ask(&own, &own, id, "0", K::TypeMatches), Err(CoreProblem::Btf { .. })));
    // Typedefs and arrays of themselves.
    for make in [
        (|b: &mut Blob| b.add("t", k::TYPEDEF, 0, 1, &[])) as fn(&mut Blob) -> u32,
        |b| b.add("", k::ARRAY, 0, 0, &[1, 1, 1]),
        |b| b.add("", k::PTR, 0, 1, &[]),
    ] {
        let with = |b: &mut Blob| {
            let loops = make(b);
            let named = b.add("loop", k::TYPEDEF, 0, loops, &[]);
            (b.composite(k::STRUCT, "s", 4, &[("m", loops, 0)]), named)
        };
        let (own, (id, named)) = made(LE, with);
        // Whatever they answer, they answer.
        for (id, access) in [(id, "0:0"), (named, "0")] {
            for kind in K::ALL {
                let _ = ask(&own, &own, id, access, kind);
            }
        }
    }
}

#[test]
fn sizes_that_are_none_are_errors() {
    // A bitfield of an integer without bytes, and one of a pointer.
    let (own, id) = made(LE, |b| {
        let none = b.int("none", 0, 0);
        let ptr = b.add("", k::PTR, 0, none, &[]);
        let odd = b.int("odd", 3, 0);
        let members = [("a", none, 3 << 24), ("b", ptr, 3 << 24), ("c", odd, 20 << 24 | 10)];
        b.composite(k::STRUCT | KIND_FLAG, "s", 8, &members)
    });
    assert_eq!(ask(&own, &own, id, "0:0", K::FieldByteOffset).unwrap_err(), CoreProblem::Bitfield);
    check(&own, &own, id, "0:1", K::FieldByteSize, 8, 8);
    check(&own, &own, id, "0:2", K::FieldByteSize, 6, 6);
    // An incomplete root.
    let (fwd, id) = made(LE, |b| b.add("s", k::FWD, 0, 0, &[]));
    let problem = ask(&fwd, &fwd, id, "0", K::FieldExists).unwrap_err();
    assert!(
        matches!(problem, CoreProblem::Btf { whose: Whose::Local, error } if error.problem == Problem::Unsized)
    );
    check(&fwd, &fwd, id, "0", K::TypeExists, 1, 1);
}

#[test]
fn all_answers_together_take_so_many_steps() {
    let values = |b: &mut Blob, count: usize| {
        let name = b.string("A");
        let words: Vec<u32> = (0..count).flat_map(|_| [name, 0]).collect();
        b.add("e", k::ENUM, count as u32, 4, &words)
    };
    let easy = |b: &mut Blob| {
        let int = b.int("int", 4, 1);
        b.composite(k::STRUCT, "easy", 4, &[("n", int, 0)])
    };
    let (local, (hard, easy_id)) = made(LE, |b| (values(b, 1), easy(b)));
    // More enumerators than one question may look at.
    let (target, _) = made(LE, |b| (values(b, (1 << 19) + 1), easy(b)));
    let mut candidates = Candidates::new(&local, [TypeId(hard), TypeId(easy_id)]).unwrap();
    candidates.search(0, &target).unwrap();
    let mut is_too_complex = |id, access, kind| {
        let request = Request { type_id: TypeId(id), access, kind };
        match candidates.resolve(&request, &[&target]) {
            Ok(_) => false,
            Err(error) => match error.problem {
                CoreProblem::Btf { whose: Whose::Target(_), error } => error.problem == Problem::TooComplex,
                other => panic!("{other:?}"),
            },
        }
    };
    // Four such questions are all that an object has.
    for _ in 0..4 {
        assert!(!is_too_complex(easy_id, "0:0", K::FieldExists));
        assert!(is_too_complex(hard, "0", K::EnumvalExists));
    }
    assert!(is_too_complex(easy_id, "0:0", K::FieldExists));
}

#[test]
fn types_of_one_name_share_their_candidates() {
    let (local, ids) = made(LE, |b| {
        let int = b.int("int", 4, 1);
        let named = |b: &mut Blob, name: String| TypeId(b.composite(k::STRUCT, &name, 4, &[("n", int, 0)]));
        (0..2000).map(|number| named(b, format!("s___{number}"))).collect::<Vec<_>>()
    });
    let (target, _) = made(LE, |b| {
        let int = b.int("int", 4, 1);
        (0..2000).map(|_| b.composite(k::STRUCT, "s", 4, &[("n", int, 0)])).collect::<Vec<_>>()
    });
    let mut candidates = Candidates::new(&local, ids.iter().copied()).unwrap();
    candidates.search(0, &target).unwrap();
    let lists: Vec<_> = ids.iter().map(|&id| candidates.of(id).unwrap()).collect();
    assert!(lists.iter().all(|list| list.len() == 2000 && list.as_ptr() == lists[0].as_ptr()));
}

#[test]
fn an_error_names_some_of_the_candidates() {
    let (local, id) = made(LE, |b| {
        let int = b.int("int", 4, 1);
        b.composite(k::STRUCT, "s", 4, &[("n", int, 0)])
    });
    let (target, _) = made(LE, |b| {
        let int = b.int("int", 4, 1);
        (0..500).map(|at| b.composite(k::STRUCT, "s", 4000, &[("n", int, 32 * at)])).collect::<Vec<_>>()
    });
    let CoreProblem::Ambiguous(choices) = ask(&local, &target, id, "0:0", K::FieldByteOffset).unwrap_err()
    else {
        panic!("they differ");
    };
    assert_eq!(choices.len(), 16);
    assert_eq!((choices[0].value, choices[1].value), (0, 4));
}
