//! Helpers that compiled programs call by their addresses: those that are called often, in the fewest words.

use super::address;
use super::link::{self, Callee};
use crate::map::MapObject;
use crate::run::Surroundings;
use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use skep_abi::{Errno, FuncId};
use skep_maps::RingBuf;
use skep_vm::{Follow, Next, Passed, Plain, Promise, Quick, Successor};

/// Lists the helpers that a program may call by their addresses.
pub(super) fn quick(callees: &[Callee], promise: Promise) -> Result<Vec<Plain>, TryReserveError> {
    let mut list = Vec::new();
    list.try_reserve_exact(callees.len())?;
    list.extend(callees.iter().filter_map(|callee| {
        let id = callee.helper.id;
        Some(match id {
            FuncId::MAP_LOOKUP_ELEM => Plain::quick::<LookUp>(id.0, promise),
            FuncId::MAP_UPDATE_ELEM => Plain::quick::<Update>(id.0, promise),
            FuncId::MAP_DELETE_ELEM => Plain::quick::<Delete>(id.0, promise),
            FuncId::RINGBUF_OUTPUT => Plain::quick::<Output>(id.0, promise),
            FuncId::GET_SMP_PROCESSOR_ID => Plain::quick::<Cpu>(id.0, promise),
            _ => return None,
        })
    }));
    Ok(list)
}

/// What tail calls are.
pub(super) fn successor(promise: Promise) -> Successor {
    Successor::of::<TailCall>(FuncId::TAIL_CALL.0, promise)
}

/// The map that a helper is called on.
#[inline(always)]
fn map_of<'e>(env: &Surroundings<'e>, passed: &Passed<'_>) -> Option<&'e MapObject> {
    env.maps().get(link::of_handle(passed.number(0)).0 as usize).map(|object| &**object)
}

/// What a helper that may fail answers.
fn status(result: Result<(), Errno>) -> u64 {
    result.map_or_else(|errno| -i64::from(errno.raw()) as u64, |()| 0)
}

/// `bpf_map_lookup_elem`.
struct LookUp;

impl Quick for LookUp {
    type Env<'e> = Surroundings<'e>;

    fn call<'p>(env: &'p Surroundings<'_>, passed: &Passed<'p>) -> u64 {
        let Some(map) = map_of(env, passed) else { return 0 };
        let key = passed.memory(1, map.def.key_size as usize);
        match &map.lanes {
            // No index is that large.
            Some(lanes) => lanes.find(env.on.id(), key.load_u32(0).unwrap_or(u32::MAX)),
            None => map.map.lookup(env.on, key).map_or(0, address),
        }
    }
}

/// `bpf_map_update_elem`.
struct Update;

impl Quick for Update {
    type Env<'e> = Surroundings<'e>;

    fn call<'p>(env: &'p Surroundings<'_>, passed: &Passed<'p>) -> u64 {
        let Some(map) = map_of(env, passed) else { return status(Err(Errno::EINVAL)) };
        let def = &map.def;
        let (key, value) =
            (passed.memory(1, def.key_size as usize), passed.memory(2, def.value_size as usize));
        status(map.map.update(env.on, key, value, passed.number(3)))
    }
}

/// `bpf_map_delete_elem`.
struct Delete;

impl Quick for Delete {
    type Env<'e> = Surroundings<'e>;

    fn call<'p>(env: &'p Surroundings<'_>, passed: &Passed<'p>) -> u64 {
        let Some(map) = map_of(env, passed) else { return status(Err(Errno::EINVAL)) };
        status(map.map.delete(env.on, passed.memory(1, map.def.key_size as usize)))
    }
}

/// `bpf_ringbuf_output`.
struct Output;

impl Quick for Output {
    type Env<'e> = Surroundings<'e>;

    fn call<'p>(env: &'p Surroundings<'_>, passed: &Passed<'p>) -> u64 {
        let ring = map_of(env, passed).and_then(|map| map.map.ring());
        let data = passed.memory(1, passed.number(2) as usize);
        let output = |ring: &RingBuf| ring.output(env.on, data, passed.number(3));
        status(ring.ok_or(Errno::EINVAL).and_then(output))
    }
}

/// `bpf_get_smp_processor_id`.
struct Cpu;

impl Quick for Cpu {
    type Env<'e> = Surroundings<'e>;

    fn call<'p>(env: &'p Surroundings<'_>, _: &Passed<'p>) -> u64 {
        env.on.id().into()
    }
}

/// `bpf_tail_call`.
struct TailCall;

impl Follow for TailCall {
    type Env<'e> = Surroundings<'e>;

    #[inline(always)]
    fn next<'e>(env: &Self::Env<'e>, [_, map, index, ..]: [u64; 5]) -> Next<'e> {
        let gone = env.prog();
        let Some(next) = env.follow(link::of_handle(map), index as u32) else { return Next::Nobody };
        // Who is called from machine code has some.
        let Some(gone) = &gone.body.compiled else { return Next::Elsewhere };
        match next.body.compiled.as_ref().and_then(|next| next.entrance(env, &gone.plan)) {
            Some(entrance) => Next::Enters(entrance),
            None => {
                gone.plan.end(env.context, env.image);
                Next::Elsewhere
            }
        }
    }
}
