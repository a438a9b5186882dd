//! Finding objects by number: the next number, and a descriptor for a number.

use super::end_of;
use crate::error::Result;
use crate::file::{self, File};
use crate::ids::Id;
use crate::kernel::Inner;
use crate::request::Request;
use alloc::sync::Arc;
use core::mem::offset_of;
use skep_abi::{Errno, GetId};
use skep_maps::Mode;
use skep_mem::Capability;

fn next(request: &Request<'_>, after: impl FnOnce(Id) -> Result<Id>) -> Result<i64> {
    let attr: GetId = request.attr(end_of!(GetId, next_id))?;
    if attr.start_id >= i32::MAX as u32 {
        return Err(Errno::EINVAL);
    }
    request.require(Capability::SysAdmin)?;
    let next = after(attr.start_id)?;
    request.write_field(offset_of!(GetId, next_id), next)?;
    Ok(0)
}

pub(super) fn next_prog(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    next(request, |id| kernel.progs.after(id))
}

pub(super) fn next_map(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    next(request, |id| kernel.maps.after(id))
}

pub(super) fn next_btf(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    next(request, |id| kernel.vmlinux.after(id).map_or_else(|| kernel.btfs.after(id), Ok))
}

pub(super) fn next_link(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    next(request, |id| kernel.links.after(id))
}

fn wanted(request: &Request<'_>, end: usize) -> Result<GetId> {
    let attr: GetId = request.attr(end)?;
    request.require(Capability::SysAdmin)?;
    Ok(attr)
}

pub(super) fn open_prog(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let attr = wanted(request, end_of!(GetId, start_id))?;
    file::install(request, File::Prog(kernel.progs.find(attr.start_id)?))
}

pub(super) fn open_map(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let attr = wanted(request, end_of!(GetId, open_flags))?;
    let mode = Mode::from_flags(attr.open_flags)?;
    file::install(request, File::of_map(kernel.maps.find(attr.start_id)?, mode))
}

pub(super) fn open_btf(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let attr = wanted(request, end_of!(GetId, fd_by_id_token_fd))?;
    if attr.open_flags != 0 || attr.fd_by_id_token_fd != 0 {
        return Err(Errno::EINVAL);
    }
    let object = match attr.start_id == kernel.vmlinux.id() {
        true => kernel.vmlinux.open(kernel)?,
        false => kernel.btfs.find(attr.start_id)?,
    };
    file::install(request, File::Btf(object))
}

pub(super) fn open_link(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let attr = wanted(request, end_of!(GetId, start_id))?;
    file::install(request, File::Link(kernel.links.find(attr.start_id)?))
}
