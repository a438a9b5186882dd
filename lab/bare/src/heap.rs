//! The heap: blocks whose sizes are powers of two, one list of free blocks per size.
//!
//! A block lies at a multiple of its size, so any alignment is a size. Freed blocks are used again for their own size
//! only. Enough for tests that end, and simple enough to be right by looking. Interrupts allocate too: programs that they
//! run want memory for their stacks.

use crate::quiet::Quiet;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;

/// All the memory there is to allocate.
const HEAP_BYTES: usize = 64 << 20;

/// The smallest block, which can hold the link of its list.
const SMALLEST_LOG2: u32 = 4;
const CLASSES: usize = 64;

#[repr(C, align(4096))]
struct Area(UnsafeCell<[u8; HEAP_BYTES]>);

// SAFETY: its bytes are touched only through blocks, each of which has one owner at a time.
unsafe impl Sync for Area {}

static AREA: Area = Area(UnsafeCell::new([0; HEAP_BYTES]));

#[derive(Debug)]
struct State {
    /// Bytes of the area that were ever handed out.
    used: usize,
    /// Bytes in blocks that are allocated now.
    live: usize,
    /// How many allocations succeed from now on, where not all do.
    fails_after: Option<u64>,
    /// The first free block of each size.
    free: [*mut Free; CLASSES],
}

/// What a free block holds.
#[derive(Debug)]
struct Free {
    next: *mut Free,
}

// SAFETY: the pointers lead to free blocks of the area, which are the heap's alone.
unsafe impl Send for State {}

struct Heap(Quiet<State>);

#[global_allocator]
static HEAP: Heap =
    Heap(Quiet::new(State { used: 0, live: 0, fails_after: None, free: [null_mut(); CLASSES] }));

/// The bytes in blocks that are allocated now.
pub(crate) fn in_use() -> usize {
    HEAP.0.with(|state| state.live)
}

/// Lets so many allocations succeed and refuses those after them; `None` lets all succeed again.
pub(crate) fn fail_after(count: Option<u64>) {
    HEAP.0.with(|state| state.fails_after = count);
}

// SAFETY: blocks are disjoint ranges of the area, at multiples of their size, at least as large as asked for; the methods do
// not unwind (nothing does).
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class_of(layout) else { return null_mut() };
        self.0.with(|state| state.take(class))
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(class) = class_of(layout) {
            // SAFETY: the caller gives back a block of this heap with the layout it was made for.
            self.0.with(|state| unsafe { state.give(block, class) });
        }
    }
}

impl State {
    fn take(&mut self, class: u32) -> *mut u8 {
        if let Some(left) = &mut self.fails_after {
            let Some(fewer) = left.checked_sub(1) else { return null_mut() };
            *left = fewer;
        }
        let size = 1 << class;
        let free = self.free[class as usize];
        let block = if free.is_null() {
            self.carve(size)
        } else {
            // SAFETY: a block on a list holds what `give` wrote there.
            self.free[class as usize] = unsafe { (*free).next };
            free.cast::<u8>()
        };
        if !block.is_null() {
            self.live += size;
        }
        block
    }

    /// Cuts a new block from the area, or none.
    fn carve(&mut self, size: usize) -> *mut u8 {
        let base = AREA.0.get().cast::<u8>();
        let gap = base.addr().wrapping_add(self.used).wrapping_neg() & (size - 1);
        match self.used.checked_add(gap).and_then(|start| Some((start, start.checked_add(size)?))) {
            Some((start, end)) if end <= HEAP_BYTES => {
                self.used = end;
                base.wrapping_add(start)
            }
            _ => null_mut(),
        }
    }

    /// Puts a block on the list of its size.
    ///
    /// # Safety
    ///
    /// `block` was taken with this class and is used by nobody.
    unsafe fn give(&mut self, block: *mut u8, class: u32) {
        #[expect(clippy::cast_ptr_alignment, reason = "a block lies at a multiple of its size, at least 16")]
        let free = block.cast::<Free>();
        // SAFETY: the block is ours again by the caller's word, and large enough and aligned for a `Free`.
        unsafe { free.write(Free { next: self.free[class as usize] }) };
        self.free[class as usize] = free;
        self.live -= 1 << class;
    }
}

/// The logarithm of the block size for a layout; none if no block is that large.
fn class_of(layout: Layout) -> Option<u32> {
    let size = layout.size().max(layout.align()).max(1 << SMALLEST_LOG2);
    (size <= HEAP_BYTES).then(|| size.next_power_of_two().trailing_zeros())
}
