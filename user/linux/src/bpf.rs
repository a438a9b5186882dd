//! `bpf(2)`.

use crate::fd;
use libc::c_long;
use skep_abi::Errno;
use skep_sys::{Attr, Reply};

pub(crate) fn bpf(mut attr: Attr<'_>) -> Result<Reply, Errno> {
    let makes_fd = attr.makes_fd();
    let value = attr.with_addresses(|cmd, at, size| {
        // SAFETY: `at` points to `size` bytes for the time of the call, and whoever made the attributes promises that
        // each pointer field in them covers what the command reads or writes (`Attr::raw`).
        unsafe { libc::syscall(libc::SYS_bpf, cmd.0 as c_long, at, size as c_long) }
    });
    #[allow(clippy::useless_conversion, reason = "c_long has 32 bits on some machines")]
    let value = i64::from(value);
    if makes_fd {
        // SAFETY: the command's result is a new descriptor.
        return unsafe { fd::new(value) };
    }
    fd::result(value).map(Reply::Count)
}
