//! Maps by the types of Rust, on both kernels by the same tests.

mod common;

use common::{Held, linux, object, packet};
use skep::embedded::{Config, Embedded};
use skep::flags::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC, BPF_F_ZERO_SEED};
use skep::sys::{Call, Reply, Sys};
use skep::zerocopy::{FromBytes, Immutable, IntoBytes};
use skep::{
    Autoload, Errno, ErrorKind, Kernel, Loaded, LpmKey, Map, MapType, NewMap, PerCpu, Program, TestRun,
    Version, When,
};
use skep_abi::{Cmd, MapBatch};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// `struct key` of `lab/vectors/maps/kinds.bpf.c`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, FromBytes, IntoBytes, Immutable)]
#[zerocopy(crate = "skep::zerocopy")]
#[repr(C)]
struct Key {
    first: u32,
    second: u16,
    third: u16,
}
skep::fields!(Key { first, second, third });

/// `struct value` there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[zerocopy(crate = "skep::zerocopy")]
#[repr(C)]
struct Value {
    count: u64,
    parts: [u32; 3],
    padding: u32,
}
skep::fields!(Value { count, parts });

fn key(first: u32) -> Key {
    Key { first, second: 2, third: 3 }
}

fn value(count: u64) -> Value {
    Value { count, parts: [1, 2, 3], padding: 0 }
}

/// Runs a test on the embedded kernel, and on the running one if that can be used.
fn on_both(name: &str, test: impl Fn(&Kernel)) {
    let embedded = Embedded::new(Config::new()).unwrap();
    test(&Kernel::from_sys(embedded.clone()));
    assert_eq!((embedded.open_descriptors(), embedded.page_bytes()), (0, 0));
    let Some(turn) = linux(name) else { return };
    let before = Held::now();
    test(&turn.kernel);
    assert_eq!(Held::left_since(&before), "");
}

/// Loads the maps of an object and none of its programs.
fn maps_of(stem: &str, kernel: &Kernel) -> Loaded {
    let mut object = object(stem);
    for program in object.programs().map(str::to_owned).collect::<Vec<_>>() {
        object.program_mut(&program).unwrap().set_autoload(Autoload::No);
    }
    object.load(kernel).unwrap_or_else(|error| panic!("{error:?}"))
}

#[test]
fn hashes_and_arrays_by_type() {
    on_both("hashes_and_arrays_by_type", |kernel| {
        let loaded = maps_of("lab/vectors/maps/kinds", kernel);
        for name in ["hash", "lru_hash"] {
            let map = loaded.map(name).unwrap().typed::<Key, Value>().unwrap().check_fields().unwrap();
            assert_eq!(map.get(&key(1)).unwrap(), None);
            map.update(&key(1), &value(5), When::Absent).unwrap();
            let again = map.update(&key(1), &value(6), When::Absent).unwrap_err();
            assert_eq!(again.errno(), Some(Errno::EEXIST));
            let absent = map.update(&key(2), &value(6), When::Present).unwrap_err();
            assert_eq!(absent.errno(), Some(Errno::ENOENT));
            assert_eq!(map.get(&key(1)).unwrap(), Some(value(5)));
            // Hashes give and delete at once since Linux 5.14.
            match kernel.version().unwrap() >= Version::new(5, 14) {
                true => assert_eq!(map.take(&key(1)).unwrap(), Some(value(5))),
                false => {
                    assert_eq!(map.take(&key(1)).unwrap_err().kind(), ErrorKind::Unsupported);
                    assert!(map.delete(&key(1)).unwrap());
                }
            }
            assert!(!map.delete(&key(1)).unwrap());

            let elements: BTreeMap<Key, Value> = (0..8).map(|n| (key(n), value(n.into()))).collect();
            map.insert_all(&elements).unwrap();
            let sorted = |found: Vec<(Key, Value)>| found.into_iter().collect::<BTreeMap<_, _>>();
            assert_eq!(sorted(map.iter().collect::<Result<_, _>>().unwrap()), elements);
            assert_eq!(sorted(map.read_all().unwrap()), elements);
            assert_eq!(
                map.keys().map(Result::unwrap).collect::<BTreeSet<_>>(),
                elements.keys().copied().collect()
            );
            map.delete_all(&[key(0), key(99), key(1)]).unwrap();
            assert_eq!(map.drain().unwrap().len(), 6);
            assert_eq!(map.iter().count(), 0);
        }
        let array = loaded.map("array").unwrap().typed::<u32, Value>().unwrap().check_fields().unwrap();
        array.insert(&3, &value(9)).unwrap();
        let all: Vec<_> = array.iter().map(|element| element.unwrap().1.count).collect();
        assert_eq!(all, [0, 0, 0, 9]);
        assert_eq!(array.insert(&4, &value(9)).unwrap_err().errno(), Some(Errno::E2BIG));
        assert_eq!(array.get(&4).unwrap(), None);
        assert_eq!(format!("{array:?}"), "TypedMap<u32, typed::Value>(array)");
    });
}

