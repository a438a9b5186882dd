//! `BPF_PROG_ATTACH`, `BPF_PROG_DETACH` and `BPF_PROG_QUERY`: for an interface's tc hooks.

use super::{end_of, link};
use crate::error::Result;
use crate::file;
use crate::kernel::Inner;
use crate::request::Request;
use alloc::sync::Arc;
use core::mem::offset_of;
use skep_abi::{AttachType, Errno, ProgAttach, ProgQuery, ProgType};

fn read(request: &Request<'_>) -> Result<(ProgAttach, AttachType)> {
    let attr: ProgAttach = request.attr(end_of!(ProgAttach, expected_revision))?;
    let attach_type = AttachType(attr.attach_type);
    match link::is_tcx(attach_type) && attr.relative_fd == 0 && attr.replace_bpf_fd == 0 {
        true => Ok((attr, attach_type)),
        false => Err(Errno::EINVAL),
    }
}

pub(super) fn attach(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let (attr, attach_type) = read(request)?;
    let prog = file::prog(kernel, request, attr.attach_bpf_fd)?;
    if prog.body.prog_type != ProgType::SCHED_CLS {
        return Err(Errno::EINVAL);
    }
    let interface = kernel.interfaces.find(attr.target_fd)?;
    let hook = interface.tcx(attach_type).ok_or(Errno::EINVAL)?;
    let at = link::position(hook, &prog, attr.attach_flags, attr.expected_revision)?;
    hook.attach(&prog, 0, 0, at)?;
    Ok(0)
}

pub(super) fn detach(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let (attr, attach_type) = read(request)?;
    let interface = kernel.interfaces.find(attr.target_fd)?;
    let hook = interface.tcx(attach_type).ok_or(Errno::EINVAL)?;
    let prog = file::prog(kernel, request, attr.attach_bpf_fd)?;
    let (attached, _) = hook.attached()?;
    // What a link has attached only the link undoes.
    let found = attached.iter().find(|entry| entry.prog.ptr_eq(&prog)).ok_or(Errno::ENOENT)?;
    if found.link_id != 0 {
        return Err(Errno::EBUSY);
    }
    hook.detach(found.key);
    Ok(0)
}

pub(super) fn query(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let attr: ProgQuery = request.attr(end_of!(ProgQuery, revision))?;
    let attach_type = AttachType(attr.attach_type);
    if !link::is_tcx(attach_type) || attr.query_flags != 0 {
        return Err(Errno::EINVAL);
    }
    let interface = kernel.interfaces.find(attr.target_fd)?;
    let hook = interface.tcx(attach_type).ok_or(Errno::EINVAL)?;
    let (attached, revision) = hook.attached()?;
    let count = attached.len() as u32;
    request.write_field(offset_of!(ProgQuery, revision), revision)?;
    request.write_field(offset_of!(ProgQuery, prog_cnt), count)?;
    for (index, entry) in (0u64..).zip(attached.iter().take(attr.prog_cnt as usize)) {
        let put = |list: u64, id: u32| match list {
            0 => Ok(()),
            _ => request.write(list.wrapping_add(index * 4), &id.to_ne_bytes()),
        };
        put(attr.prog_ids, entry.prog.id)?;
        put(attr.link_ids, entry.link_id)?;
    }
    let asked = attr.prog_ids != 0 && attr.prog_cnt != 0;
    if asked && attr.prog_cnt < count { Err(Errno::ENOSPC) } else { Ok(0) }
}
