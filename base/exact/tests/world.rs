//! Contexts, packets, maps, helpers, callbacks and tail calls.

mod common;
#[path = "common/lab.rs"]
mod lab;

use common::{EXIT, add, alu, imm64, jump, load_at, mov, store};
use lab::{ARRAY, FILTER, PROGS, RING, RODATA, SINK, call, func, load_as, map, map_value};
use lab::{run_with, run_xdp, xdp_returns, xdp_stops};
use skep_exact::LoadErrorKind;
use skep_isa::Reg::{R0, R1, R2, R3, R4, R5, R6, R7, R8, R10};
use skep_isa::{AluOp, Cond, Insn, LoadKind, PacketSize, Reg, Size, Width};
use skep_model::platform::{FuncId, ProgType};

const DATA: i16 = 0;
const DATA_END: i16 = 4;
const DATA_META: i16 = 8;
const IFINDEX: i16 = 12;

fn ctx(dst: Reg, off: i16) -> Insn {
    load_at(LoadKind::U32, dst, R1, off)
}

/// Puts the key `index` on the stack and looks it up in the array.
fn lookup(index: i32) -> Vec<Insn> {
    vec![
        store(Size::W, R10, -4, index),
        map(R1, ARRAY),
        mov(R2, R10),
        add(R2, -4),
        call(FuncId::MAP_LOOKUP_ELEM),
    ]
}

#[test]
fn packets_are_reached_through_the_context() {
    xdp_returns(&[ctx(R2, DATA), load_at(LoadKind::U8, R0, R2, 5), EXIT], 32 + 5);
    xdp_returns(&[ctx(R2, DATA_META), load_at(LoadKind::U8, R0, R2, 0), EXIT], 28);
    let length = [ctx(R2, DATA), ctx(R0, DATA_END), alu(Width::W64, AluOp::Sub, R0, R2), EXIT];
    xdp_returns(&length, 64);
    // if (data + n > data_end) return 1; return 0
    let fits = |n| {
        [
            ctx(R2, DATA),
            ctx(R3, DATA_END),
            mov(R0, 1),
            add(R2, n),
            jump(Width::W64, Cond::Gt, R2, R3, 1),
            mov(R0, 0),
            EXIT,
        ]
    };
    xdp_returns(&fits(64), 0);
    xdp_returns(&fits(65), 1);
    let message = "read of 2 bytes at offset 67 of the packet, which has 68 bytes";
    xdp_stops(&[ctx(R2, DATA), load_at(LoadKind::U16, R0, R2, 63), EXIT], 1, "out_of_bounds", message);
}

#[test]
fn fields_have_widths_and_rights() {
    xdp_returns(&[ctx(R0, IFINDEX), EXIT], 0x8877_6655);
    for (insn, message) in [
        (load_at(LoadKind::U64, R0, R1, 16), "read of 8 bytes at offset 16 of the context: "),
        (load_at(LoadKind::U32, R0, R1, 24), "read of 4 bytes at offset 24 of the context: "),
        (load_at(LoadKind::U32, R0, R1, -4), "read of 4 bytes at offset -4 of the context: "),
        (load_at(LoadKind::U16, R0, R1, DATA), "read of 2 bytes at offset 0 of the context: "),
        (load_at(LoadKind::S32, R0, R1, DATA), "read of 4 bytes at offset 0 of the context: "),
        (store(Size::W, R1, DATA, 0), "write of 4 bytes at offset 0 of the context: "),
        (
            load_at(LoadKind::U32, R0, R1, 16),
            "read of 4 bytes at offset 16 of the context: `rx_queue_index` is not",
        ),
        (
            Insn::Atomic { width: Width::W32, op: skep_isa::AtomicOp::Add, base: R1, off: 0, src: R2 },
            "atomic change of 4 bytes at offset 0 of the context: the context is no memory",
        ),
    ] {
        let fault = run_xdp(&[mov(R2, 0), insn, EXIT]).0.result.unwrap_err();
        assert_eq!((fault.kind.code(), fault.at.0), ("bad_context_access", 1));
        assert!(fault.kind.to_string().starts_with(message), "{fault}");
    }
}

