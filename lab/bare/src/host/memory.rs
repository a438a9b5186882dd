//! The caller's memory: whatever the page tables lead to. The machine has one address space, in which callers have their
//! stacks and heaps; with several, a page that is not user space's would be refused here too.

use super::sleep::might_sleep;
use crate::frames::PAGE_SIZE;
use crate::paging::{self, Landing};
use core::ptr::NonNull;
use skep_mem::{Bytes, UserFault, UserMemory};

/// Walks the page tables before it copies, page by page; nothing is unmapped meanwhile, because nobody else runs.
#[derive(Debug)]
pub(crate) struct WalkedMemory;

/// What is about to be done with memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Read,
    Write,
}

/// Lends the bytes at `addr`, if all of them are mapped so that `allowed` says yes, page by page.
pub(super) fn lend(addr: u64, len: usize, allowed: impl Fn(Landing) -> bool) -> Option<Bytes<'static>> {
    let end = addr.checked_add(len as u64)?;
    let first = addr & !(PAGE_SIZE as u64 - 1);
    let is_allowed = |page| paging::landing(page).is_some_and(&allowed);
    if !(first..end).step_by(PAGE_SIZE).all(is_allowed) {
        return None;
    }
    let base = NonNull::new(core::ptr::with_exposed_provenance_mut(usize::try_from(addr).ok()?))?;
    // SAFETY: all of it is mapped, and stays so while the caller of this file's functions copies. Memory of callers is lent
    // to the system call by them; the kernel's own is only ever read, by programs that were let.
    Some(unsafe { Bytes::from_raw(base, len) })
}

#[track_caller]
fn of_caller(addr: u64, len: usize, how: Use) -> Result<Bytes<'static>, UserFault> {
    might_sleep();
    lend(addr, len, |landing| how == Use::Read || landing.is_writable).ok_or(UserFault)
}

impl UserMemory for WalkedMemory {
    fn read(&self, addr: u64, into: &mut [u8]) -> Result<(), UserFault> {
        if into.is_empty() {
            return Ok(());
        }
        of_caller(addr, into.len(), Use::Read)?.copy_out(0, into).map_err(|_| UserFault)
    }

    fn write(&self, addr: u64, from: &[u8]) -> Result<(), UserFault> {
        if from.is_empty() {
            return Ok(());
        }
        of_caller(addr, from.len(), Use::Write)?.copy_in(0, from).map_err(|_| UserFault)
    }

    fn read_str(&self, addr: u64, into: &mut [u8]) -> Result<Option<usize>, UserFault> {
        for (i, byte) in into.iter_mut().enumerate() {
            let at = addr.checked_add(i as u64).ok_or(UserFault)?;
            self.read(at, core::slice::from_mut(byte))?;
            if *byte == 0 {
                return Ok(Some(i));
            }
        }
        Ok(None)
    }
}
