//! What a link is on, by its kind.

use super::INFO;
use crate::error::Result;
use crate::{Kernel, Link};
use skep_abi::{
    AttachType, Errno, LinkInfo, LinkInfoCgroup, LinkInfoIter, LinkInfoKprobeMulti, LinkInfoNetfilter,
    LinkInfoNetkit, LinkInfoNetns, LinkInfoPerfEvent, LinkInfoPerfEventEvent, LinkInfoPerfEventTracepoint,
    LinkInfoPerfEventUprobe, LinkInfoRawTracepoint, LinkInfoSockmap, LinkInfoStructOps, LinkInfoTcx,
    LinkInfoTracing, LinkInfoUprobeMulti, LinkInfoXdp, LinkType, PerfEventType,
};
use skep_sys::{CallError, LinkFd, ObjectKind};

/// What a link is on (`struct bpf_link_info`, include/uapi/linux/bpf.h). What an older kernel does not say is zero.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkTarget {
    /// A raw tracepoint.
    RawTracepoint {
        /// Its name.
        name: String,
        /// The number that the program reads.
        cookie: u64,
    },
    /// A function of the kernel or of a program, or an LSM hook.
    Tracing {
        /// What of it.
        attach_type: AttachType,
        /// The types or the program that it is in.
        target_obj_id: u32,
        /// Its type there.
        target_btf_id: u32,
        /// The number that the program reads.
        cookie: u64,
    },
    /// A control group.
    Cgroup {
        /// Its id; 0 where it is gone.
        cgroup_id: u64,
        /// What of it.
        attach_type: AttachType,
    },
    /// An iterator.
    Iter {
        /// What it goes through: `task`, `bpf_map_elem` and so on.
        target: String,
        /// The map of one that goes through a map's elements.
        map_id: u32,
        /// The control group that one over control groups begins at.
        cgroup_id: u64,
        /// The order of one over control groups (`enum bpf_cgroup_iter_order`).
        order: u32,
        /// The task of one over tasks; 0 for all.
        tid: u32,
        /// The process of one over tasks; 0 for all.
        pid: u32,
    },
    /// A network namespace.
    Netns {
        /// Its inode; 0 where it is gone.
        netns_ino: u32,
        /// What of it.
        attach_type: AttachType,
    },
    /// A network interface's incoming frames.
    Xdp {
        /// Its index; 0 where it is gone.
        ifindex: u32,
    },
    /// A struct of functions.
    StructOps {
        /// The map that it is in.
        map_id: u32,
    },
    /// A netfilter hook.
    Netfilter {
        /// The protocol family (`NFPROTO_*`).
        pf: u32,
        /// The hook (`NF_INET_*`).
        hooknum: u32,
        /// The place among other filters; lower ones come first.
        priority: i32,
        /// `BPF_F_NETFILTER_*`.
        flags: u32,
    },
    /// Many functions of the kernel.
    KprobeMulti {
        /// `BPF_F_KPROBE_MULTI_*`: 1 for returns.
        flags: u32,
        /// Calls for which the program did not run.
        missed: u64,
        /// The functions.
        functions: Vec<ProbedFunction>,
    },
    /// Many places of a file.
    UprobeMulti {
        /// The file.
        path: String,
        /// `BPF_F_UPROBE_MULTI_*`: 1 for returns.
        flags: u32,
        /// The process; 0 for all.
        pid: u32,
        /// The places.
        offsets: Vec<ProbedOffset>,
    },
    /// A function of the kernel, or its return.
    Kprobe {
        /// Which of both.
        kind: PerfEventType,
        /// The function.
        function: String,
        /// The distance from its start.
        offset: u32,
        /// The address; 0 where the kernel does not show it.
        addr: u64,
        /// Calls for which the program did not run.
        missed: u64,
        /// The number that the program reads.
        cookie: u64,
    },
    /// A place of a file, or the return from there.
    Uprobe {
        /// Which of both.
        kind: PerfEventType,
        /// The file.
        path: String,
        /// The byte in the file.
        offset: u32,
        /// Where in the file the counter of the place's users is, or 0.
        ref_ctr_offset: u64,
        /// The number that the program reads.
        cookie: u64,
    },
    /// A tracepoint.
    Tracepoint {
        /// Its name.
        name: String,
        /// The number that the program reads.
        cookie: u64,
    },
    /// Another perf event.
    PerfEvent {
        /// The unit that counts (`enum perf_type_id`).
        event_type: u32,
        /// What it counts.
        config: u64,
        /// The number that the program reads.
        cookie: u64,
    },
    /// A network interface's tc hook.
    Tcx {
        /// Its index; 0 where it is gone.
        ifindex: u32,
        /// Which one.
        attach_type: AttachType,
    },
    /// A netkit device.
    Netkit {
        /// Its index; 0 where it is gone.
        ifindex: u32,
        /// Which end.
        attach_type: AttachType,
    },
    /// A map of sockets.
    Sockmap {
        /// The map; 0 where it is gone.
        map_id: u32,
        /// What of its sockets.
        attach_type: AttachType,
    },
    /// What the kernel says no more of, or this release of the library does not know.
    Other,
}

