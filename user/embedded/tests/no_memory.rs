//! Every call while memory runs out, at each of its allocations in turn: ENOMEM, and all is as before.

use skep_abi::flags::{BPF_ANY, BPF_F_MMAPABLE, BPF_F_NO_PREALLOC};
use skep_abi::{
    AttachType, BtfLoad, Errno, LinkCreate, MapCreate, MapType, PerfEventAttr, PerfSwId, PerfType, ProgLoad,
    ProgQuery, ProgTestRun, ProgType, perf,
};
use skep_embedded::{Config, Embedded, Interface, Tracepoint};
use skep_mem::testing::{FailingAlloc, fail_nth, live_bytes};
use skep_sys::{
    BatchStep, BatchThen, CallError, FdArray, Kernel, LinkFd, MapFd, ObjectKind, PerfEventOpen, ProgFd,
    ProgLists, ProgLoadMemory, ProgQueryMemory, Protection, Records, TestRunMemory,
};

#[global_allocator]
static ALLOC: FailingAlloc = FailingAlloc;

/// `r0 = 1; exit`.
const ONE: [[u8; 8]; 2] = if cfg!(target_endian = "big") {
    [[0xb7, 0, 0, 0, 0, 0, 0, 1], [0x95, 0, 0, 0, 0, 0, 0, 0]]
} else {
    [[0xb7, 0, 0, 0, 1, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]]
};

/// A kernel with places to attach to.
struct World {
    embedded: Embedded,
    kernel: Kernel,
    interface: Interface,
    _tracepoint: Tracepoint,
}

impl World {
    fn new() -> World {
        let embedded = Embedded::new(Config::new().seed(1)).unwrap();
        let interface = embedded.add_interface("eth0").unwrap();
        let _tracepoint = embedded.add_tracepoint("lab", "enter").unwrap();
        World { kernel: Kernel::from_sys(embedded.clone()), embedded, interface, _tracepoint }
    }

    fn map(&self, map_type: MapType, sizes: [u32; 3], map_flags: u32) -> Result<MapFd, CallError> {
        let [key_size, value_size, max_entries] = sizes;
        let create = MapCreate {
            map_type: map_type.0,
            key_size,
            value_size,
            max_entries,
            map_flags,
            ..MapCreate::default()
        };
        self.kernel.map_create(&create)
    }

    fn prog(&self, prog_type: ProgType) -> Result<ProgFd, CallError> {
        let mut load = ProgLoad { prog_type: prog_type.0, ..ProgLoad::default() };
        let memory =
            ProgLoadMemory { insns: ONE.as_flattened(), license: "GPL", ..ProgLoadMemory::default() };
        self.kernel.prog_load(&mut load, memory)
    }

    fn ids(&self) -> Vec<Vec<u32>> {
        let ids = |kind| {
            let mut ids = vec![0];
            while let Some(id) = self.kernel.next_id(kind, ids[ids.len() - 1]).unwrap() {
                ids.push(id);
            }
            ids
        };
        vec![ids(ObjectKind::Map), ids(ObjectKind::Prog), ids(ObjectKind::Link), ids(ObjectKind::Btf)]
    }

    /// Does something, with each of its allocations refused in turn. `undo` takes back what it has done, and `look`
    /// tells what there is to see of it.
    fn starve<R, L: PartialEq + std::fmt::Debug>(
        &self,
        what: &str,
        work: impl Fn() -> Result<R, CallError>,
        undo: impl Fn(),
        look: impl Fn() -> L,
    ) {
        let state = || (self.ids(), self.embedded.open_descriptors(), self.embedded.page_bytes(), look());
        // Tables grow once and stay so.
        for _ in 0..2 {
            drop(work().unwrap_or_else(|error| panic!("{what}: {error}")));
            undo();
        }
        let before = state();
        for nth in 0..100_000 {
            let live = live_bytes();
            let (result, reached) = fail_nth(nth, &work);
            match result {
                Err(error) => {
                    assert_eq!(error.errno(), Errno::ENOMEM, "{what}, allocation {nth}");
                    assert!(reached, "{what}, allocation {nth}: it was not refused");
                    assert_eq!(live_bytes() - live, 0, "{what}, allocation {nth}: bytes are left");
                }
                Ok(made) => {
                    drop(made);
                    undo();
                    assert!(!reached, "{what}, allocation {nth}: nobody noticed that it was refused");
                    assert_eq!(live_bytes() - live, 0, "{what}: bytes are left");
                    assert_eq!(state(), before, "{what}");
                    println!("{what}: {nth} allocations");
                    return;
                }
            }
            assert_eq!(state(), before, "{what}, allocation {nth}");
        }
        panic!("{what}: allocates without end");
    }