#[test]
fn values_for_each_cpu() {
    on_both("values_for_each_cpu", |kernel| {
        let cpus = kernel.possible_cpus().unwrap();
        let loaded = maps_of("lab/vectors/maps/kinds", kernel);
        for name in ["percpu_hash", "lru_percpu_hash"] {
            let map =
                loaded.map(name).unwrap().typed::<Key, PerCpu<Value>>().unwrap().check_fields().unwrap();
            let mut values = PerCpu::all(kernel, value(1)).unwrap();
            values.last_mut().unwrap().count = 7;
            map.insert(&key(1), &values).unwrap();
            let found = map.get(&key(1)).unwrap().unwrap();
            assert_eq!(found.len(), cpus as usize);
            assert_eq!(found.iter().map(|value| value.count).sum::<u64>(), u64::from(cpus) + 6);
            assert_eq!(map.read_all().unwrap(), [(key(1), found)]);
            let few = map.insert(&key(1), &PerCpu::new(vec![])).unwrap_err();
            assert_eq!(few.kind(), ErrorKind::Setting, "{few}");
            let none = map.update_cpu(&key(1), cpus, &value(3), When::Any).unwrap_err();
            assert_eq!(none.kind(), ErrorKind::Setting, "{none}");
            // Newer kernels store it, and leave the others alone.
            match map.update_cpu(&key(1), 0, &value(3), When::Any) {
                Ok(()) => {
                    let found = map.get(&key(1)).unwrap().unwrap();
                    assert_eq!(found[0].count, 3);
                    assert!(cpus == 1 || found.last().unwrap().count == 7);
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}"),
            }
        }
        // A value that is no multiple of eight bytes.
        let odd = NewMap::of::<u32, [u8; 5]>(MapType::PERCPU_ARRAY, 2).create(kernel).unwrap();
        let odd = odd.into_typed::<u32, PerCpu<[u8; 5]>>().unwrap();
        let values: Vec<_> = (0..cpus).map(|cpu| [cpu as u8 + 1; 5]).collect();
        odd.insert(&1, &PerCpu::new(values.clone())).unwrap();
        assert_eq!(odd.get(&1).unwrap().unwrap().into_vec(), values);
    });
}

