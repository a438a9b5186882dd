//! Types to bytes: building, the round trip, fixing up, rewriting for old kernels.

mod common;

use common::{BOTH, Blob, every_kind, k};
use skep_btf::{
    Array, Btf, Builder, DeclTag, Def, Endian, EnumWidth, Enumerator, Feature, Func, FuncLinkage, Int,
    IntEncoding, Kind, Member, ObjectLayout, Packing, Param, Problem, SecInfo, Sign, Since, Support, Symbol,
    TagStyle, Type, TypeId, TypeTag, Var, VarLinkage, Visibility,
};

/// Appends a type through its meaning alone.
fn rebuild(b: &mut Builder, ty: Type<'_>) -> TypeId {
    let name = ty.name();
    match ty.def() {
        Def::Int(int) => b.int(name, int),
        Def::Ptr(target) => b.ptr(target),
        Def::Array(array) => b.array(array),
        Def::Struct(c) => b.structure(name, c.size, &c.members.iter().collect::<Vec<_>>()),
        Def::Union(c) => b.union(name, c.size, &c.members.iter().collect::<Vec<_>>()),
        Def::Enum(e) => b.enumeration(name, e.size, e.width, e.sign, &e.values().collect::<Vec<_>>()),
        Def::Fwd(kind) => b.fwd(name, kind),
        Def::Typedef(target) => b.typedef(name, target),
        Def::Volatile(target) => b.volatile(target),
        Def::Const(target) => b.constant(target),
        Def::Restrict(target) => b.restrict(target),
        Def::Func(func) => b.func(name, func),
        Def::FuncProto(proto) => b.func_proto(proto.ret, &proto.params.iter().collect::<Vec<_>>()),
        Def::Var(var) => b.var(name, var),
        Def::Datasec(sec) => b.datasec(name, sec.size, &sec.vars.iter().collect::<Vec<_>>()),
        Def::Float(size) => b.float(name, size),
        Def::DeclTag(tag) => b.decl_tag(name, tag),
        Def::TypeTag(tag) => b.type_tag(name, tag),
        other => panic!("{other:?}"),
    }
}

fn check_round_trips(bytes: &[u8]) {
    let btf = Btf::parse(bytes).unwrap();
    assert!(Builder::from_btf(&btf).finish().unwrap() == bytes, "taken over as it is");
    let mut by_meaning = Builder::new(btf.endian());
    let mut by_record = Builder::new(btf.endian());
    for ty in btf.types() {
        assert_eq!(rebuild(&mut by_meaning, ty), ty.id());
        assert_eq!(by_record.copy(ty, |id| id), ty.id());
    }
    let (by_meaning, by_record) = (by_meaning.finish().unwrap(), by_record.finish().unwrap());
    assert!(by_meaning == by_record, "the meaning holds every bit of a record");
    let copy = Btf::from_vec(by_record).unwrap();
    assert_eq!(copy.len(), btf.len());
    for (old, new) in btf.types().zip(copy.types()) {
        assert_eq!((old.name(), old.kind()), (new.name(), new.kind()));
        assert_eq!(old.bytes()[4..12], new.bytes()[4..12]);
        assert_eq!(old.bytes().len(), new.bytes().len());
    }
}

#[test]
fn decoding_and_encoding_is_the_identity() {
    for endian in BOTH {
        check_round_trips(&every_kind(endian).bytes());
    }
    let bytes = every_kind(Endian::Big).bytes();
    let btf = Btf::parse(&bytes).unwrap();
    let mut b = Builder::new(Endian::Big);
    for ty in btf.types() {
        rebuild(&mut b, ty);
    }
    let copy = Btf::from_vec(b.finish().unwrap()).unwrap();
    for (old, new) in btf.types().zip(copy.types()) {
        assert_eq!(format!("{:?}", old.def()), format!("{:?}", new.def()));
    }
    match std::fs::read("/sys/kernel/btf/vmlinux") {
        Ok(bytes) => check_round_trips(&bytes),
        Err(_) => {
            println!("skipped: decoding_and_encoding_is_the_identity on vmlinux: no /sys/kernel/btf/vmlinux");
        }
    }
}

