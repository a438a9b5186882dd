//! Pages for machine code: writable first, executable then, never both.
//!
//! Most programs fit into one page. Such pages come several at a time, and those of dropped programs serve later ones: a
//! mapping, its first touch and its end cost more than compiling a small program. What waits to be used is writable and not
//! executable, and holds nothing but breakpoints or zeros.

use rustix::io;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use skep_mem::{Code, Panicked, RawCode};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::{self, NonNull};
use std::sync::{Mutex, PoisonError};

/// Gives pages of the process for machine code. It holds nothing itself: any two are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodePages;

/// Counts the pages that are mapped at once where none waits.
const BATCH: usize = 8;
/// Bounds the pages that wait; further ones go back to the system.
const MOST: usize = 2 * BATCH;
/// Is an instruction that stops whoever executes it (`int3`, Intel SDM vol. 2).
const BREAKPOINT: u8 = 0xcc;

/// Is a page that is writable and that nobody has.
struct Page(NonNull<u8>);

// SAFETY: nobody else has it, whichever thread takes it.
unsafe impl Send for Page {}

/// Holds the pages that wait, those of the whole process as its mappings are.
static WAITING: Mutex<Vec<Page>> = Mutex::new(Vec::new());

/// Maps fresh memory, writable; its pages are there from the start where the system can do that.
fn map(len: usize) -> Option<NonNull<u8>> {
    #[cfg(target_os = "linux")]
    const FLAGS: MapFlags = MapFlags::PRIVATE.union(MapFlags::POPULATE);
    #[cfg(not(target_os = "linux"))]
    const FLAGS: MapFlags = MapFlags::PRIVATE;
    // SAFETY: a fresh mapping, wherever there is room.
    let base = unsafe { mmap_anonymous(ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, FLAGS) };
    NonNull::new(base.ok()?.cast())
}

/// Takes a page that waits, or maps some.
fn take(page: usize) -> Option<NonNull<u8>> {
    let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(Page(base)) = waiting.pop() {
        return Some(base);
    }
    waiting.try_reserve(BATCH).ok()?;
    let first = map(page * BATCH)?;
    // Only as offsets within the mapping, none of which is past its end.
    let other = |number: usize| NonNull::new(first.as_ptr().wrapping_add(page * number)).map(Page);
    waiting.extend((1..BATCH).rev().filter_map(other));
    Some(first)
}

/// Lets a page wait that is no longer executed; says whether there was room.
///
/// # Safety
/// The page is of this module, and nobody reaches it.
unsafe fn keep(base: NonNull<u8>, page: usize) -> io::Result<bool> {
    let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    if waiting.len() >= MOST || waiting.try_reserve(1).is_err() {
        return Ok(false);
    }
    // SAFETY: the page is mapped, and nobody executes it.
    unsafe { mprotect(base.as_ptr().cast(), page, MprotectFlags::READ | MprotectFlags::WRITE) }?;
    // SAFETY: it is writable now, all of it.
    unsafe { base.as_ptr().write_bytes(BREAKPOINT, page) };
    waiting.push(Page(base));
    Ok(true)
}

// SAFETY: each piece is whole pages that nobody else has until `free`; when it becomes executable, it can no longer be written,
// and the other way round. On x86-64 a processor executes what any has written: where a page was executed before, it has been
// made not executable since, for which the system interrupts the processors that might still have it.
unsafe impl Code for CodePages {
    fn stage(&self, len: usize) -> Option<RawCode> {
        let page = rustix::param::page_size();
        let len = len.max(1).checked_next_multiple_of(page)?;
        let base = if len == page { take(page) } else { map(len) }?;
        Some(RawCode { base, len })
    }

    unsafe fn publish(&self, code: &RawCode) -> bool {
        let access = MprotectFlags::READ | MprotectFlags::EXEC;
        // SAFETY: these pages are the caller's, who does not write them any more.
        unsafe { mprotect(code.base.as_ptr().cast(), code.len, access) }.is_ok()
    }

    unsafe fn free(&self, code: RawCode) {
        if code.len == rustix::param::page_size() {
            // SAFETY: the caller's promise.
            if let Ok(true) = unsafe { keep(code.base, code.len) } {
                return;
            }
        }
        // SAFETY: these pages are the caller's, and nobody reaches them any more.
        let _ = unsafe { munmap(code.base.as_ptr().cast(), code.len) };
    }

    fn shield(&self, call: &mut dyn FnMut()) -> Option<Panicked> {
        // Whoever goes on with the panic sees what it has left half done, as behind any panic.
        let payload = catch_unwind(AssertUnwindSafe(call)).err()?;
        Some(Box::new(|| resume_unwind(payload)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_leaves_nothing_to_execute() {
        let page = rustix::param::page_size();
        for _ in 0..3 * MOST {
            let codes: Vec<RawCode> = (0..MOST + 3).filter_map(|_| CodePages.stage(page)).collect();
            assert_eq!(codes.len(), MOST + 3);
            for (number, code) in codes.iter().enumerate() {
                assert!(codes[..number].iter().all(|other| other.base != code.base), "one page twice");
                for at in [0, page - 1] {
                    // SAFETY: staged memory of a page.
                    let byte = unsafe { code.base.as_ptr().wrapping_add(at).read() };
                    assert!(byte == 0 || byte == BREAKPOINT, "{byte:#x} of an earlier program");
                    // SAFETY: as above, and it is writable.
                    unsafe { code.base.as_ptr().wrapping_add(at).write(0xc3) };
                }
                // SAFETY: from here, and nobody writes it.
                assert!(unsafe { CodePages.publish(code) });
            }
            for code in codes {
                // SAFETY: from here, and nobody executes it.
                unsafe { CodePages.free(code) };
            }
        }
        assert!(WAITING.lock().unwrap().len() <= MOST);
    }
}
