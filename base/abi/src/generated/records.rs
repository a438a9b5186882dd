// Made from base/abi/btf/linux-6.18.44-x86_64.btf by `cargo xtask abi`: change xtask/src/abi/plan.rs and run it again.

//! The small structs that calls, helpers and buffers exchange.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `struct bpf_func_info`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct FuncInfo {
    /// `insn_off` at offset 0.
    pub insn_off: u32,
    /// `type_id` at offset 4.
    pub type_id: u32,
}

const _: () = assert!(size_of::<FuncInfo>() == 8);

/// `struct bpf_line_info`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LineInfo {
    /// `insn_off` at offset 0.
    pub insn_off: u32,
    /// `file_name_off` at offset 4.
    pub file_name_off: u32,
    /// `line_off` at offset 8.
    pub line_off: u32,
    /// `line_col` at offset 12.
    pub line_col: u32,
}

const _: () = assert!(size_of::<LineInfo>() == 16);

/// `struct bpf_core_relo`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct CoreRelo {
    /// `insn_off` at offset 0.
    pub insn_off: u32,
    /// `type_id` at offset 4.
    pub type_id: u32,
    /// `access_str_off` at offset 8.
    pub access_str_off: u32,
    /// `kind` at offset 12.
    pub kind: u32,
}

const _: () = assert!(size_of::<CoreRelo>() == 16);

/// `struct perf_event_header`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PerfEventHeader {
    /// `type` at offset 0.
    pub type_: u32,
    /// `misc` at offset 4.
    pub misc: u16,
    /// `size` at offset 6.
    pub size: u16,
}

const _: () = assert!(size_of::<PerfEventHeader>() == 8);

/// `struct perf_event_attr`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PerfEventAttr {
    /// `type` at offset 0.
    pub type_: u32,
    /// `size` at offset 4.
    pub size: u32,
    /// `config` at offset 8.
    pub config: u64,
    /// `sample_period` at offset 16.
    pub sample_period: u64,
    /// `sample_type` at offset 24.
    pub sample_type: u64,
    /// `read_format` at offset 32.
    pub read_format: u64,
    /// Bit fields, from bit 0: `disabled`, `inherit`, `pinned`, `exclusive`, `exclude_user`, `exclude_kernel`, `exclude_hv`, `exclude_idle`, `mmap`, `comm`, `freq`, `inherit_stat`, `enable_on_exec`, `task`, `watermark`, `precise_ip` (2 bits), `mmap_data`, `sample_id_all`, `exclude_host`, `exclude_guest`, `exclude_callchain_kernel`, `exclude_callchain_user`, `mmap2`, `comm_exec`, `use_clockid`, `context_switch`, `write_backward`, `namespaces`, `ksymbol`, `bpf_event`, `aux_output`, `cgroup`, `text_poke`, `build_id`, `inherit_thread`, `remove_on_exec`, `sigtrap`.
    pub flags: u64,
    /// `wakeup_events` at offset 48.
    pub wakeup_events: u32,
    /// `bp_type` at offset 52.
    pub bp_type: u32,
    /// `bp_addr` at offset 56.
    pub bp_addr: u64,
    /// `bp_len` at offset 64.
    pub bp_len: u64,
    /// `branch_sample_type` at offset 72.
    pub branch_sample_type: u64,
    /// `sample_regs_user` at offset 80.
    pub sample_regs_user: u64,
    /// `sample_stack_user` at offset 88.
    pub sample_stack_user: u32,
    /// `clockid` at offset 92.
    pub clockid: i32,
    /// `sample_regs_intr` at offset 96.
    pub sample_regs_intr: u64,
    /// `aux_watermark` at offset 104.
    pub aux_watermark: u32,
    /// `sample_max_stack` at offset 108.
    pub sample_max_stack: u16,
    /// `__reserved_2` at offset 110.
    pub __reserved_2: u16,
    /// `aux_sample_size` at offset 112.
    pub aux_sample_size: u32,
    /// `aux_action` at offset 116.
    pub aux_action: u32,
    /// `sig_data` at offset 120.
    pub sig_data: u64,
    /// `config3` at offset 128.
    pub config3: u64,
}

const _: () = assert!(size_of::<PerfEventAttr>() == 136);

/// `struct bpf_perf_event_value`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PerfEventValue {
    /// `counter` at offset 0.
    pub counter: u64,
    /// `enabled` at offset 8.
    pub enabled: u64,
    /// `running` at offset 16.
    pub running: u64,
}

const _: () = assert!(size_of::<PerfEventValue>() == 24);

/// `struct bpf_devmap_val`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct DevmapVal {
    /// `ifindex` at offset 0.
    pub ifindex: u32,
    /// `fd` at offset 4.
    pub fd: i32,
}

const _: () = assert!(size_of::<DevmapVal>() == 8);

