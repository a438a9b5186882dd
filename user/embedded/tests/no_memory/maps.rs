//! Maps and their elements, of every kind.

use super::World;
use skep_abi::flags::{BPF_ANY, BPF_F_MMAPABLE, BPF_F_NO_PREALLOC};
use skep_abi::{Errno, MapType, PerfEventAttr, PerfSwId, PerfType, ProgType, perf};
use skep_mem::testing::live_bytes;
use skep_sys::{BatchStep, BatchThen, CallError, Handle, MapFd, PerfEventOpen};

const KINDS: &[(MapType, [u32; 3], u32)] = &[
    (MapType::HASH, [4, 8, 16], 0),
    (MapType::HASH, [4, 8, 16], BPF_F_NO_PREALLOC),
    (MapType::LRU_HASH, [4, 8, 16], 0),
    (MapType::PERCPU_HASH, [4, 8, 16], 0),
    (MapType::PERCPU_HASH, [4, 8, 16], BPF_F_NO_PREALLOC),
    (MapType::LRU_PERCPU_HASH, [4, 8, 16], 0),
    (MapType::ARRAY, [4, 8, 16], 0),
    (MapType::ARRAY, [4, 8, 16], BPF_F_MMAPABLE),
    (MapType::PERCPU_ARRAY, [4, 8, 16], 0),
    (MapType::PROG_ARRAY, [4, 4, 16], 0),
    (MapType::PERF_EVENT_ARRAY, [4, 4, 16], 0),
    (MapType::LPM_TRIE, [8, 8, 16], BPF_F_NO_PREALLOC),
    (MapType::QUEUE, [0, 8, 16], 0),
    (MapType::STACK, [0, 8, 16], 0),
    (MapType::BLOOM_FILTER, [0, 8, 16], 0),
    (MapType::RINGBUF, [0, 0, 64 << 10], 0),
];

#[test]
fn every_kind_is_there() {
    for kind in skep_maps::KINDS {
        assert!(KINDS.iter().any(|row| row.0 == kind.map_type), "{}", kind.map_type);
    }
}

pub(crate) fn create(world: &World) {
    for &(map_type, sizes, flags) in KINDS {
        world.starve_good(&format!("create {map_type}"), || world.map(map_type, sizes, flags));
    }
    world.starve_made("create what there is not", || world.map(MapType(999), [4, 8, 1], 0));
}

/// A map and one element for it.
struct Sample {
    name: String,
    map: MapFd,
    key: Vec<u8>,
    value: Vec<u8>,
    /// What the value names.
    _holds: Option<Handle>,
}

impl Sample {
    /// Makes one of each kind; none has the element yet.
    fn all(world: &World) -> impl Iterator<Item = Sample> + '_ {
        KINDS.iter().map(|&(map_type, sizes, flags)| {
            let map = world.map(map_type, sizes, flags).unwrap();
            let shape = map.shape();
            let holds = match map_type {
                MapType::PROG_ARRAY => Some(world.prog(ProgType::XDP).unwrap().handle().try_clone().unwrap()),
                MapType::PERF_EVENT_ARRAY => Some(event(world)),
                _ => None,
            };
            let value = match &holds {
                Some(handle) => handle.fd().raw().to_ne_bytes().to_vec(),
                None => vec![5; shape.value_stride()],
            };
            let key = key(shape.key_size(), 7);
            Sample { name: format!("{map_type} {flags:#x}"), map, key, value, _holds: holds }
        })
    }

    fn update(&self) -> Result<(), CallError> {
        self.map.update(&self.key, &self.value, BPF_ANY)
    }

    /// Takes the element out, or makes it as at first.
    fn remove(&self) {
        match self.map.shape().map_type() {
            MapType::ARRAY | MapType::PERCPU_ARRAY => {
                self.map.update(&self.key, &vec![0; self.value.len()], BPF_ANY).unwrap();
            }
            MapType::QUEUE | MapType::STACK => {
                self.map.lookup_and_delete(&self.key, &mut vec![0; self.value.len()], 0).unwrap();
            }
            // What is once in a filter stays.
            MapType::BLOOM_FILTER => {}
            _ => self.map.delete(&self.key).unwrap(),
        }
    }

    fn look(&self) -> Result<Vec<u8>, CallError> {
        let mut found = self.value.clone();
        self.map.lookup(&self.key, &mut found, 0).map(|()| found)
    }
}

