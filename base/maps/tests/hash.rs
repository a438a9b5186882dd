//! HASH, PERCPU_HASH, LRU_HASH, LRU_PERCPU_HASH.

mod support;

use skep_abi::flags::{BPF_ANY, BPF_EXIST, BPF_F_LOCK, BPF_NOEXIST};
use skep_abi::{Errno, MapType};
use skep_mem::{Host, Level, OnCpu};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use support::{Fixture, def, lend, u32_bytes as k, u64_bytes as v};

#[test]
fn operations_answer_as_linux_does() {
    let map = Fixture::new(def(MapType::HASH, 4, 8, 2));
    let (absent, full) = (Err(Errno::ENOENT), Err(Errno::E2BIG));
    for (step, (key, flags, expect)) in [
        (1, BPF_EXIST, absent),
        (1, 3, Err(Errno::EINVAL)),
        (1, BPF_F_LOCK, Err(Errno::EINVAL)),
        (1, BPF_F_LOCK | BPF_EXIST, Err(Errno::EINVAL)),
        (1, u64::MAX, Err(Errno::EINVAL)),
        (1, BPF_NOEXIST, Ok(())),
        (1, BPF_NOEXIST, Err(Errno::EEXIST)),
        (2, BPF_ANY, Ok(())),
        (3, BPF_ANY, full),
        (3, BPF_NOEXIST, full),
        (3, BPF_EXIST, absent),
        (1, BPF_ANY, Ok(())),
        (2, BPF_EXIST, Ok(())),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(map.update(k(key), v(step as u64), flags), expect, "step {step}");
    }
    assert_eq!(map.lookup(k(1)), Some(v(11).to_vec()));
    assert_eq!(map.lookup(k(3)), None);
    assert_eq!(map.sys_lookup(k(2), 0), Ok(v(12).to_vec()));
    assert_eq!(map.sys_lookup(k(3), 0), Err(Errno::ENOENT));
    assert_eq!(map.delete(k(3)), absent);
    assert_eq!(map.delete(k(1)), Ok(()));
    assert_eq!(map.delete(k(1)), absent);
    assert_eq!(map.update(k(3), v(3), BPF_NOEXIST), Ok(()));
    assert_eq!(map.sys_take(k(3), 0), Ok(v(3).to_vec()));
    assert_eq!(map.sys_take(k(3), 0), Err(Errno::ENOENT));
    assert_eq!(map.keys(), [k(2)]);
    assert_eq!(map.update([0; 5], v(0), 0), Err(Errno::EINVAL));
    assert_eq!(map.update(k(0), [0; 9], 0), Err(Errno::EINVAL));
}

#[test]
fn an_update_replaces_the_element_and_leaves_the_old_bytes() {
    let map = Fixture::new(def(MapType::HASH, 4, 8, 4));
    map.update(k(1), v(10), 0).unwrap();
    let cpu = map.cpu();
    let old = lend(k(1), |key| map.map.lookup(&cpu, key)).unwrap();
    map.update(k(1), v(11), 0).unwrap();
    assert!(old.eq_slice(&v(10)));
    assert_eq!(map.lookup(k(1)), Some(v(11).to_vec()));
    // Held over a delete it stays memory of the map, whatever is in it.
    map.delete(k(1)).unwrap();
    (0..100).for_each(|i| map.update(k(i % 4), v(u64::from(i)), 0).unwrap());
    old.load_u64(0).unwrap();
    old.store_u64(0, 1).unwrap();
}

#[test]
fn values_of_other_cpus_start_at_zero_and_are_written_in_place() {
    let map = Fixture::new(def(MapType::PERCPU_HASH, 4, 4, 4));
    let stale = vec![0xee; 32];
    map.sys_update(k(9), &stale, 0).unwrap();
    map.sys_delete(k(9)).unwrap();
    map.host.prefer_cpu(1);
    map.update(k(9), [1; 4], BPF_NOEXIST).unwrap();
    map.host.prefer_cpu(3);
    assert_eq!(map.lookup(k(9)), Some(vec![0; 4]));
    let cpu = map.cpu();
    let own = lend(k(9), |key| map.map.lookup(&cpu, key)).unwrap();
    drop(cpu);
    map.update(k(9), [3; 4], BPF_EXIST).unwrap();
    assert!(own.eq_slice(&[3; 4]));
    let all = map.sys_lookup(k(9), 0).unwrap();
    assert_eq!(all, [[0; 8], [1, 1, 1, 1, 0, 0, 0, 0], [0; 8], [3, 3, 3, 3, 0, 0, 0, 0]].concat());
}

