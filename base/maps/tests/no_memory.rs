//! The nth allocation fails: ENOMEM, nothing leaked, nothing half done.

mod support;

use skep_abi::flags::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC};
use skep_abi::{Errno, MapType, PerfEventAttr};
use skep_maps::{BatchThen, Entry, KINDS, MapDef, Mmap, PerfEvent, create, lookup_batch};
use skep_mem::testing::{FailingAlloc, TestHost, fail_nth, live_bytes};
use skep_mem::{Bytes, Host, OnCpu, Shared};
use support::{def, u32_bytes as k, with_flags};

#[global_allocator]
static ALLOC: FailingAlloc = FailingAlloc;

/// Runs `work` with each of its allocations failing in turn, then with none; gives the number of allocations.
fn each_failure<R>(mut work: impl FnMut() -> Result<R, Errno>) -> usize {
    // Whatever is allocated once for all is allocated now.
    work().expect("it works where there is memory");
    for nth in 0.. {
        let before = live_bytes();
        let (outcome, failed) = fail_nth(nth, &mut work);
        if !failed {
            assert!(outcome.is_ok());
            return nth;
        }
        assert_eq!(outcome.err(), Some(Errno::ENOMEM), "allocation {nth}");
        assert_eq!(live_bytes(), before, "allocation {nth} failed and something leaked");
    }
    unreachable!()
}

fn some(map_type: MapType) -> MapDef {
    match map_type {
        MapType::RINGBUF => def(map_type, 0, 0, 4096),
        MapType::QUEUE | MapType::STACK | MapType::BLOOM_FILTER => def(map_type, 0, 4, 100),
        MapType::LPM_TRIE => with_flags(def(map_type, 8, 4, 100), BPF_F_NO_PREALLOC),
        _ => def(map_type, 4, 4, 100),
    }
}

#[test]
fn making_a_map() {
    let host = TestHost::new().as_dyn();
    for kind in KINDS {
        assert!(each_failure(|| create(&host, &some(kind.map_type)).map(drop)) >= 2, "{:?}", kind.map_type);
    }
    let mappable = with_flags(some(MapType::ARRAY), BPF_F_MMAPABLE);
    assert!(each_failure(|| create(&host, &mappable).map(drop)) >= 4);
}

#[test]
fn what_programs_do_allocates_nothing() {
    let host = TestHost::new();
    for map_type in [MapType::HASH, MapType::LRU_HASH, MapType::PERCPU_HASH, MapType::ARRAY] {
        let map = create(&host.as_dyn(), &some(map_type)).unwrap();
        let cpu = OnCpu::enter(host.cpus());
        let allocations = each_failure(|| {
            for i in 0..90 {
                map.update(&cpu, Bytes::from_mut(&mut k(i)), Bytes::from_mut(&mut k(i)), 0)?;
                map.lookup(&cpu, Bytes::from_mut(&mut k(i))).ok_or(Errno::ENOENT)?;
            }
            map.for_each(&cpu, &mut |_, _| std::ops::ControlFlow::Continue(())).map(drop)
        });
        assert_eq!(allocations, 0, "{map_type:?}");
    }
}

#[test]
fn reading_a_batch() {
    let host = TestHost::new();
    let map = create(&host.as_dyn(), &some(MapType::HASH)).unwrap();
    for i in 0..100 {
        let (mut key, mut value) = (k(i), k(i));
        map.update(&OnCpu::enter(host.cpus()), Bytes::from_mut(&mut key), Bytes::from_mut(&mut value), 0)
            .unwrap();
    }
    let batch = || {
        let end = lookup_batch(&*map, &*host, None, 100, BatchThen::Keep, &mut |_, _, _| Ok(()))?;
        match end.outcome {
            // All were read, and the end seen.
            Err(Errno::ENOENT) => Ok(end.count),
            outcome => outcome.and(Err(Errno::EAGAIN)),
        }
    };
    assert!(each_failure(batch) > 2);
    assert_eq!(batch(), Ok(100));
}

#[test]
fn storing_an_object_and_making_an_event() {
    let host = TestHost::new();
    let map = create(&host.as_dyn(), &some(MapType::PERF_EVENT_ARRAY)).unwrap();
    let attr = PerfEventAttr { type_: 1, config: 10, sample_type: 1 << 10, ..PerfEventAttr::default() };
    let count = each_failure(|| {
        let event = PerfEvent::new(&host.as_dyn(), &attr, 0, 1)?;
        event.mmap(0, 8192, Mmap::ReadWrite)?;
        let object = Shared::try_new(event).map_err(|_| Errno::ENOMEM)?.into_any();
        let objects = map.objects().unwrap();
        objects.store(Bytes::from_mut(&mut k(3)), 0, || Ok(Entry { object, id: 0, owner: 0 }))?;
        objects.remove_where(|_| true);
        Ok(())
    });
    assert!(count >= 5);
}
