//! The functions that the compiler calls to move memory, which a C library would bring; and those it names but never
//! calls, because nothing here unwinds.
//!
//! Loops written in Rust could be compiled into calls of these very functions, hence string instructions.

use crate::machine::{End, end};
use core::arch::asm;

/// Copies `len` bytes.
///
/// # Safety
///
/// As C's `memcpy`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    // SAFETY: the caller says that both ranges are valid; the direction flag is clear in all Rust code.
    unsafe {
        asm!("rep movsb", inout("rcx") len => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack, preserves_flags));
    }
    to
}

/// Copies `len` bytes between ranges that may overlap.
///
/// # Safety
///
/// As C's `memmove`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    let distance = to.addr().wrapping_sub(from.addr());
    if distance >= len {
        // SAFETY: `to` is not within the range after `from`, so copying upwards reads each byte before it is written.
        return unsafe { memcpy(to, from, len) };
    }
    let (last_to, last_from) = (to.wrapping_add(len - 1), from.wrapping_add(len - 1));
    // SAFETY: the caller says that both ranges are valid; downwards, each byte is read before it is written, and the
    // direction flag is clear again at the end. `len` is more than the distance, so not zero.
    unsafe {
        asm!("std", "rep movsb", "cld", inout("rcx") len => _, inout("rdi") last_to => _, inout("rsi") last_from => _, options(nostack));
    }
    to
}

/// Fills `len` bytes.
///
/// # Safety
///
/// As C's `memset`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, value: i32, len: usize) -> *mut u8 {
    // SAFETY: the caller says that the range is valid; the direction flag is clear. C takes the value's low byte.
    unsafe {
        asm!("rep stosb", inout("rcx") len => _, inout("rdi") to => _, in("al") value as u8, options(nostack, preserves_flags));
    }
    to
}

/// Compares `len` bytes.
///
/// # Safety
///
/// As C's `memcmp`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, len: usize) -> i32 {
    for index in 0..len {
        // SAFETY: the caller says that `len` bytes can be read.
        let left = unsafe { left.wrapping_add(index).read_volatile() };
        // SAFETY: as above.
        let right = unsafe { right.wrapping_add(index).read_volatile() };
        if left != right {
            return i32::from(left) - i32::from(right);
        }
    }
    0
}

/// Compares `len` bytes for equality.
///
/// # Safety
///
/// As BSD's `bcmp`.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, len: usize) -> i32 {
    // SAFETY: the caller says that `len` bytes can be read.
    unsafe { memcmp(left, right, len) }
}

/// Counts the bytes of a string before its NUL.
///
/// # Safety
///
/// As C's `strlen`.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut len = 0;
    // SAFETY: the caller says that the bytes can be read up to the NUL.
    while unsafe { text.wrapping_add(len).read_volatile() } != 0 {
        len += 1;
    }
    len
}

/// Named by the landing pads in the compiled `alloc`; a panic aborts, so none is ever entered.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() -> ! {
    end(End::Badly)
}

/// As [`rust_eh_personality`].
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    end(End::Badly)
}
