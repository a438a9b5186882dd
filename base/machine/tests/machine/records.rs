//! Records of rings: memory that comes and goes during a run.

use crate::{each, is};
use skep_abi::MapType;
use skep_machine::{Cpu, Engine, Input, Map, Stop, StopKind};
use skep_maps::{MapDef, RingQuery};
use skep_mem::testing::TestHost;
use skep_mem::{Host, OnCpu};
use std::sync::Arc;

fn ring(host: &Arc<dyn Host>) -> Box<dyn Map> {
    let size = host.pages().unwrap().page_size() as u32;
    let def = MapDef {
        map_type: MapType::RINGBUF,
        key_size: 0,
        value_size: 0,
        max_entries: size,
        flags: 0,
        extra: 0,
        numa_node: 0,
    };
    skep_maps::create(host, &def).unwrap()
}

/// Runs a program with a ring, and gives besides how many bytes wait for the reader.
fn run(engine: Engine, text: &str) -> (Result<u64, Stop>, u64) {
    let host = TestHost::new().as_dyn();
    let map = ring(&host);
    let setup = crate::setup::<()>(engine).map(7, &*map).host(&*host);
    let program = setup.assemble(text).unwrap();
    let result = setup.load(program).unwrap().run(&mut Cpu::new(()).with_fuel(100_000), Input::None);
    let ring = map.ring().unwrap();
    // Nothing is left open: a record of nearly the whole ring finds room once the reader has read, which nobody has here.
    let on = OnCpu::enter(host.cpus());
    if let Some((token, _)) = ring.reserve(&on, 16) {
        ring.commit(token, skep_mem::Commit::Discard, 0).unwrap();
    }
    (result, ring.query(RingQuery::Available))
}

const RESERVE: &str = "
    r1 = map[fd:7] ll
    r2 = 24
    r3 = 0
    call bpf_ringbuf_reserve
    if r0 != 0 goto reserved
    exit
    reserved:
    r6 = r0
";

#[track_caller]
fn stops(text: &str, at: u32, kind: StopKind) {
    each(|engine| is(&run(engine, &format!("{RESERVE}{text}")).0.unwrap_err(), at, kind));
}

#[test]
fn a_record_is_memory_until_it_is_given_back() {
    each(|engine| {
        for helper in ["submit", "discard"] {
            let text = format!(
                "{RESERVE}
                *(u64 *)(r6 + 0) = 1
                *(u64 *)(r6 + 16) = 40
                r7 = *(u64 *)(r6 + 16)
                r8 = *(u64 *)(r6 + 0)
                r7 += r8
                r1 = r6
                r2 = 0
                call bpf_ringbuf_{helper}
                r0 = r7
                exit"
            );
            assert_eq!(run(engine, &text), (Ok(41), 32 + 24), "{helper}");
        }
    });
    for helper in ["submit", "discard"] {
        let gone = format!(
            "*(u8 *)(r6 + 0) = 1\nr1 = r6\nr2 = 0\ncall bpf_ringbuf_{helper}\nr0 = *(u8 *)(r6 + 0)\nexit"
        );
        stops(&gone, 12, StopKind::OutOfBounds);
        let twice = format!(
            "r1 = r6\nr2 = 0\ncall bpf_ringbuf_{helper}\nr1 = r6\nr2 = 0\ncall bpf_ringbuf_{helper}\nexit"
        );
        stops(&twice, 13, StopKind::BadArgument);
    }
}

#[test]
fn an_instruction_that_has_found_a_record_looks_again() {
    let text = "r8 = 0
        again:
        *(u8 *)(r6 + 0) = 1
        if r8 != 0 goto exit
        r8 = 1
        r1 = r6
        r2 = 0
        call bpf_ringbuf_submit
        goto again";
    stops(text, 9, StopKind::OutOfBounds);
}

#[test]
fn a_record_ends_where_it_was_said() {
    stops("*(u8 *)(r6 + 24) = 1\nr0 = 0\nexit", 8, StopKind::OutOfBounds);
    stops("r0 = *(u8 *)(r6 - 1)\nexit", 8, StopKind::OutOfBounds);
    stops("*(u64 *)(r6 + 17) = 1\nr0 = 0\nexit", 8, StopKind::OutOfBounds);
    stops("r1 = r6\nr1 += 8\nr2 = 0\ncall bpf_ringbuf_submit\nexit", 11, StopKind::BadArgument);
}

#[test]
fn helpers_may_use_a_record() {
    each(|engine| {
        let text = format!(
            "{RESERVE}
            *(u64 *)(r6 + 0) = 6
            r1 = map[fd:7] ll
            r2 = r6
            r3 = 24
            r4 = 0
            call bpf_ringbuf_output
            r7 = r0
            r1 = r6
            r2 = 0
            call bpf_ringbuf_submit
            r0 = r7
            exit"
        );
        assert_eq!(run(engine, &text), (Ok(0), 64 + 24));
    });
    let gone = "r1 = r6\nr2 = 0\ncall bpf_ringbuf_submit\nr1 = map[fd:7] ll\nr2 = r6\nr3 = 24\nr4 = 0\ncall bpf_ringbuf_output\nexit";
    stops(gone, 16, StopKind::BadArgument);
}

