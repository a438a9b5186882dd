//! Resource limits.

use crate::fd;
use rustix::process::{Resource, Rlimit};
use skep_abi::Errno;
use skep_sys::{Limit, Reply};

pub(crate) fn limit(call: Limit) -> Result<Reply, Errno> {
    match call {
        Limit::Memlock => {
            let limits = rustix::process::getrlimit(Resource::Memlock);
            // No limit is all ones (`RLIM_INFINITY`, include/uapi/asm-generic/resource.h).
            Ok(Reply::Limits(limits.current.unwrap_or(u64::MAX), limits.maximum.unwrap_or(u64::MAX)))
        }
        Limit::SetMemlock { soft, hard } => {
            let limits = Rlimit { current: finite(soft), maximum: finite(hard) };
            rustix::process::setrlimit(Resource::Memlock, limits).map_err(fd::errno)?;
            Ok(Reply::None)
        }
        _ => Err(Errno::EOPNOTSUPP),
    }
}

fn finite(limit: u64) -> Option<u64> {
    (limit != u64::MAX).then_some(limit)
}
