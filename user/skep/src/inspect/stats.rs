//! What runs of programs have come to.

use crate::error::{Error, ErrorKind, Result};
use crate::{Kernel, Program};
use skep_abi::flags::BPF_STATS_RUN_TIME;
use skep_abi::{Errno, ProgInfo};
use skep_sys::Handle;

/// What the runs of a program have come to. Time and number are counted while somebody holds a [`StatsGuard`] or
/// `kernel.bpf_stats_enabled` is 1, and not otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunStats {
    /// Nanoseconds of all runs.
    pub run_time_ns: u64,
    /// How many runs there were.
    pub run_cnt: u64,
    /// How many did not take place, because the program was running on that processor already.
    pub recursion_misses: u64,
}

impl RunStats {
    pub(super) fn of(info: &ProgInfo) -> RunStats {
        let ProgInfo { run_time_ns, run_cnt, recursion_misses, .. } = *info;
        RunStats { run_time_ns, run_cnt, recursion_misses }
    }
}

/// Has a kernel count runs of all programs and their time, for as long as it lives.
#[derive(Debug)]
#[must_use = "dropping it ends the counting"]
pub struct StatsGuard {
    handle: Handle,
}

impl StatsGuard {
    /// Gives the handle that keeps the counting on.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Kernel {
    /// Has the kernel count runs of programs and their time until the value is dropped (Linux 5.8); each run takes some
    /// tens of nanoseconds longer.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] on an older kernel; [`ErrorKind::Permission`] without `CAP_SYS_ADMIN`.
    pub fn enable_stats(&self) -> Result<StatsGuard> {
        let handle = self.sys().enable_stats(BPF_STATS_RUN_TIME).map_err(|error| {
            let made = Error::call("BPF_ENABLE_STATS", error).in_feature("run statistics");
            match error.errno() {
                Errno::EINVAL => made
                    .kind_is(ErrorKind::Unsupported)
                    .hint("kernels before 5.8 count where the sysctl kernel.bpf_stats_enabled is 1"),
                _ => made,
            }
        })?;
        Ok(StatsGuard { handle })
    }
}

impl Program {
    /// Reads what its runs have come to.
    ///
    /// # Errors
    /// Where the kernel does not say.
    pub fn stats(&self) -> Result<RunStats> {
        Ok(RunStats::of(&self.info()?))
    }
}