#[test]
fn several_records_are_open_at_once() {
    let text = format!(
        "{RESERVE}
        r1 = map[fd:7] ll
        r2 = 8
        r3 = 0
        call bpf_ringbuf_reserve
        if r0 == 0 goto exit
        r7 = r0
        r8 = 5
        again:
        *(u64 *)(r6 + 8) = r8
        *(u64 *)(r7 + 0) = r8
        r8 -= 1
        if r8 != 0 goto again
        r1 = r6
        r2 = 0
        call bpf_ringbuf_submit
        *(u64 *)(r7 + 0) = 3
        r8 = *(u64 *)(r7 + 0)
        r1 = r7
        r2 = 0
        call bpf_ringbuf_submit
        r0 = r8
        exit"
    );
    each(|engine| assert_eq!(run(engine, &text), (Ok(3), 32 + 16 + 24)));
}

#[test]
fn what_is_left_open_is_discarded() {
    each(|engine| {
        let (result, waiting) = run(engine, &format!("{RESERVE}*(u8 *)(r6 + 0) = 1\nr0 = 1\nexit"));
        assert_eq!((result, waiting), (Ok(1), 32 + 24));
        let (result, _) = run(engine, &format!("{RESERVE}again: goto again"));
        assert_eq!(result.unwrap_err().kind(), StopKind::Fuel);
        // Round the ring, which one record that stays open would stop for good.
        let host = TestHost::new().as_dyn();
        let map = ring(&host);
        let setup = crate::setup::<()>(engine).map(7, &*map).host(&*host);
        let program = setup.assemble(&format!("{RESERVE}r0 = 1\nexit")).unwrap();
        let machine = setup.load(program).unwrap();
        let size = host.pages().unwrap().page_size() as u64;
        let mut cpu = Cpu::new(());
        for _ in 0..size / 32 - 1 {
            assert_eq!(machine.run(&mut cpu, Input::None), Ok(1));
        }
        assert_eq!(machine.run(&mut cpu, Input::None), Ok(0), "the ring is full, as nobody reads");
    });
}

#[test]
fn a_run_holds_so_many_and_no_more() {
    let text = "
        r6 = 0
        again:
        r1 = map[fd:7] ll
        r2 = 8
        r3 = 0
        call bpf_ringbuf_reserve
        if r0 == 0 goto out
        r6 += 1
        goto again
        out:
        r0 = r6
        exit";
    each(|engine| assert_eq!(run(engine, text).0, Ok(64)));
}

#[test]
fn records_are_written_in_loops_of_functions() {
    let text = format!(
        "{RESERVE}
        *(u64 *)(r10 - 8) = r6
        r1 = 24
        r2 = subprog[f] ll
        r3 = r10
        r3 += -8
        r4 = 0
        call bpf_loop
        r7 = *(u8 *)(r6 + 23)
        r1 = r6
        r2 = 0
        call bpf_ringbuf_submit
        r0 = r7
        exit
        f:
        r3 = *(u64 *)(r2 + 0)
        r3 += r1
        *(u8 *)(r3 + 0) = r1
        r0 = 0
        exit"
    );
    each(|engine| assert_eq!(run(engine, &text).0, Ok(23)));
    // Given back inside, it is gone outside too.
    let inside = "
        *(u8 *)(r6 + 0) = 1
        r1 = 1
        r2 = subprog[f] ll
        r3 = r6
        r4 = 0
        call bpf_loop
        *(u8 *)(r6 + 0) = 2
        exit
        f:
        r1 = r2
        r2 = 0
        call bpf_ringbuf_submit
        r0 = 0
        exit";
    stops(inside, 15, StopKind::OutOfBounds);
}

#[test]
fn a_panic_leaves_nothing_open() {
    each(|engine| {
        let host = TestHost::new().as_dyn();
        let map = ring(&host);
        let panics = skep_machine::Helper::numbers("panics", |_: &mut (), _| panic!("on purpose"));
        let setup = crate::setup::<()>(engine).map(7, &*map).host(&*host).helper(1_000_000, panics);
        let program = setup.assemble(&format!("{RESERVE}call panics\nexit")).unwrap();
        let machine = setup.load(program).unwrap();
        let run = std::panic::AssertUnwindSafe(|| machine.run(&mut Cpu::new(()), Input::None));
        assert!(std::panic::catch_unwind(run).is_err());
        // Another ring's first record of this size has the same token, and is open.
        let (other, on) = (ring(&host), OnCpu::enter(host.cpus()));
        let (token, _) = other.ring().unwrap().reserve(&on, 24).unwrap();
        assert!(other.ring().unwrap().record(token).is_some());
        assert!(map.ring().unwrap().record(token).is_none(), "nobody could submit it any more");
        other.ring().unwrap().commit(token, skep_mem::Commit::Discard, 0).unwrap();
    });
}
