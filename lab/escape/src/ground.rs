//! The pages themselves: mapped once, at the addresses that the layout says.

use crate::layout::{AREAS, Area, GUARD, Layout, Placement, Plot};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};
use skep_mem::{Bytes, Code, RawCode};
use std::ptr::{NonNull, with_exposed_provenance_mut};

/// Fills what nobody may touch in a plot.
const CANARY: u8 = 0xc5;

/// Holds the plots. There is one in a process, as the addresses are its own.
#[derive(Debug)]
pub struct Ground {
    frozen: Vec<u8>,
}

impl Ground {
    /// Maps the plots between pages that nobody may touch.
    ///
    /// # Errors
    /// Why they cannot be had at their addresses.
    pub fn take() -> Result<Ground, String> {
        for plot in Plot::ALL {
            let at = with_exposed_provenance_mut((plot.start() - GUARD) as usize);
            let len = (plot.bytes() + 2 * GUARD) as usize;
            let flags = MapFlags::PRIVATE | MapFlags::FIXED_NOREPLACE;
            // SAFETY: where anything is mapped already, this fails.
            let mapped = unsafe { mmap_anonymous(at, len, ProtFlags::empty(), flags) };
            let mapped = mapped.map_err(|error| format!("{plot:?}: {error}"))?;
            if mapped.expose_provenance() as u64 != plot.start() - GUARD {
                return Err(format!("{plot:?}: not at its address"));
            }
            protect(plot, MprotectFlags::READ | MprotectFlags::WRITE)?;
        }
        let frozen: Vec<u8> = (0..Plot::Frozen.bytes()).map(|at| ((at * 37) ^ (at >> 5)) as u8).collect();
        let ground = Ground { frozen };
        whole(Plot::Frozen).copy_in(0, &ground.frozen).map_err(|error| error.to_string())?;
        protect(Plot::Frozen, MprotectFlags::READ)?;
        Ok(ground)
    }

    /// Lends an area.
    pub fn area(&self, number: usize, area: &Area) -> Bytes<'_> {
        let start = (area.base - AREAS[number].start()) as usize;
        whole(AREAS[number]).slice(start, area.len as usize).unwrap_or(Bytes::empty())
    }

    /// Lends what nobody may touch, to see that touching it is seen.
    pub fn beyond(&self) -> Bytes<'_> {
        let base = with_exposed_provenance_mut(Plot::Input.end() as usize);
        // SAFETY: it is mapped for nobody, so that whoever touches it gets a signal, and nothing else happens.
        NonNull::new(base).map_or(Bytes::empty(), |base| unsafe { Bytes::from_raw(base, 1) })
    }

    /// Returns what the area of frozen memory holds.
    pub fn frozen(&self, area: &Area) -> &[u8] {
        let start = (area.base - Plot::Frozen.start()) as usize;
        &self.frozen[start..start + area.len as usize]
    }

    /// Fills everything that can be written with the pattern.
    pub fn sow(&self) {
        for plot in [Plot::Input, Plot::Low, Plot::Values, Plot::Late, Plot::State, Plot::Stack] {
            whole(plot).fill(CANARY);
        }
    }

    /// Fills the areas' plots with the pattern, and leaves what a machine keeps.
    pub fn sow_areas(&self) {
        AREAS.iter().filter(|plot| **plot != Plot::Frozen).for_each(|plot| whole(*plot).fill(CANARY));
    }

    /// Tells where outside of what was lent, or allotted, something was written.
    pub fn trampled(&self, layout: &Layout, allotted: &[(Plot, u64, u64)]) -> Option<u64> {
        let areas = AREAS.iter().zip(&layout.areas).filter(|(plot, _)| **plot != Plot::Frozen);
        let lent = areas.map(|(plot, area)| (*plot, area.base, area.len));
        lent.chain(allotted.iter().copied()).find_map(|(plot, base, len)| {
            let before = (base - plot.start()) as usize;
            let behind = before + len as usize;
            let outside = |offset: usize| if offset < before { offset } else { offset + behind - before };
            let all = whole(plot);
            let left = [all.slice(0, before), all.slice(behind, plot.bytes() as usize - behind)];
            let mut pieces = Vec::with_capacity(plot.bytes() as usize);
            for piece in left.into_iter().flatten() {
                let from = pieces.len();
                pieces.resize(from + piece.len(), CANARY);
                piece.copy_out(0, &mut pieces[from..]).ok()?;
            }
            let at = pieces.iter().position(|byte| *byte != CANARY)?;
            Some(plot.start() + outside(at) as u64)
        })
    }
}

/// Lends all of a plot.
fn whole(plot: Plot) -> Bytes<'static> {
    let Some(base) = NonNull::new(with_exposed_provenance_mut(plot.start() as usize)) else {
        return Bytes::empty();
    };
    // SAFETY: mapped since `Ground::take`, for good, and accessed through `Bytes` and by programs only.
    unsafe { Bytes::from_raw(base, plot.bytes() as usize) }
}

fn protect(plot: Plot, access: MprotectFlags) -> Result<(), String> {
    let at = with_exposed_provenance_mut(plot.start() as usize);
    // SAFETY: the plot is mapped; nobody holds a reference into one.
    let done = unsafe { mprotect(at, plot.bytes() as usize, access) };
    done.map_err(|error| format!("{plot:?}: {error}"))
}

/// Gives the plot of code to one program at a time.
#[derive(Clone, Copy, Debug)]
pub struct CodePlot(pub Placement);

// SAFETY: the plot is mapped before anything is compiled, and the campaign has one program at a time; what can be executed can
// no longer be written.
unsafe impl Code for CodePlot {
    fn stage(&self, len: usize) -> Option<RawCode> {
        let len = len.checked_next_multiple_of(64).filter(|len| *len as u64 <= Plot::Code.bytes())?;
        protect(Plot::Code, MprotectFlags::READ | MprotectFlags::WRITE).ok()?;
        let base = Plot::Code.place(self.0, len as u64);
        Some(RawCode { base: NonNull::new(with_exposed_provenance_mut(base as usize))?, len })
    }

    unsafe fn publish(&self, _: &RawCode) -> bool {
        protect(Plot::Code, MprotectFlags::READ | MprotectFlags::EXEC).is_ok()
    }

    unsafe fn free(&self, _: RawCode) {}
}
