//! `perf_event_open(2)`.

use crate::fd;
use libc::{c_int, c_ulong};
use skep_abi::{Errno, PerfEventAttr, perf};
use skep_sys::{PerfEventOpen, Reply};
use std::ffi::CString;

pub(crate) fn open(open: PerfEventOpen<'_>) -> Result<Reply, Errno> {
    // A copy: where the kernel does not know so large a struct it writes its own size back (`perf_copy_attr`).
    let mut attr = PerfEventAttr { size: size_of::<PerfEventAttr>() as u32, ..*open.attr };
    let target = open.target.map(CString::new).transpose().map_err(|_| Errno::EINVAL)?;
    if let Some(target) = &target {
        attr.bp_addr = target.as_ptr().expose_provenance() as u64;
    }
    let group: c_int = open.group.map_or(Ok(-1), fd::number)?;
    let flags = perf::PERF_FLAG_FD_CLOEXEC as c_ulong;
    let (pid, cpu): (c_int, c_int) = (open.pid, open.cpu);
    // SAFETY: the struct is as long as its size field says and lives until after the call, as does the string that it
    // may point to; `config1` is read as an address for the kprobe and uprobe units only, and then only read from.
    let value = unsafe { libc::syscall(libc::SYS_perf_event_open, &raw mut attr, pid, cpu, group, flags) };
    #[allow(clippy::useless_conversion, reason = "c_long has 32 bits on some machines")]
    let value = i64::from(value);
    // SAFETY: the result is a new descriptor.
    unsafe { fd::new(value) }
}
