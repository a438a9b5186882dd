//! Memory for machine code.

use crate::Host;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Is memory for machine code, as a [`Code`] gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawCode {
    /// Holds the address of the first byte, a multiple of 64.
    pub base: NonNull<u8>,
    /// Counts the bytes.
    pub len: usize,
}

/// Gives memory for machine code: written while it is staged, executed once it is published, never both.
///
/// # Safety
/// What [`stage`](Code::stage) gives must be writable memory of that length, for whoever asked alone, until
/// [`free`](Code::free). Once [`publish`](Code::publish) has said that it worked, every processor may execute it as it was
/// written last, until then.
pub unsafe trait Code: Send + Sync {
    /// Gives memory to write code to.
    fn stage(&self, len: usize) -> Option<RawCode>;

    /// Lets code be executed, and no longer be written; says whether that worked.
    ///
    /// # Safety
    /// `code` came from this host, and nobody writes it any more.
    unsafe fn publish(&self, code: &RawCode) -> bool;

    /// Takes memory back.
    ///
    /// # Safety
    /// `code` came from this host, nobody executes it, and nobody will.
    unsafe fn free(&self, code: RawCode);

    /// Calls `call`, once, for machine code that waits for it. Through that code nothing may unwind: where panics can be caught, one
    /// is, and what is given then is called when the code has returned, to go on with it.
    ///
    /// Without more knowledge of the system than this crate has, a panic ends the process.
    fn shield(&self, call: &mut dyn FnMut()) -> Option<Panicked> {
        call();
        None
    }
}

/// Is the memory for machine code of a host that is held as long as there is code.
#[derive(Clone)]
pub struct HostCode(Arc<dyn Host>);

impl HostCode {
    /// Holds a host that has such memory.
    pub fn new(host: &Arc<dyn Host>) -> Option<HostCode> {
        host.code()?;
        Some(HostCode(Arc::clone(host)))
    }
}

impl fmt::Debug for HostCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostCode")
    }
}

// SAFETY: the host's own, by the same promises. Should the host have none any more, nothing is given, published or freed.
unsafe impl Code for HostCode {
    fn stage(&self, len: usize) -> Option<RawCode> {
        self.0.code()?.stage(len)
    }

    unsafe fn publish(&self, code: &RawCode) -> bool {
        // SAFETY: the caller's promise.
        self.0.code().is_some_and(|host| unsafe { host.publish(code) })
    }

    unsafe fn free(&self, code: RawCode) {
        if let Some(host) = self.0.code() {
            // SAFETY: the caller's promise.
            unsafe { host.free(code) };
        }
    }

    fn shield(&self, call: &mut dyn FnMut()) -> Option<Panicked> {
        match self.0.code() {
            Some(host) => host.shield(call),
            None => {
                call();
                None
            }
        }
    }
}

/// Goes on with a panic that was caught.
pub type Panicked = Box<dyn FnOnce()>;

// SAFETY: the same memory, by the same promises.
unsafe impl<T: Code + ?Sized> Code for &T {
    fn stage(&self, len: usize) -> Option<RawCode> {
        T::stage(self, len)
    }

    unsafe fn publish(&self, code: &RawCode) -> bool {
        // SAFETY: the caller's promise.
        unsafe { T::publish(self, code) }
    }

    unsafe fn free(&self, code: RawCode) {
        // SAFETY: the caller's promise.
        unsafe { T::free(self, code) }
    }

    fn shield(&self, call: &mut dyn FnMut()) -> Option<Panicked> {
        T::shield(self, call)
    }
}

/// Gives pieces of one buffer that can be executed already, for systems that do not protect memory. What is freed is not
/// given again.
#[derive(Debug)]
pub struct CodeBuffer {
    base: NonNull<u8>,
    len: usize,
    used: AtomicUsize,
}

/// Is what every piece starts at a multiple of.
const ALIGN: usize = 64;

impl CodeBuffer {
    /// Makes one of memory that may be written and executed.
    ///
    /// # Safety
    /// The memory must be there, writable and executable, for this buffer alone, as long as the buffer or a program made of
    /// it is; and the processor must execute what was written without being told.
    pub const unsafe fn new(base: NonNull<u8>, len: usize) -> CodeBuffer {
        CodeBuffer { base, len, used: AtomicUsize::new(0) }
    }
}

// SAFETY: the buffer is its own memory, handed out piece by piece; `used` is atomic.
unsafe impl Send for CodeBuffer {}
// SAFETY: as above.
unsafe impl Sync for CodeBuffer {}

// SAFETY: pieces do not overlap, as `used` only grows, and lie in memory that `new` was promised.
unsafe impl Code for CodeBuffer {
    fn stage(&self, len: usize) -> Option<RawCode> {
        let start = |used: usize| {
            let address = self.base.as_ptr().addr().checked_add(used)?.checked_next_multiple_of(ALIGN)?;
            Some(address - self.base.as_ptr().addr())
        };
        let end = |used| start(used)?.checked_add(len).filter(|end| *end <= self.len);
        let used = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, end).ok()?;
        // SAFETY: within the buffer, as `end` has found.
        let base = unsafe { self.base.add(start(used)?) };
        Some(RawCode { base, len })
    }

    unsafe fn publish(&self, _: &RawCode) -> bool {
        true
    }

    unsafe fn free(&self, _: RawCode) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn pieces_of_a_buffer_are_aligned_and_apart() {
        let mut memory = vec![0u8; 1000];
        let base = NonNull::new(memory.as_mut_ptr()).unwrap();
        // SAFETY: nothing is executed here.
        let buffer = unsafe { CodeBuffer::new(base, memory.len()) };
        let pieces: Vec<RawCode> =
            [1, 64, 65, 300].into_iter().map(|len| buffer.stage(len).unwrap()).collect();
        let mut last = base.as_ptr().addr();
        for piece in pieces {
            let start = piece.base.as_ptr().addr();
            assert_eq!(start % ALIGN, 0);
            assert!(start >= last && start < last + ALIGN);
            last = start + piece.len;
        }
        assert!(last <= base.as_ptr().addr() + 1000);
        assert_eq!(buffer.stage(600), None);
        assert_eq!(buffer.stage(usize::MAX), None);
    }
}
