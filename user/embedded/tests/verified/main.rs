//! What is verified and runs without checks comes to what it comes to on the reference machine: results, packets, contexts, maps, messages.

mod tail_calls;

use skep_abi::{MapCreate, MapType, ProgLoad, ProgTestRun, ProgType, SkBuff, XdpMd};
use skep_embedded::{Config, Embedded, Engine, Time};
use skep_isa::{ByteOrder, text::assemble};
use skep_sys::{Kernel, MapFd, ProgFd, ProgLoadMemory, TestRunMemory};
use std::num::NonZeroU32;
use zerocopy::IntoBytes;

/// What a run of a program has come to.
#[derive(Debug, PartialEq)]
struct Came {
    returned: Vec<String>,
    packet: Vec<u8>,
    context: Vec<u8>,
    maps: Vec<Vec<u8>>,
    printed: Vec<String>,
}

/// A map of a program's: its kind, the bytes of keys and values, how many there are.
type Map = (MapType, u32, u32, u32);

/// A program with its maps, and what it is run on.
struct Program<'p> {
    kind: ProgType,
    maps: &'p [Map],
    /// `{N}` stands for the descriptor of a map, or of a program that was loaded before.
    text: &'p str,
    context: &'p [u8],
    runs: u32,
}

const XDP: Program<'static> = Program { kind: ProgType::XDP, maps: &[], text: "", context: &[], runs: 1 };
const TC: Program<'static> = Program { kind: ProgType::SCHED_CLS, ..XDP };

const PACKET: [u8; 64] = {
    let mut packet = [0; 64];
    let mut at = 0;
    while at < 64 {
        packet[at] = (at * 7 + 1) as u8;
        at += 1;
    }
    packet
};

fn load(kernel: &Kernel, kind: ProgType, text: &str, fds: &[i32]) -> ProgFd {
    let text = fds
        .iter()
        .enumerate()
        .fold(text.to_owned(), |text, (number, fd)| text.replace(&format!("{{{number}}}"), &fd.to_string()));
    let program = assemble(&text, &()).unwrap_or_else(|error| panic!("{text}: {error}"));
    let insns: Vec<u8> = program.slots().iter().flat_map(|slot| slot.to_bytes(ByteOrder::NATIVE)).collect();
    let mut log = vec![0; 1 << 16];
    let mut load = ProgLoad { prog_type: kind.0, log_level: 1, ..ProgLoad::default() };
    let memory = ProgLoadMemory { insns: &insns, license: "GPL", log: &mut log, ..ProgLoadMemory::default() };
    let loaded = kernel.prog_load(&mut load, memory);
    loaded.unwrap_or_else(|error| panic!("{text}\n{error}\n{}", String::from_utf8_lossy(&log)))
}

