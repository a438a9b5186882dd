// Made from base/abi/btf/linux-6.18.44-x86_64.btf by `cargo xtask abi`: change xtask/src/abi/plan.rs and run it again.

//! The attribute structs of `bpf(2)`: the members of `union bpf_attr`, one struct per command.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The attributes of `BPF_MAP_CREATE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct MapCreate {
    /// `map_type` at offset 0.
    pub map_type: u32,
    /// `key_size` at offset 4.
    pub key_size: u32,
    /// `value_size` at offset 8.
    pub value_size: u32,
    /// `max_entries` at offset 12.
    pub max_entries: u32,
    /// `map_flags` at offset 16.
    pub map_flags: u32,
    /// `inner_map_fd` at offset 20.
    pub inner_map_fd: u32,
    /// `numa_node` at offset 24.
    pub numa_node: u32,
    /// `map_name` at offset 28.
    pub map_name: [u8; 16],
    /// `map_ifindex` at offset 44.
    pub map_ifindex: u32,
    /// `btf_fd` at offset 48.
    pub btf_fd: u32,
    /// `btf_key_type_id` at offset 52.
    pub btf_key_type_id: u32,
    /// `btf_value_type_id` at offset 56.
    pub btf_value_type_id: u32,
    /// `btf_vmlinux_value_type_id` at offset 60.
    pub btf_vmlinux_value_type_id: u32,
    /// `map_extra` at offset 64.
    pub map_extra: u64,
    /// `value_type_btf_obj_fd` at offset 72.
    pub value_type_btf_obj_fd: i32,
    /// `map_token_fd` at offset 76.
    pub map_token_fd: i32,
    /// `excl_prog_hash` at offset 80.
    pub excl_prog_hash: u64,
    /// `excl_prog_hash_size` at offset 88.
    pub excl_prog_hash_size: u32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
}

const _: () = assert!(size_of::<MapCreate>() == 96);

/// The attributes of `BPF_MAP_LOOKUP_ELEM`, `UPDATE_ELEM`, `DELETE_ELEM` and `LOOKUP_AND_DELETE_ELEM`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct MapElem {
    /// `map_fd` at offset 0.
    pub map_fd: u32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
    /// `key` at offset 8.
    pub key: u64,
    /// `value` at offset 16.
    pub value: u64,
    /// `flags` at offset 24.
    pub flags: u64,
}

const _: () = assert!(size_of::<MapElem>() == 32);

/// The attributes of `BPF_MAP_GET_NEXT_KEY`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct MapNextKey {
    /// `map_fd` at offset 0.
    pub map_fd: u32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
    /// `key` at offset 8.
    pub key: u64,
    /// `next_key` at offset 16.
    pub next_key: u64,
}

const _: () = assert!(size_of::<MapNextKey>() == 24);

/// The attributes of `BPF_MAP_FREEZE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct MapFreeze {
    /// `map_fd` at offset 0.
    pub map_fd: u32,
}

const _: () = assert!(size_of::<MapFreeze>() == 4);

/// The attributes of `BPF_MAP_LOOKUP_BATCH`, `LOOKUP_AND_DELETE_BATCH`, `UPDATE_BATCH` and `DELETE_BATCH`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct MapBatch {
    /// `in_batch` at offset 0.
    pub in_batch: u64,
    /// `out_batch` at offset 8.
    pub out_batch: u64,
    /// `keys` at offset 16.
    pub keys: u64,
    /// `values` at offset 24.
    pub values: u64,
    /// `count` at offset 32.
    pub count: u32,
    /// `map_fd` at offset 36.
    pub map_fd: u32,
    /// `elem_flags` at offset 40.
    pub elem_flags: u64,
    /// `flags` at offset 48.
    pub flags: u64,
}

const _: () = assert!(size_of::<MapBatch>() == 56);