/// A function of the kernel that a program is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProbedFunction {
    /// Its address; 0 where the kernel does not show it.
    pub addr: u64,
    /// The number that the program reads.
    pub cookie: u64,
}

/// A place of a file that a program is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProbedOffset {
    /// The byte in the file.
    pub offset: u64,
    /// Where in the file the counter of the place's users is, or 0.
    pub ref_ctr_offset: u64,
    /// The number that the program reads.
    pub cookie: u64,
}

impl Link {
    /// Opens a link by its id. What it has attached stays attached for as long as it is open.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is none with that id;
    /// [`ErrorKind::Permission`](crate::ErrorKind::Permission) without `CAP_SYS_ADMIN`.
    pub fn from_id(kernel: &Kernel, id: u32) -> Result<Link> {
        Ok(Link::of_id(id, LinkFd::from_handle(kernel.open_id(ObjectKind::Link, id)?)))
    }

    /// Reads what it is on: names and lists too, for which the kernel is asked once more.
    ///
    /// # Errors
    /// As [`Link::info`].
    pub fn target(&self) -> Result<LinkTarget> {
        let fail = |error| self.error(INFO, error);
        let info = self.info()?;
        let fd = self.linked()?;
        target(fd, &info).map_err(fail)
    }
}

/// Takes the part of a kind out of a link's info.
macro_rules! tail {
    ($info:expr, $shape:ident) => {
        $info.tail_as::<$shape>().ok_or(Errno::EPROTO)?
    };
}

fn target(fd: &LinkFd, info: &LinkInfo) -> Result<LinkTarget, CallError> {
    let name = || fd.info_name().map(Option::unwrap_or_default);
    Ok(match LinkType(info.type_) {
        LinkType::RAW_TRACEPOINT => {
            LinkTarget::RawTracepoint { name: name()?, cookie: tail!(info, LinkInfoRawTracepoint).cookie }
        }
        LinkType::TRACING => {
            let LinkInfoTracing { attach_type, target_obj_id, target_btf_id, cookie, .. } =
                tail!(info, LinkInfoTracing);
            LinkTarget::Tracing { attach_type: AttachType(attach_type), target_obj_id, target_btf_id, cookie }
        }
        LinkType::CGROUP => {
            let tail = tail!(info, LinkInfoCgroup);
            LinkTarget::Cgroup { cgroup_id: tail.cgroup_id, attach_type: AttachType(tail.attach_type) }
        }
        LinkType::ITER => iter(name()?, &tail!(info, LinkInfoIter)),
        LinkType::NETNS => {
            let tail = tail!(info, LinkInfoNetns);
            LinkTarget::Netns { netns_ino: tail.netns_ino, attach_type: AttachType(tail.attach_type) }
        }
        LinkType::XDP => LinkTarget::Xdp { ifindex: tail!(info, LinkInfoXdp).ifindex },
        LinkType::STRUCT_OPS => LinkTarget::StructOps { map_id: tail!(info, LinkInfoStructOps).map_id },
        LinkType::NETFILTER => {
            let LinkInfoNetfilter { pf, hooknum, priority, flags } = tail!(info, LinkInfoNetfilter);
            LinkTarget::Netfilter { pf, hooknum, priority, flags }
        }
        LinkType::KPROBE_MULTI => {
            let LinkInfoKprobeMulti { flags, missed, .. } = tail!(info, LinkInfoKprobeMulti);
            let places = fd.places()?.unwrap_or_default();
            let pairs = places.at.into_iter().zip(places.cookies);
            let functions = pairs.map(|(addr, cookie)| ProbedFunction { addr, cookie }).collect();
            LinkTarget::KprobeMulti { flags, missed, functions }
        }
        LinkType::UPROBE_MULTI => {
            let LinkInfoUprobeMulti { flags, pid, .. } = tail!(info, LinkInfoUprobeMulti);
            let places = fd.places()?.unwrap_or_default();
            let rows = places.at.into_iter().zip(places.ref_ctr_offsets).zip(places.cookies);
            let offsets = rows
                .map(|((offset, ref_ctr_offset), cookie)| ProbedOffset { offset, ref_ctr_offset, cookie })
                .collect();
            LinkTarget::UprobeMulti { path: name()?, flags, pid, offsets }
        }
        LinkType::PERF_EVENT => return perf_event(info, name),
        LinkType::TCX => {
            let tail = tail!(info, LinkInfoTcx);
            LinkTarget::Tcx { ifindex: tail.ifindex, attach_type: AttachType(tail.attach_type) }
        }
        LinkType::NETKIT => {
            let tail = tail!(info, LinkInfoNetkit);
            LinkTarget::Netkit { ifindex: tail.ifindex, attach_type: AttachType(tail.attach_type) }
        }
        LinkType::SOCKMAP => {
            let tail = tail!(info, LinkInfoSockmap);
            LinkTarget::Sockmap { map_id: tail.map_id, attach_type: AttachType(tail.attach_type) }
        }
        _ => LinkTarget::Other,
    })
}

