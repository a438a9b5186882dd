//! Maps shared by name, and what is pinned.

mod common;

use common::{Held, linux, object, packet};
use skep::{Errno, ErrorKind, Map, Program, TestRun};

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
