//! The tables of since when Linux has what, held against the running kernel, whichever it is.
#![cfg(target_os = "linux")]

mod common;

use skep_abi::flags::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC, BPF_F_SLEEPABLE};
use skep_abi::{AttachType, Cmd, Errno, InfoByFd, MapCreate, MapInfo, MapType, ProgInfo, ProgLoad, ProgType};
use skep_sys::older::{attr_size, map_type_since, prog_type_since};
use skep_sys::{Area, AreaMemory, Attr, Call, Kernel, KernelVersion, MapFd, Older, ProgFd, ProgLoadMemory};
use std::mem::{offset_of, size_of};

fn running() -> KernelVersion {
    let (major, minor) = common::release();
    KernelVersion::new(major.try_into().unwrap(), minor.try_into().unwrap())
}

#[test]
fn the_union_of_attributes_is_as_long_as_the_table_says() {
    let Some(_) = common::bpf("the_union_of_attributes_is_as_long_as_the_table_says") else { return };
    let kernel = skep_linux::kernel();
    // Bytes that are set beyond the union are found before the command is looked at (`__sys_bpf`).
    let is_beyond = |at: usize| {
        let mut bytes = vec![0; at + 1];
        bytes[at] = 1;
        // SAFETY: no pointer field of this command is set, and it asks about a descriptor only.
        let attr = unsafe { Attr::raw(Cmd::MAP_FREEZE, &mut bytes, []) }.unwrap();
        kernel.call(Call::Bpf(attr)).unwrap_err() == Errno::E2BIG
    };
    let size = attr_size(running());
    assert!(is_beyond(size) && !is_beyond(size - 1), "{} has another size than {size}", running());
}

/// Asks for an info struct of `len` bytes; gives how many the kernel has.
fn info_len(kernel: &Kernel, fd: u32, len: usize) -> usize {
    let mut info = vec![0; len];
    let mut bytes = [0; size_of::<InfoByFd>()];
    let len_at = offset_of!(InfoByFd, info_len);
    bytes[offset_of!(InfoByFd, bpf_fd)..][..4].copy_from_slice(&fd.to_ne_bytes());
    bytes[len_at..][..4].copy_from_slice(&(len as u32).to_ne_bytes());
    let area = Area::new(offset_of!(InfoByFd, info), AreaMemory::InOut(&mut info));
    // SAFETY: the only pointer is that to the info struct, which is as long as its length field says; no list inside
    // is asked for.
    let attr = unsafe { Attr::raw(Cmd::OBJ_GET_INFO_BY_FD, &mut bytes, [area]) }.unwrap();
    kernel.call(Call::Bpf(attr)).unwrap();
    u32::from_ne_bytes(bytes[len_at..][..4].try_into().unwrap()) as usize
}

#[test]
fn infos_are_as_long_as_the_tables_say() {
    let Some(_) = common::bpf("infos_are_as_long_as_the_tables_say") else { return };
    let kernel = skep_linux::kernel();
    let played = Kernel::from_sys(Older::new(&kernel, running()));
    let map = map(&kernel, MapType::ARRAY, [4, 4, 1], 0).unwrap();
    let prog = load(&kernel, ProgType::SOCKET_FILTER, 0, 1).unwrap();
    for (fd, len) in [(map.fd(), size_of::<MapInfo>()), (prog.fd(), size_of::<ProgInfo>())] {
        let (has, plays) = (info_len(&kernel, fd.raw(), len), info_len(&played, fd.raw(), len));
        assert_eq!(has, plays, "of {len} bytes, Linux {}", running());
    }
}

fn map(kernel: &Kernel, map_type: MapType, sizes: [u32; 3], map_flags: u32) -> Result<MapFd, Errno> {
    let [key_size, value_size, max_entries] = sizes;
    let create = MapCreate {
        map_type: map_type.0,
        key_size,
        value_size,
        max_entries,
        map_flags,
        ..MapCreate::default()
    };
    kernel.map_create(&create).map_err(|error| error.errno())
}

