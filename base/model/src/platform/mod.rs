//! The platform: what a kernel offers to programs, as tables.
//!
//! The tables say what Linux 6.18 does; each row has the version that brought it, and a [`Platform`] of an older
//! version leaves out the newer rows. What changed *within* a row (a helper that more program types may call since)
//! is not told apart.

pub mod context;
pub mod contexts;
pub mod ctype;
pub mod helper;
pub mod helpers;
pub mod kfuncs;
pub mod lsm;
pub mod maps;
pub mod objects;
pub mod prog;
pub mod sections;
pub mod sets;
pub mod tracepoints;
pub mod version;

use core::fmt;

/// The words of the ABI that the tables are made of, for those who know the tables only.
pub use skep_abi::{AttachType, FuncId, MapType, ProgType};

use self::helper::{Caller, Helper, Licence, Prototype};
use self::maps::MapKind;
use self::prog::Prog;
use self::version::Version;

/// A kernel's offer: Linux of a version, and what a host adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Platform {
    /// The version that is answered for.
    pub version: Version,
    /// Program types of the host's own, numbered from [`OWN_TYPES`] on.
    pub own_progs: &'static [Prog],
    /// Helpers of the host's own, numbered from [`OWN_HELPERS`] on.
    pub own_helpers: &'static [Helper],
}

/// Where numbers of a host's own program types begin.
pub const OWN_TYPES: u32 = 0x4000_0000;
/// Where numbers of a host's own helpers begin.
pub const OWN_HELPERS: u32 = 0x4000_0000;

/// Why a call of a helper is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelperRefusal {
    /// No helper has this number.
    Unknown(FuncId),
    /// It came with a later version.
    TooNew(&'static Helper),
    /// This program type may not call it.
    ProgType(&'static Helper, ProgType),
    /// Programs of this type may call it, not those that are attached as this one.
    Attach(&'static Helper, ProgType),
    /// The program's licence is not compatible with the GPL.
    Licence(&'static Helper),
    /// It is a host's own, and has no prototype.
    NotModelled(&'static Helper),
}

impl fmt::Display for HelperRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(id) => write!(f, "no helper has the number {}", id.0),
            Self::TooNew(helper) => {
                write!(f, "helper bpf_{}#{} needs Linux {}", helper.name, helper.id.0, helper.since)
            }
            Self::ProgType(helper, kind) => {
                write!(f, "a program of type {kind} may not call helper bpf_{}#{}", helper.name, helper.id.0)
            }
            Self::Attach(helper, kind) => write!(
                f,
                "a program of type {kind} may not call helper bpf_{}#{} where this one is attached",
                helper.name, helper.id.0
            ),
            Self::Licence(helper) => {
                write!(f, "helper bpf_{}#{} needs a GPL-compatible licence", helper.name, helper.id.0)
            }
            Self::NotModelled(helper) => {
                write!(f, "helper bpf_{}#{} has no prototype", helper.name, helper.id.0)
            }
        }
    }
}

impl core::error::Error for HelperRefusal {}

impl Platform {
    /// Linux 6.18, whose answers the embedded kernel gives.
    pub const LINUX_6_18: Self = Self::linux(Version::LINUX_6_18);

    /// Linux of a version.
    pub const fn linux(version: Version) -> Self {
        Self { version, own_progs: &[], own_helpers: &[] }
    }

    /// Finds a program type.
    pub fn prog(&self, kind: ProgType) -> Option<&'static Prog> {
        if kind.0 >= OWN_TYPES {
            return self.own_progs.iter().find(|prog| prog.kind == kind);
        }
        let prog = prog::PROGS.get((kind.0 as usize).checked_sub(1)?)?;
        (prog.since <= self.version).then_some(prog)
    }

    /// Finds a map kind.
    pub fn map(&self, kind: MapType) -> Option<&'static MapKind> {
        let map = maps::MAPS.get((kind.0 as usize).checked_sub(1)?)?;
        (map.since <= self.version).then_some(map)
    }

    /// Finds a helper that this platform has, modelled or not.
    ///
    /// # Errors
    ///
    /// [`HelperRefusal::Unknown`] and [`HelperRefusal::TooNew`].
    pub fn helper(&self, id: FuncId) -> Result<&'static Helper, HelperRefusal> {
        let unknown = HelperRefusal::Unknown(id);
        if id.0 >= OWN_HELPERS {
            return self.own_helpers.iter().find(|helper| helper.id == id).ok_or(unknown);
        }
        let at = (id.0 as usize).checked_sub(1).ok_or(unknown)?;
        let helper = helpers::HELPERS.get(at).ok_or(unknown)?;
        if helper.since > self.version { Err(HelperRefusal::TooNew(helper)) } else { Ok(helper) }
    }

    /// Decides whether a program of this type and licence, wherever it is attached, may call a helper, and how.
    ///
    /// # Errors
    ///
    /// Why not; Linux answers EINVAL to each.
    pub fn call(
        &self,
        id: FuncId,
        kind: ProgType,
        licence: Licence,
    ) -> Result<(&'static Helper, &'static Prototype), HelperRefusal> {
        self.call_by(id, &Caller::of(kind, licence))
    }

    /// Decides whether a program may call a helper, and how.
    ///
    /// # Errors
    ///
    /// Why not; Linux answers EINVAL to each (to `get_func_ip` outside a trampoline ENOTSUPP).
    pub fn call_by(
        &self,
        id: FuncId,
        caller: &Caller<'_>,
    ) -> Result<(&'static Helper, &'static Prototype), HelperRefusal> {
        let helper = self.helper(id)?;
        if !helper.progs.contains(caller.kind) {
            return Err(HelperRefusal::ProgType(helper, caller.kind));
        }
        if !helper.admits(caller) {
            return Err(HelperRefusal::Attach(helper, caller.kind));
        }
        let (licence, prototype) = helper.called_by(caller);
        if licence == Licence::Gpl && caller.licence != Licence::Gpl {
            return Err(HelperRefusal::Licence(helper));
        }
        prototype.map(|prototype| (helper, prototype)).ok_or(HelperRefusal::NotModelled(helper))
    }
}

