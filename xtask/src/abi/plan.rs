//! What is made: which structs of the kernel become which structs of `base/abi`, and which enumerations.

use skep_btf::Kind;

/// One struct to be made.
pub(super) struct Struct {
    /// Its name in Rust.
    pub(super) name: &'static str,
    /// What it is, as its documentation says.
    pub(super) doc: &'static str,
    /// The kernel's struct or union, and the members to walk into.
    pub(super) path: &'static [&'static str],
    /// The members to take of unions where not the first.
    pub(super) chosen: &'static [&'static str],
    /// The last field to take.
    pub(super) until: Option<&'static str>,
    /// Take the fields before this offset only, and what follows as words under this name if it has one.
    pub(super) head: Option<(u32, Option<&'static str>)>,
    /// Start with this struct of this many bytes.
    pub(super) base: Option<(&'static str, u32)>,
}

/// One file of structs.
pub(super) struct File {
    pub(super) name: &'static str,
    pub(super) doc: &'static str,
    pub(super) structs: &'static [Struct],
}

/// One enumeration to be made.
pub(super) struct Numbers {
    /// The kernel's enumeration.
    pub(super) source: &'static str,
    /// Its name in Rust.
    pub(super) name: &'static str,
    /// What it is, as its documentation says.
    pub(super) doc: &'static str,
    /// What one value is called where it has no name.
    pub(super) what: &'static str,
    /// What all names begin with.
    pub(super) prefix: &'static str,
    /// Whether the prefix stays in the names that are shown.
    pub(super) shown: Shown,
    /// Values of later kernels: name and value.
    pub(super) later: &'static [(&'static str, u32)],
}

/// How a value's name is shown.
pub(super) enum Shown {
    /// As the kernel writes it.
    Whole,
    /// Without the prefix.
    WithoutPrefix,
}

/// The types that the extract holds: what `base/abi` is made of, and what else programs see of a kernel, which the
/// embedded kernel's own BTF shows.
pub(super) const ROOTS: &[(Kind, &str)] = &[
    (Kind::Union, "bpf_attr"),
    (Kind::Struct, "bpf_prog_info"),
    (Kind::Struct, "bpf_map_info"),
    (Kind::Struct, "bpf_btf_info"),
    (Kind::Struct, "bpf_token_info"),
    (Kind::Struct, "bpf_link_info"),
    (Kind::Struct, "xdp_md"),
    (Kind::Struct, "__sk_buff"),
    (Kind::Struct, "bpf_sock"),
    (Kind::Struct, "bpf_sock_addr"),
    (Kind::Struct, "bpf_sock_ops"),
    (Kind::Struct, "sk_msg_md"),
    (Kind::Struct, "sk_reuseport_md"),
    (Kind::Struct, "bpf_sk_lookup"),
    (Kind::Struct, "bpf_sysctl"),
    (Kind::Struct, "bpf_sockopt"),
    (Kind::Struct, "bpf_cgroup_dev_ctx"),
    (Kind::Struct, "bpf_nf_ctx"),
    (Kind::Struct, "bpf_func_info"),
    (Kind::Struct, "bpf_line_info"),
    (Kind::Struct, "bpf_core_relo"),
    (Kind::Struct, "perf_event_header"),
    (Kind::Struct, "perf_event_attr"),
    (Kind::Struct, "bpf_perf_event_value"),
    (Kind::Struct, "bpf_devmap_val"),
    (Kind::Struct, "bpf_cpumap_val"),
    (Kind::Struct, "bpf_cgroup_storage_key"),
    (Kind::Struct, "bpf_stack_build_id"),
    (Kind::Struct, "bpf_pidns_info"),
    (Kind::Struct, "bpf_flow_keys"),
    (Kind::Struct, "bpf_tunnel_key"),
    (Kind::Struct, "bpf_fib_lookup"),
    (Kind::Struct, "bpf_redir_neigh"),
    (Kind::Struct, "btf_ptr"),
    (Kind::Struct, "bpf_spin_lock"),
    (Kind::Struct, "bpf_timer"),
    (Kind::Struct, "bpf_tcp_sock"),
    (Kind::Struct, "bpf_perf_event_data"),
    (Kind::Struct, "bpf_raw_tracepoint_args"),
    (Kind::Struct, "bpf_dynptr"),
    (Kind::Struct, "pt_regs"),
    (Kind::Struct, "trace_entry"),
    (Kind::Struct, "trace_event_raw_sys_enter"),
    (Kind::Struct, "trace_event_raw_sys_exit"),
    (Kind::Struct, "ethhdr"),
    (Kind::Struct, "vlan_hdr"),
    (Kind::Struct, "arphdr"),
    (Kind::Struct, "iphdr"),
    (Kind::Struct, "ipv6hdr"),
    (Kind::Struct, "icmphdr"),
    (Kind::Struct, "tcphdr"),
    (Kind::Struct, "udphdr"),
    (Kind::Struct, "nlmsghdr"),
    (Kind::Struct, "nlattr"),
    (Kind::Struct, "ifinfomsg"),
    (Kind::Struct, "tcmsg"),
    (Kind::Enum, "bpf_cmd"),
    (Kind::Enum, "bpf_map_type"),
    (Kind::Enum, "bpf_prog_type"),
    (Kind::Enum, "bpf_attach_type"),
    (Kind::Enum, "bpf_link_type"),
    (Kind::Enum, "bpf_perf_event_type"),
    (Kind::Enum, "bpf_task_fd_type"),
    (Kind::Enum, "xdp_action"),
    (Kind::Enum, "bpf_core_relo_kind"),
    (Kind::Enum, "perf_type_id"),
    (Kind::Enum, "perf_sw_ids"),
    (Kind::Enum, "perf_event_type"),
    (Kind::Enum, "bpf_func_id"),
];

