//! Where everything lies: at the same addresses in every process, so that a seed says all of a run.
//!
//! Each plot of pages lies between pages that nobody may touch. What a program may touch of a plot begins where the plot
//! begins, or ends where it ends; the rest of it is filled with a pattern.

/// Counts the bytes of a page.
pub const PAGE: u64 = 4096;
/// Counts the bytes on either side of a plot that nobody may touch, more than an offset reaches.
pub const GUARD: u64 = 16 * PAGE;

/// Names a plot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Plot {
    /// What r1 points to.
    Input,
    /// Memory to read and write that ends where addresses of 31 bits end.
    Low,
    /// Memory to read that ends where addresses of 32 bits end.
    Frozen,
    /// What a wide load of a map's value points into.
    Values,
    /// What a helper lends for a while.
    Late,
    /// What a run keeps for itself.
    State,
    /// The stacks of a run's functions.
    Stack,
    /// Machine code.
    Code,
}

impl Plot {
    /// Lists all of them.
    pub const ALL: [Plot; 8] = [
        Plot::Input,
        Plot::Low,
        Plot::Frozen,
        Plot::Values,
        Plot::Late,
        Plot::State,
        Plot::Stack,
        Plot::Code,
    ];

    /// Returns the address of the first byte.
    pub const fn start(self) -> u64 {
        match self {
            Plot::Input => 0x10_0000_0000,
            Plot::Low => 0x8000_0000 - 2 * PAGE,
            Plot::Frozen => 0x1_0000_0000 - 2 * PAGE,
            Plot::Values => 0x20_ffff_e000,
            Plot::Late => 0x28_0000_0000,
            Plot::State => 0x30_0000_0000,
            Plot::Stack => 0x40_8000_0000,
            Plot::Code => 0x50_0000_0000,
        }
    }

    /// Counts the bytes.
    pub const fn bytes(self) -> u64 {
        match self {
            Plot::Input | Plot::Low | Plot::Frozen | Plot::Values | Plot::Late | Plot::State => 2 * PAGE,
            Plot::Stack => 4 * PAGE,
            Plot::Code => 64 * PAGE,
        }
    }

    /// Returns the address behind the last byte.
    pub const fn end(self) -> u64 {
        self.start() + self.bytes()
    }

    /// Says whether an address lies in it.
    pub const fn contains(self, address: u64) -> bool {
        self.start() <= address && address < self.end()
    }

    /// Returns the address of so many bytes of it.
    pub const fn place(self, at: Placement, bytes: u64) -> u64 {
        match at {
            Placement::Start => self.start(),
            Placement::End => self.end() - bytes,
        }
    }
}

/// Says where in its plot something lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placement {
    /// Right behind the guard.
    Start,
    /// Right before the guard.
    End,
}

/// Says what may be done with an area.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rights {
    /// It may be read and written.
    ReadWrite,
    /// It may be read.
    Read,
}

/// Is memory that a program may touch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Area {
    /// Holds the address of the first byte.
    pub base: u64,
    /// Counts the bytes.
    pub len: u64,
    /// Says what may be done with it.
    pub rights: Rights,
}

impl Area {
    /// Returns the offset of an access, if all of it lies inside.
    pub fn offset(&self, address: u64, bytes: u64) -> Option<usize> {
        // Nothing wraps at this size.
        let (from, to) = (u128::from(address), u128::from(address) + u128::from(bytes));
        let (base, end) = (u128::from(self.base), u128::from(self.base) + u128::from(self.len));
        (base <= from && to <= end).then(|| (from - base) as usize)
    }
}

/// The plots of the areas, in the order of the regions.
pub const AREAS: [Plot; 5] = [Plot::Input, Plot::Low, Plot::Frozen, Plot::Values, Plot::Late];
/// Names the only one that is not lent from the start.
pub const LATE: usize = 4;
/// Counts the functions that may be active.
pub const DEPTH: usize = 8;

/// Is where one program's memory lies.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Says where in the plots.
    pub placement: Placement,
    /// Counts the bytes of each function's stack.
    pub stack_bytes: u32,
    /// Holds the areas, by the numbers of their regions.
    pub areas: [Area; AREAS.len()],
}

impl Layout {
    /// Places areas of these lengths.
    pub fn new(placement: Placement, stack_bytes: u32, lens: [u64; AREAS.len()]) -> Layout {
        let area = |number: usize| {
            let (plot, len) = (AREAS[number], lens[number]);
            let rights = if plot == Plot::Frozen { Rights::Read } else { Rights::ReadWrite };
            Area { base: plot.place(placement, len), len, rights }
        };
        Layout { placement, stack_bytes, areas: std::array::from_fn(area) }
    }

    /// Returns the address above the first function's stack.
    pub fn stack_top(&self) -> u64 {
        let bytes = (DEPTH * self.stack_bytes as usize) as u64;
        Plot::Stack.place(self.placement, bytes) + bytes
    }

    /// Lists addresses that are worth a try: the first and the last byte of everything and what lies beside them, and
    /// those where numbers wrap.
    pub fn borders(&self) -> Vec<u64> {
        let mut borders: Vec<u64> = Plot::ALL.iter().flat_map(|plot| [plot.start(), plot.end()]).collect();
        borders.extend(self.areas.iter().flat_map(|area| [area.base, area.base + area.len]));
        let frames = (0..=DEPTH as u64).map(|frame| self.stack_top() - frame * u64::from(self.stack_bytes));
        borders.extend(frames);
        borders.extend([0, 1 << 31, 1 << 32, 1 << 47, 1 << 63]);
        borders.sort_unstable();
        borders.dedup();
        borders
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plots_are_apart_even_with_their_guards() {
        let mut plots = Plot::ALL;
        plots.sort_by_key(|plot| plot.start());
        for pair in plots.windows(2) {
            assert!(pair[0].end() + GUARD <= pair[1].start() - GUARD, "{pair:?}");
        }
    }

    #[test]
    fn an_access_lies_inside_or_not() {
        let area = Area { base: 100, len: 8, rights: Rights::Read };
        assert_eq!((area.offset(100, 8), area.offset(107, 1)), (Some(0), Some(7)));
        assert_eq!((area.offset(99, 1), area.offset(101, 8), area.offset(u64::MAX, 8)), (None, None, None));
    }
}
