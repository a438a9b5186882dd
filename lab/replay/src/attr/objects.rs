//! Pins, numbers, what objects say of themselves; and commands of any bytes.

use super::input::Input;
use super::world::{Lend, Way, What, World, lend, lend_inside};
use skep_abi::flags::{BPF_F_RDONLY, BPF_F_WRONLY};
use skep_abi::{BtfInfo, Cmd, GetId, InfoByFd, LAYOUTS, LinkInfo, MapInfo, ObjPath, ProgInfo};
use std::mem::offset_of;
use zerocopy::IntoBytes;

/// Paths, good and bad.
pub(super) const PATHS: &[&str] = &[
    "/sys/fs/bpf/a",
    "/sys/fs/bpf/b",
    "/sys/fs/bpf/dir/a",
    "/sys/fs/bpf/dir",
    "/sys/fs/bpf",
    "/sys/fs/bpf/a/b",
    "/sys/fs/bpf/a.b",
    "/sys/fs/bpf/../bpf/./a/",
    "/proc/sys/kernel/osrelease",
    "/sys/class/net/eth0/ifindex",
    "/sys/kernel/tracing/events/lab/enter/id",
    "/sys/kernel/tracing/events",
    "/nowhere/at/all",
    "",
    "/",
    "..",
];

pub(super) fn pins(world: &mut World, input: &mut Input<'_>) {
    let cmd = input.pick(&[Cmd::OBJ_PIN, Cmd::OBJ_GET]);
    let mut attr = ObjPath { path_fd: input.usually(0) as i32, ..ObjPath::default() };
    if cmd == Cmd::OBJ_PIN {
        let what = input.pick(&[What::Map, What::Prog, What::Link, What::Btf, What::Event, What::File]);
        attr.bpf_fd = world.fd(input, what) as u32;
        attr.file_flags = input.usually(0) as u32;
    } else {
        attr.file_flags = input.pick(&[0, 0, 0, BPF_F_RDONLY, BPF_F_WRONLY, 1]);
    }
    let path = match input.byte() {
        0xf0.. => input.chunk(),
        known => [PATHS[usize::from(known) % PATHS.len()].as_bytes(), b"\0"].concat(),
    };
    let lends = vec![lend(offset_of!(ObjPath, pathname), Way::In, path)];
    let _ = world.command(input, cmd, &attr, lends);
}

pub(super) fn ids(world: &mut World, input: &mut Input<'_>) {
    const COMMANDS: &[Cmd] = &[
        Cmd::MAP_GET_FD_BY_ID,
        Cmd::PROG_GET_FD_BY_ID,
        Cmd::LINK_GET_FD_BY_ID,
        Cmd::BTF_GET_FD_BY_ID,
        Cmd::MAP_GET_NEXT_ID,
        Cmd::PROG_GET_NEXT_ID,
        Cmd::LINK_GET_NEXT_ID,
        Cmd::BTF_GET_NEXT_ID,
    ];
    let cmd = input.pick(COMMANDS);
    let start_id = input.number32();
    let open_flags = input.usually(0) as u32;
    let attr = GetId { start_id, open_flags, ..GetId::default() };
    let _ = world.command(input, cmd, &attr, Vec::new());
}

pub(super) fn info(world: &mut World, input: &mut Input<'_>) {
    const INFO: usize = offset_of!(InfoByFd, info);
    let what = input.pick(&[What::Prog, What::Map, What::Btf, What::Link, What::Event, What::File]);
    let bpf_fd = world.fd(input, what) as u32;
    let room = input.pick(&[0, 1, 2, 8, 64, 255]);
    let mut lists: Vec<Lend> = Vec::new();
    let mut info = match what {
        What::Map => MapInfo::default().as_bytes().to_vec(),
        What::Btf => {
            lists.push(lend_inside(INFO, offset_of!(BtfInfo, btf), vec![0; room as usize]));
            let name_len = input.usually(0) as u32;
            if name_len != 0 {
                lists.push(lend_inside(INFO, offset_of!(BtfInfo, name), vec![0; 8]));
            }
            BtfInfo { btf_size: room, name_len, ..BtfInfo::default() }.as_bytes().to_vec()
        }
        What::Link => {
            let mut info = LinkInfo::default().as_bytes().to_vec();
            let name = input.byte() % 3;
            if name != 0 {
                // The name's address and room, of a raw tracepoint or of a perf event's.
                let at = offset_of!(LinkInfo, tail) + if name == 1 { 0 } else { 8 };
                info[at + 8..at + 12].copy_from_slice(&room.to_ne_bytes());
                lists.push(lend_inside(INFO, at, vec![0; room as usize]));
            }
            info
        }
        _ => {
            let fields = [
                (offset_of!(ProgInfo, xlated_prog_insns), 8),
                (offset_of!(ProgInfo, map_ids), 4),
                (offset_of!(ProgInfo, func_info), 8),
                (offset_of!(ProgInfo, line_info), 16),
            ];
            for (field, each) in fields {
                if input.byte() % 4 != 3 {
                    lists.push(lend_inside(INFO, field, vec![0; room as usize * each]));
                }
            }
            ProgInfo {
                xlated_prog_len: room * 8,
                nr_map_ids: room,
                nr_func_info: room,
                func_info_rec_size: input.usually(8) as u32,
                nr_line_info: room,
                line_info_rec_size: input.usually(16) as u32,
                ..ProgInfo::default()
            }
            .as_bytes()
            .to_vec()
        }
    };
    match input.byte() {
        0..0xe0 => {}
        0xe0..0xf0 => info.resize(usize::from(input.byte()), 0),
        0xf0.. => {
            let len = usize::from(input.byte());
            info.resize(info.len() + len, input.byte());
        }
    }
    let attr = InfoByFd { bpf_fd, info_len: info.len() as u32, ..InfoByFd::default() };
    let mut lends = vec![lend(INFO, Way::InOut, info)];
    lends.append(&mut lists);
    let _ = world.command(input, Cmd::OBJ_GET_INFO_BY_FD, &attr, lends);
}

/// A command of whatever bytes, with areas at the pointers that it has.
pub(super) fn raw(world: &mut World, input: &mut Input<'_>) {
    let layout = &LAYOUTS[usize::from(input.byte()) % LAYOUTS.len()];
    let cmd = Cmd(input.usually(layout.cmd.0.into()) as u32);
    let size = input.usually(layout.size as u64).min(4200) as usize;
    let mut bytes = input.datum(size);
    if input.byte() % 2 == 0 {
        // Most commands start with a descriptor.
        let what = input.pick(&[What::Map, What::Prog, What::Link, What::Btf]);
        let fd = world.fd(input, what).to_ne_bytes();
        bytes.iter_mut().zip(fd).for_each(|(to, from)| *to = from);
    }
    let mut lends = Vec::new();
    for pointer in layout.pointers {
        let way = input.pick(&[Way::In, Way::Out, Way::InOut]);
        let len = usize::from(input.byte());
        lends.push(lend(pointer.offset, way, input.datum(len)));
    }
    let _ = world.send(cmd, bytes, lends);
}
