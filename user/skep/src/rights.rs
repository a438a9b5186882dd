//! Why a kernel does not permit something, as far as a process can see.

use crate::error::Error;
use crate::token::{Delegated, Set};
use crate::{Kernel, Version};
use skep_abi::{AttachType, Cmd, Errno, MapType, ProgType};
use skep_model::platform::sets::ProgSet;
use std::fmt;

/// Something that a process would need to be permitted what it has asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Lack {
    /// A capability that it does not have.
    Capability(&'static str),
    /// Capabilities outside of its user namespace, or a token of the kernel's (`BPF_TOKEN_CREATE`).
    InitialUserNamespace,
    /// A token: none could be made.
    Token {
        /// The BPF file system that was to give it.
        path: String,
        /// Why it did not.
        errno: Errno,
    },
    /// A right that its token does not have, since the BPF file system was mounted without it.
    Delegation {
        /// The mount option, such as `delegate_maps`.
        option: &'static str,
        /// What has to be among the option's values.
        value: String,
    },
    /// A setting of the kernel that lets processes without capabilities load.
    Sysctl {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// A kernel that is not locked down in this way.
    Lockdown(String),
    /// Nothing that can be seen: a security module, a filter of system calls, or the machine itself forbids it.
    Policy,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lack::Capability(name) => write!(f, "this process lacks {name}"),
            Lack::InitialUserNamespace => {
                f.write_str("its capabilities are of a user namespace, which needs a BPF token")
            }
            Lack::Token { path, errno } => {
                write!(f, "no token could be made of {path}: {errno}")?;
                // `bpf_token_create`: no option of such a file system delegates anything.
                f.write_str(if *errno == Errno::ENOENT { ", so nothing is delegated there" } else { "" })
            }
            Lack::Delegation { option, value } => {
                write!(f, "its token's BPF file system is mounted without {option}={value}")
            }
            Lack::Sysctl { name, value } => write!(f, "{name} is {value}"),
            Lack::Lockdown(mode) => write!(f, "the kernel is locked down ({mode})"),
            Lack::Policy => f.write_str(
                "the process has every capability for it, so a security module or a filter of system calls forbids it",
            ),
        }
    }
}

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    Map(MapType),
    Program(ProgType, AttachType),
}

impl Wanted {
    /// What a token has to delegate for it (`bpf_token_allow_cmd` and its siblings, kernel/bpf/token.c).
    fn delegated(self) -> Vec<Delegated> {
        match self {
            Wanted::Map(kind) => {
                vec![Delegated::command(Cmd::MAP_CREATE), Delegated::new(Set::Maps, kind.0, kind)]
            }
            Wanted::Program(kind, attach) => vec![
                Delegated::command(Cmd::PROG_LOAD),
                Delegated::new(Set::Programs, kind.0, kind),
                Delegated::new(Set::Attaching, attach.0, attach),
            ],
        }
    }
}

