//! `ioctl(2)`.

use crate::fd;
use libc::c_ulong;
use skep_abi::Errno;
use skep_sys::{Fd, Ioctl, Reply};

/// The numbers on most machines.
#[cfg(not(any(
    target_arch = "mips",
    target_arch = "mips64",
    target_arch = "mips32r6",
    target_arch = "mips64r6",
    target_arch = "powerpc",
    target_arch = "powerpc64",
    target_arch = "sparc",
    target_arch = "sparc64",
)))]
mod request {
    use skep_abi::perf;

    pub(super) const ENABLE: u32 = perf::PERF_EVENT_IOC_ENABLE;
    pub(super) const DISABLE: u32 = perf::PERF_EVENT_IOC_DISABLE;
    pub(super) const SET_BPF: u32 = perf::PERF_EVENT_IOC_SET_BPF;
}

/// The numbers where "no argument" is 1 and "write" is 4 in the three bits at the top (`arch/*/include/uapi/asm/ioctl.h`).
#[cfg(any(
    target_arch = "mips",
    target_arch = "mips64",
    target_arch = "mips32r6",
    target_arch = "mips64r6",
    target_arch = "powerpc",
    target_arch = "powerpc64",
    target_arch = "sparc",
    target_arch = "sparc64",
))]
mod request {
    pub(super) const ENABLE: u32 = 0x2000_2400;
    pub(super) const DISABLE: u32 = 0x2000_2401;
    pub(super) const SET_BPF: u32 = 0x8004_2408;
}

pub(crate) fn ioctl(on: Fd, call: Ioctl) -> Result<Reply, Errno> {
    let (request, argument) = match call {
        Ioctl::PerfEnable => (request::ENABLE, 0),
        Ioctl::PerfDisable => (request::DISABLE, 0),
        Ioctl::PerfSetBpf(prog) => (request::SET_BPF, fd::number(prog)?),
        _ => return Err(Errno::EOPNOTSUPP),
    };
    let (on, argument) = (fd::number(on)?, argument as c_ulong);
    // SAFETY: the argument of each of these requests is a number, so no memory is reached.
    let value = unsafe { libc::ioctl(on, request as _, argument) };
    fd::result(i64::from(value)).map(Reply::Count)
}