/// The attributes of `BPF_PROG_LOAD`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ProgLoad {
    /// `prog_type` at offset 0.
    pub prog_type: u32,
    /// `insn_cnt` at offset 4.
    pub insn_cnt: u32,
    /// `insns` at offset 8.
    pub insns: u64,
    /// `license` at offset 16.
    pub license: u64,
    /// `log_level` at offset 24.
    pub log_level: u32,
    /// `log_size` at offset 28.
    pub log_size: u32,
    /// `log_buf` at offset 32.
    pub log_buf: u64,
    /// `kern_version` at offset 40.
    pub kern_version: u32,
    /// `prog_flags` at offset 44.
    pub prog_flags: u32,
    /// `prog_name` at offset 48.
    pub prog_name: [u8; 16],
    /// `prog_ifindex` at offset 64.
    pub prog_ifindex: u32,
    /// `expected_attach_type` at offset 68.
    pub expected_attach_type: u32,
    /// `prog_btf_fd` at offset 72.
    pub prog_btf_fd: u32,
    /// `func_info_rec_size` at offset 76.
    pub func_info_rec_size: u32,
    /// `func_info` at offset 80.
    pub func_info: u64,
    /// `func_info_cnt` at offset 88.
    pub func_info_cnt: u32,
    /// `line_info_rec_size` at offset 92.
    pub line_info_rec_size: u32,
    /// `line_info` at offset 96.
    pub line_info: u64,
    /// `line_info_cnt` at offset 104.
    pub line_info_cnt: u32,
    /// `attach_btf_id` at offset 108.
    pub attach_btf_id: u32,
    /// `attach_prog_fd` at offset 112.
    pub attach_prog_fd: u32,
    /// `core_relo_cnt` at offset 116.
    pub core_relo_cnt: u32,
    /// `fd_array` at offset 120.
    pub fd_array: u64,
    /// `core_relos` at offset 128.
    pub core_relos: u64,
    /// `core_relo_rec_size` at offset 136.
    pub core_relo_rec_size: u32,
    /// `log_true_size` at offset 140.
    pub log_true_size: u32,
    /// `prog_token_fd` at offset 144.
    pub prog_token_fd: i32,
    /// `fd_array_cnt` at offset 148.
    pub fd_array_cnt: u32,
    /// `signature` at offset 152.
    pub signature: u64,
    /// `signature_size` at offset 160.
    pub signature_size: u32,
    /// `keyring_id` at offset 164.
    pub keyring_id: i32,
}

const _: () = assert!(size_of::<ProgLoad>() == 168);

/// The attributes of `BPF_OBJ_PIN` and `BPF_OBJ_GET`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ObjPath {
    /// `pathname` at offset 0.
    pub pathname: u64,
    /// `bpf_fd` at offset 8.
    pub bpf_fd: u32,
    /// `file_flags` at offset 12.
    pub file_flags: u32,
    /// `path_fd` at offset 16.
    pub path_fd: i32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
}

const _: () = assert!(size_of::<ObjPath>() == 24);

/// The attributes of `BPF_PROG_ATTACH` and `BPF_PROG_DETACH`; `target_fd` is an interface index for tcx and netkit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ProgAttach {
    /// `target_fd` at offset 0.
    pub target_fd: u32,
    /// `attach_bpf_fd` at offset 4.
    pub attach_bpf_fd: u32,
    /// `attach_type` at offset 8.
    pub attach_type: u32,
    /// `attach_flags` at offset 12.
    pub attach_flags: u32,
    /// `replace_bpf_fd` at offset 16.
    pub replace_bpf_fd: u32,
    /// `relative_fd` at offset 20.
    pub relative_fd: u32,
    /// `expected_revision` at offset 24.
    pub expected_revision: u64,
}

const _: () = assert!(size_of::<ProgAttach>() == 32);

