//! `setsockopt(2)`.

use crate::fd;
use libc::{c_int, socklen_t};
use skep_abi::Errno;
use skep_sys::{Fd, Reply, SocketCall};

pub(crate) fn socket(call: SocketCall) -> Result<Reply, Errno> {
    match call {
        SocketCall::AttachBpf { socket, prog } => set(socket, libc::SO_ATTACH_BPF, fd::number(prog)?),
        // SO_DETACH_BPF is another name of this option (include/uapi/asm-generic/socket.h).
        SocketCall::DetachBpf { socket } => set(socket, libc::SO_DETACH_FILTER, 0),
        _ => Err(Errno::EOPNOTSUPP),
    }
}

fn set(socket: Fd, option: c_int, value: c_int) -> Result<Reply, Errno> {
    let socket = fd::number(socket)?;
    let len = size_of::<c_int>() as socklen_t;
    // SAFETY: the option's value is `len` bytes and lives until after the call.
    let value = unsafe { libc::setsockopt(socket, libc::SOL_SOCKET, option, (&raw const value).cast(), len) };
    fd::result(i64::from(value))?;
    Ok(Reply::None)
}
