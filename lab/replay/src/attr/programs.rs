//! Types, programs, and running them.

use super::input::Input;
use super::world::{Lend, Way, What, World, lend};
use skep_abi::{BtfLoad, Cmd, ProgLoad, ProgTestRun, ProgType, SkBuff, XdpMd};
use skep_isa::{ByteOrder, RawInsn};
use std::mem::offset_of;
use zerocopy::IntoBytes;

/// The types that run here, and one that does not.
pub(super) const TYPES: &[ProgType] = &[
    ProgType::XDP,
    ProgType::SCHED_CLS,
    ProgType::SOCKET_FILTER,
    ProgType::RAW_TRACEPOINT,
    ProgType::TRACEPOINT,
    ProgType::SCHED_ACT,
    ProgType::CGROUP_SKB,
    ProgType::KPROBE,
];

fn slot(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> [u8; 8] {
    RawInsn::new(code, dst, src, off, imm).to_bytes(ByteOrder::NATIVE)
}

/// `r0 = number; exit`.
pub(super) fn returning(number: i32) -> Vec<[u8; 8]> {
    vec![slot(0xb7, 0, 0, 0, number), slot(0x95, 0, 0, 0, 0)]
}

/// BTF of `int f(void)` and of a struct of two.
fn some_types() -> Vec<u8> {
    let types = [
        // A 32-bit signed integer called `int` (kind 1).
        [1, 1 << 24, 4, 1 << 24 | 32].as_slice(),
        // A function prototype that gives it (kind 13).
        &[0, 13 << 24, 1],
        // A global function `f` of that type (kind 12, linkage 1).
        &[5, 12 << 24 | 1, 2],
        // A struct (kind 4) of two integers, 8 bytes.
        &[7, 4 << 24 | 2, 8, 5, 1, 0, 5, 1, 32],
    ]
    .concat();
    let strings = b"\0int\0f\0s\0";
    let mut btf = [0xeb9f_u16.to_ne_bytes(), [1, 0]].concat();
    let type_len = types.len() as u32 * 4;
    for word in [24, 0, type_len, type_len, strings.len() as u32] {
        btf.extend_from_slice(&word.to_ne_bytes());
    }
    btf.extend(types.into_iter().flat_map(u32::to_ne_bytes));
    btf.extend_from_slice(strings);
    btf
}

/// A level and a buffer for the log, that go together.
fn log(input: &mut Input<'_>) -> (u32, Vec<u8>) {
    match input.byte() % 4 {
        0 => (0, Vec::new()),
        1 => (1, vec![0; 512]),
        2 => (1, vec![0; 8]),
        _ => (2, vec![0; usize::from(input.byte())]),
    }
}

pub(super) fn load_types(world: &mut World, input: &mut Input<'_>) {
    let btf = match input.byte() % 4 {
        0 => some_types(),
        1 => {
            let mut btf = some_types();
            let at = usize::from(input.byte()) % btf.len();
            btf[at] = input.byte();
            btf
        }
        _ => input.chunk(),
    };
    let (btf_log_level, log) = log(input);
    let attr = BtfLoad {
        btf_size: btf.len() as u32,
        btf_log_level,
        btf_log_size: log.len() as u32,
        ..BtfLoad::default()
    };
    let lends = vec![
        lend(offset_of!(BtfLoad, btf), Way::In, btf),
        lend(offset_of!(BtfLoad, btf_log_buf), Way::Out, log),
    ];
    let _ = world.command(input, Cmd::BTF_LOAD, &attr, lends);
}

/// Puts an address of a map into a register.
fn map(world: &mut World, input: &mut Input<'_>, register: u8) -> Vec<[u8; 8]> {
    // BPF_PSEUDO_MAP_FD, _VALUE, _IDX, _IDX_VALUE.
    let kind = input.pick(&[1, 1, 1, 1, 2, 5, 6, 0]);
    let number = if matches!(kind, 5 | 6) { 0 } else { world.fd(input, What::Map) };
    vec![slot(0x18, register, kind, 0, number), [0; 8]]
}

/// One step of a program.
fn step(world: &mut World, input: &mut Input<'_>) -> Vec<[u8; 8]> {
    let register = |input: &mut Input<'_>| input.byte() % 11;
    let small = |input: &mut Input<'_>| i32::from(input.byte() as i8);
    match input.byte() % 13 {
        // r6 = r1, before calls.
        0 => vec![slot(0xbf, 6, 1, 0, 0)],
        1 => vec![slot(0xb7, register(input), 0, 0, small(input))],
        // Any instruction.
        2 => vec![input.array()],
        3 => {
            let register = register(input);
            map(world, input, register)
        }
        // A call of a helper.
        4 => vec![slot(0x85, 0, 0, 0, input.number32() as i32)],
        // 64-bit arithmetic, by a number or a register.
        5 => vec![slot(input.byte() << 3 | 7, register(input), register(input), 0, small(input))],
        // A load from wherever a register leads.
        6 => {
            let size = input.pick(&[0x61, 0x69, 0x71, 0x79]);
            vec![slot(size, register(input), register(input), small(input) as i16, 0)]
        }
        // A store there.
        7 => {
            let size = input.pick(&[0x63, 0x6b, 0x73, 0x7b, 0x62, 0x6a, 0x72, 0x7a]);
            vec![slot(size, register(input), register(input), small(input) as i16, small(input))]
        }
        // A jump, on a condition or not.
        8 => vec![slot(input.byte() & 0xf0 | 5, register(input), register(input), small(input) as i16, 0)],
        // The address of the stack's end less something.
        9 => {
            let register = register(input);
            vec![slot(0xbf, register, 10, 0, 0), slot(0x07, register, 0, 0, -i32::from(input.byte()))]
        }
        // An element, by a key on the stack (bpf_map_lookup_elem and its like).
        10 => {
            let mut insns = vec![slot(0x62, 10, 0, -8, small(input)), slot(0x7a, 10, 0, -16, 7)];
            insns.extend(map(world, input, 1));
            insns.extend([slot(0xbf, 2, 10, 0, 0), slot(0x07, 2, 0, 0, -8)]);
            insns.extend([slot(0xbf, 3, 10, 0, 0), slot(0x07, 3, 0, 0, -16), slot(0xb7, 4, 0, 0, 0)]);
            insns.push(slot(0x85, 0, 0, 0, input.pick(&[1, 2, 3, 87, 88, 89, 195, 1])));
            insns
        }
        // A record for whoever reads a ring or an event (bpf_ringbuf_output, bpf_perf_event_output).
        11 => {
            let helper = input.pick(&[130, 25]);
            let mut insns = vec![slot(0x7a, 10, 0, -8, small(input)), slot(0xbf, 1, 6, 0, 0)];
            insns.extend(map(world, input, if helper == 25 { 2 } else { 1 }));
            let at = if helper == 25 { 4 } else { 2 };
            insns.extend([slot(0xbf, at, 10, 0, 0), slot(0x07, at, 0, 0, -8)]);
            insns.extend([slot(0xb7, at + 1, 0, 0, 8), slot(0xb7, if at == 4 { 3 } else { 4 }, 0, 0, 0)]);
            insns.push(slot(0x85, 0, 0, 0, helper));
            insns
        }
        // A tail call.
        _ => {
            let mut insns = vec![slot(0xbf, 1, 6, 0, 0)];
            insns.extend(map(world, input, 2));
            insns.extend([slot(0xb7, 3, 0, 0, small(input)), slot(0x85, 0, 0, 0, 12)]);
            insns
        }
    }
}

fn program(world: &mut World, input: &mut Input<'_>) -> Vec<[u8; 8]> {
    let steps = input.byte() % 16;
    let mut insns = vec![];
    for _ in 0..steps {
        insns.extend(step(world, input));
    }
    if input.byte() < 0xf8 {
        insns.extend(returning(i32::from(input.byte() as i8)));
    }
    insns
}

pub(super) fn load(world: &mut World, input: &mut Input<'_>) {
    let prog_type = input.pick(TYPES);
    let insns = program(world, input);
    let (log_level, log) = log(input);
    let mut attr = ProgLoad {
        prog_type: prog_type.0,
        insn_cnt: insns.len() as u32,
        log_level,
        log_size: log.len() as u32,
        ..ProgLoad::default()
    };
    let licence = input.pick(&[&b"GPL\0"[..], b"GPL\0", b"Dual BSD/GPL\0", b"MIT\0", b"GPL", &[b'x'; 200]]);
    let maps: Vec<u8> = (0..2).flat_map(|_| world.fd(input, What::Map).to_ne_bytes()).collect();
    let mut lends = vec![
        lend(offset_of!(ProgLoad, insns), Way::In, insns.concat()),
        lend(offset_of!(ProgLoad, license), Way::In, licence.to_vec()),
        lend(offset_of!(ProgLoad, log_buf), Way::Out, log),
        lend(offset_of!(ProgLoad, fd_array), Way::In, maps),
    ];
    match input.byte() % 8 {
        1 => attr.prog_name = input.array(),
        2 => attr.prog_type = input.number32(),
        3 => attr.expected_attach_type = input.number32(),
        4 => attr.prog_flags = input.number32(),
        5 => add_infos(world, input, &mut attr, &mut lends),
        6 => {
            attr.prog_btf_fd = world.fd(input, What::Btf) as u32;
            attr.func_info_cnt = input.number32();
            attr.func_info_rec_size = input.number32();
            let records = input.chunk();
            lends.push(lend(offset_of!(ProgLoad, func_info), Way::In, records));
        }
        _ => {}
    }
    let _ = world.command(input, Cmd::PROG_LOAD, &attr, lends);
}

/// Says of which type the program is, and on which lines.
fn add_infos(world: &mut World, input: &mut Input<'_>, attr: &mut ProgLoad, lends: &mut Vec<Lend>) {
    attr.prog_btf_fd = world.fd(input, What::Btf) as u32;
    (attr.func_info_cnt, attr.func_info_rec_size) = (1, input.usually(8) as u32);
    (attr.line_info_cnt, attr.line_info_rec_size) = (2, input.usually(16) as u32);
    let second = input.byte() % 8;
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<u8>>();
    let kind = input.usually(3) as u32;
    lends.push(lend(offset_of!(ProgLoad, func_info), Way::In, words(&[0, kind])));
    let lines = words(&[0, 1, 1, 1 << 10, second.into(), 5, 5, 2 << 10 | 1]);
    lends.push(lend(offset_of!(ProgLoad, line_info), Way::In, lines));
}

pub(super) fn test_run(world: &mut World, input: &mut Input<'_>) {
    let prog_fd = world.fd(input, What::Prog) as u32;
    let mut attr = ProgTestRun { prog_fd, ..ProgTestRun::default() };
    let mut lends = Vec::new();
    // A packet; else arguments only.
    if input.byte() % 4 != 3 {
        let data = match input.byte() {
            short @ 0..0xe0 => input.datum(14 + usize::from(short)),
            _ => input.chunk(),
        };
        attr.repeat = input.byte().into();
        attr.data_size_in = data.len() as u32;
        attr.data_size_out = data.len() as u32;
        let room = input.usually(data.len() as u64 + 256).min(4096);
        if room < data.len() as u64 {
            attr.data_size_out = room as u32;
        }
        lends.push(lend(offset_of!(ProgTestRun, data_out), Way::Out, vec![0; room as usize]));
        lends.push(lend(offset_of!(ProgTestRun, data_in), Way::In, data));
    }
    let context = match input.byte() % 6 {
        0 => Vec::new(),
        1 => {
            let data = u32::from(input.byte() % 40);
            XdpMd { data, data_end: attr.data_size_in, ..XdpMd::default() }.as_bytes().to_vec()
        }
        2 => SkBuff { mark: input.number32(), ..SkBuff::default() }.as_bytes().to_vec(),
        3 => {
            let mut skb = SkBuff::default().as_bytes().to_vec();
            let at = usize::from(input.byte()) % skb.len();
            skb[at] = input.byte();
            skb
        }
        4 => input.datum(16),
        _ => input.chunk(),
    };
    if !context.is_empty() {
        attr.ctx_size_in = context.len() as u32;
        if input.byte() % 2 == 1 {
            attr.ctx_size_out = context.len() as u32;
            lends.push(lend(offset_of!(ProgTestRun, ctx_out), Way::Out, vec![0; context.len()]));
        }
        lends.push(lend(offset_of!(ProgTestRun, ctx_in), Way::InOut, context));
    }
    let _ = world.command(input, Cmd::PROG_TEST_RUN, &attr, lends);
}