#[test]
fn parts_of_fields_can_be_loaded() {
    for (kind, off, want) in [
        (LoadKind::U32, 8, 0x8182_8384),
        (LoadKind::U16, 8, if cfg!(target_endian = "big") { 0x8182 } else { 0x8384 }),
        (LoadKind::U8, 11, if cfg!(target_endian = "big") { 0x84 } else { 0x81 }),
        (LoadKind::S8, 10, if cfg!(target_endian = "big") { 0x83u8 as i8 } else { 0x82u8 as i8 } as u64),
        (LoadKind::S32, 8, 0x8182_8384u32 as i32 as u64),
    ] {
        let program = [load_at(kind, R0, R1, off), EXIT];
        assert_eq!(run_with(ProgType::SCHED_CLS, &program, &[]).0.result, Ok(want), "{kind:?}");
    }
    let marked = [imm64(R2, 0x7), store(Size::W, R1, 8, R2), mov(R0, 0), EXIT];
    let (outcome, log) = run_with(ProgType::SCHED_CLS, &marked, &[]);
    assert_eq!((outcome.result, &log[..]), (Ok(0), &["mark = 0x7 (W)".to_string()][..]));
}

#[test]
fn legacy_loads_read_in_network_order_and_end_the_function() {
    let abs = |size, off| Insn::LoadAbs { size, off };
    let run = |insns: &[Insn]| run_with(ProgType::SOCKET_FILTER, insns, &[]).0.result;
    assert_eq!(run(&[mov(R6, R1), abs(PacketSize::B, 2), EXIT]), Ok(34));
    assert_eq!(run(&[mov(R6, R1), abs(PacketSize::H, 0), EXIT]), Ok(0x2021));
    assert_eq!(run(&[mov(R6, R1), abs(PacketSize::W, 60), EXIT]), Ok(0x5c5d_5e5f));
    assert_eq!(run(&[mov(R6, R1), abs(PacketSize::W, 61), mov(R0, 9), EXIT]), Ok(0));
    assert_eq!(run(&[mov(R6, R1), abs(PacketSize::W, i32::MIN), mov(R0, 9), EXIT]), Ok(0));
    let indirect = [mov(R6, R1), mov(R2, 5), Insn::LoadInd { size: PacketSize::B, src: R2, off: -1 }, EXIT];
    assert_eq!(run(&indirect), Ok(36));
    let clobbered = [mov(R6, R1), abs(PacketSize::B, 2), mov(R0, R1), EXIT];
    assert_eq!(run(&clobbered).unwrap_err().at.0, 2);
    let refused = load_as(ProgType::XDP, &[mov(R6, R1), abs(PacketSize::B, 2), EXIT], 0).unwrap_err();
    assert!(matches!(refused.kind, LoadErrorKind::Unsupported { .. }));
}

#[test]
fn a_map_value_is_memory_of_its_size() {
    let with = |rest: &[Insn]| [&lookup(2)[..], rest].concat();
    xdp_returns(&with(&[store(Size::Dw, R0, 8, 5), load_at(LoadKind::U64, R0, R0, 8), EXIT]), 5);
    let message = "read of 8 bytes at offset 9 of a value of map 0, which has 16 bytes";
    xdp_stops(&with(&[load_at(LoadKind::U64, R0, R0, 9), EXIT]), 6, "out_of_bounds", message);
    let absent = [&lookup(9)[..], &[load_at(LoadKind::U64, R0, R0, 0), EXIT]].concat();
    xdp_stops(&absent, 6, "null_pointer", "read through a null pointer");
    // Two look-ups of one element give equal pointers, of two elements unequal ones.
    for (second, want) in [(2, 1), (3, 0)] {
        let twice = [
            &lookup(2)[..],
            &[mov(R6, R0)],
            &lookup(second)[..],
            &[mov(R7, R0), mov(R0, 1), jump(Width::W64, Cond::Eq, R6, R7, 1), mov(R0, 0), EXIT],
        ]
        .concat();
        xdp_returns(&twice, want);
    }
}

#[test]
fn calls_leave_nothing_in_the_argument_registers() {
    for (reg, name) in [(R1, "r1"), (R2, "r2"), (R5, "r5")] {
        let program = [&[mov(R3, 1), mov(R4, 1), mov(R5, 1)], &lookup(0)[..], &[mov(R0, reg), EXIT]].concat();
        xdp_stops(&program, 9, "uninitialised", &format!("{name} is read and holds nothing"));
    }
}

