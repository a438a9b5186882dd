//! Random numbers, strings, loops, and what the program is attached to.

use crate::args::{Answer, Args, int, status};
use crate::{Env, Invoker};
use skep_abi::Errno;
use skep_mem::CallbackArg;

/// The most rounds of `bpf_loop` (`BPF_MAX_LOOPS`).
const MOST_LOOPS: u32 = 8 << 20;

/// `bpf_get_prandom_u32`.
pub(crate) fn get_prandom_u32<'m>(env: &dyn Env<'m>, _: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    int(env.host().random().map_or(0, |random| u64::from(random.next_u32())))
}

/// `bpf_strncmp`: compares at most the first string's size, to the first NUL.
pub(crate) fn strncmp<'m>(_: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    let (left, right) = (args.bytes(0)?, args.bytes(2)?);
    for i in 0..left.len() {
        let a = left.load_u8(i).unwrap_or(0);
        let b = right.load_u8(i).unwrap_or(0);
        // Linux's answer is 1 or -1, not the difference (lib/string.c, strncmp).
        match a.cmp(&b) {
            core::cmp::Ordering::Less => return int(-1i64 as u64),
            core::cmp::Ordering::Greater => return int(1),
            core::cmp::Ordering::Equal if a == 0 => return int(0),
            core::cmp::Ordering::Equal => {}
        }
    }
    int(0)
}

/// `bpf_loop`: calls a function until it returns 1; gives the number of calls.
pub(crate) fn bpf_loop<'m>(_: &dyn Env<'m>, args: Args<'_, 'm>, invoke: Invoker<'_, 'm>) -> Answer<'m> {
    let (rounds, func, flags) = (args.int32(0)?, args.func(1)?, args.int(3)?);
    if flags != 0 {
        return status(Err(Errno::EINVAL));
    }
    if rounds > MOST_LOOPS {
        return status(Err(Errno::E2BIG));
    }
    for round in 0..u64::from(rounds) {
        if invoke.invoke(func, &[CallbackArg::Int(round), CallbackArg::Pass(2)])? != 0 {
            return int(round + 1);
        }
    }
    int(u64::from(rounds))
}

/// `bpf_get_func_ip`: the address that a probe is on.
pub(crate) fn get_func_ip<'m>(env: &dyn Env<'m>, _: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    int(env.func_ip())
}

/// `bpf_get_attach_cookie`: the number that the attachment was given.
pub(crate) fn get_attach_cookie<'m>(env: &dyn Env<'m>, _: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    int(env.attach_cookie())
}
