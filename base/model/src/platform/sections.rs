//! The table of section names: what a program in an ELF section is, by the name of the section.
//!
//! The names, types and flags are libbpf 1.7's (src/libbpf.c, `section_defs`, `sec_def_matches`, and the `attach_*`
//! functions for what may follow a name).

use core::fmt;

use skep_abi::{AttachType as A, ProgType as T};

/// What may follow a section's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// Nothing.
    Exact,
    /// Nothing, or `/` and the target.
    Target,
}

/// Properties of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flags(u8);

impl Flags {
    /// None.
    pub const NONE: Self = Self(0);
    /// The expected attach type is left out where the kernel does not know the field (before Linux 4.17).
    pub const OPTIONAL_ATTACH: Self = Self(1);
    /// `BPF_PROG_ATTACH` attaches it.
    pub const ATTACHABLE: Self = Self(2);
    /// The target is a BTF id, of the kernel or of another program.
    pub const ATTACH_BTF: Self = Self(4);
    /// Loaded with `BPF_F_SLEEPABLE`.
    pub const SLEEPABLE: Self = Self(8);
    /// Loaded with `BPF_F_XDP_HAS_FRAGS`.
    pub const XDP_FRAGS: Self = Self(16);
    /// A USDT probe: loaded for uprobe_multi where the kernel has it.
    pub const USDT: Self = Self(32);

    /// Both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Tells whether all of `other` is in here.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// How a section's target is read, and so how it attaches by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Auto {
    /// `function` or `function+offset`.
    Kprobe,
    /// `pattern`, with `*` and `?`.
    KprobeMulti,
    /// `binary:function` or `binary:function+offset`.
    Uprobe,
    /// `binary:pattern`.
    UprobeMulti,
    /// `syscall`.
    Syscall,
    /// `binary:provider:probe`.
    Usdt,
    /// `category/name`.
    Tracepoint,
    /// `name`.
    RawTracepoint,
    /// `function`, found in BTF.
    Btf,
    /// `iterator`.
    Iter,
}

/// One row: a section name and what its programs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The name.
    pub name: &'static str,
    /// What may follow it.
    pub form: Form,
    /// The program type.
    pub prog: T,
    /// The expected attach type; number 0 (which is also `BPF_CGROUP_INET_INGRESS`) where there is none.
    pub attach: A,
    /// Properties.
    pub flags: Flags,
    /// How the target is read; `None` where nothing attaches by the section's name.
    pub auto: Option<Auto>,
}

/// Whether a program is loaded with its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Autoload {
    /// It is.
    Yes,
    /// Only if asked for: its section's name starts with `?`.
    No,
}

/// What a section's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    /// The row that matches.
    pub row: &'static Row,
    /// Whether its programs load by themselves.
    pub autoload: Autoload,
    /// What follows the row's name and its `/`; `None` without `/`.
    pub extra: Option<&'a str>,
}

/// What a program attaches to, as its section's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target<'a> {
    /// The name says nothing.
    None,
    /// A kernel function.
    Function {
        /// Its name.
        name: &'a str,
        /// Bytes after its start.
        offset: u64,
    },
    /// All kernel functions that match.
    Functions {
        /// A pattern with `*` and `?`.
        pattern: &'a str,
    },
    /// A function of an executable or library.
    UserFunction {
        /// A path, or a name that is searched for.
        binary: &'a str,
        /// Its name, or empty for an offset in the file.
        name: &'a str,
        /// Bytes after its start.
        offset: u64,
    },
    /// All functions of an executable or library that match.
    UserFunctions {
        /// A path, or a name that is searched for.
        binary: &'a str,
        /// A pattern with `*` and `?`.
        pattern: &'a str,
    },
    /// A system call.
    Syscall {
        /// Its name without prefix.
        name: &'a str,
    },
    /// A USDT probe.
    Usdt {
        /// A path, or a name that is searched for.
        binary: &'a str,
        /// The provider.
        provider: &'a str,
        /// The probe.
        name: &'a str,
    },
    /// A tracepoint.
    Tracepoint {
        /// Its category.
        category: &'a str,
        /// Its name.
        name: &'a str,
    },
    /// A raw tracepoint.
    RawTracepoint {
        /// Its name.
        name: &'a str,
    },
    /// Something that BTF knows: a function, a tracepoint, a hook.
    Btf {
        /// Its name.
        name: &'a str,
    },
    /// An iterator.
    Iter {
        /// Its name.
        name: &'a str,
    },
}

