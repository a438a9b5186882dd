//! Waiting for a kernel, through the seam.

use crate::Kernel;
use crate::error::{Error, Result};
use skep_abi::Errno;
use skep_sys::{Fd, Interest, WaitFd};
use std::time::Duration;

/// Waits for one descriptor to become readable.
pub(crate) fn one(kernel: &Kernel, fd: Fd, timeout: Option<Duration>) -> Result<bool> {
    any(kernel, &mut [WaitFd { fd, interest: Interest::Readable, ready: false }], timeout)
}

/// Waits for one descriptor to become writable.
pub(crate) fn room(kernel: &Kernel, fd: Fd, timeout: Option<Duration>) -> Result<bool> {
    any(kernel, &mut [WaitFd { fd, interest: Interest::Writable, ready: false }], timeout)
}

/// Waits for one of several descriptors; a signal ends the wait like the time does.
pub(crate) fn any(kernel: &Kernel, fds: &mut [WaitFd], timeout: Option<Duration>) -> Result<bool> {
    match kernel.sys().wait(fds, timeout.map(milliseconds)) {
        Ok(ready) => Ok(ready != 0),
        Err(error) if error.errno() == Errno::EINTR => Ok(false),
        Err(error) => Err(Error::call("poll", error)),
    }
}

/// Rounds up, so that a short wait is none at all only if it was meant so.
fn milliseconds(timeout: Duration) -> u32 {
    u32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_up() {
        assert_eq!(milliseconds(Duration::ZERO), 0);
        assert_eq!(milliseconds(Duration::from_nanos(1)), 1);
        assert_eq!(milliseconds(Duration::from_millis(1500)), 1500);
        assert_eq!(milliseconds(Duration::MAX), u32::MAX);
    }
}