const fn of(name: &'static str, path: &'static [&'static str], doc: &'static str) -> Struct {
    Struct { name, doc, path, chosen: &[], until: None, head: None, base: None }
}

impl Struct {
    const fn choosing(mut self, chosen: &'static [&'static str]) -> Self {
        self.chosen = chosen;
        self
    }

    const fn until(mut self, last: &'static str) -> Self {
        self.until = Some(last);
        self
    }

    const fn head(mut self, bytes: u32, rest: Option<&'static str>) -> Self {
        self.head = Some((bytes, rest));
        self
    }

    /// A form of `BPF_LINK_CREATE`: the common head and a tail.
    const fn after_link_create(mut self) -> Self {
        self.base = Some(("LinkCreate", 16));
        self
    }
}

const ATTR: &[Struct] = &[
    of("MapCreate", &["bpf_attr", "map_type"], "The attributes of `BPF_MAP_CREATE`."),
    of(
        "MapElem",
        &["bpf_attr", "map_fd"],
        "The attributes of `BPF_MAP_LOOKUP_ELEM`, `UPDATE_ELEM`, `DELETE_ELEM` and `LOOKUP_AND_DELETE_ELEM`.",
    )
    .choosing(&["value"]),
    of("MapNextKey", &["bpf_attr", "map_fd"], "The attributes of `BPF_MAP_GET_NEXT_KEY`.")
        .choosing(&["next_key"])
        .until("next_key"),
    of("MapFreeze", &["bpf_attr", "map_fd"], "The attributes of `BPF_MAP_FREEZE`.").until("map_fd"),
    of(
        "MapBatch",
        &["bpf_attr", "batch"],
        "The attributes of `BPF_MAP_LOOKUP_BATCH`, `LOOKUP_AND_DELETE_BATCH`, `UPDATE_BATCH` and `DELETE_BATCH`.",
    ),
    of("ProgLoad", &["bpf_attr", "prog_type"], "The attributes of `BPF_PROG_LOAD`."),
    of("ObjPath", &["bpf_attr", "pathname"], "The attributes of `BPF_OBJ_PIN` and `BPF_OBJ_GET`."),
    of(
        "ProgAttach",
        &["bpf_attr", "attach_bpf_fd"],
        "The attributes of `BPF_PROG_ATTACH` and `BPF_PROG_DETACH`; `target_fd` is an interface index for tcx and netkit.",
    ),
    of("ProgTestRun", &["bpf_attr", "test"], "The attributes of `BPF_PROG_TEST_RUN`."),
    of(
        "GetId",
        &["bpf_attr", "next_id"],
        "The attributes of `BPF_*_GET_NEXT_ID` and `BPF_*_GET_FD_BY_ID`; for the latter `start_id` is the id wanted.",
    ),
    of("InfoByFd", &["bpf_attr", "info"], "The attributes of `BPF_OBJ_GET_INFO_BY_FD`."),
    of(
        "ProgQuery",
        &["bpf_attr", "query"],
        "The attributes of `BPF_PROG_QUERY`; `target_fd` is an interface index for tcx and netkit.",
    ),
    of("RawTracepointOpen", &["bpf_attr", "raw_tracepoint"], "The attributes of `BPF_RAW_TRACEPOINT_OPEN`."),
    of("BtfLoad", &["bpf_attr", "btf"], "The attributes of `BPF_BTF_LOAD`."),
    of("TaskFdQuery", &["bpf_attr", "task_fd_query"], "The attributes of `BPF_TASK_FD_QUERY`."),
    of(
        "LinkCreate",
        &["bpf_attr", "link_create"],
        "The attributes of `BPF_LINK_CREATE` that every link type shares; `target_fd` is an interface index for xdp, tcx and netkit, `prog_fd` a map for struct_ops.",
    )
    .head(16, None),
    of(
        "LinkCreateIter",
        &["bpf_attr", "link_create", "iter_info"],
        "The attributes of `BPF_LINK_CREATE` for an iter link.",
    )
    .after_link_create(),
    of(
        "LinkCreatePerfEvent",
        &["bpf_attr", "link_create", "perf_event"],
        "The attributes of `BPF_LINK_CREATE` for a perf_event link.",
    )
    .after_link_create(),
    of(
        "LinkCreateKprobeMulti",
        &["bpf_attr", "link_create", "kprobe_multi"],
        "The attributes of `BPF_LINK_CREATE` for a kprobe_multi link.",
    )
    .after_link_create(),
    of(
        "LinkCreateTracing",
        &["bpf_attr", "link_create", "tracing"],
        "The attributes of `BPF_LINK_CREATE` for a tracing link.",
    )
    .after_link_create(),
    of(
        "LinkCreateNetfilter",
        &["bpf_attr", "link_create", "netfilter"],
        "The attributes of `BPF_LINK_CREATE` for a netfilter link.",
    )
    .after_link_create(),
    of(
        "LinkCreateTcx",
        &["bpf_attr", "link_create", "tcx"],
        "The attributes of `BPF_LINK_CREATE` for a tcx link.",
    )
    .after_link_create(),
    of(
        "LinkCreateUprobeMulti",
        &["bpf_attr", "link_create", "uprobe_multi"],
        "The attributes of `BPF_LINK_CREATE` for a uprobe_multi link.",
    )
    .after_link_create(),
    of(
        "LinkCreateNetkit",
        &["bpf_attr", "link_create", "netkit"],
        "The attributes of `BPF_LINK_CREATE` for a netkit link.",
    )
    .after_link_create(),
    of(
        "LinkCreateCgroup",
        &["bpf_attr", "link_create", "cgroup"],
        "The attributes of `BPF_LINK_CREATE` for a cgroup link.",
    )
    .after_link_create(),
    of("LinkUpdate", &["bpf_attr", "link_update"], "The attributes of `BPF_LINK_UPDATE`."),
    of("LinkDetach", &["bpf_attr", "link_detach"], "The attributes of `BPF_LINK_DETACH`."),
    of("EnableStats", &["bpf_attr", "enable_stats"], "The attributes of `BPF_ENABLE_STATS`."),
    of("IterCreate", &["bpf_attr", "iter_create"], "The attributes of `BPF_ITER_CREATE`."),
    of("ProgBindMap", &["bpf_attr", "prog_bind_map"], "The attributes of `BPF_PROG_BIND_MAP`."),
    of("TokenCreate", &["bpf_attr", "token_create"], "The attributes of `BPF_TOKEN_CREATE`."),
    of(
        "ProgStreamRead",
        &["bpf_attr", "prog_stream_read"],
        "The attributes of `BPF_PROG_STREAM_READ_BY_FD`.",
    ),
];

