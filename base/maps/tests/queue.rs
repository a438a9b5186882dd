//! QUEUE and STACK.

mod support;

use skep_abi::flags::{BPF_EXIST, BPF_NOEXIST};
use skep_abi::{Errno, MapType};
use skep_mem::Bytes;
use std::collections::VecDeque;
use support::{Fixture, def, lend, u32_bytes as v};

fn pop(map: &Fixture) -> Result<Vec<u8>, Errno> {
    map.sys_take([], 0)
}

#[test]
fn a_queue_gives_the_first_and_a_stack_the_last() {
    for (kind, order) in [(MapType::QUEUE, [1, 2, 3]), (MapType::STACK, [3, 2, 1])] {
        let map = Fixture::new(def(kind, 0, 4, 3));
        (1..=3).for_each(|i| map.sys_update([], v(i), 0).unwrap());
        assert_eq!(map.sys_update([], v(4), 0), Err(Errno::E2BIG));
        assert_eq!(map.sys_update([], v(4), BPF_NOEXIST), Err(Errno::EINVAL));
        assert_eq!(map.sys_update([], v(4), 4), Err(Errno::EINVAL));
        for value in order {
            assert_eq!(map.sys_lookup([], 0), Ok(v(value).to_vec()));
            assert_eq!(pop(&map), Ok(v(value).to_vec()));
        }
        assert_eq!(pop(&map), Err(Errno::ENOENT));
        assert_eq!(map.sys_lookup([], 0), Err(Errno::ENOENT));
        assert_eq!(map.sys_delete([]), Err(Errno::EINVAL));
        assert_eq!(map.next_key(None), Err(Errno::EINVAL));
        assert_eq!(map.update([], v(1), 0), Err(Errno::EINVAL));
        assert_eq!(map.lookup([]), None);
        assert_eq!(map.sys_take([], 4), Err(Errno::EINVAL));
    }
}

#[test]
fn an_empty_one_zeroes_the_programs_buffer() {
    let map = Fixture::new(def(MapType::QUEUE, 0, 4, 3));
    let mut buffer = [7; 4];
    assert_eq!(map.map.pop(&map.cpu(), Bytes::from_mut(&mut buffer)), Err(Errno::ENOENT));
    assert_eq!(buffer, [0; 4]);
}

#[test]
fn pushing_with_exist_drops_the_oldest() {
    for kind in [MapType::QUEUE, MapType::STACK] {
        let map = Fixture::new(def(kind, 0, 4, 4));
        let mut model = VecDeque::new();
        for i in 0..100 {
            if i % 7 == 3 {
                let expect = if kind == MapType::QUEUE { model.pop_front() } else { model.pop_back() };
                assert_eq!(pop(&map).ok(), expect);
            }
            lend(v(i), |value| map.map.push(&map.cpu(), value, BPF_EXIST)).unwrap();
            model.push_back(v(i).to_vec());
            if model.len() > 4 {
                model.pop_front();
            }
        }
    }
}
