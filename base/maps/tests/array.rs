//! ARRAY and PERCPU_ARRAY.

mod support;

use skep_abi::flags::{BPF_ANY, BPF_EXIST, BPF_F_LOCK, BPF_F_MMAPABLE, BPF_NOEXIST};
use skep_abi::{Errno, MapType};
use skep_maps::Mmap;
use skep_mem::Host;
use skep_mem::OnCpu;
use std::ops::ControlFlow;
use support::{Fixture, def, lend, u32_bytes as k, u64_bytes as v, with_flags};

#[test]
fn operations_answer_as_linux_does() {
    let map = Fixture::new(def(MapType::ARRAY, 4, 8, 4));
    assert_eq!(map.lookup(k(3)), Some(vec![0; 8]));
    assert_eq!(map.lookup(k(4)), None);
    assert_eq!(map.sys_lookup(k(4), 0), Err(Errno::ENOENT));
    for (key, flags, expect) in [
        (0, BPF_ANY, Ok(())),
        (0, BPF_EXIST, Ok(())),
        (0, BPF_NOEXIST, Err(Errno::EEXIST)),
        (4, BPF_NOEXIST, Err(Errno::E2BIG)),
        (4, BPF_ANY, Err(Errno::E2BIG)),
        (4, 3, Err(Errno::EINVAL)),
        (0, 3, Err(Errno::EINVAL)),
        (0, 8, Err(Errno::EINVAL)),
        (0, BPF_F_LOCK, Err(Errno::EINVAL)),
        (0, u64::MAX, Err(Errno::EINVAL)),
    ] {
        assert_eq!(map.update(k(key), v(7), flags), expect, "key {key} flags {flags}");
        assert_eq!(map.sys_update(k(key), v(7), flags), expect, "key {key} flags {flags}");
    }
    assert_eq!(map.lookup(k(0)), Some(v(7).to_vec()));
    assert_eq!(map.delete(k(0)), Err(Errno::EINVAL));
    assert_eq!(map.sys_take(k(0), 0), Err(Errno::ENOTSUPP));
    assert_eq!(map.sys_lookup(k(0), BPF_F_LOCK), Err(Errno::EINVAL));
    assert_eq!(map.keys(), [k(0), k(1), k(2), k(3)]);
    assert_eq!(map.next_key(Some(&k(99))), Ok(k(0).to_vec()));
    assert_eq!(map.update(k(0), [0; 7], 0), Err(Errno::EINVAL));
    assert_eq!(map.update([0; 3], v(0), 0), Err(Errno::EINVAL));
}

#[test]
fn values_are_rounded_up_and_do_not_overlap() {
    let map = Fixture::new(def(MapType::ARRAY, 4, 5, 3));
    for i in 0..3 {
        map.update(k(i), [i as u8 + 1; 5], 0).unwrap();
    }
    let cpu = map.cpu();
    let addresses: Vec<usize> =
        (0..3).map(|i| lend(k(i), |key| map.map.lookup(&cpu, key).unwrap().addr())).collect();
    assert!(addresses.iter().all(|addr| addr % 8 == 0));
    assert_eq!(addresses[2] - addresses[0], 16);
    assert_eq!(map.lookup(k(1)), Some(vec![2; 5]));
}

#[test]
fn each_cpu_has_its_own_value() {
    let map = Fixture::new(def(MapType::PERCPU_ARRAY, 4, 12, 2));
    assert_eq!(map.map.sys_value_size(), 4 * 16);
    map.host.prefer_cpu(2);
    map.update(k(1), [2; 12], 0).unwrap();
    map.host.prefer_cpu(0);
    assert_eq!(map.lookup(k(1)), Some(vec![0; 12]));
    let all = map.sys_lookup(k(1), 0).unwrap();
    assert_eq!(all[32..44], [2; 12]);
    assert!(all.iter().enumerate().all(|(i, byte)| (32..44).contains(&i) || *byte == 0));
    let cpu = map.cpu();
    let there = lend(k(1), |key| map.map.lookup_lane(&cpu, key, 2).map(|value| value.eq_slice(&[2; 12])));
    assert_eq!(there, Some(true));
    assert!(lend(k(1), |key| map.map.lookup_lane(&cpu, key, 4).is_none()));

    let new: Vec<u8> = (0..64).collect();
    map.sys_update(k(0), &new, BPF_EXIST).unwrap();
    assert_eq!(map.sys_lookup(k(0), 0).unwrap(), new);
    assert_eq!(map.lookup(k(0)).unwrap(), new[..12]);
    assert_eq!(map.sys_update(k(0), &new[..63], 0), Err(Errno::EINVAL));
    assert_eq!(map.sys_update(k(2), &new, 0), Err(Errno::E2BIG));
}

#[test]
fn iterations_nest_and_stop() {
    let map = Fixture::new(def(MapType::ARRAY, 4, 8, 3));
    let cpu = OnCpu::enter(map.host.cpus());
    let mut order = Vec::new();
    let visited = map.map.for_each(&cpu, &mut |outer, _| {
        let inner = map.map.for_each(&cpu, &mut |key, _| {
            order.push((outer.load_u32(0).unwrap(), key.load_u32(0).unwrap()));
            ControlFlow::Break(())
        });
        assert_eq!(inner, Ok(1));
        order.push((outer.load_u32(0).unwrap(), 100));
        if outer.load_u32(0) == Ok(1) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(visited, Ok(2));
    // Both keys are one cell per CPU and level: the inner one shows while it runs, the outer one afterwards.
    assert_eq!(order, [(0, 0), (0, 100), (0, 0), (1, 100)]);
}

#[test]
fn a_mappable_array_shares_its_pages() {
    let map = Fixture::new(with_flags(def(MapType::ARRAY, 4, 8, 1000), BPF_F_MMAPABLE));
    map.update(k(999), v(5), 0).unwrap();
    let region = map.map.mmap(4096, 100, Mmap::ReadWrite).unwrap();
    assert_eq!((region.offset, region.len), (4096, 4096));
    assert_eq!(region.pages.bytes().load_u64(999 * 8), Ok(5));
    region.pages.bytes().store_u64(0, 9).unwrap();
    assert_eq!(map.lookup(k(0)), Some(v(9).to_vec()));
    for (offset, len) in [(0, 8193), (8192, 1), (1, 10), (0, 0), (usize::MAX - 4095, 8192)] {
        assert_eq!(map.map.mmap(offset, len, Mmap::Read).err(), Some(Errno::EINVAL), "{offset} {len}");
    }
    let plain = Fixture::new(def(MapType::ARRAY, 4, 8, 4));
    assert_eq!(plain.map.mmap(0, 4096, Mmap::Read).err(), Some(Errno::EINVAL));
    drop(map);
    assert_eq!(region.pages.bytes().load_u64(0), Ok(9));
}

#[test]
fn direct_values_are_of_single_elements() {
    let map = Fixture::new(def(MapType::ARRAY, 4, 8, 1));
    assert_eq!(map.map.direct_value(7).map(|value| value.len()), Ok(8));
    assert_eq!(map.map.direct_value(8).err(), Some(Errno::EINVAL));
    let two = Fixture::new(def(MapType::ARRAY, 4, 8, 2));
    assert_eq!(two.map.direct_value(0).err(), Some(Errno::ENOTSUPP));
}
