//! The contexts of programs that see packets: `xdp_md` and `__sk_buff` (net/core/filter.c).

use skep_abi::{AttachType, ProgType, SkBuff, XdpMd};

use crate::platform::context::{Context, Field, Meaning as M, Widths, field};
use crate::platform::sets::{CGROUP_SKB, LWT, ProgSet, SOCKET_FILTER, TC, XDP};

const SK_SKB: ProgSet = ProgSet::of(&[ProgType::SK_SKB]);
const FLOW: ProgSet = ProgSet::of(&[ProgType::FLOW_DISSECTOR]);

/// Every type with `__sk_buff` but the flow dissector, which sees three fields only.
const SKB: ProgSet = TC.or(SOCKET_FILTER).or(CGROUP_SKB).or(LWT).or(SK_SKB);
/// Those that look into the packet without a helper.
const DIRECT: ProgSet = TC.or(CGROUP_SKB).or(LWT).or(SK_SKB).or(FLOW);
/// Those that see the socket's addresses.
const ADDRESSED: ProgSet = CGROUP_SKB.or(SK_SKB);

/// A field of 32 bits whose parts may be loaded.
const fn word(name: &'static str, offset: u16, meaning: M, load: ProgSet) -> Field {
    field(name, offset, 4, meaning, load).widths(Widths::NarrowLoads)
}

/// `struct xdp_md` (`xdp_is_valid_access`).
pub static XDP_MD: Context = Context {
    name: "xdp_md",
    size: size_of::<XdpMd>() as u32,
    fields: &[
        field("data", 0, 4, M::PacketData, XDP),
        field("data_end", 4, 4, M::PacketEnd, XDP),
        field("data_meta", 8, 4, M::PacketMeta, XDP),
        field("ingress_ifindex", 12, 4, M::IngressIfindex, XDP),
        field("rx_queue_index", 16, 4, M::RxQueueIndex, XDP),
        field("egress_ifindex", 20, 4, M::EgressIfindex, XDP).only_for(&[AttachType::XDP_DEVMAP]),
    ],
};

/// `struct __sk_buff` (`bpf_skb_is_valid_access` and the `sk_filter`, `tc_cls_act`, `cg_skb`, `lwt`, `sk_skb`,
/// `flow_dissector` functions beside it), for a program with CAP_BPF.
#[rustfmt::skip]
pub static SK_BUFF: Context = Context {
    name: "__sk_buff",
    size: size_of::<SkBuff>() as u32,
    fields: &[
        word("len", 0, M::Len, SKB),
        word("pkt_type", 4, M::PktType, SKB),
        word("mark", 8, M::Mark, SKB.without(SK_SKB)).store(TC.or(CGROUP_SKB).or(LWT)),
        word("queue_mapping", 12, M::QueueMapping, SKB).store(TC),
        word("protocol", 16, M::Protocol, SKB),
        word("vlan_present", 20, M::VlanPresent, SKB),
        word("vlan_tci", 24, M::VlanTci, SKB),
        word("vlan_proto", 28, M::VlanProto, SKB),
        word("priority", 32, M::Priority, SKB).store(TC.or(CGROUP_SKB).or(LWT).or(SK_SKB)),
        word("ingress_ifindex", 36, M::IngressIfindex, SKB),
        word("ifindex", 40, M::Ifindex, SKB),
        word("tc_index", 44, M::TcIndex, SKB).store(TC.or(SK_SKB)),
        field("cb", 48, 20, M::Cb, SKB).widths(Widths::Any).store(SKB.without(SK_SKB)),
        word("hash", 68, M::Hash, SKB),
        word("tc_classid", 72, M::TcClassid, TC).store(TC),
        field("data", 76, 4, M::PacketData, DIRECT),
        field("data_end", 80, 4, M::PacketEnd, DIRECT),
        word("napi_id", 84, M::NapiId, SKB),
        word("family", 88, M::Family, ADDRESSED),
        field("remote_ip4", 92, 4, M::RemoteIp4, ADDRESSED),
        field("local_ip4", 96, 4, M::LocalIp4, ADDRESSED),
        field("remote_ip6", 100, 16, M::RemoteIp6, ADDRESSED).widths(Widths::Element(4)),
        field("local_ip6", 116, 16, M::LocalIp6, ADDRESSED).widths(Widths::Element(4)),
        word("remote_port", 132, M::RemotePort, ADDRESSED),
        word("local_port", 136, M::LocalPort, ADDRESSED),
        field("data_meta", 140, 4, M::PacketMeta, TC),
        field("flow_keys", 144, 8, M::FlowKeys, FLOW),
        field("tstamp", 152, 8, M::Tstamp, TC.or(CGROUP_SKB)).store(TC.or(CGROUP_SKB)),
        word("wire_len", 160, M::WireLen, TC),
        word("gso_segs", 164, M::GsoSegs, SKB),
        field("sk", 168, 8, M::Sk, SKB),
        word("gso_size", 176, M::GsoSize, SKB),
        field("tstamp_type", 180, 1, M::TstampType, TC),
        field("hwtstamp", 184, 8, M::Hwtstamp, TC.or(CGROUP_SKB)),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_known_gaps_cover_the_structs() {
        for (context, gaps) in [(&XDP_MD, &[][..]), (&SK_BUFF, &[(181, 184)][..])] {
            let mut end = 0;
            for field in context.fields {
                let start = u32::from(field.offset);
                assert!(start == end || gaps.contains(&(end, start)), "{} {}", context.name, field.name);
                end = start + u32::from(field.size);
            }
            assert_eq!(end, context.size, "{}", context.name);
        }
    }
}
