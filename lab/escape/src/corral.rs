//! The allocator of the process: while a run starts, it puts what the machine keeps for itself into the plots.
//!
//! A run of machine code gets two pieces of memory, in this order: its state, and the stacks of its functions. Both lie in
//! [`Plot`]s then, flush with a guard. Everything else comes from the system, always.

use crate::layout::{Placement, Plot};
use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::with_exposed_provenance_mut;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Is the allocator.
#[derive(Debug)]
pub struct Corral;

/// Where the next pieces go.
const NEXT: [Plot; 2] = [Plot::State, Plot::Stack];
/// Counts the pieces that are placed; beyond [`NEXT`], none is.
static PLACED: AtomicUsize = AtomicUsize::new(NEXT.len());
static STACKS: AtomicUsize = AtomicUsize::new(0);
static AT_END: AtomicBool = AtomicBool::new(false);
static BYTES: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Places the next piece of memory that anybody gets, and the next of so many bytes. The campaign has one thread.
pub fn open(placement: Placement, stacks: usize) {
    STACKS.store(stacks, Ordering::Relaxed);
    AT_END.store(placement == Placement::End, Ordering::Relaxed);
    BYTES.iter().for_each(|bytes| bytes.store(0, Ordering::Relaxed));
    PLACED.store(0, Ordering::Relaxed);
}

/// Places no more, and tells what was placed: plot, address and length.
pub fn close() -> [(Plot, u64, u64); 2] {
    PLACED.store(NEXT.len(), Ordering::Relaxed);
    [0, 1].map(|number| {
        let bytes = BYTES[number].load(Ordering::Relaxed);
        (NEXT[number], NEXT[number].place(placement(), bytes), bytes)
    })
}

fn placement() -> Placement {
    if AT_END.load(Ordering::Relaxed) { Placement::End } else { Placement::Start }
}

/// Places a piece, if it is one's turn.
#[cold]
fn place(layout: Layout) -> Option<*mut u8> {
    let number = PLACED.load(Ordering::Relaxed);
    let plot = *NEXT.get(number)?;
    if plot == Plot::Stack && layout.size() != STACKS.load(Ordering::Relaxed) {
        return None;
    }
    PLACED.store(number + 1, Ordering::Relaxed);
    let bytes = layout.size() as u64;
    let address = plot.place(placement(), bytes);
    if bytes > plot.bytes() || address % layout.align() as u64 != 0 {
        return None;
    }
    BYTES[number].store(bytes, Ordering::Relaxed);
    Some(with_exposed_provenance_mut(address as usize))
}

// SAFETY: a piece that is placed lies in a plot that is mapped, aligned, for whoever asked alone: a plot gets one piece until it
// is opened again, which happens when the run before is over. All else is the system's.
unsafe impl GlobalAlloc for Corral {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if PLACED.load(Ordering::Relaxed) < NEXT.len() {
            if let Some(piece) = place(layout) {
                return piece;
            }
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        if NEXT.iter().any(|plot| plot.contains(piece.addr() as u64)) {
            return;
        }
        // SAFETY: the caller's promise, and a piece of the system's.
        unsafe { System.dealloc(piece, layout) }
    }
}
