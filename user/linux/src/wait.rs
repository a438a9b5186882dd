//! `ppoll(2)`.

use crate::fd;
use rustix::event::{PollFd, PollFlags, Timespec};
use skep_abi::Errno;
use skep_sys::{Interest, Reply, WaitFd};

pub(crate) fn wait(fds: &mut [WaitFd], timeout_ms: Option<u32>) -> Result<Reply, Errno> {
    let mut polled = Vec::new();
    polled.try_reserve_exact(fds.len()).map_err(|_| Errno::ENOMEM)?;
    for wait in fds.iter() {
        let flags = match wait.interest {
            Interest::Readable => PollFlags::IN,
            Interest::Writable => PollFlags::OUT,
        };
        polled.push(PollFd::from_borrowed_fd(fd::borrow(wait.fd)?, flags));
    }
    let timeout = timeout_ms
        .map(|ms| Timespec { tv_sec: i64::from(ms / 1000), tv_nsec: i64::from(ms % 1000) * 1_000_000 });
    let count = rustix::event::poll(&mut polled, timeout.as_ref()).map_err(fd::errno)?;
    for (wait, polled) in fds.iter_mut().zip(&polled) {
        // An error or a hang-up counts as ready, so that the caller looks and finds out.
        wait.ready = !polled.revents().is_empty();
    }
    Ok(Reply::Count(count as u64))
}
