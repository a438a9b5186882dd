//! Arenas: variables in them, pages that programs allocate, memory shared with this process.

mod common;

use common::{Held, linux, object, running};
use skep::flags::{BPF_F_MMAPABLE, BPF_F_SEGV_ON_FAULT};
use skep::{Errno, ErrorKind, Loaded, Map, Object, TestRun, Value};

/// The first Linux with arenas.
const SINCE: (u32, u32) = (6, 9);
/// Where `arena.at` wants to be.
const AT: usize = 0x1000_0000_0000;

/// Takes the kernel, if it has arenas; else says that `test` is skipped.
fn with_arenas(test: &str) -> Option<common::Turn> {
    let turn = linux(test)?;
    if running() < SINCE {
        println!("skipped: {test}: no arenas before 6.9");
        return None;
    }
    Some(turn)
}

fn run(loaded: &Loaded, program: &str) -> u32 {
    let program = loaded.program(program).unwrap();
    program.test_run(&TestRun::new()).unwrap_or_else(|error| panic!("{error:?}")).retval
}

#[test]
fn variables_are_of_the_arena() {
    let mut object = object("lab/vectors/maps/arena");
    assert!(object.maps().all(|map| map != ".addr_space.1"));
    assert_eq!(object.global("limits.high").unwrap(), Value::Unsigned(40));
    object.set_global("limits.low", "4").unwrap();
    assert_eq!(object.global("limits.low").unwrap(), Value::Unsigned(4));
    let error = object.map_mut("arena").unwrap().set_type(skep::MapType::ARRAY).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Setting, "{error}");
}

#[test]
fn programs_and_this_process_share_memory() {
    let Some(turn) = with_arenas("programs_and_this_process_share_memory") else { return };
    for stem in ["lab/vectors/maps/arena", "lab/vectors/maps/arena.at"] {
        let before = Held::now();
        let mut object = object(stem);
        object.set_global("limits.high", "41").unwrap();
        let loaded = object.load(&turn.kernel).unwrap_or_else(|error| panic!("{error:?}"));
        let arena = loaded.map("arena").unwrap().arena().unwrap();
        assert_eq!(arena.len(), 16 * 4096);
        if stem.ends_with(".at") {
            assert_eq!(arena.address(), AT);
        }
        assert_eq!(run(&loaded, "settle"), 0);
        // The program has stored pointers of this process.
        let word = |at: usize| {
            let mut bytes = [0; 8];
            arena.read(at, &mut bytes).unwrap();
            u64::from_ne_bytes(bytes)
        };
        let hive = loaded.global("hive").unwrap().bytes().unwrap();
        let mut bee = arena.offset_of(u64::from_ne_bytes(hive.try_into().unwrap()));
        let mut honey = Vec::new();
        let mut last = 0;
        while let Some(at) = bee {
            honey.push(word(at + 8));
            (last, bee) = (at, arena.offset_of(word(at)));
        }
        assert_eq!(honey, [12, 11, 10], "{stem}");
        // And follows those of this process: one more bee, behind the last on its page.
        let new = last + 16 * 8;
        arena.write(new + 8, &100u64.to_ne_bytes()).unwrap();
        arena.write(new, &0u64.to_ne_bytes()).unwrap();
        arena.write(last, &((arena.address() + new) as u64).to_ne_bytes()).unwrap();
        assert_eq!(run(&loaded, "harvest"), 0);
        assert_eq!(loaded.global("total").unwrap().value().unwrap(), Value::Unsigned(133));
        assert_eq!(loaded.global("limits.high").unwrap().value().unwrap(), Value::Unsigned(42));
        loaded.global("limits.high").unwrap().set("7").unwrap();
        assert_eq!(run(&loaded, "harvest"), 0);
        assert_eq!(loaded.global("limits.high").unwrap().value().unwrap(), Value::Unsigned(8));
        let honey = arena.cell::<u64>(new + 8).unwrap();
        assert_eq!((honey.fetch_add(1).unwrap(), honey.get().unwrap()), (100, 101));
        let total = loaded.global("total").unwrap().cell::<u64>().unwrap();
        assert_eq!((run(&loaded, "harvest"), total.get().unwrap()), (0, 134));
        // Nothing outside is read or written.
        for at in [arena.len() - 7, arena.len(), usize::MAX] {
            assert_eq!(arena.read(at, &mut [0; 8]).unwrap_err().kind(), ErrorKind::Setting);
            assert_eq!(arena.write(at, &[0; 8]).unwrap_err().kind(), ErrorKind::Setting);
            assert_eq!(arena.cell::<u64>(at).unwrap_err().kind(), ErrorKind::Setting);
        }
        assert_eq!(arena.offset_of(arena.address() as u64 - 1), None);
        assert_eq!(arena.offset_of((arena.address() + arena.len()) as u64), None);
        drop(loaded);
        assert_eq!(Held::left_since(&before), "");
    }
}

#[test]
fn an_address_in_use_is_left_alone() {
    let Some(turn) = with_arenas("an_address_in_use_is_left_alone") else { return };
    let object = object("lab/vectors/maps/arena.at");
    let first = object.load(&turn.kernel).unwrap_or_else(|error| panic!("{error:?}"));
    let before = Held::now();
    let error = object.load(&turn.kernel).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EEXIST), "{error}");
    assert_eq!(error.place().map.as_deref(), Some("arena"));
    assert!(error.to_string().contains("0x100000000000"), "{error}");
    assert_eq!(Held::left_since(&before), "");
    assert_eq!(run(&first, "settle"), 0, "the first one is as it was");
    // The same map, opened again: it is where it is, and nowhere else.
    let id = first.map("arena").unwrap().info().unwrap().id;
    let again = Map::from_id(&turn.kernel, id).unwrap();
    assert_eq!(again.arena().unwrap_err().errno(), Some(Errno::EEXIST));
    let total = first.global("total").unwrap().bytes().unwrap();
    let mut first = first;
    let program = first.take_program("harvest").unwrap();
    drop(first);
    let arena = again.arena().unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!((arena.address(), total.len()), (AT, 8));
    drop(program);
}

#[test]
fn what_does_not_fit_is_refused() {
    let Some(turn) = with_arenas("what_does_not_fit_is_refused") else { return };
    let stem = "lab/vectors/maps/arena";
    let refused = |object: &Object| {
        let before = Held::now();
        let error = object.load(&turn.kernel).unwrap_err();
        assert_eq!(Held::left_since(&before), "");
        assert_eq!(error.place().map.as_deref(), Some("arena"), "{error}");
        error
    };
    // 5000 bytes and more are two pages.
    let mut small = object(stem);
    small.map_mut("arena").unwrap().set_max_entries(1).unwrap();
    assert_eq!(refused(&small).errno(), Some(Errno::E2BIG));
    let mut strict = object(stem);
    strict.map_mut("arena").unwrap().set_flags(BPF_F_MMAPABLE | BPF_F_SEGV_ON_FAULT);
    assert_eq!(refused(&strict).kind(), ErrorKind::Setting);
    let loaded = object("lab/vectors/data/globals").load(&turn.kernel).unwrap();
    let map = loaded.maps().next().unwrap();
    assert_eq!(map.arena().unwrap_err().kind(), ErrorKind::Setting);
}