#[test]
fn what_does_not_fit_is_told_with_the_types_of_the_object() {
    on_both("what_does_not_fit_is_told_with_the_types_of_the_object", |kernel| {
        let loaded = maps_of("lab/vectors/maps/kinds", kernel);
        let hash = loaded.map("hash").unwrap();
        let error = hash.typed::<u32, u64>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Setting);
        assert_eq!(error.place().map.as_deref(), Some("hash"));
        assert_eq!(
            error.to_string(),
            "map hash: its keys have 8 bytes, as struct key { __u32 first at 0, __u16 second at 4, __u16 third at 6 }; \
             u32 has 4; its values have 24 bytes, as struct value { __u64 count at 0, __u32[3] parts at 8 }; u64 has 8"
        );
        let plain = loaded.map("percpu_hash").unwrap().typed::<Key, Value>().unwrap_err();
        assert!(plain.to_string().contains("takes PerCpu<typed::Value>"), "{plain}");
        let each = hash.typed::<Key, PerCpu<Value>>().unwrap_err();
        assert!(each.to_string().contains("all CPUs share one"), "{each}");
        assert!(hash.typed::<Key, Program>().is_err() && hash.typed::<Key, Map>().is_err());
        assert!(loaded.map("ring").unwrap().typed::<(), ()>().is_err());

        #[derive(FromBytes, IntoBytes, Immutable)]
        #[zerocopy(crate = "skep::zerocopy")]
        #[repr(C)]
        struct Moved {
            parts: [u32; 4],
            count: u64,
        }
        skep::fields!(Moved { parts, count });
        let error = hash.typed::<Key, Moved>().unwrap().check_fields().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Incompatible);
        assert_eq!(
            error.to_string(),
            "map hash: value: field parts lies at 8 with 12 bytes in the object, at 0 with 16 in Rust; \
             value: field count lies at 0 with 8 bytes in the object, at 16 with 8 in Rust"
        );
        let bools = NewMap::of::<u32, u8>(MapType::HASH, 4).create(kernel).unwrap();
        bools.typed::<u32, u8>().unwrap().insert(&1, &2).unwrap();
        let error = bools.typed::<u32, bool>().unwrap().get(&1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    });
}

#[test]
fn the_longest_prefix_is_found() {
    on_both("the_longest_prefix_is_found", |kernel| {
        let trie =
            NewMap::of::<LpmKey<4>, u32>(MapType::LPM_TRIE, 16).flags(BPF_F_NO_PREALLOC).name("routes");
        let routes = trie.create(kernel).unwrap().into_typed::<LpmKey<4>, u32>().unwrap();
        let prefix = |address, bits| LpmKey::new(address, bits).unwrap();
        let whole = |address: [u8; 4]| LpmKey::from(std::net::Ipv4Addr::from(address));
        routes.insert(&prefix([10, 0, 0, 0], 8), &1).unwrap();
        routes.insert(&prefix([10, 1, 0, 0], 16), &2).unwrap();
        routes.insert(&prefix([0; 4], 0), &3).unwrap();
        for (address, found) in [([10, 2, 3, 4], 1), ([10, 1, 3, 4], 2), ([192, 0, 2, 1], 3)] {
            assert_eq!(routes.get(&whole(address)).unwrap(), Some(found), "{address:?}");
        }
        let keys: BTreeSet<u32> = routes.keys().map(|key| key.unwrap().bits()).collect();
        assert_eq!(keys, [0, 8, 16].into());
        assert_eq!(routes.read_all().unwrap().len(), 3);
        assert!(routes.delete(&prefix([0; 4], 0)).unwrap());
        assert_eq!(routes.get(&whole([192, 0, 2, 1])).unwrap(), None);
        assert_eq!(routes.map().name(), "routes");
    });
}

#[test]
fn queues_stacks_and_filters_by_type() {
    on_both("queues_stacks_and_filters_by_type", |kernel| {
        for (kind, order) in [(MapType::QUEUE, [2, 3, 4]), (MapType::STACK, [4, 3, 2])] {
            let map = NewMap::of::<(), u64>(kind, 3).create(kernel).unwrap().into_typed::<(), u64>().unwrap();
            for number in 1..=3 {
                map.push(&number).unwrap();
            }
            assert_eq!(map.push(&4).unwrap_err().errno(), Some(Errno::E2BIG));
            map.push_over(&4).unwrap();
            assert_eq!(map.peek().unwrap(), Some(order[0]));
            assert_eq!([(); 3].map(|()| map.pop().unwrap().unwrap()), order);
            assert_eq!(map.pop().unwrap(), None);
            assert_eq!(map.iter().count(), 0);
        }
        let bloom = match NewMap::of::<(), u32>(MapType::BLOOM_FILTER, 100).extra(3).create(kernel) {
            Ok(map) => map.into_typed::<(), u32>().unwrap(),
            Err(error) if common::running() < (5, 16) => return println!("skipped: Bloom filters: {error}"),
            Err(error) => panic!("{error:?}"),
        };
        assert!(!bloom.may_contain(&7).unwrap());
        bloom.push(&7).unwrap();
        assert!(bloom.may_contain(&7).unwrap());
    });
}