    fn starve_made<R>(&self, what: &str, work: impl Fn() -> Result<R, CallError>) {
        self.starve(what, work, || (), || ());
    }
}

const KINDS: &[(MapType, [u32; 3], u32)] = &[
    (MapType::HASH, [4, 8, 16], 0),
    (MapType::HASH, [4, 8, 16], BPF_F_NO_PREALLOC),
    (MapType::LRU_HASH, [4, 8, 16], 0),
    (MapType::PERCPU_HASH, [4, 8, 16], 0),
    (MapType::ARRAY, [4, 8, 16], 0),
    (MapType::ARRAY, [4, 8, 16], BPF_F_MMAPABLE),
    (MapType::PERCPU_ARRAY, [4, 8, 16], 0),
    (MapType::PROG_ARRAY, [4, 4, 16], 0),
    (MapType::PERF_EVENT_ARRAY, [4, 4, 16], 0),
    (MapType::QUEUE, [0, 8, 16], 0),
    (MapType::STACK, [0, 8, 16], 0),
    (MapType::RINGBUF, [0, 0, 64 << 10], 0),
];

#[test]
fn maps_are_made_whole_or_not_at_all() {
    let world = World::new();
    for &(map_type, sizes, flags) in KINDS {
        world.starve_made(&format!("create {map_type}"), || world.map(map_type, sizes, flags));
    }
}

#[test]
fn elements() {
    let world = World::new();
    for &(map_type, sizes, flags) in KINDS.iter().filter(|kind| kind.1[0] == 4 && kind.1[1] == 8) {
        let map = world.map(map_type, sizes, flags).unwrap();
        let (key, value) = (7u32.to_ne_bytes(), vec![5; map.shape().value_stride()]);
        let look = || {
            let mut found = vec![0; map.shape().value_stride()];
            map.lookup(&key, &mut found, 0).map(|()| found)
        };
        let is_hash = ![MapType::ARRAY, MapType::PERCPU_ARRAY].contains(&map_type);
        let undo = || {
            if is_hash {
                map.delete(&key).unwrap();
            } else {
                map.update(&key, &vec![0; value.len()], BPF_ANY).unwrap();
            }
        };
        world.starve(&format!("update {map_type}"), || map.update(&key, &value, BPF_ANY), undo, look);
        map.update(&key, &value, BPF_ANY).unwrap();
        let mut found = vec![0; value.len()];
        world.starve_made(&format!("lookup {map_type}"), || {
            let mut found = [0; 4096];
            map.lookup(&key, &mut found[..value.len()], 0)
        });
        let mut next = [0; 4];
        map.next_key(None, &mut next).unwrap();
        world.starve_made(&format!("next key of {map_type}"), || map.next_key(None, &mut [0; 4]));
        if is_hash {
            let undo = || map.update(&key, &value, BPF_ANY).unwrap();
            world.starve(&format!("delete {map_type}"), || map.delete(&key), undo, look);
            world.starve(
                &format!("take from {map_type}"),
                || map.lookup_and_delete(&key, &mut [0; 4096][..value.len()], 0),
                undo,
                look,
            );
        }
        map.lookup(&key, &mut found, 0).unwrap();
    }
}

