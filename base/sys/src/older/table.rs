//! Since when Linux has what.
//!
//! The versions are those of the first release whose `include/uapi/linux/bpf.h` (for BTF kinds
//! `include/uapi/linux/btf.h`) has the name.

use super::KernelVersion;
use core::mem::offset_of;
use skep_abi::flags::*;
use skep_abi::{
    AttachType, BtfInfo, BtfLoad, Cmd, EnableStats, GetId, InfoByFd, IterCreate, LinkCreate, LinkCreateIter,
    LinkCreateKprobeMulti, LinkCreateUprobeMulti, LinkDetach, LinkUpdate, MapBatch, MapCreate, MapElem,
    MapFreeze, MapInfo, MapNextKey, MapType, ObjPath, ProgAssocStructOps, ProgAttach, ProgBindMap, ProgInfo,
    ProgLoad, ProgQuery, ProgStreamRead, ProgTestRun, ProgType, RawTracepointOpen, TaskFdQuery, TokenCreate,
};

/// A number and the version that brought it.
pub(super) struct Known {
    pub(super) value: u32,
    pub(super) since: KernelVersion,
}

macro_rules! known {
    ($kind:ident { $($major:literal $minor:literal: $($name:ident)*;)* }) => {
        &[$($(Known { value: $kind::$name.0, since: KernelVersion::new($major, $minor) },)*)*]
    };
}

macro_rules! known_flags {
    ($($major:literal $minor:literal: $($name:ident)*;)*) => {
        &[$($(Known { value: $name, since: KernelVersion::new($major, $minor) },)*)*]
    };
}

/// Commands.
#[rustfmt::skip]
pub(super) const COMMANDS: &[Known] = known!(Cmd {
    3 18:
        MAP_CREATE MAP_LOOKUP_ELEM MAP_UPDATE_ELEM MAP_DELETE_ELEM MAP_GET_NEXT_KEY PROG_LOAD;
    4 4: OBJ_PIN OBJ_GET;
    4 10: PROG_ATTACH PROG_DETACH;
    4 12: PROG_TEST_RUN;
    4 13: PROG_GET_NEXT_ID MAP_GET_NEXT_ID PROG_GET_FD_BY_ID MAP_GET_FD_BY_ID OBJ_GET_INFO_BY_FD;
    4 15: PROG_QUERY;
    4 17: RAW_TRACEPOINT_OPEN;
    4 18: BTF_LOAD BTF_GET_FD_BY_ID TASK_FD_QUERY;
    4 20: MAP_LOOKUP_AND_DELETE_ELEM;
    5 2: MAP_FREEZE;
    5 4: BTF_GET_NEXT_ID;
    5 6: MAP_LOOKUP_BATCH MAP_LOOKUP_AND_DELETE_BATCH MAP_UPDATE_BATCH MAP_DELETE_BATCH;
    5 7: LINK_CREATE LINK_UPDATE;
    5 8: LINK_GET_FD_BY_ID LINK_GET_NEXT_ID ENABLE_STATS ITER_CREATE;
    5 9: LINK_DETACH;
    5 10: PROG_BIND_MAP;
    6 9: TOKEN_CREATE;
    6 17: PROG_STREAM_READ_BY_FD;
    6 19: PROG_ASSOC_STRUCT_OPS;
});

/// Map types.
#[rustfmt::skip]
pub(super) const MAP_TYPES: &[Known] = known!(MapType {
    3 19: HASH ARRAY;
    4 2: PROG_ARRAY;
    4 3: PERF_EVENT_ARRAY;
    4 6: PERCPU_HASH PERCPU_ARRAY STACK_TRACE;
    4 8: CGROUP_ARRAY;
    4 10: LRU_HASH LRU_PERCPU_HASH;
    4 11: LPM_TRIE;
    4 12: ARRAY_OF_MAPS HASH_OF_MAPS;
    4 14: DEVMAP SOCKMAP;
    4 15: CPUMAP;
    4 18: XSKMAP SOCKHASH;
    4 19: CGROUP_STORAGE REUSEPORT_SOCKARRAY;
    4 20: PERCPU_CGROUP_STORAGE QUEUE STACK;
    5 2: SK_STORAGE;
    5 4: DEVMAP_HASH;
    5 6: STRUCT_OPS;
    5 8: RINGBUF;
    5 10: INODE_STORAGE;
    5 11: TASK_STORAGE;
    5 16: BLOOM_FILTER;
    6 1: USER_RINGBUF;
    6 2: CGRP_STORAGE;
    6 9: ARENA;
    6 19: INSN_ARRAY;
});

