//! Programs that make way for others.

use super::{PACKET, Program, TC, agree_with, engines, load};
use skep_abi::{MapCreate, MapType, ProgTestRun, ProgType, SkBuff};
use skep_embedded::{Config, Embedded, Engine};
use skep_sys::{Kernel, TestRunMemory};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use zerocopy::IntoBytes;

#[test]
fn programs_make_way_for_others() {
    let maps = [(MapType::PROG_ARRAY, 4, 4, 4), (MapType::ARRAY, 4, 8, 1)];
    let counts = "
        r6 = r1
        *(u32 *)(r10 - 4) = 0
        r1 = map[fd:{1}] ll
        r2 = r10
        r2 += -4
        call 1
        if r0 == 0 goto out
        r7 = *(u64 *)(r0 + 0)
        r7 += 1
        *(u64 *)(r0 + 0) = r7
        r1 = r6
        r2 = map[fd:{0}] ll
        r3 = NEXT
        call 12
        out: r0 = RETURNS
        exit";
    let text = |next: &str, returns: &str| counts.replace("NEXT", next).replace("RETURNS", returns);
    let (first, second) = (text("1", "5"), text("3", "6"));
    let second = Program { maps: &maps, text: &second, ..TC };
    let came = agree_with(&Program { maps: &maps, text: &first, ..TC }, &[(1, &second)]);
    assert!(came.returned[0].contains(" 0x6 "), "nothing is behind the second: {came:?}");
    // A circle ends after 33.
    let circle = text("2", "8");
    let circle = Program { maps: &maps, text: &circle, ..TC };
    let came =
        agree_with(&Program { maps: &maps, text: &first.replace("r3 = 1", "r3 = 2"), ..TC }, &[(2, &circle)]);
    assert_eq!(came.maps[1][1..], 34u64.to_ne_bytes(), "{came:?}");
}

/// A program that notes in its context that it was there, and makes way; `{MIDDLE}` is what it does besides.
fn link(adds: u32, next: u32, middle: &str) -> String {
    format!(
        "
        r6 = r1
        r7 = *(u32 *)(r6 + 48)        ; the first word of cb
        r7 *= 10
        r7 += {adds}
        *(u32 *)(r6 + 48) = r7
        {middle}
        r1 = r6
        r2 = map[fd:{{0}}] ll
        r3 = {next}
        call 12
        r0 = *(u32 *)(r6 + 48)
        exit"
    )
}

#[test]
fn programs_follow_one_another_whatever_runs_them() {
    let maps = [(MapType::PROG_ARRAY, 4, 4, 8), (MapType::RINGBUF, 0, 0, 4096)];
    let md = SkBuff { cb: [0, 2, 3, 4, 5], ..SkBuff::default() };
    let of = |text| Program { maps: &maps, text, context: md.as_bytes(), runs: 3, ..TC };
    // Its records are the runner's, so it needs one.
    let ring = "
        r1 = map[fd:{1}] ll
        r2 = 8
        r3 = 0
        call 131
        if r0 == 0 goto on
        r1 = r0
        r2 = 0
        call 132
        on:";
    // It counts fuel.
    let back = "
        r1 = 3
        r2 = subprog[turn] ll
        r3 = 0
        r4 = 0
        call 181";
    let back = format!("{}\nturn: r0 = 0\nexit", link(4, 5, back));
    // It stays on the reference machine, and so do those behind it.
    let queue = link(6, 7, "*(u32 *)(r6 + 12) = 1");
    let texts =
        [link(2, 2, ring), link(3, 4, ""), back, link(5, 6, ""), queue, link(7, 3, "*(u32 *)(r6 + 52) = 9")];
    let programs: Vec<_> = texts.iter().map(|text| of(text)).collect();
    let followers: Vec<_> = [1, 2, 4, 5, 6, 7].into_iter().zip(&programs).collect();
    let came = agree_with(&of(&link(1, 1, "")), &followers);
    assert!(came.returned.iter().all(|ran| ran.contains(&format!(" {:#x} ", 1_234_567))), "{came:?}");
}

#[test]
fn those_that_follow_find_a_stack_and_registers_of_their_own() {
    let maps = [(MapType::PROG_ARRAY, 4, 4, 4), (MapType::ARRAY, 4, 8, 1)];
    let text = "
        r6 = r1
        r9 = 9
        *(u32 *)(r10 - 4) = 0
        r1 = map[fd:{1}] ll
        r2 = r10
        r2 += -4
        call 1
        if r0 == 0 goto bad
        r7 = *(u64 *)(r0 + 0)
        r7 += 1
        *(u64 *)(r0 + 0) = r7
        r2 = r10
        r2 += -264
        r1 = *(u64 *)(r2 + 0)         ; never written by this one
        if r1 != 0 goto bad
        *(u64 *)(r2 + 0) = r7
        r1 = r7
        call f
        r8 = r0
        r1 = r6
        r2 = map[fd:{0}] ll
        r3 = 1
        call 12
        r0 = *(u64 *)(r10 - 264)
        r0 += r8
        r0 += r9
        exit
        bad: r0 = 0
        exit
        f:
        r2 = r10
        r2 += -64
        r0 = *(u64 *)(r2 + 0)         ; nor by this one
        *(u64 *)(r2 + 0) = r1
        r0 += r1
        exit";
    let program = Program { maps: &maps, text, ..TC };
    let came = agree_with(&program, &[(1, &program)]);
    assert!(came.returned[0].contains(" 0x4d "), "the last of 34 has counted to 34: {came:?}");
    // A chain that ends just before its end.
    let short = text.replace("r3 = 1", "if r7 > 33 goto bad\nr3 = 1");
    let short = Program { maps: &maps, text: &short, runs: 2, ..TC };
    let came = agree_with(&short, &[(1, &short)]);
    assert_eq!(came.maps[1][1..], 35u64.to_ne_bytes(), "{came:?}");
}