#[test]
fn batches() {
    let world = World::new();
    let map = world.map(MapType::HASH, [4, 8, 16], 0).unwrap();
    let keys: Vec<u8> = (0..8u32).flat_map(u32::to_ne_bytes).collect();
    let values: Vec<u8> = (0..8u64).flat_map(u64::to_ne_bytes).collect();
    let clear = || {
        for key in 0..8u32 {
            let _ = map.delete(&key.to_ne_bytes());
        }
    };
    let look = || (0..8u32).filter(|key| map.lookup(&key.to_ne_bytes(), &mut [0; 8], 0).is_ok()).count();
    // As on Linux, what a batch has done before it failed stays done, and is counted.
    let starve = |what: &str,
                  run: &dyn Fn() -> Result<u32, (CallError, u32)>,
                  undo: &dyn Fn(),
                  wanted: &dyn Fn(u32) -> usize| {
        assert_eq!(run(), Ok(8), "{what}");
        undo();
        for nth in 0.. {
            let live = live_bytes();
            let (result, reached) = fail_nth(nth, run);
            assert_eq!(live_bytes() - live, 0, "{what}, allocation {nth}: bytes are left");
            let done = match result {
                Ok(done) => done,
                Err((error, done)) => {
                    assert_eq!(error.errno(), Errno::ENOMEM, "{what}, allocation {nth}");
                    done
                }
            };
            assert_eq!(look(), wanted(done), "{what}, allocation {nth}: {done} are said to be done");
            assert_eq!(result.is_err(), reached, "{what}, allocation {nth}");
            undo();
            if !reached {
                return println!("{what}: {nth} allocations");
            }
        }
    };
    let update = || map.update_batch(&keys, &values, 8, BPF_ANY);
    starve("update a batch", &update, &clear, &|done| done as usize);
    let fill = || assert_eq!(update(), Ok(8));
    fill();
    let delete = || map.delete_batch(&keys, 8);
    starve("delete a batch", &delete, &fill, &|done| 8 - done as usize);
    let lookup = |then| {
        let (mut step, mut keys, mut values) = (BatchStep::default(), [0; 64], [0; 128]);
        map.lookup_batch(&mut step, &mut keys, &mut values, 16, then)
    };
    world.starve("look up a batch", || lookup(BatchThen::Keep), || (), look);
    world.starve("take a batch", || lookup(BatchThen::Delete), fill, look);
}

#[test]
fn programs() {
    let world = World::new();
    let types = btf();
    world.starve_made("load types", || {
        let mut log = [0; 256];
        world.kernel.btf_load(&mut BtfLoad { btf_log_level: 1, ..BtfLoad::default() }, &types, &mut log)
    });
    let types = world.kernel.btf_load(&mut BtfLoad::default(), &types, &mut []).unwrap();
    let array = world.map(MapType::ARRAY, [4, 8, 1], 0).unwrap();
    let registers = if cfg!(target_endian = "big") { 0x15 } else { 0x51 };
    let insns = [[0x18, registers, 0, 0, 0, 0, 0, 0], [0; 8], ONE[0], ONE[1]];
    let func_info: Vec<u8> = [0u32, 3].into_iter().flat_map(u32::to_ne_bytes).collect();
    let line_info: Vec<u8> = [0u32, 1, 1, 1 << 10 | 1].into_iter().flat_map(u32::to_ne_bytes).collect();
    let load = || {
        let mut log = [0; 256];
        let fds = [array.fd()];
        let mut load = ProgLoad {
            prog_type: ProgType::XDP.0,
            prog_btf_fd: types.fd().raw(),
            log_level: 1,
            ..ProgLoad::default()
        };
        let memory = ProgLoadMemory {
            insns: insns.as_flattened(),
            license: "GPL",
            log: &mut log,
            fd_array: FdArray::ByIndex(&fds),
            func_info: Records { size: 8, bytes: &func_info },
            line_info: Records { size: 16, bytes: &line_info },
            ..ProgLoadMemory::default()
        };
        world.kernel.prog_load(&mut load, memory)
    };
    world.starve_made("load a program", load);
    let prog = load().unwrap();
    world.starve_made("run it on a packet", || {
        let mut out = [0; 64];
        let mut run = ProgTestRun { repeat: 1, ..ProgTestRun::default() };
        let memory = TestRunMemory { data_in: &[7; 64], data_out: &mut out, ..TestRunMemory::default() };
        prog.test_run(&mut run, memory)
    });
    world.starve_made("ask for all of its info", || {
        let (mut lines, mut functions, mut tags, mut xlated) = ([0; 16], [0; 8], [[0; 8]], [0; 32]);
        prog.info_with(ProgLists {
            func_info: &mut functions,
            line_info: &mut lines,
            prog_tags: &mut tags,
            xlated_insns: &mut xlated,
            ..ProgLists::default()
        })
    });
    let raw = world.prog(ProgType::RAW_TRACEPOINT).unwrap();
    world.starve_made("run one on arguments", || {
        let memory = TestRunMemory { ctx_in: &[0; 16], ..TestRunMemory::default() };
        raw.test_run(&mut ProgTestRun::default(), memory)
    });
    let ids = [
        (ObjectKind::Prog, prog.info().unwrap().id),
        (ObjectKind::Map, array.info().unwrap().id),
        (ObjectKind::Btf, types.info().unwrap().id),
    ];
    for (kind, id) in ids {
        world.starve_made(&format!("open {kind:?} by number"), || world.kernel.fd_by_id(kind, id, 0));
    }
}

