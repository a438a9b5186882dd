//! What MAP_CREATE refuses, kind by kind, as Linux 6.18 does.

mod support;

use skep_abi::flags::*;
use skep_abi::{Errno, MapType};
use skep_maps::{KINDS, Kind, MapDef, create};
use skep_mem::testing::{TestHost, TestHostOptions};
use skep_model::platform::maps::MAPS;
use support::{def, with_flags};

fn outcome(def: &MapDef) -> Result<(), Errno> {
    create(&TestHost::new().as_dyn(), def).map(drop)
}

fn check(def: MapDef, expect: Result<(), Errno>) {
    assert_eq!(outcome(&def), expect, "{def:?}");
}

const INVAL: Result<(), Errno> = Err(Errno::EINVAL);
const TOO_BIG: Result<(), Errno> = Err(Errno::E2BIG);

/// The smallest map of each kind.
fn smallest(kind: &Kind) -> MapDef {
    let (key, value, entries) = match kind.map_type {
        MapType::RINGBUF => (0, 0, 4096),
        MapType::QUEUE | MapType::STACK => (0, 1, 1),
        MapType::BLOOM_FILTER => (0, 4, 1),
        MapType::LPM_TRIE => (5, 1, 1),
        _ => (4, 4, 1),
    };
    let flags = if kind.map_type == MapType::LPM_TRIE { BPF_F_NO_PREALLOC } else { 0 };
    with_flags(def(kind.map_type, key, value, entries), flags)
}

#[test]
fn each_kind_has_a_smallest_map_and_refuses_unknown_flags() {
    for kind in KINDS {
        let def = smallest(kind);
        check(def, Ok(()));
        for bit in 0..32 {
            let flag = 1 << bit;
            let limits = MAPS.iter().find(|row| row.kind == kind.map_type).unwrap();
            let lru = [MapType::LRU_HASH, MapType::LRU_PERCPU_HASH].contains(&kind.map_type);
            if limits.flags & flag == 0 && !(lru && flag == BPF_F_NO_PREALLOC) {
                check(with_flags(def, def.flags | flag), INVAL);
            }
        }
        check(MapDef { extra: 1 << 20, ..def }, INVAL);
        check(MapDef { max_entries: 0, ..def }, INVAL);
        check(with_flags(def, def.flags | BPF_F_RDONLY | BPF_F_WRONLY), INVAL);
        check(with_flags(def, def.flags | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG), INVAL);
        let numa = with_flags(def, def.flags | BPF_F_NUMA_NODE);
        check(MapDef { numa_node: 1, ..numa }, INVAL);
        check(numa, if def.is_per_cpu() { INVAL } else { Ok(()) });
        check(MapDef { numa_node: 1, ..def }, Ok(()));
    }
}

#[test]
fn sizes_are_bounded_as_in_linux() {
    for (map_type, key, value, entries, expect) in [
        (MapType(0), 4, 4, 1, INVAL),
        (MapType(9999), 4, 4, 1, INVAL),
        (MapType::ARRAY, 3, 4, 1, INVAL),
        (MapType::ARRAY, 4, 0, 1, INVAL),
        (MapType::ARRAY, 4, 1 << 31, 1, TOO_BIG),
        (MapType::PERCPU_ARRAY, 4, 32 << 10, 1, Ok(())),
        (MapType::PERCPU_ARRAY, 4, (32 << 10) + 1, 1, TOO_BIG),
        (MapType::HASH, 0, 4, 1, INVAL),
        (MapType::HASH, 4, 0, 1, INVAL),
        (MapType::HASH, 513, 4, 1, Ok(())),
        (MapType::HASH, 4, (4 << 20) - 4 - 49, 1, Ok(())),
        (MapType::HASH, 4, (4 << 20) - 4 - 48, 1, TOO_BIG),
        (MapType::HASH, u32::MAX, u32::MAX, 1, TOO_BIG),
        (MapType::HASH, 4, 4, 1 << 28, TOO_BIG),
        (MapType::HASH, 4, 4, u32::MAX, TOO_BIG),
        (MapType::PERCPU_HASH, 4, 32 << 10, 1, Ok(())),
        (MapType::PERCPU_HASH, 4, (32 << 10) + 1, 1, TOO_BIG),
        (MapType::QUEUE, 1, 4, 1, INVAL),
        (MapType::QUEUE, 0, 4 << 20, 1, Ok(())),
        (MapType::QUEUE, 0, (4 << 20) + 1, 1, TOO_BIG),
        (MapType::STACK, 0, 0, 1, INVAL),
        (MapType::RINGBUF, 0, 0, 4095, INVAL),
        (MapType::RINGBUF, 0, 0, 2048, INVAL),
        (MapType::RINGBUF, 0, 0, 12288, INVAL),
        (MapType::RINGBUF, 4, 0, 4096, INVAL),
        (MapType::RINGBUF, 0, 4, 4096, INVAL),
        (MapType::PROG_ARRAY, 4, 8, 1, INVAL),
        (MapType::BLOOM_FILTER, 0, (4 << 20) + 1, 1, TOO_BIG),
    ] {
        check(def(map_type, key, value, entries), expect);
    }
}

