//! Maps of every kind, through their system calls.

mod common;

use common::{Held, linux, object, packet};
use skep::{Autoload, EntryValue, Errno, ErrorKind, Kernel, Loaded, Map, MapType, TestRun, When};
use std::collections::BTreeSet;

/// Loads the maps of an object and none of its programs.
fn maps_of(stem: &str, kernel: &Kernel) -> Loaded {
    let mut object = object(stem);
    for program in object.programs().map(str::to_owned).collect::<Vec<_>>() {
        object.program_mut(&program).unwrap().set_autoload(Autoload::No);
    }
    object.load(kernel).unwrap()
}

fn key(first: u32) -> [u8; 8] {
    let mut key = [0; 8];
    key[..4].copy_from_slice(&first.to_ne_bytes());
    key
}

fn value(map: &Map, count: u64) -> Vec<u8> {
    let mut value = vec![0; map.value_size()];
    value[..8].copy_from_slice(&count.to_ne_bytes());
    match map.is_per_cpu() {
        true => {
            let cpus = map.fd().shape().cpus() as usize;
            map.join_cpus(&vec![value; cpus]).unwrap()
        }
        false => value,
    }
}

#[test]
fn hashes_keep_what_they_are_given() {
    let Some(turn) = linux("hashes_keep_what_they_are_given") else { return };
    let before = Held::now();
    let loaded = maps_of("lab/vectors/maps/kinds", &turn.kernel);
    for name in ["hash", "percpu_hash", "lru_hash", "lru_percpu_hash"] {
        let map = loaded.map(name).unwrap();
        assert_eq!(map.lookup(&key(1)).unwrap(), None, "{name}");
        map.update(&key(1), &value(map, 5), When::Absent).unwrap();
        let again = map.update(&key(1), &value(map, 6), When::Absent).unwrap_err();
        assert_eq!((again.kind(), again.errno()), (ErrorKind::Kernel, Some(Errno::EEXIST)));
        assert_eq!(again.place().map.as_deref(), Some(name));
        let absent = map.update(&key(2), &value(map, 6), When::Present).unwrap_err();
        assert_eq!(absent.errno(), Some(Errno::ENOENT));
        map.insert(&key(1), &value(map, 7)).unwrap();
        assert_eq!(map.lookup(&key(1)).unwrap(), Some(value(map, 7)), "{name}");
        assert!(map.delete(&key(1)).unwrap());
        assert!(!map.delete(&key(1)).unwrap());
        let short = map.insert(&key(1)[..7], &value(map, 7)).unwrap_err();
        assert_eq!(short.kind(), ErrorKind::Setting, "{short}");
    }
    drop(loaded);
    assert_eq!(Held::left_since(&before), "");
}

#[test]
fn every_element_is_seen_once_also_when_it_is_deleted_on_the_way() {
    let Some(turn) = linux("every_element_is_seen_once_also_when_it_is_deleted_on_the_way") else { return };
    let loaded = maps_of("lab/vectors/maps/kinds", &turn.kernel);
    for name in ["hash", "percpu_hash"] {
        let map = loaded.map(name).unwrap();
        let elements: Vec<_> = (1..=8).map(|n| (key(n), value(map, n.into()))).collect();
        map.insert_all(&elements).unwrap();
        let read: BTreeSet<_> = map.read_all().unwrap().into_iter().collect();
        assert_eq!(read, elements.iter().map(|(k, v)| (k.to_vec(), v.clone())).collect(), "{name}");
        let mut seen = BTreeSet::new();
        for found in map.keys() {
            let found = found.unwrap();
            assert!(map.delete(&found).unwrap());
            assert!(seen.insert(found), "{name}");
        }
        assert_eq!(seen.len(), 8, "{name}");
        assert_eq!(map.keys().count(), 0);
        map.insert_all(&elements).unwrap();
        map.delete_all(&[key(1), key(100), key(2)]).unwrap();
        assert_eq!(map.drain().unwrap().len(), 6, "{name}");
        assert_eq!(map.keys().count(), 0);
        let full = (1..=9).map(|n| (key(n), value(map, 0))).collect::<Vec<_>>();
        assert_eq!(map.insert_all(&full).unwrap_err().errno(), Some(Errno::E2BIG), "{name}");
        map.drain().unwrap();
    }
}

#[test]
fn entries_are_read_by_their_types() {
    let Some(turn) = linux("entries_are_read_by_their_types") else { return };
    let loaded = maps_of("lab/vectors/maps/kinds", &turn.kernel);
    let hash = loaded.map("hash").unwrap();
    hash.insert(&key(3), &value(hash, 9)).unwrap();
    let entries: Vec<_> = hash.entries().collect::<Result<_, _>>().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].key.to_string(), "{first: 3, second: 0, third: 0}");
    let EntryValue::One(read) = &entries[0].value else { panic!("{entries:?}") };
    assert_eq!(read.member("count").unwrap().as_int(), Some(9));
    let array = loaded.map("percpu_array").unwrap();
    array.insert(&2u32.to_ne_bytes(), &value(array, 4)).unwrap();
    let entries: Vec<_> = array.entries().collect::<Result<_, _>>().unwrap();
    assert_eq!(entries.len(), 4, "an array has all its elements");
    let EntryValue::PerCpu(cpus) = &entries[2].value else { panic!("{entries:?}") };
    assert_eq!(cpus.len(), array.fd().shape().cpus() as usize);
    assert!(cpus.iter().all(|cpu| cpu.member("count").unwrap().as_int() == Some(4)));
    assert_eq!(loaded.map("perf_events").unwrap().iter().count(), 0);
    assert_eq!(loaded.map("programs").unwrap().iter().count(), 0);
    assert_eq!(loaded.map("ring").unwrap().entries().count(), 0);
}

