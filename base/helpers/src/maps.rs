//! Maps.

use crate::args::{Answer, Args, int, signed, status};
use crate::{Env, Invoker};
use core::ops::ControlFlow;
use skep_abi::Errno;
use skep_mem::{CallbackArg, Ret};

/// `bpf_map_lookup_elem`.
pub(crate) fn lookup_elem<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    let map = args.map(0)?;
    let value = env.map(map).lookup(env.on(), args.bytes(1)?);
    Ok(value.map_or(Ret::Null, |value| Ret::MapValue(map, value)))
}

/// `bpf_map_lookup_percpu_elem`.
pub(crate) fn lookup_percpu_elem<'m>(
    env: &dyn Env<'m>,
    args: Args<'_, 'm>,
    _: Invoker<'_, 'm>,
) -> Answer<'m> {
    let (map, cpu) = (args.map(0)?, args.int32(2)?);
    if cpu >= env.host().cpus().possible() {
        return Ok(Ret::Null);
    }
    let value = env.map(map).lookup_lane(env.on(), args.bytes(1)?, cpu);
    Ok(value.map_or(Ret::Null, |value| Ret::MapValue(map, value)))
}

/// `bpf_map_update_elem`.
pub(crate) fn update_elem<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    let map = env.map(args.map(0)?);
    status(map.update(env.on(), args.bytes(1)?, args.bytes(2)?, args.int(3)?))
}

/// `bpf_map_delete_elem`.
pub(crate) fn delete_elem<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    status(env.map(args.map(0)?).delete(env.on(), args.bytes(1)?))
}

/// `bpf_map_push_elem`.
pub(crate) fn push_elem<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    status(env.map(args.map(0)?).push(env.on(), args.bytes(1)?, args.int(2)?))
}

/// `bpf_map_pop_elem`.
pub(crate) fn pop_elem<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    status(env.map(args.map(0)?).pop(env.on(), args.bytes(1)?))
}

/// `bpf_map_peek_elem`.
pub(crate) fn peek_elem<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    status(env.map(args.map(0)?).peek(env.on(), args.bytes(1)?))
}

/// `bpf_for_each_map_elem`: calls a function with each element until it returns 1; gives the number of calls.
pub(crate) fn for_each_map_elem<'m>(
    env: &dyn Env<'m>,
    args: Args<'_, 'm>,
    invoke: Invoker<'_, 'm>,
) -> Answer<'m> {
    let (map, func, flags) = (args.map(0)?, args.func(1)?, args.int(3)?);
    if flags != 0 {
        return status(Err(Errno::EINVAL));
    }
    let mut ended = Ok(());
    let calls = env.map(map).for_each(env.on(), &mut |key, value| {
        let pass = [
            CallbackArg::Map(map),
            CallbackArg::Key(key),
            CallbackArg::Value(map, value),
            CallbackArg::Pass(2),
        ];
        match invoke.invoke(func, &pass) {
            Ok(0) => ControlFlow::Continue(()),
            Ok(_) => ControlFlow::Break(()),
            Err(halt) => {
                ended = Err(halt);
                ControlFlow::Break(())
            }
        }
    });
    ended?;
    match calls {
        Ok(calls) => int(calls),
        Err(errno) => signed(Err(errno)),
    }
}
