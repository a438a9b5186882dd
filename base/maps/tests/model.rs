//! Random operations beside a plain model.

mod support;

use proptest::prelude::*;
use skep_abi::flags::{BPF_EXIST, BPF_NOEXIST};
use skep_abi::{Errno, MapType};
use std::collections::{BTreeSet, HashMap};
use support::{Fixture, def, u32_bytes as k, u64_bytes as v};

/// One operation on a map of keys.
#[derive(Clone, Copy, Debug)]
enum Op {
    Update(u32, u64, u64),
    Delete(u32),
    Lookup(u32),
    Take(u32),
    NextKey(Option<u32>),
    Dump,
}

const MAX: u32 = 8;

fn op() -> impl Strategy<Value = Op> {
    let key = 0..MAX + 4;
    let flags = prop_oneof![3 => Just(0u64), 1 => Just(BPF_NOEXIST), 1 => Just(BPF_EXIST), 1 => 3u64..9];
    prop_oneof![
        5 => (key.clone(), any::<u64>(), flags).prop_map(|(key, value, flags)| Op::Update(key, value, flags)),
        2 => key.clone().prop_map(Op::Delete),
        3 => key.clone().prop_map(Op::Lookup),
        1 => key.clone().prop_map(Op::Take),
        1 => proptest::option::of(key).prop_map(Op::NextKey),
        1 => Just(Op::Dump),
    ]
}

/// What Linux's hash does, without its order.
#[derive(Default)]
struct Model(HashMap<u32, u64>);

impl Model {
    fn update(&mut self, key: u32, value: u64, flags: u64) -> Result<(), Errno> {
        match (flags, self.0.contains_key(&key)) {
            (3.., _) => Err(Errno::EINVAL),
            (BPF_NOEXIST, true) => Err(Errno::EEXIST),
            (BPF_EXIST, false) => Err(Errno::ENOENT),
            (_, false) if self.0.len() == MAX as usize => Err(Errno::E2BIG),
            _ => {
                self.0.insert(key, value);
                Ok(())
            }
        }
    }

    fn take(&mut self, key: u32) -> Result<Vec<u8>, Errno> {
        self.0.remove(&key).map(|value| v(value).to_vec()).ok_or(Errno::ENOENT)
    }
}

fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    items.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_hash_is_a_hash_map_that_gets_full(ops in proptest::collection::vec(op(), 1..120)) {
        let map = Fixture::new(def(MapType::HASH, 4, 8, MAX));
        let mut model = Model::default();
        for op in ops {
            match op {
                Op::Update(key, value, flags) => {
                    prop_assert_eq!(map.update(k(key), v(value), flags), model.update(key, value, flags));
                }
                Op::Delete(key) => prop_assert_eq!(map.delete(k(key)), model.take(key).map(drop)),
                Op::Take(key) => prop_assert_eq!(map.sys_take(k(key), 0), model.take(key)),
                Op::Lookup(key) => {
                    let expect = model.0.get(&key).map(|value| v(*value).to_vec());
                    prop_assert_eq!(map.sys_lookup(k(key), 0).ok(), expect.clone());
                    prop_assert_eq!(map.lookup(k(key)), expect);
                }
                Op::NextKey(key) => {
                    let next = map.next_key(key.map(k).as_ref().map(|key| &key[..]));
                    let keys = map.keys();
                    let at = key.and_then(|key| keys.iter().position(|other| *other == k(key)));
                    prop_assert_eq!(next.ok(), keys.get(at.map_or(0, |at| at + 1)).cloned());
                }
                Op::Dump => {
                    prop_assert_eq!(sorted(map.keys()), sorted(model.0.keys().map(|key| k(*key).to_vec())));
                    let all = model.0.iter().map(|(key, value)| (k(*key).to_vec(), v(*value).to_vec()));
                    prop_assert_eq!(sorted(map.all()), sorted(all));
                }
            }
        }
    }

    #[test]
    fn an_lru_hash_holds_what_it_says_and_never_more_than_fits(ops in proptest::collection::vec(op(), 1..120)) {
        let map = Fixture::new(def(MapType::LRU_HASH, 4, 8, MAX));
        // The latest value of each key; the map may have evicted it.
        let mut latest: HashMap<u32, u64> = HashMap::new();
        let mut count = 0;
        for op in ops {
            match op {
                Op::Update(key, value, flags) => {
                    let is_there = map.sys_lookup(k(key), 0).is_ok();
                    let expect = match (flags, is_there) {
                        (3.., _) => Err(Errno::EINVAL),
                        (BPF_NOEXIST, true) => Err(Errno::EEXIST),
                        (BPF_EXIST, false) => Err(Errno::ENOENT),
                        _ => Ok(()),
                    };
                    prop_assert_eq!(map.update(k(key), v(value), flags), expect);
                    if expect.is_ok() {
                        count = (count + usize::from(!is_there)).min(MAX as usize);
                        latest.insert(key, value);
                        prop_assert_eq!(map.sys_lookup(k(key), 0), Ok(v(value).to_vec()));
                    }
                }
                Op::Delete(key) | Op::Take(key) => {
                    let is_there = map.sys_lookup(k(key), 0).is_ok();
                    prop_assert_eq!(map.delete(k(key)).is_ok(), is_there);
                    count -= usize::from(is_there);
                    latest.remove(&key);
                }
                Op::Lookup(key) => {
                    if let Some(value) = map.lookup(k(key)) {
                        prop_assert_eq!(latest.get(&key).map(|value| v(*value).to_vec()), Some(value));
                    }
                }
                Op::NextKey(_) | Op::Dump => {
                    let keys = map.keys();
                    prop_assert_eq!(keys.len(), count);
                    let known = sorted(latest.keys().map(|key| k(*key).to_vec()));
                    prop_assert!(keys.iter().all(|key| known.contains(key)));
                }
            }
        }
    }
}
