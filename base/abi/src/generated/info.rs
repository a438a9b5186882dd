// Made from base/abi/btf/linux-6.18.44-x86_64.btf by `cargo xtask abi`: change xtask/src/abi/plan.rs and run it again.

//! The structs that `BPF_OBJ_GET_INFO_BY_FD` fills.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `struct bpf_prog_info`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ProgInfo {
    /// `type` at offset 0.
    pub type_: u32,
    /// `id` at offset 4.
    pub id: u32,
    /// `tag` at offset 8.
    pub tag: [u8; 8],
    /// `jited_prog_len` at offset 16.
    pub jited_prog_len: u32,
    /// `xlated_prog_len` at offset 20.
    pub xlated_prog_len: u32,
    /// `jited_prog_insns` at offset 24.
    pub jited_prog_insns: u64,
    /// `xlated_prog_insns` at offset 32.
    pub xlated_prog_insns: u64,
    /// `load_time` at offset 40.
    pub load_time: u64,
    /// `created_by_uid` at offset 48.
    pub created_by_uid: u32,
    /// `nr_map_ids` at offset 52.
    pub nr_map_ids: u32,
    /// `map_ids` at offset 56.
    pub map_ids: u64,
    /// `name` at offset 64.
    pub name: [u8; 16],
    /// `ifindex` at offset 80.
    pub ifindex: u32,
    /// Bit fields, from bit 0: `gpl_compatible`.
    pub flags: u32,
    /// `netns_dev` at offset 88.
    pub netns_dev: u64,
    /// `netns_ino` at offset 96.
    pub netns_ino: u64,
    /// `nr_jited_ksyms` at offset 104.
    pub nr_jited_ksyms: u32,
    /// `nr_jited_func_lens` at offset 108.
    pub nr_jited_func_lens: u32,
    /// `jited_ksyms` at offset 112.
    pub jited_ksyms: u64,
    /// `jited_func_lens` at offset 120.
    pub jited_func_lens: u64,
    /// `btf_id` at offset 128.
    pub btf_id: u32,
    /// `func_info_rec_size` at offset 132.
    pub func_info_rec_size: u32,
    /// `func_info` at offset 136.
    pub func_info: u64,
    /// `nr_func_info` at offset 144.
    pub nr_func_info: u32,
    /// `nr_line_info` at offset 148.
    pub nr_line_info: u32,
    /// `line_info` at offset 152.
    pub line_info: u64,
    /// `jited_line_info` at offset 160.
    pub jited_line_info: u64,
    /// `nr_jited_line_info` at offset 168.
    pub nr_jited_line_info: u32,
    /// `line_info_rec_size` at offset 172.
    pub line_info_rec_size: u32,
    /// `jited_line_info_rec_size` at offset 176.
    pub jited_line_info_rec_size: u32,
    /// `nr_prog_tags` at offset 180.
    pub nr_prog_tags: u32,
    /// `prog_tags` at offset 184.
    pub prog_tags: u64,
    /// `run_time_ns` at offset 192.
    pub run_time_ns: u64,
    /// `run_cnt` at offset 200.
    pub run_cnt: u64,
    /// `recursion_misses` at offset 208.
    pub recursion_misses: u64,
    /// `verified_insns` at offset 216.
    pub verified_insns: u32,
    /// `attach_btf_obj_id` at offset 220.
    pub attach_btf_obj_id: u32,
    /// `attach_btf_id` at offset 224.
    pub attach_btf_id: u32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
}

const _: () = assert!(size_of::<ProgInfo>() == 232);

/// `struct bpf_map_info`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct MapInfo {
    /// `type` at offset 0.
    pub type_: u32,
    /// `id` at offset 4.
    pub id: u32,
    /// `key_size` at offset 8.
    pub key_size: u32,
    /// `value_size` at offset 12.
    pub value_size: u32,
    /// `max_entries` at offset 16.
    pub max_entries: u32,
    /// `map_flags` at offset 20.
    pub map_flags: u32,
    /// `name` at offset 24.
    pub name: [u8; 16],
    /// `ifindex` at offset 40.
    pub ifindex: u32,
    /// `btf_vmlinux_value_type_id` at offset 44.
    pub btf_vmlinux_value_type_id: u32,
    /// `netns_dev` at offset 48.
    pub netns_dev: u64,
    /// `netns_ino` at offset 56.
    pub netns_ino: u64,
    /// `btf_id` at offset 64.
    pub btf_id: u32,
    /// `btf_key_type_id` at offset 68.
    pub btf_key_type_id: u32,
    /// `btf_value_type_id` at offset 72.
    pub btf_value_type_id: u32,
    /// `btf_vmlinux_id` at offset 76.
    pub btf_vmlinux_id: u32,
    /// `map_extra` at offset 80.
    pub map_extra: u64,
    /// `hash` at offset 88.
    pub hash: u64,
    /// `hash_size` at offset 96.
    pub hash_size: u32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
}

