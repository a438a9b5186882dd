//! What rtnetlink, XDP and tc need of constants, under Linux's own names; and the verdicts of their programs.

use crate::defines::defines;

defines! {
    "linux/pkt_cls.h" {
        TC_ACT_UNSPEC: i32 = -1, "tc: the action configured, or go on.";
        TC_ACT_OK: i32 = 0, "tc: the packet passes.";
        TC_ACT_RECLASSIFY: i32 = 1, "tc: classify again from the start.";
        TC_ACT_SHOT: i32 = 2, "tc: the packet is dropped.";
        TC_ACT_PIPE: i32 = 3, "tc: on to the next action.";
        TC_ACT_STOLEN: i32 = 4, "tc: the packet is taken.";
        TC_ACT_QUEUED: i32 = 5, "tc: the packet is queued.";
        TC_ACT_REPEAT: i32 = 6, "tc: classify again at this point.";
        TC_ACT_REDIRECT: i32 = 7, "tc: to where `bpf_redirect` said.";
        TC_ACT_TRAP: i32 = 8, "tc: to the CPU from hardware, else taken.";
        TCA_BPF_FLAG_ACT_DIRECT: u32 = 1 << 0, "cls_bpf: the program's return is the verdict.";
        TCA_BPF_FD: u16 = 6, "cls_bpf attribute: the program.";
        TCA_BPF_NAME: u16 = 7, "cls_bpf attribute: its name.";
        TCA_BPF_FLAGS: u16 = 8, "cls_bpf attribute: flags.";
        TCA_BPF_FLAGS_GEN: u16 = 9, "cls_bpf attribute: generic flags.";
        TCA_BPF_TAG: u16 = 10, "cls_bpf attribute: the program's tag.";
        TCA_BPF_ID: u16 = 11, "cls_bpf attribute: the program's id.";
    }
    "linux/pkt_sched.h" {
        TC_H_ROOT: u32 = 0xffff_ffff, "qdisc parent: the root.";
        TC_H_INGRESS: u32 = 0xffff_fff1, "qdisc parent: ingress.";
        TC_H_CLSACT: u32 = 0xffff_fff1, "qdisc parent: clsact.";
        TC_H_MIN_INGRESS: u32 = 0xfff2, "clsact class: ingress.";
        TC_H_MIN_EGRESS: u32 = 0xfff3, "clsact class: egress.";
        TC_H_MAJ_MASK: u32 = 0xffff_0000, "The major half of a handle.";
        TC_H_MIN_MASK: u32 = 0x0000_ffff, "The minor half of a handle.";
    }
    "linux/rtnetlink.h" {
        RTM_NEWLINK: u16 = 16, "Message: make or change an interface.";
        RTM_GETLINK: u16 = 18, "Message: ask about interfaces.";
        RTM_SETLINK: u16 = 19, "Message: change an interface.";
        RTM_NEWQDISC: u16 = 36, "Message: make a qdisc.";
        RTM_DELQDISC: u16 = 37, "Message: remove a qdisc.";
        RTM_GETQDISC: u16 = 38, "Message: ask about qdiscs.";
        RTM_NEWTFILTER: u16 = 44, "Message: make a filter.";
        RTM_DELTFILTER: u16 = 45, "Message: remove a filter.";
        RTM_GETTFILTER: u16 = 46, "Message: ask about filters.";
        TCA_KIND: u16 = 1, "tc attribute: the kind, a string.";
        TCA_OPTIONS: u16 = 2, "tc attribute: the kind's own attributes.";
    }
    "linux/netlink.h" {
        NETLINK_ROUTE: i32 = 0, "The protocol of rtnetlink sockets.";
        NLM_F_REQUEST: u16 = 0x1, "Message: a request.";
        NLM_F_MULTI: u16 = 0x2, "Message: one of several.";
        NLM_F_ACK: u16 = 0x4, "Message: wants an acknowledgement.";
        NLM_F_ECHO: u16 = 0x8, "Message: wants itself back.";
        NLM_F_ROOT: u16 = 0x100, "Get: the whole table.";
        NLM_F_MATCH: u16 = 0x200, "Get: all that match.";
        NLM_F_DUMP: u16 = 0x300, "Get: all.";
        NLM_F_REPLACE: u16 = 0x100, "New: replace what is there.";
        NLM_F_EXCL: u16 = 0x200, "New: nothing may be there.";
        NLM_F_CREATE: u16 = 0x400, "New: create it.";
        NLMSG_NOOP: u16 = 1, "Message: nothing.";
        NLMSG_ERROR: u16 = 2, "Message: an error, or an acknowledgement where it is zero.";
        NLMSG_DONE: u16 = 3, "Message: the end of a dump.";
        NLA_F_NESTED: u16 = 1 << 15, "Attribute: holds attributes.";
        NLA_F_NET_BYTEORDER: u16 = 1 << 14, "Attribute: in network byte order.";
        NLMSGERR_ATTR_MSG: u16 = 1, "Error attribute: a text.";
        NLM_F_CAPPED: u16 = 0x100, "Acknowledgement: the request is left out.";
        NLM_F_ACK_TLVS: u16 = 0x200, "Acknowledgement: attributes follow.";
        NETLINK_CAP_ACK: i32 = 10, "Socket option: acknowledgements without the request.";
        NETLINK_EXT_ACK: i32 = 11, "Socket option: acknowledgements with attributes.";
        NETLINK_GET_STRICT_CHK: i32 = 12, "Socket option: strict checks of requests.";
    }
    "linux/if_link.h" {
        IFLA_IFNAME: u16 = 3, "Interface attribute: its name.";
        IFLA_XDP: u16 = 43, "Interface attribute: XDP, nested.";
        IFLA_XDP_FD: u16 = 1, "XDP attribute: the program.";
        IFLA_XDP_ATTACHED: u16 = 2, "XDP attribute: how it is attached.";
        IFLA_XDP_FLAGS: u16 = 3, "XDP attribute: flags.";
        IFLA_XDP_PROG_ID: u16 = 4, "XDP attribute: the program's id.";
        IFLA_XDP_DRV_PROG_ID: u16 = 5, "XDP attribute: the id in the driver.";
        IFLA_XDP_SKB_PROG_ID: u16 = 6, "XDP attribute: the id in the generic hook.";
        IFLA_XDP_HW_PROG_ID: u16 = 7, "XDP attribute: the id in hardware.";
        IFLA_XDP_EXPECTED_FD: u16 = 8, "XDP attribute: the program that must be there.";
        XDP_FLAGS_UPDATE_IF_NOEXIST: u32 = 1 << 0, "XDP: only where there is none.";
        XDP_FLAGS_SKB_MODE: u32 = 1 << 1, "XDP: the generic hook.";
        XDP_FLAGS_DRV_MODE: u32 = 1 << 2, "XDP: the driver's hook.";
        XDP_FLAGS_HW_MODE: u32 = 1 << 3, "XDP: hardware.";
        XDP_FLAGS_REPLACE: u32 = 1 << 4, "XDP: only in the place of the expected one.";
        XDP_ATTACHED_NONE: u8 = 0, "XDP: nothing attached.";
        XDP_ATTACHED_DRV: u8 = 1, "XDP: in the driver.";
        XDP_ATTACHED_SKB: u8 = 2, "XDP: in the generic hook.";
        XDP_ATTACHED_HW: u8 = 3, "XDP: in hardware.";
        XDP_ATTACHED_MULTI: u8 = 4, "XDP: in several places.";
    }
}
