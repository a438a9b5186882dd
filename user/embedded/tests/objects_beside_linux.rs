//! Batches, information and links on the running Linux and on the embedded kernel, and the same answers.
#![cfg(target_os = "linux")]

mod beside;

use beside::{KINDS, compare, insn, load, map, raw, said};
use skep_abi::flags::{BPF_EXIST, BPF_F_LOCK, BPF_F_RDONLY, BPF_F_RDONLY_PROG, BPF_F_WRONLY, BPF_NOEXIST};
use skep_abi::{
    AttachType, Cmd, Errno, InfoByFd, LinkCreate, LinkCreateTcx, LinkDetach, LinkInfo, LinkInfoRawTracepoint,
    LinkInfoXdp, LinkUpdate, MapBatch, MapInfo, MapType, ProgType, RawTracepointOpen,
};
use skep_sys::{Area, AreaMemory, Attr, Call, CallError, Fd, Handle, Kernel, LinkFd, MapFd, ProgFd};
use std::collections::BTreeMap;
use std::mem::offset_of;
use zerocopy::IntoBytes;

/// What a command on many elements is given.
struct Batch<'a> {
    cmd: Cmd,
    attr: MapBatch,
    keys: &'a mut [u8],
    values: &'a mut [u8],
    cursor: (Vec<u8>, Vec<u8>),
}

impl<'a> Batch<'a> {
    /// Keys from `first` on, in memory that is long enough for whatever the counts say.
    fn new(map: &MapFd, cmd: Cmd, count: u32, keys: &'a mut [u8], values: &'a mut [u8]) -> Batch<'a> {
        let attr = MapBatch { map_fd: map.fd().raw(), count, ..MapBatch::default() };
        Batch { cmd, attr, keys, values, cursor: (Vec::new(), vec![0; 8]) }
    }

    /// The answer, and the number that the kernel leaves.
    fn run(&mut self, map: &MapFd) -> (Result<(), CallError>, u32) {
        let mut attr = self.attr;
        let reads = [Cmd::MAP_LOOKUP_BATCH, Cmd::MAP_LOOKUP_AND_DELETE_BATCH].contains(&self.cmd);
        const KEYS: usize = offset_of!(MapBatch, keys);
        const VALUES: usize = offset_of!(MapBatch, values);
        let areas = if reads {
            vec![
                Area::new(offset_of!(MapBatch, in_batch), AreaMemory::In(&self.cursor.0)),
                Area::new(offset_of!(MapBatch, out_batch), AreaMemory::Out(&mut self.cursor.1)),
                Area::new(KEYS, AreaMemory::Out(self.keys)),
                Area::new(VALUES, AreaMemory::Out(self.values)),
            ]
        } else {
            vec![Area::new(KEYS, AreaMemory::In(self.keys)), Area::new(VALUES, AreaMemory::In(self.values))]
        };
        // SAFETY: the lists have room for twice the elements that are asked for, and a cursor takes four bytes.
        let answer = unsafe { raw(map.handle().kernel(), self.cmd, &mut attr, areas) };
        (answer, attr.count)
    }
}

const COMMANDS: [Cmd; 4] =
    [Cmd::MAP_UPDATE_BATCH, Cmd::MAP_LOOKUP_BATCH, Cmd::MAP_LOOKUP_AND_DELETE_BATCH, Cmd::MAP_DELETE_BATCH];

