//! What emitted code and whoever runs it share: the memory of one run, and what the code's numbers mean.
//!
//! A run's memory is a [`State`], and right behind it its [`Window`]s: the stack's, one for each region that the code names,
//! and those that the code's searches remember. Code is given the address *between* the two, so that what it uses most is
//! within the 128 bytes to either side that a short displacement reaches.
//!
//! Addresses are numbers here, because this crate never calls or follows any.

use core::mem::offset_of;
use skep_isa::InsnIdx;

/// Is what a run has once. Code and its runner both write it while the code runs, never at once.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Counts the units that may go by before the code asks for more.
    pub fuel: u64,
    /// Holds the frame pointer of the function that was entered, to which errors return.
    pub frame: u64,
    /// Holds the address that an access was refused at.
    pub stop_address: u64,
    /// Holds the address of the function that a [`Site`] asks: `extern "sysv64" fn(anchor, site, address) -> u64`. It
    /// returns zero if the code may go on.
    pub ask: u64,
    /// Holds the address of the function that calls helpers: `extern "sysv64" fn(r1, r2, r3, r4, r5, anchor) -> (r0, ended)`
    /// in `rax` and `rdx`. If `ended` is not zero, the run ends.
    pub call: u64,
    /// Is the runner's own: code does not touch it.
    pub context: u64,
    /// Holds the number of the helper that is called.
    pub helper: u32,
    /// Names the [`Site`] at which the run was stopped.
    pub stop_site: u32,
    /// Counts the calls that may still nest.
    pub depth: u32,
    /// Fills up to the windows' alignment.
    pub unused: u32,
}

/// Says where an access may begin: at `read` or `write` at the lowest, and at `last` of its size at the highest.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Is the lowest address that may be read.
    pub read: u64,
    /// Is the lowest address that may be written.
    pub write: u64,
    /// Holds, for one, two, four and eight bytes, the highest address at which an access fits.
    pub last: [u64; 4],
}

impl Window {
    /// Allows nothing.
    pub const NONE: Window = Window { read: u64::MAX, write: u64::MAX, last: [0; 4] };

    /// Makes the window of a region that may be read, and written if the other number says so: how many bytes of it.
    ///
    /// Regions lie neither in the first sixteen bytes of the address space nor in the last, as no memory of Rust's does.
    pub const fn new(base: u64, readable: u64, writable: u64) -> Window {
        let mut last = [0; 4];
        let mut power = 0;
        while power < 4 {
            // Below the base where the region is shorter, so that nothing fits.
            last[power] = base.wrapping_add(readable).wrapping_sub(1 << power);
            power += 1;
        }
        if readable == 0 || base < 16 {
            return Window::NONE;
        }
        Window { read: base, write: if writable == readable { base } else { u64::MAX }, last }
    }

    /// Says whether an access of any length lies inside.
    pub fn allows(&self, address: u64, bytes: u64, write: bool) -> bool {
        let low = if write { self.write } else { self.read };
        let end = self.last[0].wrapping_add(1);
        low != u64::MAX && address >= low && address <= end && bytes <= end - address
    }
}

/// Returns the distance of a field of [`State`] from the anchor.
macro_rules! state {
    ($field:ident) => {
        offset_of!(State, $field) as i32 - size_of::<State>() as i32
    };
}

pub(crate) const FUEL: i32 = state!(fuel);
pub(crate) const FRAME: i32 = state!(frame);
pub(crate) const STOP_ADDRESS: i32 = state!(stop_address);
pub(crate) const ASK: i32 = state!(ask);
pub(crate) const CALL: i32 = state!(call);
pub(crate) const HELPER: i32 = state!(helper);
pub(crate) const STOP_SITE: i32 = state!(stop_site);
pub(crate) const DEPTH: i32 = state!(depth);

/// Names a window by its number behind the anchor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WindowIdx(pub u32);

impl WindowIdx {
    /// Is the window of the stacks in use.
    pub const STACK: WindowIdx = WindowIdx(0);

    /// Is the window of a numbered region.
    pub const fn region(number: u16) -> WindowIdx {
        WindowIdx(number as u32 + 1)
    }

    /// Returns the distance of one of its fields from the anchor.
    pub(crate) const fn at(self, field: usize) -> i32 {
        (self.0 as usize * size_of::<Window>() + field) as i32
    }
}

pub(crate) const READ: usize = offset_of!(Window, read);
pub(crate) const WRITE: usize = offset_of!(Window, write);
pub(crate) const LAST: usize = offset_of!(Window, last);

/// Bounds the windows that searches remember.
pub const REMEMBERED: u32 = 8;

/// Is a place in the code where a run asks its runner, or stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Site {
    /// Names the instruction that it stems from.
    pub at: InsnIdx,
    /// Says what happens there.
    pub kind: SiteKind,
}

/// Says what happens at a [`Site`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SiteKind {
    /// A read is refused, at [`State::stop_address`].
    Read {
        /// Counts the bytes.
        bytes: u16,
    },
    /// A write is refused, at [`State::stop_address`].
    Write {
        /// Counts the bytes.
        bytes: u16,
    },
    /// A region is searched for a read; where there is none, it is refused.
    SearchRead {
        /// Counts the bytes.
        bytes: u16,
        /// Names the window that remembers what was found.
        window: u16,
    },
    /// A region is searched for a write; where there is none, it is refused.
    SearchWrite {
        /// Counts the bytes.
        bytes: u16,
        /// Names the window that remembers what was found.
        window: u16,
    },
    /// An atomic access is not aligned, at [`State::stop_address`].
    Misaligned {
        /// Counts the bytes.
        bytes: u8,
    },
    /// More fuel is needed than there was; the code has taken it already.
    Fuel {
        /// Counts it.
        units: u32,
    },
    /// One function too many is active.
    Depth,
    /// A helper has ended the run.
    Helper,
    /// What a register names, at [`State::stop_address`], is no number of a helper.
    Target,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_displacements_reach_what_is_used_most() {
        const { assert!(size_of::<State>() % align_of::<Window>() == 0) };
        const { assert!(FUEL >= -128) };
        let input = WindowIdx::region(0);
        assert!(input.at(LAST + 24) < 128);
    }

    #[test]
    fn a_window_says_what_its_bytes_say() {
        let base = 0x1000;
        for len in 0..20 {
            let window = Window::new(base, len, len);
            let read_only = Window::new(base, len, 0);
            for address in base - 20..base + 40 {
                for power in 0..4 {
                    let bytes = 1 << power;
                    let inside = address >= base && address + bytes <= base + len;
                    let found = address >= window.read && address <= window.last[power];
                    assert_eq!(found, inside, "{len} {address:x} {bytes}");
                    assert_eq!(window.write, window.read);
                    assert_eq!(window.allows(address, bytes, true), inside);
                    assert_eq!(read_only.allows(address, bytes, false), inside);
                    assert!(!read_only.allows(address, bytes, true));
                    assert!(!(address >= read_only.write && address <= read_only.last[power]));
                }
            }
        }
        assert!(!Window::NONE.allows(u64::MAX, 1, false));
        assert!(!Window::NONE.allows(0, 0, false));
    }
}
