//! Accesses to program memory by address: relaxed atomics where they are aligned, and never a reference.

use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};
use skep_ir::arith;
use skep_isa::{AtomicOp, LoadKind, Size};

macro_rules! accesses {
    ($load:ident, $store:ident, $atomic:ident, $int:ident) => {
        /// Reads one integer.
        ///
        /// # Safety
        /// The bytes must be mapped, and accessed by nobody but atomically.
        #[inline(always)]
        unsafe fn $load(address: usize) -> $int {
            let at = with_exposed_provenance::<$int>(address);
            if at.is_aligned() {
                // SAFETY: aligned; the rest is the caller's promise.
                let cell = unsafe { $atomic::from_ptr(at.cast_mut()) };
                return cell.load(Ordering::Relaxed);
            }
            let mut bytes = [0u8; size_of::<$int>()];
            for (offset, byte) in bytes.iter_mut().enumerate() {
                // SAFETY: one of the bytes that the caller promises.
                *byte = unsafe { load_byte(address.wrapping_add(offset)) };
            }
            $int::from_ne_bytes(bytes)
        }

        /// Writes one integer.
        ///
        /// # Safety
        /// The bytes must be mapped for writing, and accessed by nobody but atomically.
        #[inline(always)]
        unsafe fn $store(address: usize, value: $int) {
            let at = with_exposed_provenance_mut::<$int>(address);
            if at.is_aligned() {
                // SAFETY: aligned; the rest is the caller's promise.
                let cell = unsafe { $atomic::from_ptr(at) };
                cell.store(value, Ordering::Relaxed);
                return;
            }
            for (offset, byte) in value.to_ne_bytes().into_iter().enumerate() {
                // SAFETY: one of the bytes that the caller promises.
                unsafe { store_byte(address.wrapping_add(offset), byte) };
            }
        }
    };
}

/// Reads one byte.
///
/// # Safety
/// The byte must be mapped, and accessed by nobody but atomically.
#[inline(always)]
unsafe fn load_byte(address: usize) -> u8 {
    // SAFETY: the caller's promise; bytes are always aligned.
    let cell = unsafe { AtomicU8::from_ptr(with_exposed_provenance_mut(address)) };
    cell.load(Ordering::Relaxed)
}

/// Writes one byte.
///
/// # Safety
/// The byte must be mapped for writing, and accessed by nobody but atomically.
#[inline(always)]
unsafe fn store_byte(address: usize, value: u8) {
    // SAFETY: the caller's promise; bytes are always aligned.
    let cell = unsafe { AtomicU8::from_ptr(with_exposed_provenance_mut(address)) };
    cell.store(value, Ordering::Relaxed);
}

accesses!(load_u16, store_u16, AtomicU16, u16);
accesses!(load_u32, store_u32, AtomicU32, u32);
accesses!(load_u64, store_u64, AtomicU64, u64);

/// Reads and extends.
///
/// # Safety
/// The bytes must be mapped, and accessed by nobody but atomically.
#[inline(always)]
pub(crate) unsafe fn load(address: usize, kind: LoadKind) -> u64 {
    let raw = match kind.size() {
        // SAFETY: the caller's promise.
        Size::B => u64::from(unsafe { load_byte(address) }),
        // SAFETY: the caller's promise.
        Size::H => u64::from(unsafe { load_u16(address) }),
        // SAFETY: the caller's promise.
        Size::W => u64::from(unsafe { load_u32(address) }),
        // SAFETY: the caller's promise.
        Size::Dw => unsafe { load_u64(address) },
    };
    arith::extend(kind, raw)
}

