//! The current task, and the CPU it runs on.

use crate::args::{Answer, Args, int, status};
use crate::{Env, Invoker};
use skep_abi::Errno;
use skep_mem::Task;

fn current<'m>(env: &dyn Env<'m>) -> Option<Task> {
    env.host().tasks().map(|tasks| tasks.current())
}

fn pair<'m>(high: u32, low: u32) -> Answer<'m> {
    int(u64::from(high) << 32 | u64::from(low))
}

/// `bpf_get_current_pid_tgid`: the process above, the thread below.
pub(crate) fn get_current_pid_tgid<'m>(env: &dyn Env<'m>, _: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    match current(env) {
        Some(task) => pair(task.tgid, task.pid),
        None => status(Err(Errno::EINVAL)),
    }
}

/// `bpf_get_current_uid_gid`: the group above, the user below.
pub(crate) fn get_current_uid_gid<'m>(env: &dyn Env<'m>, _: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    match current(env) {
        Some(task) => pair(task.gid, task.uid),
        None => status(Err(Errno::EINVAL)),
    }
}

/// `bpf_get_current_comm`: the name, cut to leave room for a NUL and padded with them.
pub(crate) fn get_current_comm<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    let into = args.bytes(0)?;
    into.fill(0);
    let Some(task) = current(env) else { return status(Err(Errno::EINVAL)) };
    let len = task.comm.iter().position(|byte| *byte == 0).unwrap_or(task.comm.len());
    let len = len.min(into.len().saturating_sub(1));
    let copied = into.copy_in(0, &task.comm[..len]);
    status(copied.map_err(|_| Errno::EINVAL))
}

/// The upper half of addresses, where an in-process kernel has no memory, and how far tasks lie apart in it.
const TASKS: u64 = 0xffff_8800_0000_0000;
const TASK_BYTES: u64 = 1 << 14;

/// `bpf_get_current_task`: a number that is the same for as long as the task runs, and another's for no other. There is
/// no `struct task_struct` behind it, so a guarded read of it fails as one of any address of the kernel may.
pub(crate) fn get_current_task<'m>(env: &dyn Env<'m>, _: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    int(current(env).map_or(0, |task| TASKS + u64::from(task.pid) * TASK_BYTES))
}

/// `bpf_get_smp_processor_id`.
pub(crate) fn get_smp_processor_id<'m>(env: &dyn Env<'m>, _: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    int(u64::from(env.on().id()))
}

/// `bpf_get_numa_node_id`: hosts have one node.
pub(crate) fn get_numa_node_id<'m>(_: &dyn Env<'m>, _: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    int(0)
}
