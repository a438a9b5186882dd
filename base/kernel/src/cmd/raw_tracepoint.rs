//! `BPF_RAW_TRACEPOINT_OPEN`.

use super::end_of;
use crate::error::Result;
use crate::file::{self, File};
use crate::hook::Position;
use crate::kernel::Inner;
use crate::link::{LinkObject, LinkTarget, NewLink};
use crate::request::Request;
use alloc::sync::Arc;
use skep_abi::{Errno, ProgType, RawTracepointOpen};

/// The longest name that is looked at, its NUL included (`bpf_raw_tp_link_attach`).
const NAME: usize = 128;

pub(super) fn run(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let attr: RawTracepointOpen = request.attr(end_of!(RawTracepointOpen, cookie))?;
    let prog = file::prog(kernel, request, attr.prog_fd)?;
    if !matches!(prog.body.prog_type, ProgType::RAW_TRACEPOINT | ProgType::RAW_TRACEPOINT_WRITABLE) {
        return Err(Errno::EINVAL);
    }
    let mut name = [0; NAME];
    // Linux cuts a longer one, and finds nothing of that name.
    let name = request.string(attr.name, &mut name, Errno::ENOENT)?;
    let tracepoint = kernel.tracepoints.named(name)?;
    let new = NewLink {
        prog: &prog,
        hook: &tracepoint.raw_hook,
        target: LinkTarget::RawTracepoint(Arc::clone(&tracepoint.name)),
        cookie: attr.cookie,
        at: Position::Last,
    };
    let link = LinkObject::create(&kernel.host, &kernel.links, new)?;
    file::install(request, File::Link(link))
}