/// Runs a program on an engine; `before` are programs that its map of number zero leads to, by index.
fn run(program: &Program<'_>, before: &[(u32, &Program<'_>)], engine: Engine) -> Came {
    let cpus = NonZeroU32::new(2).unwrap();
    let config = Config::new().seed(3).time(Time::Fixed(1_000_000)).cpus(cpus).engine(engine);
    let embedded = Embedded::new(config).unwrap();
    let kernel = Kernel::from_sys(embedded.clone());
    let create = |&(map_type, key_size, value_size, max_entries): &Map| {
        let create =
            MapCreate { map_type: map_type.0, key_size, value_size, max_entries, ..MapCreate::default() };
        kernel.map_create(&create).unwrap()
    };
    let maps: Vec<MapFd> = program.maps.iter().map(create).collect();
    let fds: Vec<i32> = maps.iter().map(|map| map.fd().raw() as i32).collect();
    let others: Vec<(u32, ProgFd)> =
        before.iter().map(|(index, other)| (*index, load(&kernel, other.kind, other.text, &fds))).collect();
    for (index, other) in &others {
        maps[0].update(&index.to_ne_bytes(), &other.handle().fd().raw().to_ne_bytes(), 0).unwrap();
    }
    let prog = load(&kernel, program.kind, program.text, &fds);
    let id = prog.info().unwrap().id;
    assert_eq!(embedded.engine_of(id), Ok(engine), "{}", program.text);
    let (mut packet, mut context) = (vec![0; 128], vec![0; program.context.len()]);
    let mut returned = Vec::new();
    for _ in 0..program.runs {
        let mut attr = ProgTestRun::default();
        let mut given = program.context.to_vec();
        let memory = match program.kind {
            ProgType::RAW_TRACEPOINT => TestRunMemory { ctx_in: &mut given, ..TestRunMemory::default() },
            _ => TestRunMemory {
                data_in: &PACKET,
                data_out: &mut packet,
                ctx_in: &mut given,
                ctx_out: &mut context,
            },
        };
        let ran = prog.test_run(&mut attr, memory);
        returned.push(format!("{ran:?} {:#x} {}", attr.retval, attr.data_size_out));
    }
    let contents = |(map, &(kind, key_size, value_size, most)): (&MapFd, &Map)| {
        if key_size != 4 || kind == MapType::PROG_ARRAY {
            return Vec::new();
        }
        let lanes = if kind == MapType::PERCPU_ARRAY { 2 } else { 1 };
        let mut all = Vec::new();
        for index in 0..most {
            let mut value = vec![0; value_size.next_multiple_of(8) as usize * lanes];
            let value = if lanes == 1 { &mut value[..value_size as usize] } else { &mut value[..] };
            let found = map.lookup(&index.to_ne_bytes(), value, 0).is_ok();
            all.push(u8::from(found));
            all.extend_from_slice(value);
        }
        all
    };
    let maps = maps.iter().zip(program.maps).map(contents).collect();
    let printed = std::iter::from_fn(|| embedded.take_trace()).collect();
    assert!(embedded.faults().is_empty(), "{:?}", embedded.faults());
    Came { returned, packet, context, maps, printed }
}

/// The engines that run verified programs here.
fn engines() -> Vec<Engine> {
    match cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        true => vec![Engine::Interpreter, Engine::Jit],
        false => vec![Engine::Interpreter],
    }
}

/// Compares, and gives what it came to.
fn agree_with(program: &Program<'_>, before: &[(u32, &Program<'_>)]) -> Came {
    let exact = run(program, before, Engine::Exact);
    for engine in engines() {
        assert_eq!(run(program, before, engine), exact, "{engine}: {}", program.text);
    }
    exact
}

fn agree(program: &Program<'_>) -> Came {
    agree_with(program, &[])
}

#[test]
fn xdp_moves_the_ends_of_its_packet() {
    let md = XdpMd { data: 4, data_end: 64, rx_queue_index: 3, ..XdpMd::default() };
    let text = "
        r6 = r1
        r7 = *(u32 *)(r6 + 16)        ; rx_queue_index
        r8 = *(u32 *)(r6 + 12)        ; ingress_ifindex
        r2 = -8
        call 54                       ; adjust_meta
        if r0 != 0 goto bad
        r1 = r6
        r2 = -16
        call 44                       ; adjust_head
        if r0 != 0 goto bad
        r1 = r6
        r2 = 10
        call 65                       ; adjust_tail
        if r0 != 0 goto bad
        r1 = *(u32 *)(r6 + 0)
        r2 = *(u32 *)(r6 + 4)
        r3 = *(u32 *)(r6 + 8)
        r4 = r3
        r4 += 8
        if r4 > r1 goto bad
        *(u64 *)(r3 + 0) = 0x77
        r4 = r1
        r4 += 86
        if r4 > r2 goto bad
        *(u32 *)(r1 + 0) = 0x1234
        r0 = *(u8 *)(r1 + 85)
        r5 = *(u16 *)(r1 + 20)
        r0 += r5
        r0 += r7
        r0 += r8
        exit
        bad: r0 = 0
        exit";
    // Returns of XDP programs may be anything.
    let came = agree(&Program { text, context: md.as_bytes(), ..XDP });
    assert!(!came.returned[0].contains(" 0x0 "), "{came:?}");
}