/// Tells whether a program's licence string is compatible with the GPL (`license_is_gpl_compatible`,
/// include/linux/license.h).
pub fn licence(text: &[u8]) -> Licence {
    const COMPATIBLE: &[&[u8]] =
        &[b"GPL", b"GPL v2", b"GPL and additional rights", b"Dual BSD/GPL", b"Dual MIT/GPL", b"Dual MPL/GPL"];
    if COMPATIBLE.contains(&text) { Licence::Gpl } else { Licence::Any }
}

#[cfg(test)]
mod tests {
    use super::helper::{Arg, Nullable, SocketArg, Target};
    use super::*;

    #[test]
    fn older_versions_have_fewer_rows() {
        let old = Platform::linux(Version::new(5, 10));
        assert!(old.prog(ProgType::XDP).is_some());
        assert!(old.prog(ProgType::NETFILTER).is_none());
        assert!(old.map(MapType::RINGBUF).is_some());
        assert!(old.map(MapType::BLOOM_FILTER).is_none());
        assert!(matches!(old.helper(FuncId::STRNCMP), Err(HelperRefusal::TooNew(_))));
        assert!(Platform::LINUX_6_18.map(MapType::INSN_ARRAY).is_none());
    }

    #[test]
    fn calls_are_refused_for_a_reason() {
        let platform = Platform::LINUX_6_18;
        let call = |id, kind, licence| platform.call(id, kind, licence).map(|(helper, _)| helper.name);
        let (xdp, gpl) = (ProgType::XDP, Licence::Gpl);
        assert_eq!(call(FuncId::MAP_LOOKUP_ELEM, xdp, Licence::Any), Ok("map_lookup_elem"));
        assert!(matches!(call(FuncId::SKB_STORE_BYTES, xdp, gpl), Err(HelperRefusal::ProgType(..))));
        assert!(matches!(call(FuncId::TRACE_PRINTK, xdp, Licence::Any), Err(HelperRefusal::Licence(_))));
        assert_eq!(call(FuncId::SK_LOOKUP_TCP, xdp, gpl), Ok("sk_lookup_tcp"));
        for id in [0, 212, OWN_HELPERS, u32::MAX] {
            assert_eq!(call(FuncId(id), xdp, gpl), Err(HelperRefusal::Unknown(FuncId(id))));
        }
    }