const INFO: &[Struct] = &[
    of("ProgInfo", &["bpf_prog_info"], "`struct bpf_prog_info`."),
    of("MapInfo", &["bpf_map_info"], "`struct bpf_map_info`."),
    of("BtfInfo", &["bpf_btf_info"], "`struct bpf_btf_info`."),
    of("TokenInfo", &["bpf_token_info"], "`struct bpf_token_info`."),
    of(
        "LinkInfo",
        &["bpf_link_info"],
        "`struct bpf_link_info`; `tail` holds the struct of the link type, see [`LinkInfo::tail_as`](crate::LinkInfo::tail_as).",
    )
    .head(16, Some("tail")),
    of(
        "LinkInfoRawTracepoint",
        &["bpf_link_info", "raw_tracepoint"],
        "The tail of [`LinkInfo`] for a raw_tracepoint link.",
    ),
    of("LinkInfoTracing", &["bpf_link_info", "tracing"], "The tail of [`LinkInfo`] for a tracing link."),
    of("LinkInfoCgroup", &["bpf_link_info", "cgroup"], "The tail of [`LinkInfo`] for a cgroup link."),
    of(
        "LinkInfoIter",
        &["bpf_link_info", "iter"],
        "The tail of [`LinkInfo`] for an iter link over a cgroup; `map_id` for one over maps.",
    )
    .choosing(&["map", "cgroup"]),
    of("LinkInfoNetns", &["bpf_link_info", "netns"], "The tail of [`LinkInfo`] for a netns link."),
    of("LinkInfoXdp", &["bpf_link_info", "xdp"], "The tail of [`LinkInfo`] for an xdp link."),
    of("LinkInfoStructOps", &["bpf_link_info", "struct_ops"], "The tail of [`LinkInfo`] for a struct_ops link."),
    of("LinkInfoNetfilter", &["bpf_link_info", "netfilter"], "The tail of [`LinkInfo`] for a netfilter link."),
    of(
        "LinkInfoKprobeMulti",
        &["bpf_link_info", "kprobe_multi"],
        "The tail of [`LinkInfo`] for a kprobe_multi link.",
    ),
    of(
        "LinkInfoUprobeMulti",
        &["bpf_link_info", "uprobe_multi"],
        "The tail of [`LinkInfo`] for a uprobe_multi link.",
    ),
    of(
        "LinkInfoPerfEvent",
        &["bpf_link_info", "perf_event"],
        "The tail of [`LinkInfo`] for a perf_event link of a kprobe.",
    )
    .choosing(&["kprobe"]),
    of(
        "LinkInfoPerfEventUprobe",
        &["bpf_link_info", "perf_event"],
        "The tail of [`LinkInfo`] for a perf_event link of kind uprobe.",
    )
    .choosing(&["uprobe"]),
    of(
        "LinkInfoPerfEventTracepoint",
        &["bpf_link_info", "perf_event"],
        "The tail of [`LinkInfo`] for a perf_event link of kind tracepoint.",
    )
    .choosing(&["tracepoint"]),
    of(
        "LinkInfoPerfEventEvent",
        &["bpf_link_info", "perf_event"],
        "The tail of [`LinkInfo`] for a perf_event link of kind event.",
    )
    .choosing(&["event"]),
    of("LinkInfoTcx", &["bpf_link_info", "tcx"], "The tail of [`LinkInfo`] for a tcx link."),
    of("LinkInfoNetkit", &["bpf_link_info", "netkit"], "The tail of [`LinkInfo`] for a netkit link."),
    of("LinkInfoSockmap", &["bpf_link_info", "sockmap"], "The tail of [`LinkInfo`] for a sockmap link."),
];

