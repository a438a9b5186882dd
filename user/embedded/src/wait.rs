//! Waiting for descriptors to become ready.

use crate::Embedded;
use crate::host::Queue;
use skep_abi::Errno;
use skep_mem::FileObject;
use skep_sys::{Fd, Interest, Reply, WaitFd};
use std::task::Waker;
use std::time::{Duration, Instant};

/// Tells whether a descriptor is ready (`vfs_poll`).
fn is_ready(embedded: &Embedded, object: &FileObject, interest: Interest) -> bool {
    let kernel = embedded.kernel();
    match (kernel.with_waiters(object, |_| ()), interest) {
        (Some(()), Interest::Readable) => kernel.is_readable(object),
        // Rings and events are only read.
        (Some(()), Interest::Writable) => false,
        // What nobody can wait for is always ready (`DEFAULT_POLLMASK`), or in error, which counts as ready.
        (None, _) => true,
    }
}

/// Answers `poll(2)`.
pub(crate) fn wait(embedded: &Embedded, fds: &mut [WaitFd], timeout_ms: Option<u32>) -> Result<Reply, Errno> {
    let mut objects = Vec::new();
    objects.try_reserve_exact(fds.len()).map_err(|_| Errno::ENOMEM)?;
    for wait in fds.iter() {
        let Fd::Virtual(number) = wait.fd else { return Err(Errno::EBADF) };
        // One that is not open is ready with an error (`POLLNVAL`), so that the caller looks and finds out.
        objects.push(embedded.files().lookup(number).ok());
    }
    let deadline = timeout_ms.map(|ms| Instant::now() + Duration::from_millis(u64::from(ms)));
    let waiting = embedded.host().wake_ups().begin();
    loop {
        let seen = waiting.generation();
        let mut count = 0;
        for (wait, object) in fds.iter_mut().zip(&objects) {
            wait.ready = object.as_ref().is_none_or(|object| is_ready(embedded, object, wait.interest));
            count += u64::from(wait.ready);
        }
        if count > 0 || deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Ok(Reply::Count(count));
        }
        waiting.sleep(seen, deadline);
    }
}

/// Wakes a task once when a descriptor becomes readable.
pub(crate) fn watch(embedded: &Embedded, fd: Fd, waker: &Waker) -> Result<Reply, Errno> {
    let Fd::Virtual(number) = fd else { return Err(Errno::EBADF) };
    let object = embedded.files().lookup(number)?;
    let wakes = embedded.host().wake_ups();
    let Some(queue) = embedded.kernel().with_waiters(&object, Queue::of) else {
        // Nothing will ever change.
        waker.wake_by_ref();
        return Ok(Reply::None);
    };
    wakes.watch(queue, number, waker)?;
    if embedded.kernel().is_readable(&object) || embedded.files().lookup(number).is_err() {
        wakes.wake_queue(queue);
    }
    Ok(Reply::None)
}
