//! BLOOM_FILTER.

mod support;

use skep_abi::flags::BPF_EXIST;
use skep_abi::{Errno, MapType};
use skep_maps::{MapDef, create};
use skep_mem::Bytes;
use skep_mem::testing::TestHost;
use support::{Fixture, def, lend, u64_bytes as v};

fn holds(map: &Fixture, value: u64) -> bool {
    let mut value = v(value);
    let found = map.map.sys_lookup(&map.cpu(), Bytes::empty(), Bytes::from_mut(&mut value), 0);
    assert!(matches!(found, Ok(()) | Err(Errno::ENOENT)));
    assert_eq!(lend(value, |value| map.map.peek(&map.cpu(), value)), found);
    found.is_ok()
}

#[test]
fn what_was_put_in_is_found_and_little_else() {
    for hashes in [0, 1, 3, 15] {
        let map = Fixture::new(MapDef { extra: hashes, ..def(MapType::BLOOM_FILTER, 0, 8, 1000) });
        assert!((0..1000).all(|value| !holds(&map, value)));
        (0..1000).for_each(|value| map.sys_update([], v(value), 0).unwrap());
        assert!((0..1000).all(|value| holds(&map, value)));
        let wrong = (1_000_000..1_010_000).filter(|value| holds(&map, *value)).count();
        assert!(wrong < 5_500, "{wrong} of 10,000 with {hashes} hashes");
        if hashes == 0 {
            assert!(wrong < 500, "{wrong} of 10,000 by default");
        }
    }
}

#[test]
fn errors_are_those_of_linux() {
    let map = Fixture::new(def(MapType::BLOOM_FILTER, 0, 8, 4));
    assert_eq!(map.sys_update([], v(0), BPF_EXIST), Err(Errno::EINVAL));
    assert_eq!(map.update([], v(0), 0), Err(Errno::EINVAL));
    assert_eq!(map.sys_delete([]), Err(Errno::EOPNOTSUPP));
    assert_eq!(map.sys_take([], 0), Err(Errno::ENOTSUPP));
    assert_eq!(map.next_key(None), Err(Errno::EOPNOTSUPP));
    assert_eq!(map.sys_update([], [0; 7], 0), Err(Errno::EINVAL));
    let host = TestHost::new().as_dyn();
    for bad in [
        MapDef { extra: 16, ..def(MapType::BLOOM_FILTER, 0, 8, 4) },
        def(MapType::BLOOM_FILTER, 4, 8, 4),
        def(MapType::BLOOM_FILTER, 0, 0, 4),
    ] {
        assert_eq!(create(&host, &bad).err(), Some(Errno::EINVAL), "{bad:?}");
    }
    assert_eq!(create(&host, &def(MapType::BLOOM_FILTER, 0, (4 << 20) + 1, 4)).err(), Some(Errno::E2BIG));
}
