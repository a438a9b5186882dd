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
    /// Holds the address of the function that calls helpers and loads from packets: `extern "sysv64" fn(r1, r2, r3, r4, r5, anchor) -> (r0, ended)`
    /// in `rax` and `rdx`. If `ended` is one, the run ends; if it is two, which it only is of packet loads, the function does.
    pub call: u64,
    /// Is the runner's own: code does not touch it.
    pub context: u64,
    /// Is what functions that are called directly get in their sixth argument.
    pub word: u64,
    /// Holds what a program starts with in r1 that takes another one's place.
    pub first: u64,
    /// Holds what it starts with in r2.
    pub second: u64,
    /// Holds the number of the helper that is called, or the position of the function that one calls.
    pub helper: u32,
    /// Names the [`Site`] at which the run was stopped.
    pub stop_site: u32,
    /// Counts the calls that may still nest.
    pub depth: u32,
    /// Counts the programs that may still take another one's place.
    pub tail_calls: u32,
    /// Counts the bytes of the packet load that calls; zero where a helper is called.
    pub packet: u32,
    /// Fills up to the windows' alignment.
    pub unused: u32,
}

/// Says where an access may begin: less than so many bytes from `base`, by its size.
///
/// The stack's, which comes first, changes with each call. Its `base` is the lowest address of the stacks in use, and `read`
/// holds the highest addresses at which accesses fit, to read and to write.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Holds the address of the first byte.
    pub base: u64,
    /// Counts, for one, two, four and eight bytes, the places at which they may be read.
    pub read: [u64; 4],
    /// Counts, for one, two, four and eight bytes, the places at which they may be written.
    pub write: [u64; 4],
}

impl Window {
    /// Allows nothing.
    pub const NONE: Window = Window { base: 0, read: [0; 4], write: [0; 4] };

    /// Makes the window of a region of which so many bytes may be read, and so many written.
    #[inline]
    pub const fn new(base: u64, readable: u64, writable: u64) -> Window {
        let (mut read, mut write) = ([0; 4], [0; 4]);
        let mut power = 0;
        while power < 4 {
            read[power] = readable.saturating_sub((1 << power) - 1);
            write[power] = writable.saturating_sub((1 << power) - 1);
            power += 1;
        }
        Window { base, read, write }
    }

    /// Makes the window of a stack of which nothing is in use.
    #[inline]
    pub const fn stack(top: u64) -> Window {
        Window { base: top, read: [top - 1, top - 2, top - 4, top - 8], write: [0; 4] }
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
pub(crate) const WORD: i32 = state!(word);
pub(crate) const FIRST: i32 = state!(first);
pub(crate) const SECOND: i32 = state!(second);
pub(crate) const TAIL_CALLS: i32 = state!(tail_calls);
pub(crate) const HELPER: i32 = state!(helper);
pub(crate) const STOP_SITE: i32 = state!(stop_site);
pub(crate) const DEPTH: i32 = state!(depth);
pub(crate) const PACKET: i32 = state!(packet);

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

pub(crate) const BASE: usize = offset_of!(Window, base);
pub(crate) const READ: usize = offset_of!(Window, read);
pub(crate) const WRITE: usize = offset_of!(Window, write);

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
        assert!(input.at(READ + 24) < 128);
    }

    #[test]
    fn a_window_says_what_its_bytes_say() {
        let base: u64 = 0x1000;
        for len in 0..20 {
            let window = Window::new(base, len, len);
            let read_only = Window::new(base, len, 0);
            let near = (base - 20..base + 40).chain([0, 1, u64::MAX, u64::MAX - 7]);
            for (address, power) in near.flat_map(|address| [0, 1, 2, 3].map(|power| (address, power))) {
                let fits =
                    |window: &Window, limit: &[u64; 4]| address.wrapping_sub(window.base) < limit[power];
                let inside = address >= base && u128::from(address) + (1 << power) <= u128::from(base + len);
                assert_eq!(fits(&window, &window.read), inside, "{len} {address:x} {power}");
                assert_eq!(fits(&window, &window.write), inside, "{len} {address:x} {power}");
                assert_eq!(fits(&read_only, &read_only.read), inside);
                assert!(!fits(&read_only, &read_only.write));
                assert!(!fits(&Window::NONE, &Window::NONE.read));
            }
        }
    }
}