/// `struct bpf_cpumap_val`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct CpumapVal {
    /// `qsize` at offset 0.
    pub qsize: u32,
    /// `fd` at offset 4.
    pub fd: i32,
}

const _: () = assert!(size_of::<CpumapVal>() == 8);

/// `struct bpf_cgroup_storage_key`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct CgroupStorageKey {
    /// `cgroup_inode_id` at offset 0.
    pub cgroup_inode_id: u64,
    /// `attach_type` at offset 8.
    pub attach_type: u32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
}

const _: () = assert!(size_of::<CgroupStorageKey>() == 16);

/// `struct bpf_stack_build_id`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct StackBuildId {
    /// `status` at offset 0.
    pub status: i32,
    /// `build_id` at offset 4.
    pub build_id: [u8; 20],
    /// `offset` at offset 24.
    pub offset: u64,
}

const _: () = assert!(size_of::<StackBuildId>() == 32);

/// `struct bpf_pidns_info`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PidnsInfo {
    /// `pid` at offset 0.
    pub pid: u32,
    /// `tgid` at offset 4.
    pub tgid: u32,
}

const _: () = assert!(size_of::<PidnsInfo>() == 8);

/// `struct bpf_flow_keys`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct FlowKeys {
    /// `nhoff` at offset 0.
    pub nhoff: u16,
    /// `thoff` at offset 2.
    pub thoff: u16,
    /// `addr_proto` at offset 4.
    pub addr_proto: u16,
    /// `is_frag` at offset 6.
    pub is_frag: u8,
    /// `is_first_frag` at offset 7.
    pub is_first_frag: u8,
    /// `is_encap` at offset 8.
    pub is_encap: u8,
    /// `ip_proto` at offset 9.
    pub ip_proto: u8,
    /// `n_proto` at offset 10.
    pub n_proto: u16,
    /// `sport` at offset 12.
    pub sport: u16,
    /// `dport` at offset 14.
    pub dport: u16,
    /// `ipv6_src` at offset 16.
    pub ipv6_src: [u32; 4],
    /// `ipv6_dst` at offset 32.
    pub ipv6_dst: [u32; 4],
    /// `flags` at offset 48.
    pub flags: u32,
    /// `flow_label` at offset 52.
    pub flow_label: u32,
}

const _: () = assert!(size_of::<FlowKeys>() == 56);

/// `struct bpf_tunnel_key`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct TunnelKey {
    /// `tunnel_id` at offset 0.
    pub tunnel_id: u32,
    /// `remote_ipv6` at offset 4.
    pub remote_ipv6: [u32; 4],
    /// `tunnel_tos` at offset 20.
    pub tunnel_tos: u8,
    /// `tunnel_ttl` at offset 21.
    pub tunnel_ttl: u8,
    /// `tunnel_ext` at offset 22.
    pub tunnel_ext: u16,
    /// `tunnel_label` at offset 24.
    pub tunnel_label: u32,
    /// `local_ipv6` at offset 28.
    pub local_ipv6: [u32; 4],
}

const _: () = assert!(size_of::<TunnelKey>() == 44);

/// `struct bpf_fib_lookup`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct FibLookup {
    /// `family` at offset 0.
    pub family: u8,
    /// `l4_protocol` at offset 1.
    pub l4_protocol: u8,
    /// `sport` at offset 2.
    pub sport: u16,
    /// `dport` at offset 4.
    pub dport: u16,
    /// `tot_len` at offset 6.
    pub tot_len: u16,
    /// `ifindex` at offset 8.
    pub ifindex: u32,
    /// `flowinfo` at offset 12.
    pub flowinfo: u32,
    /// `ipv6_src` at offset 16.
    pub ipv6_src: [u32; 4],
    /// `ipv6_dst` at offset 32.
    pub ipv6_dst: [u32; 4],
    /// `h_vlan_proto` at offset 48.
    pub h_vlan_proto: u16,
    /// `h_vlan_TCI` at offset 50.
    pub h_vlan_tci: u16,
    /// `smac` at offset 52.
    pub smac: [u8; 6],
    /// `dmac` at offset 58.
    pub dmac: [u8; 6],
}

const _: () = assert!(size_of::<FibLookup>() == 64);

/// `struct bpf_redir_neigh`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct RedirNeigh {
    /// `nh_family` at offset 0.
    pub nh_family: u32,
    /// `ipv6_nh` at offset 4.
    pub ipv6_nh: [u32; 4],
}

const _: () = assert!(size_of::<RedirNeigh>() == 20);

/// `struct btf_ptr`; pointers are 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct BtfPtr {
    /// `ptr` at offset 0.
    pub ptr: u64,
    /// `type_id` at offset 8.
    pub type_id: u32,
    /// `flags` at offset 12.
    pub flags: u32,
}

