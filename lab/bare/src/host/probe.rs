//! Guarded reads of any address: the page tables are walked first, so nothing ever faults.

use super::memory::lend;
use crate::paging;
use skep_mem::{Bytes, Probe, ProbeFault, ProbeSpace};

/// Walks the page tables.
#[derive(Debug)]
pub(super) struct PageWalk;

/// Lends the bytes at an address of a space.
fn reach(space: ProbeSpace, addr: u64, len: usize) -> Result<Bytes<'static>, ProbeFault> {
    // What page tables cannot say is no address at all.
    let none = if paging::is_canonical(addr) { ProbeFault::Unreachable } else { ProbeFault::Outside };
    lend(addr, len, |landing| space == ProbeSpace::Kernel || landing.is_user).ok_or(none)
}

// SAFETY: only what the tables lead to is read, and nothing but memory is mapped; only what user space may write is written.
// Nothing is unmapped in between: an interrupt unmaps nothing, and nobody else runs.
unsafe impl Probe for PageWalk {
    fn read(&self, space: ProbeSpace, addr: u64, into: &mut [u8]) -> Result<(), ProbeFault> {
        if into.is_empty() {
            return Ok(());
        }
        reach(space, addr, into.len())?.copy_out(0, into).map_err(|_| ProbeFault::Unreachable)
    }

    fn read_str(&self, space: ProbeSpace, addr: u64, into: &mut [u8]) -> Result<usize, ProbeFault> {
        for (i, byte) in into.iter_mut().enumerate() {
            let at = addr.checked_add(i as u64).ok_or(ProbeFault::Unreachable)?;
            self.read(space, at, core::slice::from_mut(byte))?;
            if *byte == 0 {
                return Ok(i + 1);
            }
        }
        if let Some(last) = into.last_mut() {
            *last = 0;
        }
        Ok(into.len())
    }

    fn write_user(&self, addr: u64, from: &[u8]) -> Result<(), ProbeFault> {
        if from.is_empty() {
            return Ok(());
        }
        let bytes = lend(addr, from.len(), |landing| landing.is_user && landing.is_writable);
        bytes.ok_or(ProbeFault::Unreachable)?.copy_in(0, from).map_err(|_| ProbeFault::Unreachable)
    }
}