/// Program types.
#[rustfmt::skip]
pub(super) const PROG_TYPES: &[Known] = known!(ProgType {
    3 19: SOCKET_FILTER;
    4 1: KPROBE SCHED_CLS SCHED_ACT;
    4 7: TRACEPOINT;
    4 8: XDP;
    4 9: PERF_EVENT;
    4 10: CGROUP_SKB CGROUP_SOCK LWT_IN LWT_OUT LWT_XMIT;
    4 13: SOCK_OPS;
    4 14: SK_SKB;
    4 15: CGROUP_DEVICE;
    4 17: SK_MSG RAW_TRACEPOINT CGROUP_SOCK_ADDR;
    4 18: LWT_SEG6LOCAL LIRC_MODE2;
    4 19: SK_REUSEPORT;
    4 20: FLOW_DISSECTOR;
    5 2: CGROUP_SYSCTL RAW_TRACEPOINT_WRITABLE;
    5 3: CGROUP_SOCKOPT;
    5 5: TRACING;
    5 6: STRUCT_OPS EXT;
    5 7: LSM;
    5 9: SK_LOOKUP;
    5 14: SYSCALL;
    6 4: NETFILTER;
});

/// Attach types.
#[rustfmt::skip]
pub(super) const ATTACH_TYPES: &[Known] = known!(AttachType {
    4 10: CGROUP_INET_INGRESS CGROUP_INET_EGRESS CGROUP_INET_SOCK_CREATE;
    4 13: CGROUP_SOCK_OPS;
    4 14: SK_SKB_STREAM_PARSER SK_SKB_STREAM_VERDICT;
    4 15: CGROUP_DEVICE;
    4 17:
        SK_MSG_VERDICT CGROUP_INET4_BIND CGROUP_INET6_BIND CGROUP_INET4_CONNECT CGROUP_INET6_CONNECT
        CGROUP_INET4_POST_BIND CGROUP_INET6_POST_BIND;
    4 18: CGROUP_UDP4_SENDMSG CGROUP_UDP6_SENDMSG LIRC_MODE2;
    4 20: FLOW_DISSECTOR;
    5 2: CGROUP_SYSCTL CGROUP_UDP4_RECVMSG CGROUP_UDP6_RECVMSG;
    5 3: CGROUP_GETSOCKOPT CGROUP_SETSOCKOPT;
    5 5: TRACE_RAW_TP TRACE_FENTRY TRACE_FEXIT;
    5 7: MODIFY_RETURN LSM_MAC;
    5 8:
        TRACE_ITER CGROUP_INET4_GETPEERNAME CGROUP_INET6_GETPEERNAME CGROUP_INET4_GETSOCKNAME
        CGROUP_INET6_GETSOCKNAME XDP_DEVMAP;
    5 9: CGROUP_INET_SOCK_RELEASE XDP_CPUMAP SK_LOOKUP XDP;
    5 13: SK_SKB_VERDICT;
    5 14: SK_REUSEPORT_SELECT SK_REUSEPORT_SELECT_OR_MIGRATE;
    5 15: PERF_EVENT;
    5 18: TRACE_KPROBE_MULTI;
    6 0: LSM_CGROUP;
    6 4: STRUCT_OPS NETFILTER;
    6 6: TCX_INGRESS TCX_EGRESS TRACE_UPROBE_MULTI;
    6 7:
        CGROUP_UNIX_CONNECT CGROUP_UNIX_SENDMSG CGROUP_UNIX_RECVMSG CGROUP_UNIX_GETPEERNAME
        CGROUP_UNIX_GETSOCKNAME NETKIT_PRIMARY NETKIT_PEER;
    6 10: TRACE_KPROBE_SESSION;
    6 13: TRACE_UPROBE_SESSION;
});

