//! Pages for machine code in tests, on Linux for x86-64: writable first, executable then.

use crate::{Code, Panicked, RawCode};
use core::ffi::{c_int, c_void};
use core::ptr::{self, NonNull};
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Gives fresh pages of the process for each piece of code.
#[derive(Clone, Copy, Debug, Default)]
pub struct TestCode;

const READ: c_int = 1;
const WRITE: c_int = 2;
const EXECUTE: c_int = 4;
const PRIVATE_ANONYMOUS: c_int = 0x22;

// Three calls of the C library that std links anyway; this crate may use no other.
// SAFETY: declared as in sys/mman.h, where `off_t` has 64 bits on the systems that this is built for.
unsafe extern "C" {
    fn mmap(at: *mut c_void, len: usize, prot: c_int, flags: c_int, fd: c_int, offset: i64) -> *mut c_void;
    fn mprotect(at: *mut c_void, len: usize, prot: c_int) -> c_int;
    fn munmap(at: *mut c_void, len: usize) -> c_int;
}

// SAFETY: each piece is a fresh private mapping that stays until `free`, and is not writable once it is executable.
unsafe impl Code for TestCode {
    fn stage(&self, len: usize) -> Option<RawCode> {
        let len = len.max(1);
        // SAFETY: a fresh mapping, wherever there is room.
        let base = unsafe { mmap(ptr::null_mut(), len, READ | WRITE, PRIVATE_ANONYMOUS, -1, 0) };
        let base = NonNull::new(base.cast::<u8>()).filter(|base| base.as_ptr().addr() != usize::MAX)?;
        Some(RawCode { base, len })
    }

    unsafe fn publish(&self, code: &RawCode) -> bool {
        // SAFETY: the mapping is from `stage`, and nobody writes it any more.
        unsafe { mprotect(code.base.as_ptr().cast(), code.len, READ | EXECUTE) == 0 }
    }

    unsafe fn free(&self, code: RawCode) {
        // SAFETY: the mapping is from `stage`, and nobody reaches it any more.
        let _ = unsafe { munmap(code.base.as_ptr().cast(), code.len) };
    }

    fn shield(&self, call: &mut dyn FnMut()) -> Option<Panicked> {
        // Whoever goes on with the panic sees what it has left half done, as behind any panic.
        let payload = catch_unwind(AssertUnwindSafe(call)).err()?;
        Some(Box::new(|| resume_unwind(payload)))
    }
}