#[test]
fn pins() {
    let world = World::new();
    let prog = world.prog(ProgType::XDP).unwrap();
    let list = || world.kernel.dir_list("/sys/fs/bpf").unwrap();
    let path = "/sys/fs/bpf/prog";
    let unpin = || world.kernel.file_remove(path).unwrap();
    world.starve("pin", || world.kernel.obj_pin(prog.handle(), path), unpin, list);
    world.kernel.obj_pin(prog.handle(), path).unwrap();
    world.starve("open what is pinned", || world.kernel.obj_get(path, 0), || (), list);
    world.starve(
        "remove a pin",
        || world.kernel.file_remove(path),
        || world.kernel.obj_pin(prog.handle(), path).unwrap(),
        list,
    );
    let folder = "/sys/fs/bpf/folder";
    world.starve(
        "make a directory",
        || world.kernel.dir_make(folder),
        || world.kernel.dir_remove(folder).unwrap(),
        list,
    );
}

#[test]
fn links() {
    let world = World::new();
    let target_fd = world.interface.index();
    let idle = (Ok(2), Ok(0));
    let verdict = || (world.interface.receive(&mut vec![0; 64]), world.interface.ingress(&mut vec![0; 64]));
    for (prog_type, attach_type) in
        [(ProgType::XDP, AttachType::XDP), (ProgType::SCHED_CLS, AttachType::TCX_INGRESS)]
    {
        let (prog, other) = (world.prog(prog_type).unwrap(), world.prog(prog_type).unwrap());
        let attr = LinkCreate { prog_fd: prog.fd().raw(), target_fd, attach_type: attach_type.0, flags: 0 };
        let create = || world.kernel.link_create(&attr);
        world.starve(&format!("attach {prog_type}"), create, || (), verdict);
        let link = create().unwrap();
        let holds = || (link.info().unwrap().prog_id, verdict());
        let back = || link.update(prog.fd(), None).unwrap();
        world.starve(&format!("replace {prog_type}"), || link.update(other.fd(), None), back, holds);
        world.starve(&format!("ask for the link of {prog_type}"), || link.info(), || (), holds);
        if prog_type == ProgType::SCHED_CLS {
            let query = || {
                let (mut progs, mut links) = ([0; 4], [0; 4]);
                let mut query = ProgQuery { target_fd, attach_type: attach_type.0, ..ProgQuery::default() };
                let memory = ProgQueryMemory {
                    prog_ids: &mut progs,
                    link_ids: &mut links,
                    ..ProgQueryMemory::default()
                };
                world.kernel.prog_query(&mut query, memory)
            };
            world.starve("ask what is attached", query, || (), holds);
        }
        drop(link);
        assert_eq!(verdict(), idle);
        let detach = |link: &LinkFd| link.detach();
        // Detaching cannot fail: what cannot be taken out is marked, and left out at the next change.
        for nth in 0..8 {
            let link = create().unwrap();
            let (result, _) = fail_nth(nth, || detach(&link));
            assert_eq!((result, verdict()), (Ok(()), idle), "allocation {nth}");
        }
    }
    let raw = world.prog(ProgType::RAW_TRACEPOINT).unwrap();
    world.starve_made("open a raw tracepoint", || {
        world.kernel.raw_tracepoint_open(Some("enter"), raw.fd(), 0)
    });
}

