//! LPM_TRIE.

mod support;

use proptest::prelude::*;
use skep_abi::flags::{BPF_EXIST, BPF_F_NO_PREALLOC, BPF_NOEXIST};
use skep_abi::{Errno, MapType};
use skep_maps::MapDef;
use std::collections::HashMap;
use support::{Fixture, def, u32_bytes as v, with_flags};

fn ipv4(max_entries: u32) -> MapDef {
    with_flags(def(MapType::LPM_TRIE, 8, 4, max_entries), BPF_F_NO_PREALLOC)
}

fn key(len: u32, addr: [u8; 4]) -> Vec<u8> {
    [len.to_ne_bytes(), addr].concat()
}

#[test]
fn the_longest_prefix_wins() {
    let map = Fixture::new(ipv4(8));
    for (len, addr, value) in [
        (0, [0; 4], 1),
        (8, [10, 0, 0, 0], 2),
        (23, [10, 1, 2, 0], 3),
        (32, [10, 1, 2, 3], 4),
        (12, [10, 16, 0, 0], 5),
    ] {
        map.update(key(len, addr), v(value), BPF_NOEXIST).unwrap();
    }
    for (len, addr, expect) in [
        (32, [10, 1, 2, 3], 4),
        (32, [10, 1, 3, 3], 3),
        (32, [10, 1, 4, 3], 2),
        (32, [10, 31, 0, 0], 5),
        (32, [11, 1, 2, 3], 1),
        (31, [10, 1, 2, 3], 3),
        (8, [10, 1, 2, 3], 2),
        (7, [10, 1, 2, 3], 1),
    ] {
        assert_eq!(map.lookup(key(len, addr)), Some(v(expect).to_vec()), "{addr:?}/{len}");
        assert_eq!(map.sys_lookup(key(len, addr), 0), Ok(v(expect).to_vec()));
    }
    map.delete(key(0, [9; 4])).unwrap();
    assert_eq!(map.sys_lookup(key(32, [11, 0, 0, 0]), 0), Err(Errno::ENOENT));
    assert_eq!(map.keys().len(), 4);
}

#[test]
fn errors_are_those_of_linux() {
    let map = Fixture::new(ipv4(2));
    assert_eq!(map.update(key(33, [0; 4]), v(0), 0), Err(Errno::EINVAL));
    assert_eq!(map.delete(key(33, [0; 4])), Err(Errno::EINVAL));
    assert_eq!(map.sys_lookup(key(33, [0; 4]), 0), Err(Errno::ENOENT));
    assert_eq!(map.update(key(8, [1; 4]), v(0), BPF_EXIST), Err(Errno::ENOENT));
    assert_eq!(map.update(key(8, [1; 4]), v(0), 3), Err(Errno::EINVAL));
    assert_eq!(map.update(key(8, [1; 4]), v(0), 0), Ok(()));
    // Bits beyond the prefix do not count.
    assert_eq!(map.update(key(8, [1, 2, 3, 4]), v(7), BPF_NOEXIST), Err(Errno::EEXIST));
    assert_eq!(map.update(key(9, [1; 4]), v(0), 0), Ok(()));
    assert_eq!(map.update(key(10, [1; 4]), v(0), 0), Err(Errno::ENOSPC));
    assert_eq!(map.update(key(10, [1; 4]), v(0), BPF_EXIST), Err(Errno::ENOENT));
    assert_eq!(map.update(key(8, [1; 4]), v(9), 0), Ok(()));
    assert_eq!(map.delete(key(10, [1; 4])), Err(Errno::ENOENT));
    assert_eq!(map.sys_take(key(8, [1; 4]), 0), Err(Errno::ENOTSUPP));
    assert_eq!(map.delete(key(8, [1, 9, 9, 9])), Ok(()));
    assert_eq!(map.keys(), [key(9, [1, 0, 0, 0])]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn look_ups_agree_with_trying_every_prefix(
        ops in proptest::collection::vec((0u32..17, any::<[u8; 2]>(), 0u8..4), 1..80),
    ) {
        let map = Fixture::new(with_flags(def(MapType::LPM_TRIE, 6, 4, 1000), BPF_F_NO_PREALLOC));
        let mut model: HashMap<(u32, u16), u32> = HashMap::new();
        let cut = |len: u32, bits: u16| if len == 0 { 0 } else { bits & (u16::MAX << (16 - len)) };
        for (round, (len, data, what)) in (0u32..).zip(ops) {
            // Few bits, so that prefixes meet.
            let data = [data[0] & 0xc1, data[1] & 0x81];
            let bits = u16::from_be_bytes(data);
            let key = [&len.to_ne_bytes()[..], &data].concat();
            let known = (len, cut(len, bits));
            match what {
                0 => prop_assert_eq!(map.delete(&key).is_ok(), model.remove(&known).is_some()),
                1 => {
                    let longest = (0..=len).rev().find_map(|len| model.get(&(len, cut(len, bits))));
                    prop_assert_eq!(map.lookup(&key), longest.map(|value| v(*value).to_vec()));
                }
                _ => {
                    map.update(&key, v(round), 0).unwrap();
                    model.insert(known, round);
                }
            }
        }
        prop_assert_eq!(map.keys().len(), model.len());
    }
}
