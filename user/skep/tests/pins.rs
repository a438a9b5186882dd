//! Maps shared by name, and what is pinned.

mod common;

use common::{Held, linux, object, packet};
use skep::{Autoload, Errno, ErrorKind, Map, MapType, NewMap, Pinned, Program, TestRun};

/// A pin's path that is free, and is free again afterwards.
struct Place(String);

impl Place {
    fn new(name: &str) -> Place {
        Place(format!("/sys/fs/bpf/skep_test_{}_{name}", std::process::id()))
    }
}

impl Drop for Place {
    #[allow(clippy::disallowed_methods, reason = "a test looks at the machine itself")]
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Tells whether pins work here; says that `test` is skipped where they do not.
fn bpffs(test: &str, turn: &common::Turn) -> bool {
    const BPF_FS_MAGIC: u64 = 0xcafe_4a11;
    let found = turn.kernel.sys().fs_magic("/sys/fs/bpf").is_ok_and(|magic| magic == BPF_FS_MAGIC);
    if !found {
        println!("skipped: {test}: no BPF file system at /sys/fs/bpf");
    }
    found
}

#[test]
fn a_pinned_map_is_found_by_the_next_object() {
    let Some(turn) = linux("a_pinned_map_is_found_by_the_next_object") else { return };
    if !bpffs("a_pinned_map_is_found_by_the_next_object", &turn) {
        return;
    }
    let before = Held::now();
    let place = Place::new("map");
    for run in 1u64..=3 {
        let mut object = object("lab/vectors/maps/pinning");
        object.map_mut("vector_pinned").unwrap().pin_at(&place.0);
        let loaded = object.load(&turn.kernel).unwrap();
        let program = loaded.program("count_runs").unwrap();
        assert_eq!(program.test_run(&TestRun::packet(&packet())).unwrap().retval, 0);
        let value = loaded.map("vector_pinned").unwrap().lookup(&[0; 4]).unwrap();
        assert_eq!(value, Some(run.to_ne_bytes().to_vec()));
    }
    let map = Map::open_pinned(&turn.kernel, &place.0).unwrap();
    assert_eq!(map.name(), "vector_pinned");
    assert_eq!(map.lookup(&[0; 4]).unwrap(), Some(3u64.to_ne_bytes().to_vec()));
    drop((map, place));
    assert_eq!(Held::left_since(&before), "");
}

#[test]
fn another_kind_of_map_under_the_name_is_refused() {
    let Some(turn) = linux("another_kind_of_map_under_the_name_is_refused") else { return };
    if !bpffs("another_kind_of_map_under_the_name_is_refused", &turn) {
        return;
    }
    let before = Held::now();
    let place = Place::new("other");
    let mut first = object("lab/vectors/maps/pinning");
    first.map_mut("vector_pinned").unwrap().pin_at(&place.0).set_max_entries(2).unwrap();
    drop(first.load(&turn.kernel).unwrap());
    let mut second = object("lab/vectors/maps/pinning");
    second.map_mut("vector_pinned").unwrap().pin_at(&place.0);
    let error = second.load(&turn.kernel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incompatible);
    assert!(error.to_string().contains("max_entries 2, wanted 1"), "{error}");
    assert_eq!(error.place().path.as_deref(), Some(place.0.as_str()));
    drop(place);
    assert_eq!(Held::left_since(&before), "");
}

#[test]
fn a_load_that_fails_takes_its_pins_back() {
    let Some(turn) = linux("a_load_that_fails_takes_its_pins_back") else { return };
    if !bpffs("a_load_that_fails_takes_its_pins_back", &turn) {
        return;
    }
    let before = Held::now();
    let place = Place::new("failed");
    let mut object = object("lab/vectors/maps/pinning");
    object.map_mut("vector_pinned").unwrap().pin_at(&place.0);
    object.program_mut("count_runs").unwrap().set_type(skep::ProgType::TRACING);
    object.load(&turn.kernel).unwrap_err();
    assert_eq!(Held::left_since(&before), "");
    let error = Map::open_pinned(&turn.kernel, &place.0).unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::NotFound, Some(Errno::ENOENT)));
}

#[test]
fn a_pinned_program_runs() {
    let Some(turn) = linux("a_pinned_program_runs") else { return };
    if !bpffs("a_pinned_program_runs", &turn) {
        return;
    }
    let place = Place::new("program");
    let loaded = object("lab/vectors/code/branches.v1").load(&turn.kernel).unwrap();
    let program = loaded.programs().next().unwrap();
    program.pin(&place.0).unwrap();
    assert_eq!(program.pin(&place.0).unwrap_err().errno(), Some(Errno::EEXIST));
    let opened = Program::open_pinned(&turn.kernel, &place.0).unwrap();
    assert_eq!(opened.prog_type(), program.prog_type());
    assert_eq!(opened.info().unwrap().id, program.info().unwrap().id);
    assert_eq!(opened.test_run(&TestRun::packet(&packet())).unwrap().retval, 0);
    let error = program.pin("/tmp/no_bpf_file_system").unwrap_err();
    assert!(error.to_string().contains("/tmp/no_bpf_file_system"), "{error}");
}

