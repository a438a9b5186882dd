//! The table of program types.

use skep_abi::{AttachType, ProgType as T};

use super::context::Context;
use super::contexts;
use super::version::{Version, v};

/// What a program does to a packet through pointers (`may_access_direct_pkt_data`, kernel/bpf/verifier.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PacketAccess {
    /// It has no such pointers.
    None,
    /// It reads, and lends nothing of it to helpers.
    Look,
    /// It reads.
    Read,
    /// It reads and writes.
    ReadWrite,
    /// It reads and writes, and lends it to helpers that otherwise take no packet, too.
    Buffer,
}

/// The values a program may return (`check_return_code`, kernel/bpf/verifier.c): all of r0, as a signed number, lies
/// within; of a security module's hook, its lower half does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Returns {
    /// Any number.
    Any,
    /// From the first to the second, both included.
    Within(i32, i32),
    /// As the expected attach type says, else the range that follows.
    ByAttach(&'static [(AttachType, i32, i32)], i32, i32),
    /// As the attach target says. A security module's hook: [`lsm::returns`](super::lsm::returns), or 0 to 1 where it is
    /// attached to cgroups, there 1 alone if the hook returns nothing. A member of a struct of operations: any number, or
    /// where the member returns a pointer, that. A program that replaces another's function: any number.
    ByTarget,
}

impl Returns {
    /// Returns the range for an expected attach type; `None` where any number will do or the target decides.
    pub fn range(self, attach: AttachType) -> Option<(i32, i32)> {
        /// How a row says that some attach types limit what is returned and others do not: at 64 bits, too.
        const ALL: (i32, i32) = (i32::MIN, i32::MAX);
        let range = match self {
            Self::Any | Self::ByTarget => return None,
            Self::Within(low, high) => (low, high),
            Self::ByAttach(rows, low, high) => {
                rows.iter().find(|row| row.0 == attach).map_or((low, high), |&(_, low, high)| (low, high))
            }
        };
        Some(range).filter(|range| *range != ALL)
    }
}

/// Which programs may be loaded with `BPF_F_SLEEPABLE` (`can_be_sleepable`, kernel/bpf/verifier.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sleeps {
    /// None.
    Never,
    /// All; a hook of security modules ([`lsm::sleeps`](super::lsm::sleeps)) or a kprobe refuses them when they are attached.
    May,
    /// Those of these expected attach types.
    MayAt(&'static [AttachType]),
    /// All, and no others are loaded.
    Always,
}

impl Sleeps {
    /// Tells whether a program of this expected attach type may be sleepable.
    pub fn may(self, attach: AttachType) -> bool {
        match self {
            Self::Never => false,
            Self::May | Self::Always => true,
            Self::MayAt(at) => at.contains(&attach),
        }
    }
}

/// How `BPF_PROG_TEST_RUN` runs a type (the `test_run` of its `bpf_prog_ops`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TestRun {
    /// Not at all.
    No,
    /// On a packet, with a context to begin from.
    Packet,
    /// On arguments given as the context.
    Args,
    /// On what the kernel makes up.
    Own,
}

/// One program type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prog {
    /// Its number.
    pub kind: T,
    /// The version that brought it.
    pub since: Version,
    /// What r1 points to; `None` for a type whose context its target decides.
    ///
    /// That there is one does not mean that a host runs programs of the type: which ones it runs, it says itself.
    pub context: Option<&'static Context>,
    /// What it does to packets.
    pub packet: PacketAccess,
    /// What it may return.
    pub returns: Returns,
    /// The names of its returns.
    pub verdicts: &'static [(i32, &'static str)],
    /// Whether the packet loads of classic BPF are allowed (`may_access_skb`).
    pub classic_loads: ClassicLoads,
    /// Which of them may sleep.
    pub sleeps: Sleeps,
    /// How it is test-run.
    pub test_run: TestRun,
}

/// Whether a program may use the packet loads of classic BPF (`BPF_ABS`, `BPF_IND`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClassicLoads {
    /// It may.
    Allowed,
    /// It may not.
    Refused,
}