#[test]
fn programs_and_maps_are_stored_by_handle() {
    on_both("programs_and_maps_are_stored_by_handle", |kernel| {
        let loaded =
            object("lab/vectors/maps/kinds").load(kernel).unwrap_or_else(|error| panic!("{error:?}"));
        let programs = loaded.map("programs").unwrap().typed::<u32, Program>().unwrap();
        programs.insert(&3, loaded.program("arrays").unwrap()).unwrap();
        let found = programs.get(&3).unwrap().unwrap();
        assert_eq!(found.info().unwrap().id, loaded.program("arrays").unwrap().info().unwrap().id);
        assert_eq!(programs.program_id(&3).unwrap(), Some(found.info().unwrap().id));
        assert!(programs.get(&0).unwrap().is_none());
        assert_eq!(programs.iter().count(), 1);
        // The program of the slot runs in the place of the one that calls it.
        let packet = packet();
        let run =
            || loaded.program("empty_slots").unwrap().test_run(&TestRun::packet(&packet)).unwrap().retval;
        assert_eq!(run(), 0);
        assert!(programs.delete(&3).unwrap());
        let other = Kernel::from_sys(Embedded::new(Config::new()).unwrap());
        let foreign = object("lab/vectors/maps/kinds").load(&other).unwrap();
        let error = programs.insert(&0, foreign.program("arrays").unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Setting, "{error}");

        let pattern = NewMap::of::<u32, u64>(MapType::HASH, 8).name("inner").create(kernel).unwrap();
        let outer = NewMap::of::<u32, u32>(MapType::HASH_OF_MAPS, 4).inner(&pattern).create(kernel);
        let outer = match outer {
            Ok(outer) => outer.into_typed::<u32, Map>().unwrap(),
            // The embedded kernel has no maps of maps yet.
            Err(error) => return assert_eq!(error.errno(), Some(Errno::EINVAL), "{error}"),
        };
        pattern.typed::<u32, u64>().unwrap().insert(&1, &2).unwrap();
        outer.insert(&7, &pattern).unwrap();
        let inner = outer.get(&7).unwrap().unwrap().into_typed::<u32, u64>().unwrap();
        assert_eq!(inner.get(&1).unwrap(), Some(2));
        assert_eq!(
            outer.iter().map(|element| element.unwrap().1.name().to_owned()).collect::<Vec<_>>(),
            ["inner"]
        );
        let wrong = NewMap::of::<u64, u64>(MapType::HASH, 8).create(kernel).unwrap();
        assert_eq!(outer.insert(&7, &wrong).unwrap_err().errno(), Some(Errno::EINVAL));
        assert!(outer.delete(&7).unwrap());
    });
}

#[test]
fn what_is_made_by_hand_and_wrong_is_explained() {
    on_both("what_is_made_by_hand_and_wrong_is_explained", |kernel| {
        let error = NewMap::of::<u64, u64>(MapType::ARRAY, 8).name("wrong").create(kernel).unwrap_err();
        assert_eq!((error.failed_call(), error.errno()), (Some("BPF_MAP_CREATE"), Some(Errno::EINVAL)));
        assert!(error.to_string().contains("the key has 8 bytes, wanted 4"), "{error}");
        assert_eq!(error.place().map.as_deref(), Some("wrong"));
    });
}

