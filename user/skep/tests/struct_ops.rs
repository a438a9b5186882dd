//! Structs of functions that the kernel calls, and functions of programs that others replace.

mod common;

use common::{Held, linux, object, packet, running};
use skep::flags::BPF_F_LINK;
use skep::{Autocreate, Autoload, Errno, Error, ErrorKind, MapType, Object, ProgType, TestRun};
use std::collections::BTreeSet;

/// Without what no kernel has, and what the running one has not.
fn congestion() -> Object {
    let mut object = object("lab/vectors/struct_ops/congestion");
    object.map_mut("straw").unwrap().set_function("waggle", None).unwrap();
    if !has_links() {
        object.map_mut("linked").unwrap().set_autocreate(Autocreate::No);
    }
    object
}

/// Such structs are linked since 68b04864ca42 ("bpf: Create links for BPF struct_ops maps.").
fn has_links() -> bool {
    running() >= (6, 4)
}

fn loaded_programs(object: &Object, kernel: &skep::Kernel) -> BTreeSet<String> {
    let loaded = object.load(kernel).unwrap_or_else(|error| panic!("{error:?}"));
    loaded.programs().map(|program| program.name().to_owned()).collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn the_object_says_what_stands_where() {
    let object = object("lab/vectors/struct_ops/congestion");
    let maps: Vec<_> = ["straw", "linked", "optional"].iter().map(|name| object.map(name).unwrap()).collect();
    assert!(maps.iter().all(|map| map.map_type == MapType::STRUCT_OPS && map.value_size == 64));
    assert_eq!(maps.iter().map(|map| map.flags).collect::<Vec<_>>(), [0, BPF_F_LINK, BPF_F_LINK]);
    let functions = |map: &skep::MapSpec| match &map.origin {
        skep::MapOrigin::StructOps(ops) => {
            let found = ops.functions.iter().map(|f| (f.member, f.program.clone())).collect::<Vec<_>>();
            (ops.autocreate, found)
        }
        other => panic!("{other:?}"),
    };
    let (autocreate, found) = functions(maps[0]);
    let found: Vec<_> = found.iter().map(|(member, program)| (*member, program.as_str())).collect();
    assert!(autocreate);
    assert_eq!(found, [(1, "dance"), (2, "avoid"), (4, "slow_start"), (5, "undo")]);
    assert!(!functions(maps[2]).0, "it is optional");
}

#[test]
fn a_struct_is_registered_with_its_programs() {
    let Some(turn) = linux("a_struct_is_registered_with_its_programs") else { return };
    let before = Held::now();
    let mut object = congestion();
    object.map_mut("straw").unwrap().set_member("name", "skep_set").unwrap();
    let loaded = object.load(&turn.kernel).unwrap_or_else(|error| panic!("{error:?}"));
    let programs: BTreeSet<_> = loaded.programs().map(|program| program.name().to_owned()).collect();
    assert_eq!(
        programs,
        names(&["slow_start", "undo", "avoid"]),
        "the optional one and the unset one are left out"
    );
    let straw = loaded.map("straw").unwrap();
    straw.register().unwrap_or_else(|error| panic!("{error:?}"));
    let known = common::read("/proc/sys/net/ipv4/tcp_available_congestion_control");
    assert!(known.split_ascii_whitespace().any(|name| name == "skep_set"), "{known}");
    // The name is taken now.
    let again = object.load(&turn.kernel).unwrap();
    let error = again.map("straw").unwrap().register().unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EEXIST), "{error}");
    straw.unregister().unwrap();
    let known = common::read("/proc/sys/net/ipv4/tcp_available_congestion_control");
    assert!(!known.contains("skep_set"), "{known}");
    // One that is to be linked is ready for it, and in use by nobody.
    if has_links() {
        loaded.map("linked").unwrap().register().unwrap();
        let error = loaded.map("linked").unwrap().register().unwrap_err();
        assert_eq!(error.errno(), Some(Errno::EBUSY), "{error}");
    }
    drop((loaded, again));
    assert_eq!(Held::left_since(&before), "");
}

#[test]
fn what_the_kernel_does_not_have_may_not_be_set() {
    let Some(turn) = linux("what_the_kernel_does_not_have_may_not_be_set") else { return };
    let refused = |object: &Object| -> Error { object.load(&turn.kernel).unwrap_err() };
    let error = refused(&object("lab/vectors/struct_ops/congestion"));
    assert_eq!((error.kind(), error.place().map.as_deref()), (ErrorKind::Unsupported, Some("straw")));
    assert!(error.to_string().contains("waggle"), "{error}");
    let mut object = congestion();
    object.map_mut("linked").unwrap().set_autocreate(Autocreate::Yes).set_member("nectar", "7").unwrap();
    let error = refused(&object);
    assert!(error.to_string().contains("nectar"), "{error}");
    assert_eq!(error.place().map.as_deref(), Some("linked"));
    // What is not made asks for nothing.
    object.map_mut("linked").unwrap().set_autocreate(Autocreate::No);
    assert_eq!(loaded_programs(&object, &turn.kernel), names(&["slow_start", "undo", "avoid"]));
}

