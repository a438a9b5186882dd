//! Maps without a kernel.

use crate::{each, is, program};
use skep_abi::MapType;
use skep_abi::flags::{BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG};
use skep_machine::{Cpu, Engine, Host, Input, Map, SetupErrorKind, Stop, StopKind};
use skep_maps::MapDef;
use skep_mem::testing::TestHost;
use std::sync::Arc;

const FD: i32 = 77;

fn def(map_type: MapType, flags: u32) -> MapDef {
    MapDef { map_type, key_size: 4, value_size: 8, max_entries: 4, flags, extra: 0, numa_node: 0 }
}

fn map(host: &Arc<dyn Host>, def: &MapDef) -> Box<dyn Map> {
    skep_maps::create(host, def).unwrap()
}

fn run(engine: Engine, host: &Arc<dyn Host>, map: &dyn Map, text: &str) -> Result<u64, Stop> {
    let setup = crate::setup::<()>(engine).map(FD, map).host(&**host);
    let program = setup.assemble(text).unwrap();
    setup.load(program).unwrap().run(&mut Cpu::new(()).with_fuel(100_000), Input::None)
}

/// Stores 5 under key 1, adds 2 through the pointer, and gives what is there.
const UPDATE_AND_LOOK: &str = "
    *(u32 *)(r10 - 4) = 1
    *(u64 *)(r10 - 16) = 5
    r1 = map[fd:77] ll
    r2 = r10
    r2 += -4
    r3 = r10
    r3 += -16
    r4 = 0
    call map_update_elem
    if r0 != 0 goto exit
    r1 = map[fd:77] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto exit
    r1 = 2
    lock *(u64 *)(r0 + 0) += r1
    r0 = *(u64 *)(r0 + 0)
    exit";

#[test]
fn programs_update_and_look_up() {
    each(|engine| {
        for kind in
            [MapType::HASH, MapType::ARRAY, MapType::PERCPU_ARRAY, MapType::PERCPU_HASH, MapType::LRU_HASH]
        {
            let host = TestHost::new().as_dyn();
            let map = map(&host, &def(kind, 0));
            assert_eq!(run(engine, &host, &*map, UPDATE_AND_LOOK), Ok(7), "{kind:?}");
        }
    });
}

#[test]
fn what_is_stored_outlives_the_machine() {
    each(|engine| {
        let host = TestHost::new().as_dyn();
        let map = map(&host, &def(MapType::HASH, 0));
        run(engine, &host, &*map, UPDATE_AND_LOOK).unwrap();
        let delete =
            "*(u32 *)(r10 - 4) = 1\nr1 = map[fd:77] ll\nr2 = r10\nr2 += -4\ncall map_delete_elem\nexit";
        assert_eq!(run(engine, &host, &*map, delete), Ok(0));
        assert_eq!(run(engine, &host, &*map, delete), Ok(-2_i64 as u64), "ENOENT");
    });
}

#[test]
fn queues_give_back_what_they_got() {
    each(|engine| {
        let host = TestHost::new().as_dyn();
        let map = map(&host, &MapDef { key_size: 0, ..def(MapType::QUEUE, 0) });
        let text = "
            *(u64 *)(r10 - 8) = 41
            r1 = map[fd:77] ll
            r2 = r10
            r2 += -8
            r3 = 0
            call map_push_elem
            r1 = map[fd:77] ll
            r2 = r10
            r2 += -16
            call map_pop_elem
            r1 = *(u64 *)(r10 - 16)
            r0 += r1
            exit";
        assert_eq!(run(engine, &host, &*map, text), Ok(41));
    });
}

#[test]
fn instructions_address_values_directly() {
    each(|engine| {
        let host = TestHost::new().as_dyn();
        let array = map(&host, &MapDef { max_entries: 1, ..def(MapType::ARRAY, 0) });
        let text = "r1 = map[fd:77][0] + 4 ll\n*(u32 *)(r1 + 0) = 6\nr2 = map[fd:77][0] + 0 ll\nr0 = *(u64 *)(r2 + 0)\nexit";
        let want = u64::from_ne_bytes(*b"\0\0\0\0\x06\0\0\0");
        let want = if cfg!(target_endian = "big") { 6 } else { want };
        assert_eq!(run(engine, &host, &*array, text), Ok(want));
        let outside = crate::setup::<()>(engine).map(FD, &*array).host(&*host);
        let error = outside.load(program("r1 = map[fd:77][0] + 8 ll\nr0 = 0\nexit")).unwrap_err();
        assert_eq!((error.at.unwrap().0, error.kind), (0, SetupErrorKind::MapValue { offset: 8 }));
        let hash = map(&host, &def(MapType::HASH, 0));
        let none = crate::setup::<()>(engine).map(FD, &*hash).host(&*host);
        let error = none.load(program("r1 = map[fd:77][0] + 0 ll\nr0 = 0\nexit")).unwrap_err();
        assert_eq!(error.kind, SetupErrorKind::MapValue { offset: 0 });
    });
}

