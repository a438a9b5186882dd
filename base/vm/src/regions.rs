//! The memory that a run may touch, besides its stack.

use crate::program::Promise;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use skep_ir::Region;
use skep_mem::Bytes;

/// Names a region in an instruction: zero is to be searched for, then the stack, then those of [`Regions`] in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RegionCode(pub(crate) u16);

impl RegionCode {
    pub(crate) fn new(region: Region) -> RegionCode {
        RegionCode(match region {
            Region::Unknown => 0,
            Region::Stack => 1,
            Region::Fixed(number) => number.saturating_add(2),
        })
    }
}

/// Is one region: how much of it may be read, and how much written, which is all or nothing.
#[derive(Clone, Copy, Debug)]
struct Entry {
    base: usize,
    readable: usize,
    writable: usize,
}

/// Says where an access lies.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// In a stack that is in use.
    Stack,
    /// In a numbered region.
    Region(usize),
}

/// Lists the memory that a run may touch, for `'m`. The first is what accesses through the input are checked against.
#[derive(Debug)]
pub struct Regions<'m> {
    entries: Vec<Entry>,
    /// Counts those that were there before the run, with the stack's; others come and go during a run, behind these.
    numbered: usize,
    /// Says whether memory was taken away since somebody last asked.
    shrunk: bool,
    /// Says that helpers are lent whatever the program passes them.
    trusting: bool,
    life: PhantomData<Bytes<'m>>,
}

/// Says that there are more regions than instructions can name, or no memory for their list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many regions of memory")
    }
}

impl core::error::Error for TooMany {}

impl Default for Regions<'_> {
    fn default() -> Self {
        Regions::new()
    }
}