#[test]
fn tc_loads_and_stores_the_fields_of_its_buffer() {
    let md =
        SkBuff { mark: 0x0102_0304, priority: 9, cb: [1, 2, 3, 4, 5], wire_len: 80, ..SkBuff::default() };
    let text = "
        r6 = r1
        r7 = *(u32 *)(r6 + 0)         ; len
        r8 = *(u8 *)(r6 + 9)          ; a byte of the mark
        r9 = *(u16 *)(r6 + 16)        ; protocol
        r7 += r8
        r7 += r9
        r8 = *(u32 *)(r6 + 160)       ; wire_len
        r7 += r8
        r8 = *(u8 *)(r6 + 49)         ; a byte of cb
        r7 += r8
        *(u8 *)(r6 + 53) = 7          ; another
        *(u64 *)(r6 + 56) = 0x99
        *(u32 *)(r6 + 8) = 0x55
        r8 = 3
        *(u32 *)(r6 + 32) = r8        ; priority
        *(u64 *)(r6 + 152) = 1234     ; tstamp
        r8 = *(u32 *)(r6 + 8)
        r7 += r8
        r8 = *(u32 *)(r6 + 52)
        r7 += r8
        r8 = *(u64 *)(r6 + 152)
        r7 += r8
        *(u32 *)(r10 - 8) = 0x41424344
        r1 = r6
        r2 = 2
        r3 = r10
        r3 += -8
        r4 = 4
        r5 = 0
        call 9                        ; skb_store_bytes
        r7 += r0
        r1 = *(u32 *)(r6 + 76)
        r2 = *(u32 *)(r6 + 80)
        r3 = r1
        r3 += 14
        if r3 > r2 goto bad
        r8 = *(u16 *)(r1 + 3)
        r7 += r8
        *(u8 *)(r1 + 13) = 0xee
        r0 = r7
        exit
        bad: r0 = -1
        exit";
    let came = agree(&Program { text, context: md.as_bytes(), runs: 3, ..TC });
    assert!(came.packet[2..6] == *b"DCBA", "{came:?}");
}

#[test]
fn sockets_load_from_packets_as_of_old() {
    let text = "
        r6 = r1
        r7 = 0
        r0 = *(u16 *)skb[2]
        r7 += r0
        r8 = 5
        r0 = *(u32 *)skb[r8 + 1]
        r7 += r0
        r0 = *(u8 *)skb[49]
        r7 += r0
        r0 = *(u32 *)skb[48]          ; the packet ends before
        r0 = r7
        exit";
    let came = agree(&Program { kind: ProgType::SOCKET_FILTER, text, ..XDP });
    assert!(came.returned[0].contains(" 0x0 "), "{came:?}");
    agree(&Program { kind: ProgType::SOCKET_FILTER, text: &text.replace("skb[48]", "skb[44]"), ..XDP });
}

#[test]
fn arguments_of_tracepoints_are_memory() {
    let text = "
        r0 = *(u64 *)(r1 + 0)
        r2 = *(u32 *)(r1 + 12)
        r3 = *(u8 *)(r1 + 17)
        r0 += r2
        r0 += r3
        exit";
    let context: Vec<u8> = (1..=24).collect();
    agree(&Program { kind: ProgType::RAW_TRACEPOINT, text, context: &context, ..XDP });
}