#[test]
fn batches_are_done_and_refused_alike() {
    compare("batches_are_done_and_refused_alike", |kernel| {
        let mut answers = Vec::new();
        for &(map_type, sizes) in KINDS {
            for map_flags in [0, BPF_F_RDONLY, BPF_F_WRONLY] {
                let Ok(map) = map(kernel, map_type, sizes, map_flags) else { continue };
                let (key, stride) = (sizes[0] as usize, map.shape().value_stride());
                let mut note = |what: String, answer: String| {
                    answers.push((format!("{map_type} flags {map_flags:#x}: {what}"), answer));
                };
                let room = 32;
                let keys: Vec<u8> = (0..room as u32).flat_map(|n| n.to_ne_bytes()[..key].to_vec()).collect();
                let values: Vec<u8> = (0..room).flat_map(|n| vec![n as u8; stride]).collect();
                for cmd in COMMANDS {
                    for count in [0, 1, 5, 16, 17] {
                        // How a hash's elements lie in its buckets is chance.
                        let buckets = ![MapType::ARRAY, MapType::PERCPU_ARRAY].contains(&map_type);
                        let some = (1..17).contains(&count);
                        if buckets && some && cmd == Cmd::MAP_LOOKUP_AND_DELETE_BATCH {
                            continue;
                        }
                        for (elem_flags, flags) in [(0, 0), (0, 0), (0, 1), (0, 1 << 40)]
                            .into_iter()
                            .chain([BPF_NOEXIST, BPF_EXIST, BPF_F_LOCK, 3, 8].map(|flags| (flags, 0)))
                        {
                            let (mut keys, mut values) = (keys.clone(), values.clone());
                            let mut batch = Batch::new(&map, cmd, count, &mut keys, &mut values);
                            batch.attr = MapBatch { elem_flags, flags, ..batch.attr };
                            let (answer, left) = batch.run(&map);
                            let failed = answer.as_ref().err().map(CallError::errno);
                            let what = format!("{cmd:?} of {count}, flags {elem_flags:#x} and {flags:#x}");
                            let done = failed.is_none() || failed == Some(Errno::ENOSPC);
                            if buckets && some && cmd == Cmd::MAP_LOOKUP_BATCH && done {
                                continue;
                            }
                            note(what.clone(), format!("{} {left}", said(answer)));
                            // Which elements came, whatever their order.
                            let came: BTreeMap<&[u8], &[u8]> = keys
                                .chunks(key.max(1))
                                .zip(values.chunks(stride.max(1)))
                                .take(left as usize)
                                .collect();
                            note(format!("{what}: elements"), format!("{came:?}"));
                        }
                    }
                }
                // Pages of a kind that has an order.
                if map_type == MapType::ARRAY {
                    let (mut keys, mut values) = (keys.clone(), values.clone());
                    let mut batch = Batch::new(&map, Cmd::MAP_LOOKUP_BATCH, 6, &mut keys, &mut values);
                    for page in 0..4 {
                        let (answer, left) = batch.run(&map);
                        let place = batch.cursor.1[..4].to_vec();
                        let answer = format!("{} {left} {place:?} {:?}", said(answer), &batch.keys[..24]);
                        batch.cursor.0.clone_from(&place);
                        note(format!("page {page}"), answer);
                    }
                }
            }
        }
        answers
    });
}

/// Asks for information with so much room, whose bytes are all `fill`; gives the answer, the length it leaves, and the bytes.
fn info(object: &Handle, room: usize, fill: u8) -> (Result<(), CallError>, u32, Vec<u8>) {
    let mut bytes = vec![fill; room];
    let mut by_fd = InfoByFd { bpf_fd: object.fd().raw(), info_len: room as u32, info: 0 };
    let area = Area::new(offset_of!(InfoByFd, info), AreaMemory::InOut(&mut bytes));
    // SAFETY: the area is as long as it is said to be; where it is full of ones, the kernel finds them in fields that
    // must be zero, or in pointers to where nothing is mapped.
    let answer = unsafe { raw(object.kernel(), Cmd::OBJ_GET_INFO_BY_FD, &mut by_fd, vec![area]) };
    (answer, by_fd.info_len, bytes)
}

