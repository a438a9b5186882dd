//! The current task: the thread that calls.

use skep_mem::{Task, Tasks};

/// Tells who calls.
#[derive(Debug)]
pub(super) enum Who {
    /// The thread that runs.
    Thread,
    /// Always the same.
    Fixed(Task),
}

impl Tasks for Who {
    fn current(&self) -> Task {
        match self {
            Who::Thread => system::current(),
            Who::Fixed(task) => *task,
        }
    }
}

/// Cuts a name to a task's, with a NUL at the end.
#[cfg(not(all(target_os = "linux", not(miri))))]
fn comm(name: &[u8]) -> [u8; 16] {
    let mut comm = [0; 16];
    let len = name.len().min(15);
    comm[..len].copy_from_slice(&name[..len]);
    comm
}

#[cfg(all(target_os = "linux", not(miri)))]
mod system {
    use skep_mem::Task;

    pub(super) fn current() -> Task {
        Task {
            pid: rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs(),
            tgid: std::process::id(),
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            comm: name(),
        }
    }

    /// Asks for the thread's name, into memory of our own: programs ask from where nothing can be allocated.
    fn name() -> [u8; 16] {
        let mut name = [0; 16];
        // SAFETY: the request writes 16 bytes, the NUL among them (prctl(2)), which is the buffer.
        let asked = unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
        if asked == 0 { name } else { [0; 16] }
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod system {
    use skep_mem::Task;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Threads have numbers of their own here, in the order in which they first ask.
    static NEXT: AtomicU32 = AtomicU32::new(1);
    std::thread_local! {
        static NUMBER: u32 = NEXT.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn current() -> Task {
        Task {
            pid: NUMBER.with(|number| *number),
            tgid: std::process::id(),
            uid: 0,
            gid: 0,
            comm: std::thread::current().name().map_or([0; 16], |name| super::comm(name.as_bytes())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_told_by_its_name() {
        let named = std::thread::Builder::new().name("a-rather-long-name".into());
        let task = named.spawn(|| Who::Thread.current()).unwrap().join().unwrap();
        assert_eq!(&task.comm, b"a-rather-long-n\0");
        assert_eq!(task.tgid, std::process::id());
        assert_ne!(task.pid, Who::Thread.current().pid);
        assert_eq!(Who::Fixed(task).current(), task);
    }
}
