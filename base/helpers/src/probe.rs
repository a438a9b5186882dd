//! Guarded reads of arbitrary addresses.

use crate::args::{Answer, Args, signed, status};
use crate::{Env, Invoker};
use skep_abi::Errno;
use skep_mem::{Bytes, Probe, ProbeFault, ProbeSpace};

/// Reads `into.len()` bytes in pieces of this size.
const PIECE: usize = 256;

/// Where a helper looks, one space after the other.
const KERNEL: &[ProbeSpace] = &[ProbeSpace::Kernel];
const USER: &[ProbeSpace] = &[ProbeSpace::User];
/// The helpers from before the spaces were told apart take an address by where it lies (`bpf_probe_read_compat` in
/// kernel/trace/bpf_trace.c).
const EITHER: &[ProbeSpace] = &[ProbeSpace::Kernel, ProbeSpace::User];

/// Does something with the first space that has the address.
fn probe<'m, T>(
    env: &dyn Env<'m>,
    spaces: &[ProbeSpace],
    mut read: impl FnMut(&dyn Probe, ProbeSpace) -> Result<T, ProbeFault>,
) -> Result<T, Errno> {
    let probe = env.host().probe().ok_or(Errno::EFAULT)?;
    for &space in spaces {
        match read(probe, space) {
            Ok(done) => return Ok(done),
            Err(ProbeFault::Unreachable) => return Err(Errno::EFAULT),
            Err(ProbeFault::Outside) => {}
        }
    }
    // `copy_from_kernel_nofault` tells the two apart (mm/maccess.c), `copy_from_user_nofault` does not.
    Err(if spaces == USER { Errno::EFAULT } else { Errno::ERANGE })
}

fn read<'m>(
    env: &dyn Env<'m>,
    args: Args<'_, 'm>,
    spaces: &[ProbeSpace],
    program: Invoker<'_, 'm>,
) -> Answer<'m> {
    let (into, addr) = (args.bytes(0)?, args.int(2)?);
    // A pointer that was a number in memory meanwhile.
    if let Some(from) = program.pointee(addr).and_then(|bytes| bytes.slice(0, into.len()).ok()) {
        return status(into.copy_from(0, from).map_err(|_| Errno::EFAULT));
    }
    let done = probe(env, spaces, |probe, space| fill(probe, space, addr, into));
    if done.is_err() {
        into.fill(0);
    }
    status(done)
}

fn fill(probe: &dyn Probe, space: ProbeSpace, addr: u64, into: Bytes<'_>) -> Result<(), ProbeFault> {
    let mut piece = [0; PIECE];
    let mut at = 0;
    while at < into.len() {
        let part = &mut piece[..(into.len() - at).min(PIECE)];
        probe.read(space, addr.wrapping_add(at as u64), part)?;
        into.copy_in(at, part).map_err(|_| ProbeFault::Unreachable)?;
        at += part.len();
    }
    Ok(())
}

/// Copies a string and its NUL, cut to what there is room for; gives the bytes with the NUL.
fn read_str<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, spaces: &[ProbeSpace]) -> Answer<'m> {
    let (into, addr) = (args.bytes(0)?, args.int(2)?);
    let copied = probe(env, spaces, |probe, space| fill_str(probe, space, addr, into));
    if copied.is_err() {
        into.fill(0);
    }
    signed(copied.map(|len| len as i64))
}

fn fill_str(probe: &dyn Probe, space: ProbeSpace, addr: u64, into: Bytes<'_>) -> Result<usize, ProbeFault> {
    let mut piece = [0; PIECE];
    let mut at = 0;
    while at < into.len() {
        // One more than fits in the last piece cannot be, and each piece but the last ends in a NUL of the host's own.
        let part = &mut piece[..(into.len() - at).min(PIECE)];
        let len = probe.read_str(space, addr.wrapping_add(at as u64), part)?;
        into.copy_in(at, &part[..len]).map_err(|_| ProbeFault::Unreachable)?;
        let ended = len < part.len() || at + len == into.len();
        if ended {
            return Ok(at + len);
        }
        // The piece is full: its last byte is a NUL, either the string's or the host's.
        at += len - 1;
    }
    Ok(at)
}

/// `bpf_probe_read`.
pub(crate) fn probe_read<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, program: Invoker<'_, 'm>) -> Answer<'m> {
    read(env, args, EITHER, program)
}

/// `bpf_probe_read_kernel`.
pub(crate) fn probe_read_kernel<'m>(
    env: &dyn Env<'m>,
    args: Args<'_, 'm>,
    program: Invoker<'_, 'm>,
) -> Answer<'m> {
    read(env, args, KERNEL, program)
}

/// `bpf_probe_read_user`.
pub(crate) fn probe_read_user<'m>(
    env: &dyn Env<'m>,
    args: Args<'_, 'm>,
    program: Invoker<'_, 'm>,
) -> Answer<'m> {
    read(env, args, USER, program)
}

/// `bpf_probe_read_str`.
pub(crate) fn probe_read_str<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    read_str(env, args, EITHER)
}

/// `bpf_probe_read_kernel_str`.
pub(crate) fn probe_read_kernel_str<'m>(
    env: &dyn Env<'m>,
    args: Args<'_, 'm>,
    _: Invoker<'_, 'm>,
) -> Answer<'m> {
    read_str(env, args, KERNEL)
}

/// `bpf_probe_read_user_str`.
pub(crate) fn probe_read_user_str<'m>(
    env: &dyn Env<'m>,
    args: Args<'_, 'm>,
    _: Invoker<'_, 'm>,
) -> Answer<'m> {
    read_str(env, args, USER)
}
