//! Ring buffers and perf events.

use crate::args::{Answer, Args, int, status};
use crate::{Env, Invoker};
use skep_abi::Errno;
use skep_maps::{Commit, RingBuf, RingQuery};
use skep_mem::{Bytes, MapIndex, Ret};

/// The part of the flags of `bpf_perf_event_output` that is a slot (`BPF_F_INDEX_MASK`).
const INDEX: u64 = 0xffff_ffff;
/// The part that says how much of the packet goes with the data (`BPF_F_CTXLEN_MASK`).
const PACKET_LEN: u64 = 0xf_ffff << 32;

fn ring<'m>(env: &dyn Env<'m>, map: MapIndex) -> Result<&'m RingBuf, Errno> {
    env.map(map).ring().ok_or(Errno::EINVAL)
}

/// `bpf_ringbuf_reserve`; flags are none.
pub(crate) fn reserve<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    let (map, size, flags) = (args.map(0)?, args.int(1)?, args.int(2)?);
    let Ok(ring) = ring(env, map) else { return Ok(Ret::Null) };
    if flags != 0 {
        return Ok(Ret::Null);
    }
    let record = ring.reserve(env.on(), size);
    Ok(record.map_or(Ret::Null, |(token, bytes)| Ret::Record(map, token, bytes)))
}

fn commit<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, how: Commit) -> Answer<'m> {
    let (map, token) = args.record(0)?;
    let flags = args.int(1)?;
    status(ring(env, map).and_then(|ring| ring.commit(token, how, flags)))
}

/// `bpf_ringbuf_submit`.
pub(crate) fn submit<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    commit(env, args, Commit::Submit)
}

/// `bpf_ringbuf_discard`.
pub(crate) fn discard<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    commit(env, args, Commit::Discard)
}

/// `bpf_ringbuf_output`.
pub(crate) fn output<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    let (map, data, flags) = (args.map(0)?, args.bytes(1)?, args.int(3)?);
    status(ring(env, map).and_then(|ring| ring.output(env.on(), data, flags)))
}

/// `bpf_ringbuf_query`; an unknown question is answered with 0.
pub(crate) fn query<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    let (map, question) = (args.map(0)?, args.int(1)?);
    let question = match question {
        0 => RingQuery::Available,
        1 => RingQuery::Size,
        2 => RingQuery::Consumer,
        3 => RingQuery::Producer,
        _ => return int(0),
    };
    int(ring(env, map).map_or(0, |ring| ring.query(question)))
}

/// `bpf_perf_event_output`: the data, and for packets as much of the packet as the flags say.
pub(crate) fn perf_event_output<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    let (map, flags, data) = (args.map(1)?, args.int(2)?, args.bytes(3)?);
    let slot = match flags & INDEX {
        INDEX => env.on().id(),
        slot => slot as u32,
    };
    status((|| {
        let packet = match env.packet() {
            None if flags & !INDEX != 0 => return Err(Errno::EINVAL),
            None => None,
            Some(_) if flags & !(INDEX | PACKET_LEN) != 0 => return Err(Errno::EINVAL),
            Some(packet) => {
                let len = ((flags & PACKET_LEN) >> 32) as usize;
                // Both kinds count from the data on; a socket buffer's hidden header stays hidden.
                Some(packet.data().slice(0, len).map_err(|_| Errno::EFAULT)?)
                    .filter(|part: &Bytes<'_>| !part.is_empty())
            }
        };
        env.perf_output(map, slot, data, packet)
    })())
}