#[test]
fn a_map_is_no_memory() {
    each(|engine| {
        let host = TestHost::new().as_dyn();
        let map = map(&host, &def(MapType::HASH, 0));
        let stop = run(engine, &host, &*map, "r1 = map[fd:77] ll\nr0 = *(u64 *)(r1 + 0)\nexit").unwrap_err();
        is(&stop, 2, StopKind::OutOfBounds);
        // Nor is a number a map.
        let text = "r1 = 5\nr2 = r10\nr2 += -4\ncall map_lookup_elem\nexit";
        let stop = run(engine, &host, &*map, text).unwrap_err();
        is(&stop, 3, StopKind::BadArgument);
        // Nor may a key lie anywhere.
        let text = "r1 = map[fd:77] ll\nr2 = 8\ncall map_lookup_elem\nexit";
        is(&run(engine, &host, &*map, text).unwrap_err(), 3, StopKind::BadArgument);
    });
}

#[test]
fn rights_of_values_hold() {
    each(|engine| {
        let host = TestHost::new().as_dyn();
        let read_only = map(&host, &def(MapType::ARRAY, BPF_F_RDONLY_PROG));
        let look = "*(u32 *)(r10 - 4) = 1\nr1 = map[fd:77] ll\nr2 = r10\nr2 += -4\ncall map_lookup_elem\n";
        assert_eq!(run(engine, &host, &*read_only, &format!("{look}r0 = *(u64 *)(r0 + 0)\nexit")), Ok(0));
        let stop = run(engine, &host, &*read_only, &format!("{look}*(u8 *)(r0 + 0) = 1\nexit")).unwrap_err();
        is(&stop, 6, StopKind::OutOfBounds);
        let write_only = map(&host, &def(MapType::ARRAY, BPF_F_WRONLY_PROG));
        let setup = crate::setup::<()>(engine).map(FD, &*write_only).host(&*host);
        let error = setup.load(program("r0 = 0\nexit")).unwrap_err();
        assert_eq!(error.kind, SetupErrorKind::WriteOnlyMap { fd: FD });
    });
}

#[test]
fn helpers_that_need_a_kernel_are_not_there() {
    each(|engine| {
        let host = TestHost::new().as_dyn();
        // timer_init, ringbuf_reserve_dynptr, xdp_adjust_head, tail_call
        for id in [169, 198, 44, 12] {
            let setup = crate::setup::<()>(engine).host(&*host);
            let error = setup.load(program(&format!("call {id}\nexit"))).unwrap_err();
            assert_eq!(error.kind, SetupErrorKind::UnknownHelper { id });
        }
        let setup = crate::setup::<()>(engine).host(&*host);
        let program = setup.assemble("call bpf_ktime_get_ns\nexit").unwrap();
        assert_eq!(setup.load(program).unwrap().run(&mut Cpu::default(), Input::None), Ok(1_000_000_000));
    });
}

#[test]
fn ones_own_helper_comes_first() {
    each(|engine| {
        let host = TestHost::new().as_dyn();
        let mine = || skep_machine::Helper::numbers("mine", |_: &mut (), _| Ok(1));
        let before = crate::setup(engine).helper(5, mine()).host(&*host);
        let after = crate::setup(engine).host(&*host).helper(5, mine());
        for setup in [before, after] {
            let machine = setup.load(program("call 5\nexit")).unwrap();
            assert_eq!(machine.run(&mut Cpu::default(), Input::None), Ok(1));
        }
    });
}

#[test]
fn maps_want_a_host() {
    each(|engine| {
        let host = TestHost::new().as_dyn();
        let map = map(&host, &def(MapType::HASH, 0));
        let setup = crate::setup::<()>(engine).map(FD, &*map);
        assert_eq!(setup.load(program("r0 = 0\nexit")).unwrap_err().kind, SetupErrorKind::NoHost);
    });
}