#[test]
fn information_on_maps_is_alike() {
    compare("information_on_maps_is_alike", |kernel| {
        let mut answers = Vec::new();
        for &(map_type, sizes) in KINDS {
            for map_flags in [0, BPF_F_RDONLY, BPF_F_WRONLY, BPF_F_RDONLY_PROG, 1 << 10] {
                let Ok(map) = map(kernel, map_type, sizes, map_flags) else { continue };
                let what = format!("{map_type} flags {map_flags:#x}");
                let said_of = map.info().map(|info| MapInfo { id: 0, ..info });
                answers.push((what.clone(), said(said_of)));
                // Up to what Linux 6.12 knows of maps: what came later is longer there.
                for room in [0, 1, 4, 7, 8, 20, 24, 80, 4096, 4097] {
                    for fill in [0, 1] {
                        let (answer, len, mut bytes) = info(map.handle(), room, fill);
                        bytes.iter_mut().take(8).skip(4).for_each(|id| *id = 0);
                        bytes.truncate(24);
                        let len = if room > 80 { 0 } else { len };
                        let answer = format!("{} {len} {bytes:?}", said(answer));
                        answers.push((format!("{what}, {room} bytes of {fill}"), answer));
                    }
                }
            }
        }
        answers
    });
}

/// A program that passes everything.
fn pass(kernel: &Kernel, prog_type: ProgType) -> ProgFd {
    load(kernel, prog_type, &[insn(0xb7, 0, 0, 2), insn(0x95, 0, 0, 0)], "GPL").unwrap()
}

fn attach(prog: &ProgFd, create: LinkCreate) -> Result<LinkFd, CallError> {
    prog.handle().kernel().link_create(&LinkCreate { prog_fd: prog.fd().raw(), ..create })
}

/// What is known of a link, its numbers aside.
fn known(link: &LinkFd, progs: &[(&str, &ProgFd)], interface: u32) -> String {
    said(link.info().map(|info| {
        let prog = progs.iter().find(|(_, prog)| prog.info().is_ok_and(|prog| prog.id == info.prog_id));
        let xdp: Option<LinkInfoXdp> = info.tail_as();
        let there = xdp.map(|xdp| if xdp.ifindex == interface { u32::MAX } else { xdp.ifindex });
        format!("{} of {:?} on {there:?}", info.type_, prog.map(|(name, _)| name))
    }))
}

/// Moves this thread into a network of its own, where nobody minds what is attached.
fn own_network(test: &str) -> bool {
    // SAFETY: the call takes a flag and changes what this thread sees of networks, no memory.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    if result != 0 {
        println!("skipped: {test}: {}", std::io::Error::last_os_error());
    }
    result == 0
}

