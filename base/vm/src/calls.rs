//! Calls out of a program, and back into it.

use crate::StopKind;
use crate::regions::{RegionCode, Regions};
use core::cell::RefCell;
use core::fmt;
use core::ptr::NonNull;
use skep_isa::PacketSize;
use skep_mem::{Bytes, Spent};

/// Says how a call ended the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// The run ends and returns this number.
    Unwind(u64),
    /// The run stops.
    Stop(StopKind),
    /// The run has ended already, inside a function that the helper has called, or by the helper's work: it returns this at
    /// once.
    Ended,
}

/// Is a helper that takes numbers and gives one: r1 to r5 and the run's [word](Calls::word) come in, r0 goes out. It cannot
/// end the run, and a panic in it ends the process.
pub type PlainFn = extern "C" fn(u64, u64, u64, u64, u64, u64) -> u64;

/// Is a plain helper with the number that programs call. Machine code calls it by its address, without asking
/// [`Calls::helper`], which must come to the same for whoever asks.
#[derive(Clone, Copy, Debug)]
pub struct Plain {
    /// Holds the number.
    pub id: u32,
    /// Does the work.
    pub function: PlainFn,
    /// Says how much fuel a call costs, in programs that count it.
    pub units: u32,
}

/// Answers the calls of a program. `'m` is the life of the memory that a run may hold.
///
/// Its methods take `&self`, because a helper may call back into the program, which may call helpers: whatever changes is in
/// cells of the implementer.
pub trait Calls<'m> {
    /// Calls a helper.
    ///
    /// # Errors
    ///
    /// [`CallEnd`] ends the run; what a helper reports to the program is a result.
    fn helper(&self, id: u32, args: [u64; 5], reach: &Reach<'_, 'm>) -> Result<u64, CallEnd>;

    /// Loads from the packet of a context, in network order; nothing where there are no such bytes, which ends the function
    /// with zero.
    ///
    /// # Errors
    ///
    /// [`CallEnd`] ends the run, as where the number is no context.
    fn packet(&self, context: u64, offset: i32, size: PacketSize) -> Result<Option<u64>, CallEnd> {
        let _ = offset;
        let bytes = size.size().bytes() as u8;
        Err(CallEnd::Stop(StopKind::Read { address: context, bytes }))
    }

    /// Returns what [plain](Plain) helpers get besides their arguments; it is asked once a run, if at all.
    fn word(&self) -> u64 {
        0
    }
}

/// Has no helpers.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCalls;

impl<'m> Calls<'m> for NoCalls {
    fn helper(&self, id: u32, _: [u64; 5], _: &Reach<'_, 'm>) -> Result<u64, CallEnd> {
        Err(CallEnd::Stop(StopKind::UnknownHelper { id }))
    }
}

/// A run that is waiting for a helper, however its engine does that.
pub(crate) trait Waiting<'m> {
    /// Takes units of fuel, or says that there are fewer.
    fn charge(&mut self, units: u64) -> Result<(), Spent>;

    /// Lists what the program may touch.
    fn regions(&mut self) -> &mut Regions<'m>;

    /// Runs a function; the error is how the run has ended inside it.
    fn call_back(&mut self, function: u32, args: [u64; 5]) -> Result<u64, CallEnd>;

    /// Notes that the run ends where the helper was called.
    fn end_here(&mut self, kind: StopKind);
}

/// Is what a helper may use of the run that it is called in: the memory that the program can reach, the fuel, and the
/// program's functions.
pub struct Reach<'r, 'm> {
    run: RefCell<&'r mut dyn Waiting<'m>>,
}

impl fmt::Debug for Reach<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reach").finish_non_exhaustive()
    }
}

impl<'r, 'm> Reach<'r, 'm> {
    pub(crate) fn new(run: &'r mut dyn Waiting<'m>) -> Reach<'r, 'm> {
        Reach { run: RefCell::new(run) }
    }

    /// Takes fuel for work that grows with the arguments; to be called before anything is done.
    ///
    /// # Errors
    ///
    /// [`CallEnd::Ended`] as there is not enough.
    pub fn charge(&self, units: u64) -> Result<(), CallEnd> {
        let mut run = self.run.try_borrow_mut().map_err(|_| CallEnd::Ended)?;
        run.charge(units).map_err(|Spent| {
            run.end_here(StopKind::Fuel);
            CallEnd::Ended
        })
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
        let mut run = self.run.try_borrow_mut().ok()?;
        if !run.regions().allows(RegionCode(0), address, len as u64, write) {
            return None;
        }
        let address = usize::try_from(address).ok()?;
        let base = NonNull::new(core::ptr::with_exposed_provenance_mut(address))?;
        // SAFETY: the bytes lie in the stack, which outlives the call, or in one of the regions, whose memory lives for 'm even
        // where it is taken away from the program; what is lent to a function that is called back outlives that call. All of
        // it is accessed atomically only.
        Some(unsafe { Bytes::from_raw(base, len) })
    }

    /// Lets the program touch memory from now on, until it is [taken away](Reach::close) or the run ends.
    ///
    /// # Errors
    ///
    /// [`CallEnd::Ended`] where there is no memory to note that.
    pub fn open(&self, bytes: Bytes<'m>) -> Result<(), CallEnd> {
        let mut run = self.run.try_borrow_mut().map_err(|_| CallEnd::Ended)?;
        run.regions().open(bytes, bytes.len()).map_err(|_| {
            run.end_here(StopKind::OutOfMemory);
            CallEnd::Ended
        })
    }

    /// Takes memory away from the program that was given to it by [`Reach::open`].
    pub fn close(&self, bytes: Bytes<'m>) {
        if let Ok(mut run) = self.run.try_borrow_mut() {
            run.regions().close(bytes);
        }
    }

    /// Calls a function of the program, by its position among the program's functions, with these values in r1 to r5, and
    /// returns its r0. Meanwhile the program may read what is `lent`.
    ///
    /// # Errors
    ///
    /// [`CallEnd::Ended`] where the run has ended inside; [`CallEnd::Stop`] where there is no such function.
    pub fn call_back(&self, function: u32, args: [u64; 5], lent: Option<Bytes<'_>>) -> Result<u64, CallEnd> {
        let mut run = self.run.try_borrow_mut().map_err(|_| CallEnd::Ended)?;
        let Some(lent) = lent else { return run.call_back(function, args) };
        if run.regions().open(lent, 0).is_err() {
            run.end_here(StopKind::OutOfMemory);
            return Err(CallEnd::Ended);
        }
        let result = run.call_back(function, args);
        run.regions().close(lent);
        result
    }
}