/// What is wrong with a section's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionError<'a> {
    /// No row has this name.
    Unknown {
        /// The name.
        name: &'a str,
    },
    /// A row has this name, but nothing may follow it.
    TakesNoTarget {
        /// The row.
        row: &'static Row,
        /// What follows.
        extra: &'a str,
    },
    /// The target cannot be read.
    BadTarget {
        /// The row.
        row: &'static Row,
        /// What follows.
        extra: &'a str,
        /// What was wanted.
        wanted: &'static str,
    },
}

impl fmt::Display for SectionError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name } => write!(f, "`{name}` is no known section name for a program"),
            Self::TakesNoTarget { row, extra } => {
                write!(f, "nothing may follow the section name `{}`, found `/{extra}`", row.name)
            }
            Self::BadTarget { row, extra, wanted } => {
                write!(f, "wanted `{}/{wanted}`, found `{}/{extra}`", row.name, row.name)
            }
        }
    }
}

impl core::error::Error for SectionError<'_> {}

/// Finds what programs in a section are.
///
/// # Errors
///
/// [`SectionError::Unknown`] and [`SectionError::TakesNoTarget`], for which libbpf refuses the object too, unless the
/// application sets the program's type.
pub fn lookup(section: &str) -> Result<Section<'_>, SectionError<'_>> {
    let (name, autoload) = match section.strip_prefix('?') {
        Some(name) => (name, Autoload::No),
        None => (section, Autoload::Yes),
    };
    let mut near = None;
    for row in SECTIONS {
        let Some(rest) = name.strip_prefix(row.name) else { continue };
        match (row.form, rest.strip_prefix('/')) {
            _ if rest.is_empty() => return Ok(Section { row, autoload, extra: None }),
            (Form::Target, Some(extra)) => return Ok(Section { row, autoload, extra: Some(extra) }),
            (Form::Exact, Some(extra)) => near = near.or(Some((row, extra))),
            (_, None) => {}
        }
    }
    Err(match near {
        Some((row, extra)) => SectionError::TakesNoTarget { row, extra },
        None => SectionError::Unknown { name },
    })
}

impl<'a> Section<'a> {
    /// Reads the target.
    ///
    /// # Errors
    ///
    /// [`SectionError::BadTarget`] if what follows the name has not the form that the row wants.
    pub fn target(&self) -> Result<Target<'a>, SectionError<'a>> {
        let (Some(auto), Some(extra)) = (self.row.auto, self.extra) else { return Ok(Target::None) };
        auto.parse(extra).ok_or(SectionError::BadTarget { row: self.row, extra, wanted: auto.wanted() })
    }

    /// Tells whether the section is one of a return probe, `kret…` or `uret…`.
    pub fn is_return(&self) -> bool {
        self.row.name.starts_with("kret") || self.row.name.starts_with("uret")
    }
}

