//! The same random operations on maps of the embedded kernel and of the running one: the answers are equal.

use skep_abi::flags::{BPF_F_NO_PREALLOC, BPF_F_RDONLY, BPF_F_WRONLY, BPF_F_ZERO_SEED};
use skep_abi::{Errno, MapCreate, MapType};
use skep_embedded::{Config, Embedded};
use skep_sys::{CallError, Kernel, MapFd};
use std::collections::BTreeSet;

/// Numbers that are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32 % n
    }

    fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u32) as usize]
    }
}

fn embedded() -> Kernel {
    Kernel::from_sys(Embedded::new(Config::new().seed(1)).unwrap())
}

/// The running kernel, where it is one that this test may use and compare with.
fn linux(test: &str) -> Option<Kernel> {
    // The embedded kernel answers as 6.18 does.
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    if !release.starts_with("6.18.") {
        println!("skipped: {test}: the running kernel is {}, not 6.18", release.trim());
        return None;
    }
    let kernel = Kernel::from_sys(skep_linux::Linux);
    let probe = MapCreate {
        map_type: MapType::ARRAY.0,
        key_size: 4,
        value_size: 4,
        max_entries: 1,
        ..<_>::default()
    };
    match kernel.map_create(&probe) {
        Ok(_) => Some(kernel),
        Err(why) => {
            println!("skipped: {test}: the running kernel makes no map: {why}");
            None
        }
    }
}

fn errno(result: Result<(), CallError>) -> Option<Errno> {
    result.err().map(|why| why.errno())
}

/// Keys of a map, from few, so that they meet.
fn key(random: &mut Random, map: &MapFd) -> Vec<u8> {
    let shape = map.shape();
    match (shape.key_size(), shape.map_type()) {
        (0, _) => Vec::new(),
        (8, MapType::LPM_TRIE) => {
            let mut key = random.one_of(&[0u32, 1, 8, 9, 31, 32, 33]).to_ne_bytes().to_vec();
            key.extend([random.one_of(&[0, 0x80, 10]), 0, 0, random.one_of(&[0, 1, 255])]);
            key
        }
        _ => random.below(7).to_ne_bytes().to_vec(),
    }
}

/// Does one operation on both maps and compares what they say.
fn step(random: &mut Random, maps: [&MapFd; 2]) {
    let shape = maps[0].shape();
    let key = key(random, maps[0]);
    let per_cpu = shape.cpus() > 1;
    let what = random.below(10);
    let flags = random.one_of(&[0, 0, 0, 1, 2, 3, 4, 8, 1 << 63]);
    let value: Vec<u8> = (0..shape.value_stride()).map(|_| random.below(256) as u8).collect();
    let answers = maps.map(|map| match what {
        0..4 => {
            // The kernels may have another number of CPUs.
            let value: Vec<u8> = value.iter().copied().cycle().take(map.shape().value_stride()).collect();
            (errno(map.update(&key, &value, flags)), None)
        }
        4 => (errno(map.delete(&key)), None),
        5 => {
            let mut value = vec![0; map.shape().value_stride()];
            let taken = map.lookup_and_delete(&key, &mut value, flags & 4);
            (errno(taken), (!per_cpu).then_some(value))
        }
        6 if shape.key_size() > 0 => {
            let mut next = vec![0; shape.key_size()];
            // Orders differ; whether there is a next one does not, but after a key that is there.
            (errno(map.next_key(None, &mut next)), None)
        }
        _ => {
            let mut value = vec![0; map.shape().value_stride()];
            let found = map.lookup(&key, &mut value, flags & 12);
            let is_there = found.is_ok();
            (errno(found), (is_there && !per_cpu).then_some(value))
        }
    });
    assert_eq!(
        answers[0],
        answers[1],
        "operation {what} of {:?}, key {key:?}, flags {flags:#x}",
        shape.map_type()
    );
}

fn keys(map: &MapFd) -> BTreeSet<Vec<u8>> {
    let mut keys = BTreeSet::new();
    let (mut last, mut next) = (None, vec![0; map.shape().key_size()]);
    while map.next_key(last.as_deref(), &mut next).is_ok() {
        assert!(keys.insert(next.clone()), "{next:?} comes twice");
        last = Some(next.clone());
    }
    keys
}