#[test]
fn maps_are_looked_up_changed_and_walked() {
    let maps = [
        (MapType::HASH, 4, 16, 8),
        (MapType::ARRAY, 4, 20, 3),
        (MapType::PERCPU_ARRAY, 4, 8, 2),
        (MapType::QUEUE, 0, 8, 4),
    ];
    let text = "
        r6 = 0
        *(u32 *)(r10 - 4) = 1
        *(u64 *)(r10 - 24) = 11
        *(u64 *)(r10 - 16) = 12
        r1 = map[fd:{0}] ll
        r2 = r10
        r2 += -4
        r3 = r10
        r3 += -24
        r4 = 0
        call 2
        r6 += r0
        r1 = map[fd:{0}] ll
        r2 = r10
        r2 += -4
        call 1
        if r0 == 0 goto bad
        r1 = 5
        lock *(u64 *)(r0 + 8) += r1
        r7 = *(u64 *)(r0 + 8)
        r6 += r7
        r1 = map[fd:{1}] ll
        r2 = r10
        r2 += -4
        call 1
        if r0 == 0 goto bad
        r1 = *(u32 *)(r0 + 8)
        r1 += 3
        *(u32 *)(r0 + 8) = r1
        *(u32 *)(r10 - 4) = 7         ; beyond the end
        r1 = map[fd:{1}] ll
        r2 = r10
        r2 += -4
        call 1
        if r0 != 0 goto bad
        *(u32 *)(r10 - 4) = 0
        r1 = map[fd:{2}] ll
        r2 = r10
        r2 += -4
        call 1
        if r0 == 0 goto bad
        r1 = *(u64 *)(r0 + 0)
        r1 += 1
        *(u64 *)(r0 + 0) = r1
        r1 = map[fd:{3}] ll
        r2 = r10
        r2 += -16
        r3 = 0
        call 87                       ; push
        r1 = map[fd:{3}] ll
        r2 = r10
        r2 += -24
        call 88                       ; pop
        r7 = *(u64 *)(r10 - 24)
        r6 += r7
        *(u64 *)(r10 - 32) = 0
        r1 = map[fd:{0}] ll
        r2 = subprog[each] ll
        r3 = r10
        r3 += -32
        r4 = 0
        call 164
        r6 += r0
        r7 = *(u64 *)(r10 - 32)
        r6 += r7
        r1 = map[fd:{0}] ll
        r2 = r10
        r2 += -4
        call 3                        ; not there
        r0 = r6
        exit
        bad: r0 = 0
        exit
        each:
        r1 = *(u32 *)(r2 + 0)
        r3 = *(u64 *)(r3 + 8)
        r1 += r3
        r2 = *(u64 *)(r4 + 0)
        r2 += r1
        *(u64 *)(r4 + 0) = r2
        r0 = 0
        exit";
    // r3 and r4 of the function are the value and what was passed.
    let came = agree(&Program { maps: &maps, text, runs: 4, ..TC });
    assert!(!came.returned[0].contains(" 0x0 "), "{came:?}");
}

#[test]
fn maps_that_are_chosen_are_looked_up_as_those_that_are_known() {
    let maps = [(MapType::ARRAY, 4, 8, 2), (MapType::ARRAY, 4, 16, 1), (MapType::ARRAY, 4, 1, 5)];
    let text = "
        r6 = *(u32 *)(r1 + 0)
        r7 = 3                        ; a number that decides
        *(u32 *)(r10 - 4) = 0
        r2 = r10
        r2 += -4
        r1 = map[fd:{0}] ll
        if r6 > 60 goto other
        r1 = map[fd:{1}] ll
        other:
        call 1                        ; on one map or the other
        if r0 == 0 goto out
        r1 = *(u64 *)(r0 + 0)
        r1 += 5
        *(u64 *)(r0 + 0) = r1
        if r7 == 3 goto on            ; never goes on here
        r0 = 0
        exit
        on:
        *(u32 *)(r10 - 4) = 4
        r2 = r10
        r2 += -4
        r1 = map[fd:{2}] ll
        call 1
        if r0 == 0 goto out
        *(u8 *)(r0 + 0) = 9
        r0 = r6
        out: exit";
    let came = agree(&Program { maps: &maps, text, runs: 3, ..TC });
    assert_eq!(came.maps[0][1], 15, "{came:?}");
    assert_eq!(came.maps[2].last(), Some(&9), "{came:?}");
}