impl<'m> Regions<'m> {
    /// Makes an empty list.
    pub const fn new() -> Regions<'m> {
        Regions { entries: Vec::new(), numbered: 0, shrunk: false, trusting: false, life: PhantomData }
    }

    /// Forgets all memory, and may then list other memory in the same place.
    #[inline]
    #[must_use]
    pub fn emptied<'n>(mut self) -> Regions<'n> {
        self.entries.clear();
        Regions { entries: self.entries, ..Regions::new() }
    }

    /// Lets helpers have whatever memory a program names that was made on the same word: what it passes them is what they want, so
    /// no memory need be listed.
    #[inline]
    #[must_use]
    pub fn trusting(self, _: Promise) -> Regions<'m> {
        Regions { trusting: true, ..self }
    }

    /// Adds memory that may be read and written.
    ///
    /// # Errors
    ///
    /// [`TooMany`].
    #[inline]
    pub fn add_writable(&mut self, bytes: Bytes<'m>) -> Result<(), TooMany> {
        self.add(bytes, bytes.len())
    }

    /// Adds memory that may be read.
    ///
    /// # Errors
    ///
    /// [`TooMany`].
    #[inline]
    pub fn add_readable(&mut self, bytes: Bytes<'m>) -> Result<(), TooMany> {
        self.add(bytes, 0)
    }

    #[inline]
    fn add(&mut self, bytes: Bytes<'m>, writable: usize) -> Result<(), TooMany> {
        self.reserve_stack()?;
        if self.entries.len() >= usize::from(u16::MAX) - 1 {
            return Err(TooMany);
        }
        self.push(bytes, writable)?;
        self.numbered = self.entries.len();
        Ok(())
    }

    #[inline]
    fn push(&mut self, bytes: Bytes<'_>, writable: usize) -> Result<(), TooMany> {
        self.entries.try_reserve(1).map_err(|_| TooMany)?;
        let base = bytes.as_ptr().as_ptr().expose_provenance();
        self.entries.push(Entry { base, readable: bytes.len(), writable });
        Ok(())
    }

    /// Lets more memory be touched during a run, of which so many bytes may be written: it must live for `'m`, or be closed
    /// before it goes.
    pub(crate) fn open(&mut self, bytes: Bytes<'_>, writable: usize) -> Result<(), TooMany> {
        self.push(bytes, writable)
    }

    /// Takes away memory that was opened.
    pub(crate) fn close(&mut self, bytes: Bytes<'_>) {
        let opened = self.entries.get(self.numbered..).unwrap_or_default();
        let is_meant = |entry: &Entry| (entry.base, entry.readable) == (bytes.addr(), bytes.len());
        // The last one first, so that what is lent twice is taken away in turn.
        if let Some(at) = opened.iter().rposition(is_meant) {
            self.entries.swap_remove(self.numbered + at);
            self.shrunk = true;
        }
    }

    /// Says whether memory was taken away since this was last asked.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn has_shrunk(&mut self) -> bool {
        core::mem::take(&mut self.shrunk)
    }

    /// Makes room for the stack, which is the first entry, and forgets what an earlier run has left open.
    #[inline]
    fn reserve_stack(&mut self) -> Result<(), TooMany> {
        self.entries.truncate(self.numbered);
        self.shrunk = false;
        match self.entries.is_empty() {
            true => self.begin(),
            false => Ok(()),
        }
    }

    #[cold]
    #[inline(never)]
    fn begin(&mut self) -> Result<(), TooMany> {
        self.entries.try_reserve(4).map_err(|_| TooMany)?;
        self.entries.push(Entry { base: 0, readable: 0, writable: 0 });
        self.numbered = 1;
        Ok(())
    }

    /// Sets what of the stack is in use.
    #[inline]
    pub(crate) fn set_stack(&mut self, base: usize, len: usize) -> Result<(), TooMany> {
        self.reserve_stack()?;
        self.move_stack(base, len);
        Ok(())
    }

    /// Changes what of the stack is in use, once it is set.
    #[inline(always)]
    pub(crate) fn move_stack(&mut self, base: usize, len: usize) {
        if let Some(stack) = self.entries.first_mut() {
            *stack = Entry { base, readable: len, writable: len };
        }
    }

    /// Returns the bounds of a region, by its number in [`Region::Fixed`]; of one that is not there, bounds of nothing.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(crate) fn window(&self, number: usize) -> skep_jit::state::Window {
        let (base, readable, writable) = self.bounds(number);
        skep_jit::state::Window::new(base, readable, writable)
    }

    /// Returns the base of such a region, and how many bytes of it may be read and written.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(crate) fn bounds(&self, number: usize) -> (u64, u64, u64) {
        let entry = self.entries.get(number + 1);
        entry.map_or((0, 0, 0), |entry| (entry.base as u64, entry.readable as u64, entry.writable as u64))
    }

    /// Says whether there is a numbered region with these bounds.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(crate) fn has_bounds(&self, bounds: (u64, u64, u64)) -> bool {
        (1..self.numbered).any(|at| self.bounds(at - 1) == bounds)
    }

    /// Says whether the stacks in use hold an access, which is not to be remembered; or else which numbered region does.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn find(&self, address: u64, bytes: u64, write: bool) -> Option<Found> {
        let at = self.entries.iter().position(|entry| entry.allows(address, bytes, write))?;
        Some(at.checked_sub(1).map_or(Found::Stack, Found::Region))
    }

    /// Says whether an access lies in a region.
    #[inline(always)]
    pub(crate) fn allows(&self, region: RegionCode, address: u64, bytes: u64, write: bool) -> bool {
        match self.entries.get(usize::from(region.0).wrapping_sub(1)) {
            Some(entry) => entry.allows(address, bytes, write),
            None if self.trusting => true,
            None => self.search(region, address, bytes, write),
        }
    }

    #[cold]
    #[inline(never)]
    fn search(&self, region: RegionCode, address: u64, bytes: u64, write: bool) -> bool {
        region == RegionCode(0) && self.entries.iter().any(|entry| entry.allows(address, bytes, write))
    }
}

impl Entry {
    #[inline(always)]
    fn allows(&self, address: u64, bytes: u64, write: bool) -> bool {
        let len = if write { self.writable } else { self.readable } as u64;
        let offset = address.wrapping_sub(self.base as u64);
        // Compared so that nothing wraps: an offset beyond the end leaves no room.
        bytes <= len && offset <= len - bytes
    }
}