/// Flags of `BPF_MAP_CREATE`.
#[rustfmt::skip]
pub(super) const MAP_FLAGS: &[Known] = known_flags! {
    4 6: BPF_F_NO_PREALLOC;
    4 10: BPF_F_NO_COMMON_LRU;
    4 14: BPF_F_NUMA_NODE;
    4 15: BPF_F_RDONLY BPF_F_WRONLY;
    4 17: BPF_F_STACK_BUILD_ID;
    5 0: BPF_F_ZERO_SEED;
    5 2: BPF_F_RDONLY_PROG BPF_F_WRONLY_PROG;
    5 4: BPF_F_CLONE;
    5 5: BPF_F_MMAPABLE;
    5 10: BPF_F_PRESERVE_ELEMS BPF_F_INNER_MAP;
    6 4: BPF_F_LINK;
    6 9: BPF_F_VTYPE_BTF_OBJ_FD BPF_F_TOKEN_FD BPF_F_SEGV_ON_FAULT BPF_F_NO_USER_CONV;
    6 19: BPF_F_RB_OVERWRITE;
};

/// Flags of `BPF_PROG_LOAD`.
#[rustfmt::skip]
pub(super) const PROG_FLAGS: &[Known] = known_flags! {
    4 12: BPF_F_STRICT_ALIGNMENT;
    5 0: BPF_F_ANY_ALIGNMENT;
    5 3: BPF_F_TEST_RND_HI32;
    5 4: BPF_F_TEST_STATE_FREQ;
    5 10: BPF_F_SLEEPABLE;
    5 18: BPF_F_XDP_HAS_FRAGS;
    6 3: BPF_F_XDP_DEV_BOUND_ONLY;
    6 8: BPF_F_TEST_REG_INVARIANTS;
    6 9: BPF_F_TOKEN_FD;
};

/// The end of the last field that a command's attributes have since a version.
struct LastField {
    cmds: &'static [Cmd],
    end: usize,
    since: KernelVersion,
}

macro_rules! commands {
    ([$($cmd:ident),+]) => {
        &[$(Cmd::$cmd),+]
    };
}

macro_rules! fields {
    ($($cmds:tt $shape:ident { $($field:ident $size:literal $major:literal $minor:literal;)* })*) => {
        &[$($(LastField {
            cmds: commands!($cmds),
            end: offset_of!($shape, $field) + $size,
            since: KernelVersion::new($major, $minor),
        },)*)*]
    };
}