#[test]
fn programs_go_with_the_structs_that_they_are_in() {
    let Some(turn) = linux("programs_go_with_the_structs_that_they_are_in") else { return };
    if !has_links() {
        println!(
            "skipped: programs_go_with_the_structs_that_they_are_in: no linked structs before Linux 6.4"
        );
        return;
    }
    let mut object = congestion();
    object.map_mut("optional").unwrap().set_autocreate(Autocreate::Yes);
    assert_eq!(
        loaded_programs(&object, &turn.kernel),
        names(&["slow_start", "slower_start", "undo", "avoid"])
    );
    for map in ["straw", "linked"] {
        object.map_mut(map).unwrap().set_autocreate(Autocreate::No);
    }
    assert_eq!(loaded_programs(&object, &turn.kernel), names(&["slower_start", "undo", "avoid"]));
    object.map_mut("optional").unwrap().set_function("ssthresh", Some("slow_start")).unwrap();
    assert_eq!(loaded_programs(&object, &turn.kernel), names(&["slow_start", "undo", "avoid"]));
    // One by itself, for a struct that is not made.
    let mut object = congestion();
    for map in ["straw", "linked"] {
        object.map_mut(map).unwrap().set_autocreate(Autocreate::No);
    }
    object.program_mut("undo").unwrap().set_autoload(Autoload::Yes);
    assert_eq!(loaded_programs(&object, &turn.kernel), names(&["undo"]));
    object.program_mut("dance").unwrap().set_autoload(Autoload::Yes);
    let error = object.load(&turn.kernel).unwrap_err();
    assert_eq!(
        (error.kind(), error.place().program.as_deref()),
        (ErrorKind::Setting, Some("dance")),
        "{error}"
    );
}

#[test]
fn settings_that_do_not_fit_are_refused() {
    let mut object = object("lab/vectors/struct_ops/congestion");
    let mut straw = object.map_mut("straw").unwrap();
    let kind = |result: Result<(), Error>| result.unwrap_err().kind();
    assert_eq!(kind(straw.set_function("name", None).map(|_| ())), ErrorKind::NotFound);
    assert_eq!(kind(straw.set_function("ssthresh", Some("nobody")).map(|_| ())), ErrorKind::Setting);
    assert_eq!(kind(straw.set_member("flags", "honey").map(|_| ())), ErrorKind::Setting);
    assert_eq!(kind(straw.set_member("wings", "2").map(|_| ())), ErrorKind::Setting);
    assert_eq!(kind(straw.set_max_entries(2).map(|_| ())), ErrorKind::Setting);
    let mut other = common::object("lab/vectors/maps/sizes");
    assert_eq!(kind(other.map_mut("ring").unwrap().set_member("name", "x").map(|_| ())), ErrorKind::Setting);
}

#[test]
fn a_function_of_another_program_is_replaced() {
    let Some(turn) = linux("a_function_of_another_program_is_replaced") else { return };
    let before = Held::now();
    let target = object("lab/vectors/struct_ops/replaced").load(&turn.kernel).unwrap();
    let outer = target.program("outer").unwrap();
    let packet = packet();
    assert_eq!(outer.test_run(&TestRun::packet(&packet)).unwrap().retval, 0);

    let mut object = object("lab/vectors/struct_ops/replaced");
    object.only_program("inner").unwrap();
    let error = object.load(&turn.kernel).unwrap_err();
    assert!(error.to_string().contains("set_target_program"), "{error}");
    object.program_mut("inner").unwrap().set_target_program(outer, Some("wax")).unwrap();
    let error = object.load(&turn.kernel).unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::NotFound, Some(Errno::ENOENT)), "{error}");
    object.program_mut("inner").unwrap().set_target_program(outer, Some("honey")).unwrap();
    let loaded = match object.load(&turn.kernel) {
        Ok(loaded) => loaded,
        // Some kernels let nobody replace anything.
        Err(error) if error.kind() == ErrorKind::Permission => {
            println!("skipped: a_function_of_another_program_is_replaced: {error}");
            return;
        }
        Err(error) => panic!("{error:?}"),
    };
    assert_eq!(loaded.program("inner").unwrap().prog_type(), ProgType::EXT);
    drop((loaded, object, target));
    assert_eq!(Held::left_since(&before), "");
}