impl Prog {
    /// Returns the name of a return value, like `XDP_DROP`.
    pub fn verdict(&self, value: i32) -> Option<&'static str> {
        self.verdicts.iter().find(|row| row.0 == value).map(|row| row.1)
    }

    /// A program type of a host's own, whose programs get this context and return any number. Numbers begin at
    /// [`OWN_TYPES`](super::OWN_TYPES).
    pub const fn own(kind: T, context: &'static Context) -> Self {
        Self::new(kind, Version::new(0, 0)).context(context)
    }

    const fn new(kind: T, since: Version) -> Self {
        Self {
            kind,
            since,
            context: None,
            packet: PacketAccess::None,
            returns: Returns::Any,
            verdicts: &[],
            classic_loads: ClassicLoads::Refused,
            sleeps: Sleeps::Never,
            test_run: TestRun::No,
        }
    }

    const fn context(mut self, context: &'static Context) -> Self {
        self.context = Some(context);
        self
    }

    const fn packet(mut self, access: PacketAccess) -> Self {
        self.packet = access;
        self
    }

    /// With other returns.
    #[must_use]
    pub const fn returns(mut self, returns: Returns) -> Self {
        self.returns = returns;
        self
    }

    /// With names for what it returns.
    #[must_use]
    pub const fn verdicts(mut self, verdicts: &'static [(i32, &'static str)]) -> Self {
        self.verdicts = verdicts;
        self
    }

    const fn classic_loads(mut self) -> Self {
        self.classic_loads = ClassicLoads::Allowed;
        self
    }

    const fn sleeps(mut self, sleeps: Sleeps) -> Self {
        self.sleeps = sleeps;
        self
    }

    const fn test_run(mut self, how: TestRun) -> Self {
        self.test_run = how;
        self
    }
}

/// The names of `enum xdp_action`.
const XDP_VERDICTS: &[(i32, &str)] =
    &[(0, "XDP_ABORTED"), (1, "XDP_DROP"), (2, "XDP_PASS"), (3, "XDP_TX"), (4, "XDP_REDIRECT")];

/// The names of tc's actions (include/uapi/linux/pkt_cls.h).
const TC_VERDICTS: &[(i32, &str)] = &[
    (-1, "TC_ACT_UNSPEC"),
    (0, "TC_ACT_OK"),
    (1, "TC_ACT_RECLASSIFY"),
    (2, "TC_ACT_SHOT"),
    (3, "TC_ACT_PIPE"),
    (4, "TC_ACT_STOLEN"),
    (5, "TC_ACT_QUEUED"),
    (6, "TC_ACT_REPEAT"),
    (7, "TC_ACT_REDIRECT"),
    (8, "TC_ACT_TRAP"),
];

/// The names of `enum bpf_ret_code` for tunnels.
const LWT_VERDICTS: &[(i32, &str)] =
    &[(0, "BPF_OK"), (2, "BPF_DROP"), (7, "BPF_REDIRECT"), (128, "BPF_LWT_REROUTE")];

/// Refuse and allow.
const CGROUP_VERDICTS: &[(i32, &str)] = &[(0, "SK_DROP"), (1, "SK_PASS")];