/// By command, each field that was the last one for a while: its size, and since when. Fields that filled a gap before
/// the last one are not here, since no kernel looks at gaps.
#[rustfmt::skip]
const FIELDS: &[LastField] = fields! {
    [MAP_CREATE] MapCreate {
        max_entries 4 3 18; map_flags 4 4 6; inner_map_fd 4 4 12; numa_node 4 4 14; map_name 16 4 15;
        map_ifindex 4 4 16; btf_value_type_id 4 4 18; btf_vmlinux_value_type_id 4 5 6; map_extra 8 5 16;
        map_token_fd 4 6 9; excl_prog_hash_size 4 6 18;
    }
    [MAP_LOOKUP_ELEM, MAP_UPDATE_ELEM, MAP_LOOKUP_AND_DELETE_ELEM] MapElem { flags 8 3 18; }
    [MAP_DELETE_ELEM] MapElem { key 8 3 18; }
    [MAP_GET_NEXT_KEY] MapNextKey { next_key 8 3 18; }
    [MAP_FREEZE] MapFreeze { map_fd 4 5 2; }
    [MAP_LOOKUP_BATCH, MAP_LOOKUP_AND_DELETE_BATCH, MAP_UPDATE_BATCH, MAP_DELETE_BATCH] MapBatch { flags 8 5 6; }
    [PROG_LOAD] ProgLoad {
        log_buf 8 3 18; kern_version 4 4 1; prog_flags 4 4 12; prog_ifindex 4 4 15; expected_attach_type 4 4 17;
        line_info_cnt 4 5 0; attach_prog_fd 4 5 5; fd_array 8 5 14; core_relo_rec_size 4 5 17; log_true_size 4 6 4;
        prog_token_fd 4 6 9; fd_array_cnt 4 6 14; keyring_id 4 6 18;
    }
    [OBJ_PIN, OBJ_GET] ObjPath { bpf_fd 4 4 4; file_flags 4 4 15; path_fd 4 6 5; }
    [PROG_ATTACH] ProgAttach { attach_flags 4 4 10; replace_bpf_fd 4 5 6; expected_revision 8 6 6; }
    [PROG_DETACH] ProgAttach { attach_type 4 4 10; expected_revision 8 6 6; }
    [PROG_TEST_RUN] ProgTestRun { duration 4 4 12; ctx_out 8 5 2; cpu 4 5 10; batch_size 4 5 18; }
    [PROG_GET_NEXT_ID, MAP_GET_NEXT_ID] GetId { next_id 4 4 13; }
    [BTF_GET_NEXT_ID] GetId { next_id 4 5 4; }
    [LINK_GET_NEXT_ID] GetId { next_id 4 5 8; }
    [PROG_GET_FD_BY_ID] GetId { start_id 4 4 13; }
    [MAP_GET_FD_BY_ID] GetId { start_id 4 4 13; open_flags 4 4 15; }
    [BTF_GET_FD_BY_ID] GetId { start_id 4 4 18; fd_by_id_token_fd 4 6 16; }
    [LINK_GET_FD_BY_ID] GetId { start_id 4 5 8; }
    [OBJ_GET_INFO_BY_FD] InfoByFd { info 8 4 13; }
    [PROG_QUERY] ProgQuery { prog_cnt 4 4 15; prog_attach_flags 8 6 0; revision 8 6 6; }
    [RAW_TRACEPOINT_OPEN] RawTracepointOpen { prog_fd 4 4 17; cookie 8 6 10; }
    [BTF_LOAD] BtfLoad { btf_log_level 4 4 18; btf_log_true_size 4 6 4; btf_token_fd 4 6 9; }
    [TASK_FD_QUERY] TaskFdQuery { probe_addr 8 4 18; }
    [LINK_CREATE] LinkCreate { flags 4 5 7; }
    [LINK_CREATE] LinkCreateIter { iter_info_len 4 5 9; }
    [LINK_CREATE] LinkCreateKprobeMulti { cookies 8 5 18; }
    [LINK_CREATE] LinkCreateUprobeMulti { pid 4 6 6; }
    [LINK_UPDATE] LinkUpdate { old_prog_fd 4 5 7; }
    [LINK_DETACH] LinkDetach { link_fd 4 5 9; }
    [ENABLE_STATS] EnableStats { type_ 4 5 8; }
    [ITER_CREATE] IterCreate { flags 4 5 8; }
    [PROG_BIND_MAP] ProgBindMap { flags 4 5 10; }
    [TOKEN_CREATE] TokenCreate { bpffs_fd 4 6 9; }
    [PROG_STREAM_READ_BY_FD] ProgStreamRead { prog_fd 4 6 17; }
    [PROG_ASSOC_STRUCT_OPS] ProgAssocStructOps { flags 4 6 19; }
};

/// Gives where the fields of a command end in a version; `None` where it has no such command.
pub(super) fn last_field(cmd: Cmd, version: KernelVersion) -> Option<usize> {
    let rows = FIELDS.iter().filter(|row| row.cmds.contains(&cmd) && row.since <= version);
    rows.map(|row| row.end).max()
}

/// Gives the size of a version's `union bpf_attr`: that of its longest struct, in units of 8.
pub(super) fn attr_size(version: KernelVersion) -> usize {
    let known = FIELDS.iter().filter(|row| row.since <= version);
    known.map(|row| row.end.next_multiple_of(8)).max().unwrap_or(0)
}

