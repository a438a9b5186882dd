//! The table of helpers: one row per number of `enum bpf_func_id`.
//!
//! Versions: the kernel's history (docs.ebpf.io's data/feature-versions.yaml names the commits). Program types and
//! licences: what Linux 6.18 answers to a load of each call by each type and expected attach type, and for the types
//! that need a BTF target its `*_func_proto` functions. Arguments, results and `allowed`: every `struct bpf_func_proto`
//! in the memory of Linux 6.18 (`tests/data/linux-6.18-helpers.txt`). Map kinds: `check_map_func_compatibility` and the
//! presence of `map_for_each_callback`. References: `is_acquire_function`, `is_ptr_cast_function`,
//! `is_dynptr_ref_function`. Work: ours.
//!
//! Memory that Linux declares as read although its helper only writes it (the buffer of `snprintf`) is `Write` here.

use skep_abi::{AttachType as A, FuncId as F, MapType, ProgType as T};

use super::helper::{
    Arg, Callback, Dynptr, Effects, Helper, Licence, MemAccess, Nullable, Only, Prototype, Ret,
    Socket as Sock, SocketArg, Trust, Variant, Where, Work, Zero,
};
use super::sets::{CGROUP_SKB, LWT, MapSet, ProgSet, SOCKET_FILTER, TC, TRACE, XDP};
use super::version::v;

use Arg::*;
use Dynptr::{NewLocal, NewRingbuf, ReleaseRingbuf};
use MemAccess::{ReadWrite, Write};
use Where::{Anywhere, At, Function, NotAt, NotMember, NotPrefix, Ops, SleepableHook};
use Zero::{Allowed, Refused};

const ALL: ProgSet = ProgSet::ALL;
/// All but those of infrared remote controls, which have a list of their own (`lirc_mode2_func_proto`).
const BASE: ProgSet = ALL.without(ProgSet::of(&[T::LIRC_MODE2]));
const ACQUIRES: Effects = Effects::ACQUIRES;
const CASTS: Effects = Effects::CASTS;
const CHANGES_PACKET: Effects = Effects::CHANGES_PACKET;
const TAKES_PACKET: Effects = Effects::TAKES_PACKET;
const SLEEPS: Effects = Effects::SLEEPS;

const IN: Arg = Mem(MemAccess::Read, Nullable::No);
const IN_OR_NULL: Arg = Mem(MemAccess::Read, Nullable::Yes);
const OUT: Arg = Mem(Write, Nullable::No);
const OUT_OR_NULL: Arg = Mem(Write, Nullable::Yes);
const IN_OUT: Arg = Mem(ReadWrite, Nullable::No);
/// A socket by a table of fields.
const TABLE_SOCK: Arg = Socket(SocketArg::Common, Nullable::No);
/// A socket, whichever way it is seen.
const ANY_SOCK: Arg = Socket(SocketArg::CommonOrBtf, Nullable::No);
const ANY_SOCK_OR_NULL: Arg = Socket(SocketArg::CommonOrBtf, Nullable::Yes);
const TASK: Arg = Btf("task_struct", Nullable::No);

/// The types whose helpers end in `bpf_sk_base_func_proto`.
const SK: ProgSet = TC.or(XDP).or(SOCKET_FILTER).or(CGROUP_SKB).or(LWT).or(ProgSet::of(&[
    T::SOCK_OPS,
    T::SK_SKB,
    T::SK_MSG,
    T::CGROUP_SOCK_ADDR,
    T::FLOW_DISSECTOR,
    T::SK_LOOKUP,
    T::SYSCALL,
]));
/// Programs at a function's entry or exit.
const TRAMPOLINE: ProgSet = ProgSet::of(&[T::TRACING, T::LSM]);
/// Iterators.
const ITER: ProgSet = ProgSet::of(&[T::TRACING]);

const KEYED: MapSet = MapSet::of(&[
    MapType::HASH,
    MapType::ARRAY,
    MapType::PERCPU_HASH,
    MapType::PERCPU_ARRAY,
    MapType::LRU_HASH,
    MapType::LRU_PERCPU_HASH,
    MapType::LPM_TRIE,
]);
const LOOKED_UP: MapSet = KEYED.or(MapSet::of(&[
    MapType::ARRAY_OF_MAPS,
    MapType::HASH_OF_MAPS,
    MapType::DEVMAP,
    MapType::DEVMAP_HASH,
    MapType::XSKMAP,
    MapType::SOCKMAP,
    MapType::SOCKHASH,
]));
const ITERATED: MapSet = KEYED.without(MapSet::of(&[MapType::LPM_TRIE]));
const PER_CPU: MapSet = MapSet::of(&[MapType::PERCPU_ARRAY, MapType::PERCPU_HASH, MapType::LRU_PERCPU_HASH]);
const POPPED: MapSet = MapSet::of(&[MapType::QUEUE, MapType::STACK]);
const PUSHED: MapSet = POPPED.or(MapSet::of(&[MapType::BLOOM_FILTER]));
const REDIRECTED: MapSet =
    MapSet::of(&[MapType::DEVMAP, MapType::DEVMAP_HASH, MapType::CPUMAP, MapType::XSKMAP]);
const TIMED: MapSet = MapSet::of(&[MapType::HASH, MapType::LRU_HASH, MapType::ARRAY]);

/// What `tracing_prog_func_proto` serves.
const BTF_TRACE: ProgSet = ProgSet::of(&[T::TRACING, T::LSM, T::SYSCALL]);
/// Who may change maps of sockets, but for iterators (`may_update_sockmap`).
const UPDATES_SOCKETS: ProgSet = TC.or(XDP).or(SOCKET_FILTER).or(ProgSet::of(&[
    T::TRACING,
    T::SK_REUSEPORT,
    T::FLOW_DISSECTOR,
    T::SK_LOOKUP,
]));
/// Where they may: of tracing programs, iterators only.
const MAY_UPDATE_SOCKETS: &[Where] =
    &[NotAt(&[A::TRACE_RAW_TP, A::TRACE_FENTRY, A::TRACE_FEXIT, A::MODIFY_RETURN])];

/// Where programs run in a trampoline (`bpf_prog_has_trampoline`).
const TRAMPOLINES: &[A] = &[A::TRACE_FENTRY, A::TRACE_FEXIT, A::MODIFY_RETURN];
const TRAMPOLINE_ONLY: &[Only] = &[only(T::TRACING, &[At(TRAMPOLINES)]), only(T::LSM, &[At(&[A::LSM_MAC])])];
const ITER_ONLY: Only = only(T::TRACING, &[At(&[A::TRACE_ITER])]);
const LSM_CGROUP: Only = only(T::LSM, &[At(&[A::LSM_CGROUP])]);
const TCP_CONGESTION: Only = only(T::STRUCT_OPS, &[Ops(&["tcp_congestion_ops"])]);

/// `cgroup_common_func_proto`.
const RETVAL_ONLY: &[Only] = &[
    LSM_CGROUP,
    only(
        T::CGROUP_SOCK_ADDR,
        &[NotAt(&[
            A::CGROUP_UDP4_RECVMSG,
            A::CGROUP_UDP6_RECVMSG,
            A::CGROUP_UNIX_RECVMSG,
            A::CGROUP_INET4_GETPEERNAME,
            A::CGROUP_INET6_GETPEERNAME,
            A::CGROUP_UNIX_GETPEERNAME,
            A::CGROUP_INET4_GETSOCKNAME,
            A::CGROUP_INET6_GETSOCKNAME,
            A::CGROUP_UNIX_GETSOCKNAME,
        ])],
    ),
];

/// `cg_sockopt_func_proto`, `bpf_lsm_func_proto`, `bpf_tcp_ca_get_func_proto`, and the iterators
/// over sockets that have a `get_func_proto`.
const SOCKOPT_ONLY: &[Only] = &[
    only(T::CGROUP_SOCKOPT, &[At(&[A::CGROUP_SETSOCKOPT])]),
    ITER_ONLY,
    only(T::TRACING, &[Function(&["bpf_iter_tcp", "bpf_iter_unix"])]),
    LSM_CGROUP,
    only(
        T::LSM,
        &[Function(&[
            "bpf_lsm_sock_graft",
            "bpf_lsm_inet_csk_clone",
            "bpf_lsm_inet_conn_established",
            "bpf_lsm_socket_post_create",
            "bpf_lsm_socket_socketpair",
        ])],
    ),
    TCP_CONGESTION,
    only(T::STRUCT_OPS, &[NotMember(&["release"])]),
];

/// `bpf_sk_storage_tracing_allowed`.
const SK_STORAGE_ONLY: &[Only] = &[
    only(T::TRACING, &[At(&[A::TRACE_ITER, A::TRACE_RAW_TP, A::TRACE_FENTRY, A::TRACE_FEXIT])]),
    only(T::TRACING, &[NotPrefix("bpf_sk_storage")]),
    only(T::SYSCALL, &[]),
    TCP_CONGESTION,
];

/// `btf_allowlist_d_path`.
const D_PATH_FUNCTIONS: &[&str] = &[
    "security_file_permission",
    "security_inode_getattr",
    "security_file_open",
    "security_path_truncate",
    "vfs_truncate",
    "vfs_fallocate",
    "dentry_open",
    "vfs_getattr",
    "filp_close",
];