#[test]
fn links_to_interfaces_are_alike() {
    const TEST: &str = "links_to_interfaces_are_alike";
    if !own_network(TEST) {
        return;
    }
    compare(TEST, |kernel| {
        let mut answers = Vec::new();
        let mut note = |what: &str, answer: String| answers.push((what.to_owned(), answer));
        let (first, second) = (pass(kernel, ProgType::XDP), pass(kernel, ProgType::XDP));
        let other = pass(kernel, ProgType::SOCKET_FILTER);
        let progs = [("first", &first), ("second", &second)];
        // The first interface of a network is the loopback; on the embedded kernel it is the first that is added.
        let xdp = LinkCreate { attach_type: AttachType::XDP.0, ..LinkCreate::default() };
        let on = |index: &u32| attach(&first, LinkCreate { target_fd: *index, ..xdp }).is_ok();
        let lo = LinkCreate { target_fd: (1..4).find(on).unwrap(), ..xdp };
        for flags in [0, 2, 1, 2 | 4, 1 << 10, 1 << 31] {
            let link = attach(&first, LinkCreate { flags, ..lo });
            note(&format!("flags {flags:#x}"), said(link.map(|link| known(&link, &progs, lo.target_fd))));
        }
        for target_fd in [0, 999_999, u32::MAX] {
            let link = attach(&first, LinkCreate { target_fd, ..lo });
            note(&format!("interface {target_fd}"), said(link.map(|_| ())));
        }
        for attach_type in [0, AttachType::XDP_DEVMAP.0, AttachType::PERF_EVENT.0, 999, u32::MAX] {
            let link = attach(&first, LinkCreate { attach_type, ..lo });
            note(&format!("as type {attach_type}"), said(link.map(|_| ())));
        }
        note("a program of another type", said(attach(&other, lo).map(|_| ())));
        for (what, fd) in [("no descriptor", 9999), ("a negative one", u32::MAX)] {
            let link = kernel.link_create(&LinkCreate { prog_fd: fd, ..lo });
            note(what, said(link.map(|_| ())));
        }
        let array = map(kernel, MapType::ARRAY, [4, 8, 1], 0).unwrap();
        let link = kernel.link_create(&LinkCreate { prog_fd: array.fd().raw(), ..lo });
        note("a map as the program", said(link.map(|_| ())));

        let link = attach(&first, lo).unwrap();
        note("attached", known(&link, &progs, lo.target_fd));
        note("a second link", said(attach(&second, lo).map(|_| ())));
        note(
            "updated",
            format!("{} {}", said(link.update(second.fd(), None)), known(&link, &progs, lo.target_fd)),
        );
        let wrong = link.update(first.fd(), Some(first.fd()));
        note("updated from another", format!("{} {}", said(wrong), known(&link, &progs, lo.target_fd)));
        let right = link.update(first.fd(), Some(second.fd()));
        note("updated from this", format!("{} {}", said(right), known(&link, &progs, lo.target_fd)));
        note("updated to the same", said(link.update(first.fd(), Some(first.fd()))));
        note("updated to another type", said(link.update(other.fd(), None)));
        note("updated to a map", said(link.update(array.fd(), None)));
        for (what, flags, old) in [
            ("an old program without the flag", 0, second.fd().raw()),
            ("the flag and no program", 4, 9999),
            ("an unknown flag", 1, 0),
            ("all flags", u32::MAX, 0),
        ] {
            let mut update = LinkUpdate {
                link_fd: link.fd().raw(),
                new_prog_fd: second.fd().raw(),
                flags,
                old_prog_fd: old,
            };
            // SAFETY: the command has no pointers.
            note(what, said(unsafe { raw(kernel, Cmd::LINK_UPDATE, &mut update, Vec::new()) }));
        }
        for room in [0, 4, 12, 16, 20, 64, 4096] {
            for fill in [0, 1] {
                let (answer, len, bytes) = info(link.handle(), room, fill);
                let len = if room > 48 { 0 } else { len };
                let type_ = bytes.get(..4).map(<[u8]>::to_vec);
                let answer = format!(
                    "{} {len} {type_:?} {}",
                    said(answer),
                    bytes.get(16..20) == Some(&lo.target_fd.to_ne_bytes())
                );
                note(&format!("information in {room} bytes of {fill}"), answer);
            }
        }
        let mut update =
            LinkUpdate { link_fd: array.fd().raw(), new_prog_fd: first.fd().raw(), ..LinkUpdate::default() };
        // SAFETY: the command has no pointers.
        note("a map updated", said(unsafe { raw(kernel, Cmd::LINK_UPDATE, &mut update, Vec::new()) }));
        for link_fd in [array.fd().raw(), first.fd().raw(), 9999] {
            let mut detach = LinkDetach { link_fd };
            // SAFETY: the command has no pointers.
            let answer = unsafe { raw(kernel, Cmd::LINK_DETACH, &mut detach, Vec::new()) };
            note("no link detached", said(answer));
        }
        note("detached", format!("{} {}", said(link.detach()), known(&link, &progs, lo.target_fd)));
        note("detached again", said(link.detach()));
        note("updated when detached", said(link.update(second.fd(), None)));
        note("attached after that", said(attach(&second, lo).map(|link| known(&link, &progs, lo.target_fd))));
        answers
    });
}