/// The attributes of `BPF_PROG_TEST_RUN`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ProgTestRun {
    /// `prog_fd` at offset 0.
    pub prog_fd: u32,
    /// `retval` at offset 4.
    pub retval: u32,
    /// `data_size_in` at offset 8.
    pub data_size_in: u32,
    /// `data_size_out` at offset 12.
    pub data_size_out: u32,
    /// `data_in` at offset 16.
    pub data_in: u64,
    /// `data_out` at offset 24.
    pub data_out: u64,
    /// `repeat` at offset 32.
    pub repeat: u32,
    /// `duration` at offset 36.
    pub duration: u32,
    /// `ctx_size_in` at offset 40.
    pub ctx_size_in: u32,
    /// `ctx_size_out` at offset 44.
    pub ctx_size_out: u32,
    /// `ctx_in` at offset 48.
    pub ctx_in: u64,
    /// `ctx_out` at offset 56.
    pub ctx_out: u64,
    /// `flags` at offset 64.
    pub flags: u32,
    /// `cpu` at offset 68.
    pub cpu: u32,
    /// `batch_size` at offset 72.
    pub batch_size: u32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
}

const _: () = assert!(size_of::<ProgTestRun>() == 80);

/// The attributes of `BPF_*_GET_NEXT_ID` and `BPF_*_GET_FD_BY_ID`; for the latter `start_id` is the id wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct GetId {
    /// `start_id` at offset 0.
    pub start_id: u32,
    /// `next_id` at offset 4.
    pub next_id: u32,
    /// `open_flags` at offset 8.
    pub open_flags: u32,
    /// `fd_by_id_token_fd` at offset 12.
    pub fd_by_id_token_fd: i32,
}

const _: () = assert!(size_of::<GetId>() == 16);

/// The attributes of `BPF_OBJ_GET_INFO_BY_FD`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct InfoByFd {
    /// `bpf_fd` at offset 0.
    pub bpf_fd: u32,
    /// `info_len` at offset 4.
    pub info_len: u32,
    /// `info` at offset 8.
    pub info: u64,
}

const _: () = assert!(size_of::<InfoByFd>() == 16);

/// The attributes of `BPF_PROG_QUERY`; `target_fd` is an interface index for tcx and netkit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ProgQuery {
    /// `target_fd` at offset 0.
    pub target_fd: u32,
    /// `attach_type` at offset 4.
    pub attach_type: u32,
    /// `query_flags` at offset 8.
    pub query_flags: u32,
    /// `attach_flags` at offset 12.
    pub attach_flags: u32,
    /// `prog_ids` at offset 16.
    pub prog_ids: u64,
    /// `prog_cnt` at offset 24.
    pub prog_cnt: u32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
    /// `prog_attach_flags` at offset 32.
    pub prog_attach_flags: u64,
    /// `link_ids` at offset 40.
    pub link_ids: u64,
    /// `link_attach_flags` at offset 48.
    pub link_attach_flags: u64,
    /// `revision` at offset 56.
    pub revision: u64,
}

const _: () = assert!(size_of::<ProgQuery>() == 64);

/// The attributes of `BPF_RAW_TRACEPOINT_OPEN`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct RawTracepointOpen {
    /// `name` at offset 0.
    pub name: u64,
    /// `prog_fd` at offset 8.
    pub prog_fd: u32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
    /// `cookie` at offset 16.
    pub cookie: u64,
}

const _: () = assert!(size_of::<RawTracepointOpen>() == 24);

/// The attributes of `BPF_BTF_LOAD`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct BtfLoad {
    /// `btf` at offset 0.
    pub btf: u64,
    /// `btf_log_buf` at offset 8.
    pub btf_log_buf: u64,
    /// `btf_size` at offset 16.
    pub btf_size: u32,
    /// `btf_log_size` at offset 20.
    pub btf_log_size: u32,
    /// `btf_log_level` at offset 24.
    pub btf_log_level: u32,
    /// `btf_log_true_size` at offset 28.
    pub btf_log_true_size: u32,
    /// `btf_flags` at offset 32.
    pub btf_flags: u32,
    /// `btf_token_fd` at offset 36.
    pub btf_token_fd: i32,
}