#[test]
fn queues_stacks_and_bloom_filters_have_no_keys() {
    let Some(turn) = linux("queues_stacks_and_bloom_filters_have_no_keys") else { return };
    let loaded = maps_of("lab/vectors/maps/kinds", &turn.kernel);
    let bytes = |number: u64| number.to_ne_bytes().to_vec();
    for (name, order) in [("queue", [1, 2, 3]), ("stack", [3, 2, 1])] {
        let map = loaded.map(name).unwrap();
        assert_eq!(map.pop().unwrap(), None);
        for number in 1..=3 {
            map.push(&bytes(number)).unwrap();
        }
        assert_eq!(map.peek().unwrap(), Some(bytes(order[0])));
        for number in order {
            assert_eq!(map.pop().unwrap(), Some(bytes(number)), "{name}");
        }
        assert_eq!(map.peek().unwrap(), None);
    }
    if common::running() >= (5, 16) {
        let loaded = maps_of("lab/vectors/maps/extra", &turn.kernel);
        let bloom = loaded.map("bloom").unwrap();
        assert_eq!(bloom.info().unwrap().map_extra, 3);
        assert!(!bloom.may_contain(&7u32.to_ne_bytes()).unwrap());
        bloom.push(&7u32.to_ne_bytes()).unwrap();
        assert!(bloom.may_contain(&7u32.to_ne_bytes()).unwrap());
    }
}

#[test]
fn sizes_and_kinds_can_be_changed_before_the_load() {
    let Some(turn) = linux("sizes_and_kinds_can_be_changed_before_the_load") else { return };
    let mut object = object("lab/vectors/maps/kinds");
    object.map_mut("hash").unwrap().set_max_entries(100).unwrap();
    object.map_mut("lru_hash").unwrap().set_type(MapType::HASH).unwrap();
    object.map_mut("ring").unwrap().set_max_entries(5000).unwrap();
    let error = object.map_mut("array").unwrap().set_contents(&[0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Setting, "{error}");
    assert_eq!(object.map_mut("nothing").unwrap_err().kind(), ErrorKind::NotFound);
    for program in object.programs().map(str::to_owned).collect::<Vec<_>>() {
        object.program_mut(&program).unwrap().set_autoload(Autoload::No);
    }
    let loaded = object.load(&turn.kernel).unwrap();
    assert_eq!(loaded.map("hash").unwrap().info().unwrap().max_entries, 100);
    assert_eq!(loaded.map("lru_hash").unwrap().map_type(), MapType::HASH);
    assert_eq!(loaded.map("ring").unwrap().max_entries().unwrap(), 8192, "rounded up to a power of two");
    assert_eq!(loaded.programs().len(), 0);
}

#[test]
fn what_the_kernel_dislikes_about_a_map_is_said() {
    let Some(turn) = linux("what_the_kernel_dislikes_about_a_map_is_said") else { return };
    let before = Held::now();
    let mut object = object("lab/vectors/maps/kinds");
    object.map_mut("array").unwrap().set_key_size(8).unwrap();
    let error = object.load(&turn.kernel).unwrap_err();
    assert_eq!((error.failed_call(), error.errno()), (Some("BPF_MAP_CREATE"), Some(Errno::EINVAL)));
    assert_eq!(error.place().map.as_deref(), Some("array"));
    assert!(error.to_string().contains("the key has 8 bytes, wanted 4"), "{error}");
    assert_eq!(Held::left_since(&before), "");
}

#[test]
fn a_map_outlives_what_it_was_loaded_with() {
    let Some(turn) = linux("a_map_outlives_what_it_was_loaded_with") else { return };
    let before = Held::now();
    let mut loaded = object("lab/vectors/maps/pinning");
    loaded.map_mut("vector_pinned").unwrap().do_not_pin();
    let mut loaded = loaded.load(&turn.kernel).unwrap();
    loaded.program("count_runs").unwrap().test_run(&TestRun::packet(&packet())).unwrap();
    let map = loaded.take_map("vector_pinned").unwrap();
    assert_eq!(loaded.map("vector_pinned").unwrap_err().kind(), ErrorKind::NotFound);
    let program = loaded.take_program("count_runs").unwrap();
    drop(loaded);
    program.test_run(&TestRun::packet(&packet()).repeat(3)).unwrap();
    let mut again = object("lab/vectors/maps/pinning");
    again.map_mut("vector_pinned").unwrap().do_not_pin().reuse(&map);
    let second = again.load(&turn.kernel).unwrap();
    drop(again);
    second.program("count_runs").unwrap().test_run(&TestRun::packet(&packet())).unwrap();
    assert_eq!(map.lookup(&[0; 4]).unwrap(), Some(5u64.to_ne_bytes().to_vec()));
    let again = Map::from_id(&turn.kernel, map.info().unwrap().id).unwrap();
    assert_eq!(again.entries().next().unwrap().unwrap().value, map.entry_value(&5u64.to_ne_bytes()));
    drop((program, second, map, again));
    assert_eq!(Held::left_since(&before), "");
}