#[test]
fn links_to_tc_are_alike() {
    const TEST: &str = "links_to_tc_are_alike";
    if !own_network(TEST) {
        return;
    }
    compare(TEST, |kernel| {
        let mut answers = Vec::new();
        let mut note = |what: &str, answer: String| answers.push((what.to_owned(), answer));
        let (first, second) = (pass(kernel, ProgType::SCHED_CLS), pass(kernel, ProgType::SCHED_CLS));
        let xdp = pass(kernel, ProgType::XDP);
        let attach = |prog: &ProgFd, base: LinkCreate, expected_revision| {
            let base = LinkCreate { prog_fd: prog.fd().raw(), ..base };
            kernel.link_create(&LinkCreateTcx { base, expected_revision, ..LinkCreateTcx::default() })
        };
        let ingress = LinkCreate { attach_type: AttachType::TCX_INGRESS.0, ..LinkCreate::default() };
        let on = |index: &u32| attach(&first, LinkCreate { target_fd: *index, ..ingress }, 0).is_ok();
        let lo = LinkCreate { target_fd: (1..4).find(on).unwrap(), ..ingress };
        for target_fd in [0, 999_999, u32::MAX] {
            let link = attach(&first, LinkCreate { target_fd, ..lo }, 0);
            note(&format!("interface {target_fd}"), said(link.map(|_| ())));
        }
        for flags in [0, 1, 2, 4, 8, 16, 24, 1 << 20, u32::MAX] {
            let link = attach(&first, LinkCreate { flags, ..lo }, 0);
            note(&format!("flags {flags:#x}"), said(link.map(|_| ())));
        }
        for attach_type in [0, AttachType::TCX_EGRESS.0, AttachType::XDP.0, 999] {
            let link = attach(&first, LinkCreate { attach_type, ..lo }, 0);
            note(&format!("as type {attach_type}"), said(link.map(|_| ())));
        }
        note("a program of another type", said(attach(&xdp, lo, 0).map(|_| ())));
        note("another revision", said(attach(&first, lo, 1 << 40).map(|_| ())));
        let progs = [("first", &first), ("second", &second)];
        let link = attach(&first, lo, 0).unwrap();
        note("attached", known(&link, &progs, lo.target_fd));
        note("a second link", said(attach(&second, lo, 0).map(|_| ())));
        note("the same program again", said(attach(&first, lo, 0).map(|_| ())));
        let beside = attach(&second, LinkCreate { flags: 8, ..lo }, 0).unwrap();
        note("updated to what is there", said(link.update(second.fd(), None)));
        drop(beside);
        note(
            "updated",
            format!("{} {}", said(link.update(second.fd(), None)), known(&link, &progs, lo.target_fd)),
        );
        note("updated from another", said(link.update(first.fd(), Some(first.fd()))));
        note("updated to another type", said(link.update(xdp.fd(), None)));
        note("updated to the same", said(link.update(second.fd(), Some(second.fd()))));
        note("detached", format!("{} {}", said(link.detach()), known(&link, &progs, lo.target_fd)));
        note("detached again", said(link.detach()));
        note("updated when detached", said(link.update(first.fd(), None)));
        answers
    });
}

fn open(prog: Fd, name: Option<&[u8]>, cookie: u64, kernel: &Kernel) -> Result<LinkFd, CallError> {
    let mut open = RawTracepointOpen { prog_fd: prog.raw(), cookie, ..RawTracepointOpen::default() };
    let areas = name.map(|name| Area::new(offset_of!(RawTracepointOpen, name), AreaMemory::In(name)));
    // SAFETY: the name ends in a NUL, or is longer than the kernel looks at.
    let attr = unsafe { Attr::raw(Cmd::RAW_TRACEPOINT_OPEN, open.as_mut_bytes(), areas) }?;
    Ok(LinkFd::from_handle(kernel.open(Call::Bpf(attr))?))
}

