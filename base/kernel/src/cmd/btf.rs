//! `BPF_BTF_LOAD`.

use super::end_of;
use crate::btf::{BtfObject, MOST_BYTES};
use crate::error::Result;
use crate::file::{self, File};
use crate::kernel::Inner;
use crate::log::Log;
use crate::request::Request;
use alloc::sync::Arc;
use core::mem::offset_of;
use skep_abi::{BtfLoad, Errno};
use skep_mem::Capability;

pub(super) fn run(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let attr: BtfLoad = request.attr(end_of!(BtfLoad, btf_token_fd))?;
    if attr.btf_flags != 0 || attr.btf_token_fd != 0 {
        return Err(Errno::EINVAL);
    }
    request.require(Capability::Bpf)?;
    let mut log = Log::new(attr.btf_log_level, attr.btf_log_buf, attr.btf_log_size)?;
    if attr.btf_size as usize > MOST_BYTES {
        return Err(Errno::E2BIG);
    }
    let bytes = request.copy_vec(attr.btf, attr.btf_size as usize)?;
    let loaded = BtfObject::load(&kernel.btfs, bytes, &mut log);
    let loaded = log.finish(request, offset_of!(BtfLoad, btf_log_true_size), loaded)?;
    file::install(request, File::Btf(loaded))
}
