//! What the heap holds, by the same measure for all loaders: this program's own `malloc` stands in front of the C library's,
//! which Rust's allocator, libbpf and libelf all call.

use libc::{c_int, c_void, size_t};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};

// SAFETY: glibc has these beside the functions of C17, 7.22.3, and of the same types (malloc/malloc.c); `memalign` is in <malloc.h>.
unsafe extern "C" {
    fn __libc_malloc(size: size_t) -> *mut c_void;
    fn __libc_calloc(count: size_t, size: size_t) -> *mut c_void;
    fn __libc_realloc(at: *mut c_void, size: size_t) -> *mut c_void;
    fn __libc_memalign(align: size_t, size: size_t) -> *mut c_void;
    fn __libc_free(at: *mut c_void);
}

static COUNTS: AtomicBool = AtomicBool::new(false);
static NOW: AtomicIsize = AtomicIsize::new(0);
static MOST: AtomicIsize = AtomicIsize::new(0);

/// Begins to count, from nothing.
pub(crate) fn begin() {
    NOW.store(0, Ordering::Relaxed);
    MOST.store(0, Ordering::Relaxed);
    COUNTS.store(true, Ordering::Relaxed);
}

/// Bytes that are held now, of what was asked for since the beginning.
pub(crate) fn now() -> u64 {
    NOW.load(Ordering::Relaxed).try_into().unwrap_or(0)
}

/// Ends counting, and tells the most bytes that were held at once.
pub(crate) fn end() -> u64 {
    COUNTS.store(false, Ordering::Relaxed);
    MOST.load(Ordering::Relaxed).try_into().unwrap_or(0)
}

/// The bytes at an address, where they are counted.
fn size(at: *mut c_void) -> isize {
    match COUNTS.load(Ordering::Relaxed) {
        // SAFETY: null, or what the C library has just given or is about to take back.
        true => unsafe { libc::malloc_usable_size(at) as isize },
        false => 0,
    }
}

fn note(change: isize) {
    if change != 0 {
        let now = NOW.fetch_add(change, Ordering::Relaxed) + change;
        MOST.fetch_max(now, Ordering::Relaxed);
    }
}

/// As the C library's.
///
/// # Safety
/// As for the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn malloc(bytes: size_t) -> *mut c_void {
    // SAFETY: any size may be asked for.
    let at = unsafe { __libc_malloc(bytes) };
    note(size(at));
    at
}

/// As the C library's.
///
/// # Safety
/// As for the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn calloc(count: size_t, bytes: size_t) -> *mut c_void {
    // SAFETY: any size may be asked for.
    let at = unsafe { __libc_calloc(count, bytes) };
    note(size(at));
    at
}

/// As the C library's.
///
/// # Safety
/// As for the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn realloc(at: *mut c_void, bytes: size_t) -> *mut c_void {
    let before = size(at);
    // SAFETY: the caller promises that it may be given back.
    let new = unsafe { __libc_realloc(at, bytes) };
    if !new.is_null() || bytes == 0 {
        note(size(new) - before);
    }
    new
}

/// As the C library's.
///
/// # Safety
/// As for the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn posix_memalign(out: *mut *mut c_void, align: size_t, bytes: size_t) -> c_int {
    // SAFETY: any size and alignment may be asked for.
    let at = unsafe { __libc_memalign(align, bytes) };
    if at.is_null() {
        return libc::ENOMEM;
    }
    note(size(at));
    // SAFETY: the caller promises a place for the address.
    unsafe { ptr::write(out, at) };
    0
}

/// As the C library's.
///
/// # Safety
/// As for the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn free(at: *mut c_void) {
    note(-size(at));
    // SAFETY: the caller promises that it may be given back.
    unsafe { __libc_free(at) }
}