/// Every program type of Linux, by ascending number.
pub static PROGS: &[Prog] = &[
    Prog::new(T::SOCKET_FILTER, v(3, 19))
        .context(&contexts::SK_BUFF)
        .classic_loads()
        .test_run(TestRun::Packet),
    Prog::new(T::KPROBE, v(4, 1)).context(&contexts::PT_REGS_X86_64).sleeps(Sleeps::May).returns(
        Returns::ByAttach(
            &[(AttachType::TRACE_KPROBE_SESSION, 0, 1), (AttachType::TRACE_UPROBE_SESSION, 0, 1)],
            i32::MIN,
            i32::MAX,
        ),
    ),
    Prog::new(T::SCHED_CLS, v(4, 1))
        .context(&contexts::SK_BUFF)
        .packet(PacketAccess::ReadWrite)
        .verdicts(TC_VERDICTS)
        .classic_loads()
        .test_run(TestRun::Packet),
    Prog::new(T::SCHED_ACT, v(4, 1))
        .context(&contexts::SK_BUFF)
        .packet(PacketAccess::ReadWrite)
        .verdicts(TC_VERDICTS)
        .classic_loads()
        .test_run(TestRun::Packet),
    Prog::new(T::TRACEPOINT, v(4, 7)).context(&contexts::TRACEPOINT),
    Prog::new(T::XDP, v(4, 8))
        .context(&contexts::XDP_MD)
        .packet(PacketAccess::ReadWrite)
        .verdicts(XDP_VERDICTS)
        .test_run(TestRun::Packet),
    Prog::new(T::PERF_EVENT, v(4, 9)).context(&contexts::PERF_EVENT_DATA_X86_64),
    Prog::new(T::CGROUP_SKB, v(4, 10))
        .context(&contexts::SK_BUFF)
        .packet(PacketAccess::Read)
        .returns(Returns::ByAttach(&[(AttachType::CGROUP_INET_EGRESS, 0, 3)], 0, 1))
        .verdicts(CGROUP_VERDICTS)
        .test_run(TestRun::Packet),
    Prog::new(T::CGROUP_SOCK, v(4, 10))
        .context(&contexts::CGROUP_SOCK)
        .returns(Returns::Within(0, 1))
        .verdicts(CGROUP_VERDICTS),
    Prog::new(T::LWT_IN, v(4, 10))
        .context(&contexts::SK_BUFF)
        .packet(PacketAccess::Read)
        .verdicts(LWT_VERDICTS)
        .test_run(TestRun::Packet),
    Prog::new(T::LWT_OUT, v(4, 10))
        .context(&contexts::SK_BUFF)
        .packet(PacketAccess::Read)
        .verdicts(LWT_VERDICTS)
        .test_run(TestRun::Packet),
    Prog::new(T::LWT_XMIT, v(4, 10))
        .context(&contexts::SK_BUFF)
        .packet(PacketAccess::ReadWrite)
        .verdicts(LWT_VERDICTS)
        .test_run(TestRun::Packet),
    Prog::new(T::SOCK_OPS, v(4, 13))
        .context(&contexts::SOCK_OPS)
        .packet(PacketAccess::Look)
        .returns(Returns::Within(0, 1)),
    Prog::new(T::SK_SKB, v(4, 14))
        .context(&contexts::SK_BUFF)
        .packet(PacketAccess::ReadWrite)
        .verdicts(CGROUP_VERDICTS),
    Prog::new(T::CGROUP_DEVICE, v(4, 15)).context(&contexts::CGROUP_DEVICE).returns(Returns::Within(0, 1)),
    Prog::new(T::SK_MSG, v(4, 17))
        .context(&contexts::SK_MSG)
        .packet(PacketAccess::ReadWrite)
        .verdicts(CGROUP_VERDICTS),
    Prog::new(T::RAW_TRACEPOINT, v(4, 17)).context(&contexts::RAW_TRACEPOINT).test_run(TestRun::Args),
    Prog::new(T::CGROUP_SOCK_ADDR, v(4, 17)).context(&contexts::CGROUP_SOCK_ADDR).returns(Returns::ByAttach(
        SOCK_ADDR_RETURNS,
        0,
        1,
    )),
    Prog::new(T::LWT_SEG6LOCAL, v(4, 18))
        .context(&contexts::SK_BUFF)
        .packet(PacketAccess::Read)
        .verdicts(LWT_VERDICTS)
        .test_run(TestRun::Packet),
    Prog::new(T::LIRC_MODE2, v(4, 18)).context(&contexts::LIRC_MODE2),
    Prog::new(T::SK_REUSEPORT, v(4, 19))
        .context(&contexts::SK_REUSEPORT)
        .packet(PacketAccess::Read)
        .verdicts(CGROUP_VERDICTS),
    Prog::new(T::FLOW_DISSECTOR, v(4, 20))
        .context(&contexts::SK_BUFF)
        .packet(PacketAccess::Read)
        .verdicts(&[(0, "BPF_OK"), (2, "BPF_DROP"), (129, "BPF_FLOW_DISSECTOR_CONTINUE")])
        .test_run(TestRun::Packet),
    Prog::new(T::CGROUP_SYSCTL, v(5, 2)).context(&contexts::CGROUP_SYSCTL).returns(Returns::Within(0, 1)),
    Prog::new(T::RAW_TRACEPOINT_WRITABLE, v(5, 2))
        .context(&contexts::RAW_TRACEPOINT_WRITABLE)
        .test_run(TestRun::Args),
    Prog::new(T::CGROUP_SOCKOPT, v(5, 3))
        .context(&contexts::CGROUP_SOCKOPT)
        .packet(PacketAccess::Buffer)
        .returns(Returns::Within(0, 1)),
    Prog::new(T::TRACING, v(5, 5))
        .sleeps(Sleeps::MayAt(&[
            AttachType::TRACE_FENTRY,
            AttachType::TRACE_FEXIT,
            AttachType::MODIFY_RETURN,
            AttachType::TRACE_ITER,
        ]))
        .returns(TRACING_RETURNS)
        .test_run(TestRun::Own),
    Prog::new(T::STRUCT_OPS, v(5, 6)).sleeps(Sleeps::May).returns(Returns::ByTarget),
    Prog::new(T::EXT, v(5, 6)).returns(Returns::ByTarget),
    Prog::new(T::LSM, v(5, 7)).sleeps(Sleeps::May).returns(Returns::ByTarget),
    Prog::new(T::SK_LOOKUP, v(5, 9))
        .context(&contexts::SK_LOOKUP)
        .returns(Returns::Within(0, 1))
        .verdicts(CGROUP_VERDICTS)
        .test_run(TestRun::Args),
    Prog::new(T::SYSCALL, v(5, 14))
        .sleeps(Sleeps::Always)
        .context(&contexts::SYSCALL)
        .test_run(TestRun::Args),
    Prog::new(T::NETFILTER, v(6, 4))
        .context(&contexts::NETFILTER)
        .returns(Returns::Within(0, 1))
        .verdicts(&[(0, "NF_DROP"), (1, "NF_ACCEPT")])
        .test_run(TestRun::Packet),
];