/// Iterators over control groups and over tasks use the same bytes for different things.
fn iter(target: String, tail: &LinkInfoIter) -> LinkTarget {
    let (mut map_id, mut cgroup_id, mut order, mut tid, mut pid) = (0, 0, 0, 0, 0);
    match target.as_str() {
        "cgroup" => (cgroup_id, order) = (tail.cgroup_id, tail.order),
        "bpf_map_elem" | "bpf_sk_storage_map" | "sockmap" => map_id = tail.map_id,
        // `task`, `task_file`, `task_vma`: tid, then pid.
        name if name.starts_with("task") => {
            let [t0, t1, t2, t3, p0, p1, p2, p3] = tail.cgroup_id.to_ne_bytes();
            tid = u32::from_ne_bytes([t0, t1, t2, t3]);
            pid = u32::from_ne_bytes([p0, p1, p2, p3]);
        }
        _ => {}
    }
    LinkTarget::Iter { target, map_id, cgroup_id, order, tid, pid }
}

fn perf_event(
    info: &LinkInfo,
    name: impl Fn() -> Result<String, CallError>,
) -> Result<LinkTarget, CallError> {
    let LinkInfoPerfEvent { type_, offset, addr, missed, cookie, .. } = tail!(info, LinkInfoPerfEvent);
    let kind = PerfEventType(type_);
    Ok(match kind {
        PerfEventType::KPROBE | PerfEventType::KRETPROBE => {
            LinkTarget::Kprobe { kind, function: name()?, offset, addr, missed, cookie }
        }
        PerfEventType::UPROBE | PerfEventType::URETPROBE => {
            let LinkInfoPerfEventUprobe { offset, cookie, ref_ctr_offset, .. } =
                tail!(info, LinkInfoPerfEventUprobe);
            LinkTarget::Uprobe { kind, path: name()?, offset, ref_ctr_offset, cookie }
        }
        PerfEventType::TRACEPOINT => {
            LinkTarget::Tracepoint { name: name()?, cookie: tail!(info, LinkInfoPerfEventTracepoint).cookie }
        }
        PerfEventType::EVENT => {
            let LinkInfoPerfEventEvent { event_type, config, cookie, .. } =
                tail!(info, LinkInfoPerfEventEvent);
            LinkTarget::PerfEvent { event_type, config, cookie }
        }
        _ => LinkTarget::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iterators_share_bytes() {
        let mut id = [0; 8];
        id[..4].copy_from_slice(&7u32.to_ne_bytes());
        id[4..].copy_from_slice(&9u32.to_ne_bytes());
        let tail =
            LinkInfoIter { map_id: 3, cgroup_id: u64::from_ne_bytes(id), order: 2, ..Default::default() };
        let of = |name: &str| match iter(name.to_owned(), &tail) {
            LinkTarget::Iter { map_id, cgroup_id, order, tid, pid, .. } => {
                (map_id, cgroup_id, order, tid, pid)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(of("bpf_map_elem"), (3, 0, 0, 0, 0));
        assert_eq!(of("cgroup"), (0, tail.cgroup_id, 2, 0, 0));
        assert_eq!(of("task_vma"), (0, 0, 0, 7, 9));
        assert_eq!(of("netlink"), (0, 0, 0, 0, 0));
    }
}