#[test]
fn events_and_mappings() {
    let world = World::new();
    let attr = PerfEventAttr {
        type_: PerfType::SOFTWARE.0,
        config: u64::from(PerfSwId::BPF_OUTPUT.0),
        sample_type: perf::PERF_SAMPLE_RAW,
        sample_period: 1,
        ..PerfEventAttr::default()
    };
    let open = || {
        let open = PerfEventOpen { attr: &attr, target: None, pid: -1, cpu: 0, group: None };
        world.kernel.perf_event_open(open)
    };
    world.starve_made("open an event", open);
    let len = 3 * world.embedded.page_size();
    world.starve_made("map an event", || {
        let event = open()?;
        Ok(world.kernel.map(&event, 0, len, Protection::ReadWrite)?)
    });
    let ring = world.map(MapType::RINGBUF, [0, 0, 64 << 10], 0).unwrap();
    let page = world.embedded.page_size();
    world
        .starve_made("map a ring", || Ok(world.kernel.map(ring.handle(), 0, page, Protection::ReadWrite)?));
    world.starve_made("wait", || world.kernel.wait_readable(ring.fd(), Some(0)));
    world.starve_made("duplicate", || Ok(ring.handle().try_clone()?));
}

#[test]
fn the_kernels_own_types_are_made_whole_or_not_at_all() {
    let mut left = Vec::with_capacity(1000);
    for nth in 0..100_000 {
        // They are made once for each kernel.
        let world = World::new();
        let _tracepoint = world.embedded.add_tracepoint("sched", "sched_switch").unwrap();
        drop(world.map(MapType::ARRAY, [4, 8, 1], 0).unwrap());
        let before = (world.ids(), world.embedded.open_descriptors());
        let live = live_bytes();
        let (result, reached) = fail_nth(nth, || world.kernel.fd_by_id(ObjectKind::Btf, 1, 0));
        match result {
            Err(error) => {
                assert_eq!(error.errno(), Errno::ENOMEM, "allocation {nth}");
                assert!(reached, "allocation {nth}: it was not refused");
            }
            Ok(made) => {
                drop(made);
                assert!(!reached, "allocation {nth}: nobody noticed that it was refused");
                assert_eq!((world.ids(), world.embedded.open_descriptors()), before);
                let kept = live_bytes() - live;
                assert!(nth > 50, "{nth} allocations are less than there can be");
                // Where it is the descriptor that there was no memory for, the types are there already.
                assert!(left.iter().all(|bytes| [0, kept].contains(bytes)), "{left:?}, wanted 0 or {kept}");
                println!("the kernel's own types: {nth} allocations, {kept} bytes");
                return;
            }
        }
        left.push(live_bytes() - live);
        assert_eq!((world.ids(), world.embedded.open_descriptors()), before, "allocation {nth}");
        drop(world.kernel.fd_by_id(ObjectKind::Btf, 1, 0).unwrap());
    }
    panic!("allocates without end");
}

/// BTF of `int f(void)`.
fn btf() -> Vec<u8> {
    let types = [
        // A 32-bit signed integer called `int` (kind 1).
        [1, 1 << 24, 4, 1 << 24 | 32].as_slice(),
        // A function prototype that gives it (kind 13).
        &[0, 13 << 24, 1],
        // A global function `f` of that type (kind 12, linkage 1).
        &[5, 12 << 24 | 1, 2],
    ]
    .concat();
    let strings = b"\0int\0f\0";
    let mut btf = [0xeb9f_u16.to_ne_bytes(), [1, 0]].concat();
    let type_len = types.len() as u32 * 4;
    for word in [24, 0, type_len, type_len, strings.len() as u32] {
        btf.extend_from_slice(&word.to_ne_bytes());
    }
    btf.extend(types.into_iter().flat_map(u32::to_ne_bytes));
    btf.extend_from_slice(strings);
    btf
}