/// A capability: its name and its number (include/uapi/linux/capability.h).
type Capability = (&'static str, u32);
const NET_ADMIN: Capability = ("CAP_NET_ADMIN", 12);
const SYS_ADMIN: Capability = ("CAP_SYS_ADMIN", 21);
const PERFMON: Capability = ("CAP_PERFMON", 38);
const BPF: Capability = ("CAP_BPF", 39);

/// Since then `CAP_SYS_ADMIN` is not needed any more (2c78ee898d8f, "bpf: Implement CAP_BPF").
const CAP_BPF_SINCE: Version = Version::new(5, 8);

/// Types that any process may load, unless a setting forbids it (`bpf_prog_load`, kernel/bpf/syscall.c).
const UNPRIVILEGED: ProgSet = ProgSet::of(&[ProgType::SOCKET_FILTER, ProgType::CGROUP_SKB]);
/// `is_perfmon_prog_type`.
const OF_PERFMON: ProgSet = ProgSet::of(&[
    ProgType::KPROBE,
    ProgType::TRACEPOINT,
    ProgType::PERF_EVENT,
    ProgType::RAW_TRACEPOINT,
    ProgType::RAW_TRACEPOINT_WRITABLE,
    ProgType::TRACING,
    ProgType::LSM,
    ProgType::STRUCT_OPS,
    ProgType::EXT,
]);
/// `is_net_admin_prog_type`.
const OF_NET_ADMIN: ProgSet = ProgSet::of(&[
    ProgType::SCHED_CLS,
    ProgType::SCHED_ACT,
    ProgType::XDP,
    ProgType::LWT_IN,
    ProgType::LWT_OUT,
    ProgType::LWT_XMIT,
    ProgType::LWT_SEG6LOCAL,
    ProgType::SK_SKB,
    ProgType::SK_MSG,
    ProgType::FLOW_DISSECTOR,
    ProgType::CGROUP_DEVICE,
    ProgType::CGROUP_SOCK,
    ProgType::CGROUP_SOCK_ADDR,
    ProgType::CGROUP_SOCKOPT,
    ProgType::CGROUP_SYSCTL,
    ProgType::SOCK_OPS,
    ProgType::EXT,
    ProgType::NETFILTER,
]);
/// Types of maps that any process may make, unless a setting forbids it (`map_create`).
const UNPRIVILEGED_MAPS: &[MapType] = &[
    MapType::ARRAY,
    MapType::PERCPU_ARRAY,
    MapType::PROG_ARRAY,
    MapType::PERF_EVENT_ARRAY,
    MapType::CGROUP_ARRAY,
    MapType::ARRAY_OF_MAPS,
    MapType::HASH,
    MapType::PERCPU_HASH,
    MapType::HASH_OF_MAPS,
    MapType::RINGBUF,
    MapType::USER_RINGBUF,
    MapType::CGROUP_STORAGE,
    MapType::PERCPU_CGROUP_STORAGE,
];

/// Adds to an error that something is not permitted what is missing for it.
pub(crate) fn explain(kernel: &Kernel, error: Error, wanted: Wanted) -> Error {
    if error.errno() != Some(Errno::EPERM) {
        return error;
    }
    let lacks = lacks(kernel, wanted);
    let words: Vec<String> = lacks.iter().map(ToString::to_string).collect();
    match words.is_empty() {
        true => error,
        false => error.hint(&words.join(", ")).with_lacks(lacks),
    }
}

/// Finds out what is missing; nothing where the kernel does not tell what this process may.
fn lacks(kernel: &Kernel, wanted: Wanted) -> Vec<Lack> {
    let Some(has) = kernel.read_text("/proc/self/status").ok().as_deref().and_then(effective) else {
        return Vec::new();
    };
    let is_old = kernel.version().is_ok_and(|version| version < CAP_BPF_SINCE);
    let (needed, is_free) = match wanted {
        Wanted::Program(kind, _) => (for_program(kind), UNPRIVILEGED.contains(kind)),
        Wanted::Map(kind) => (vec![BPF], UNPRIVILEGED_MAPS.contains(&kind)),
    };
    let needed = if is_old { vec![SYS_ADMIN] } else { needed };
    let can = |capability: &Capability| has >> capability.1 & 1 != 0 || has >> SYS_ADMIN.1 & 1 != 0;
    let missing: Vec<Lack> =
        needed.iter().filter(|one| !can(one)).map(|one| Lack::Capability(one.0)).collect();
    if !missing.is_empty() {
        const NAME: &str = "kernel.unprivileged_bpf_disabled";
        let setting = kernel.read_text("/proc/sys/kernel/unprivileged_bpf_disabled").ok();
        let setting = setting.map(|value| value.trim().to_owned()).filter(|value| is_free && value != "0");
        return missing.into_iter().chain(setting.map(|value| Lack::Sysctl { name: NAME, value })).collect();
    }
    if kernel.read_text("/proc/self/uid_map").is_ok_and(|map| !is_initial(&map)) {
        let lacks = kernel.token_lacks(&wanted.delegated());
        if !lacks.is_empty() {
            return lacks;
        }
    }
    let lockdown = kernel.read_text("/sys/kernel/security/lockdown").ok();
    match lockdown.as_deref().and_then(locked) {
        Some(mode) => vec![Lack::Lockdown(mode.to_owned())],
        None => vec![Lack::Policy],
    }
}

fn for_program(kind: ProgType) -> Vec<Capability> {
    let rows = [(true, BPF), (OF_PERFMON.contains(kind), PERFMON), (OF_NET_ADMIN.contains(kind), NET_ADMIN)];
    rows.into_iter().filter(|(is_needed, _)| *is_needed).map(|(_, capability)| capability).collect()
}

/// The effective capabilities in `/proc/self/status`.
fn effective(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// Tells whether a map of user numbers is that of the initial namespace: all of them, as they are.
fn is_initial(map: &str) -> bool {
    map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}

/// The mode of a lockdown, as in `none [integrity] confidentiality`; `None` where there is none.
fn locked(text: &str) -> Option<&str> {
    let mode = text.split_once('[')?.1.split_once(']')?.0;
    (mode != "none").then_some(mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read() {
        assert_eq!(effective("Name:\tx\nCapInh:\t0\nCapEff:\t000001ffffffffff\n"), Some(0x1ff_ffff_ffff));
        assert_eq!((effective(""), effective("CapEff:\tx\n")), (None, None));
        assert!(is_initial("         0          0 4294967295\n"));
        assert!(!is_initial("         0       1000          1\n"));
        assert_eq!(locked("none [integrity] confidentiality\n"), Some("integrity"));
        assert_eq!((locked("[none] integrity confidentiality\n"), locked("")), (None, None));
    }

    #[test]
    fn types_need_what_linux_asks_for() {
        let names = |kind| for_program(kind).iter().map(|one| one.0).collect::<Vec<_>>();
        assert_eq!(names(ProgType::XDP), ["CAP_BPF", "CAP_NET_ADMIN"]);
        assert_eq!(names(ProgType::KPROBE), ["CAP_BPF", "CAP_PERFMON"]);
        assert_eq!(names(ProgType::EXT), ["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"]);
        assert_eq!(names(ProgType::SOCKET_FILTER), ["CAP_BPF"]);
    }
}
