//! The contexts of programs of cgroups: `bpf_sock`, `bpf_sock_addr` (net/core/filter.c), `bpf_cgroup_dev_ctx`,
//! `bpf_sysctl`, `bpf_sockopt` (kernel/bpf/cgroup.c).

use skep_abi::{AttachType as A, BpfSock, CgroupDevCtx, ProgType, SockAddr, SockoptCtx, SysctlCtx};

use crate::platform::context::{Context, Field, Meaning as M, Widths, field};
use crate::platform::sets::ProgSet;

const SOCK: ProgSet = ProgSet::of(&[ProgType::CGROUP_SOCK]);
const ADDR: ProgSet = ProgSet::of(&[ProgType::CGROUP_SOCK_ADDR]);
const DEVICE: ProgSet = ProgSet::of(&[ProgType::CGROUP_DEVICE]);
const SYSCTL: ProgSet = ProgSet::of(&[ProgType::CGROUP_SYSCTL]);
const SOCKOPT: ProgSet = ProgSet::of(&[ProgType::CGROUP_SOCKOPT]);

/// Where a socket comes and goes.
const LIFE: &[A] = &[A::CGROUP_INET_SOCK_CREATE, A::CGROUP_INET_SOCK_RELEASE];
/// Where a socket has been bound, to an address of either family.
const BOUND: &[A] = &[A::CGROUP_INET4_POST_BIND, A::CGROUP_INET6_POST_BIND];

/// What sees and sets an IPv4 address.
const IP4: &[A] = &[
    A::CGROUP_INET4_BIND,
    A::CGROUP_INET4_CONNECT,
    A::CGROUP_INET4_GETPEERNAME,
    A::CGROUP_INET4_GETSOCKNAME,
    A::CGROUP_UDP4_SENDMSG,
    A::CGROUP_UDP4_RECVMSG,
];
/// What sees and sets an IPv6 address.
const IP6: &[A] = &[
    A::CGROUP_INET6_BIND,
    A::CGROUP_INET6_CONNECT,
    A::CGROUP_INET6_GETPEERNAME,
    A::CGROUP_INET6_GETSOCKNAME,
    A::CGROUP_UDP6_SENDMSG,
    A::CGROUP_UDP6_RECVMSG,
];

/// A field of four bytes that a program of these types loads and stores whole.
const fn set(name: &'static str, offset: u16, progs: ProgSet) -> Field {
    field(name, offset, 4, M::Number, progs).store(progs)
}

/// `struct bpf_sock` (`sock_filter_is_valid_access`).
#[rustfmt::skip]
pub static CGROUP_SOCK: Context = Context {
    name: "bpf_sock",
    size: size_of::<BpfSock>() as u32,
    fields: &[
        set("bound_dev_if", 0, SOCK).only_for(LIFE),
        field("family", 4, 4, M::Family, SOCK).widths(Widths::NarrowFromStart),
        field("type", 8, 4, M::Number, SOCK).widths(Widths::NarrowFromStart),
        field("protocol", 12, 4, M::Number, SOCK).widths(Widths::NarrowFromStart),
        set("mark", 16, SOCK).only_for(LIFE),
        set("priority", 20, SOCK).only_for(LIFE),
        field("src_ip4", 24, 4, M::LocalIp4, SOCK).widths(Widths::NarrowLoads).only_for(&[A::CGROUP_INET4_POST_BIND]),
        field("src_ip6", 28, 16, M::LocalIp6, SOCK).widths(Widths::NarrowElement(4)).only_for(&[A::CGROUP_INET6_POST_BIND]),
        field("src_port", 44, 4, M::LocalPort, SOCK).widths(Widths::NarrowFromStart).only_for(BOUND),
        field("dst_port", 48, 2, M::RemotePort, SOCK).widths(Widths::Port),
        field("dst_ip4", 52, 4, M::RemoteIp4, SOCK).widths(Widths::NarrowLoads),
        field("dst_ip6", 56, 16, M::RemoteIp6, SOCK).widths(Widths::NarrowElement(4)),
        field("state", 72, 4, M::Number, SOCK).widths(Widths::NarrowFromStart),
        field("rx_queue_mapping", 76, 4, M::Number, SOCK).widths(Widths::NarrowFromStart),
    ],
};

/// `struct bpf_sock_addr` (`sock_addr_is_valid_access`).
#[rustfmt::skip]
pub static CGROUP_SOCK_ADDR: Context = Context {
    name: "bpf_sock_addr",
    size: size_of::<SockAddr>() as u32,
    fields: &[
        field("user_family", 0, 4, M::Number, ADDR),
        set("user_ip4", 4, ADDR).widths(Widths::NarrowLoads).only_for(IP4),
        field("user_ip6", 8, 16, M::Number, ADDR).store(ADDR).widths(Widths::NarrowElementOrTwo(4)).only_for(IP6),
        set("user_port", 24, ADDR).widths(Widths::NarrowLoads),
        field("family", 28, 4, M::Family, ADDR),
        field("type", 32, 4, M::Number, ADDR),
        field("protocol", 36, 4, M::Number, ADDR),
        set("msg_src_ip4", 40, ADDR).widths(Widths::NarrowLoads).only_for(&[A::CGROUP_UDP4_SENDMSG]),
        field("msg_src_ip6", 44, 16, M::Number, ADDR).store(ADDR).widths(Widths::NarrowElementOrTwo(4))
            .only_for(&[A::CGROUP_UDP6_SENDMSG]),
        field("sk", 64, 8, M::FullSk, ADDR),
    ],
};

/// `struct bpf_cgroup_dev_ctx` (`cgroup_dev_is_valid_access`).
pub static CGROUP_DEVICE: Context = Context {
    name: "bpf_cgroup_dev_ctx",
    size: size_of::<CgroupDevCtx>() as u32,
    fields: &[
        field("access_type", 0, 4, M::Number, DEVICE).widths(Widths::NarrowLoads),
        field("major", 4, 4, M::Number, DEVICE),
        field("minor", 8, 4, M::Number, DEVICE),
    ],
};

/// `struct bpf_sysctl` (`sysctl_is_valid_access`).
pub static CGROUP_SYSCTL: Context = Context {
    name: "bpf_sysctl",
    size: size_of::<SysctlCtx>() as u32,
    fields: &[
        field("write", 0, 4, M::Number, SYSCTL).widths(Widths::NarrowLoads),
        set("file_pos", 4, SYSCTL).widths(Widths::NarrowLoads),
    ],
};

/// `struct bpf_sockopt` (`cg_sockopt_is_valid_access`); the option's value is what other types call the packet.
pub static CGROUP_SOCKOPT: Context = Context {
    name: "bpf_sockopt",
    size: size_of::<SockoptCtx>() as u32,
    fields: &[
        field("sk", 0, 8, M::FullSk, SOCKOPT),
        field("optval", 8, 8, M::PacketData, SOCKOPT),
        field("optval_end", 16, 8, M::PacketEnd, SOCKOPT),
        set("level", 24, SOCKOPT).store_at(&[A::CGROUP_SETSOCKOPT]),
        set("optname", 28, SOCKOPT).store_at(&[A::CGROUP_SETSOCKOPT]),
        set("optlen", 32, SOCKOPT),
        set("retval", 36, SOCKOPT).only_for(&[A::CGROUP_GETSOCKOPT]),
    ],
};