#[test]
fn keys_on_the_stack_are_what_they_are_at_the_call() {
    let maps = [(MapType::ARRAY, 4, 8, 5), (MapType::ARRAY, 4, 24, 4)];
    let text = "
        r6 = *(u32 *)(r1 + 0)
        r6 &= 3                       ; 0, which nobody knows
        r7 = 0
        *(u32 *)(r10 - 4) = 0x102
        r2 = r10
        r2 += -4
        *(u8 *)(r10 - 3) = 0          ; changed meanwhile
        r1 = map[fd:{0}] ll
        call 1
        if r0 == 0 goto bad
        *(u64 *)(r0 + 0) = 1
        *(u32 *)(r10 - 8) = 3
        r2 = r10
        r2 += -8
        r1 = map[fd:{1}] ll
        call 1
        if r0 == 0 goto bad
        *(u64 *)(r0 + 16) = 2
        *(u32 *)(r10 - 12) = 5        ; beyond the end
        r2 = r10
        r2 += -12
        r1 = map[fd:{0}] ll
        call 1
        if r0 != 0 goto bad
        r1 = 4
        *(u32 *)(r10 - 12) = r1
        if r6 == 0 goto on            ; one of two
        *(u32 *)(r10 - 12) = 1
        on:
        r2 = r10
        r2 += -12
        r1 = map[fd:{0}] ll
        call 1
        if r0 == 0 goto bad
        *(u64 *)(r0 + 0) = 3
        r2 = r10
        r2 += -16
        *(u32 *)(r10 - 16) = r6
        r1 = map[fd:{1}] ll
        call 1
        if r0 == 0 goto bad
        *(u64 *)(r0 + 8) = 4
        r0 = *(u32 *)(r10 - 12)
        exit
        bad: r0 = -1
        exit";
    let came = agree(&Program { maps: &maps, text, ..TC });
    assert!(came.returned[0].contains(" 0x4 "), "{came:?}");
    let found: Vec<_> = came.maps[0].chunks(9).map(|value| value[1]).collect();
    assert_eq!(found, [0, 0, 1, 0, 3]);
}

#[test]
fn each_cpu_s_values_are_found_by_their_index() {
    let maps = [(MapType::PERCPU_ARRAY, 4, 12, 3)];
    let text = "
        r6 = *(u32 *)(r1 + 0)
        r6 &= 3                       ; 0, which nobody knows
        again:
        *(u32 *)(r10 - 4) = r6
        r2 = r10
        r2 += -4
        r1 = map[fd:{0}] ll
        call 1
        if r0 == 0 goto out
        r6 += 1
        *(u32 *)(r0 + 8) = r6
        if r6 < 5 goto again
        out: r0 = r6
        exit";
    let came = agree(&Program { maps: &maps, text, ..TC });
    assert!(came.returned[0].contains(" 0x3 "), "{came:?}");
}

#[test]
fn functions_are_called_back_and_find_zeroes_in_their_stacks() {
    let text = "
        *(u64 *)(r10 - 8) = 0
        r1 = 10
        r2 = subprog[turn] ll
        r3 = r10
        r3 += -8
        r4 = 0
        call 181                      ; loop
        r6 = *(u64 *)(r10 - 8)
        r1 = r6
        call f
        r6 += r0
        r0 = *(u64 *)(r10 - 24)       ; never written
        r0 += r6
        exit
        f:
        r2 = r10
        r2 += -16
        r0 = *(u64 *)(r2 + 0)         ; never written in this call
        *(u64 *)(r2 + 0) = r1
        r0 += r1
        exit
        turn:
        r3 = *(u64 *)(r2 + 0)
        r3 += r1
        *(u64 *)(r2 + 0) = r3
        r4 = r10
        r4 += -16
        r5 = *(u64 *)(r4 + 0)
        *(u64 *)(r4 + 0) = r3
        r0 = 0
        if r1 != 7 goto out
        r0 = 1
        out: exit";
    let came = agree(&Program { text, runs: 2, ..TC });
    assert!(came.returned[0].contains(" 0x38 "), "{came:?}");
}