const _: () = assert!(size_of::<BtfLoad>() == 40);

/// The attributes of `BPF_TASK_FD_QUERY`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct TaskFdQuery {
    /// `pid` at offset 0.
    pub pid: u32,
    /// `fd` at offset 4.
    pub fd: u32,
    /// `flags` at offset 8.
    pub flags: u32,
    /// `buf_len` at offset 12.
    pub buf_len: u32,
    /// `buf` at offset 16.
    pub buf: u64,
    /// `prog_id` at offset 24.
    pub prog_id: u32,
    /// `fd_type` at offset 28.
    pub fd_type: u32,
    /// `probe_offset` at offset 32.
    pub probe_offset: u64,
    /// `probe_addr` at offset 40.
    pub probe_addr: u64,
}

const _: () = assert!(size_of::<TaskFdQuery>() == 48);

/// The attributes of `BPF_LINK_CREATE` that every link type shares; `target_fd` is an interface index for xdp, tcx and netkit, `prog_fd` a map for struct_ops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkCreate {
    /// `prog_fd` at offset 0.
    pub prog_fd: u32,
    /// `target_fd` at offset 4.
    pub target_fd: u32,
    /// `attach_type` at offset 8.
    pub attach_type: u32,
    /// `flags` at offset 12.
    pub flags: u32,
}

const _: () = assert!(size_of::<LinkCreate>() == 16);

/// The attributes of `BPF_LINK_CREATE` for an iter link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkCreateIter {
    /// The part that every link type shares.
    pub base: LinkCreate,
    /// `iter_info` at offset 16.
    pub iter_info: u64,
    /// `iter_info_len` at offset 24.
    pub iter_info_len: u32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
}

const _: () = assert!(size_of::<LinkCreateIter>() == 32);

/// The attributes of `BPF_LINK_CREATE` for a perf_event link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkCreatePerfEvent {
    /// The part that every link type shares.
    pub base: LinkCreate,
    /// `bpf_cookie` at offset 16.
    pub bpf_cookie: u64,
}

const _: () = assert!(size_of::<LinkCreatePerfEvent>() == 24);

/// The attributes of `BPF_LINK_CREATE` for a kprobe_multi link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkCreateKprobeMulti {
    /// The part that every link type shares.
    pub base: LinkCreate,
    /// `flags` at offset 16.
    pub flags: u32,
    /// `cnt` at offset 20.
    pub cnt: u32,
    /// `syms` at offset 24.
    pub syms: u64,
    /// `addrs` at offset 32.
    pub addrs: u64,
    /// `cookies` at offset 40.
    pub cookies: u64,
}

const _: () = assert!(size_of::<LinkCreateKprobeMulti>() == 48);

/// The attributes of `BPF_LINK_CREATE` for a tracing link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkCreateTracing {
    /// The part that every link type shares.
    pub base: LinkCreate,
    /// `target_btf_id` at offset 16.
    pub target_btf_id: u32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
    /// `cookie` at offset 24.
    pub cookie: u64,
}

const _: () = assert!(size_of::<LinkCreateTracing>() == 32);

/// The attributes of `BPF_LINK_CREATE` for a netfilter link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkCreateNetfilter {
    /// The part that every link type shares.
    pub base: LinkCreate,
    /// `pf` at offset 16.
    pub pf: u32,
    /// `hooknum` at offset 20.
    pub hooknum: u32,
    /// `priority` at offset 24.
    pub priority: i32,
    /// `flags` at offset 28.
    pub flags: u32,
}

const _: () = assert!(size_of::<LinkCreateNetfilter>() == 32);

/// The attributes of `BPF_LINK_CREATE` for a tcx link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkCreateTcx {
    /// The part that every link type shares.
    pub base: LinkCreate,
    /// `relative_fd` at offset 16.
    pub relative_fd: u32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
    /// `expected_revision` at offset 24.
    pub expected_revision: u64,
}