macro_rules! sizes {
    ($shape:ident $last:literal $release:literal { $($major:literal $minor:literal: $field:ident;)* }) => {
        // Each size is where the first field starts that is newer.
        &[$(Known { value: offset_of!($shape, $field) as u32, since: KernelVersion::new($major, $minor) },)*
          Known { value: size_of::<$shape>() as u32, since: KernelVersion::new($last, $release) }]
    };
}

/// The size of `struct bpf_prog_info`, by the first field that a version does not have yet.
#[rustfmt::skip]
pub(super) const PROG_INFO: &[Known] = sizes!(ProgInfo 6 0 {
    4 13: load_time; 4 15: ifindex; 4 16: nr_jited_ksyms; 4 18: btf_id; 5 0: run_time_ns; 5 1: recursion_misses;
    5 12: verified_insns; 5 16: attach_btf_id;
});

/// The size of `struct bpf_map_info`, likewise.
#[rustfmt::skip]
pub(super) const MAP_INFO: &[Known] = sizes!(MapInfo 6 18 {
    4 13: name; 4 15: ifindex; 4 16: btf_id; 4 18: map_extra; 5 16: hash;
});

/// The size of `struct bpf_btf_info`, likewise.
#[rustfmt::skip]
pub(super) const BTF_INFO: &[Known] = sizes!(BtfInfo 5 11 { 4 18: name; });

/// A path that is not there before a version.
pub(super) struct HiddenPath {
    pub(super) path: &'static str,
    pub(super) since: KernelVersion,
}

/// Files that loaders look for.
pub(super) const PATHS: &[HiddenPath] = &[
    HiddenPath { path: "/sys/bus/event_source/devices/kprobe", since: KernelVersion::new(4, 17) },
    HiddenPath { path: "/sys/bus/event_source/devices/uprobe", since: KernelVersion::new(4, 17) },
    HiddenPath { path: "/sys/kernel/btf", since: KernelVersion::new(5, 4) },
];

/// Since when the kernel's BTF can be mapped (a539e2a6d51d, "btf: Allow mmap of vmlinux btf"); before,
/// kernfs has no `mmap` for it (fs/kernfs/file.c, `kernfs_fop_mmap`).
pub(super) const MAPPED_BTF: KernelVersion = KernelVersion::new(6, 16);

/// A kind of BTF type: how long its record is, and since when it is known.
pub(super) struct BtfKind {
    pub(super) kind: u32,
    pub(super) since: KernelVersion,
    /// Bytes after the first 12.
    pub(super) fixed: usize,
    /// Bytes for each of the members that the record counts.
    pub(super) each: usize,
}

pub(super) const KIND_STRUCT: u32 = 4;
pub(super) const KIND_UNION: u32 = 5;
pub(super) const KIND_FUNC: u32 = 12;
/// Since when a function says that it is global.
pub(super) const GLOBAL_FUNCTIONS: KernelVersion = KernelVersion::new(5, 6);
pub(super) const KIND_DATASEC: u32 = 15;
/// Since when a section of variables may have none, or no size (13ca51d5eb35, "bpf: Permit size-0 datasec").
pub(super) const EMPTY_SECTIONS: KernelVersion = KernelVersion::new(5, 12);
/// Since when a section's name may begin with `?` (bd70a8fb7ca4, "bpf: Allow all printable characters in BTF DATASEC names").
pub(super) const OPTIONAL_SECTIONS: KernelVersion = KernelVersion::new(6, 9);
/// Since when a struct says that it has bit fields.
pub(super) const STRUCT_FLAG: KernelVersion = KernelVersion::new(5, 0);

const fn kind(kind: u32, major: u8, minor: u8, fixed: usize, each: usize) -> BtfKind {
    BtfKind { kind, since: KernelVersion::new(major, minor), fixed, each }
}