#[test]
fn built_types_read_as_they_were_meant() {
    for endian in BOTH {
        let mut b = Builder::new(endian);
        let int = b.int("int", Int { size: 4, bits: 32, offset: 0, encoding: IntEncoding::SIGNED });
        let list = b.array(Array { elem: int, index: int, len: 3 });
        let width = |bits| std::num::NonZeroU8::new(bits);
        let member = |name, type_id, bit_offset, bitfield| Member { name, type_id, bit_offset, bitfield };
        let plain = b.structure("plain", 16, &[member("a", int, 0, None), member("list", list, 32, None)]);
        let packed =
            b.structure("packed", 4, &[member("x", int, 0, width(3)), member("y", int, 3, width(29))]);
        let state = b.enumeration(
            "state",
            4,
            EnumWidth::Bits32,
            Sign::Signed,
            &[Enumerator { name: "LOW", value: -5 }],
        );
        let attribute = TypeTag { target: int, style: TagStyle::Attribute };
        let tag = b.type_tag("address_space(1)", attribute);
        let note = b.decl_tag("note", DeclTag { target: plain, component: Some(1), style: TagStyle::Tag });
        let btf = Btf::from_vec(b.finish().unwrap()).unwrap();
        let word = |value: u32| endian.bytes32(value);
        assert_eq!(btf.value(plain, &[1, 2, 3, 4].map(word).concat()).to_string(), "{a: 1, list: [2, 3, 4]}");
        let two_and_seven = if endian == Endian::Little { 2 | 7 << 3 } else { 2 << 29 | 7 };
        assert_eq!(btf.value(packed, &word(two_and_seven)).to_string(), "{x: 2, y: 7}");
        assert_eq!(btf.value(state, &word(-5i32 as u32)).to_string(), "LOW");
        assert!(matches!(btf.ty(plain).unwrap().def(), Def::Struct(c) if c.packing == Packing::Plain));
        assert!(matches!(btf.ty(tag).unwrap().def(), Def::TypeTag(t) if t == attribute));
        assert!(matches!(btf.ty(note).unwrap().def(), Def::DeclTag(t) if t.component == Some(1)));
    }
}

#[test]
fn names_are_stored_once_and_split_btf_continues() {
    let mut b = Builder::new(Endian::Little);
    b.float("same", 4);
    b.float("same", 8);
    let bytes = b.finish().unwrap();
    assert_eq!(bytes.windows(4).filter(|window| window == b"same").count(), 1);
    let base = std::sync::Arc::new(Btf::from_vec(bytes).unwrap());
    let mut split = Builder::split(&base);
    assert_eq!(split.next_id(), TypeId(3));
    split.typedef("other", TypeId(2));
    let split = Btf::from_vec_split(split.finish().unwrap(), base).unwrap();
    assert_eq!(split.ty(TypeId(3)).unwrap().name(), "other");
    assert_eq!(split.resolve(TypeId(3)).unwrap().name(), "same");
    assert!(Builder::from_btf(&split).finish().unwrap() == split.bytes());
}

#[test]
fn what_does_not_fit_is_refused() {
    let refused = |build: &dyn Fn(&mut Builder) -> TypeId| {
        let mut b = Builder::new(Endian::Little);
        build(&mut b);
        b.float("after", 4);
        b.finish().unwrap_err().problem
    };
    assert_eq!(refused(&|b| b.float("a\0b", 4)), Problem::BadName);
    let far =
        Member { name: "m", type_id: TypeId(1), bit_offset: 1 << 24, bitfield: std::num::NonZeroU8::new(1) };
    assert_eq!(refused(&|b| b.structure("s", 4, &[far])), Problem::BadOffset(1 << 24));
    for (width, sign, value) in [
        (EnumWidth::Bits32, Sign::Unsigned, -1),
        (EnumWidth::Bits32, Sign::Signed, 1 << 31),
        (EnumWidth::Bits64, Sign::Unsigned, 1 << 64),
        (EnumWidth::Bits64, Sign::Signed, 1 << 63),
    ] {
        let values = [Enumerator { name: "v", value }];
        assert_eq!(refused(&|b| b.enumeration("e", 8, width, sign, &values)), Problem::BadValue);
    }
    let many = vec![SecInfo { type_id: TypeId(1), offset: 0, size: 0 }; 1 << 24];
    assert_eq!(refused(&|b| b.datasec("s", 0, &many)), Problem::TooManyElements(1 << 24));
}