/// A key that differs from the others; of a trie, with its length in bits before it.
fn key(size: usize, number: u32) -> Vec<u8> {
    match size {
        8 => [32u32.to_ne_bytes(), number.to_be_bytes()].concat(),
        size => number.to_ne_bytes()[..size].to_vec(),
    }
}

fn event(world: &World) -> Handle {
    let attr = PerfEventAttr {
        type_: PerfType::SOFTWARE.0,
        config: u64::from(PerfSwId::BPF_OUTPUT.0),
        sample_type: perf::PERF_SAMPLE_RAW,
        sample_period: 1,
        ..PerfEventAttr::default()
    };
    let open = PerfEventOpen { attr: &attr, target: None, pid: -1, cpu: 0, group: None };
    world.kernel.perf_event_open(open).unwrap()
}

pub(crate) fn update(world: &World) {
    for sample in Sample::all(world) {
        if sample.map.shape().map_type() == MapType::BLOOM_FILTER {
            sample.update().unwrap();
        }
        world.starve(&sample.name, || sample.update(), || sample.remove(), || sample.look());
    }
}

pub(crate) fn lookup(world: &World) {
    for sample in Sample::all(world) {
        let look = || {
            let mut found = [5; 4096];
            sample.map.lookup(&sample.key, &mut found[..sample.value.len()], 0)
        };
        world.starve_made(&format!("{}, absent", sample.name), look);
        let _ = sample.update();
        world.starve_made(&sample.name, look);
    }
}

pub(crate) fn delete(world: &World) {
    for sample in Sample::all(world) {
        let delete = || sample.map.delete(&sample.key);
        world.starve(&format!("{}, absent", sample.name), delete, || (), || sample.look());
        let _ = sample.update();
        world.starve(&sample.name, delete, || sample.update().unwrap(), || sample.look());
    }
}

pub(crate) fn take(world: &World) {
    for sample in Sample::all(world) {
        let take = || {
            let mut found = [5; 4096];
            sample.map.lookup_and_delete(&sample.key, &mut found[..sample.value.len()], 0)
        };
        world.starve(&format!("{}, absent", sample.name), take, || (), || sample.look());
        let _ = sample.update();
        world.starve(&sample.name, take, || sample.update().unwrap(), || sample.look());
    }
}

pub(crate) fn next_key(world: &World) {
    for sample in Sample::all(world) {
        let _ = sample.update();
        let len = sample.key.len();
        world.starve_made(&sample.name, || sample.map.next_key(None, &mut [0; 8][..len]));
        let next = || sample.map.next_key(Some(&sample.key), &mut [0; 8][..len]);
        world.starve_made(&format!("{}, after a key", sample.name), next);
    }
}

pub(crate) fn freeze(world: &World) {
    for (nth, &(map_type, sizes, flags)) in KINDS.iter().cycle().enumerate() {
        let map = world.map(map_type, sizes, flags).unwrap();
        let writes = map_type == MapType::ARRAY;
        let nth = nth / KINDS.len();
        let (result, is_reached) = world.fail_nth(nth, || map.freeze());
        assert_eq!(
            result.err().map(|error| error.errno()),
            is_reached.then_some(Errno::ENOMEM),
            "{map_type}"
        );
        let write =
            map.update(&[0; 8][..map.shape().key_size()], &vec![0; map.shape().value_stride()], BPF_ANY);
        assert!(!writes || write.is_ok() == is_reached, "{map_type}: half frozen");
        if nth > 8 {
            assert!(!is_reached, "{map_type}: freezing allocates without end");
            return;
        }
    }
}

/// The elements of a batch.
const MANY: u32 = 8;

/// A map for batches, with keys and values that are not zero.
struct Batch {
    name: String,
    map: MapFd,
    keys: Vec<u8>,
    values: Vec<u8>,
}