impl Auto {
    /// Shows the form of a target.
    pub const fn wanted(self) -> &'static str {
        match self {
            Self::Kprobe => "<function>[+<offset>]",
            Self::KprobeMulti => "<pattern>",
            Self::Uprobe => "<binary>:<function>[+<offset>]",
            Self::UprobeMulti => "<binary>:<pattern>",
            Self::Syscall => "<syscall>",
            Self::Usdt => "<binary>:<provider>:<probe>",
            Self::Tracepoint => "<category>/<name>",
            Self::RawTracepoint => "<name>",
            Self::Btf => "<function>",
            Self::Iter => "<iterator>",
        }
    }

    fn parse(self, extra: &str) -> Option<Target<'_>> {
        if extra.is_empty() {
            return None;
        }
        Some(match self {
            Self::Kprobe => {
                let (name, offset) = split_offset(extra)?;
                if !name.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.')) {
                    return None;
                }
                Target::Function { name, offset }
            }
            Self::KprobeMulti => {
                if !extra.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'*' | b'?'))
                {
                    return None;
                }
                Target::Functions { pattern: extra }
            }
            Self::Uprobe => {
                let (binary, function) = extra.split_once(':')?;
                let (name, offset) = split_offset(function)?;
                Target::UserFunction { binary: some(binary)?, name, offset }
            }
            Self::UprobeMulti => {
                let (binary, pattern) = extra.split_once(':')?;
                Target::UserFunctions { binary: some(binary)?, pattern: some(pattern)? }
            }
            Self::Syscall => Target::Syscall { name: extra },
            Self::Usdt => {
                let (binary, probe) = extra.split_once(':')?;
                let (provider, name) = probe.split_once(':')?;
                Target::Usdt { binary: some(binary)?, provider: some(provider)?, name: some(name)? }
            }
            Self::Tracepoint => {
                let (category, name) = extra.split_once('/')?;
                Target::Tracepoint { category: some(category)?, name: some(name)? }
            }
            Self::RawTracepoint => Target::RawTracepoint { name: extra },
            Self::Btf => Target::Btf { name: extra },
            Self::Iter => Target::Iter { name: extra },
        })
    }
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Splits `name+offset`, the offset in decimal, in hex after `0x`, or in octal after `0`, as C's `%li` reads it.
fn split_offset(text: &str) -> Option<(&str, u64)> {
    let Some((name, digits)) = text.split_once('+') else { return Some((some(text)?, 0)) };
    let offset = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hex) => number(hex, 16)?,
        None if digits.len() > 1 && digits.starts_with('0') => number(digits, 8)?,
        None => number(digits, 10)?,
    };
    Some((some(name)?, offset))
}

