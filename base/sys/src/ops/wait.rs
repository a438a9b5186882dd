//! Waiting and sockets.

use super::CallError;
use crate::{Call, Fd, Interest, Kernel, SocketCall, WaitFd};

impl Kernel {
    /// Waits until one descriptor is readable, or `timeout_ms` have passed (`None` waits for ever); tells which.
    ///
    /// # Errors
    /// `EINTR` where a signal came first.
    pub fn wait_readable(&self, fd: Fd, timeout_ms: Option<u32>) -> Result<bool, CallError> {
        let mut fds = [WaitFd { fd, interest: Interest::Readable, ready: false }];
        self.call(Call::Wait(&mut fds, timeout_ms))?;
        Ok(fds[0].ready)
    }

    /// Waits until one of several descriptors is ready (`poll(2)`); gives how many are.
    ///
    /// # Errors
    /// `EINTR` where a signal came first.
    pub fn wait(&self, fds: &mut [WaitFd], timeout_ms: Option<u32>) -> Result<u64, CallError> {
        Ok(self.call(Call::Wait(fds, timeout_ms))?.into_count()?)
    }

    /// Puts a socket filter on a socket (`SO_ATTACH_BPF`).
    ///
    /// # Errors
    /// `EINVAL` where it is no socket filter; `ENOTSOCK`.
    pub fn socket_attach(&self, socket: Fd, prog: Fd) -> Result<(), CallError> {
        self.call(Call::Socket(SocketCall::AttachBpf { socket, prog }))?;
        Ok(())
    }

    /// Takes the filter off a socket (`SO_DETACH_BPF`).
    ///
    /// # Errors
    /// `ENOENT` where there is none; `ENOTSOCK`.
    pub fn socket_detach(&self, socket: Fd) -> Result<(), CallError> {
        self.call(Call::Socket(SocketCall::DetachBpf { socket }))?;
        Ok(())
    }
}
