//! PROG_ARRAY and PERF_EVENT_ARRAY.

mod support;

use skep_abi::flags::{BPF_EXIST, BPF_F_RDONLY_PROG};
use skep_abi::{Errno, MapType};
use skep_maps::{Entry, create};
use skep_mem::Shared;
use skep_mem::testing::TestHost;
use std::sync::Arc;
use support::{Fixture, def, lend, u32_bytes as k, with_flags};

fn entry(object: &Arc<String>, id: u32) -> Result<Entry, Errno> {
    Ok(Entry { object: Shared::try_new(Arc::clone(object)).unwrap().into_any(), id, owner: u64::from(id) })
}

#[test]
fn objects_are_stored_found_and_freed() {
    let map = Fixture::new(def(MapType::PROG_ARRAY, 4, 4, 4));
    let objects = map.map.objects().unwrap();
    let program = Arc::new(String::from("program"));
    let store = |index: u32, flags: u64, id: u32| {
        lend(k(index), |key| objects.store(key, flags, || entry(&program, id)))
    };
    assert_eq!(store(0, 0, 7), Ok(()));
    assert_eq!(store(3, 0, 9), Ok(()));
    assert_eq!(store(4, 0, 9), Err(Errno::E2BIG));
    assert_eq!(store(4, BPF_EXIST, 9), Err(Errno::EINVAL));
    assert_eq!(lend(k(9), |key| objects.store(key, 0, || unreachable!())), Err(Errno::E2BIG));
    assert_eq!(lend(k(1), |key| objects.store(key, 0, || Err(Errno::EBADF))), Err(Errno::EBADF));
    assert_eq!(map.sys_lookup(k(0), 0), Ok(k(7).to_vec()));
    assert_eq!(map.sys_lookup(k(1), 0), Err(Errno::ENOENT));
    assert_eq!(map.sys_lookup(k(4), 0), Err(Errno::ENOENT));
    assert_eq!(map.lookup(k(0)), None);
    assert_eq!(map.keys().len(), 4);

    let read = objects.read(0).unwrap();
    assert_eq!(read.object.downcast_ref::<Arc<String>>(), Some(&program));
    assert_eq!(map.delete(k(0)), Ok(()));
    assert_eq!(map.delete(k(0)), Err(Errno::ENOENT));
    assert_eq!(map.delete(k(4)), Err(Errno::E2BIG));
    assert!(objects.read(0).is_none());
    assert_eq!(Arc::strong_count(&program), 3);
    drop(read);
    assert_eq!(Arc::strong_count(&program), 2);
    store(1, 0, 11).unwrap();
    objects.remove_where(|entry| entry.owner == 9);
    assert!(objects.read(3).is_none() && objects.read(1).is_some());
    drop(map);
    assert_eq!(Arc::strong_count(&program), 1);
}

#[test]
fn perf_events_are_not_shown() {
    let map = Fixture::new(def(MapType::PERF_EVENT_ARRAY, 4, 4, 2));
    let event = Arc::new(String::from("event"));
    lend(k(1), |key| map.map.objects().unwrap().store(key, 0, || entry(&event, 0))).unwrap();
    assert_eq!(map.sys_lookup(k(1), 0), Err(Errno::ENOTSUPP));
    assert_eq!(map.sys_take(k(1), 0), Err(Errno::ENOTSUPP));
    assert_eq!(map.sys_update(k(1), k(3), 0), Err(Errno::ENOTSUPP));
}

#[test]
fn only_descriptors_can_be_stored() {
    let host = TestHost::new().as_dyn();
    for bad in [
        def(MapType::PROG_ARRAY, 4, 8, 4),
        with_flags(def(MapType::PROG_ARRAY, 4, 4, 4), BPF_F_RDONLY_PROG),
        def(MapType::PERF_EVENT_ARRAY, 8, 4, 4),
    ] {
        assert_eq!(create(&host, &bad).err(), Some(Errno::EINVAL), "{bad:?}");
    }
}