#[test]
fn looking_up_for_ever_needs_no_memory() {
    // r6 = first value; thousands of look-ups; *r6 is still there
    let times = if cfg!(miri) { 600 } else { 10_000 };
    let program = [
        &lookup(1)[..],
        &[mov(R6, R0), store(Size::B, R6, 0, 9), mov(R7, times)],
        &lookup(2)[..],
        &[add(R7, -1), jump(Width::W64, Cond::Ne, R7, 0, -8), load_at(LoadKind::U8, R0, R6, 0), EXIT],
    ]
    .concat();
    xdp_returns(&program, 9);
}

#[test]
fn values_of_data_maps_are_reached_directly() {
    xdp_returns(&[map_value(R1, RODATA, 6), load_at(LoadKind::U8, R0, R1, 0), EXIT], u64::from(b'w'));
    let written = [
        map_value(R1, ARRAY, 4),
        store(Size::W, R1, 0, 7),
        map_value(R2, ARRAY, 0),
        load_at(LoadKind::U32, R0, R2, 4),
        EXIT,
    ];
    xdp_returns(&written, 7);
    let message = "write of a value of map 3 is not allowed";
    xdp_stops(&[map_value(R1, RODATA, 0), store(Size::B, R1, 0, 0), EXIT], 2, "no_right", message);
    let message = "read of a value of map 4 is not allowed";
    xdp_stops(&[map_value(R1, SINK, 0), load_at(LoadKind::U8, R0, R1, 0), EXIT], 2, "no_right", message);
    let outside = load_as(ProgType::XDP, &[map_value(R1, ARRAY, 16), EXIT], 0).unwrap_err();
    assert_eq!(outside.kind, LoadErrorKind::MapValueOffset { offset: 16, value_size: 16 });
    let unknown = load_as(ProgType::XDP, &[map(R1, 99), EXIT], 0).unwrap_err();
    assert_eq!(unknown.to_string(), "instruction 0: file descriptor 99 is no map here");
}

#[test]
fn what_is_looked_for_in_a_filter_is_read() {
    // What is stored there is an address afterwards, too.
    let stays = [
        store(Size::Dw, R10, -16, 7),
        store(Size::Dw, R10, -8, R10),
        map(R1, FILTER),
        mov(R2, R10),
        add(R2, -8),
        call(FuncId::MAP_PEEK_ELEM),
        load_at(LoadKind::U64, R3, R10, -8),
        load_at(LoadKind::U64, R0, R3, -16),
        EXIT,
    ];
    xdp_returns(&stays, 7);
    let constant = [map(R1, FILTER), map_value(R2, RODATA, 0), call(FuncId::MAP_PEEK_ELEM), EXIT];
    xdp_returns(&constant, -2i64 as u64);
    let hidden = [map(R1, FILTER), map_value(R2, SINK, 0), call(FuncId::MAP_PEEK_ELEM), EXIT];
    let message = "argument 2 of map_peek_elem: a value of map 4 does not allow what the helper does";
    xdp_stops(&hidden, 4, "bad_helper_argument", message);
}