const CTX: &[Struct] = &[
    of("XdpMd", &["xdp_md"], "`struct xdp_md`; pointers are 64 bits."),
    of("SkBuff", &["__sk_buff"], "`struct __sk_buff`; pointers are 64 bits."),
    of("BpfSock", &["bpf_sock"], "`struct bpf_sock`; pointers are 64 bits."),
    of("SockAddr", &["bpf_sock_addr"], "`struct bpf_sock_addr`; pointers are 64 bits."),
    of("SockOps", &["bpf_sock_ops"], "`struct bpf_sock_ops`; pointers are 64 bits."),
    of("SkMsgMd", &["sk_msg_md"], "`struct sk_msg_md`; pointers are 64 bits."),
    of("SkReuseportMd", &["sk_reuseport_md"], "`struct sk_reuseport_md`; pointers are 64 bits."),
    of("SkLookup", &["bpf_sk_lookup"], "`struct bpf_sk_lookup`; pointers are 64 bits."),
    of("SysctlCtx", &["bpf_sysctl"], "`struct bpf_sysctl`; pointers are 64 bits."),
    of("SockoptCtx", &["bpf_sockopt"], "`struct bpf_sockopt`; pointers are 64 bits."),
    of("CgroupDevCtx", &["bpf_cgroup_dev_ctx"], "`struct bpf_cgroup_dev_ctx`; pointers are 64 bits."),
    of("NfCtx", &["bpf_nf_ctx"], "`struct bpf_nf_ctx`; pointers are 64 bits."),
];

