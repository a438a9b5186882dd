//! Pages for machine code: writable first, executable then, never both.

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use skep_mem::{Code, Panicked, RawCode};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::{self, NonNull};

/// Gives pages of the process for machine code. It holds nothing itself: any two are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodePages;

// SAFETY: each piece is a fresh private mapping of whole pages, which stays until `free`; when it becomes executable, it can
// no longer be written. On x86-64 a processor executes what any has written.
unsafe impl Code for CodePages {
    fn stage(&self, len: usize) -> Option<RawCode> {
        let len = len.max(1).checked_next_multiple_of(rustix::param::page_size())?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh mapping, wherever there is room.
        let base = unsafe { mmap_anonymous(ptr::null_mut(), len, access, MapFlags::PRIVATE) }.ok()?;
        Some(RawCode { base: NonNull::new(base.cast())?, len })
    }

    unsafe fn publish(&self, code: &RawCode) -> bool {
        let access = MprotectFlags::READ | MprotectFlags::EXEC;
        // SAFETY: the mapping is whole, and nobody writes it any more.
        unsafe { mprotect(code.base.as_ptr().cast(), code.len, access) }.is_ok()
    }

    unsafe fn free(&self, code: RawCode) {
        // SAFETY: the mapping is whole, and nobody reaches it any more.
        let _ = unsafe { munmap(code.base.as_ptr().cast(), code.len) };
    }

    fn shield(&self, call: &mut dyn FnMut()) -> Option<Panicked> {
        // Whoever goes on with the panic sees what it has left half done, as behind any panic.
        let payload = catch_unwind(AssertUnwindSafe(call)).err()?;
        Some(Box::new(|| resume_unwind(payload)))
    }
}
