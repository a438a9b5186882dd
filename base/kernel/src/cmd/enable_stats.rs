//! `BPF_ENABLE_STATS`: runs and their time are counted for as long as the descriptor is open.

use super::end_of;
use crate::error::Result;
use crate::file::{self, File};
use crate::kernel::Inner;
use crate::request::Request;
use crate::runner::Runner;
use alloc::sync::Arc;
use skep_abi::flags::BPF_STATS_RUN_TIME;
use skep_abi::{EnableStats, Errno};
use skep_mem::Capability;

pub(super) fn run(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let attr: EnableStats = request.attr(end_of!(EnableStats, type_))?;
    request.require(Capability::SysAdmin)?;
    match attr.type_ {
        BPF_STATS_RUN_TIME => file::install(request, File::Stats(Runner::count(&kernel.runner))),
        _ => Err(Errno::EINVAL),
    }
}