const _: () = assert!(size_of::<BtfPtr>() == 16);

/// `struct bpf_spin_lock`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct SpinLock {
    /// `val` at offset 0.
    pub val: u32,
}

const _: () = assert!(size_of::<SpinLock>() == 4);

/// `struct bpf_timer`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Timer {
    /// `__opaque` at offset 0.
    pub __opaque: [u64; 2],
}

const _: () = assert!(size_of::<Timer>() == 16);

/// `struct bpf_tcp_sock`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct TcpSock {
    /// `snd_cwnd` at offset 0.
    pub snd_cwnd: u32,
    /// `srtt_us` at offset 4.
    pub srtt_us: u32,
    /// `rtt_min` at offset 8.
    pub rtt_min: u32,
    /// `snd_ssthresh` at offset 12.
    pub snd_ssthresh: u32,
    /// `rcv_nxt` at offset 16.
    pub rcv_nxt: u32,
    /// `snd_nxt` at offset 20.
    pub snd_nxt: u32,
    /// `snd_una` at offset 24.
    pub snd_una: u32,
    /// `mss_cache` at offset 28.
    pub mss_cache: u32,
    /// `ecn_flags` at offset 32.
    pub ecn_flags: u32,
    /// `rate_delivered` at offset 36.
    pub rate_delivered: u32,
    /// `rate_interval_us` at offset 40.
    pub rate_interval_us: u32,
    /// `packets_out` at offset 44.
    pub packets_out: u32,
    /// `retrans_out` at offset 48.
    pub retrans_out: u32,
    /// `total_retrans` at offset 52.
    pub total_retrans: u32,
    /// `segs_in` at offset 56.
    pub segs_in: u32,
    /// `data_segs_in` at offset 60.
    pub data_segs_in: u32,
    /// `segs_out` at offset 64.
    pub segs_out: u32,
    /// `data_segs_out` at offset 68.
    pub data_segs_out: u32,
    /// `lost_out` at offset 72.
    pub lost_out: u32,
    /// `sacked_out` at offset 76.
    pub sacked_out: u32,
    /// `bytes_received` at offset 80.
    pub bytes_received: u64,
    /// `bytes_acked` at offset 88.
    pub bytes_acked: u64,
    /// `dsack_dups` at offset 96.
    pub dsack_dups: u32,
    /// `delivered` at offset 100.
    pub delivered: u32,
    /// `delivered_ce` at offset 104.
    pub delivered_ce: u32,
    /// `icsk_retransmits` at offset 108.
    pub icsk_retransmits: u32,
}

const _: () = assert!(size_of::<TcpSock>() == 112);

/// `struct nlmsghdr`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct NlMsgHdr {
    /// `nlmsg_len` at offset 0.
    pub nlmsg_len: u32,
    /// `nlmsg_type` at offset 4.
    pub nlmsg_type: u16,
    /// `nlmsg_flags` at offset 6.
    pub nlmsg_flags: u16,
    /// `nlmsg_seq` at offset 8.
    pub nlmsg_seq: u32,
    /// `nlmsg_pid` at offset 12.
    pub nlmsg_pid: u32,
}

const _: () = assert!(size_of::<NlMsgHdr>() == 16);

/// `struct nlattr`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct NlAttr {
    /// `nla_len` at offset 0.
    pub nla_len: u16,
    /// `nla_type` at offset 2.
    pub nla_type: u16,
}

const _: () = assert!(size_of::<NlAttr>() == 4);

/// `struct ifinfomsg`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct IfInfoMsg {
    /// `ifi_family` at offset 0.
    pub ifi_family: u8,
    /// `__ifi_pad` at offset 1.
    pub __ifi_pad: u8,
    /// `ifi_type` at offset 2.
    pub ifi_type: u16,
    /// `ifi_index` at offset 4.
    pub ifi_index: i32,
    /// `ifi_flags` at offset 8.
    pub ifi_flags: u32,
    /// `ifi_change` at offset 12.
    pub ifi_change: u32,
}

const _: () = assert!(size_of::<IfInfoMsg>() == 16);

/// `struct tcmsg`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct TcMsg {
    /// `tcm_family` at offset 0.
    pub tcm_family: u8,
    /// `tcm__pad1` at offset 1.
    pub tcm_pad1: u8,
    /// `tcm__pad2` at offset 2.
    pub tcm_pad2: u16,
    /// `tcm_ifindex` at offset 4.
    pub tcm_ifindex: i32,
    /// `tcm_handle` at offset 8.
    pub tcm_handle: u32,
    /// `tcm_parent` at offset 12.
    pub tcm_parent: u32,
    /// `tcm_info` at offset 16.
    pub tcm_info: u32,
}

const _: () = assert!(size_of::<TcMsg>() == 20);