const CGROUP_STORAGES: MapSet = MapSet::of(&[MapType::CGROUP_STORAGE, MapType::PERCPU_CGROUP_STORAGE]);
const NO_MAP: MapSet = MapSet::NONE;
const SOCKETS: MapSet = MapSet::of(&[MapType::SOCKMAP, MapType::SOCKHASH]);

const fn only(kind: T, any: &'static [Where]) -> Only {
    Only { progs: of(&[kind]), any }
}

/// A variant for all licences, wherever the program is attached.
const fn variant(progs: ProgSet, maps: MapSet, args: &'static [Arg], ret: Ret, work: Work) -> Variant {
    Variant { progs, any: &[Anywhere], licence: Licence::Any, prototype: Prototype { args, ret, maps, work } }
}

const fn of(kinds: &[T]) -> ProgSet {
    ProgSet::of(kinds)
}

const fn map(kind: MapType) -> MapSet {
    MapSet::of(&[kind])
}

/// Every helper; the row of number `n` is at `n - 1`.
#[rustfmt::skip]
pub static HELPERS: &[Helper] = &[
    Helper::named(F::MAP_LOOKUP_ELEM, "map_lookup_elem", v(3, 19), ALL).effects(TAKES_PACKET)
        .on(LOOKED_UP, &[Map, MapKey], Ret::MapValueOrNull, Work::Key),
    Helper::named(F::MAP_UPDATE_ELEM, "map_update_elem", v(3, 19), ALL).effects(TAKES_PACKET)
        .on(KEYED, &[Map, MapKey, MapValue, Any], Ret::Int, Work::KeyValue)
        .variants(&[Variant { any: MAY_UPDATE_SOCKETS, ..variant(UPDATES_SOCKETS, KEYED.or(SOCKETS), &[Map, MapKey, MapValue, Any], Ret::Int, Work::KeyValue) }]),
    Helper::named(F::MAP_DELETE_ELEM, "map_delete_elem", v(3, 19), ALL).effects(TAKES_PACKET)
        .on(KEYED, &[Map, MapKey], Ret::Int, Work::Key)
        .variants(&[Variant { any: MAY_UPDATE_SOCKETS, ..variant(UPDATES_SOCKETS.or(of(&[T::SOCK_OPS])), KEYED.or(SOCKETS), &[Map, MapKey], Ret::Int, Work::Key) }]),
    Helper::named(F::PROBE_READ, "probe_read", v(4, 1), TRACE.or(of(&[T::SYSCALL]))).gpl()
        .call(&[OUT, Size(Allowed), Any], Ret::Int, Work::Bytes(2)),
    Helper::named(F::KTIME_GET_NS, "ktime_get_ns", v(4, 1), ALL)
        .call(&[], Ret::Int, Work::Fixed(1)),
    Helper::named(F::TRACE_PRINTK, "trace_printk", v(4, 1), ALL).gpl()
        .call(&[IN, Size(Refused), Unchecked, Unchecked, Unchecked], Ret::Int, Work::Bytes(2)),
    Helper::named(F::GET_PRANDOM_U32, "get_prandom_u32", v(4, 1), ALL)
        .call(&[], Ret::Int, Work::Fixed(1)),
    Helper::named(F::GET_SMP_PROCESSOR_ID, "get_smp_processor_id", v(4, 1), BASE).effects(Effects::FASTCALL)
        .call(&[], Ret::Cpu, Work::Fixed(1)),
    Helper::named(F::SKB_STORE_BYTES, "skb_store_bytes", v(4, 1), TC.or(of(&[T::LWT_XMIT, T::SK_SKB]))).effects(CHANGES_PACKET)
        .call(&[Ctx, Any, IN, Size(Refused), Any], Ret::Int, Work::Bytes(4)),
    Helper::named(F::L3_CSUM_REPLACE, "l3_csum_replace", v(4, 1), TC.or(of(&[T::LWT_XMIT]))).effects(CHANGES_PACKET)
        .call(&[Ctx, Any, Any, Any, Any], Ret::Int, Work::Fixed(1)),
    Helper::named(F::L4_CSUM_REPLACE, "l4_csum_replace", v(4, 1), TC.or(of(&[T::LWT_XMIT]))).effects(CHANGES_PACKET)
        .call(&[Ctx, Any, Any, Any, Any], Ret::Int, Work::Fixed(1)),
    Helper::named(F::TAIL_CALL, "tail_call", v(4, 2), ALL).effects(Effects::CHANGES_CALLERS_PACKET)
        .on(map(MapType::PROG_ARRAY), &[Ctx, Map, Any], Ret::Void, Work::Fixed(8)),
    Helper::named(F::CLONE_REDIRECT, "clone_redirect", v(4, 2), TC.or(of(&[T::LWT_XMIT]))).effects(CHANGES_PACKET)
        .call(&[Ctx, Any, Any], Ret::Int, Work::Fixed(64)),
    Helper::named(F::GET_CURRENT_PID_TGID, "get_current_pid_tgid", v(4, 2), BASE)
        .call(&[], Ret::Int, Work::Fixed(1)),
    Helper::named(F::GET_CURRENT_UID_GID, "get_current_uid_gid", v(4, 2), BASE)
        .call(&[], Ret::Int, Work::Fixed(1)),
    Helper::named(F::GET_CURRENT_COMM, "get_current_comm", v(4, 2), BASE)
        .call(&[OUT, Size(Refused)], Ret::Int, Work::Bytes(2)),
    Helper::named(F::GET_CGROUP_CLASSID, "get_cgroup_classid", v(4, 3), BASE)
        .call(&[], Ret::Int, Work::Fixed(1))
        .variants(&[variant(TC.or(LWT), NO_MAP, &[Ctx], Ret::Int, Work::Fixed(1))]),
    Helper::named(F::SKB_VLAN_PUSH, "skb_vlan_push", v(4, 3), TC).effects(CHANGES_PACKET)
        .call(&[Ctx, Any, Any], Ret::Int, Work::Fixed(8)),
    Helper::named(F::SKB_VLAN_POP, "skb_vlan_pop", v(4, 3), TC).effects(CHANGES_PACKET)
        .call(&[Ctx], Ret::Int, Work::Fixed(8)),
    Helper::named(F::SKB_GET_TUNNEL_KEY, "skb_get_tunnel_key", v(4, 3), TC.or(of(&[T::LWT_XMIT])))
        .call(&[Ctx, OUT, Size(Refused), Any], Ret::Int, Work::Bytes(3)),
    Helper::named(F::SKB_SET_TUNNEL_KEY, "skb_set_tunnel_key", v(4, 3), TC.or(of(&[T::LWT_XMIT])))
        .call(&[Ctx, IN, Size(Refused), Any], Ret::Int, Work::Bytes(3)),
    Helper::named(F::PERF_EVENT_READ, "perf_event_read", v(4, 3), BASE).gpl()
        .on(map(MapType::PERF_EVENT_ARRAY), &[Map, Any], Ret::Int, Work::Fixed(8)),
    Helper::named(F::REDIRECT, "redirect", v(4, 4), TC.or(XDP).or(of(&[T::LWT_XMIT])))
        .call(&[Any, Any], Ret::Int, Work::Fixed(1)),
    Helper::named(F::GET_ROUTE_REALM, "get_route_realm", v(4, 4), TC.or(LWT))
        .call(&[Ctx], Ret::Int, Work::Fixed(1)),
    Helper::named(F::PERF_EVENT_OUTPUT, "perf_event_output", v(4, 4), TC.or(XDP).or(LWT).or(TRACE).or(SOCKET_FILTER).or(CGROUP_SKB).or(of(&[T::CGROUP_SOCK, T::SOCK_OPS, T::SK_SKB, T::CGROUP_DEVICE, T::SK_MSG, T::CGROUP_SOCK_ADDR, T::CGROUP_SYSCTL, T::CGROUP_SOCKOPT, T::SK_LOOKUP, T::SYSCALL]))).gpl()
        .on(map(MapType::PERF_EVENT_ARRAY), &[Ctx, Map, Any, IN, Size(Allowed)], Ret::Int, Work::Bytes(5)),
    Helper::named(F::SKB_LOAD_BYTES, "skb_load_bytes", v(4, 5), TC.or(LWT).or(SOCKET_FILTER).or(CGROUP_SKB).or(of(&[T::SK_SKB, T::SK_REUSEPORT, T::FLOW_DISSECTOR])))
        .call(&[Ctx, Any, OUT, Size(Refused)], Ret::Int, Work::Bytes(4)),
    Helper::named(F::GET_STACKID, "get_stackid", v(4, 6), TRACE.or(of(&[T::SYSCALL]))).gpl()
        .on(map(MapType::STACK_TRACE), &[Ctx, Map, Any], Ret::Int, Work::Fixed(64))
        .variants(&[variant(of(&[T::PERF_EVENT]), map(MapType::STACK_TRACE), &[Ctx, Map, Any], Ret::Int, Work::Fixed(64))]),
    Helper::named(F::CSUM_DIFF, "csum_diff", v(4, 6), TC.or(XDP).or(LWT)).effects(TAKES_PACKET)
        .call(&[IN_OR_NULL, Size(Allowed), IN_OR_NULL, Size(Allowed), Any], Ret::Int, Work::TwoSizes(2, 4)),
    Helper::named(F::SKB_GET_TUNNEL_OPT, "skb_get_tunnel_opt", v(4, 6), TC.or(of(&[T::LWT_XMIT])))
        .call(&[Ctx, OUT, Size(Refused)], Ret::Int, Work::Bytes(3)),
    Helper::named(F::SKB_SET_TUNNEL_OPT, "skb_set_tunnel_opt", v(4, 6), TC.or(of(&[T::LWT_XMIT])))
        .call(&[Ctx, IN, Size(Refused)], Ret::Int, Work::Bytes(3)),
    Helper::named(F::SKB_CHANGE_PROTO, "skb_change_proto", v(4, 8), TC).effects(CHANGES_PACKET)
        .call(&[Ctx, Any, Any], Ret::Int, Work::Fixed(16)),
    Helper::named(F::SKB_CHANGE_TYPE, "skb_change_type", v(4, 8), TC)
        .call(&[Ctx, Any], Ret::Int, Work::Fixed(1)),
    Helper::named(F::SKB_UNDER_CGROUP, "skb_under_cgroup", v(4, 8), TC.or(LWT))
        .on(map(MapType::CGROUP_ARRAY), &[Ctx, Map, Any], Ret::Int, Work::Fixed(2)),
    Helper::named(F::GET_HASH_RECALC, "get_hash_recalc", v(4, 8), TC.or(LWT))
        .call(&[Ctx], Ret::Int, Work::Fixed(1)),
    Helper::named(F::GET_CURRENT_TASK, "get_current_task", v(4, 8), BASE).gpl()
        .call(&[], Ret::Int, Work::Fixed(1)),
    Helper::named(F::PROBE_WRITE_USER, "probe_write_user", v(4, 8), TRACE).gpl()
        .call(&[Any, IN, Size(Refused)], Ret::Int, Work::Bytes(3)),
    Helper::named(F::CURRENT_TASK_UNDER_CGROUP, "current_task_under_cgroup", v(4, 9), BASE)
        .on(map(MapType::CGROUP_ARRAY), &[Map, Any], Ret::Int, Work::Fixed(2)),
    Helper::named(F::SKB_CHANGE_TAIL, "skb_change_tail", v(4, 9), TC.or(of(&[T::LWT_XMIT, T::SK_SKB]))).effects(CHANGES_PACKET)
        .call(&[Ctx, Any, Any], Ret::Int, Work::Fixed(16)),
    Helper::named(F::SKB_PULL_DATA, "skb_pull_data", v(4, 9), TC.or(LWT).or(of(&[T::SK_SKB]))).effects(CHANGES_PACKET)
        .call(&[Ctx, Any], Ret::Int, Work::Fixed(16)),
    Helper::named(F::CSUM_UPDATE, "csum_update", v(4, 9), TC.or(of(&[T::LWT_XMIT])))
        .call(&[Ctx, Any], Ret::Int, Work::Fixed(1)),
    Helper::named(F::SET_HASH_INVALID, "set_hash_invalid", v(4, 9), TC.or(of(&[T::LWT_XMIT])))
        .call(&[Ctx], Ret::Int, Work::Fixed(1)),
    Helper::named(F::GET_NUMA_NODE_ID, "get_numa_node_id", v(4, 10), BASE)
        .call(&[], Ret::Int, Work::Fixed(1)),
    Helper::named(F::SKB_CHANGE_HEAD, "skb_change_head", v(4, 10), TC.or(of(&[T::LWT_XMIT, T::SK_SKB]))).effects(CHANGES_PACKET)
        .call(&[Ctx, Any, Any], Ret::Int, Work::Fixed(16)),
    Helper::named(F::XDP_ADJUST_HEAD, "xdp_adjust_head", v(4, 10), XDP).effects(CHANGES_PACKET)
        .call(&[Ctx, Any], Ret::Int, Work::Fixed(4)),
    Helper::named(F::PROBE_READ_STR, "probe_read_str", v(4, 11), TRACE.or(of(&[T::SYSCALL]))).gpl()
        .call(&[OUT, Size(Allowed), Any], Ret::UpToSize(2), Work::Bytes(2)),
    Helper::named(F::GET_SOCKET_COOKIE, "get_socket_cookie", v(4, 12), TC.or(SOCKET_FILTER).or(CGROUP_SKB).or(of(&[T::CGROUP_SOCK, T::SOCK_OPS, T::SK_SKB, T::CGROUP_SOCK_ADDR, T::SK_REUSEPORT, T::TRACING, T::SYSCALL])).or(of(&[T::LSM])))
        .call(&[Ctx], Ret::Int, Work::Fixed(1))
        .variants(&[variant(BTF_TRACE.or(of(&[T::SK_REUSEPORT])), NO_MAP, &[ANY_SOCK_OR_NULL], Ret::Int, Work::Fixed(1))]),
    Helper::named(F::GET_SOCKET_UID, "get_socket_uid", v(4, 12), TC.or(SOCKET_FILTER).or(CGROUP_SKB).or(of(&[T::SK_SKB])))
        .call(&[Ctx], Ret::Int, Work::Fixed(1)),
    Helper::named(F::SET_HASH, "set_hash", v(4, 13), TC)
        .call(&[Ctx, Any], Ret::Int, Work::Fixed(1)),
    Helper::named(F::SETSOCKOPT, "setsockopt", v(4, 13), of(&[T::SOCK_OPS, T::CGROUP_SOCK_ADDR, T::CGROUP_SOCKOPT, T::TRACING, T::LSM, T::STRUCT_OPS]))
        .call(&[Ctx, Any, Any, IN, Size(Refused)], Ret::Int, Work::Bytes(5))
        .variants(&[variant(of(&[T::CGROUP_SOCKOPT, T::TRACING, T::LSM, T::STRUCT_OPS]), NO_MAP, &[ANY_SOCK, Any, Any, IN, Size(Refused)], Ret::Int, Work::Bytes(5))])
        .only(SOCKOPT_ONLY),
    Helper::named(F::SKB_ADJUST_ROOM, "skb_adjust_room", v(4, 13), TC.or(of(&[T::SK_SKB]))).effects(CHANGES_PACKET)
        .call(&[Ctx, Any, Any, Any], Ret::Int, Work::Fixed(16)),
    Helper::named(F::REDIRECT_MAP, "redirect_map", v(4, 14), XDP)
        .on(REDIRECTED, &[Map, Any, Any], Ret::Int, Work::Fixed(4)),
    Helper::named(F::SK_REDIRECT_MAP, "sk_redirect_map", v(4, 14), of(&[T::SK_SKB]))
        .on(map(MapType::SOCKMAP), &[Ctx, Map, Any, Any], Ret::Int, Work::Fixed(4)),
    Helper::named(F::SOCK_MAP_UPDATE, "sock_map_update", v(4, 14), of(&[T::SOCK_OPS])).effects(TAKES_PACKET)
        .on(map(MapType::SOCKMAP), &[Ctx, Map, MapKey, Any], Ret::Int, Work::Key),
    Helper::named(F::XDP_ADJUST_META, "xdp_adjust_meta", v(4, 15), XDP).effects(CHANGES_PACKET)
        .call(&[Ctx, Any], Ret::Int, Work::Fixed(4)),
    Helper::named(F::PERF_EVENT_READ_VALUE, "perf_event_read_value", v(4, 15), BASE).gpl()
        .on(map(MapType::PERF_EVENT_ARRAY), &[Map, Any, OUT, Size(Refused)], Ret::Int, Work::Fixed(8)),
    Helper::named(F::PERF_PROG_READ_VALUE, "perf_prog_read_value", v(4, 15), of(&[T::PERF_EVENT])).gpl()
        .call(&[Ctx, OUT, Size(Refused)], Ret::Int, Work::Bytes(3)),
    Helper::named(F::GETSOCKOPT, "getsockopt", v(4, 15), of(&[T::SOCK_OPS, T::CGROUP_SOCK_ADDR, T::CGROUP_SOCKOPT, T::TRACING, T::LSM, T::STRUCT_OPS]))
        .call(&[Ctx, Any, Any, OUT, Size(Refused)], Ret::Int, Work::Bytes(5))
        .variants(&[variant(of(&[T::CGROUP_SOCKOPT, T::TRACING, T::LSM, T::STRUCT_OPS]), NO_MAP, &[ANY_SOCK, Any, Any, OUT, Size(Refused)], Ret::Int, Work::Bytes(5))])
        .only(SOCKOPT_ONLY),
    Helper::named(F::OVERRIDE_RETURN, "override_return", v(4, 16), of(&[T::KPROBE])).gpl()
        .call(&[Ctx, Any], Ret::Int, Work::Fixed(1)),
    Helper::named(F::SOCK_OPS_CB_FLAGS_SET, "sock_ops_cb_flags_set", v(4, 16), of(&[T::SOCK_OPS]))
        .call(&[Ctx, Any], Ret::Int, Work::Fixed(1)),
    Helper::named(F::MSG_REDIRECT_MAP, "msg_redirect_map", v(4, 17), of(&[T::SK_MSG]))
        .on(map(MapType::SOCKMAP), &[Ctx, Map, Any, Any], Ret::Int, Work::Fixed(4)),
    Helper::named(F::MSG_APPLY_BYTES, "msg_apply_bytes", v(4, 17), of(&[T::SK_MSG]))
        .call(&[Ctx, Any], Ret::Int, Work::Fixed(1)),
    Helper::named(F::MSG_CORK_BYTES, "msg_cork_bytes", v(4, 17), of(&[T::SK_MSG]))
        .call(&[Ctx, Any], Ret::Int, Work::Fixed(1)),
    Helper::named(F::MSG_PULL_DATA, "msg_pull_data", v(4, 17), of(&[T::SK_MSG])).effects(CHANGES_PACKET)
        .call(&[Ctx, Any, Any, Any], Ret::Int, Work::Fixed(16)),
    Helper::named(F::BIND, "bind", v(4, 17), of(&[T::CGROUP_SOCK_ADDR]))
        .call(&[Ctx, IN, Size(Refused)], Ret::Int, Work::Fixed(16))
        .only(&[only(T::CGROUP_SOCK_ADDR, &[At(&[A::CGROUP_INET4_CONNECT, A::CGROUP_INET6_CONNECT])])]),
    Helper::named(F::XDP_ADJUST_TAIL, "xdp_adjust_tail", v(4, 18), XDP).effects(CHANGES_PACKET)
        .call(&[Ctx, Any], Ret::Int, Work::Fixed(4)),
    Helper::named(F::SKB_GET_XFRM_STATE, "skb_get_xfrm_state", v(4, 18), TC)
        .call(&[Ctx, Any, OUT, Size(Refused), Any], Ret::Int, Work::Bytes(4)),
    Helper::named(F::GET_STACK, "get_stack", v(4, 18), TRACE.or(of(&[T::SYSCALL]))).gpl()
        .call(&[Ctx, OUT, Size(Allowed), Any], Ret::UpToSize(3), Work::Bytes(3)),
    Helper::named(F::SKB_LOAD_BYTES_RELATIVE, "skb_load_bytes_relative", v(4, 18), TC.or(SOCKET_FILTER).or(CGROUP_SKB).or(of(&[T::SK_REUSEPORT])))
        .call(&[Ctx, Any, OUT, Size(Refused), Any], Ret::Int, Work::Bytes(4)),
    Helper::named(F::FIB_LOOKUP, "fib_lookup", v(4, 18), TC.or(XDP)).gpl()
        .call(&[Ctx, IN_OUT, Size(Refused), Any], Ret::Int, Work::Fixed(64)),
    Helper::named(F::SOCK_HASH_UPDATE, "sock_hash_update", v(4, 18), of(&[T::SOCK_OPS])).effects(TAKES_PACKET)
        .on(map(MapType::SOCKHASH), &[Ctx, Map, MapKey, Any], Ret::Int, Work::Key),
    Helper::named(F::MSG_REDIRECT_HASH, "msg_redirect_hash", v(4, 18), of(&[T::SK_MSG]))
        .on(map(MapType::SOCKHASH), &[Ctx, Map, MapKey, Any], Ret::Int, Work::Key),
    Helper::named(F::SK_REDIRECT_HASH, "sk_redirect_hash", v(4, 18), of(&[T::SK_SKB]))
        .on(map(MapType::SOCKHASH), &[Ctx, Map, MapKey, Any], Ret::Int, Work::Key),
    Helper::named(F::LWT_PUSH_ENCAP, "lwt_push_encap", v(4, 18), of(&[T::LWT_IN, T::LWT_XMIT])).effects(CHANGES_PACKET)
        .call(&[Ctx, Any, IN, Size(Refused)], Ret::Int, Work::Bytes(4)),
    Helper::named(F::LWT_SEG6_STORE_BYTES, "lwt_seg6_store_bytes", v(4, 18), of(&[T::LWT_SEG6LOCAL])).effects(CHANGES_PACKET)
        .call(&[Ctx, Any, IN, Size(Refused)], Ret::Int, Work::Bytes(4)),
    Helper::named(F::LWT_SEG6_ADJUST_SRH, "lwt_seg6_adjust_srh", v(4, 18), of(&[T::LWT_SEG6LOCAL])).effects(CHANGES_PACKET)
        .call(&[Ctx, Any, Any], Ret::Int, Work::Fixed(16)),
    Helper::named(F::LWT_SEG6_ACTION, "lwt_seg6_action", v(4, 18), of(&[T::LWT_SEG6LOCAL])).effects(CHANGES_PACKET)
        .call(&[Ctx, Any, IN, Size(Refused)], Ret::Int, Work::Bytes(4)),
    Helper::named(F::RC_REPEAT, "rc_repeat", v(4, 18), of(&[T::LIRC_MODE2])).gpl()
        .call(&[Ctx], Ret::Int, Work::Fixed(4)),
    Helper::named(F::RC_KEYDOWN, "rc_keydown", v(4, 18), of(&[T::LIRC_MODE2])).gpl()
        .call(&[Ctx, Any, Any, Any], Ret::Int, Work::Fixed(4)),
    Helper::named(F::SKB_CGROUP_ID, "skb_cgroup_id", v(4, 18), TC.or(CGROUP_SKB))
        .call(&[Ctx], Ret::Int, Work::Fixed(1)),
    Helper::named(F::GET_CURRENT_CGROUP_ID, "get_current_cgroup_id", v(4, 18), BASE)
        .call(&[], Ret::Int, Work::Fixed(1)),
    Helper::named(F::GET_LOCAL_STORAGE, "get_local_storage", v(4, 19), CGROUP_SKB.or(of(&[T::CGROUP_SOCK, T::SOCK_OPS, T::CGROUP_DEVICE, T::CGROUP_SOCK_ADDR, T::CGROUP_SYSCTL, T::CGROUP_SOCKOPT])).or(of(&[T::LSM])))
        .on(CGROUP_STORAGES, &[Map, Any], Ret::MapValue, Work::Fixed(2))
        .only(&[LSM_CGROUP]),
    Helper::named(F::SK_SELECT_REUSEPORT, "sk_select_reuseport", v(4, 19), of(&[T::SK_REUSEPORT]))
        .on(SOCKETS.or(map(MapType::REUSEPORT_SOCKARRAY)), &[Ctx, Map, MapKey, Any], Ret::Int, Work::Key),
    Helper::named(F::SKB_ANCESTOR_CGROUP_ID, "skb_ancestor_cgroup_id", v(4, 19), TC.or(CGROUP_SKB))
        .call(&[Ctx, Any], Ret::Int, Work::Fixed(1)),
    Helper::named(F::SK_LOOKUP_TCP, "sk_lookup_tcp", v(4, 20), TC.or(XDP).or(CGROUP_SKB).or(of(&[T::SK_SKB, T::CGROUP_SOCK_ADDR]))).effects(TAKES_PACKET).effects(ACQUIRES)
        .call(&[Ctx, IN, Size(Allowed), Any, Any], Ret::SocketOrNull(Sock::Full), Work::Fixed(64)),
    Helper::named(F::SK_LOOKUP_UDP, "sk_lookup_udp", v(4, 20), TC.or(XDP).or(CGROUP_SKB).or(of(&[T::SK_SKB, T::CGROUP_SOCK_ADDR]))).effects(TAKES_PACKET).effects(ACQUIRES)
        .call(&[Ctx, IN, Size(Allowed), Any, Any], Ret::SocketOrNull(Sock::Full), Work::Fixed(64)),
    Helper::named(F::SK_RELEASE, "sk_release", v(4, 20), TC.or(XDP).or(CGROUP_SKB).or(of(&[T::SK_SKB, T::CGROUP_SOCK_ADDR, T::SK_LOOKUP])))
        .call(&[SocketRelease], Ret::Int, Work::Fixed(2)),
    Helper::named(F::MAP_PUSH_ELEM, "map_push_elem", v(4, 20), ALL).effects(TAKES_PACKET)
        .on(PUSHED, &[Map, MapValue, Any], Ret::Int, Work::Value),
    Helper::named(F::MAP_POP_ELEM, "map_pop_elem", v(4, 20), ALL)
        .on(POPPED, &[Map, MapValueOut], Ret::Int, Work::Value),
    Helper::named(F::MAP_PEEK_ELEM, "map_peek_elem", v(4, 20), ALL)
        .on(PUSHED, &[Map, MapValueOut], Ret::Int, Work::Value),
    Helper::named(F::MSG_PUSH_DATA, "msg_push_data", v(4, 20), of(&[T::SK_MSG])).effects(CHANGES_PACKET)
        .call(&[Ctx, Any, Any, Any], Ret::Int, Work::Fixed(16)),
    Helper::named(F::MSG_POP_DATA, "msg_pop_data", v(5, 0), of(&[T::SK_MSG])).effects(CHANGES_PACKET)
        .call(&[Ctx, Any, Any, Any], Ret::Int, Work::Fixed(16)),
    Helper::named(F::RC_POINTER_REL, "rc_pointer_rel", v(5, 0), of(&[T::LIRC_MODE2])).gpl()
        .call(&[Ctx, Any, Any], Ret::Int, Work::Fixed(4)),
    Helper::named(F::SPIN_LOCK, "spin_lock", v(5, 1), BASE)
        .call(&[SpinLock], Ret::Void, Work::Fixed(1)),
    Helper::named(F::SPIN_UNLOCK, "spin_unlock", v(5, 1), BASE)
        .call(&[SpinLock], Ret::Void, Work::Fixed(1)),
    Helper::named(F::SK_FULLSOCK, "sk_fullsock", v(5, 1), TC.or(CGROUP_SKB)).effects(CASTS)
        .call(&[TABLE_SOCK], Ret::SocketOrNull(Sock::Full), Work::Fixed(1)),
    Helper::named(F::TCP_SOCK, "tcp_sock", v(5, 1), TC.or(CGROUP_SKB).or(of(&[T::SOCK_OPS, T::CGROUP_SOCKOPT]))).effects(CASTS)
        .call(&[TABLE_SOCK], Ret::SocketOrNull(Sock::Tcp), Work::Fixed(1)),
    Helper::named(F::SKB_ECN_SET_CE, "skb_ecn_set_ce", v(5, 1), TC.or(CGROUP_SKB))
        .call(&[Ctx], Ret::Int, Work::Fixed(4)),
    Helper::named(F::GET_LISTENER_SOCK, "get_listener_sock", v(5, 1), TC.or(CGROUP_SKB))
        .call(&[TABLE_SOCK], Ret::SocketOrNull(Sock::Full), Work::Fixed(1)),
    Helper::named(F::SKC_LOOKUP_TCP, "skc_lookup_tcp", v(5, 2), TC.or(XDP).or(CGROUP_SKB).or(of(&[T::SK_SKB, T::CGROUP_SOCK_ADDR]))).effects(TAKES_PACKET).effects(ACQUIRES)
        .call(&[Ctx, IN, Size(Allowed), Any, Any], Ret::SocketOrNull(Sock::Common), Work::Fixed(64)),
    Helper::named(F::TCP_CHECK_SYNCOOKIE, "tcp_check_syncookie", v(5, 2), TC.or(XDP)).gpl().effects(TAKES_PACKET)
        .call(&[ANY_SOCK, IN, Size(Refused), IN, Size(Refused)], Ret::Int, Work::TwoSizes(3, 5)),
    Helper::named(F::SYSCTL_GET_NAME, "sysctl_get_name", v(5, 2), of(&[T::CGROUP_SYSCTL]))
        .call(&[Ctx, OUT, Size(Refused), Any], Ret::Int, Work::Bytes(3)),
    Helper::named(F::SYSCTL_GET_CURRENT_VALUE, "sysctl_get_current_value", v(5, 2), of(&[T::CGROUP_SYSCTL]))
        .call(&[Ctx, OUT, Size(Refused)], Ret::Int, Work::Bytes(3)),
    Helper::named(F::SYSCTL_GET_NEW_VALUE, "sysctl_get_new_value", v(5, 2), of(&[T::CGROUP_SYSCTL]))
        .call(&[Ctx, OUT, Size(Refused)], Ret::Int, Work::Bytes(3)),
    Helper::named(F::SYSCTL_SET_NEW_VALUE, "sysctl_set_new_value", v(5, 2), of(&[T::CGROUP_SYSCTL]))
        .call(&[Ctx, IN, Size(Refused)], Ret::Int, Work::Bytes(3)),
    Helper::named(F::STRTOL, "strtol", v(5, 2), BASE)
        .call(&[IN, Size(Refused), Any, Fixed { bytes: 8, access: Write }], Ret::Int, Work::Bytes(2)),
    Helper::named(F::STRTOUL, "strtoul", v(5, 2), BASE)
        .call(&[IN, Size(Refused), Any, Fixed { bytes: 8, access: Write }], Ret::Int, Work::Bytes(2)),
    Helper::named(F::SK_STORAGE_GET, "sk_storage_get", v(5, 2), TC.or(CGROUP_SKB).or(of(&[T::CGROUP_SOCK, T::SOCK_OPS, T::SK_MSG, T::CGROUP_SOCK_ADDR, T::CGROUP_SOCKOPT, T::TRACING, T::SYSCALL])).or(of(&[T::LSM, T::STRUCT_OPS])))
        .on(map(MapType::SK_STORAGE), &[Map, ANY_SOCK, MapValueOrNull, Any], Ret::MapValueOrNull, Work::Value)
        .variants(&[
            variant(of(&[T::CGROUP_SOCK]), map(MapType::SK_STORAGE), &[Map, Ctx, MapValueOrNull, Any], Ret::MapValueOrNull, Work::Value),
            variant(of(&[T::TRACING, T::SYSCALL]), map(MapType::SK_STORAGE), &[Map, Btf("sock_common", Nullable::Yes), MapValueOrNull, Any], Ret::MapValueOrNull, Work::Value),
        ])
        .only(SK_STORAGE_ONLY),
    Helper::named(F::SK_STORAGE_DELETE, "sk_storage_delete", v(5, 2), TC.or(CGROUP_SKB).or(of(&[T::SOCK_OPS, T::SK_MSG, T::CGROUP_SOCK_ADDR, T::CGROUP_SOCKOPT, T::TRACING, T::SYSCALL])).or(of(&[T::LSM, T::STRUCT_OPS])))
        .on(map(MapType::SK_STORAGE), &[Map, ANY_SOCK], Ret::Int, Work::Fixed(4))
        .variants(&[variant(of(&[T::TRACING, T::SYSCALL]), map(MapType::SK_STORAGE), &[Map, Btf("sock_common", Nullable::Yes)], Ret::Int, Work::Fixed(4))])
        .only(SK_STORAGE_ONLY),
    Helper::named(F::SEND_SIGNAL, "send_signal", v(5, 3), BASE)
        .call(&[Any], Ret::Int, Work::Fixed(1)),
    Helper::named(F::TCP_GEN_SYNCOOKIE, "tcp_gen_syncookie", v(5, 4), TC.or(XDP)).gpl().effects(TAKES_PACKET)
        .call(&[ANY_SOCK, IN, Size(Refused), IN, Size(Refused)], Ret::Int, Work::TwoSizes(3, 5)),
    Helper::named(F::SKB_OUTPUT, "skb_output", v(5, 5), of(&[T::TRACING, T::SYSCALL]).or(of(&[T::LSM]))).gpl()
        .on(map(MapType::PERF_EVENT_ARRAY), &[Btf("sk_buff", Nullable::No), Map, Any, IN, Size(Allowed)], Ret::Int, Work::Bytes(5)),
    Helper::named(F::PROBE_READ_USER, "probe_read_user", v(5, 5), BASE).gpl()
        .call(&[OUT, Size(Allowed), Any], Ret::Int, Work::Bytes(2)),
    Helper::named(F::PROBE_READ_KERNEL, "probe_read_kernel", v(5, 5), BASE).gpl()
        .call(&[OUT, Size(Allowed), Any], Ret::Int, Work::Bytes(2)),
    Helper::named(F::PROBE_READ_USER_STR, "probe_read_user_str", v(5, 5), BASE).gpl()
        .call(&[OUT, Size(Allowed), Any], Ret::UpToSize(2), Work::Bytes(2)),
    Helper::named(F::PROBE_READ_KERNEL_STR, "probe_read_kernel_str", v(5, 5), BASE).gpl()
        .call(&[OUT, Size(Allowed), Any], Ret::UpToSize(2), Work::Bytes(2)),
    Helper::named(F::TCP_SEND_ACK, "tcp_send_ack", v(5, 6), of(&[T::STRUCT_OPS]))
        .call(&[Btf("tcp_sock", Nullable::No), Any], Ret::Int, Work::Fixed(16))
        .only(&[TCP_CONGESTION]),
    Helper::named(F::SEND_SIGNAL_THREAD, "send_signal_thread", v(5, 6), BASE)
        .call(&[Any], Ret::Int, Work::Fixed(1)),
    Helper::named(F::JIFFIES64, "jiffies64", v(5, 6), BASE)
        .call(&[], Ret::Int, Work::Fixed(1)),
    Helper::named(F::READ_BRANCH_RECORDS, "read_branch_records", v(5, 7), of(&[T::PERF_EVENT])).gpl()
        .call(&[Ctx, OUT_OR_NULL, Size(Allowed), Any], Ret::Int, Work::Bytes(3)),
    Helper::named(F::GET_NS_CURRENT_PID_TGID, "get_ns_current_pid_tgid", v(5, 7), BASE)
        .call(&[Any, Any, OUT, Size(Refused)], Ret::Int, Work::Fixed(1)),
    Helper::named(F::XDP_OUTPUT, "xdp_output", v(5, 7), of(&[T::TRACING, T::SYSCALL]).or(of(&[T::LSM]))).gpl()
        .on(map(MapType::PERF_EVENT_ARRAY), &[Btf("xdp_buff", Nullable::No), Map, Any, IN, Size(Allowed)], Ret::Int, Work::Bytes(5)),
    Helper::named(F::GET_NETNS_COOKIE, "get_netns_cookie", v(5, 7), TC.or(SOCKET_FILTER).or(CGROUP_SKB).or(of(&[T::CGROUP_SOCK, T::SOCK_OPS, T::SK_MSG, T::CGROUP_SOCK_ADDR, T::CGROUP_SOCKOPT])))
        .call(&[CtxOrNull], Ret::Int, Work::Fixed(1)),
    Helper::named(F::GET_CURRENT_ANCESTOR_CGROUP_ID, "get_current_ancestor_cgroup_id", v(5, 7), BASE)
        .call(&[Any], Ret::Int, Work::Fixed(1)),
    Helper::named(F::SK_ASSIGN, "sk_assign", v(5, 7), TC.or(of(&[T::SK_LOOKUP])))
        .call(&[Ctx, ANY_SOCK, Any], Ret::Int, Work::Fixed(2))
        .variants(&[variant(of(&[T::SK_LOOKUP]), NO_MAP, &[Ctx, Socket(SocketArg::Full, Nullable::Yes), Any], Ret::Int, Work::Fixed(2))]),
    Helper::named(F::KTIME_GET_BOOT_NS, "ktime_get_boot_ns", v(5, 8), ALL)
        .call(&[], Ret::Int, Work::Fixed(1)),
    Helper::named(F::SEQ_PRINTF, "seq_printf", v(5, 8), ITER).gpl()
        .call(&[Btf("seq_file", Nullable::No), IN, Size(Refused), IN_OR_NULL, Size(Allowed)], Ret::Int, Work::TwoSizes(3, 5))
        .only(&[ITER_ONLY]),
    Helper::named(F::SEQ_WRITE, "seq_write", v(5, 8), ITER).gpl()
        .call(&[Btf("seq_file", Nullable::No), IN, Size(Allowed)], Ret::Int, Work::Bytes(3))
        .only(&[ITER_ONLY]),
    Helper::named(F::SK_CGROUP_ID, "sk_cgroup_id", v(5, 8), CGROUP_SKB)
        .call(&[ANY_SOCK], Ret::Int, Work::Fixed(1)),
    Helper::named(F::SK_ANCESTOR_CGROUP_ID, "sk_ancestor_cgroup_id", v(5, 8), CGROUP_SKB)
        .call(&[ANY_SOCK, Any], Ret::Int, Work::Fixed(1)),
    Helper::named(F::RINGBUF_OUTPUT, "ringbuf_output", v(5, 8), BASE)
        .on(map(MapType::RINGBUF), &[Map, IN, Size(Allowed), Any], Ret::Int, Work::Bytes(3)),
    Helper::named(F::RINGBUF_RESERVE, "ringbuf_reserve", v(5, 8), BASE).effects(ACQUIRES)
        .on(map(MapType::RINGBUF), &[Map, AllocSize, Any], Ret::RecordOrNull, Work::Bytes(2)),
    Helper::named(F::RINGBUF_SUBMIT, "ringbuf_submit", v(5, 8), BASE)
        .call(&[Record, Any], Ret::Void, Work::Fixed(4)),
    Helper::named(F::RINGBUF_DISCARD, "ringbuf_discard", v(5, 8), BASE)
        .call(&[Record, Any], Ret::Void, Work::Fixed(4)),
    Helper::named(F::RINGBUF_QUERY, "ringbuf_query", v(5, 8), BASE)
        .on(map(MapType::RINGBUF), &[Map, Any], Ret::Int, Work::Fixed(2)),
    Helper::named(F::CSUM_LEVEL, "csum_level", v(5, 8), TC.or(of(&[T::LWT_XMIT])))
        .call(&[Ctx, Any], Ret::Int, Work::Fixed(1)),
    Helper::named(F::SKC_TO_TCP6_SOCK, "skc_to_tcp6_sock", v(5, 9), SK.or(of(&[T::TRACING, T::LSM]))).effects(CASTS)
        .call(&[ANY_SOCK], Ret::BtfOrNull("tcp6_sock"), Work::Fixed(1)),
    Helper::named(F::SKC_TO_TCP_SOCK, "skc_to_tcp_sock", v(5, 9), SK.or(of(&[T::TRACING, T::LSM]))).effects(CASTS)
        .call(&[ANY_SOCK], Ret::BtfOrNull("tcp_sock"), Work::Fixed(1)),
    Helper::named(F::SKC_TO_TCP_TIMEWAIT_SOCK, "skc_to_tcp_timewait_sock", v(5, 9), SK.or(of(&[T::TRACING, T::LSM]))).effects(CASTS)
        .call(&[ANY_SOCK], Ret::BtfOrNull("tcp_timewait_sock"), Work::Fixed(1)),
    Helper::named(F::SKC_TO_TCP_REQUEST_SOCK, "skc_to_tcp_request_sock", v(5, 9), SK.or(of(&[T::TRACING, T::LSM]))).effects(CASTS)
        .call(&[ANY_SOCK], Ret::BtfOrNull("tcp_request_sock"), Work::Fixed(1)),
    Helper::named(F::SKC_TO_UDP6_SOCK, "skc_to_udp6_sock", v(5, 9), SK.or(of(&[T::TRACING, T::LSM]))).effects(CASTS)
        .call(&[ANY_SOCK], Ret::BtfOrNull("udp6_sock"), Work::Fixed(1)),
    Helper::named(F::GET_TASK_STACK, "get_task_stack", v(5, 9), BASE)
        .call(&[TASK, OUT, Size(Allowed), Any], Ret::UpToSize(3), Work::Bytes(3)),
    Helper::named(F::LOAD_HDR_OPT, "load_hdr_opt", v(5, 10), of(&[T::SOCK_OPS]))
        .call(&[Ctx, IN_OUT, Size(Refused), Any], Ret::Int, Work::Bytes(3)),
    Helper::named(F::STORE_HDR_OPT, "store_hdr_opt", v(5, 10), of(&[T::SOCK_OPS])).effects(CHANGES_PACKET)
        .call(&[Ctx, IN, Size(Refused), Any], Ret::Int, Work::Bytes(3)),
    Helper::named(F::RESERVE_HDR_OPT, "reserve_hdr_opt", v(5, 10), of(&[T::SOCK_OPS]))
        .call(&[Ctx, Any, Any], Ret::Int, Work::Fixed(1)),
    Helper::named(F::INODE_STORAGE_GET, "inode_storage_get", v(5, 10), of(&[T::LSM]))
        .on(map(MapType::INODE_STORAGE), &[Map, Btf("inode", Nullable::Yes), MapValueOrNull, Any], Ret::MapValueOrNull, Work::Value),
    Helper::named(F::INODE_STORAGE_DELETE, "inode_storage_delete", v(5, 10), of(&[T::LSM]))
        .on(map(MapType::INODE_STORAGE), &[Map, Btf("inode", Nullable::Yes)], Ret::Int, Work::Fixed(4)),
    Helper::named(F::D_PATH, "d_path", v(5, 10), of(&[T::TRACING, T::SYSCALL]).or(of(&[T::LSM])))
        .call(&[Btf("path", Nullable::No), OUT, Size(Allowed)], Ret::Int, Work::Bytes(3))
        .only(&[
            only(T::TRACING, &[At(&[A::TRACE_ITER]), Function(D_PATH_FUNCTIONS)]),
            only(T::LSM, &[SleepableHook]),
            only(T::SYSCALL, &[]),
        ]),
    Helper::named(F::COPY_FROM_USER, "copy_from_user", v(5, 10), BASE).effects(SLEEPS)
        .call(&[OUT, Size(Allowed), Any], Ret::Int, Work::Bytes(2)),
    Helper::named(F::SNPRINTF_BTF, "snprintf_btf", v(5, 10), BASE)
        .call(&[OUT, Size(Refused), IN, Size(Refused), Any], Ret::Int, Work::Bytes(2)),
    Helper::named(F::SEQ_PRINTF_BTF, "seq_printf_btf", v(5, 10), ITER).gpl()
        .call(&[Btf("seq_file", Nullable::No), IN, Size(Allowed), Any], Ret::Int, Work::Fixed(64))
        .only(&[ITER_ONLY]),
    Helper::named(F::SKB_CGROUP_CLASSID, "skb_cgroup_classid", v(5, 10), TC)
        .call(&[Ctx], Ret::Int, Work::Fixed(1)),
    Helper::named(F::REDIRECT_NEIGH, "redirect_neigh", v(5, 10), TC)
        .call(&[Any, IN_OR_NULL, Size(Allowed), Any], Ret::Int, Work::Bytes(3)),
    Helper::named(F::PER_CPU_PTR, "per_cpu_ptr", v(5, 10), BASE)
        .call(&[PercpuBtf, Any], Ret::PercpuOrNull, Work::Fixed(1)),
    Helper::named(F::THIS_CPU_PTR, "this_cpu_ptr", v(5, 10), BASE)
        .call(&[PercpuBtf], Ret::Percpu, Work::Fixed(1)),
    Helper::named(F::REDIRECT_PEER, "redirect_peer", v(5, 10), TC)
        .call(&[Any, Any], Ret::Int, Work::Fixed(1)),
    Helper::named(F::TASK_STORAGE_GET, "task_storage_get", v(5, 11), BASE)
        .on(map(MapType::TASK_STORAGE), &[Map, Btf("task_struct", Nullable::Yes), MapValueOrNull, Any], Ret::MapValueOrNull, Work::Value),
    Helper::named(F::TASK_STORAGE_DELETE, "task_storage_delete", v(5, 11), BASE)
        .on(map(MapType::TASK_STORAGE), &[Map, Btf("task_struct", Nullable::Yes)], Ret::Int, Work::Fixed(4)),
    Helper::named(F::GET_CURRENT_TASK_BTF, "get_current_task_btf", v(5, 11), BASE).gpl()
        .call(&[], Ret::Btf("task_struct", Trust::Trusted), Work::Fixed(1)),
    Helper::named(F::BPRM_OPTS_SET, "bprm_opts_set", v(5, 11), of(&[T::LSM]))
        .call(&[Btf("linux_binprm", Nullable::No), Any], Ret::Int, Work::Fixed(1)),
    Helper::named(F::KTIME_GET_COARSE_NS, "ktime_get_coarse_ns", v(5, 11), TC.or(XDP).or(LWT).or(SOCKET_FILTER).or(CGROUP_SKB).or(of(&[T::CGROUP_SOCK, T::SOCK_OPS, T::SK_SKB, T::SK_MSG, T::CGROUP_SOCK_ADDR, T::SK_REUSEPORT, T::FLOW_DISSECTOR, T::CGROUP_SYSCTL, T::SK_LOOKUP])).or(of(&[T::STRUCT_OPS])))
        .call(&[], Ret::Int, Work::Fixed(1))
        .only(&[TCP_CONGESTION]),
    Helper::named(F::IMA_INODE_HASH, "ima_inode_hash", v(5, 11), of(&[T::LSM])).effects(SLEEPS)
        .call(&[Btf("inode", Nullable::No), OUT, Size(Refused)], Ret::Int, Work::Bytes(3))
        .only(&[only(T::LSM, &[SleepableHook])]),
    Helper::named(F::SOCK_FROM_FILE, "sock_from_file", v(5, 11), of(&[T::TRACING, T::SYSCALL]).or(of(&[T::LSM])))
        .call(&[Btf("file", Nullable::No)], Ret::BtfOrNull("socket"), Work::Fixed(1)),
    Helper::named(F::CHECK_MTU, "check_mtu", v(5, 12), TC.or(XDP)).gpl()
        .call(&[Ctx, Any, Fixed { bytes: 4, access: ReadWrite }, Any, Any], Ret::Int, Work::Fixed(2)),
    Helper::named(F::FOR_EACH_MAP_ELEM, "for_each_map_elem", v(5, 13), BASE)
        .on(ITERATED, &[Map, Func(Callback::MapElem), StackOrNull, Any], Ret::Int, Work::PerCallback),
    Helper::named(F::SNPRINTF, "snprintf", v(5, 13), BASE).gpl()
        .call(&[OUT_OR_NULL, Size(Allowed), ConstStr, IN_OR_NULL, Size(Allowed)], Ret::Int, Work::TwoSizes(2, 5)),
    Helper::named(F::SYS_BPF, "sys_bpf", v(5, 14), of(&[T::SYSCALL]))
        .call(&[Any, IN, Size(Refused)], Ret::Int, Work::Fixed(64)),
    Helper::named(F::BTF_FIND_BY_NAME_KIND, "btf_find_by_name_kind", v(5, 14), of(&[T::SYSCALL]))
        .call(&[IN, Size(Refused), Any, Any], Ret::Int, Work::Fixed(64)),
    Helper::named(F::SYS_CLOSE, "sys_close", v(5, 14), of(&[T::SYSCALL]))
        .call(&[Any], Ret::Int, Work::Fixed(16)),
    Helper::named(F::TIMER_INIT, "timer_init", v(5, 15), BASE).gpl()
        .on(TIMED, &[Timer, Map, Any], Ret::Int, Work::Fixed(8)),
    Helper::named(F::TIMER_SET_CALLBACK, "timer_set_callback", v(5, 15), BASE).gpl()
        .call(&[Timer, Func(Callback::Timer)], Ret::Int, Work::Fixed(4)),
    Helper::named(F::TIMER_START, "timer_start", v(5, 15), BASE).gpl()
        .call(&[Timer, Any, Any], Ret::Int, Work::Fixed(8)),
    Helper::named(F::TIMER_CANCEL, "timer_cancel", v(5, 15), BASE).gpl()
        .call(&[Timer], Ret::Int, Work::Fixed(8)),
    Helper::named(F::GET_FUNC_IP, "get_func_ip", v(5, 15), of(&[T::KPROBE, T::TRACING])).gpl()
        .call(&[Ctx], Ret::Int, Work::Fixed(1))
        .variants(&[Variant {
            any: &[At(&[A::TRACE_KPROBE_MULTI, A::TRACE_KPROBE_SESSION, A::TRACE_UPROBE_MULTI, A::TRACE_UPROBE_SESSION])],
            ..variant(of(&[T::KPROBE]), NO_MAP, &[Ctx], Ret::Int, Work::Fixed(1))
        }])
        .only(&[only(T::TRACING, &[At(TRAMPOLINES)])]),
    Helper::named(F::GET_ATTACH_COOKIE, "get_attach_cookie", v(5, 15), TRACE)
        .call(&[Ctx], Ret::Int, Work::Fixed(1))
        .only(&[
            only(T::TRACING, &[At(TRAMPOLINES), At(&[A::TRACE_RAW_TP])]),
            only(T::LSM, &[At(&[A::LSM_MAC])]),
        ]),
    Helper::named(F::TASK_PT_REGS, "task_pt_regs", v(5, 15), BASE).gpl()
        .call(&[TASK], Ret::Btf("pt_regs", Trust::Legacy), Work::Fixed(1)),
    Helper::named(F::GET_BRANCH_SNAPSHOT, "get_branch_snapshot", v(5, 16), BASE).gpl()
        .call(&[OUT, Size(Allowed), Unchecked], Ret::Int, Work::Bytes(2)),
    Helper::named(F::TRACE_VPRINTK, "trace_vprintk", v(5, 16), BASE).gpl()
        .call(&[IN, Size(Refused), IN_OR_NULL, Size(Allowed)], Ret::Int, Work::TwoSizes(2, 4)),
    Helper::named(F::SKC_TO_UNIX_SOCK, "skc_to_unix_sock", v(5, 16), SK.or(of(&[T::TRACING, T::LSM])))
        .call(&[ANY_SOCK], Ret::BtfOrNull("unix_sock"), Work::Fixed(1)),
    Helper::named(F::KALLSYMS_LOOKUP_NAME, "kallsyms_lookup_name", v(5, 16), of(&[T::SYSCALL]))
        .call(&[IN, Size(Allowed), Any, Fixed { bytes: 8, access: Write }], Ret::Int, Work::Fixed(64)),
    Helper::named(F::FIND_VMA, "find_vma", v(5, 17), BASE)
        .call(&[TASK, Any, Func(Callback::Vma), StackOrNull, Any], Ret::Int, Work::PerCallback),
    Helper::named(F::LOOP, "loop", v(5, 17), BASE)
        .call(&[Any, Func(Callback::Loop), StackOrNull, Any], Ret::Int, Work::PerCallback),
    Helper::named(F::STRNCMP, "strncmp", v(5, 17), BASE)
        .call(&[IN, Size(Refused), ConstStr], Ret::Int, Work::Bytes(2)),
    Helper::named(F::GET_FUNC_ARG, "get_func_arg", v(5, 17), TRAMPOLINE)
        .call(&[Ctx, Any, Fixed { bytes: 8, access: Write }], Ret::Int, Work::Fixed(1))
        .only(TRAMPOLINE_ONLY),
    Helper::named(F::GET_FUNC_RET, "get_func_ret", v(5, 17), TRAMPOLINE)
        .call(&[Ctx, Fixed { bytes: 8, access: Write }], Ret::Int, Work::Fixed(1))
        .only(TRAMPOLINE_ONLY),
    Helper::named(F::GET_FUNC_ARG_CNT, "get_func_arg_cnt", v(5, 17), TRAMPOLINE)
        .call(&[Ctx], Ret::Int, Work::Fixed(1))
        .only(TRAMPOLINE_ONLY),
    Helper::named(F::GET_RETVAL, "get_retval", v(5, 18), of(&[T::CGROUP_SOCK, T::CGROUP_DEVICE, T::CGROUP_SOCK_ADDR, T::CGROUP_SYSCTL, T::CGROUP_SOCKOPT]).or(of(&[T::LSM])))
        .call(&[], Ret::Int, Work::Fixed(1))
        .only(RETVAL_ONLY),
    Helper::named(F::SET_RETVAL, "set_retval", v(5, 18), of(&[T::CGROUP_SOCK, T::CGROUP_DEVICE, T::CGROUP_SOCK_ADDR, T::CGROUP_SYSCTL, T::CGROUP_SOCKOPT]).or(of(&[T::LSM])))
        .call(&[Any], Ret::Int, Work::Fixed(1))
        .only(RETVAL_ONLY),
    Helper::named(F::XDP_GET_BUFF_LEN, "xdp_get_buff_len", v(5, 18), XDP.or(of(&[T::TRACING, T::SYSCALL])).or(of(&[T::LSM])))
        .call(&[Ctx], Ret::Int, Work::Fixed(1))
        .variants(&[variant(BTF_TRACE, NO_MAP, &[Btf("xdp_buff", Nullable::No)], Ret::Int, Work::Fixed(1))]),
    Helper::named(F::XDP_LOAD_BYTES, "xdp_load_bytes", v(5, 18), XDP)
        .call(&[Ctx, Any, OUT, Size(Refused)], Ret::Int, Work::Bytes(4)),
    Helper::named(F::XDP_STORE_BYTES, "xdp_store_bytes", v(5, 18), XDP)
        .call(&[Ctx, Any, IN, Size(Refused)], Ret::Int, Work::Bytes(4)),
    Helper::named(F::COPY_FROM_USER_TASK, "copy_from_user_task", v(5, 18), BASE).gpl().effects(SLEEPS)
        .call(&[OUT, Size(Allowed), Any, TASK, Any], Ret::Int, Work::Bytes(2)),
    Helper::named(F::SKB_SET_TSTAMP, "skb_set_tstamp", v(5, 18), TC)
        .call(&[Ctx, Any, Any], Ret::Int, Work::Fixed(1)),
    Helper::named(F::IMA_FILE_HASH, "ima_file_hash", v(5, 18), of(&[T::LSM])).effects(SLEEPS)
        .call(&[Btf("file", Nullable::No), OUT, Size(Refused)], Ret::Int, Work::Bytes(3))
        .only(&[only(T::LSM, &[SleepableHook])]),
    Helper::named(F::KPTR_XCHG, "kptr_xchg", v(5, 19), BASE).effects(ACQUIRES)
        .call(&[KptrField, KptrOrNull], Ret::KptrOrNull, Work::Fixed(2)),
    Helper::named(F::MAP_LOOKUP_PERCPU_ELEM, "map_lookup_percpu_elem", v(5, 19), BASE).effects(TAKES_PACKET)
        .on(PER_CPU, &[Map, MapKey, Any], Ret::MapValueOrNull, Work::Key),
    Helper::named(F::SKC_TO_MPTCP_SOCK, "skc_to_mptcp_sock", v(5, 19), SK.or(of(&[T::TRACING, T::LSM]))).effects(CASTS)
        .call(&[TABLE_SOCK], Ret::BtfOrNull("mptcp_sock"), Work::Fixed(1)),
    // Linux wants the memory of this one to be a map value ("Unsupported reg type … for bpf_dynptr_from_mem data").
    Helper::named(F::DYNPTR_FROM_MEM, "dynptr_from_mem", v(5, 19), BASE)
        .call(&[OUT, Size(Allowed), Any, Dynptr(NewLocal)], Ret::Int, Work::Fixed(1)),
    Helper::named(F::RINGBUF_RESERVE_DYNPTR, "ringbuf_reserve_dynptr", v(5, 19), BASE)
        .on(map(MapType::RINGBUF), &[Map, Any, Any, Dynptr(NewRingbuf)], Ret::Int, Work::Bytes(2)),
    Helper::named(F::RINGBUF_SUBMIT_DYNPTR, "ringbuf_submit_dynptr", v(5, 19), BASE)
        .call(&[Dynptr(ReleaseRingbuf), Any], Ret::Void, Work::Fixed(4)),
    Helper::named(F::RINGBUF_DISCARD_DYNPTR, "ringbuf_discard_dynptr", v(5, 19), BASE)
        .call(&[Dynptr(ReleaseRingbuf), Any], Ret::Void, Work::Fixed(4)),
    Helper::named(F::DYNPTR_READ, "dynptr_read", v(5, 19), BASE)
        .call(&[OUT, Size(Allowed), Dynptr(Dynptr::Any), Any, Any], Ret::Int, Work::Bytes(2)),
    Helper::named(F::DYNPTR_WRITE, "dynptr_write", v(5, 19), BASE)
        .call(&[Dynptr(Dynptr::Any), Any, IN, Size(Allowed), Any], Ret::Int, Work::Bytes(4)),
    Helper::named(F::DYNPTR_DATA, "dynptr_data", v(5, 19), BASE).effects(CASTS)
        .call(&[Dynptr(Dynptr::Any), Any, AllocSize], Ret::DynptrMemOrNull, Work::Fixed(1)),
    Helper::named(F::TCP_RAW_GEN_SYNCOOKIE_IPV4, "tcp_raw_gen_syncookie_ipv4", v(6, 0), TC.or(XDP)).gpl().effects(TAKES_PACKET)
        .call(&[Header(20), IN, Size(Allowed)], Ret::Int, Work::Bytes(3)),
    Helper::named(F::TCP_RAW_GEN_SYNCOOKIE_IPV6, "tcp_raw_gen_syncookie_ipv6", v(6, 0), TC.or(XDP)).gpl().effects(TAKES_PACKET)
        .call(&[Header(40), IN, Size(Allowed)], Ret::Int, Work::Bytes(3)),
    Helper::named(F::TCP_RAW_CHECK_SYNCOOKIE_IPV4, "tcp_raw_check_syncookie_ipv4", v(6, 0), TC.or(XDP)).gpl().effects(TAKES_PACKET)
        .call(&[Header(20), Header(20)], Ret::Int, Work::Fixed(8)),
    Helper::named(F::TCP_RAW_CHECK_SYNCOOKIE_IPV6, "tcp_raw_check_syncookie_ipv6", v(6, 0), TC.or(XDP)).gpl().effects(TAKES_PACKET)
        .call(&[Header(40), Header(20)], Ret::Int, Work::Fixed(8)),
    Helper::named(F::KTIME_GET_TAI_NS, "ktime_get_tai_ns", v(6, 1), BASE)
        .call(&[], Ret::Int, Work::Fixed(1)),
    Helper::named(F::USER_RINGBUF_DRAIN, "user_ringbuf_drain", v(6, 1), BASE)
        .on(map(MapType::USER_RINGBUF), &[Map, Func(Callback::UserRecord), StackOrNull, Any], Ret::Int, Work::PerCallback),
    Helper::named(F::CGRP_STORAGE_GET, "cgrp_storage_get", v(6, 2), BASE)
        .on(map(MapType::CGRP_STORAGE), &[Map, Btf("cgroup", Nullable::Yes), MapValueOrNull, Any], Ret::MapValueOrNull, Work::Value),
    Helper::named(F::CGRP_STORAGE_DELETE, "cgrp_storage_delete", v(6, 2), BASE)
        .on(map(MapType::CGRP_STORAGE), &[Map, Btf("cgroup", Nullable::Yes)], Ret::Int, Work::Fixed(4)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense_and_names_are_linuxs() {
        for (i, helper) in HELPERS.iter().enumerate() {
            assert_eq!(helper.id.0 as usize, i + 1);
            assert_eq!(Some(helper.name), helper.id.name());
        }
        assert_eq!(HELPERS.len(), 211);
        assert_eq!(F::ALL.len(), 212, "unspec and one row for each number");
    }

    #[test]
    fn sizes_follow_memory_and_maps_come_with_a_set() {
        for helper in HELPERS {
            let Some(prototype) = helper.prototype else { continue };
            let args = prototype.args;
            assert!(args.len() <= 5, "{helper:?}");
            for (i, arg) in args.iter().enumerate() {
                let next = args.get(i + 1);
                let before = i.checked_sub(1).map(|i| args[i]);
                match arg {
                    Mem(..) => assert!(matches!(next, Some(Size(_))), "{helper:?}"),
                    Size(_) => assert!(matches!(before, Some(Mem(..))), "{helper:?}"),
                    MapKey | MapValue | MapValueOut => assert!(args[..i].contains(&Map), "{helper:?}"),
                    _ => {}
                }
            }
            assert_eq!(args.contains(&Map), !prototype.maps.is_empty(), "{helper:?}");
            let sizes = match prototype.work {
                Work::Bytes(one) => [one, one],
                Work::TwoSizes(one, other) => [one, other],
                _ => continue,
            };
            for size in sizes {
                let arg = args[usize::from(size) - 1];
                assert!(matches!(arg, Size(_) | AllocSize) || arg == Any, "{helper:?}");
            }
        }
    }

    #[test]
    fn versions_never_fall() {
        // Numbers are given out in the order of merging, but for one that was given out within a merge window.
        for pair in HELPERS.windows(2) {
            assert!(pair[0].since <= pair[1].since, "{} {}", pair[0].name, pair[1].name);
        }
    }

    #[test]
    fn every_helper_has_a_caller() {
        for helper in HELPERS {
            assert!(!helper.progs.is_empty(), "{}", helper.name);
        }
    }
}
