//! The task: there is one. An interrupt tells the task that it interrupted, as Linux does.

use skep_mem::{Task, Tasks};

/// The only task.
#[derive(Debug)]
pub(super) struct OneTask;

impl Tasks for OneTask {
    fn current(&self) -> Task {
        Task { pid: 1, tgid: 1, uid: 0, gid: 0, comm: *b"bare\0\0\0\0\0\0\0\0\0\0\0\0" }
    }
}