fn number(digits: &str, radix: u32) -> Option<u64> {
    // `from_str_radix` would allow a sign.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

const EXACT: Form = Form::Exact;
const TARGET: Form = Form::Target;
const ANY: A = A(0);
const NONE: Flags = Flags::NONE;
const OPTIONAL: Flags = Flags::OPTIONAL_ATTACH;
const ATTACHABLE: Flags = Flags::ATTACHABLE;
const BTF: Flags = Flags::ATTACH_BTF;
const SLEEPABLE: Flags = Flags::SLEEPABLE;
const FRAGS: Flags = Flags::XDP_FRAGS;
const USDT: Flags = Flags::USDT;

const fn row(name: &'static str, form: Form, prog: T, attach: A, flags: Flags, auto: Option<Auto>) -> Row {
    Row { name, form, prog, attach, flags, auto }
}

/// Every section name, in libbpf's order: the first row that matches counts.
#[rustfmt::skip]
pub static SECTIONS: &[Row] = &[
    row("socket", EXACT, T::SOCKET_FILTER, ANY, NONE, None),
    row("sk_reuseport/migrate", EXACT, T::SK_REUSEPORT, A::SK_REUSEPORT_SELECT_OR_MIGRATE, ATTACHABLE, None),
    row("sk_reuseport", EXACT, T::SK_REUSEPORT, A::SK_REUSEPORT_SELECT, ATTACHABLE, None),
    row("kprobe", TARGET, T::KPROBE, ANY, NONE, Some(Auto::Kprobe)),
    row("uprobe", TARGET, T::KPROBE, ANY, NONE, Some(Auto::Uprobe)),
    row("uprobe.s", TARGET, T::KPROBE, ANY, SLEEPABLE, Some(Auto::Uprobe)),
    row("kretprobe", TARGET, T::KPROBE, ANY, NONE, Some(Auto::Kprobe)),
    row("uretprobe", TARGET, T::KPROBE, ANY, NONE, Some(Auto::Uprobe)),
    row("uretprobe.s", TARGET, T::KPROBE, ANY, SLEEPABLE, Some(Auto::Uprobe)),
    row("kprobe.multi", TARGET, T::KPROBE, A::TRACE_KPROBE_MULTI, NONE, Some(Auto::KprobeMulti)),
    row("kretprobe.multi", TARGET, T::KPROBE, A::TRACE_KPROBE_MULTI, NONE, Some(Auto::KprobeMulti)),
    row("kprobe.session", TARGET, T::KPROBE, A::TRACE_KPROBE_SESSION, NONE, Some(Auto::KprobeMulti)),
    row("uprobe.multi", TARGET, T::KPROBE, A::TRACE_UPROBE_MULTI, NONE, Some(Auto::UprobeMulti)),
    row("uretprobe.multi", TARGET, T::KPROBE, A::TRACE_UPROBE_MULTI, NONE, Some(Auto::UprobeMulti)),
    row("uprobe.session", TARGET, T::KPROBE, A::TRACE_UPROBE_SESSION, NONE, Some(Auto::UprobeMulti)),
    row("uprobe.multi.s", TARGET, T::KPROBE, A::TRACE_UPROBE_MULTI, SLEEPABLE, Some(Auto::UprobeMulti)),
    row("uretprobe.multi.s", TARGET, T::KPROBE, A::TRACE_UPROBE_MULTI, SLEEPABLE, Some(Auto::UprobeMulti)),
    row("uprobe.session.s", TARGET, T::KPROBE, A::TRACE_UPROBE_SESSION, SLEEPABLE, Some(Auto::UprobeMulti)),
    row("ksyscall", TARGET, T::KPROBE, ANY, NONE, Some(Auto::Syscall)),
    row("kretsyscall", TARGET, T::KPROBE, ANY, NONE, Some(Auto::Syscall)),
    row("usdt", TARGET, T::KPROBE, ANY, USDT, Some(Auto::Usdt)),
    row("usdt.s", TARGET, T::KPROBE, ANY, USDT.and(SLEEPABLE), Some(Auto::Usdt)),
    row("tc/ingress", EXACT, T::SCHED_CLS, A::TCX_INGRESS, NONE, None),
    row("tc/egress", EXACT, T::SCHED_CLS, A::TCX_EGRESS, NONE, None),
    row("tcx/ingress", EXACT, T::SCHED_CLS, A::TCX_INGRESS, NONE, None),
    row("tcx/egress", EXACT, T::SCHED_CLS, A::TCX_EGRESS, NONE, None),
    row("tc", EXACT, T::SCHED_CLS, ANY, NONE, None),
    row("classifier", EXACT, T::SCHED_CLS, ANY, NONE, None),
    row("action", EXACT, T::SCHED_ACT, ANY, NONE, None),
    row("netkit/primary", EXACT, T::SCHED_CLS, A::NETKIT_PRIMARY, NONE, None),
    row("netkit/peer", EXACT, T::SCHED_CLS, A::NETKIT_PEER, NONE, None),
    row("tracepoint", TARGET, T::TRACEPOINT, ANY, NONE, Some(Auto::Tracepoint)),
    row("tp", TARGET, T::TRACEPOINT, ANY, NONE, Some(Auto::Tracepoint)),
    row("raw_tracepoint", TARGET, T::RAW_TRACEPOINT, ANY, NONE, Some(Auto::RawTracepoint)),
    row("raw_tp", TARGET, T::RAW_TRACEPOINT, ANY, NONE, Some(Auto::RawTracepoint)),
    row("raw_tracepoint.w", TARGET, T::RAW_TRACEPOINT_WRITABLE, ANY, NONE, Some(Auto::RawTracepoint)),
    row("raw_tp.w", TARGET, T::RAW_TRACEPOINT_WRITABLE, ANY, NONE, Some(Auto::RawTracepoint)),
    row("tp_btf", TARGET, T::TRACING, A::TRACE_RAW_TP, BTF, Some(Auto::Btf)),
    row("fentry", TARGET, T::TRACING, A::TRACE_FENTRY, BTF, Some(Auto::Btf)),
    row("fmod_ret", TARGET, T::TRACING, A::MODIFY_RETURN, BTF, Some(Auto::Btf)),
    row("fexit", TARGET, T::TRACING, A::TRACE_FEXIT, BTF, Some(Auto::Btf)),
    row("fentry.s", TARGET, T::TRACING, A::TRACE_FENTRY, BTF.and(SLEEPABLE), Some(Auto::Btf)),
    row("fmod_ret.s", TARGET, T::TRACING, A::MODIFY_RETURN, BTF.and(SLEEPABLE), Some(Auto::Btf)),
    row("fexit.s", TARGET, T::TRACING, A::TRACE_FEXIT, BTF.and(SLEEPABLE), Some(Auto::Btf)),
    row("fsession", TARGET, T::TRACING, A::TRACE_FSESSION, BTF, Some(Auto::Btf)),
    row("fsession.s", TARGET, T::TRACING, A::TRACE_FSESSION, BTF.and(SLEEPABLE), Some(Auto::Btf)),
    row("freplace", TARGET, T::EXT, ANY, BTF, Some(Auto::Btf)),
    row("lsm", TARGET, T::LSM, A::LSM_MAC, BTF, Some(Auto::Btf)),
    row("lsm.s", TARGET, T::LSM, A::LSM_MAC, BTF.and(SLEEPABLE), Some(Auto::Btf)),
    row("lsm_cgroup", TARGET, T::LSM, A::LSM_CGROUP, BTF, None),
    row("iter", TARGET, T::TRACING, A::TRACE_ITER, BTF, Some(Auto::Iter)),
    row("iter.s", TARGET, T::TRACING, A::TRACE_ITER, BTF.and(SLEEPABLE), Some(Auto::Iter)),
    row("syscall", EXACT, T::SYSCALL, ANY, SLEEPABLE, None),
    row("xdp.frags/devmap", EXACT, T::XDP, A::XDP_DEVMAP, FRAGS, None),
    row("xdp/devmap", EXACT, T::XDP, A::XDP_DEVMAP, ATTACHABLE, None),
    row("xdp.frags/cpumap", EXACT, T::XDP, A::XDP_CPUMAP, FRAGS, None),
    row("xdp/cpumap", EXACT, T::XDP, A::XDP_CPUMAP, ATTACHABLE, None),
    row("xdp.frags", EXACT, T::XDP, A::XDP, FRAGS, None),
    row("xdp", EXACT, T::XDP, A::XDP, ATTACHABLE.and(OPTIONAL), None),
    row("perf_event", EXACT, T::PERF_EVENT, ANY, NONE, None),
    row("lwt_in", EXACT, T::LWT_IN, ANY, NONE, None),
    row("lwt_out", EXACT, T::LWT_OUT, ANY, NONE, None),
    row("lwt_xmit", EXACT, T::LWT_XMIT, ANY, NONE, None),
    row("lwt_seg6local", EXACT, T::LWT_SEG6LOCAL, ANY, NONE, None),
    row("sockops", EXACT, T::SOCK_OPS, A::CGROUP_SOCK_OPS, ATTACHABLE.and(OPTIONAL), None),
    row("sk_skb/stream_parser", EXACT, T::SK_SKB, A::SK_SKB_STREAM_PARSER, ATTACHABLE.and(OPTIONAL), None),
    row("sk_skb/stream_verdict", EXACT, T::SK_SKB, A::SK_SKB_STREAM_VERDICT, ATTACHABLE.and(OPTIONAL), None),
    row("sk_skb/verdict", EXACT, T::SK_SKB, A::SK_SKB_VERDICT, ATTACHABLE.and(OPTIONAL), None),
    row("sk_skb", EXACT, T::SK_SKB, ANY, NONE, None),
    row("sk_msg", EXACT, T::SK_MSG, A::SK_MSG_VERDICT, ATTACHABLE.and(OPTIONAL), None),
    row("lirc_mode2", EXACT, T::LIRC_MODE2, A::LIRC_MODE2, ATTACHABLE.and(OPTIONAL), None),
    row("flow_dissector", EXACT, T::FLOW_DISSECTOR, A::FLOW_DISSECTOR, ATTACHABLE.and(OPTIONAL), None),
    row("cgroup_skb/ingress", EXACT, T::CGROUP_SKB, A::CGROUP_INET_INGRESS, ATTACHABLE.and(OPTIONAL), None),
    row("cgroup_skb/egress", EXACT, T::CGROUP_SKB, A::CGROUP_INET_EGRESS, ATTACHABLE.and(OPTIONAL), None),
    row("cgroup/skb", EXACT, T::CGROUP_SKB, ANY, NONE, None),
    row("cgroup/sock_create", EXACT, T::CGROUP_SOCK, A::CGROUP_INET_SOCK_CREATE, ATTACHABLE, None),
    row("cgroup/sock_release", EXACT, T::CGROUP_SOCK, A::CGROUP_INET_SOCK_RELEASE, ATTACHABLE, None),
    row("cgroup/sock", EXACT, T::CGROUP_SOCK, A::CGROUP_INET_SOCK_CREATE, ATTACHABLE.and(OPTIONAL), None),
    row("cgroup/post_bind4", EXACT, T::CGROUP_SOCK, A::CGROUP_INET4_POST_BIND, ATTACHABLE, None),
    row("cgroup/post_bind6", EXACT, T::CGROUP_SOCK, A::CGROUP_INET6_POST_BIND, ATTACHABLE, None),
    row("cgroup/bind4", EXACT, T::CGROUP_SOCK_ADDR, A::CGROUP_INET4_BIND, ATTACHABLE, None),
    row("cgroup/bind6", EXACT, T::CGROUP_SOCK_ADDR, A::CGROUP_INET6_BIND, ATTACHABLE, None),
    row("cgroup/connect4", EXACT, T::CGROUP_SOCK_ADDR, A::CGROUP_INET4_CONNECT, ATTACHABLE, None),
    row("cgroup/connect6", EXACT, T::CGROUP_SOCK_ADDR, A::CGROUP_INET6_CONNECT, ATTACHABLE, None),
    row("cgroup/connect_unix", EXACT, T::CGROUP_SOCK_ADDR, A::CGROUP_UNIX_CONNECT, ATTACHABLE, None),
    row("cgroup/sendmsg4", EXACT, T::CGROUP_SOCK_ADDR, A::CGROUP_UDP4_SENDMSG, ATTACHABLE, None),
    row("cgroup/sendmsg6", EXACT, T::CGROUP_SOCK_ADDR, A::CGROUP_UDP6_SENDMSG, ATTACHABLE, None),
    row("cgroup/sendmsg_unix", EXACT, T::CGROUP_SOCK_ADDR, A::CGROUP_UNIX_SENDMSG, ATTACHABLE, None),
    row("cgroup/recvmsg4", EXACT, T::CGROUP_SOCK_ADDR, A::CGROUP_UDP4_RECVMSG, ATTACHABLE, None),
    row("cgroup/recvmsg6", EXACT, T::CGROUP_SOCK_ADDR, A::CGROUP_UDP6_RECVMSG, ATTACHABLE, None),
    row("cgroup/recvmsg_unix", EXACT, T::CGROUP_SOCK_ADDR, A::CGROUP_UNIX_RECVMSG, ATTACHABLE, None),
    row("cgroup/getpeername4", EXACT, T::CGROUP_SOCK_ADDR, A::CGROUP_INET4_GETPEERNAME, ATTACHABLE, None),
    row("cgroup/getpeername6", EXACT, T::CGROUP_SOCK_ADDR, A::CGROUP_INET6_GETPEERNAME, ATTACHABLE, None),
    row("cgroup/getpeername_unix", EXACT, T::CGROUP_SOCK_ADDR, A::CGROUP_UNIX_GETPEERNAME, ATTACHABLE, None),
    row("cgroup/getsockname4", EXACT, T::CGROUP_SOCK_ADDR, A::CGROUP_INET4_GETSOCKNAME, ATTACHABLE, None),
    row("cgroup/getsockname6", EXACT, T::CGROUP_SOCK_ADDR, A::CGROUP_INET6_GETSOCKNAME, ATTACHABLE, None),
    row("cgroup/getsockname_unix", EXACT, T::CGROUP_SOCK_ADDR, A::CGROUP_UNIX_GETSOCKNAME, ATTACHABLE, None),
    row("cgroup/sysctl", EXACT, T::CGROUP_SYSCTL, A::CGROUP_SYSCTL, ATTACHABLE, None),
    row("cgroup/getsockopt", EXACT, T::CGROUP_SOCKOPT, A::CGROUP_GETSOCKOPT, ATTACHABLE, None),
    row("cgroup/setsockopt", EXACT, T::CGROUP_SOCKOPT, A::CGROUP_SETSOCKOPT, ATTACHABLE, None),
    row("cgroup/dev", EXACT, T::CGROUP_DEVICE, A::CGROUP_DEVICE, ATTACHABLE.and(OPTIONAL), None),
    row("struct_ops", TARGET, T::STRUCT_OPS, ANY, NONE, None),
    row("struct_ops.s", TARGET, T::STRUCT_OPS, ANY, SLEEPABLE, None),
    row("sk_lookup", EXACT, T::SK_LOOKUP, A::SK_LOOKUP, ATTACHABLE, None),
    row("netfilter", EXACT, T::NETFILTER, A::NETFILTER, NONE, None),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for (i, row) in SECTIONS.iter().enumerate() {
            assert!(SECTIONS[..i].iter().all(|other| other.name != row.name), "{}", row.name);
            assert!(core::ptr::eq(lookup(row.name).unwrap().row, row), "{}", row.name);
            assert!(row.auto.is_none() || row.form == Form::Target, "{}", row.name);
            assert!(row.prog.name().is_some() && row.attach.name().is_some());
        }
    }

    #[test]
    fn exact_names_take_nothing() {
        assert_eq!(lookup("xdp").unwrap().row.attach, A::XDP);
        assert!(matches!(lookup("xdp/filter"), Err(SectionError::TakesNoTarget { extra: "filter", .. })));
        assert_eq!(lookup("xdp/devmap").unwrap().row.attach, A::XDP_DEVMAP);
        for name in
            ["", "?", "xdp_filter", "kprobes", "kprobe.", "maps", "license", "fentry.x/y", "XDP", "??xdp"]
        {
            assert!(matches!(lookup(name), Err(SectionError::Unknown { .. })), "{name}");
        }
    }

    #[test]
    fn question_mark_means_not_by_itself() {
        assert_eq!(lookup("?xdp").unwrap().autoload, Autoload::No);
        assert_eq!(lookup("xdp").unwrap().autoload, Autoload::Yes);
    }

    fn target(section: &str) -> Result<Target<'_>, SectionError<'_>> {
        lookup(section)?.target()
    }

    #[test]
    fn targets() {
        let rows = [
            ("kprobe", Target::None),
            ("kprobe/do_unlinkat", Target::Function { name: "do_unlinkat", offset: 0 }),
            ("kretprobe/f.isra.0+0x10", Target::Function { name: "f.isra.0", offset: 16 }),
            ("kprobe/f+010", Target::Function { name: "f", offset: 8 }),
            ("kprobe.multi/tcp_*", Target::Functions { pattern: "tcp_*" }),
            (
                "uprobe//bin/bash:readline",
                Target::UserFunction { binary: "/bin/bash", name: "readline", offset: 0 },
            ),
            (
                "uprobe.s/libc.so.6:malloc+4",
                Target::UserFunction { binary: "libc.so.6", name: "malloc", offset: 4 },
            ),
            ("uretprobe.multi/libc.so.6:m*", Target::UserFunctions { binary: "libc.so.6", pattern: "m*" }),
            ("ksyscall/openat", Target::Syscall { name: "openat" }),
            (
                "usdt/libc.so.6:libc:setjmp",
                Target::Usdt { binary: "libc.so.6", provider: "libc", name: "setjmp" },
            ),
            ("tp/sched/sched_switch", Target::Tracepoint { category: "sched", name: "sched_switch" }),
            ("tracepoint/a/b/c", Target::Tracepoint { category: "a", name: "b/c" }),
            ("raw_tp/sys_enter", Target::RawTracepoint { name: "sys_enter" }),
            ("raw_tracepoint.w/x", Target::RawTracepoint { name: "x" }),
            ("tp_btf/sys_enter", Target::Btf { name: "sys_enter" }),
            ("fexit.s/vfs_read", Target::Btf { name: "vfs_read" }),
            ("lsm/file_open", Target::Btf { name: "file_open" }),
            ("iter/task", Target::Iter { name: "task" }),
            ("struct_ops/init", Target::None),
        ];
        for (section, wanted) in rows {
            assert_eq!(target(section), Ok(wanted), "{section}");
        }
    }

    #[test]
    fn bad_targets_say_what_was_wanted() {
        for section in [
            "kprobe/",
            "kprobe/a b",
            "kprobe/f+",
            "kprobe/f+x",
            "kprobe/f++1",
            "kprobe/+1",
            "kprobe/f+99999999999999999999",
            "tp/sched",
            "tp//x",
            "tp/x/",
            "uprobe/bash",
            "uprobe/:f",
            "usdt/a:b",
            "usdt/::",
            "raw_tp/",
            "kprobe.multi/a-b",
        ] {
            assert!(matches!(target(section), Err(SectionError::BadTarget { .. })), "{section}");
        }
        extern crate std;
        use std::string::ToString;
        assert_eq!(
            target("tp/sched").unwrap_err().to_string(),
            "wanted `tp/<category>/<name>`, found `tp/sched`"
        );
    }

    #[test]
    fn return_probes_by_name() {
        assert!(lookup("kretprobe/f").unwrap().is_return());
        assert!(lookup("uretprobe.multi/a:b").unwrap().is_return());
        assert!(!lookup("kprobe/kretf").unwrap().is_return());
    }
}