#[test]
fn arguments_are_what_the_prototype_wants() {
    let key = [mov(R2, R10), add(R2, -4)];
    let cases: &[(&[Insn], &str)] = &[
        (
            &[mov(R1, 0), key[0], key[1], call(FuncId::MAP_LOOKUP_ELEM)],
            "argument 1 of map_lookup_elem: wanted a map, found 0x0",
        ),
        (
            &[map(R1, RING), key[0], key[1], call(FuncId::MAP_LOOKUP_ELEM)],
            "argument 1 of map_lookup_elem: wanted a map of another kind, found map 1",
        ),
        (
            &[map(R1, ARRAY), mov(R2, 4096), call(FuncId::MAP_LOOKUP_ELEM)],
            "argument 2 of map_lookup_elem: wanted a pointer to memory, found 0x1000",
        ),
        (
            &[map(R1, ARRAY), key[0], key[1], call(FuncId::MAP_LOOKUP_ELEM)],
            "argument 2 of map_lookup_elem: byte 0 of the memory is not initialised",
        ),
        (
            &[store(Size::H, R10, -4, 0), map(R1, ARRAY), key[0], key[1], call(FuncId::MAP_LOOKUP_ELEM)],
            "argument 2 of map_lookup_elem: byte 2 of the memory is not initialised",
        ),
        (
            &[map(R1, ARRAY), mov(R2, R10), add(R2, -2), call(FuncId::MAP_LOOKUP_ELEM)],
            "argument 2 of map_lookup_elem: wanted 4 bytes at offset 510 of the stack frame, which has 512",
        ),
        (
            &[mov(R1, R10), add(R1, -8), mov(R2, 0), call(FuncId::GET_CURRENT_COMM)],
            "argument 2 of get_current_comm: 0 is no valid size here",
        ),
        (
            &[mov(R1, R10), add(R1, -8), mov(R2, -1), call(FuncId::GET_CURRENT_COMM)],
            "argument 2 of get_current_comm: 18446744073709551615 is no valid size here",
        ),
        (
            &[mov(R1, R10), add(R1, -8), mov(R2, 9), call(FuncId::GET_CURRENT_COMM)],
            "argument 1 of get_current_comm: wanted 9 bytes at offset 504 of the stack frame, which has 512",
        ),
        (
            &[mov(R1, 0), mov(R2, 8), call(FuncId::GET_CURRENT_COMM)],
            "argument 1 of get_current_comm: wanted a pointer to memory, found 0x0",
        ),
        (
            &[map_value(R1, RODATA, 0), mov(R2, 8), call(FuncId::GET_CURRENT_COMM)],
            "argument 1 of get_current_comm: a value of map 3 does not allow what the helper does",
        ),
        (
            &[ctx(R1, DATA), mov(R2, 8), call(FuncId::GET_CURRENT_COMM)],
            "argument 1 of get_current_comm: packet memory is not allowed here",
        ),
        (
            &[add(R1, 8), mov(R2, 0), call(FuncId::XDP_ADJUST_HEAD)],
            "argument 1 of xdp_adjust_head: wanted the context as it was given, found context+8",
        ),
        (
            &[map_value(R1, RODATA, 0), mov(R2, 3), map_value(R3, RODATA, 6), call(FuncId::STRNCMP)],
            "argument 3 of strncmp: the string has no end",
        ),
        (
            &[map_value(R1, RODATA, 0), mov(R2, 3), map_value(R3, ARRAY, 0), call(FuncId::STRNCMP)],
            "argument 3 of strncmp: wanted a string in a read-only map, found object 2+0",
        ),
        (
            &[mov(R1, 1), mov(R2, 0), mov(R3, 0), mov(R4, 0), call(FuncId::LOOP)],
            "argument 2 of loop: wanted a function of the program, found 0x0",
        ),
        (
            &[
                map_value(R1, RODATA, 0),
                mov(R2, 4),
                mov(R3, 0),
                mov(R4, R10),
                add(R4, -12),
                call(FuncId::STRTOL),
            ],
            "argument 4 of strtol: wanted memory aligned to 8",
        ),
        (
            &[mov(R1, R10), mov(R2, 0), call(FuncId::RINGBUF_SUBMIT)],
            "argument 1 of ringbuf_submit: wanted a ring record as it was reserved, found object 0+512",
        ),
    ];
    for (insns, message) in cases {
        let program = [insns, &[mov(R0, 0), EXIT][..]].concat();
        let at = common::slots(insns).len() as u32 - 1;
        xdp_stops(&program, at, "bad_helper_argument", message);
    }
    let missing = [map(R1, ARRAY), call(FuncId::MAP_LOOKUP_ELEM), EXIT];
    xdp_stops(&missing, 2, "uninitialised", "r2 is read and holds nothing");
}

#[test]
fn memory_that_a_helper_writes_is_data_afterwards() {
    let program = [
        mov(R1, R10),
        add(R1, -8),
        mov(R2, 5),
        call(FuncId::GET_CURRENT_COMM),
        load_at(LoadKind::U8, R0, R10, -4),
        EXIT,
    ];
    xdp_returns(&program, u64::from(b'x'));
    let mut after = program;
    after[4] = load_at(LoadKind::U8, R0, R10, -3);
    xdp_stops(&after, 4, "uninitialised", "the stack is read at r10-3, where nothing was written");
}

#[test]
fn null_memory_goes_with_a_size_of_zero() {
    let diff = |from: &[Insn], from_len, to_len| {
        let rest =
            [mov(R2, from_len), ctx(R3, DATA), mov(R4, to_len), mov(R5, 3), call(FuncId::CSUM_DIFF), EXIT];
        [&[mov(R6, R1)], from, &[rest[0], load_at(LoadKind::U32, R3, R6, DATA)], &rest[2..]].concat()
    };
    xdp_returns(&diff(&[mov(R1, 0)], 0, 8), 11);
    xdp_returns(&diff(&[map_value(R1, RODATA, 0)], 4, 8), 411);
    let message = "argument 1 of csum_diff: wanted a pointer to memory, found 0x0";
    xdp_stops(&diff(&[mov(R1, 0)], 4, 8), 6, "bad_helper_argument", message);
}