const RECORDS: &[Struct] = &[
    of("FuncInfo", &["bpf_func_info"], "`struct bpf_func_info`."),
    of("LineInfo", &["bpf_line_info"], "`struct bpf_line_info`."),
    of("CoreRelo", &["bpf_core_relo"], "`struct bpf_core_relo`."),
    of("PerfEventHeader", &["perf_event_header"], "`struct perf_event_header`."),
    of("PerfEventAttr", &["perf_event_attr"], "`struct perf_event_attr`."),
    of("PerfEventValue", &["bpf_perf_event_value"], "`struct bpf_perf_event_value`."),
    of("DevmapVal", &["bpf_devmap_val"], "`struct bpf_devmap_val`."),
    of("CpumapVal", &["bpf_cpumap_val"], "`struct bpf_cpumap_val`."),
    of("CgroupStorageKey", &["bpf_cgroup_storage_key"], "`struct bpf_cgroup_storage_key`."),
    of("StackBuildId", &["bpf_stack_build_id"], "`struct bpf_stack_build_id`."),
    of("PidnsInfo", &["bpf_pidns_info"], "`struct bpf_pidns_info`."),
    of("FlowKeys", &["bpf_flow_keys"], "`struct bpf_flow_keys`.").choosing(&["ipv6_src"]),
    of("TunnelKey", &["bpf_tunnel_key"], "`struct bpf_tunnel_key`.").choosing(&["remote_ipv6", "local_ipv6"]),
    of("FibLookup", &["bpf_fib_lookup"], "`struct bpf_fib_lookup`.")
        .choosing(&["ipv6_src", "ipv6_dst", "smac", "flowinfo"]),
    of("RedirNeigh", &["bpf_redir_neigh"], "`struct bpf_redir_neigh`.").choosing(&["ipv6_nh"]),
    of("BtfPtr", &["btf_ptr"], "`struct btf_ptr`; pointers are 64 bits."),
    of("SpinLock", &["bpf_spin_lock"], "`struct bpf_spin_lock`."),
    of("Timer", &["bpf_timer"], "`struct bpf_timer`."),
    of("TcpSock", &["bpf_tcp_sock"], "`struct bpf_tcp_sock`."),
    of("NlMsgHdr", &["nlmsghdr"], "`struct nlmsghdr`."),
    of("NlAttr", &["nlattr"], "`struct nlattr`."),
    of("IfInfoMsg", &["ifinfomsg"], "`struct ifinfomsg`."),
    of("TcMsg", &["tcmsg"], "`struct tcmsg`."),
];