const _: () = assert!(size_of::<MapInfo>() == 104);

/// `struct bpf_btf_info`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct BtfInfo {
    /// `btf` at offset 0.
    pub btf: u64,
    /// `btf_size` at offset 8.
    pub btf_size: u32,
    /// `id` at offset 12.
    pub id: u32,
    /// `name` at offset 16.
    pub name: u64,
    /// `name_len` at offset 24.
    pub name_len: u32,
    /// `kernel_btf` at offset 28.
    pub kernel_btf: u32,
}

const _: () = assert!(size_of::<BtfInfo>() == 32);

/// `struct bpf_token_info`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct TokenInfo {
    /// `allowed_cmds` at offset 0.
    pub allowed_cmds: u64,
    /// `allowed_maps` at offset 8.
    pub allowed_maps: u64,
    /// `allowed_progs` at offset 16.
    pub allowed_progs: u64,
    /// `allowed_attachs` at offset 24.
    pub allowed_attachs: u64,
}

const _: () = assert!(size_of::<TokenInfo>() == 32);

/// `struct bpf_link_info`; `tail` holds the struct of the link type, see [`LinkInfo::tail_as`](crate::LinkInfo::tail_as).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkInfo {
    /// `type` at offset 0.
    pub type_: u32,
    /// `id` at offset 4.
    pub id: u32,
    /// `prog_id` at offset 8.
    pub prog_id: u32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
    /// `tail` at offset 16.
    pub tail: [u64; 6],
}

const _: () = assert!(size_of::<LinkInfo>() == 64);

/// The tail of [`LinkInfo`] for a raw_tracepoint link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkInfoRawTracepoint {
    /// `tp_name` at offset 0.
    pub tp_name: u64,
    /// `tp_name_len` at offset 8.
    pub tp_name_len: u32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
    /// `cookie` at offset 16.
    pub cookie: u64,
}

const _: () = assert!(size_of::<LinkInfoRawTracepoint>() == 24);

/// The tail of [`LinkInfo`] for a tracing link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkInfoTracing {
    /// `attach_type` at offset 0.
    pub attach_type: u32,
    /// `target_obj_id` at offset 4.
    pub target_obj_id: u32,
    /// `target_btf_id` at offset 8.
    pub target_btf_id: u32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
    /// `cookie` at offset 16.
    pub cookie: u64,
}

const _: () = assert!(size_of::<LinkInfoTracing>() == 24);

/// The tail of [`LinkInfo`] for a cgroup link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkInfoCgroup {
    /// `cgroup_id` at offset 0.
    pub cgroup_id: u64,
    /// `attach_type` at offset 8.
    pub attach_type: u32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
}

const _: () = assert!(size_of::<LinkInfoCgroup>() == 16);

/// The tail of [`LinkInfo`] for an iter link over a cgroup; `map_id` for one over maps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkInfoIter {
    /// `target_name` at offset 0.
    pub target_name: u64,
    /// `target_name_len` at offset 8.
    pub target_name_len: u32,
    /// `map_id` at offset 12.
    pub map_id: u32,
    /// `cgroup_id` at offset 16.
    pub cgroup_id: u64,
    /// `order` at offset 24.
    pub order: u32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
}

const _: () = assert!(size_of::<LinkInfoIter>() == 32);

/// The tail of [`LinkInfo`] for a netns link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkInfoNetns {
    /// `netns_ino` at offset 0.
    pub netns_ino: u32,
    /// `attach_type` at offset 4.
    pub attach_type: u32,
}

const _: () = assert!(size_of::<LinkInfoNetns>() == 8);

/// The tail of [`LinkInfo`] for an xdp link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkInfoXdp {
    /// `ifindex` at offset 0.
    pub ifindex: u32,
}

const _: () = assert!(size_of::<LinkInfoXdp>() == 4);

/// The tail of [`LinkInfo`] for a struct_ops link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkInfoStructOps {
    /// `map_id` at offset 0.
    pub map_id: u32,
}

const _: () = assert!(size_of::<LinkInfoStructOps>() == 4);

/// The tail of [`LinkInfo`] for a netfilter link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkInfoNetfilter {
    /// `pf` at offset 0.
    pub pf: u32,
    /// `hooknum` at offset 4.
    pub hooknum: u32,
    /// `priority` at offset 8.
    pub priority: i32,
    /// `flags` at offset 12.
    pub flags: u32,
}