/// What runs at a function's entry or exit returns nothing, an iterator whether to see the element again.
const TRACING_RETURNS: Returns = Returns::ByAttach(
    &[(AttachType::TRACE_FENTRY, 0, 0), (AttachType::TRACE_FEXIT, 0, 0), (AttachType::TRACE_ITER, 0, 1)],
    i32::MIN,
    i32::MAX,
);

/// `check_return_code`: what a call on its way out may not be refused by, and what may also override a port check.
const SOCK_ADDR_RETURNS: &[(AttachType, i32, i32)] = &[
    (AttachType::CGROUP_UDP4_RECVMSG, 1, 1),
    (AttachType::CGROUP_UDP6_RECVMSG, 1, 1),
    (AttachType::CGROUP_UNIX_RECVMSG, 1, 1),
    (AttachType::CGROUP_INET4_GETPEERNAME, 1, 1),
    (AttachType::CGROUP_INET6_GETPEERNAME, 1, 1),
    (AttachType::CGROUP_UNIX_GETPEERNAME, 1, 1),
    (AttachType::CGROUP_INET4_GETSOCKNAME, 1, 1),
    (AttachType::CGROUP_INET6_GETSOCKNAME, 1, 1),
    (AttachType::CGROUP_UNIX_GETSOCKNAME, 1, 1),
    (AttachType::CGROUP_INET4_BIND, 0, 3),
    (AttachType::CGROUP_INET6_BIND, 0, 3),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_for_each_number() {
        assert_eq!(PROGS.len(), T::ALL.len() - 1, "all but UNSPEC");
        for (i, prog) in PROGS.iter().enumerate() {
            assert_eq!(prog.kind.0 as usize, i + 1);
        }
    }

    #[test]
    fn contexts_know_their_types() {
        for prog in PROGS {
            let Some(context) = prog.context else { continue };
            assert!(context.fields.iter().any(|field| field.load.contains(prog.kind)), "{}", prog.kind);
            assert!(context.fields.windows(2).all(|pair| pair[0].offset + pair[0].size <= pair[1].offset));
        }
    }

    #[test]
    fn packet_pointers_come_with_access() {
        use crate::platform::context::Meaning;
        for prog in PROGS {
            let Some(field) = prog.context.and_then(|context| context.field(Meaning::PacketData)) else {
                continue;
            };
            assert_eq!(field.load.contains(prog.kind), prog.packet != PacketAccess::None, "{}", prog.kind);
        }
    }

    #[test]
    fn returns_by_attach() {
        let row = &PROGS[T::CGROUP_SKB.0 as usize - 1];
        assert_eq!(row.returns.range(AttachType::CGROUP_INET_INGRESS), Some((0, 1)));
        assert_eq!(row.returns.range(AttachType::CGROUP_INET_EGRESS), Some((0, 3)));
        let probe = &PROGS[T::KPROBE.0 as usize - 1];
        assert_eq!(probe.returns.range(AttachType::TRACE_KPROBE_SESSION), Some((0, 1)));
        assert_eq!(probe.returns.range(AttachType::default()), None, "more than 32 bits, too");
        assert_eq!(PROGS[T::XDP.0 as usize - 1].verdict(1), Some("XDP_DROP"));
        assert_eq!(PROGS[T::XDP.0 as usize - 1].verdict(5), None);
    }
}