#[test]
fn strings_end_with_their_nul_and_values_are_handed_on() {
    let compared =
        [map_value(R1, RODATA, 6), mov(R2, 3), map_value(R3, RODATA, 1), call(FuncId::STRNCMP), EXIT];
    xdp_returns(&compared, 305);
    let printed = [
        map_value(R1, RODATA, 0),
        mov(R2, 6),
        mov(R3, -1),
        map_value(R4, RODATA, 6),
        call(FuncId::TRACE_PRINTK),
        EXIT,
    ];
    assert_eq!(run_xdp(&printed).1, ["Int(18446744073709551615) Bytes(Bytes(10 bytes)) Int(0)"]);
}

/// r6 = a record of eight bytes of the ring, or the run returns 1.
fn reserve() -> Vec<Insn> {
    let call = call(FuncId::RINGBUF_RESERVE);
    vec![
        map(R1, RING),
        mov(R2, 8),
        mov(R3, 0),
        call,
        jump(Width::W64, Cond::Ne, R0, 0, 2),
        mov(R0, 1),
        EXIT,
        mov(R6, R0),
    ]
}

fn submit() -> Vec<Insn> {
    vec![mov(R1, R6), mov(R2, 0), call(FuncId::RINGBUF_SUBMIT)]
}

#[test]
fn records_are_memory_until_they_are_given_back() {
    let with = |parts: &[&[Insn]]| [&reserve()[..], &parts.concat()].concat();
    let (write, read, end) =
        ([store(Size::Dw, R6, 0, 5)], [load_at(LoadKind::U64, R0, R6, 0)], [mov(R0, 0), EXIT]);
    let (outcome, log) = run_xdp(&with(&[&write, &submit(), &end]));
    assert_eq!((outcome.result, &log[..]), (Ok(0), &["record 0 = 0x5".to_string()][..]));
    let wide = with(&[&[store(Size::Dw, R6, 4, 5)], &submit(), &end]);
    xdp_stops(
        &wide,
        9,
        "out_of_bounds",
        "write of 8 bytes at offset 4 of a record of map 1, which has 8 bytes",
    );
    let late = with(&[&write, &submit(), &read, &end]);
    xdp_stops(&late, 13, "use_after_free", "read of a record of map 1, which is gone");
    let message = "argument 1 of ringbuf_submit: a record of map 1 is gone";
    xdp_stops(&with(&[&write, &submit(), &submit(), &end]), 15, "bad_helper_argument", message);
    let message = "the record reserved from map 1 at instruction 4 is still open at the end";
    xdp_stops(&with(&[&end]), 10, "leaked_reference", message);
    let inside = [add(R6, 4)];
    let message = "argument 1 of ringbuf_submit: wanted a ring record as it was reserved, found object 1+4";
    xdp_stops(&with(&[&inside, &submit(), &end]), 12, "bad_helper_argument", message);
}

#[test]
fn what_pointed_to_a_record_is_a_number_once_that_is_given_back() {
    let shift = alu(Width::W64, AluOp::Lsh, R6, 64 - 4);
    let with = |parts: &[&[Insn]]| [&reserve()[..], &parts.concat()].concat();
    let end = [mov(R0, R6), EXIT];
    let (outcome, _) = run_xdp(&with(&[&submit(), &[shift], &end]));
    assert_eq!(outcome.result, Ok(0));
    let message = "Lsh wants numbers, found a pointer (object 1+0)";
    xdp_stops(&with(&[&[shift], &submit(), &end]), 9, "pointer_arithmetic", message);
}

#[test]
fn a_helper_that_moves_the_packet_ends_pointers_into_it() {
    let moved = |rest: &[Insn]| {
        [
            &[
                mov(R6, R1),
                ctx(R7, DATA),
                mov(R2, 8),
                call(FuncId::XDP_ADJUST_HEAD),
                load_at(LoadKind::U32, R8, R6, DATA),
            ],
            rest,
        ]
        .concat()
    };
    xdp_returns(&moved(&[load_at(LoadKind::U8, R0, R8, 0), EXIT]), 40);
    let message = "read of the packet, which is gone";
    xdp_stops(&moved(&[load_at(LoadKind::U8, R0, R7, 0), EXIT]), 5, "use_after_free", message);
}

