// Made from base/abi/btf/linux-6.18.44-x86_64.btf by `cargo xtask abi`: change xtask/src/abi/plan.rs and run it again.

//! The contexts that programs receive, as user space sees them.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `struct xdp_md`; pointers are 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct XdpMd {
    /// `data` at offset 0.
    pub data: u32,
    /// `data_end` at offset 4.
    pub data_end: u32,
    /// `data_meta` at offset 8.
    pub data_meta: u32,
    /// `ingress_ifindex` at offset 12.
    pub ingress_ifindex: u32,
    /// `rx_queue_index` at offset 16.
    pub rx_queue_index: u32,
    /// `egress_ifindex` at offset 20.
    pub egress_ifindex: u32,
}

const _: () = assert!(size_of::<XdpMd>() == 24);

/// `struct __sk_buff`; pointers are 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct SkBuff {
    /// `len` at offset 0.
    pub len: u32,
    /// `pkt_type` at offset 4.
    pub pkt_type: u32,
    /// `mark` at offset 8.
    pub mark: u32,
    /// `queue_mapping` at offset 12.
    pub queue_mapping: u32,
    /// `protocol` at offset 16.
    pub protocol: u32,
    /// `vlan_present` at offset 20.
    pub vlan_present: u32,
    /// `vlan_tci` at offset 24.
    pub vlan_tci: u32,
    /// `vlan_proto` at offset 28.
    pub vlan_proto: u32,
    /// `priority` at offset 32.
    pub priority: u32,
    /// `ingress_ifindex` at offset 36.
    pub ingress_ifindex: u32,
    /// `ifindex` at offset 40.
    pub ifindex: u32,
    /// `tc_index` at offset 44.
    pub tc_index: u32,
    /// `cb` at offset 48.
    pub cb: [u32; 5],
    /// `hash` at offset 68.
    pub hash: u32,
    /// `tc_classid` at offset 72.
    pub tc_classid: u32,
    /// `data` at offset 76.
    pub data: u32,
    /// `data_end` at offset 80.
    pub data_end: u32,
    /// `napi_id` at offset 84.
    pub napi_id: u32,
    /// `family` at offset 88.
    pub family: u32,
    /// `remote_ip4` at offset 92.
    pub remote_ip4: u32,
    /// `local_ip4` at offset 96.
    pub local_ip4: u32,
    /// `remote_ip6` at offset 100.
    pub remote_ip6: [u32; 4],
    /// `local_ip6` at offset 116.
    pub local_ip6: [u32; 4],
    /// `remote_port` at offset 132.
    pub remote_port: u32,
    /// `local_port` at offset 136.
    pub local_port: u32,
    /// `data_meta` at offset 140.
    pub data_meta: u32,
    /// `flow_keys` at offset 144.
    pub flow_keys: u64,
    /// `tstamp` at offset 152.
    pub tstamp: u64,
    /// `wire_len` at offset 160.
    pub wire_len: u32,
    /// `gso_segs` at offset 164.
    pub gso_segs: u32,
    /// `sk` at offset 168.
    pub sk: u64,
    /// `gso_size` at offset 176.
    pub gso_size: u32,
    /// `tstamp_type` at offset 180.
    pub tstamp_type: u8,
    /// Padding; zero.
    pub _pad0: [u8; 3],
    /// `hwtstamp` at offset 184.
    pub hwtstamp: u64,
}

const _: () = assert!(size_of::<SkBuff>() == 192);

/// `struct bpf_sock`; pointers are 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct BpfSock {
    /// `bound_dev_if` at offset 0.
    pub bound_dev_if: u32,
    /// `family` at offset 4.
    pub family: u32,
    /// `type` at offset 8.
    pub type_: u32,
    /// `protocol` at offset 12.
    pub protocol: u32,
    /// `mark` at offset 16.
    pub mark: u32,
    /// `priority` at offset 20.
    pub priority: u32,
    /// `src_ip4` at offset 24.
    pub src_ip4: u32,
    /// `src_ip6` at offset 28.
    pub src_ip6: [u32; 4],
    /// `src_port` at offset 44.
    pub src_port: u32,
    /// `dst_port` at offset 48.
    pub dst_port: u16,
    /// Padding; zero.
    pub _pad0: [u8; 2],
    /// `dst_ip4` at offset 52.
    pub dst_ip4: u32,
    /// `dst_ip6` at offset 56.
    pub dst_ip6: [u32; 4],
    /// `state` at offset 72.
    pub state: u32,
    /// `rx_queue_mapping` at offset 76.
    pub rx_queue_mapping: i32,
}