#[test]
fn arrays_are_read_and_written_in_place_or_by_calls() {
    on_both("arrays_are_read_and_written_in_place_or_by_calls", |kernel| {
        for flags in [0, BPF_F_MMAPABLE] {
            let map = NewMap::of::<u32, Value>(MapType::ARRAY, 300).flags(flags).create(kernel).unwrap();
            let cells = map.cells::<Value>().unwrap();
            assert_eq!((cells.len(), cells.is_mapped()), (300, flags != 0));
            for index in [0, 1, 171, 299] {
                cells.set(index, &value(index.into())).unwrap();
                let seen = map.typed::<u32, Value>().unwrap().get(&index).unwrap();
                assert_eq!(seen, Some(value(index.into())), "a call sees what was written in place");
            }
            map.typed::<u32, Value>().unwrap().insert(&5, &value(55)).unwrap();
            assert_eq!(cells.get(5).unwrap(), value(55), "and the other way round");
            assert_eq!(cells.iter().map(|cell| cell.unwrap().count).sum::<u64>(), 1 + 171 + 299 + 55);
            assert_eq!(cells.at(300).unwrap_err().errno(), Some(Errno::ENOENT));
            assert!(map.cells::<u64>().unwrap_err().to_string().contains("have 24 bytes; u64 has 8"));
        }
        // Four bytes lie eight apart.
        let map = NewMap::of::<u32, u32>(MapType::ARRAY, 5).flags(BPF_F_MMAPABLE).create(kernel).unwrap();
        let cells = map.cells::<u32>().unwrap();
        let cell = cells.at(3).unwrap();
        assert_eq!((cell.fetch_add(5).unwrap(), cell.swap(9).unwrap()), (0, 5));
        assert_eq!(cell.compare_exchange(1, 2).unwrap(), Err(9));
        assert_eq!(cell.compare_exchange(9, 2).unwrap(), Ok(9));
        assert_eq!(map.typed::<u32, u32>().unwrap().get(&3).unwrap(), Some(2));
        let unmapped = NewMap::of::<u32, u32>(MapType::ARRAY, 5).create(kernel).unwrap();
        let error = unmapped.cells::<u32>().unwrap().at(0).unwrap().fetch_add(1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        // What is frozen is mapped for reading.
        let frozen = NewMap::of::<u32, u32>(MapType::ARRAY, 5).flags(BPF_F_MMAPABLE).create(kernel).unwrap();
        frozen.typed::<u32, u32>().unwrap().insert(&1, &7).unwrap();
        frozen.freeze().unwrap();
        let cells = frozen.cells::<u32>().unwrap();
        assert_eq!((cells.get(1).unwrap(), cells.is_mapped()), (7, true));
        assert_eq!(cells.set(1, &8).unwrap_err().kind(), ErrorKind::Permission);
        assert_eq!(cells.at(1).unwrap().fetch_add(8).unwrap_err().kind(), ErrorKind::Permission);
    });
}

#[test]
fn variables_are_cells() {
    on_both("variables_are_cells", |kernel| {
        let mut globals = object("lab/vectors/data/globals");
        globals.only_program("writes").unwrap();
        let loaded = globals.load(kernel).unwrap();
        let cell = loaded.global("points[1].y").unwrap().cell::<u32>().unwrap();
        assert_eq!(cell.get().unwrap(), 4);
        cell.set(&40).unwrap();
        assert_eq!(loaded.global("points[1].y").unwrap().value().unwrap().as_int(), Some(40));
        assert_eq!(loaded.global("points[1].x").unwrap().value().unwrap().as_int(), Some(3));
        let points = loaded.global("points[1]").unwrap().cell::<[u32; 2]>().unwrap();
        assert_eq!(points.get().unwrap(), [3, 40]);
        let error = loaded.global("points[1].y").unwrap().cell::<u64>().unwrap_err();
        assert!(error.to_string().contains("has 4 bytes; u64 has 8"), "{error}");
        let constant = loaded.global("in_rodata").unwrap();
        let error = constant.cell::<u64>().unwrap().set(&1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
    });
}

/// Others delete and store elements while the map is walked over: every element that stays is seen, none is seen twice, and the
/// walk ends.
#[test]
fn walks_see_what_stays_while_others_change_the_map() {
    on_both("walks_see_what_stays_while_others_change_the_map", |kernel| {
        const STAY: u32 = 64;
        let map = NewMap::of::<u32, u32>(MapType::HASH, 256).create(kernel).unwrap();
        let map = map.into_typed::<u32, u32>().unwrap();
        for number in 0..STAY {
            map.insert(&number, &number).unwrap();
        }
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut round = 0u32;
                while !done.load(Ordering::Relaxed) {
                    let number = STAY + round % 128;
                    match round / 128 % 2 {
                        0 => map.insert(&number, &number).unwrap(),
                        _ => assert!(map.delete(&number).unwrap()),
                    }
                    round = round.wrapping_add(1);
                }
            });
            let stop = Stop(&done);
            let (mut whole, mut ended_early) = (0, 0);
            for _ in 0..150 {
                let mut seen = BTreeSet::new();
                match map.keys().try_for_each(|key| key.map(|key| assert!(seen.insert(key), "{key} twice"))) {
                    Ok(()) => {
                        whole += 1;
                        assert!((0..STAY).all(|number| seen.contains(&number)), "{seen:?}");
                    }
                    Err(error) => {
                        assert_eq!(error.errno(), Some(Errno::EBUSY), "{error}");
                        ended_early += 1;
                    }
                }
                let read = map.read_all().unwrap();
                let stayed: Vec<_> = read.iter().filter(|(key, _)| *key < STAY).collect();
                assert_eq!(stayed.len(), STAY as usize, "{read:?}");
                assert!(read.iter().all(|(key, value)| key == value));
            }
            assert!(whole > ended_early, "{whole} walks came to their end, {ended_early} did not");
            drop(stop);
        });
    });
}