const _: () = assert!(size_of::<LinkCreateTcx>() == 32);

/// The attributes of `BPF_LINK_CREATE` for a uprobe_multi link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkCreateUprobeMulti {
    /// The part that every link type shares.
    pub base: LinkCreate,
    /// `path` at offset 16.
    pub path: u64,
    /// `offsets` at offset 24.
    pub offsets: u64,
    /// `ref_ctr_offsets` at offset 32.
    pub ref_ctr_offsets: u64,
    /// `cookies` at offset 40.
    pub cookies: u64,
    /// `cnt` at offset 48.
    pub cnt: u32,
    /// `flags` at offset 52.
    pub flags: u32,
    /// `pid` at offset 56.
    pub pid: u32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
}

const _: () = assert!(size_of::<LinkCreateUprobeMulti>() == 64);

/// The attributes of `BPF_LINK_CREATE` for a netkit link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkCreateNetkit {
    /// The part that every link type shares.
    pub base: LinkCreate,
    /// `relative_fd` at offset 16.
    pub relative_fd: u32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
    /// `expected_revision` at offset 24.
    pub expected_revision: u64,
}

const _: () = assert!(size_of::<LinkCreateNetkit>() == 32);

/// The attributes of `BPF_LINK_CREATE` for a cgroup link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkCreateCgroup {
    /// The part that every link type shares.
    pub base: LinkCreate,
    /// `relative_fd` at offset 16.
    pub relative_fd: u32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
    /// `expected_revision` at offset 24.
    pub expected_revision: u64,
}

const _: () = assert!(size_of::<LinkCreateCgroup>() == 32);

/// The attributes of `BPF_LINK_UPDATE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkUpdate {
    /// `link_fd` at offset 0.
    pub link_fd: u32,
    /// `new_prog_fd` at offset 4.
    pub new_prog_fd: u32,
    /// `flags` at offset 8.
    pub flags: u32,
    /// `old_prog_fd` at offset 12.
    pub old_prog_fd: u32,
}

const _: () = assert!(size_of::<LinkUpdate>() == 16);

/// The attributes of `BPF_LINK_DETACH`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkDetach {
    /// `link_fd` at offset 0.
    pub link_fd: u32,
}

const _: () = assert!(size_of::<LinkDetach>() == 4);

/// The attributes of `BPF_ENABLE_STATS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct EnableStats {
    /// `type` at offset 0.
    pub type_: u32,
}

const _: () = assert!(size_of::<EnableStats>() == 4);

/// The attributes of `BPF_ITER_CREATE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct IterCreate {
    /// `link_fd` at offset 0.
    pub link_fd: u32,
    /// `flags` at offset 4.
    pub flags: u32,
}

const _: () = assert!(size_of::<IterCreate>() == 8);

/// The attributes of `BPF_PROG_BIND_MAP`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ProgBindMap {
    /// `prog_fd` at offset 0.
    pub prog_fd: u32,
    /// `map_fd` at offset 4.
    pub map_fd: u32,
    /// `flags` at offset 8.
    pub flags: u32,
}

const _: () = assert!(size_of::<ProgBindMap>() == 12);

/// The attributes of `BPF_TOKEN_CREATE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct TokenCreate {
    /// `flags` at offset 0.
    pub flags: u32,
    /// `bpffs_fd` at offset 4.
    pub bpffs_fd: u32,
}

const _: () = assert!(size_of::<TokenCreate>() == 8);

/// The attributes of `BPF_PROG_STREAM_READ_BY_FD`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ProgStreamRead {
    /// `stream_buf` at offset 0.
    pub stream_buf: u64,
    /// `stream_buf_len` at offset 8.
    pub stream_buf_len: u32,
    /// `stream_id` at offset 12.
    pub stream_id: u32,
    /// `prog_fd` at offset 16.
    pub prog_fd: u32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
}

const _: () = assert!(size_of::<ProgStreamRead>() == 24);