#[test]
fn flags_are_bounded_as_in_linux() {
    let array = def(MapType::ARRAY, 4, 4, 1);
    let per_cpu_array = def(MapType::PERCPU_ARRAY, 4, 4, 1);
    let hash = def(MapType::HASH, 4, 4, 1);
    let lru = def(MapType::LRU_HASH, 4, 4, 1);
    let events = def(MapType::PERF_EVENT_ARRAY, 4, 4, 1);
    let prefixes = |key, value| def(MapType::LPM_TRIE, key, value, 1);
    for (def, flags, expect) in [
        (array, BPF_F_MMAPABLE, Ok(())),
        (array, BPF_F_PRESERVE_ELEMS, INVAL),
        (array, BPF_F_NO_PREALLOC, INVAL),
        (array, BPF_F_RDONLY | BPF_F_RDONLY_PROG, Ok(())),
        (array, BPF_F_NUMA_NODE, Ok(())),
        (per_cpu_array, BPF_F_MMAPABLE, INVAL),
        (per_cpu_array, BPF_F_NUMA_NODE, INVAL),
        (hash, BPF_F_NO_PREALLOC, Ok(())),
        (hash, BPF_F_NO_COMMON_LRU, INVAL),
        (hash, BPF_F_ZERO_SEED, Ok(())),
        (lru, BPF_F_NO_COMMON_LRU, Ok(())),
        (lru, BPF_F_NO_PREALLOC, Err(Errno::ENOTSUPP)),
        (lru, BPF_F_NO_COMMON_LRU | BPF_F_NUMA_NODE, INVAL),
        (events, BPF_F_PRESERVE_ELEMS, Ok(())),
        (events, BPF_F_RDONLY_PROG, INVAL),
        (prefixes(8, 4), 0, INVAL),
        (prefixes(4, 4), BPF_F_NO_PREALLOC, INVAL),
        (prefixes(260, 4), BPF_F_NO_PREALLOC, Ok(())),
        (prefixes(261, 4), BPF_F_NO_PREALLOC, INVAL),
        (prefixes(8, (4 << 20) - 280), BPF_F_NO_PREALLOC, Ok(())),
        (prefixes(8, (4 << 20) - 279), BPF_F_NO_PREALLOC, INVAL),
    ] {
        check(with_flags(def, flags), expect);
    }
}

#[test]
fn absurd_sizes_are_refused_not_tried() {
    // More than any machine has; each is ENOMEM or E2BIG, and neither an abort nor a long wait.
    for def in [
        def(MapType::ARRAY, 4, i32::MAX as u32, u32::MAX),
        def(MapType::HASH, 512, 4_000_000, 1 << 27),
        def(MapType::PERCPU_HASH, 4, 32 << 10, 1 << 27),
        def(MapType::QUEUE, 0, 4 << 20, u32::MAX),
        with_flags(def(MapType::ARRAY, 4, i32::MAX as u32, u32::MAX), BPF_F_MMAPABLE),
    ] {
        let errno = outcome(&def).unwrap_err();
        assert!(matches!(errno, Errno::ENOMEM | Errno::E2BIG), "{errno} for {def:?}");
    }
}

#[test]
fn an_lru_of_lists_per_cpu_has_the_same_number_for_each() {
    let host = TestHost::with(TestHostOptions { cpus: 4, ..TestHostOptions::default() }).as_dyn();
    let map = create(&host, &with_flags(def(MapType::LRU_HASH, 4, 4, 6), BPF_F_NO_COMMON_LRU)).unwrap();
    assert_eq!(map.def().max_entries, 8);
}

#[test]
fn a_host_without_pages_has_no_rings_and_no_mappable_arrays() {
    let host = TestHost::with(TestHostOptions { pages: false, ..TestHostOptions::default() }).as_dyn();
    assert_eq!(create(&host, &def(MapType::RINGBUF, 0, 0, 4096)).err(), Some(Errno::EINVAL));
    assert_eq!(
        create(&host, &with_flags(def(MapType::ARRAY, 4, 4, 1), BPF_F_MMAPABLE)).err(),
        Some(Errno::EINVAL)
    );
    assert!(create(&host, &def(MapType::HASH, 4, 4, 1)).is_ok());
}

#[test]
fn usage_grows_with_the_map() {
    for kind in KINDS.iter().filter(|kind| kind.map_type != MapType::RINGBUF) {
        let host = TestHost::new().as_dyn();
        let usage =
            |entries| create(&host, &MapDef { max_entries: entries, ..smallest(kind) }).unwrap().mem_usage();
        assert!(usage(1 << 16) > usage(1) + 4096, "{:?}", kind.map_type);
    }
}
