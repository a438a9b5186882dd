//! Batches of look-ups.

mod support;

use skep_abi::{Errno, MapType};
use skep_maps::{BatchThen, lookup_batch};
use std::collections::BTreeMap;
use support::{Fixture, def, u32_bytes as k, u64_bytes as v};

/// Reads everything in batches of `limit`.
fn read_all(map: &Fixture, limit: u32, then: BatchThen) -> (BTreeMap<Vec<u8>, Vec<u8>>, Vec<u32>) {
    let (mut all, mut counts) = (BTreeMap::new(), Vec::new());
    let mut at: Option<Vec<u8>> = None;
    let (key_size, value_size) = (map.map.def().key_size as usize, map.map.sys_value_size());
    loop {
        let mut expected = 0;
        let end =
            lookup_batch(&*map.map, &*map.host, at.as_deref(), limit, then, &mut |before, keys, values| {
                assert_eq!(before, expected);
                for (key, value) in keys.chunks(key_size).zip(values.chunks(value_size)) {
                    assert!(all.insert(key.to_vec(), value.to_vec()).is_none(), "{key:?} comes twice");
                    expected += 1;
                }
                assert_eq!(keys.len() / key_size, values.len() / value_size);
                Ok(())
            })
            .unwrap();
        assert_eq!(end.count, expected);
        assert!(end.count <= limit);
        counts.push(end.count);
        match end.outcome {
            Ok(()) => at = Some(end.cursor.bytes().to_vec()),
            Err(errno) => {
                assert_eq!(errno, Errno::ENOENT);
                return (all, counts);
            }
        }
        assert_eq!(at.as_ref().map(Vec::len), Some(map.map.sys_cursor_size()));
    }
}

#[test]
fn every_element_comes_once_whatever_the_size() {
    for kind in [MapType::HASH, MapType::LRU_HASH, MapType::ARRAY] {
        for limit in [8, 9, 64, 1000] {
            let map = Fixture::new(def(kind, 4, 8, 64));
            (0..64).for_each(|i| map.update(k(i), v(u64::from(i) * 3), 0).unwrap());
            let (all, counts) = read_all(&map, limit, BatchThen::Keep);
            let expect = (0..64).map(|i| (k(i).to_vec(), v(u64::from(i) * 3).to_vec())).collect();
            assert_eq!(all, expect, "{kind:?} by {limit}");
            if kind == MapType::ARRAY {
                let full = 64 / limit as usize;
                assert!(counts[..full].iter().all(|count| *count == limit));
            }
        }
    }
}

#[test]
fn deleting_leaves_nothing() {
    let map = Fixture::new(def(MapType::PERCPU_HASH, 4, 8, 64));
    (0..64).for_each(|i| map.update(k(i), v(u64::from(i)), 0).unwrap());
    assert_eq!(read_all(&map, 10, BatchThen::Delete).0.len(), 64);
    assert!(map.keys().is_empty());
    (100..164).for_each(|i| map.update(k(i), v(1), 0).unwrap());
    assert_eq!(map.update(k(0), v(1), 0), Err(Errno::E2BIG));
}

#[test]
fn a_bucket_that_does_not_fit_says_so() {
    // Some of 2,048 keys in 2,048 buckets share one.
    let map = Fixture::new(def(MapType::HASH, 4, 8, 2048));
    (0..2048).for_each(|i| map.update(k(i), v(0), 0).unwrap());
    let mut at: Option<Vec<u8>> = None;
    let outcome = loop {
        let end =
            lookup_batch(&*map.map, &*map.host, at.as_deref(), 1, BatchThen::Keep, &mut |_, _, _| Ok(()))
                .unwrap();
        match end.outcome {
            Ok(()) => at = Some(end.cursor.bytes().to_vec()),
            Err(errno) => break (errno, end.count),
        }
    };
    assert_eq!(outcome, (Errno::ENOSPC, 0));
}

#[test]
fn odd_requests_are_answered() {
    let map = Fixture::new(def(MapType::HASH, 4, 8, 4));
    let none = |at: Option<&[u8]>, limit| {
        lookup_batch(&*map.map, &*map.host, at, limit, BatchThen::Keep, &mut |_, _, _| Ok(()))
    };
    assert_eq!(none(None, 0).unwrap().outcome, Ok(()));
    assert_eq!(none(None, 5).unwrap().outcome, Err(Errno::ENOENT));
    assert_eq!(none(Some(&k(u32::MAX)), 5).unwrap().outcome, Err(Errno::ENOENT));
    assert_eq!(none(Some(&[1, 2]), 5).err(), Some(Errno::EINVAL));
    map.update(k(1), v(1), 0).unwrap();
    let fault =
        lookup_batch(&*map.map, &*map.host, None, 5, BatchThen::Keep, &mut |_, _, _| Err(Errno::EFAULT));
    assert_eq!(fault.err(), Some(Errno::EFAULT));
    let array = Fixture::new(def(MapType::ARRAY, 4, 8, 4));
    let take = lookup_batch(&*array.map, &*array.host, None, 5, BatchThen::Delete, &mut |_, _, _| Ok(()));
    assert_eq!(take.err(), Some(Errno::ENOTSUPP));
}