#[test]
fn every_difference_of_a_pinned_map_is_told() {
    let test = "every_difference_of_a_pinned_map_is_told";
    let Some(turn) = linux(test) else { return };
    if !bpffs(test, &turn) {
        return;
    }
    let before = Held::now();
    let place = Place::new("differs");
    let map = NewMap::of::<u32, [u64; 2]>(MapType::HASH, 7).create(&turn.kernel).unwrap();
    map.pin(&place.0).unwrap();
    let mut object = object("lab/vectors/maps/pinning");
    object.map_mut("vector_pinned").unwrap().pin_at(&place.0);
    let error = object.load(&turn.kernel).unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::Incompatible, Some(Errno::EINVAL)));
    let told = "the map that is there has type 1, wanted 2; value_size 16, wanted 8; max_entries 7, wanted 1";
    assert!(error.to_string().ends_with(told), "{error}");

    // It may make room for the new one.
    object.map_mut("vector_pinned").unwrap().set_pinned(Pinned::Replaced);
    let loaded = object.load(&turn.kernel).unwrap();
    let there = Map::open_pinned(&turn.kernel, &place.0).unwrap();
    let made = loaded.map("vector_pinned").unwrap();
    assert_eq!(there.info().unwrap().id, made.info().unwrap().id);
    map.typed::<u32, [u64; 2]>().unwrap().insert(&1, &[1, 2]).unwrap();
    // What is alike is used.
    let again = object.load(&turn.kernel).unwrap();
    assert_eq!(again.map("vector_pinned").unwrap().info().unwrap().id, there.info().unwrap().id);
    drop((map, loaded, again, there, place));
    assert_eq!(Held::left_since(&before), "");
}

#[test]
fn a_load_that_fails_leaves_the_pin_that_it_was_to_replace() {
    let test = "a_load_that_fails_leaves_the_pin_that_it_was_to_replace";
    let Some(turn) = linux(test) else { return };
    if !bpffs(test, &turn) {
        return;
    }
    let before = Held::now();
    let place = Place::new("kept");
    let map = NewMap::of::<u32, u32>(MapType::HASH, 7).create(&turn.kernel).unwrap();
    map.pin(&place.0).unwrap();
    let mut object = object("lab/vectors/maps/pinning");
    object.map_mut("vector_pinned").unwrap().pin_at(&place.0).set_pinned(Pinned::Replaced);
    object.program_mut("count_runs").unwrap().set_type(skep::ProgType::TRACING);
    object.load(&turn.kernel).unwrap_err();
    let there = Map::open_pinned(&turn.kernel, &place.0).unwrap();
    assert_eq!(there.info().unwrap().id, map.info().unwrap().id);
    drop((map, there, place));
    assert_eq!(Held::left_since(&before), "");
}

#[test]
fn a_pinned_map_of_other_types_is_refused_by_field() {
    let test = "a_pinned_map_of_other_types_is_refused_by_field";
    let Some(turn) = linux(test) else { return };
    if !bpffs(test, &turn) {
        return;
    }
    let place = Place::new("types");
    let load = |stem: &str, pinned| {
        let mut object = object(stem);
        for program in object.programs().map(str::to_owned).collect::<Vec<_>>() {
            object.program_mut(&program).unwrap().set_autoload(Autoload::No);
        }
        let mut map = object.map_mut("shared").unwrap();
        map.pin_at(&place.0).set_pinned(pinned);
        object.load(&turn.kernel)
    };
    drop(load("lab/vectors/maps/shared.v1", Pinned::Alike).unwrap());
    drop(load("lab/vectors/maps/shared.v1", Pinned::Alike).unwrap());
    let error = load("lab/vectors/maps/shared.v2", Pinned::Alike).unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::Incompatible, Some(Errno::EINVAL)));
    assert_eq!(error.place().path.as_deref(), Some(place.0.as_str()));
    let told = "other types: value: field traffic.bytes: __u64 bytes at 8, wanted __u64 drops at 8";
    assert!(error.to_string().ends_with(told), "{error}");
    drop(load("lab/vectors/maps/shared.v2", Pinned::AlikeInSize).unwrap());
    drop(load("lab/vectors/maps/shared.v2", Pinned::Replaced).unwrap());
    drop(load("lab/vectors/maps/shared.v2", Pinned::Alike).unwrap());
}

#[test]
fn pinned_data_is_shared_by_the_next_load() {
    let test = "pinned_data_is_shared_by_the_next_load";
    let Some(turn) = linux(test) else { return };
    if !bpffs(test, &turn) {
        return;
    }
    let place = Place::new("data");
    let load = || {
        let mut globals = object("lab/vectors/data/globals");
        globals.map_mut(".data").unwrap().pin_at(&place.0);
        globals.load(&turn.kernel).unwrap_or_else(|error| panic!("{error:?}"))
    };
    let first = load();
    first.global("in_data").unwrap().set("77").unwrap();
    assert_eq!(load().global("in_data").unwrap().value().unwrap().as_int(), Some(77));
}