impl Batch {
    fn all(world: &World) -> impl Iterator<Item = Batch> + '_ {
        KINDS.iter().filter(|kind| kind.1[0] != 0 && kind.1[1] == 8).map(|&(map_type, sizes, flags)| {
            let map = world.map(map_type, sizes, flags).unwrap();
            let size = map.shape().key_size();
            let keys = (0..MANY).flat_map(|number| key(size, number)).collect();
            let values = vec![3; map.shape().value_stride() * MANY as usize];
            Batch { name: format!("{map_type} {flags:#x}"), map, keys, values }
        })
    }

    fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.chunks(self.map.shape().key_size())
    }

    fn update(&self) -> Result<u32, (CallError, u32)> {
        self.map.update_batch(&self.keys, &self.values, MANY, BPF_ANY)
    }

    fn fill(&self) {
        assert_eq!(self.update(), Ok(MANY), "{}", self.name);
    }

    /// Deletes all, or where that cannot be done makes them zero.
    fn clear(&self) {
        let zero = vec![0; self.map.shape().value_stride()];
        for key in self.keys() {
            if self.map.delete(key).is_err() {
                let _ = self.map.update(key, &zero, skep_abi::flags::BPF_EXIST);
            }
        }
    }

    /// Counts the elements that are there and not zero.
    fn count(&self) -> u32 {
        let mut found = vec![0; self.map.shape().value_stride()];
        let is_set =
            |key: &[u8]| self.map.lookup(key, &mut found, 0).is_ok() && found.iter().any(|byte| *byte != 0);
        self.keys().map(is_set).map(u32::from).sum()
    }

    /// Starves a batch: as on Linux, what it has done before it failed stays done, and is
    /// counted.
    fn starve(
        &self,
        world: &World,
        run: impl Fn() -> Result<u32, (CallError, u32)>,
        undo: impl Fn(),
        left: impl Fn(u32) -> u32,
    ) {
        let name = &self.name;
        let errno = |result: Result<u32, (CallError, u32)>| match result {
            Ok(done) => (None, done),
            Err((error, done)) => (Some(error.errno()), done),
        };
        let wanted = errno(run());
        undo();
        for nth in 0..10_000 {
            let live = live_bytes();
            let (result, is_reached) = world.fail_nth(nth, &run);
            assert_eq!(live_bytes() - live, 0, "{name}, allocation {nth}: bytes are left");
            let (error, done) = errno(result);
            if is_reached {
                assert_eq!(error, Some(Errno::ENOMEM), "{name}, allocation {nth}");
            } else {
                assert_eq!((error, done), wanted, "{name}");
            }
            assert_eq!(self.count(), left(done), "{name}, allocation {nth}: {done} are said to be done");
            undo();
            if !is_reached {
                return;
            }
        }
        panic!("{name}: allocates without end");
    }

    fn read(&self, then: BatchThen) -> Result<u32, (CallError, u32)> {
        let (mut step, mut keys, mut values) = (BatchStep::default(), [0; 256], [0; 1 << 15]);
        let key_room = self.map.shape().key_size() * 16;
        let value_room = self.map.shape().value_stride() * 16;
        self.map.lookup_batch(&mut step, &mut keys[..key_room], &mut values[..value_room], 16, then)
    }
}

pub(crate) fn update_batch(world: &World) {
    for batch in Batch::all(world) {
        batch.clear();
        batch.starve(world, || batch.update(), || batch.clear(), |done| done);
    }
}

pub(crate) fn delete_batch(world: &World) {
    for batch in Batch::all(world) {
        batch.fill();
        batch.starve(
            world,
            || batch.map.delete_batch(&batch.keys, MANY),
            || batch.fill(),
            |done| MANY - done,
        );
    }
}

pub(crate) fn lookup_batch(world: &World) {
    for batch in Batch::all(world) {
        batch.fill();
        batch.starve(world, || batch.read(BatchThen::Keep), || (), |_| MANY);
    }
}

pub(crate) fn take_batch(world: &World) {
    for batch in Batch::all(world) {
        batch.fill();
        let is_taken = batch.read(BatchThen::Delete).is_ok();
        batch.fill();
        let left = |done| if is_taken { MANY - done } else { MANY };
        batch.starve(world, || batch.read(BatchThen::Delete), || batch.fill(), left);
    }
}