#[test]
fn callbacks_run_with_what_the_helper_passes() {
    // r0 = loop(n, f, &sum); r0 = sum    f(i, p): *p += i; return i == 6
    let sum = |n| {
        [
            mov(R6, 33),
            store(Size::Dw, R10, -8, 0),
            mov(R1, n),
            func(R2, 9),
            mov(R3, R10),
            add(R3, -8),
            mov(R4, 0),
            call(FuncId::LOOP),
            load_at(LoadKind::U64, R1, R10, -8),
            alu(Width::W64, AluOp::Mul, R0, 1000),
            add(R0, R1),
            EXIT,
            load_at(LoadKind::U64, R3, R2, 0),
            add(R3, R1),
            store(Size::Dw, R2, 0, R3),
            mov(R0, 1),
            jump(Width::W64, Cond::Eq, R1, 6, 1),
            mov(R0, 0),
            EXIT,
        ]
    };
    xdp_returns(&sum(5), 5010);
    xdp_returns(&sum(50), 7021);
    xdp_returns(&sum(0), 0);
}

#[test]
fn elements_are_visited_with_their_keys() {
    // for each (map, key, value, p): value[0] = key + 1; then r0 = value of element 2
    let program = [
        &[map(R1, ARRAY), func(R2, 12), mov(R3, 0), mov(R4, 0), call(FuncId::FOR_EACH_MAP_ELEM)],
        &lookup(2)[..],
        &[load_at(LoadKind::U32, R0, R0, 0), EXIT],
        // The function is at slot 15.
        &[load_at(LoadKind::U32, R5, R2, 0), add(R5, 1), store(Size::W, R3, 0, R5), mov(R0, 0), EXIT],
    ]
    .concat();
    assert_eq!(common::slots(&program).len(), 20);
    xdp_returns(&program, 3);
    let mut kept = program;
    let at = kept.len() - 3;
    kept[at] = store(Size::W, R2, 0, R5);
    xdp_stops(&kept, 17, "no_right", "write of the key is not allowed");
}

#[test]
fn what_goes_wrong_in_a_callback_ends_the_run_there() {
    let with = |body: &[Insn]| {
        [&[mov(R1, 3), func(R2, 6), mov(R3, 0), mov(R4, 0), call(FuncId::LOOP), mov(R0, 0), EXIT][..], body]
            .concat()
    };
    xdp_stops(&with(&[mov(R0, R7), EXIT]), 8, "uninitialised", "r7 is read and holds nothing");
    let range = "the return value wants to be from 0 to 1, found 0x2";
    xdp_stops(&with(&[mov(R0, 2), EXIT]), 9, "bad_return", range);
    xdp_stops(&with(&[EXIT]), 8, "uninitialised", "r0 is read and holds nothing");
    let spin = [mov(R0, 0), Insn::Goto { off: -1 }, EXIT];
    xdp_stops(&with(&spin), 9, "fuel", "the fuel is spent");
    xdp_returns(&with(&[call(FuncId::GET_PRANDOM_U32), EXIT]), 77);
    // A callback that loops with itself as the callback, eight deep.
    let deep = with(&[mov(R1, 1), func(R2, -2), mov(R3, 0), mov(R4, 0), call(FuncId::LOOP), EXIT]);
    xdp_stops(&deep, 13, "call_depth", "more than 8 functions are active");
}

#[test]
fn what_a_helper_answers_is_checked_and_charged() {
    let message = "ktime_get_ns has answered what its prototype does not allow";
    xdp_stops(&[call(FuncId::KTIME_GET_NS), EXIT], 0, "bad_helper", message);
    xdp_stops(&[call(FuncId::JIFFIES64), EXIT], 0, "unknown_helper", "helper 118 is not known here");
    xdp_returns(&[call(FuncId::GET_PRANDOM_U32), mov(R0, 0), EXIT], 77);
    let charged = run_xdp(&[call(FuncId::GET_SMP_PROCESSOR_ID), EXIT]).0;
    assert_eq!((charged.result, charged.charged), (Ok(3), 2 + 1 + 500));
    let looked_up = run_xdp(&[&lookup(0)[..], &[EXIT]].concat()).0;
    assert_eq!(looked_up.charged, lookup(0).len() as u64 + 1 + 1 + 2, "a key of four bytes is charged two");
}