#[test]
fn patches_change_one_thing() {
    for endian in BOTH {
        let bytes = every_kind(endian).bytes();
        let btf = Btf::parse(&bytes).unwrap();
        let mut b = Builder::from_btf(&btf);
        b.set_datasec_size(TypeId(20), 64).unwrap();
        b.set_datasec_var(TypeId(20), 1, SecInfo { type_id: TypeId(19), offset: 56, size: 8 }).unwrap();
        b.set_var(TypeId(19), Var { type_id: TypeId(1), linkage: VarLinkage::Global }).unwrap();
        b.set_func(TypeId(17), Func { proto: TypeId(16), linkage: FuncLinkage::Static }).unwrap();
        b.set_param_type(TypeId(16), 0, TypeId(2)).unwrap();
        b.set_name(TypeId(17), "renamed").unwrap();
        let wrong = |error: skep_btf::Error| matches!(error.problem, Problem::WrongKind { .. });
        assert!(wrong(b.set_datasec_size(TypeId(19), 0).unwrap_err()));
        assert!(wrong(
            b.set_var(TypeId(20), Var { type_id: TypeId(1), linkage: VarLinkage::Global }).unwrap_err()
        ));
        let info = SecInfo { type_id: TypeId(19), offset: 0, size: 0 };
        let error = b.set_datasec_var(TypeId(20), 2, info).unwrap_err();
        assert_eq!(error.problem, Problem::NoElement { index: 2, len: 2 });
        assert!(wrong(b.set_param_type(TypeId(17), 0, TypeId(2)).unwrap_err()));
        let many = b.set_param_type(TypeId(16), 99, TypeId(2)).unwrap_err();
        assert!(matches!(many.problem, Problem::NoElement { index: 99, .. }));
        assert_eq!(b.set_name(TypeId(99), "x").unwrap_err().problem, Problem::UnknownType(TypeId(99)));
        let patched = Btf::from_vec(b.finish().unwrap()).unwrap();
        let count = patched.variable(".rodata", "count").unwrap();
        assert_eq!((count.offset, count.type_id, count.linkage), (56, TypeId(1), VarLinkage::Global));
        assert_eq!(patched.datasec(".rodata").unwrap().1.size, 64);
        assert!(
            matches!(patched.ty(TypeId(17)).unwrap().def(), Def::Func(f) if f.linkage == FuncLinkage::Static)
        );
        let params = |of: Def<'_>| match of {
            Def::FuncProto(proto) => {
                proto.params.into_iter().map(|p| (p.name.to_owned(), p.type_id)).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
        let proto = TypeId(16);
        let (old, new) = (params(btf.ty(proto).unwrap().def()), params(patched.ty(proto).unwrap().def()));
        assert_eq!((&new[0].0, new[0].1, &new[1..]), (&old[0].0, TypeId(2), &old[1..]));
        assert_ne!(new, old);
        let changed = [16, 17, 19, 20].map(TypeId);
        for (old, new) in btf.types().zip(patched.types()).filter(|(old, _)| !changed.contains(&old.id())) {
            assert_eq!(old.bytes(), new.bytes());
        }
    }
}

struct Object;

impl ObjectLayout for Object {
    fn section_size(&self, section: &str) -> Option<u32> {
        [(".data", 24), (".empty", 0)].into_iter().find(|(name, _)| *name == section).map(|(_, size)| size)
    }

    fn symbol(&self, section: &str, name: &str) -> Option<Symbol> {
        let all = [("last", 16, Visibility::Default), ("hidden", 8, Visibility::Hidden)];
        let (_, offset, visibility) = all.into_iter().find(|found| section == ".data" && found.0 == name)?;
        Some(Symbol { offset, visibility })
    }

    fn hides_function(&self, name: &str) -> bool {
        name == "inner"
    }
}

#[test]
fn sections_are_fixed_up_from_the_object() {
    for endian in BOTH {
        let mut b = Blob::new(endian);
        let int = b.int("int", 4, 1);
        let last = b.add("last", k::VAR, 0, int, &[1]);
        let hidden = b.add("hidden", k::VAR, 0, int, &[1]);
        let fixed = b.add("fixed", k::VAR, 0, int, &[0]);
        b.add(".data", k::DATASEC, 3, 0, &[last, 0, 4, hidden, 0, 4, fixed, 4, 4]);
        let config = b.add("CONFIG", k::VAR, 0, int, &[2]);
        b.add(".kconfig", k::DATASEC, 1, 0, &[config, 0, 4]);
        let proto = b.add("", k::FUNC_PROTO, 0, int, &[]);
        let inner = b.add("inner", k::FUNC, 1, proto, &[]);
        let outer = b.add("outer", k::FUNC, 1, proto, &[]);
        let bytes = b.bytes();
        let fixed_up = Btf::from_vec(Btf::parse(&bytes).unwrap().fix_up(&Object).unwrap()).unwrap();
        // In the bytes that are given it comes to the same, and a file may have more bytes than that.
        assert_eq!(Btf::from_object(bytes.clone(), &Object).unwrap().bytes(), fixed_up.bytes());
        let longer = [bytes.as_slice(), &[7; 5]].concat();
        assert_eq!(Btf::from_object(longer, &Object).unwrap().bytes(), fixed_up.bytes());
        let linkage = |id: u32| match fixed_up.get(TypeId(id)).unwrap().def() {
            Def::Func(func) => func.linkage,
            other => panic!("{other:?}"),
        };
        assert_eq!([linkage(inner), linkage(outer)], [FuncLinkage::Static, FuncLinkage::Global]);
        let (_, datasec) = fixed_up.datasec(".data").unwrap();
        let vars: Vec<_> =
            fixed_up.variables(datasec).map(|var| (var.name, var.offset, var.linkage)).collect();
        assert_eq!(datasec.size, 24);
        assert_eq!(
            vars,
            [
                ("fixed", 4, VarLinkage::Static),
                ("hidden", 8, VarLinkage::Static),
                ("last", 16, VarLinkage::Global)
            ]
        );
        assert_eq!(fixed_up.datasec(".kconfig").unwrap().1.size, 0, "not the compiler's to place");
        // Done once, nothing is left to do.
        assert_eq!(fixed_up.fix_up(&Object).unwrap(), fixed_up.bytes());

        for (section, var, problem) in [
            (".none", "last", Problem::NoSection),
            (".empty", "last", Problem::NoSection),
            (".data", "gone", Problem::NoSymbol),
        ] {
            let mut b = Blob::new(endian);
            let int = b.int("int", 4, 1);
            let var = b.add(var, k::VAR, 0, int, &[1]);
            b.add(section, k::DATASEC, 1, 0, &[var, 0, 4]);
            let bytes = b.bytes();
            assert_eq!(Btf::parse(&bytes).unwrap().fix_up(&Object).unwrap_err().problem, problem);
            assert_eq!(Btf::from_object(bytes, &Object).unwrap_err().problem, problem);
        }
    }
}

#[test]
fn old_kernels_get_older_records() {
    for endian in BOTH {
        let mut blob = every_kind(endian);
        blob.add("?optional", k::DATASEC, 1, 8, &[19, 0, 8]);
        blob.add(".rodata.str", k::DATASEC, 0, 24, &[]);
        let bytes = blob.bytes();
        let btf = Btf::parse(&bytes).unwrap();
        assert_eq!(btf.sanitize(Support::ALL).unwrap(), bytes, "nothing to do, nothing done");

        let old = Btf::from_vec(btf.sanitize(Support::NONE).unwrap()).unwrap();
        let kinds: Vec<_> = old.types().filter_map(|ty| ty.kind()).collect();
        assert!(kinds.iter().all(|kind| kind.since() <= Since(4, 18)), "{kinds:?}");
        let def = |id| old.ty(TypeId(id)).unwrap().def();
        let name = |id| old.ty(TypeId(id)).unwrap().name();
        // Identifiers stay; one is added at the end.
        assert_eq!(old.len(), btf.len() + 1);
        assert_eq!(name(29), "enum64_placeholder");
        let Def::Enum(mode) = def(7) else { panic!("{:?}", def(7)) };
        assert_eq!((mode.sign, mode.values().next().unwrap().value), (Sign::Unsigned, 0xffff_ffff));
        let Def::Enum(proto) = def(16) else { panic!("{:?}", def(16)) };
        let params: Vec<_> = proto.values().map(|item| item.name).collect();
        assert_eq!((proto.size, params), (4, vec!["ctx", "n", "param_2"]));
        assert!(matches!(def(17), Def::Typedef(TypeId(16))));
        assert!(matches!(def(18), Def::Int(int) if int.size == 1 && int.bits == 8));
        let Def::Struct(rodata) = def(20) else { panic!("{:?}", def(20)) };
        let members: Vec<_> = rodata.members.iter().map(|m| (m.name, m.type_id.0, m.bit_offset)).collect();
        assert_eq!(
            (name(20), rodata.size, members),
            ("_rodata", 56, vec![("limit", 18, 0), ("count", 19, 384)])
        );
        assert!(matches!(def(21), Def::Struct(c) if c.size == 8 && c.members.is_empty()));
        assert_eq!(name(21), "");
        assert!(matches!(def(22), Def::Int(int) if int.size == 1));
        assert!(matches!(def(24), Def::Const(TypeId(1))));
        assert_eq!(name(24), "");
        let Def::Union(wide) = def(25) else { panic!("{:?}", def(25)) };
        assert!(wide.members.iter().all(|m| m.type_id == TypeId(29) && m.bit_offset == 0));
        assert_eq!(wide.members.get(1).unwrap().name, "BIG");
        assert_eq!(name(27), "_optional");
        assert!(matches!(def(28), Def::Struct(empty) if empty.size == 24 && empty.members.is_empty()));
        assert_eq!(name(28), "_rodata_str");
        // Names of others are untouched.
        assert_eq!(btf.ty(TypeId(20)).unwrap().name(), ".rodata");
        for id in [1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15].map(TypeId) {
            assert_eq!(old.ty(id).unwrap().bytes(), btf.ty(id).unwrap().bytes());
        }
    }
}

#[test]
fn each_feature_changes_its_own_records_only() {
    let mut blob = every_kind(Endian::Little);
    blob.add("?optional", k::DATASEC, 1, 8, &[19, 0, 8]);
    blob.add(".rodata.str", k::DATASEC, 0, 24, &[]);
    blob.add(".bss", k::DATASEC, 1, 0, &[19, 0, 8]);
    blob.add("maps/1", k::DATASEC, 1, 8, &[19, 0, 8]);
    let bytes = blob.bytes();
    let btf = Btf::parse(&bytes).unwrap();
    for (feature, changed) in [
        (Feature::Func, vec![16, 17]),
        (Feature::Datasec, vec![18, 19, 20, 27, 28, 29, 30]),
        (Feature::EmptyDatasec, vec![28, 29]),
        (Feature::FuncLinkage, vec![17]),
        (Feature::Float, vec![21]),
        (Feature::DeclTag, vec![22, 23]),
        (Feature::TypeTag, vec![24]),
        (Feature::Enum64, vec![7, 25, 26]),
        (Feature::OptionalSection, vec![27, 30]),
    ] {
        let rewritten = Btf::from_vec(btf.sanitize(Support::ALL.without(feature)).unwrap()).unwrap();
        let differ = |ty: &Type<'_>| rewritten.ty(ty.id()).unwrap().bytes() != ty.bytes();
        let found: Vec<_> = btf.types().filter(differ).map(|ty| ty.id().0).collect();
        assert_eq!(found, changed, "{feature:?}");
    }
    assert_eq!(
        Support::of_release(Since(5, 10)),
        Support::NONE.with(Feature::Func).with(Feature::Datasec).with(Feature::FuncLinkage)
    );
    assert!(Feature::all().all(|feature| Support::of_release(Since(6, 18)).has(feature)));
    assert!(Kind::all().all(|kind| kind.since() <= Since(6, 0)));
}

#[test]
fn parameters_keep_their_order() {
    let mut b = Builder::new(Endian::Big);
    let int = b.int("int", Int { size: 4, bits: 32, offset: 0, encoding: IntEncoding::SIGNED });
    let params = [Param { name: "a", type_id: int }, Param { name: "", type_id: TypeId::VOID }];
    let proto = b.func_proto(TypeId::VOID, &params);
    let btf = Btf::from_vec(b.finish().unwrap()).unwrap();
    assert!(btf.ty(proto).unwrap().as_func_proto().unwrap().params.iter().eq(params));
}

#[test]
fn externs_get_a_place() {
    for endian in BOTH {
        let mut b = Blob::new(endian);
        let int = b.int("int", 4, 1);
        let bool_id = b.int("_Bool", 1, 4);
        let long = b.int("unsigned long", 8, 0);
        let flag = b.add("CONFIG_BPF", k::VAR, 0, bool_id, &[2]);
        let hz = b.add("CONFIG_HZ", k::VAR, 0, long, &[2]);
        let version = b.add("LINUX_KERNEL_VERSION", k::VAR, 0, int, &[2]);
        let debug = b.add("CONFIG_A", k::VAR, 0, bool_id, &[2]);
        b.add(".kconfig", k::DATASEC, 4, 0, &[flag, 0, 1, version, 0, 4, hz, 0, 8, debug, 0, 1]);
        let named = b.string("named");
        let proto = b.add("", k::FUNC_PROTO, 3, int, &[0, int, named, int, 0, 0]);
        let kfunc = b.add("kfunc", k::FUNC, 2, proto, &[]);
        let symbol = b.add("bpf_prog_active", k::VAR, 0, bool_id, &[2]);
        let ksyms = b.add(".ksyms", k::DATASEC, 2, 0, &[kfunc, 0, 0, symbol, 0, 1]);
        let bytes = b.bytes();
        let btf = Btf::from_vec(Btf::parse(&bytes).unwrap().place_externs().unwrap()).unwrap();
        let (_, kconfig) = btf.datasec(".kconfig").unwrap();
        let placed: Vec<_> =
            btf.variables(kconfig).map(|var| (var.name, var.offset, var.size, var.linkage)).collect();
        assert_eq!(
            placed,
            [
                ("CONFIG_HZ", 0, 8, VarLinkage::Global),
                ("LINUX_KERNEL_VERSION", 8, 4, VarLinkage::Global),
                ("CONFIG_A", 12, 1, VarLinkage::Global),
                ("CONFIG_BPF", 13, 1, VarLinkage::Global),
            ]
        );
        assert_eq!(kconfig.size, 14);
        let secinfo = btf.ty(TypeId(ksyms)).unwrap().as_datasec().unwrap();
        let places: Vec<_> =
            secinfo.vars.iter().map(|info| (info.type_id.0, info.offset, info.size)).collect();
        assert_eq!((secinfo.size, places), (8, vec![(ksyms + 1, 0, 4), (symbol, 4, 4)]));
        assert_eq!(btf.ty(TypeId(ksyms + 1)).unwrap().name(), "dummy_ksym");
        assert!(
            matches!(btf.ty(TypeId(kfunc)).unwrap().def(), Def::Func(f) if f.linkage == FuncLinkage::Global)
        );
        let names: Vec<_> =
            btf.ty(TypeId(proto)).unwrap().as_func_proto().unwrap().params.iter().map(|p| p.name).collect();
        assert_eq!(names, ["dummy_ksym", "named", ""]);
    }
}