/// Ends the other thread, also where a test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A kernel, and for how many elements each batch that was read had room.
struct Rooms {
    inner: Arc<dyn Sys>,
    rooms: Arc<Mutex<Vec<u32>>>,
}

impl Sys for Rooms {
    fn call(&self, call: Call<'_>) -> Result<Reply, Errno> {
        if let Call::Bpf(attr) = &call {
            if [Cmd::MAP_LOOKUP_BATCH, Cmd::MAP_LOOKUP_AND_DELETE_BATCH].contains(&attr.cmd()) {
                let at = std::mem::offset_of!(MapBatch, count);
                let count = u32::from_ne_bytes(*attr.bytes()[at..].first_chunk().unwrap());
                self.rooms.lock().unwrap().push(count);
            }
        }
        self.inner.call(call)
    }
}

/// One element of a batch is a megabyte, so that a bucket with two is more than was asked for; with a seed of zero, the same keys
/// meet in a bucket each time. Its memory is taken when the map is made: a megabyte in one piece is not always there later.
#[test]
fn batches_grow_until_a_bucket_fits() {
    on_both("batches_grow_until_a_bucket_fits", |kernel| {
        const LEN: u32 = 1 << 20;
        let rooms = Arc::new(Mutex::new(Vec::new()));
        let watched = Rooms { inner: Arc::clone(kernel.sys().sys()), rooms: Arc::clone(&rooms) };
        let kernel = Kernel::from_sys(watched);
        let new = NewMap::new(MapType::HASH, 8).sizes(4, LEN).flags(BPF_F_ZERO_SEED);
        let map = new.create(&kernel).unwrap();
        let mut stored = BTreeSet::new();
        for number in 0..8u32 {
            map.insert(&number.to_ne_bytes(), &vec![number as u8; LEN as usize]).unwrap();
            stored.insert(number);
        }
        let numbers = |elements: &[(Vec<u8>, Vec<u8>)]| -> BTreeSet<u32> {
            let number = |key: &Vec<u8>| u32::from_ne_bytes(key.as_slice().try_into().unwrap());
            assert!(elements.iter().all(|(key, value)| value[0] == key[0]));
            elements.iter().map(|(key, _)| number(key)).collect()
        };
        let read = map.read_all().unwrap();
        assert_eq!((read.len(), numbers(&read)), (8, stored.clone()));
        let read_with = std::mem::take(&mut *rooms.lock().unwrap());
        let drained = map.drain().unwrap();
        assert_eq!((drained.len(), numbers(&drained)), (8, stored));
        assert_eq!(map.keys().count(), 0);
        for rooms in [read_with, rooms.lock().unwrap().clone()] {
            assert_eq!(rooms.first(), Some(&1), "{rooms:?}");
            assert!(rooms.last() > Some(&1) && rooms.is_sorted(), "{rooms:?}");
        }
    });
}
