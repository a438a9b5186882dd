//! `BPF_LINK_CREATE`, `BPF_LINK_UPDATE` and `BPF_LINK_DETACH`.

use super::end_of;
use crate::error::Result;
use crate::file::{self, File};
use crate::hook::{Hook, Position};
use crate::kernel::Inner;
use crate::link::{LinkObject, LinkTarget, NewLink};
use crate::perf::Source;
use crate::prog::Prog;
use crate::request::Request;
use alloc::sync::Arc;
use skep_abi::flags::{BPF_F_AFTER, BPF_F_BEFORE, BPF_F_REPLACE};
use skep_abi::{
    AttachType, Errno, LinkCreate, LinkCreatePerfEvent, LinkCreateTcx, LinkDetach, LinkUpdate, ProgType,
};
use skep_mem::Shared;

pub(super) fn create(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    // The longest form that is known; each kind checks its own end.
    let base: LinkCreate = request.attr(skep_abi::ATTR_SIZE)?;
    let prog = file::prog(kernel, request, base.prog_fd)?;
    let attach_type = AttachType(base.attach_type);
    let link = match prog.body.prog_type {
        ProgType::XDP if attach_type == AttachType::XDP => xdp(kernel, request, &prog)?,
        ProgType::SCHED_CLS if is_tcx(attach_type) => tcx(kernel, request, &prog, attach_type)?,
        ProgType::TRACEPOINT if attach_type == AttachType::PERF_EVENT => perf_event(kernel, request, &prog)?,
        _ => return Err(Errno::EINVAL),
    };
    file::install(request, File::Link(link))
}

pub(super) fn is_tcx(attach_type: AttachType) -> bool {
    matches!(attach_type, AttachType::TCX_INGRESS | AttachType::TCX_EGRESS)
}

fn xdp(kernel: &Arc<Inner>, request: &Request<'_>, prog: &Shared<Prog>) -> Result<Shared<LinkObject>> {
    /// `XDP_FLAGS_SKB_MODE | XDP_FLAGS_DRV_MODE`: there is one mode here, so both will do.
    const MODES: u32 = 2 | 4;
    let attr: LinkCreate = request.attr(end_of!(LinkCreate, flags))?;
    if attr.flags & !MODES != 0 || attr.flags == MODES {
        return Err(Errno::EINVAL);
    }
    // `bpf_xdp_link_attach` in net/core/dev.c; other places say ENODEV.
    let interface = kernel.interfaces.find(attr.target_fd).map_err(|_| Errno::EINVAL)?;
    let target = LinkTarget::Interface(attr.target_fd, AttachType::XDP);
    let new = NewLink { prog, hook: &interface.xdp, target, cookie: 0, at: Position::Last };
    LinkObject::create(&kernel.host, &kernel.links, new)
}

fn tcx(
    kernel: &Arc<Inner>,
    request: &Request<'_>,
    prog: &Shared<Prog>,
    attach_type: AttachType,
) -> Result<Shared<LinkObject>> {
    let attr: LinkCreateTcx = request.attr(end_of!(LinkCreateTcx, expected_revision))?;
    // Positions relative to another program are not supported.
    if attr.relative_fd != 0 {
        return Err(Errno::EINVAL);
    }
    let interface = kernel.interfaces.find(attr.base.target_fd)?;
    let hook = interface.tcx(attach_type).ok_or(Errno::EINVAL)?;
    let at = position(hook, prog, attr.base.flags, attr.expected_revision)?;
    let target = LinkTarget::Interface(attr.base.target_fd, attach_type);
    LinkObject::create(&kernel.host, &kernel.links, NewLink { prog, hook, target, cookie: 0, at })
}

/// The most programs of one tc hook (`BPF_MPROG_MAX`).
const MOST: usize = 64;

/// Finds the place of a program among others, none of which is named: first, last, or none, in the order in which
/// `bpf_mprog_attach` looks (kernel/bpf/mprog.c).
pub(super) fn position(hook: &Hook, prog: &Shared<Prog>, flags: u32, revision: u64) -> Result<Position> {
    const BOTH: u32 = BPF_F_BEFORE | BPF_F_AFTER;
    let (attached, current) = hook.attached()?;
    if revision != 0 && revision != current {
        return Err(Errno::ESTALE);
    }
    if attached.iter().any(|entry| entry.prog.ptr_eq(prog)) {
        return Err(Errno::EEXIST);
    }
    match flags {
        // There is no program to be replaced.
        _ if flags & BPF_F_REPLACE != 0 => Err(Errno::ENOENT),
        _ if attached.len() >= MOST => Err(Errno::ERANGE),
        0 | BPF_F_AFTER => Ok(Position::Last),
        BPF_F_BEFORE => Ok(Position::First),
        BOTH => Err(Errno::ERANGE),
        _ => Err(Errno::EINVAL),
    }
}

fn perf_event(kernel: &Arc<Inner>, request: &Request<'_>, prog: &Shared<Prog>) -> Result<Shared<LinkObject>> {
    let attr: LinkCreatePerfEvent = request.attr(end_of!(LinkCreatePerfEvent, bpf_cookie))?;
    if attr.base.flags != 0 {
        return Err(Errno::EINVAL);
    }
    let event = file::lookup(request, attr.base.target_fd)?;
    let File::Perf(event) = &*event else { return Err(Errno::EINVAL) };
    let Source::Tracepoint(tracepoint) = event.source() else { return Err(Errno::EINVAL) };
    let target = LinkTarget::Tracepoint(Arc::clone(&tracepoint.name));
    let (hook, cookie) = (&tracepoint.record_hook, attr.bpf_cookie);
    let new = NewLink { prog, hook, target, cookie, at: Position::Last };
    LinkObject::create(&kernel.host, &kernel.links, new)
}

pub(super) fn update(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let attr: LinkUpdate = request.attr(end_of!(LinkUpdate, old_prog_fd))?;
    if attr.flags & !BPF_F_REPLACE != 0 {
        return Err(Errno::EINVAL);
    }
    let link = file::link(request, attr.link_fd)?;
    let new = file::prog(kernel, request, attr.new_prog_fd)?;
    let old = match attr.flags & BPF_F_REPLACE {
        0 if attr.old_prog_fd != 0 => return Err(Errno::EINVAL),
        0 => None,
        _ => Some(file::prog(kernel, request, attr.old_prog_fd)?),
    };
    if !link.target.is_managed() {
        return Err(Errno::EINVAL);
    }
    link.update(&new, old.as_ref())?;
    Ok(0)
}

pub(super) fn detach(_: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let attr: LinkDetach = request.attr(end_of!(LinkDetach, link_fd))?;
    let link = file::link(request, attr.link_fd)?;
    if !link.target.is_managed() {
        return Err(Errno::EOPNOTSUPP);
    }
    link.detach();
    Ok(0)
}
