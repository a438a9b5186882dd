//! Calls out of a program.

use crate::StopKind;
use crate::regions::{RegionCode, Regions};
use core::ptr::NonNull;
use skep_mem::Bytes;

/// Says how a call ended the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// The run ends and returns this number.
    Unwind(u64),
    /// The run stops.
    Stop(StopKind),
}

/// Answers the calls of a program.
pub trait Calls {
    /// Calls a helper.
    ///
    /// # Errors
    ///
    /// [`CallEnd`] ends the run; what a helper reports to the program is a result.
    fn helper(&mut self, id: u32, args: [u64; 5], reach: &Reach<'_>) -> Result<u64, CallEnd>;
}

/// Has no helpers.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCalls;

impl Calls for NoCalls {
    fn helper(&mut self, id: u32, _: [u64; 5], _: &Reach<'_>) -> Result<u64, CallEnd> {
        Err(CallEnd::Stop(StopKind::UnknownHelper { id }))
    }
}

/// Is the memory that a program can reach, for helpers that are given addresses in it.
pub struct Reach<'r> {
    pub(crate) regions: &'r Regions<'r>,
}

impl<'r> Reach<'r> {
    /// Lends memory that the program may read; nothing where it may not.
    pub fn readable(&self, address: u64, len: usize) -> Option<Bytes<'r>> {
        self.bytes(address, len, false)
    }

    /// Lends memory that the program may read and write; nothing where it may not.
    pub fn writable(&self, address: u64, len: usize) -> Option<Bytes<'r>> {
        self.bytes(address, len, true)
    }

    fn bytes(&self, address: u64, len: usize, write: bool) -> Option<Bytes<'r>> {
        if !self.regions.allows(RegionCode(0), address, len as u64, write) {
            return None;
        }
        let address = usize::try_from(address).ok()?;
        let base = NonNull::new(core::ptr::with_exposed_provenance_mut(address))?;
        // SAFETY: the bytes lie in one of the regions, which live for 'r and are accessed atomically only.
        Some(unsafe { Bytes::from_raw(base, len) })
    }
}
