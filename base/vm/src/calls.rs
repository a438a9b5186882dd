//! Calls out of a program.

use crate::StopKind;
use crate::regions::{RegionCode, Regions};
use core::cell::RefCell;
use core::fmt;
use core::ptr::NonNull;
use skep_mem::{Bytes, Meter, Spent};

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

/// Is what a helper may use of the run that it is called in: the memory that the program can reach, and the fuel.
pub struct Reach<'r> {
    regions: &'r Regions<'r>,
    meter: RefCell<&'r mut dyn Charge>,
}

impl fmt::Debug for Reach<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reach").field("regions", &self.regions).finish_non_exhaustive()
    }
}

/// Takes fuel, however an engine counts it.
pub(crate) trait Charge {
    /// Takes units, or says that there are fewer.
    fn charge(&mut self, units: u64) -> Result<(), Spent>;
}

impl Charge for Meter<'_> {
    fn charge(&mut self, units: u64) -> Result<(), Spent> {
        Meter::charge(self, units)
    }
}

impl<'r> Reach<'r> {
    pub(crate) fn new(regions: &'r Regions<'_>, meter: &'r mut dyn Charge) -> Reach<'r> {
        Reach { regions, meter: RefCell::new(meter) }
    }

    /// Takes fuel for work that grows with the arguments; to be called before anything is done.
    ///
    /// # Errors
    ///
    /// [`StopKind::Fuel`] ends the run, as there is not enough.
    pub fn charge(&self, units: u64) -> Result<(), CallEnd> {
        let spent = match self.meter.try_borrow_mut() {
            Ok(mut meter) => meter.charge(units),
            Err(_) => Err(Spent),
        };
        spent.map_err(|Spent| CallEnd::Stop(StopKind::Fuel))
    }

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
