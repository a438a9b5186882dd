//! An allocator that refuses the nth request of a thread, and counts what threads hold.

use core::alloc::{GlobalAlloc, Layout};
use std::alloc::System;
use std::cell::Cell;
use std::thread_local;

thread_local! {
    static BEFORE_FAILURE: Cell<Option<usize>> = const { Cell::new(None) };
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, but for the one request that [`fail_nth`] has chosen.
///
/// A test binary makes it its global allocator: `#[global_allocator] static ALLOC: FailingAlloc = FailingAlloc;`.
#[derive(Debug)]
pub struct FailingAlloc;

/// Runs `work` with this thread's `nth` allocation (from 0) refused, once; gives its result, and whether there was
/// an `nth` allocation at all. A test raises `nth` until there is not.
pub fn fail_nth<R>(nth: usize, work: impl FnOnce() -> R) -> (R, bool) {
    BEFORE_FAILURE.set(Some(nth));
    let result = work();
    let reached = BEFORE_FAILURE.replace(None).is_none();
    (result, reached)
}

/// Gives the bytes that this thread has allocated less those that it has freed.
pub fn live_bytes() -> isize {
    LIVE.get()
}

fn refuses() -> bool {
    let refused = BEFORE_FAILURE.try_with(|left| match left.get() {
        Some(0) => {
            left.set(None);
            true
        }
        Some(n) => {
            left.set(Some(n - 1));
            false
        }
        None => false,
    });
    refused.unwrap_or(false)
}

fn count(change: isize) {
    // A thread that ends frees after its thread-locals are gone; nobody asks it any more.
    let _ = LIVE.try_with(|live| live.set(live.get() + change));
}

fn counted(memory: *mut u8, size: usize) -> *mut u8 {
    if !memory.is_null() {
        count(size as isize);
    }
    memory
}

// SAFETY: every request goes to the system's allocator unchanged, or is refused.
unsafe impl GlobalAlloc for FailingAlloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if refuses() {
            return core::ptr::null_mut();
        }
        // SAFETY: the caller's contract is the same.
        counted(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if refuses() {
            return core::ptr::null_mut();
        }
        // SAFETY: the caller's contract is the same.
        counted(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's contract is the same.
        unsafe { System.dealloc(memory, layout) };
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if refuses() {
            return core::ptr::null_mut();
        }
        // SAFETY: the caller's contract is the same.
        let grown = unsafe { System.realloc(memory, layout, size) };
        if !grown.is_null() {
            count(size as isize - layout.size() as isize);
        }
        grown
    }
}
