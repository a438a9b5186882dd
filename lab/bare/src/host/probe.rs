//! Guarded reads of any address: the page tables are walked first, so nothing ever faults.

use super::memory::lend;
use crate::paging::Landing;
use skep_mem::{Probe, ProbeFault, ProbeSpace};

/// Walks the page tables.
#[derive(Debug)]
pub(super) struct PageWalk;

fn is_in(space: ProbeSpace) -> impl Fn(Landing) -> bool {
    move |landing| space == ProbeSpace::Kernel || landing.is_user
}

// SAFETY: only what the tables lead to is read, and nothing but memory is mapped; only what user space may write is written.
// Nothing is unmapped in between: an interrupt unmaps nothing, and nobody else runs.
unsafe impl Probe for PageWalk {
    fn read(&self, space: ProbeSpace, addr: u64, into: &mut [u8]) -> Result<(), ProbeFault> {
        if into.is_empty() {
            return Ok(());
        }
        let bytes = lend(addr, into.len(), is_in(space)).ok_or(ProbeFault)?;
        bytes.copy_out(0, into).map_err(|_| ProbeFault)
    }

    fn read_str(&self, space: ProbeSpace, addr: u64, into: &mut [u8]) -> Result<usize, ProbeFault> {
        let Some((last, start)) = into.split_last_mut() else { return Ok(0) };
        for (i, byte) in start.iter_mut().enumerate() {
            let at = addr.checked_add(i as u64).ok_or(ProbeFault)?;
            self.read(space, at, core::slice::from_mut(byte))?;
            if *byte == 0 {
                return Ok(i + 1);
            }
        }
        *last = 0;
        Ok(start.len() + 1)
    }

    fn write_user(&self, addr: u64, from: &[u8]) -> Result<(), ProbeFault> {
        if from.is_empty() {
            return Ok(());
        }
        let bytes = lend(addr, from.len(), |landing| landing.is_user && landing.is_writable);
        bytes.ok_or(ProbeFault)?.copy_in(0, from).map_err(|_| ProbeFault)
    }
}