/// The kinds of BTF types (`Documentation/bpf/btf.rst`).
pub(super) const BTF_KINDS: &[BtfKind] = &[
    kind(1, 4, 18, 4, 0),
    kind(2, 4, 18, 0, 0),
    kind(3, 4, 18, 12, 0),
    kind(KIND_STRUCT, 4, 18, 0, 12),
    kind(KIND_UNION, 4, 18, 0, 12),
    kind(6, 4, 18, 0, 8),
    kind(7, 4, 18, 0, 0),
    kind(8, 4, 18, 0, 0),
    kind(9, 4, 18, 0, 0),
    kind(10, 4, 18, 0, 0),
    kind(11, 4, 18, 0, 0),
    // What a function's record counts is its linkage.
    kind(KIND_FUNC, 5, 0, 0, 0),
    kind(13, 5, 0, 0, 8),
    kind(14, 5, 2, 4, 0),
    kind(KIND_DATASEC, 5, 2, 0, 12),
    kind(16, 5, 13, 0, 0),
    kind(17, 5, 16, 4, 0),
    kind(18, 5, 17, 0, 0),
    kind(19, 6, 0, 0, 12),
];

#[cfg(test)]
mod tests {
    use super::*;
    use skep_abi::Layout;

    #[test]
    fn every_number_has_a_row_and_rows_ascend() {
        let newer = |attach_type: &&AttachType| attach_type.0 > 57;
        let all: [(&[Known], &[u32]); 4] = [
            (COMMANDS, &Cmd::ALL.iter().map(|cmd| cmd.0).collect::<alloc::vec::Vec<_>>()),
            (MAP_TYPES, &MapType::ALL.iter().skip(1).map(|kind| kind.0).collect::<alloc::vec::Vec<_>>()),
            (PROG_TYPES, &ProgType::ALL.iter().skip(1).map(|kind| kind.0).collect::<alloc::vec::Vec<_>>()),
            (
                ATTACH_TYPES,
                &AttachType::ALL
                    .iter()
                    .filter(|kind| !newer(kind))
                    .map(|kind| kind.0)
                    .collect::<alloc::vec::Vec<_>>(),
            ),
        ];
        for (rows, numbers) in all {
            assert!(rows.iter().map(|row| row.value).eq(numbers.iter().copied()));
            assert!(rows.windows(2).all(|pair| pair[0].since <= pair[1].since));
        }
    }

    #[test]
    fn every_commands_fields_end_with_its_struct() {
        let newest = KernelVersion::new(254, 0);
        for &cmd in Cmd::ALL {
            let size = Layout::of(cmd).map(|layout| layout.size).max().unwrap();
            let end = last_field(cmd, newest).unwrap();
            // Only padding, or what other commands of the same struct have, lies behind.
            assert!(end <= size, "{cmd}: {end} of {size}");
            let shared = cmd == Cmd::MAP_DELETE_ELEM || Layout::of(cmd).any(|layout| layout.shape == "GetId");
            assert!(size - end < 8 || shared, "{cmd}: {end} of {size}");
        }
    }

    #[test]
    fn the_union_grew_as_linux_did() {
        // `sizeof(union bpf_attr)` of those releases.
        for (major, minor, size) in [
            (4, 4, 48),
            (4, 14, 48),
            (4, 19, 72),
            (5, 0, 112),
            (5, 10, 120),
            (5, 15, 128),
            (6, 1, 144),
            (6, 12, 152),
        ] {
            assert_eq!(attr_size(KernelVersion::new(major, minor)), size, "{major}.{minor}");
        }
    }

    #[test]
    fn infos_grew_as_linux_did() {
        let size = |rows: &[Known], major, minor| {
            rows.iter().rfind(|row| row.since <= KernelVersion::new(major, minor)).map(|row| row.value)
        };
        assert_eq!(size(PROG_INFO, 4, 12), None);
        assert_eq!(size(PROG_INFO, 4, 14), Some(40));
        assert_eq!(size(PROG_INFO, 5, 10), Some(208));
        assert_eq!(size(MAP_INFO, 4, 19), Some(80));
        assert_eq!(size(MAP_INFO, 6, 1), Some(88));
    }
}