#[test]
fn a_full_lru_evicts_the_oldest_that_was_not_used() {
    for kind in [MapType::LRU_HASH, MapType::LRU_PERCPU_HASH] {
        let map = Fixture::new(def(kind, 4, 8, 8));
        (0..8).for_each(|i| map.update(k(i), v(0), 0).unwrap());
        assert!(map.lookup(k(0)).is_some() && map.lookup(k(5)).is_some());
        map.update(k(100), v(0), BPF_NOEXIST).unwrap();
        map.update(k(101), v(0), 0).unwrap();
        let keys = map.keys();
        assert_eq!(keys.len(), 8);
        for (key, is_there) in
            [(0, true), (1, false), (2, false), (3, true), (5, true), (100, true), (101, true)]
        {
            assert_eq!(keys.contains(&k(key).to_vec()), is_there, "key {key} in {kind:?}");
        }
        assert_eq!(map.update(k(1), v(0), BPF_EXIST), Err(Errno::ENOENT));
    }
}

#[test]
fn looking_by_system_call_saves_nobody() {
    let map = Fixture::new(def(MapType::LRU_HASH, 4, 8, 2));
    map.update(k(0), v(0), 0).unwrap();
    map.update(k(1), v(0), 0).unwrap();
    map.sys_lookup(k(0), 0).unwrap();
    map.update(k(2), v(0), 0).unwrap();
    assert_eq!(map.sys_lookup(k(0), 0), Err(Errno::ENOENT));
}

#[test]
fn an_lru_never_fails_for_lack_of_space() {
    let map = Fixture::new(def(MapType::LRU_HASH, 4, 8, 16));
    for i in 0..10_000 {
        map.update(k(i), v(u64::from(i)), 0).unwrap();
        assert_eq!(map.lookup(k(i)), Some(v(u64::from(i)).to_vec()));
    }
    assert_eq!(map.keys().len(), 16);
}

#[test]
fn the_next_key_of_a_deleted_one_is_the_first() {
    let map = Fixture::new(def(MapType::HASH, 4, 8, 64));
    (0..64).for_each(|i| map.update(k(i), v(0), 0).unwrap());
    let keys = map.keys();
    assert_eq!(keys.len(), 64);
    map.delete(&keys[30]).unwrap();
    assert_eq!(map.next_key(Some(&keys[30])), Ok(keys[0].clone()));
    assert_eq!(map.next_key(None), Ok(keys[0].clone()));
    assert_eq!(map.next_key(Some(&keys[63])), Err(Errno::ENOENT));
}

#[test]
fn a_visitor_may_change_the_map() {
    let map = Fixture::new(def(MapType::HASH, 4, 8, 64));
    (0..64).for_each(|i| map.update(k(i), v(u64::from(i)), 0).unwrap());
    let cpu = OnCpu::enter(map.host.cpus());
    let mut seen = Vec::new();
    map.map
        .for_each(&cpu, &mut |key, value| {
            assert_eq!(u64::from(key.load_u32(0).unwrap()), value.load_u64(0).unwrap());
            seen.push(key.load_u32(0).unwrap());
            map.map.delete(&cpu, key).unwrap();
            ControlFlow::Continue(())
        })
        .unwrap();
    seen.sort_unstable();
    assert_eq!(seen, (0..64).collect::<Vec<_>>());
    assert!(map.all().is_empty());
}

#[test]
fn an_nmi_does_not_wait_for_a_lock() {
    // One bucket, so one lock; the visitor of a walk holds none.
    let map = Fixture::new(def(MapType::HASH, 4, 8, 1));
    map.update(k(0), v(1), 0).unwrap();
    map.host.interrupted(Level::Nmi, || {
        assert_eq!(map.lookup(k(0)), Some(v(1).to_vec()));
        assert_eq!(map.update(k(0), v(2), 0), Ok(()));
        assert_eq!(map.delete(k(0)), Ok(()));
    });
}

#[test]
fn a_key_that_is_always_there_is_always_found_with_a_value_of_its_own() {
    // Two buckets of many keys, replaced and moved by two threads under the eyes of two others.
    let map = Fixture::new(def(MapType::HASH, 8, 16, 64));
    let value = |key: u64, round: u64| [v(key), v(round)].concat();
    (0..8).for_each(|key| map.update(v(key), value(key, 0), 0).unwrap());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    for key in 0..8 {
                        let cpu = OnCpu::enter(map.host.cpus());
                        assert!(lend(v(key), |key| map.map.lookup(&cpu, key).is_some()), "key {key} is lost");
                        drop(cpu);
                        let value = map.sys_lookup(v(key), 0).expect("the key is there");
                        assert_eq!(value[..8], v(key), "the value of another key");
                    }
                }
            });
        }
        let writers: Vec<_> = (0..2u64)
            .map(|id| {
                let map = &map;
                scope.spawn(move || {
                    for round in 0..20_000u64 {
                        let key = round % 4 * 2 + id;
                        map.update(v(key), value(key, round), BPF_EXIST).unwrap();
                        let other = 100 + id * 100 + round % 20;
                        let _ = map.update(v(other), value(other, round), 0);
                        if round % 3 == 0 {
                            let _ = map.delete(v(100 + id * 100 + (round * 7) % 20));
                        }
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Relaxed);
    });
    for (key, value) in map.all() {
        assert_eq!(key, value[..8]);
    }
}