/// Asks for a raw tracepoint's name in a buffer of this size.
fn name_of(link: &LinkFd, room: u32, buffer: bool) -> String {
    const TAIL: usize = offset_of!(LinkInfo, tail);
    const INFO: usize = offset_of!(InfoByFd, info);
    let mut asked = LinkInfo::default();
    let tail = LinkInfoRawTracepoint { tp_name_len: room, ..LinkInfoRawTracepoint::default() };
    asked.set_tail(&tail).unwrap();
    let mut name = vec![0xee; room as usize];
    let mut by_fd = InfoByFd { bpf_fd: link.fd().raw(), info_len: asked.as_bytes().len() as u32, info: 0 };
    let mut areas = vec![Area::new(INFO, AreaMemory::InOut(asked.as_mut_bytes()))];
    if buffer {
        let at = TAIL + offset_of!(LinkInfoRawTracepoint, tp_name);
        areas.push(Area::inside(INFO, at, AreaMemory::Out(&mut name)));
    }
    // SAFETY: the struct is lent whole, and the name's buffer is null or as long as the struct says.
    let answer = unsafe { raw(link.handle().kernel(), Cmd::OBJ_GET_INFO_BY_FD, &mut by_fd, areas) };
    let tail: LinkInfoRawTracepoint = asked.tail_as().unwrap();
    let name = String::from_utf8_lossy(&name).into_owned();
    format!("{} {name:?} {} {}", said(answer), tail.tp_name_len, tail.cookie)
}

#[test]
fn raw_tracepoints_are_opened_and_refused_alike() {
    compare("raw_tracepoints_are_opened_and_refused_alike", |kernel| {
        let mut answers = Vec::new();
        let mut note = |what: &str, answer: String| answers.push((what.to_owned(), answer));
        let prog = load(kernel, ProgType::RAW_TRACEPOINT, &[insn(0xb7, 0, 0, 0), insn(0x95, 0, 0, 0)], "GPL")
            .unwrap();
        let (xdp, filter) = (pass(kernel, ProgType::XDP), pass(kernel, ProgType::SOCKET_FILTER));
        let long = [b'x'; 200];
        let names: &[(&str, Option<&[u8]>)] = &[
            ("sys_enter", Some(b"sys_enter\0")),
            ("an unknown name", Some(b"no_such_tracepoint\0")),
            ("another case", Some(b"SYS_ENTER\0")),
            ("a group", Some(b"raw_syscalls:sys_enter\0")),
            ("an empty name", Some(b"\0")),
            ("no name", None),
            ("a long name", Some(&long)),
        ];
        for &(what, name) in names {
            for (of, prog) in [("raw tracepoint", &prog), ("xdp", &xdp), ("socket filter", &filter)] {
                let link = open(prog.fd(), name, 0, kernel);
                note(&format!("{what} for a program of type {of}"), said(link.map(|_| ())));
            }
        }
        let array = map(kernel, MapType::ARRAY, [4, 8, 1], 0).unwrap();
        note("a map as the program", said(open(array.fd(), names[0].1, 0, kernel).map(|_| ())));
        let mut none = RawTracepointOpen { prog_fd: 9999, ..RawTracepointOpen::default() };
        // SAFETY: the name is null.
        let answer = unsafe { raw(kernel, Cmd::RAW_TRACEPOINT_OPEN, &mut none, Vec::new()) };
        note("no descriptor", said(answer));

        let links =
            [0, 0x1234_5678_9abc_def0].map(|cookie| open(prog.fd(), names[0].1, cookie, kernel).unwrap());
        for link in &links {
            for (room, buffer) in
                [(0, false), (5, true), (9, true), (10, true), (64, true), (64, false), (1, true)]
            {
                note(&format!("its name in {room} bytes, {buffer}"), name_of(link, room, buffer));
            }
            note("updated", said(link.update(prog.fd(), None)));
            note("updated to another type", said(link.update(xdp.fd(), None)));
            note("detached", said(link.detach()));
            note("is a link of", said(link.info().map(|info| info.type_)));
        }
        let by_create = LinkCreate { attach_type: 0, target_fd: 0, ..LinkCreate::default() };
        note("attached by a link command", said(attach(&prog, by_create).map(|_| ())));
        answers
    });
}