#[test]
fn random_operations_have_the_same_answers() {
    let Some(linux) = linux("random_operations_have_the_same_answers") else { return };
    let embedded = embedded();
    for (map_type, key_size, max_entries, flags) in [
        (MapType::ARRAY, 4, 5, 0),
        (MapType::PERCPU_ARRAY, 4, 5, 0),
        (MapType::HASH, 4, 5, 0),
        (MapType::HASH, 4, 5, BPF_F_NO_PREALLOC),
        (MapType::PERCPU_HASH, 4, 7, 0),
        (MapType::QUEUE, 0, 3, 0),
        (MapType::STACK, 0, 3, 0),
        (MapType::LPM_TRIE, 8, 5, BPF_F_NO_PREALLOC),
        (MapType::HASH, 4, 5, BPF_F_RDONLY),
        (MapType::HASH, 4, 5, BPF_F_WRONLY),
    ] {
        let create = MapCreate {
            map_type: map_type.0,
            key_size,
            value_size: 12,
            max_entries,
            map_flags: flags,
            ..<_>::default()
        };
        let maps = [&embedded, &linux].map(|kernel| kernel.map_create(&create).unwrap());
        let mut random = Random(0x5eed + u64::from(map_type.0));
        for round in 0..3_000 {
            step(&mut random, [&maps[0], &maps[1]]);
            // A trie of Linux shows the bits beyond a prefix as they were stored; here they are zero.
            let comparable = key_size > 0 && map_type != MapType::LPM_TRIE && flags & BPF_F_WRONLY == 0;
            if comparable && round % 100 == 0 {
                assert_eq!(keys(&maps[0]), keys(&maps[1]), "keys of {map_type:?}");
            }
        }
        let frozen = maps.each_ref().map(|map| errno(map.freeze()));
        assert_eq!(frozen[0], frozen[1], "freezing {map_type:?}");
        for _ in 0..100 {
            step(&mut random, [&maps[0], &maps[1]]);
        }
    }
}

#[test]
fn random_attributes_make_the_same_maps() {
    let Some(linux) = linux("random_attributes_make_the_same_maps") else { return };
    let embedded = embedded();
    let mut random = Random(0xa77);
    let kinds = [
        MapType::HASH,
        MapType::ARRAY,
        MapType::PROG_ARRAY,
        MapType::PERF_EVENT_ARRAY,
        MapType::PERCPU_HASH,
        MapType::PERCPU_ARRAY,
        MapType::LRU_HASH,
        MapType::LRU_PERCPU_HASH,
        MapType::LPM_TRIE,
        MapType::QUEUE,
        MapType::STACK,
        MapType::RINGBUF,
        MapType::BLOOM_FILTER,
        MapType(0),
        MapType(999),
    ];
    for _ in 0..2_000 {
        let mut map_flags = random.one_of(&[0, 0, 0, 1, BPF_F_ZERO_SEED]);
        for _ in 0..random.below(3) {
            map_flags |= 1 << random.below(13);
        }
        let value_size =
            random.one_of(&[4, 4, 8, 0, 1, 512, (32 << 10) + 1, (4 << 20) + 1, 1 << 31, u32::MAX]);
        // No map that takes long to make.
        let entries: &[u32] = if value_size > 512 { &[0, 1, 3] } else { &[0, 1, 3, 4096, 4097, 8192] };
        let create = MapCreate {
            map_type: random.one_of(&kinds).0,
            key_size: random.one_of(&[4, 4, 4, 0, 1, 5, 8, 260, 261, 512, 513, u32::MAX]),
            value_size,
            max_entries: random.one_of(entries),
            map_flags,
            map_extra: random.one_of(&[0, 0, 0, 3, 16]),
            ..<_>::default()
        };
        // Of several mistakes the kernels may name different ones first.
        let made = [&embedded, &linux].map(|kernel| errno(kernel.map_create(&create).map(drop)));
        assert_eq!(made[0].is_none(), made[1].is_none(), "{made:?} for {create:?}");
    }
}