/// Every file of structs.
pub(super) const FILES: &[File] = &[
    File {
        name: "attr.rs",
        doc: "The attribute structs of `bpf(2)`: the members of `union bpf_attr`, one struct per command.",
        structs: ATTR,
    },
    File { name: "info.rs", doc: "The structs that `BPF_OBJ_GET_INFO_BY_FD` fills.", structs: INFO },
    File {
        name: "ctx.rs",
        doc: "The contexts that programs receive, as user space sees them.",
        structs: CTX,
    },
    File {
        name: "records.rs",
        doc: "The small structs that calls, helpers and buffers exchange.",
        structs: RECORDS,
    },
];

const fn numbers(
    source: &'static str,
    name: &'static str,
    prefix: &'static str,
    what: &'static str,
    doc: &'static str,
) -> Numbers {
    Numbers { source, name, doc, what, prefix, shown: Shown::Whole, later: &[] }
}

impl Numbers {
    const fn later(mut self, later: &'static [(&'static str, u32)]) -> Self {
        self.later = later;
        self
    }
}

const IDS: &[Numbers] = &[
    numbers("bpf_cmd", "Cmd", "BPF_", "bpf command", "A command of `bpf(2)`")
        .later(&[("BPF_PROG_ASSOC_STRUCT_OPS", 38)]),
    numbers("bpf_map_type", "MapType", "BPF_MAP_TYPE_", "map type", "A kind of map")
        .later(&[("BPF_MAP_TYPE_INSN_ARRAY", 34)]),
    numbers("bpf_prog_type", "ProgType", "BPF_PROG_TYPE_", "program type", "A kind of program"),
    numbers("bpf_attach_type", "AttachType", "BPF_", "attach type", "Where a program attaches")
        .later(&[("BPF_TRACE_FSESSION", 58)]),
    numbers("bpf_link_type", "LinkType", "BPF_LINK_TYPE_", "link type", "A kind of link"),
    numbers(
        "bpf_perf_event_type",
        "PerfEventType",
        "BPF_PERF_EVENT_",
        "perf event type",
        "What a perf_event link hangs on",
    ),
    numbers(
        "bpf_task_fd_type",
        "TaskFdType",
        "BPF_FD_TYPE_",
        "task fd type",
        "What a descriptor of another task is",
    ),
    numbers("xdp_action", "XdpAction", "XDP_", "XDP action", "The verdict of an XDP program"),
    numbers(
        "bpf_core_relo_kind",
        "CoreReloKind",
        "BPF_CORE_",
        "CO-RE relocation kind",
        "A kind of CO-RE relocation",
    ),
    numbers("perf_type_id", "PerfType", "PERF_TYPE_", "perf type", "A kind of perf event"),
    numbers("perf_sw_ids", "PerfSwId", "PERF_COUNT_SW_", "software perf event", "A software perf event"),
    numbers("perf_event_type", "PerfRecord", "PERF_RECORD_", "perf record", "A record in a perf buffer"),
];

const FUNC_ID: &[Numbers] = &[Numbers {
    shown: Shown::WithoutPrefix,
    ..numbers("bpf_func_id", "FuncId", "BPF_FUNC_", "helper", "A helper")
}];

/// Every file of numbers: its name, what it is, and what is in it.
pub(super) const NUMBER_FILES: &[(&str, &str, &[Numbers])] = &[
    ("ids.rs", "The numbers that Linux gives to commands and kinds.", IDS),
    ("func_id.rs", "The numbers that Linux gives to helpers.", FUNC_ID),
];
