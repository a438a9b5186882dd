//! Every call while memory runs out, at each of its allocations in turn: ENOMEM, and all is as before.
//!
//! Each command that the kernel has is a row of [`CASES`], and none may be missing; the calls beside `bpf(2)` follow.

mod attach;
mod beside;
mod maps;
mod objects;
mod programs;

use skep_abi::{Cmd, Errno, MapCreate, MapType, ProgLoad, ProgType};
use skep_embedded::{Config, Embedded, Engine, Interface, Tracepoint};
use skep_lab_seam::samples;
use skep_mem::testing::{FailingAlloc, fail_nth, live_bytes};
use skep_sys::{Call, CallError, Kernel, MapFd, ObjectKind, ProgFd, ProgLoadMemory, Reply, Sys};
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[global_allocator]
static ALLOC: FailingAlloc = FailingAlloc;

/// One test for each command.
macro_rules! cases {
    ($($cmd:ident: $test:ident = $case:path;)*) => {
        const CASES: &[Cmd] = &[$(Cmd::$cmd),*];

        $(
            #[test]
            fn $test() {
                $case(&World::new(Cmd::$cmd));
            }
        )*
    };
}

cases! {
    MAP_CREATE: map_create = maps::create;
    MAP_LOOKUP_ELEM: map_lookup_elem = maps::lookup;
    MAP_UPDATE_ELEM: map_update_elem = maps::update;
    MAP_DELETE_ELEM: map_delete_elem = maps::delete;
    MAP_GET_NEXT_KEY: map_get_next_key = maps::next_key;
    PROG_LOAD: prog_load = programs::load;
    OBJ_PIN: obj_pin = objects::pin;
    OBJ_GET: obj_get = objects::get;
    PROG_ATTACH: prog_attach = attach::prog_attach;
    PROG_DETACH: prog_detach = attach::prog_detach;
    PROG_TEST_RUN: prog_test_run = programs::test_run;
    PROG_GET_NEXT_ID: prog_get_next_id = objects::next_id;
    MAP_GET_NEXT_ID: map_get_next_id = objects::next_id;
    PROG_GET_FD_BY_ID: prog_get_fd_by_id = objects::fd_by_id;
    MAP_GET_FD_BY_ID: map_get_fd_by_id = objects::fd_by_id;
    OBJ_GET_INFO_BY_FD: obj_get_info_by_fd = objects::info;
    PROG_QUERY: prog_query = attach::prog_query;
    RAW_TRACEPOINT_OPEN: raw_tracepoint_open = attach::raw_tracepoint_open;
    BTF_LOAD: btf_load = programs::load_types;
    BTF_GET_FD_BY_ID: btf_get_fd_by_id = objects::fd_by_id;
    MAP_LOOKUP_AND_DELETE_ELEM: map_lookup_and_delete_elem = maps::take;
    MAP_FREEZE: map_freeze = maps::freeze;
    BTF_GET_NEXT_ID: btf_get_next_id = objects::next_id;
    MAP_LOOKUP_BATCH: map_lookup_batch = maps::lookup_batch;
    MAP_LOOKUP_AND_DELETE_BATCH: map_lookup_and_delete_batch = maps::take_batch;
    MAP_UPDATE_BATCH: map_update_batch = maps::update_batch;
    MAP_DELETE_BATCH: map_delete_batch = maps::delete_batch;
    LINK_CREATE: link_create = attach::link_create;
    LINK_UPDATE: link_update = attach::link_update;
    LINK_GET_FD_BY_ID: link_get_fd_by_id = objects::fd_by_id;
    LINK_GET_NEXT_ID: link_get_next_id = objects::next_id;
    ENABLE_STATS: enable_stats = objects::enable_stats;
    LINK_DETACH: link_detach = attach::link_detach;
}

#[test]
fn every_command_has_a_case() {
    let commands: Vec<Cmd> = skep_kernel::commands().collect();
    assert!(commands.iter().all(|cmd| Cmd::ALL.contains(cmd)), "commands are Linux's");
    assert_eq!(commands, CASES, "each command that the kernel has is starved");
    // The others of the table are not there: nothing to starve.
    let embedded = Embedded::new(Config::new()).unwrap();
    for &cmd in Cmd::ALL.iter().filter(|cmd| !commands.contains(cmd)) {
        assert_eq!(embedded.bpf(cmd, &mut [0; 64], []).err(), Some(Errno::EINVAL), "{cmd}");
    }
}

/// The kernel, and which commands it was asked.
struct Watched {
    embedded: Embedded,
    /// A bit for each number.
    asked: Arc<AtomicU64>,
}

impl Sys for Watched {
    fn call(&self, call: Call<'_>) -> Result<Reply, Errno> {
        if let Call::Bpf(attr) = &call {
            self.asked.fetch_or(1 << attr.cmd().0, Ordering::Relaxed);
        }
        self.embedded.call(call)
    }
}