/// Sizes and flags that one or another kind of map takes.
const SHAPES: &[([u32; 3], u32)] = &[
    ([4, 8, 1], 0),
    ([4, 4, 1], 0),
    ([8, 8, 1], BPF_F_NO_PREALLOC),
    ([16, 8, 0], 0),
    ([0, 4, 1], 0),
    ([0, 0, 64 << 10], 0),
    ([0, 0, 1], BPF_F_MMAPABLE),
];

/// The kinds that take more than sizes: another map, or types.
const WITH_MORE: &[MapType] = &[
    MapType::ARRAY_OF_MAPS,
    MapType::HASH_OF_MAPS,
    MapType::SK_STORAGE,
    MapType::STRUCT_OPS,
    MapType::INODE_STORAGE,
    MapType::TASK_STORAGE,
    MapType::CGRP_STORAGE,
];

#[test]
fn map_types_are_there_since_when_the_table_says() {
    let Some(_) = common::bpf("map_types_are_there_since_when_the_table_says") else { return };
    let kernel = skep_linux::kernel();
    let kinds = MapType::ALL.iter().skip(1).filter(|kind| !WITH_MORE.contains(kind));
    for &kind in kinds {
        let makes = |(sizes, flags): &([u32; 3], u32)| {
            !matches!(map(&kernel, kind, *sizes, *flags), Err(Errno::EINVAL))
        };
        let is_there = SHAPES.iter().any(makes);
        let since = map_type_since(kind).unwrap();
        assert_eq!(is_there, since <= running(), "{kind} since {since}, on {}", running());
    }
}

/// Loads `r0 = value; exit`.
fn load(kernel: &Kernel, kind: ProgType, attach: u32, value: u8) -> Result<ProgFd, Errno> {
    let insns = if cfg!(target_endian = "big") {
        [[0xb7, 0, 0, 0, 0, 0, 0, value], [0x95, 0, 0, 0, 0, 0, 0, 0]]
    } else {
        [[0xb7, 0, 0, 0, value, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]]
    };
    let prog_flags = if kind == ProgType::SYSCALL { BPF_F_SLEEPABLE } else { 0 };
    let mut load =
        ProgLoad { prog_type: kind.0, prog_flags, expected_attach_type: attach, ..ProgLoad::default() };
    let memory = ProgLoadMemory { insns: insns.as_flattened(), license: "GPL", ..ProgLoadMemory::default() };
    kernel.prog_load(&mut load, memory).map_err(|error| error.errno())
}

/// The types that need a target in the kernel's BTF, or a module that may not be there.
const WITH_TARGET: &[ProgType] =
    &[ProgType::TRACING, ProgType::STRUCT_OPS, ProgType::EXT, ProgType::LSM, ProgType::LIRC_MODE2];

/// The types that say at load where they attach.
const ATTACHED: &[(ProgType, AttachType)] = &[
    (ProgType::CGROUP_SOCK, AttachType::CGROUP_INET_SOCK_CREATE),
    (ProgType::CGROUP_SOCK_ADDR, AttachType::CGROUP_INET4_BIND),
    (ProgType::CGROUP_SOCKOPT, AttachType::CGROUP_SETSOCKOPT),
    (ProgType::SK_LOOKUP, AttachType::SK_LOOKUP),
    (ProgType::NETFILTER, AttachType::NETFILTER),
];

#[test]
fn program_types_are_there_since_when_the_table_says() {
    let Some(_) = common::bpf("program_types_are_there_since_when_the_table_says") else { return };
    let kernel = skep_linux::kernel();
    let kinds = ProgType::ALL.iter().skip(1).filter(|kind| !WITH_TARGET.contains(kind));
    for &kind in kinds {
        let attach = ATTACHED.iter().find(|(of, _)| *of == kind).map_or(0, |(_, attach)| attach.0);
        let is_there = [0, 1].iter().any(|value| load(&kernel, kind, attach, *value).is_ok());
        let since = prog_type_since(kind).unwrap();
        assert_eq!(is_there, since <= running(), "{kind} since {since}, on {}", running());
    }
}