/// Writes the low bytes of a value.
///
/// # Safety
/// The bytes must be mapped for writing, and accessed by nobody but atomically.
#[inline(always)]
pub(crate) unsafe fn store(address: usize, size: Size, value: u64) {
    match size {
        // SAFETY: the caller's promise.
        Size::B => unsafe { store_byte(address, value as u8) },
        // SAFETY: the caller's promise.
        Size::H => unsafe { store_u16(address, value as u16) },
        // SAFETY: the caller's promise.
        Size::W => unsafe { store_u32(address, value as u32) },
        // SAFETY: the caller's promise.
        Size::Dw => unsafe { store_u64(address, value) },
    }
}

macro_rules! change {
    ($cell:expr, $op:expr, $src:expr) => {
        match $op {
            AtomicOp::Add | AtomicOp::FetchAdd => $cell.fetch_add($src, Ordering::SeqCst),
            AtomicOp::Or | AtomicOp::FetchOr => $cell.fetch_or($src, Ordering::SeqCst),
            AtomicOp::And | AtomicOp::FetchAnd => $cell.fetch_and($src, Ordering::SeqCst),
            AtomicOp::Xor | AtomicOp::FetchXor => $cell.fetch_xor($src, Ordering::SeqCst),
            AtomicOp::Xchg | AtomicOp::Cmpxchg => $cell.swap($src, Ordering::SeqCst),
        }
    };
}

/// Changes 32 bits atomically, and gives what was there.
///
/// # Safety
/// The bytes must be mapped for writing, aligned to 4, and accessed by nobody but atomically.
pub(crate) unsafe fn atomic32(address: usize, op: AtomicOp, src: u32) -> u64 {
    // SAFETY: the caller's promise.
    let cell = unsafe { AtomicU32::from_ptr(with_exposed_provenance_mut(address)) };
    u64::from(change!(cell, op, src))
}

/// Changes 64 bits atomically, and gives what was there.
///
/// # Safety
/// The bytes must be mapped for writing, aligned to 8, and accessed by nobody but atomically.
pub(crate) unsafe fn atomic64(address: usize, op: AtomicOp, src: u64) -> u64 {
    // SAFETY: the caller's promise.
    let cell = unsafe { AtomicU64::from_ptr(with_exposed_provenance_mut(address)) };
    change!(cell, op, src)
}

/// Stores `src` where 32 bits equal `expected`, and gives what was there.
///
/// # Safety
/// The bytes must be mapped for writing, aligned to 4, and accessed by nobody but atomically.
pub(crate) unsafe fn cmpxchg32(address: usize, expected: u32, src: u32) -> u64 {
    // SAFETY: the caller's promise.
    let cell = unsafe { AtomicU32::from_ptr(with_exposed_provenance_mut(address)) };
    let (Ok(old) | Err(old)) = cell.compare_exchange(expected, src, Ordering::SeqCst, Ordering::SeqCst);
    u64::from(old)
}

/// Stores `src` where 64 bits equal `expected`, and gives what was there.
///
/// # Safety
/// The bytes must be mapped for writing, aligned to 8, and accessed by nobody but atomically.
pub(crate) unsafe fn cmpxchg64(address: usize, expected: u64, src: u64) -> u64 {
    // SAFETY: the caller's promise.
    let cell = unsafe { AtomicU64::from_ptr(with_exposed_provenance_mut(address)) };
    let (Ok(old) | Err(old)) = cell.compare_exchange(expected, src, Ordering::SeqCst, Ordering::SeqCst);
    old
}

/// Keeps later accesses behind a load.
pub(crate) fn acquire() {
    core::sync::atomic::fence(Ordering::Acquire);
}

/// Keeps earlier accesses before a store.
pub(crate) fn release() {
    core::sync::atomic::fence(Ordering::Release);
}

/// Fills with zeroes.
///
/// # Safety
/// The bytes must be mapped for writing, and accessed by nobody else meanwhile.
pub(crate) unsafe fn zero(address: usize, bytes: usize) {
    let at = with_exposed_provenance_mut::<u8>(address);
    // SAFETY: the caller's promise.
    unsafe { at.write_bytes(0, bytes) };
}
