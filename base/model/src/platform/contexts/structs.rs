//! What lies behind pointers that programs are given: sockets, which are read by tables like contexts
//! (`check_sock_access`, kernel/bpf/verifier.c, and the functions of net/core/filter.c that it calls), and the flow
//! dissector's keys (`check_flow_keys_access`).

use skep_abi::{BpfSock, FlowKeys, TcpSock};

use crate::platform::context::{Context, Field, Meaning as M, Widths, field};
use crate::platform::helper::Socket;
use crate::platform::sets::ProgSet;

/// Whoever has the pointer.
const ALL: ProgSet = ProgSet::ALL;

/// A field of 32 bits, loaded whole.
const fn number(name: &'static str, offset: u16) -> Field {
    field(name, offset, 4, M::Number, ALL)
}

/// A field of 32 bits, of which the first bytes may be loaded.
const fn first(name: &'static str, offset: u16, meaning: M) -> Field {
    field(name, offset, 4, meaning, ALL).widths(Widths::NarrowFromStart)
}

const BOUND_DEV_IF: Field = number("bound_dev_if", 0);
const FAMILY: Field = first("family", 4, M::Family);
const SRC_IP4: Field = field("src_ip4", 24, 4, M::LocalIp4, ALL).widths(Widths::NarrowLoads);
const SRC_IP6: Field = field("src_ip6", 28, 16, M::LocalIp6, ALL).widths(Widths::NarrowElement(4));
const SRC_PORT: Field = first("src_port", 44, M::LocalPort);
const DST_PORT: Field = field("dst_port", 48, 2, M::RemotePort, ALL).widths(Widths::Port);
const DST_IP4: Field = field("dst_ip4", 52, 4, M::RemoteIp4, ALL).widths(Widths::NarrowLoads);
const DST_IP6: Field = field("dst_ip6", 56, 16, M::RemoteIp6, ALL).widths(Widths::NarrowElement(4));
const STATE: Field = first("state", 72, M::Number);
const RX_QUEUE_MAPPING: Field = first("rx_queue_mapping", 76, M::Number);

/// `struct bpf_sock` of a full socket (`bpf_sock_is_valid_access`).
static FULL: Context = Context {
    name: "bpf_sock",
    size: size_of::<BpfSock>() as u32,
    fields: &[
        BOUND_DEV_IF,
        FAMILY,
        first("type", 8, M::Number),
        first("protocol", 12, M::Number),
        number("mark", 16),
        number("priority", 20),
        SRC_IP4,
        SRC_IP6,
        SRC_PORT,
        DST_PORT,
        DST_IP4,
        DST_IP6,
        STATE,
        RX_QUEUE_MAPPING,
    ],
};

/// The same of any socket (`bpf_sock_common_is_valid_access`).
static COMMON: Context = Context {
    name: "bpf_sock",
    size: size_of::<BpfSock>() as u32,
    fields: &[
        BOUND_DEV_IF,
        FAMILY,
        SRC_IP4,
        SRC_IP6,
        SRC_PORT,
        DST_PORT,
        DST_IP4,
        DST_IP6,
        STATE,
        RX_QUEUE_MAPPING,
    ],
};

/// `struct bpf_tcp_sock` (`bpf_tcp_sock_is_valid_access`).
static TCP: Context = Context {
    name: "bpf_tcp_sock",
    size: size_of::<TcpSock>() as u32,
    fields: &[
        number("snd_cwnd", 0),
        number("srtt_us", 4),
        number("rtt_min", 8),
        number("snd_ssthresh", 12),
        number("rcv_nxt", 16),
        number("snd_nxt", 20),
        number("snd_una", 24),
        number("mss_cache", 28),
        number("ecn_flags", 32),
        number("rate_delivered", 36),
        number("rate_interval_us", 40),
        number("packets_out", 44),
        number("retrans_out", 48),
        number("total_retrans", 52),
        number("segs_in", 56),
        number("data_segs_in", 60),
        number("segs_out", 64),
        number("data_segs_out", 68),
        number("lost_out", 72),
        number("sacked_out", 76),
        field("bytes_received", 80, 8, M::Number, ALL),
        field("bytes_acked", 88, 8, M::Number, ALL),
        number("dsack_dups", 96),
        number("delivered", 100),
        number("delivered_ce", 104),
        number("icsk_retransmits", 108),
    ],
};

/// `struct bpf_xdp_sock` (`bpf_xdp_sock_is_valid_access`).
static XDP: Context = Context { name: "bpf_xdp_sock", size: 4, fields: &[number("queue_id", 0)] };

/// `struct bpf_flow_keys`; a program loads and stores all of it as it likes.
pub static FLOW_KEYS: Context = Context {
    name: "bpf_flow_keys",
    size: size_of::<FlowKeys>() as u32,
    fields: &[field("keys", 0, size_of::<FlowKeys>() as u16, M::Number, ALL)
        .widths(Widths::Unaligned)
        .store(ALL)],
};

/// Returns what a program loads through a pointer to a socket; it stores nothing.
pub fn of_socket(socket: Socket) -> &'static Context {
    match socket {
        Socket::Common => &COMMON,
        Socket::Full => &FULL,
        Socket::Tcp => &TCP,
        Socket::Xdp => &XDP,
    }
}