const _: () = assert!(size_of::<BpfSock>() == 80);

/// `struct bpf_sock_addr`; pointers are 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct SockAddr {
    /// `user_family` at offset 0.
    pub user_family: u32,
    /// `user_ip4` at offset 4.
    pub user_ip4: u32,
    /// `user_ip6` at offset 8.
    pub user_ip6: [u32; 4],
    /// `user_port` at offset 24.
    pub user_port: u32,
    /// `family` at offset 28.
    pub family: u32,
    /// `type` at offset 32.
    pub type_: u32,
    /// `protocol` at offset 36.
    pub protocol: u32,
    /// `msg_src_ip4` at offset 40.
    pub msg_src_ip4: u32,
    /// `msg_src_ip6` at offset 44.
    pub msg_src_ip6: [u32; 4],
    /// Padding; zero.
    pub _pad0: [u8; 4],
    /// `sk` at offset 64.
    pub sk: u64,
}

const _: () = assert!(size_of::<SockAddr>() == 72);

/// `struct bpf_sock_ops`; pointers are 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct SockOps {
    /// `op` at offset 0.
    pub op: u32,
    /// `args` at offset 4.
    pub args: [u32; 4],
    /// `family` at offset 20.
    pub family: u32,
    /// `remote_ip4` at offset 24.
    pub remote_ip4: u32,
    /// `local_ip4` at offset 28.
    pub local_ip4: u32,
    /// `remote_ip6` at offset 32.
    pub remote_ip6: [u32; 4],
    /// `local_ip6` at offset 48.
    pub local_ip6: [u32; 4],
    /// `remote_port` at offset 64.
    pub remote_port: u32,
    /// `local_port` at offset 68.
    pub local_port: u32,
    /// `is_fullsock` at offset 72.
    pub is_fullsock: u32,
    /// `snd_cwnd` at offset 76.
    pub snd_cwnd: u32,
    /// `srtt_us` at offset 80.
    pub srtt_us: u32,
    /// `bpf_sock_ops_cb_flags` at offset 84.
    pub bpf_sock_ops_cb_flags: u32,
    /// `state` at offset 88.
    pub state: u32,
    /// `rtt_min` at offset 92.
    pub rtt_min: u32,
    /// `snd_ssthresh` at offset 96.
    pub snd_ssthresh: u32,
    /// `rcv_nxt` at offset 100.
    pub rcv_nxt: u32,
    /// `snd_nxt` at offset 104.
    pub snd_nxt: u32,
    /// `snd_una` at offset 108.
    pub snd_una: u32,
    /// `mss_cache` at offset 112.
    pub mss_cache: u32,
    /// `ecn_flags` at offset 116.
    pub ecn_flags: u32,
    /// `rate_delivered` at offset 120.
    pub rate_delivered: u32,
    /// `rate_interval_us` at offset 124.
    pub rate_interval_us: u32,
    /// `packets_out` at offset 128.
    pub packets_out: u32,
    /// `retrans_out` at offset 132.
    pub retrans_out: u32,
    /// `total_retrans` at offset 136.
    pub total_retrans: u32,
    /// `segs_in` at offset 140.
    pub segs_in: u32,
    /// `data_segs_in` at offset 144.
    pub data_segs_in: u32,
    /// `segs_out` at offset 148.
    pub segs_out: u32,
    /// `data_segs_out` at offset 152.
    pub data_segs_out: u32,
    /// `lost_out` at offset 156.
    pub lost_out: u32,
    /// `sacked_out` at offset 160.
    pub sacked_out: u32,
    /// `sk_txhash` at offset 164.
    pub sk_txhash: u32,
    /// `bytes_received` at offset 168.
    pub bytes_received: u64,
    /// `bytes_acked` at offset 176.
    pub bytes_acked: u64,
    /// `sk` at offset 184.
    pub sk: u64,
    /// `skb_data` at offset 192.
    pub skb_data: u64,
    /// `skb_data_end` at offset 200.
    pub skb_data_end: u64,
    /// `skb_len` at offset 208.
    pub skb_len: u32,
    /// `skb_tcp_flags` at offset 212.
    pub skb_tcp_flags: u32,
    /// `skb_hwtstamp` at offset 216.
    pub skb_hwtstamp: u64,
}

