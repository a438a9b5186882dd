//! A module's types fit a kernel that was built again.

use skep_btf::{Array, Btf, Builder, Def, Endian, FwdKind, Int, IntEncoding, Kind, Member, Problem, TypeId};
use std::sync::Arc;

const INT: Int = Int { size: 4, bits: 32, offset: 0, encoding: IntEncoding::SIGNED };

fn member(name: &str, type_id: TypeId) -> Member<'_> {
    Member { name, type_id, bit_offset: 0, bitfield: None }
}

/// A kernel whose `task` has that size, with that many types before it.
fn kernel(before: u32, size: u32) -> Arc<Btf<'static>> {
    let mut b = Builder::new(Endian::Little);
    for index in 0..before {
        b.float("filler", 16 + index);
    }
    let int = b.int("int", INT);
    let inner = b.structure("", 4, &[member("hidden", int)]);
    let lock = b.structure("lock", 4, &[member("value", int)]);
    let task = b.structure("task", size, &[member("", inner), member("lock", lock)]);
    b.typedef("task_t", task);
    b.typedef("lock_t", lock);
    b.ptr(task);
    b.fwd("elsewhere", FwdKind::Struct);
    Arc::new(Btf::from_vec(b.finish().unwrap()).unwrap())
}

/// A module: a struct that has a lock of the kernel's by value, and refers to tasks by two ways.
fn module(kernel: &Arc<Btf<'static>>) -> Btf<'static> {
    let find = |name, kind| kernel.find(name, kind).unwrap();
    let mut b = Builder::split(kernel);
    let task_ptr = b.ptr(find("task_t", Kind::Typedef));
    let locks = b.array(Array { elem: find("lock_t", Kind::Typedef), index: find("int", Kind::Int), len: 1 });
    let opaque = b.ptr(find("elsewhere", Kind::Fwd));
    let members = [member("owner", task_ptr), member("locks", locks), member("opaque", opaque)];
    b.structure("driver", 24, &members);
    Btf::from_vec_split(b.finish().unwrap(), Arc::clone(kernel)).unwrap()
}

/// The module's types on their small base.
fn small(kernel: &Arc<Btf<'static>>) -> Btf<'static> {
    let distilled = module(kernel).distill().unwrap();
    let base = Arc::new(Btf::from_vec(distilled.base).unwrap());
    Btf::from_vec_split(distilled.split, base).unwrap()
}

#[test]
fn the_base_has_names_and_sizes_and_nothing_else() {
    let split = small(&kernel(3, 96));
    let base = split.base().unwrap();
    let names: Vec<_> = base.types().map(|ty| (ty.name().to_owned(), ty.kind().unwrap())).collect();
    let wanted =
        [("int", Kind::Int), ("lock", Kind::Struct), ("task", Kind::Struct), ("elsewhere", Kind::Fwd)];
    assert_eq!(names, wanted.map(|(name, kind)| (name.to_owned(), kind)));
    let task = base.ty(base.find("task", Kind::Struct).unwrap()).unwrap();
    assert_eq!((base.size_of(task.id()), task.as_composite().unwrap().members.len()), (Ok(96), 0));
    // What has no name in the base, or is but another name, is behind the own types now.
    let kinds: Vec<_> = split.own_types().map(|ty| ty.kind().unwrap()).collect();
    assert_eq!(kinds[..4], [Kind::Ptr, Kind::Array, Kind::Ptr, Kind::Struct]);
    assert_eq!(kinds[4..], [Kind::Typedef, Kind::Typedef]);
    assert_eq!(split.layout(split.find("driver", Kind::Struct).unwrap()).unwrap().size, 24);
}

#[test]
fn a_module_fits_the_kernel_that_was_built_again() {
    for (before, size) in [(0, 96), (7, 96), (2, 104)] {
        let again = kernel(before, size);
        let moved = small(&kernel(3, 96)).relocate(&again).unwrap();
        let moved = Btf::from_vec_split(moved, Arc::clone(&again)).unwrap();
        let driver = moved.find("driver", Kind::Struct).unwrap();
        let owner = moved.member(driver, "owner").unwrap();
        let Def::Ptr(task) = moved.ty(owner.type_id).unwrap().def() else { panic!() };
        assert_eq!(moved.resolve(task).unwrap().id(), again.find("task", Kind::Struct).unwrap());
        assert_eq!(moved.size_of(task), Ok(size));
        let lock = moved.field(driver, "locks[0].value").unwrap();
        assert_eq!(lock.type_id, again.find("int", Kind::Int).unwrap());
    }
}

#[test]
fn what_is_not_there_is_named() {
    let split = small(&kernel(0, 96));
    let refused = |build: &dyn Fn(&mut Builder) -> Vec<TypeId>| {
        let mut b = Builder::new(Endian::Little);
        b.int("int", INT);
        build(&mut b);
        b.fwd("elsewhere", FwdKind::Struct);
        let base = Arc::new(Btf::from_vec(b.finish().unwrap()).unwrap());
        let error = split.relocate(&base).unwrap_err();
        let name = split.ty(error.place.type_id.unwrap()).unwrap().name().to_owned();
        (error.problem, name)
    };
    let lock = |b: &mut Builder, size| b.structure("lock", size, &[]);
    let task = |b: &mut Builder, size| b.structure("task", size, &[]);
    // A lock that has grown lies where something else was.
    let found = refused(&|b| vec![lock(b, 8), task(b, 96)]);
    assert_eq!(found, (Problem::NoMatch, "lock".to_owned()));
    let found = refused(&|b| vec![lock(b, 4)]);
    assert_eq!(found, (Problem::NoMatch, "task".to_owned()));
    let found = refused(&|b| vec![lock(b, 4), task(b, 96), task(b, 96)]);
    assert_eq!(found, (Problem::Ambiguous, "task".to_owned()));
    let found = refused(&|b| vec![lock(b, 4), task(b, 80), task(b, 104)]);
    assert_eq!(found, (Problem::NoMatch, "task".to_owned()));
    // A declaration finds what it declares.
    let mut b = Builder::new(Endian::Little);
    b.int("int", INT);
    lock(&mut b, 4);
    task(&mut b, 96);
    b.structure("elsewhere", 8, &[]);
    assert!(split.relocate(&Arc::new(Btf::from_vec(b.finish().unwrap()).unwrap())).is_ok());
}

#[test]
fn only_split_btf_has_a_base() {
    let whole = kernel(0, 96);
    assert_eq!(whole.distill().unwrap_err().problem, Problem::OtherBase);
    assert_eq!(whole.relocate(&kernel(0, 96)).unwrap_err().problem, Problem::OtherBase);
}
