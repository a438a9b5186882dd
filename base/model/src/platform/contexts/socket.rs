//! The contexts of programs of sockets: `bpf_sock_ops`, `sk_msg_md`, `sk_reuseport_md`, `bpf_sk_lookup`
//! (net/core/filter.c), and of two that stand alone: netfilter's (net/netfilter/nf_bpf_link.c) and that of infrared
//! remote controls (drivers/media/rc/bpf-lirc.c).

use skep_abi::{NfCtx, ProgType, SkLookup, SkMsgMd, SkReuseportMd, SockOps};

use crate::platform::context::{Context, Field, Meaning as M, Widths, field};
use crate::platform::sets::ProgSet;

const OPS: ProgSet = ProgSet::of(&[ProgType::SOCK_OPS]);
const MSG: ProgSet = ProgSet::of(&[ProgType::SK_MSG]);
const REUSEPORT: ProgSet = ProgSet::of(&[ProgType::SK_REUSEPORT]);
const LOOKUP: ProgSet = ProgSet::of(&[ProgType::SK_LOOKUP]);
const NF: ProgSet = ProgSet::of(&[ProgType::NETFILTER]);
const LIRC: ProgSet = ProgSet::of(&[ProgType::LIRC_MODE2]);

/// A field of 32 bits whose parts may be loaded.
const fn word(name: &'static str, offset: u16, meaning: M, load: ProgSet) -> Field {
    field(name, offset, 4, meaning, load).widths(Widths::NarrowLoads)
}

/// `struct bpf_sock_ops` (`sock_ops_is_valid_access`); the first of `args` is the `reply`.
#[rustfmt::skip]
pub static SOCK_OPS: Context = Context {
    name: "bpf_sock_ops",
    size: size_of::<SockOps>() as u32,
    fields: &[
        field("op", 0, 4, M::Number, OPS),
        field("args", 4, 16, M::Number, OPS).widths(Widths::ElementStoresFirst(4)).store(OPS),
        field("family", 20, 4, M::Family, OPS),
        field("remote_ip4", 24, 4, M::RemoteIp4, OPS),
        field("local_ip4", 28, 4, M::LocalIp4, OPS),
        field("remote_ip6", 32, 16, M::RemoteIp6, OPS).widths(Widths::Element(4)),
        field("local_ip6", 48, 16, M::LocalIp6, OPS).widths(Widths::Element(4)),
        field("remote_port", 64, 4, M::RemotePort, OPS),
        field("local_port", 68, 4, M::LocalPort, OPS),
        field("is_fullsock", 72, 4, M::Number, OPS),
        field("snd_cwnd", 76, 4, M::Number, OPS),
        field("srtt_us", 80, 4, M::Number, OPS),
        field("bpf_sock_ops_cb_flags", 84, 4, M::Number, OPS),
        field("state", 88, 4, M::Number, OPS),
        field("rtt_min", 92, 4, M::Number, OPS),
        field("snd_ssthresh", 96, 4, M::Number, OPS),
        field("rcv_nxt", 100, 4, M::Number, OPS),
        field("snd_nxt", 104, 4, M::Number, OPS),
        field("snd_una", 108, 4, M::Number, OPS),
        field("mss_cache", 112, 4, M::Number, OPS),
        field("ecn_flags", 116, 4, M::Number, OPS),
        field("rate_delivered", 120, 4, M::Number, OPS),
        field("rate_interval_us", 124, 4, M::Number, OPS),
        field("packets_out", 128, 4, M::Number, OPS),
        field("retrans_out", 132, 4, M::Number, OPS),
        field("total_retrans", 136, 4, M::Number, OPS),
        field("segs_in", 140, 4, M::Number, OPS),
        field("data_segs_in", 144, 4, M::Number, OPS),
        field("segs_out", 148, 4, M::Number, OPS),
        field("data_segs_out", 152, 4, M::Number, OPS),
        field("lost_out", 156, 4, M::Number, OPS),
        field("sacked_out", 160, 4, M::Number, OPS),
        field("sk_txhash", 164, 4, M::Number, OPS).store(OPS),
        field("bytes_received", 168, 8, M::Number, OPS),
        field("bytes_acked", 176, 8, M::Number, OPS),
        field("sk", 184, 8, M::FullSkOrNull, OPS),
        field("skb_data", 192, 8, M::PacketData, OPS),
        field("skb_data_end", 200, 8, M::PacketEnd, OPS),
        field("skb_len", 208, 4, M::Len, OPS),
        field("skb_tcp_flags", 212, 4, M::Number, OPS).widths(Widths::NarrowFromStart),
        field("skb_hwtstamp", 216, 8, M::Hwtstamp, OPS),
    ],
};

