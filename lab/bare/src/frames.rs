//! Frames of memory: those after the program, handed out one by one, zeroed.

use crate::quiet::Quiet;
use core::ops::Range;

/// The size of a page and of a frame.
pub(crate) const PAGE_SIZE: usize = 4096;

/// A frame, by its number: its address in memory divided by the page size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame(pub(crate) u64);

impl Frame {
    /// Gives its address in memory.
    pub(crate) fn address(self) -> u64 {
        self.0 * PAGE_SIZE as u64
    }

    /// Points at its bytes, where memory is mapped to itself.
    fn bytes(self) -> *mut u8 {
        core::ptr::with_exposed_provenance_mut(self.address() as usize)
    }
}

#[derive(Debug)]
struct Frames {
    /// Frames that were never handed out.
    fresh: Range<u64>,
    /// The first of those that were given back, each of which starts with the number of the next; 0 ends the list.
    free: u64,
    in_use: usize,
}

static FRAMES: Quiet<Frames> = Quiet::new(Frames { fresh: 0..0, free: 0, in_use: 0 });

/// Takes over a range of memory.
///
/// # Safety
/// The memory is there, mapped to itself, not at 0, and nobody else's; this is called once.
pub(crate) unsafe fn take_over(memory: Range<u64>) {
    let page = PAGE_SIZE as u64;
    FRAMES.with(|frames| frames.fresh = memory.start.div_ceil(page)..memory.end / page);
}

/// Takes a frame, whose bytes are zero.
pub(crate) fn take() -> Option<Frame> {
    FRAMES.with(|frames| {
        let frame = match frames.free {
            0 => Frame(frames.fresh.next()?),
            first => {
                #[expect(
                    clippy::cast_ptr_alignment,
                    reason = "a frame starts at a multiple of the page size"
                )]
                let next = Frame(first).bytes().cast::<u64>();
                // SAFETY: a frame on the list is nobody's, and holds what `give` wrote there.
                frames.free = unsafe { next.read() };
                Frame(first)
            }
        };
        frames.in_use += 1;
        // SAFETY: the frame is memory that was taken over, and nobody's else.
        unsafe { frame.bytes().write_bytes(0, PAGE_SIZE) };
        Some(frame)
    })
}

/// Gives a frame back.
///
/// # Safety
/// It came from [`take`], and nobody reaches its bytes any more.
pub(crate) unsafe fn give(frame: Frame) {
    FRAMES.with(|frames| {
        #[expect(clippy::cast_ptr_alignment, reason = "a frame starts at a multiple of the page size")]
        let next = frame.bytes().cast::<u64>();
        // SAFETY: the caller's contract: the frame is ours again.
        unsafe { next.write(frames.free) };
        frames.free = frame.0;
        frames.in_use -= 1;
    });
}

/// Gives the number of frames that were taken and not given back.
pub(crate) fn in_use() -> usize {
    FRAMES.with(|frames| frames.in_use)
}