const _: () = assert!(size_of::<SockOps>() == 224);

/// `struct sk_msg_md`; pointers are 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct SkMsgMd {
    /// `data` at offset 0.
    pub data: u64,
    /// `data_end` at offset 8.
    pub data_end: u64,
    /// `family` at offset 16.
    pub family: u32,
    /// `remote_ip4` at offset 20.
    pub remote_ip4: u32,
    /// `local_ip4` at offset 24.
    pub local_ip4: u32,
    /// `remote_ip6` at offset 28.
    pub remote_ip6: [u32; 4],
    /// `local_ip6` at offset 44.
    pub local_ip6: [u32; 4],
    /// `remote_port` at offset 60.
    pub remote_port: u32,
    /// `local_port` at offset 64.
    pub local_port: u32,
    /// `size` at offset 68.
    pub size: u32,
    /// `sk` at offset 72.
    pub sk: u64,
}

const _: () = assert!(size_of::<SkMsgMd>() == 80);

/// `struct sk_reuseport_md`; pointers are 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct SkReuseportMd {
    /// `data` at offset 0.
    pub data: u64,
    /// `data_end` at offset 8.
    pub data_end: u64,
    /// `len` at offset 16.
    pub len: u32,
    /// `eth_protocol` at offset 20.
    pub eth_protocol: u32,
    /// `ip_protocol` at offset 24.
    pub ip_protocol: u32,
    /// `bind_inany` at offset 28.
    pub bind_inany: u32,
    /// `hash` at offset 32.
    pub hash: u32,
    /// Padding; zero.
    pub _pad0: [u8; 4],
    /// `sk` at offset 40.
    pub sk: u64,
    /// `migrating_sk` at offset 48.
    pub migrating_sk: u64,
}

const _: () = assert!(size_of::<SkReuseportMd>() == 56);

/// `struct bpf_sk_lookup`; pointers are 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct SkLookup {
    /// `sk` at offset 0.
    pub sk: u64,
    /// `family` at offset 8.
    pub family: u32,
    /// `protocol` at offset 12.
    pub protocol: u32,
    /// `remote_ip4` at offset 16.
    pub remote_ip4: u32,
    /// `remote_ip6` at offset 20.
    pub remote_ip6: [u32; 4],
    /// `remote_port` at offset 36.
    pub remote_port: u16,
    /// Padding; zero.
    pub _pad0: [u8; 2],
    /// `local_ip4` at offset 40.
    pub local_ip4: u32,
    /// `local_ip6` at offset 44.
    pub local_ip6: [u32; 4],
    /// `local_port` at offset 60.
    pub local_port: u32,
    /// `ingress_ifindex` at offset 64.
    pub ingress_ifindex: u32,
    /// Padding; zero.
    pub _pad1: [u8; 4],
}

const _: () = assert!(size_of::<SkLookup>() == 72);

/// `struct bpf_sysctl`; pointers are 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct SysctlCtx {
    /// `write` at offset 0.
    pub write: u32,
    /// `file_pos` at offset 4.
    pub file_pos: u32,
}

const _: () = assert!(size_of::<SysctlCtx>() == 8);

/// `struct bpf_sockopt`; pointers are 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct SockoptCtx {
    /// `sk` at offset 0.
    pub sk: u64,
    /// `optval` at offset 8.
    pub optval: u64,
    /// `optval_end` at offset 16.
    pub optval_end: u64,
    /// `level` at offset 24.
    pub level: i32,
    /// `optname` at offset 28.
    pub optname: i32,
    /// `optlen` at offset 32.
    pub optlen: i32,
    /// `retval` at offset 36.
    pub retval: i32,
}

const _: () = assert!(size_of::<SockoptCtx>() == 40);

/// `struct bpf_cgroup_dev_ctx`; pointers are 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct CgroupDevCtx {
    /// `access_type` at offset 0.
    pub access_type: u32,
    /// `major` at offset 4.
    pub major: u32,
    /// `minor` at offset 8.
    pub minor: u32,
}

const _: () = assert!(size_of::<CgroupDevCtx>() == 12);

/// `struct bpf_nf_ctx`; pointers are 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct NfCtx {
    /// `state` at offset 0.
    pub state: u64,
    /// `skb` at offset 8.
    pub skb: u64,
}

const _: () = assert!(size_of::<NfCtx>() == 16);