#[test]
fn helpers_without_prototype_are_refused_by_name() {
    for (id, name) in [
        (FuncId::SK_LOOKUP_TCP, "sk_lookup_tcp"),
        (FuncId::SPIN_LOCK, "spin_lock"),
        (FuncId::TIMER_START, "timer_start"),
    ] {
        let error = load_as(ProgType::XDP, &[mov(R0, 0), call(id), EXIT], 0).unwrap_err();
        assert_eq!(
            (error.at.0, error.kind),
            (1, LoadErrorKind::UnknownHelper { id: id.0, name: Some(name) })
        );
    }
    let error = load_as(ProgType::XDP, &[call(FuncId(9999)), EXIT], 0).unwrap_err();
    assert_eq!(error.kind, LoadErrorKind::UnknownHelper { id: 9999, name: None });
}

fn tail(index: i32) -> Vec<Insn> {
    vec![map(R2, PROGS), mov(R3, index), call(FuncId::TAIL_CALL)]
}

#[test]
fn a_tail_call_starts_afresh_and_does_not_come_back() {
    let target = load_as(ProgType::XDP, &[ctx(R2, DATA), load_at(LoadKind::U8, R0, R2, 0), EXIT], 1).unwrap();
    let nosy = load_as(ProgType::XDP, &[load_at(LoadKind::U64, R0, R10, -8), EXIT], 2).unwrap();
    let programs = [target, nosy];
    let caller = |index| [&[store(Size::Dw, R10, -8, 1)], &tail(index)[..], &[mov(R0, 5), EXIT]].concat();
    let run = |index| run_with(ProgType::XDP, &caller(index), &programs);
    assert_eq!((run(0).0.result, run(0).1), (Ok(32), vec!["runs 1".to_string()]));
    let fault = run(1).0.result.unwrap_err();
    assert_eq!((fault.kind.code(), fault.at.0, fault.program), ("uninitialised", 0, 2));
    assert_eq!(run(2).0.result, Ok(5), "an empty slot lets the caller go on");
    let nothing_left = [&tail(7)[..], &[EXIT]].concat();
    xdp_stops(&nothing_left, 4, "uninitialised", "r0 is read and holds nothing");
}

#[test]
fn thirty_three_tail_calls_may_follow_one_another() {
    // The array's first value counts the runs; the program calls itself.
    let count = [
        &[map_value(R6, ARRAY, 0), load_at(LoadKind::U64, R7, R6, 0), add(R7, 1), store(Size::Dw, R6, 0, R7)],
        &tail(0)[..],
        &[map_value(R6, ARRAY, 0), load_at(LoadKind::U64, R0, R6, 0), EXIT],
    ]
    .concat();
    let programs = [load_as(ProgType::XDP, &count, 1).unwrap()];
    assert_eq!(run_with(ProgType::XDP, &count, &programs).0.result, Ok(34));
}

#[test]
fn a_tail_call_in_a_function_returns_to_its_caller() {
    let programs = [load_as(ProgType::XDP, &[mov(R0, 7), EXIT], 1).unwrap()];
    let program =
        [&[mov(R6, 100), Insn::CallLocal { off: 2 }, add(R0, R6), EXIT], &tail(0)[..], &[mov(R0, 0), EXIT]]
            .concat();
    let (outcome, log) = run_with(ProgType::XDP, &program, &programs);
    assert_eq!((outcome.result, &log[..]), (Ok(107), &["runs 1".to_string(), "runs 0".to_string()][..]));
}

#[test]
fn a_record_may_not_be_open_at_a_tail_call() {
    let program =
        [&[mov(R7, R1)], &reserve()[..], &[mov(R1, R7)], &tail(0)[..], &[mov(R0, 0), EXIT]].concat();
    let message = "the record reserved from map 1 at instruction 5 is still open at the end";
    xdp_stops(&program, 14, "leaked_reference", message);
}

#[test]
fn some_types_return_within_a_range() {
    let returning = |value| run_with(ProgType::CGROUP_SKB, &[imm64(R0, value), EXIT], &[]).0.result;
    assert_eq!(returning(1), Ok(1));
    let fault = returning(7).unwrap_err();
    assert_eq!((fault.kind.code(), fault.at.0), ("bad_return", 2));
}
