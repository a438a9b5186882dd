//! Maps and their elements.

use super::input::Input;
use super::world::{Lend, Way, What, World, lend};
use skep_abi::flags::{
    BPF_ANY, BPF_EXIST, BPF_F_INNER_MAP, BPF_F_MMAPABLE, BPF_F_NO_COMMON_LRU, BPF_F_NO_PREALLOC,
    BPF_F_RDONLY, BPF_F_RDONLY_PROG, BPF_F_WRONLY, BPF_F_WRONLY_PROG, BPF_F_ZERO_SEED, BPF_NOEXIST,
};
use skep_abi::{Cmd, MapBatch, MapCreate, MapElem, MapFreeze, MapNextKey, MapType};
use std::mem::offset_of;

/// Kinds with sizes and flags that suit them, and one that is none.
const KINDS: &[(MapType, [u32; 3], u32)] = &[
    (MapType::ARRAY, [4, 8, 4], 0),
    (MapType::HASH, [4, 8, 4], 0),
    (MapType::PERCPU_ARRAY, [4, 8, 4], 0),
    (MapType::PERCPU_HASH, [4, 12, 4], 0),
    (MapType::LRU_HASH, [4, 8, 4], 0),
    (MapType::LRU_PERCPU_HASH, [4, 8, 4], 0),
    (MapType::PROG_ARRAY, [4, 4, 4], 0),
    (MapType::PERF_EVENT_ARRAY, [4, 4, 2], 0),
    (MapType::QUEUE, [0, 8, 4], 0),
    (MapType::STACK, [0, 8, 4], 0),
    (MapType::RINGBUF, [0, 0, 4096], 0),
    (MapType::LPM_TRIE, [8, 8, 4], BPF_F_NO_PREALLOC),
    (MapType::BLOOM_FILTER, [0, 8, 16], 0),
    (MapType::HASH, [4, 8, 4], BPF_F_NO_PREALLOC),
    (MapType::ARRAY, [4, 16, 4], BPF_F_MMAPABLE),
    (MapType(99), [4, 8, 4], 0),
];

const FLAGS: [u32; 16] = [
    0,
    0,
    0,
    0,
    0,
    0,
    BPF_F_NO_PREALLOC,
    BPF_F_MMAPABLE,
    BPF_F_RDONLY,
    BPF_F_WRONLY,
    BPF_F_RDONLY_PROG,
    BPF_F_WRONLY_PROG,
    BPF_F_ZERO_SEED,
    BPF_F_NO_COMMON_LRU,
    BPF_F_INNER_MAP,
    BPF_F_RDONLY | BPF_F_WRONLY,
];

pub(super) fn create(world: &mut World, input: &mut Input<'_>) {
    let (map_type, [key_size, value_size, max_entries], map_flags) = input.pick(KINDS);
    let mut attr = MapCreate {
        map_type: map_type.0,
        key_size,
        value_size,
        max_entries,
        map_flags: map_flags | input.pick(&FLAGS),
        ..MapCreate::default()
    };
    match input.byte() % 8 {
        1 => attr.key_size = input.number32(),
        2 => attr.value_size = input.number32(),
        3 => attr.max_entries = input.number32(),
        4 => attr.map_flags = input.number32(),
        5 => attr.map_extra = input.number(),
        6 => attr.map_name = input.array(),
        7 => {
            attr.btf_fd = world.fd(input, What::Btf) as u32;
            attr.btf_key_type_id = input.number32();
            attr.btf_value_type_id = input.number32();
        }
        _ => {}
    }
    let _ = world.command(input, Cmd::MAP_CREATE, &attr, Vec::new());
}

/// Makes a value; those of maps of programs and events are descriptors.
fn value(world: &mut World, input: &mut Input<'_>, kind: MapType, size: usize) -> Vec<u8> {
    let what = match kind {
        MapType::PROG_ARRAY => What::Prog,
        MapType::PERF_EVENT_ARRAY => What::Event,
        _ => return input.datum(size),
    };
    let mut bytes = world.fd(input, what).to_ne_bytes().to_vec();
    bytes.resize(size, 0);
    bytes
}