const _: () = assert!(size_of::<LinkInfoNetfilter>() == 16);

/// The tail of [`LinkInfo`] for a kprobe_multi link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkInfoKprobeMulti {
    /// `addrs` at offset 0.
    pub addrs: u64,
    /// `count` at offset 8.
    pub count: u32,
    /// `flags` at offset 12.
    pub flags: u32,
    /// `missed` at offset 16.
    pub missed: u64,
    /// `cookies` at offset 24.
    pub cookies: u64,
}

const _: () = assert!(size_of::<LinkInfoKprobeMulti>() == 32);

/// The tail of [`LinkInfo`] for a uprobe_multi link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkInfoUprobeMulti {
    /// `path` at offset 0.
    pub path: u64,
    /// `offsets` at offset 8.
    pub offsets: u64,
    /// `ref_ctr_offsets` at offset 16.
    pub ref_ctr_offsets: u64,
    /// `cookies` at offset 24.
    pub cookies: u64,
    /// `path_size` at offset 32.
    pub path_size: u32,
    /// `count` at offset 36.
    pub count: u32,
    /// `flags` at offset 40.
    pub flags: u32,
    /// `pid` at offset 44.
    pub pid: u32,
}

const _: () = assert!(size_of::<LinkInfoUprobeMulti>() == 48);

/// The tail of [`LinkInfo`] for a perf_event link of a kprobe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkInfoPerfEvent {
    /// `type` at offset 0.
    pub type_: u32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
    /// `func_name` at offset 8.
    pub func_name: u64,
    /// `name_len` at offset 16.
    pub name_len: u32,
    /// `offset` at offset 20.
    pub offset: u32,
    /// `addr` at offset 24.
    pub addr: u64,
    /// `missed` at offset 32.
    pub missed: u64,
    /// `cookie` at offset 40.
    pub cookie: u64,
}

const _: () = assert!(size_of::<LinkInfoPerfEvent>() == 48);

/// The tail of [`LinkInfo`] for a perf_event link of kind uprobe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkInfoPerfEventUprobe {
    /// `type` at offset 0.
    pub type_: u32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
    /// `file_name` at offset 8.
    pub file_name: u64,
    /// `name_len` at offset 16.
    pub name_len: u32,
    /// `offset` at offset 20.
    pub offset: u32,
    /// `cookie` at offset 24.
    pub cookie: u64,
    /// `ref_ctr_offset` at offset 32.
    pub ref_ctr_offset: u64,
}

const _: () = assert!(size_of::<LinkInfoPerfEventUprobe>() == 40);

/// The tail of [`LinkInfo`] for a perf_event link of kind tracepoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkInfoPerfEventTracepoint {
    /// `type` at offset 0.
    pub type_: u32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
    /// `tp_name` at offset 8.
    pub tp_name: u64,
    /// `name_len` at offset 16.
    pub name_len: u32,
    /// Padding; zero.
    pub _pad1: [u8; 4],
    /// `cookie` at offset 24.
    pub cookie: u64,
}

const _: () = assert!(size_of::<LinkInfoPerfEventTracepoint>() == 32);

/// The tail of [`LinkInfo`] for a perf_event link of kind event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkInfoPerfEventEvent {
    /// `type` at offset 0.
    pub type_: u32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
    /// `config` at offset 8.
    pub config: u64,
    /// `type` at offset 16.
    pub event_type: u32,
    /// Padding; zero.
    pub _pad1: [u8; 4],
    /// `cookie` at offset 24.
    pub cookie: u64,
}

const _: () = assert!(size_of::<LinkInfoPerfEventEvent>() == 32);

/// The tail of [`LinkInfo`] for a tcx link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkInfoTcx {
    /// `ifindex` at offset 0.
    pub ifindex: u32,
    /// `attach_type` at offset 4.
    pub attach_type: u32,
}

const _: () = assert!(size_of::<LinkInfoTcx>() == 8);

/// The tail of [`LinkInfo`] for a netkit link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkInfoNetkit {
    /// `ifindex` at offset 0.
    pub ifindex: u32,
    /// `attach_type` at offset 4.
    pub attach_type: u32,
}

const _: () = assert!(size_of::<LinkInfoNetkit>() == 8);

/// The tail of [`LinkInfo`] for a sockmap link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LinkInfoSockmap {
    /// `map_id` at offset 0.
    pub map_id: u32,
    /// `attach_type` at offset 4.
    pub attach_type: u32,
}

const _: () = assert!(size_of::<LinkInfoSockmap>() == 8);