#[test]
fn records_of_rings_are_submitted_and_discarded() {
    let maps = [(MapType::RINGBUF, 0, 0, 4096)];
    let text = "
        r6 = 0
        r7 = 0
        r1 = map[fd:{0}] ll
        r2 = 16
        r3 = 0
        call 131
        if r0 == 0 goto out
        r7 = r0
        *(u64 *)(r7 + 0) = 5
        r1 = map[fd:{0}] ll
        r2 = 24
        r3 = 0
        call 131
        if r0 == 0 goto one
        r8 = r0
        *(u64 *)(r8 + 16) = 6
        r6 = *(u64 *)(r8 + 16)
        r9 = *(u64 *)(r7 + 0)
        r6 += r9
        r1 = r8
        r2 = 0
        call 133
        one:
        r1 = r7
        r2 = 0
        call 132
        *(u64 *)(r10 - 8) = 9
        r1 = map[fd:{0}] ll
        r2 = r10
        r2 += -8
        r3 = 8
        r4 = 0
        call 130
        r6 += r0
        r1 = map[fd:{0}] ll
        r2 = 3                        ; the producer's position
        call 134
        r6 += r0
        out: r0 = r6
        exit";
    let came = agree(&Program { maps: &maps, text, runs: 100, ..TC });
    assert_ne!(came.returned[0], came.returned[99], "the ring is full at last");
}

#[test]
fn what_is_printed_is_the_same() {
    let text = "
        r1 = 0x0a6425207325 ll
        *(u64 *)(r10 - 16) = r1       ; %s %d
        r1 = 0x6f6c6c6568 ll
        *(u64 *)(r10 - 8) = r1        ; hello
        r1 = r10
        r1 += -16
        r2 = 7
        r3 = r10
        r3 += -8
        r4 = 42
        call 6
        r6 = r0
        r1 = r10
        r1 += -24
        r2 = 8
        r3 = r10
        r3 += -8
        call 113                      ; probe_read_kernel of its own stack
        r0 = *(u64 *)(r10 - 24)
        r0 += r6
        exit";
    let came = agree(&Program { text, ..TC });
    assert_eq!(came.printed, ["hello 42\n"]);
}

#[test]
fn what_is_not_verified_or_not_wanted_stays_on_the_reference_machine() {
    let embedded = Embedded::new(Config::new()).unwrap();
    let kernel = Kernel::from_sys(embedded.clone());
    let engine = |text: &str, fds: &[i32]| {
        let prog = load(&kernel, ProgType::SCHED_CLS, text, fds);
        embedded.engine_of(prog.info().unwrap().id).unwrap()
    };
    let compiled = *engines().last().unwrap();
    assert_eq!(engine("r0 = 0\nexit", &[]), compiled);
    // Linux maps the number to one of its own.
    assert_eq!(engine("*(u32 *)(r1 + 12) = 1\nr0 = 0\nexit", &[]), Engine::Exact);
    let array = MapCreate {
        map_type: MapType::PROG_ARRAY.0,
        key_size: 4,
        value_size: 4,
        max_entries: 1,
        ..MapCreate::default()
    };
    let array = kernel.map_create(&array).unwrap();
    let fds = [array.fd().raw() as i32];
    let inner = "call f\nr0 = 0\nexit\nf: r2 = map[fd:{0}] ll\nr3 = 0\ncall 12\nr0 = 0\nexit";
    assert_eq!(engine(inner, &fds), Engine::Exact, "a function makes way alone");
    assert_eq!(embedded.engine_of(9999), Err(skep_abi::Errno::ENOENT));
    let structured = Embedded::new(Config::new().admit(skep_embedded::Admit::Structured)).unwrap();
    let kernel = Kernel::from_sys(structured.clone());
    let prog = load(&kernel, ProgType::XDP, "r0 = 0\nexit", &[]);
    assert_eq!(structured.engine_of(prog.info().unwrap().id), Ok(Engine::Exact));
}