pub(super) fn element(world: &mut World, input: &mut Input<'_>) {
    const COMMANDS: &[Cmd] = &[
        Cmd::MAP_UPDATE_ELEM,
        Cmd::MAP_LOOKUP_ELEM,
        Cmd::MAP_DELETE_ELEM,
        Cmd::MAP_GET_NEXT_KEY,
        Cmd::MAP_LOOKUP_AND_DELETE_ELEM,
        Cmd::MAP_FREEZE,
    ];
    let cmd = input.pick(COMMANDS);
    let fd = world.fd(input, What::Map);
    let (key_size, value_size, kind) = world.shape(fd);
    let map_fd = fd as u32;
    match cmd {
        Cmd::MAP_FREEZE => {
            let _ = world.command(input, cmd, &MapFreeze { map_fd }, Vec::new());
        }
        Cmd::MAP_GET_NEXT_KEY => {
            let attr = MapNextKey { map_fd, ..MapNextKey::default() };
            let mut lends = vec![lend(offset_of!(MapNextKey, next_key), Way::Out, vec![0; key_size])];
            if input.byte() < 0xc0 {
                lends.push(lend(offset_of!(MapNextKey, key), Way::In, input.datum(key_size)));
            }
            let _ = world.command(input, cmd, &attr, lends);
        }
        _ => {
            let flags = input.pick(&[BPF_ANY, BPF_NOEXIST, BPF_EXIST, 0, 0, 0, 4, 8]);
            let attr = MapElem { map_fd, flags, ..MapElem::default() };
            let mut lends = vec![lend(offset_of!(MapElem, key), Way::In, input.datum(key_size))];
            match cmd {
                Cmd::MAP_UPDATE_ELEM => {
                    let value = value(world, input, kind, value_size);
                    lends.push(lend(offset_of!(MapElem, value), Way::In, value));
                }
                Cmd::MAP_DELETE_ELEM => {}
                _ => lends.push(lend(offset_of!(MapElem, value), Way::InOut, input.datum(value_size))),
            }
            let _ = world.command(input, cmd, &attr, lends);
        }
    }
}

pub(super) fn batch(world: &mut World, input: &mut Input<'_>) {
    const COMMANDS: &[Cmd] = &[
        Cmd::MAP_UPDATE_BATCH,
        Cmd::MAP_LOOKUP_BATCH,
        Cmd::MAP_DELETE_BATCH,
        Cmd::MAP_LOOKUP_AND_DELETE_BATCH,
    ];
    let cmd = input.pick(COMMANDS);
    let fd = world.fd(input, What::Map);
    let (key_size, value_size, _) = world.shape(fd);
    let count = input.byte() % 8;
    let flags = input.usually(0);
    let attr = MapBatch {
        map_fd: fd as u32,
        count: input.usually(count.into()) as u32,
        elem_flags: flags,
        ..MapBatch::default()
    };
    let many = |size: usize| size.min(256) * usize::from(count);
    let mut lends: Vec<Lend> = Vec::new();
    match cmd {
        Cmd::MAP_UPDATE_BATCH | Cmd::MAP_DELETE_BATCH => {
            // Keys that count up, so that a batch goes on.
            let keys = (0..count).flat_map(|key| {
                let mut bytes = vec![0; key_size.min(256)];
                if let Some(byte) = bytes.first_mut() {
                    *byte = key;
                }
                bytes
            });
            lends.push(lend(offset_of!(MapBatch, keys), Way::In, keys.collect()));
            lends.push(lend(offset_of!(MapBatch, values), Way::In, input.datum(many(value_size))));
        }
        _ => {
            let cursor = key_size.max(4);
            lends.push(lend(offset_of!(MapBatch, out_batch), Way::Out, vec![0; cursor]));
            lends.push(lend(offset_of!(MapBatch, keys), Way::Out, vec![0; many(key_size)]));
            lends.push(lend(offset_of!(MapBatch, values), Way::Out, vec![0; many(value_size)]));
            if input.byte() % 2 == 1 {
                lends.push(lend(offset_of!(MapBatch, in_batch), Way::In, input.datum(cursor)));
            }
        }
    }
    let _ = world.command(input, cmd, &attr, lends);
}
