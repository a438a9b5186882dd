//! Guarded reads of arbitrary addresses.

use crate::args::{Answer, Args, signed, status};
use crate::{Env, Invoker};
use skep_abi::Errno;
use skep_mem::{Bytes, Probe, ProbeFault, ProbeSpace};

/// Reads `into.len()` bytes in pieces of this size.
const PIECE: usize = 256;

fn read<'m>(
    env: &dyn Env<'m>,
    args: Args<'_, 'm>,
    space: ProbeSpace,
    program: Invoker<'_, 'm>,
) -> Answer<'m> {
    let (into, addr) = (args.bytes(0)?, args.int(2)?);
    // A pointer that was a number in memory meanwhile.
    if let Some(from) = program.pointee(addr).and_then(|bytes| bytes.slice(0, into.len()).ok()) {
        return status(into.copy_from(0, from).map_err(|_| Errno::EFAULT));
    }
    let done = env.host().probe().ok_or(ProbeFault).and_then(|probe| fill(probe, space, addr, into));
    if done.is_err() {
        into.fill(0);
    }
    status(done.map_err(|_| Errno::EFAULT))
}

fn fill(probe: &dyn Probe, space: ProbeSpace, addr: u64, into: Bytes<'_>) -> Result<(), ProbeFault> {
    let mut piece = [0; PIECE];
    let mut at = 0;
    while at < into.len() {
        let part = &mut piece[..(into.len() - at).min(PIECE)];
        probe.read(space, addr.wrapping_add(at as u64), part)?;
        into.copy_in(at, part).map_err(|_| ProbeFault)?;
        at += part.len();
    }
    Ok(())
}

/// Copies a string and its NUL, cut to what there is room for; gives the bytes with the NUL.
fn read_str<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, space: ProbeSpace) -> Answer<'m> {
    let (into, addr) = (args.bytes(0)?, args.int(2)?);
    let copied = env.host().probe().ok_or(ProbeFault).and_then(|probe| fill_str(probe, space, addr, into));
    if copied.is_err() {
        into.fill(0);
    }
    signed(copied.map(|len| len as i64).map_err(|_| Errno::EFAULT))
}

fn fill_str(probe: &dyn Probe, space: ProbeSpace, addr: u64, into: Bytes<'_>) -> Result<usize, ProbeFault> {
    let mut piece = [0; PIECE];
    let mut at = 0;
    while at < into.len() {
        // One more than fits in the last piece cannot be, and each piece but the last ends in a NUL of the host's own.
        let part = &mut piece[..(into.len() - at).min(PIECE)];
        let len = probe.read_str(space, addr.wrapping_add(at as u64), part)?;
        into.copy_in(at, &part[..len]).map_err(|_| ProbeFault)?;
        let ended = len < part.len() || at + len == into.len();
        if ended {
            return Ok(at + len);
        }
        // The piece is full: its last byte is a NUL, either the string's or the host's.
        at += len - 1;
    }
    Ok(at)
}

/// `bpf_probe_read_kernel`.
pub(crate) fn probe_read_kernel<'m>(
    env: &dyn Env<'m>,
    args: Args<'_, 'm>,
    program: Invoker<'_, 'm>,
) -> Answer<'m> {
    read(env, args, ProbeSpace::Kernel, program)
}

/// `bpf_probe_read_user`.
pub(crate) fn probe_read_user<'m>(
    env: &dyn Env<'m>,
    args: Args<'_, 'm>,
    program: Invoker<'_, 'm>,
) -> Answer<'m> {
    read(env, args, ProbeSpace::User, program)
}

/// `bpf_probe_read_kernel_str`.
pub(crate) fn probe_read_kernel_str<'m>(
    env: &dyn Env<'m>,
    args: Args<'_, 'm>,
    _: Invoker<'_, 'm>,
) -> Answer<'m> {
    read_str(env, args, ProbeSpace::Kernel)
}

/// `bpf_probe_read_user_str`.
pub(crate) fn probe_read_user_str<'m>(
    env: &dyn Env<'m>,
    args: Args<'_, 'm>,
    _: Invoker<'_, 'm>,
) -> Answer<'m> {
    read_str(env, args, ProbeSpace::User)
}