    #[test]
    fn calls_depend_on_where_the_program_is_attached() {
        let platform = Platform::LINUX_6_18;
        let tracing = Caller::of(ProgType::TRACING, Licence::Gpl);
        let at = |attach, function| Caller {
            attach: Some(attach),
            target: Some(Target::Function(function)),
            ..tracing
        };
        let is_refused =
            |id, caller: &Caller<'_>| matches!(platform.call_by(id, caller), Err(HelperRefusal::Attach(..)));
        assert!(!is_refused(FuncId::SEQ_WRITE, &tracing), "what is not known refuses nothing");
        assert!(!is_refused(FuncId::SEQ_WRITE, &at(AttachType::TRACE_ITER, "bpf_iter_task")));
        assert!(is_refused(FuncId::SEQ_WRITE, &at(AttachType::TRACE_FENTRY, "vfs_truncate")));
        assert!(!is_refused(FuncId::D_PATH, &at(AttachType::TRACE_FENTRY, "vfs_truncate")));
        assert!(is_refused(FuncId::D_PATH, &at(AttachType::TRACE_FENTRY, "vfs_read")));
        assert!(is_refused(FuncId::D_PATH, &Caller { kind: ProgType::SYSCALL, ..tracing }));
        assert!(is_refused(FuncId::SK_STORAGE_GET, &at(AttachType::TRACE_FENTRY, "bpf_sk_storage_free")));
        assert!(!is_refused(FuncId::SETSOCKOPT, &at(AttachType::TRACE_ITER, "bpf_iter_tcp")));
        assert!(is_refused(FuncId::SETSOCKOPT, &at(AttachType::TRACE_ITER, "bpf_iter_udp")));
        let member = |member| Caller {
            kind: ProgType::STRUCT_OPS,
            target: Some(Target::Member { ops: "tcp_congestion_ops", member }),
            ..tracing
        };
        assert!(!is_refused(FuncId::SETSOCKOPT, &member("init")));
        assert!(is_refused(FuncId::SETSOCKOPT, &member("release")));
        assert!(!is_refused(FuncId::TCP_SEND_ACK, &member("release")));
    }

    #[test]
    fn calls_differ_by_program() {
        let platform = Platform::LINUX_6_18;
        let first = |id, kind| platform.call(id, kind, Licence::Gpl).map(|(_, prototype)| prototype.args[0]);
        assert_eq!(first(FuncId::GET_SOCKET_COOKIE, ProgType::SCHED_CLS), Ok(Arg::Ctx));
        let socket = Arg::Socket(SocketArg::CommonOrBtf, Nullable::Yes);
        assert_eq!(first(FuncId::GET_SOCKET_COOKIE, ProgType::TRACING), Ok(socket));
        let caller = Caller {
            attach: Some(AttachType::TRACE_KPROBE_MULTI),
            ..Caller::of(ProgType::KPROBE, Licence::Any)
        };
        assert!(platform.call_by(FuncId::GET_FUNC_IP, &caller).is_ok());
        let alone = Caller { attach: Some(AttachType::CGROUP_INET_INGRESS), ..caller };
        assert!(matches!(platform.call_by(FuncId::GET_FUNC_IP, &alone), Err(HelperRefusal::Licence(_))));
    }

    #[test]
    fn licences() {
        assert_eq!(licence(b"GPL"), Licence::Gpl);
        assert_eq!(licence(b"Dual BSD/GPL"), Licence::Gpl);
        for other in [&b""[..], b"MIT", b"gpl", b"GPL\0", b"Proprietary"] {
            assert_eq!(licence(other), Licence::Any);
        }
    }
}