/// `struct sk_msg_md` (`sk_msg_is_valid_access`).
pub static SK_MSG: Context = Context {
    name: "sk_msg_md",
    size: size_of::<SkMsgMd>() as u32,
    fields: &[
        field("data", 0, 8, M::PacketData, MSG),
        field("data_end", 8, 8, M::PacketEnd, MSG),
        field("family", 16, 4, M::Family, MSG),
        field("remote_ip4", 20, 4, M::RemoteIp4, MSG),
        field("local_ip4", 24, 4, M::LocalIp4, MSG),
        field("remote_ip6", 28, 16, M::RemoteIp6, MSG).widths(Widths::Element(4)),
        field("local_ip6", 44, 16, M::LocalIp6, MSG).widths(Widths::Element(4)),
        field("remote_port", 60, 4, M::RemotePort, MSG),
        field("local_port", 64, 4, M::LocalPort, MSG),
        field("size", 68, 4, M::Len, MSG),
        field("sk", 72, 8, M::FullSk, MSG),
    ],
};

/// `struct sk_reuseport_md` (`sk_reuseport_is_valid_access`).
pub static SK_REUSEPORT: Context = Context {
    name: "sk_reuseport_md",
    size: size_of::<SkReuseportMd>() as u32,
    fields: &[
        field("data", 0, 8, M::PacketData, REUSEPORT),
        field("data_end", 8, 8, M::PacketEnd, REUSEPORT),
        word("len", 16, M::Len, REUSEPORT),
        field("eth_protocol", 20, 4, M::Protocol, REUSEPORT).widths(Widths::NarrowTo(2)),
        word("ip_protocol", 24, M::Number, REUSEPORT),
        word("bind_inany", 28, M::Number, REUSEPORT),
        field("hash", 32, 4, M::Hash, REUSEPORT),
        field("sk", 40, 8, M::FullSk, REUSEPORT),
        field("migrating_sk", 48, 8, M::Sk, REUSEPORT),
    ],
};

/// `struct bpf_sk_lookup` (`sk_lookup_is_valid_access`).
pub static SK_LOOKUP: Context = Context {
    name: "bpf_sk_lookup",
    size: size_of::<SkLookup>() as u32,
    fields: &[
        field("sk", 0, 8, M::FullSkOrNull, LOOKUP),
        word("family", 8, M::Family, LOOKUP),
        word("protocol", 12, M::Number, LOOKUP),
        word("remote_ip4", 16, M::RemoteIp4, LOOKUP),
        field("remote_ip6", 20, 16, M::RemoteIp6, LOOKUP).widths(Widths::NarrowElement(4)),
        field("remote_port", 36, 2, M::RemotePort, LOOKUP).widths(Widths::Port),
        field("padding", 38, 2, M::Number, LOOKUP).widths(Widths::NarrowLoads),
        word("local_ip4", 40, M::LocalIp4, LOOKUP),
        field("local_ip6", 44, 16, M::LocalIp6, LOOKUP).widths(Widths::NarrowElement(4)),
        word("local_port", 60, M::LocalPort, LOOKUP),
        word("ingress_ifindex", 64, M::IngressIfindex, LOOKUP),
    ],
};

/// `struct bpf_nf_ctx` (`nf_is_valid_access`).
pub static NETFILTER: Context = Context {
    name: "bpf_nf_ctx",
    size: size_of::<NfCtx>() as u32,
    fields: &[
        field("state", 0, 8, M::Kernel("nf_hook_state"), NF),
        field("skb", 8, 8, M::Kernel("sk_buff"), NF),
    ],
};

/// The sample of an infrared receiver, one number (`lirc_mode2_is_valid_access`).
pub static LIRC_MODE2: Context =
    Context { name: "lirc sample", size: 4, fields: &[field("sample", 0, 4, M::Number, LIRC)] };