#[test]
fn who_leads_nowhere_goes_on() {
    let maps = [(MapType::PROG_ARRAY, 4, 4, 3)];
    let other = Program { maps: &maps, text: "r0 = 7\nexit", ..TC };
    let places = [("1", 7), ("0x100000001", 7), ("0", 5), ("2", 5), ("3", 5), ("-1", 5), ("0x80000001", 5)];
    for (place, returns) in places {
        let text = format!("r6 = 5\nr2 = map[fd:{{0}}] ll\nr3 = {place} ll\ncall 12\nr0 = r6\nexit");
        let came = agree_with(&Program { maps: &maps, text: &text, ..TC }, &[(1, &other)]);
        assert!(came.returned[0].contains(&format!(" {returns:#x} ")), "{place}: {came:?}");
    }
}

#[test]
fn who_stops_is_who_ran_last() {
    let first = "r2 = map[fd:{0}] ll\nr3 = 1\ncall 12\nr0 = 0\nexit";
    let second = "r1 = 200\non: r1 += -1\nif r1 != 0 goto on\nr0 = 0\nexit";
    for engine in engines().into_iter().chain([Engine::Exact]) {
        // What two programs use together is what one run may use.
        let embedded = Embedded::new(Config::new().engine(engine).fuel(300)).unwrap();
        let kernel = Kernel::from_sys(embedded.clone());
        let map_type = MapType::PROG_ARRAY.0;
        let create =
            MapCreate { map_type, key_size: 4, value_size: 4, max_entries: 2, ..MapCreate::default() };
        let map = kernel.map_create(&create).unwrap();
        let fds = [map.fd().raw() as i32];
        let second = load(&kernel, ProgType::XDP, second, &fds);
        map.update(&1u32.to_ne_bytes(), &second.handle().fd().raw().to_ne_bytes(), 0).unwrap();
        let first = load(&kernel, ProgType::XDP, first, &fds);
        let memory = TestRunMemory { data_in: &PACKET, ..TestRunMemory::default() };
        assert!(first.test_run(&mut ProgTestRun::default(), memory).is_err());
        let faults = embedded.faults();
        let found: Vec<_> = faults.iter().map(|report| (report.prog_id, report.fault.program)).collect();
        let (started, stopped) = (first.info().unwrap().id, second.info().unwrap().id);
        assert_eq!(found, [(started, stopped)], "{engine}: {faults:?}");
        assert_eq!(format!("{:?}", faults[0].fault.kind), "Fuel", "{engine}");
    }
}

#[test]
fn programs_are_replaced_while_others_go_on_in_them() {
    for engine in engines() {
        let config = Config::new().cpus(NonZeroU32::new(2).unwrap()).engine(engine);
        let embedded = Embedded::new(config).unwrap();
        let kernel = Kernel::from_sys(embedded.clone());
        let map_type = MapType::PROG_ARRAY.0;
        let create =
            MapCreate { map_type, key_size: 4, value_size: 4, max_entries: 2, ..MapCreate::default() };
        let map = kernel.map_create(&create).unwrap();
        let key = 1u32.to_ne_bytes();
        let fds = [map.fd().raw() as i32];
        let text = "r6 = 1\nr2 = map[fd:{0}] ll\nr3 = 1\ncall 12\nr0 = r6\nexit";
        let first = load(&kernel, ProgType::XDP, text, &fds);
        let is_done = AtomicBool::new(false);
        let mut gone = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..60 {
                    let mut attr = ProgTestRun { repeat: 400, ..ProgTestRun::default() };
                    let memory = TestRunMemory { data_in: &PACKET, ..TestRunMemory::default() };
                    first.test_run(&mut attr, memory).unwrap();
                    assert!((1..=3).contains(&attr.retval), "{}", attr.retval);
                }
                is_done.store(true, Ordering::Release);
            });
            // At least once whoever is faster.
            loop {
                for returns in [2, 3] {
                    let text = format!("r1 = 50\non: r1 += -1\nif r1 != 0 goto on\nr0 = {returns}\nexit");
                    let next = load(&kernel, ProgType::XDP, &text, &fds);
                    map.update(&key, &next.handle().fd().raw().to_ne_bytes(), 0).unwrap();
                    gone.push(next.info().unwrap().id);
                }
                map.delete(&key).unwrap();
                if is_done.load(Ordering::Acquire) {
                    break;
                }
            }
        });
        let left: Vec<_> = gone.iter().filter(|id| embedded.engine_of(**id).is_ok()).collect();
        assert!(left.is_empty(), "{} of {} are kept", left.len(), gone.len());
        assert!(embedded.faults().is_empty(), "{:?}", embedded.faults());
    }
}
