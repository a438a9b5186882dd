//! Clocks.

use crate::args::{Answer, Args, int};
use crate::{Env, Invoker};
use skep_mem::Clock;

fn clock<'m>(env: &dyn Env<'m>, read: impl FnOnce(&dyn Clock) -> u64) -> Answer<'m> {
    int(env.host().clock().map_or(0, read))
}

/// `bpf_ktime_get_ns`.
pub(crate) fn ktime_get_ns<'m>(env: &dyn Env<'m>, _: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    clock(env, |clock| clock.monotonic_ns())
}

/// `bpf_ktime_get_boot_ns`.
pub(crate) fn ktime_get_boot_ns<'m>(env: &dyn Env<'m>, _: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    clock(env, |clock| clock.boot_ns())
}

/// `bpf_ktime_get_coarse_ns`.
pub(crate) fn ktime_get_coarse_ns<'m>(env: &dyn Env<'m>, _: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    clock(env, |clock| clock.coarse_ns())
}

/// `bpf_ktime_get_tai_ns`.
pub(crate) fn ktime_get_tai_ns<'m>(env: &dyn Env<'m>, _: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    clock(env, |clock| clock.tai_ns())
}

/// `bpf_jiffies64`.
pub(crate) fn jiffies64<'m>(env: &dyn Env<'m>, _: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    clock(env, |clock| clock.jiffies())
}