/// A kernel with places to attach to.
struct World {
    /// The command that is starved.
    cmd: Option<Cmd>,
    asked: Arc<AtomicU64>,
    embedded: Embedded,
    kernel: Kernel,
    interface: Interface,
    _tracepoint: Tracepoint,
}

impl World {
    /// Makes one to starve a command in.
    fn new(cmd: Cmd) -> World {
        World { cmd: Some(cmd), ..World::beside() }
    }

    /// Makes one to starve other calls in.
    fn beside() -> World {
        // The compiler's own checkers, which run in debug builds, do not reckon with too little memory.
        let engine = if cfg!(debug_assertions) { Engine::Exact } else { Engine::Jit };
        let embedded = Embedded::new(Config::new().seed(1).engine(engine)).unwrap();
        let interface = embedded.add_interface("eth0").unwrap();
        let _tracepoint = embedded.add_tracepoint("lab", "enter").unwrap();
        let asked = Arc::default();
        let watched = Watched { embedded: embedded.clone(), asked: Arc::clone(&asked) };
        World { cmd: None, asked, kernel: Kernel::from_sys(watched), embedded, interface, _tracepoint }
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

    /// Loads a program that returns 1.
    fn prog(&self, prog_type: ProgType) -> Result<ProgFd, CallError> {
        let mut load = ProgLoad { prog_type: prog_type.0, ..ProgLoad::default() };
        let insns = samples::returning(1);
        let memory =
            ProgLoadMemory { insns: insns.as_flattened(), license: "GPL", ..ProgLoadMemory::default() };
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

    /// Runs `work` with its `nth` allocation refused; gives the answer, and whether there was such an allocation.
    fn fail_nth<R>(&self, nth: usize, work: impl FnOnce() -> R) -> (R, bool) {
        self.asked.store(0, Ordering::Relaxed);
        let result = fail_nth(nth, work);
        let asked = self.asked.load(Ordering::Relaxed);
        if let Some(cmd) = self.cmd.filter(|_| !result.1) {
            assert_ne!(asked & 1 << cmd.0, 0, "{cmd} was not run");
        }
        result
    }

    /// Does something that works or is refused, with each of its allocations refused in turn. `undo` takes back what
    /// it has done where it works, and `look` tells what there is to see of it.
    fn starve<R, L: PartialEq + Debug>(
        &self,
        what: &str,
        work: impl Fn() -> Result<R, CallError>,
        undo: impl Fn(),
        look: impl Fn() -> L,
    ) {
        let state = || (self.ids(), self.embedded.open_descriptors(), self.embedded.page_bytes(), look());
        let answer = |result: Result<R, CallError>| {
            let is_done = result.is_ok();
            let answer = result.map(drop).map_err(|error| error.errno());
            if is_done {
                undo();
            }
            answer
        };
        // Tables grow once and stay so.
        let wanted = answer(work());
        assert_eq!(answer(work()), wanted, "{what}, again");
        let before = state();
        for nth in 0..100_000 {
            let live = live_bytes();
            let (result, is_reached) = self.fail_nth(nth, &work);
            if !is_reached {
                assert_eq!(answer(result), wanted, "{what}: nobody noticed that an allocation was refused");
                assert_eq!(live_bytes() - live, 0, "{what}: bytes are left");
                assert_eq!(state(), before, "{what}");
                return;
            }
            assert_eq!(answer(result), Err(Errno::ENOMEM), "{what}, allocation {nth}");
            assert_eq!(live_bytes() - live, 0, "{what}, allocation {nth}: bytes are left");
            assert_eq!(state(), before, "{what}, allocation {nth}");
        }
        panic!("{what}: allocates without end");
    }

    /// As [`World::starve`], where what is made goes with its handle.
    fn starve_made<R>(&self, what: &str, work: impl Fn() -> Result<R, CallError>) {
        self.starve(what, work, || (), || ());
    }

    /// As [`World::starve_made`], of what has to work.
    fn starve_good<R>(&self, what: &str, work: impl Fn() -> Result<R, CallError>) {
        drop(work().unwrap_or_else(|error| panic!("{what}: {error}")));
        self.starve_made(what, work);
    }

    /// Does something that cannot fail, with each of its allocations refused in turn; `setup` makes what it is done to.
    fn cannot_fail<T>(&self, what: &str, setup: impl Fn() -> T, work: impl Fn(&T), check: impl Fn()) {
        for nth in 0..100_000 {
            let to = setup();
            let ((), is_reached) = self.fail_nth(nth, || work(&to));
            check();
            if !is_reached {
                return;
            }
        }
        panic!("{what}: allocates without end");
    }
}
