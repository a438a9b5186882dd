//! The view of shared memory: copies and relaxed atomics by width, never a reference.

use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// The width of one access in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Width {
    /// One byte.
    B1,
    /// Two bytes.
    B2,
    /// Four bytes.
    B4,
    /// Eight bytes.
    B8,
}

impl Width {
    /// Gives the number of bytes.
    #[inline]
    pub const fn bytes(self) -> usize {
        match self {
            Width::B1 => 1,
            Width::B2 => 2,
            Width::B4 => 4,
            Width::B8 => 8,
        }
    }

    /// Finds the width that has `bytes` bytes, if there is one.
    #[inline]
    pub const fn from_bytes(bytes: usize) -> Option<Width> {
        match bytes {
            1 => Some(Width::B1),
            2 => Some(Width::B2),
            4 => Some(Width::B4),
            8 => Some(Width::B8),
            _ => None,
        }
    }
}

/// An access that does not lie inside its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfBounds {
    /// Offset of the first byte wanted.
    pub offset: usize,
    /// Number of bytes wanted.
    pub wanted: usize,
    /// Number of bytes there are.
    pub size: usize,
}

impl fmt::Display for OutOfBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes at offset {} do not lie in the {} bytes there are",
            self.wanted, self.offset, self.size
        )
    }
}

impl core::error::Error for OutOfBounds {}

/// Shared memory of a known length, for `'a`.
///
/// Every access is a relaxed atomic of the widest aligned unit, so an aligned access of 1, 2, 4 or 8 bytes never
/// tears and a race with other CPUs is not undefined behaviour. Unaligned accesses and bulk copies may tear between
/// their units. All integers are in the machine's byte order.
#[derive(Clone, Copy)]
pub struct Bytes<'a> {
    base: NonNull<u8>,
    len: usize,
    life: PhantomData<&'a [AtomicU8]>,
}

// SAFETY: every access goes through atomics, so sharing and sending the view is what it is for.
unsafe impl Send for Bytes<'_> {}
// SAFETY: as for Send.
unsafe impl Sync for Bytes<'_> {}

impl fmt::Debug for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({} bytes)", self.len)
    }
}

macro_rules! scalar_access {
    ($atomic:ident, $int:ident, $load:ident, $store:ident) => {
        /// Loads one integer, in one piece where it is aligned.
        #[inline]
        pub fn $load(self, offset: usize) -> Result<$int, OutOfBounds> {
            let at = self.at(offset, size_of::<$int>())?;
            if at.cast::<$int>().is_aligned() {
                // SAFETY: `at` is in bounds and aligned; the memory lives for 'a and is accessed atomically only.
                let cell = unsafe { at.cast::<$atomic>().as_ref() };
                return Ok(cell.load(Ordering::Relaxed));
            }
            let mut bytes = [0; size_of::<$int>()];
            self.copy_out(offset, &mut bytes)?;
            Ok($int::from_ne_bytes(bytes))
        }

        /// Stores one integer, in one piece where it is aligned.
        #[inline]
        pub fn $store(self, offset: usize, value: $int) -> Result<(), OutOfBounds> {
            let at = self.at(offset, size_of::<$int>())?;
            if at.cast::<$int>().is_aligned() {
                // SAFETY: `at` is in bounds and aligned; the memory lives for 'a and is accessed atomically only.
                let cell = unsafe { at.cast::<$atomic>().as_ref() };
                cell.store(value, Ordering::Relaxed);
                return Ok(());
            }
            self.copy_in(offset, &value.to_ne_bytes())
        }
    };
}

impl<'a> Bytes<'a> {
    /// Makes a view of `len` bytes at `base`.
    ///
    /// # Safety
    /// For all of `'a` the bytes must be mapped for reading and writing, and nobody may hold a Rust reference to
    /// them other than to atomics.
    #[inline]
    pub const unsafe fn from_raw(base: NonNull<u8>, len: usize) -> Bytes<'a> {
        Bytes { base, len, life: PhantomData }
    }

    /// Makes a view of a slice that is borrowed for as long.
    #[inline]
    pub fn from_mut(slice: &'a mut [u8]) -> Bytes<'a> {
        let len = slice.len();
        Bytes { base: NonNull::from(slice).cast(), len, life: PhantomData }
    }

    /// Makes the view of no bytes.
    #[inline]
    pub const fn empty() -> Bytes<'a> {
        Bytes { base: NonNull::dangling(), len: 0, life: PhantomData }
    }

    /// Gives the number of bytes.
    #[inline]
    pub const fn len(self) -> usize {
        self.len
    }

    /// Tells whether there are no bytes.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Gives the address of the first byte, as a number to compare or show.
    #[inline]
    pub fn addr(self) -> usize {
        self.base.addr().get()
    }

    /// Gives the pointer to the first byte, for engines and system calls.
    #[inline]
    pub const fn as_ptr(self) -> NonNull<u8> {
        self.base
    }

    /// Narrows the view to `len` bytes at `offset`.
    #[inline]
    pub fn slice(self, offset: usize, len: usize) -> Result<Bytes<'a>, OutOfBounds> {
        Ok(Bytes { base: self.at(offset, len)?, len, life: PhantomData })
    }

    #[inline]
    fn at(self, offset: usize, wanted: usize) -> Result<NonNull<u8>, OutOfBounds> {
        match offset.checked_add(wanted) {
            // SAFETY: offset <= end <= len, so the result stays within (or one past) the view's memory.
            Some(end) if end <= self.len => Ok(unsafe { self.base.add(offset) }),
            _ => Err(OutOfBounds { offset, wanted, size: self.len }),
        }
    }

    scalar_access!(AtomicU8, u8, load_u8, store_u8);
    scalar_access!(AtomicU16, u16, load_u16, store_u16);
    scalar_access!(AtomicU32, u32, load_u32, store_u32);
    scalar_access!(AtomicU64, u64, load_u64, store_u64);

    /// Loads `width` bytes as an integer, zero-extended.
    #[inline]
    pub fn load(self, offset: usize, width: Width) -> Result<u64, OutOfBounds> {
        match width {
            Width::B1 => self.load_u8(offset).map(u64::from),
            Width::B2 => self.load_u16(offset).map(u64::from),
            Width::B4 => self.load_u32(offset).map(u64::from),
            Width::B8 => self.load_u64(offset),
        }
    }

    /// Stores the low `width` bytes of `value`.
    #[inline]
    pub fn store(self, offset: usize, width: Width, value: u64) -> Result<(), OutOfBounds> {
        match width {
            Width::B1 => self.store_u8(offset, value as u8),
            Width::B2 => self.store_u16(offset, value as u16),
            Width::B4 => self.store_u32(offset, value as u32),
            Width::B8 => self.store_u64(offset, value),
        }
    }

    /// Lends the aligned 32-bit cell at `offset` for atomics; `None` where it is not aligned.
    ///
    /// # Errors
    /// [`OutOfBounds`] where the four bytes are not inside.
    #[inline]
    pub fn atomic_u32(self, offset: usize) -> Result<Option<&'a AtomicU32>, OutOfBounds> {
        let at = self.at(offset, 4)?.cast::<AtomicU32>();
        if !at.is_aligned() {
            return Ok(None);
        }
        // SAFETY: in bounds and aligned; lives for 'a and is accessed atomically only.
        Ok(Some(unsafe { at.as_ref() }))
    }

    /// Lends the aligned 64-bit cell at `offset` for atomics; `None` where it is not aligned.
    ///
    /// # Errors
    /// [`OutOfBounds`] where the eight bytes are not inside.
    #[inline]
    pub fn atomic_u64(self, offset: usize) -> Result<Option<&'a AtomicU64>, OutOfBounds> {
        let at = self.at(offset, 8)?.cast::<AtomicU64>();
        if !at.is_aligned() {
            return Ok(None);
        }
        // SAFETY: in bounds and aligned; lives for 'a and is accessed atomically only.
        Ok(Some(unsafe { at.as_ref() }))
    }

    /// Copies `into.len()` bytes at `offset` out.
    #[inline]
    pub fn copy_out(self, offset: usize, into: &mut [u8]) -> Result<(), OutOfBounds> {
        self.at(offset, into.len())?;
        let (head, words) = self.split(offset, into.len());
        let (first, rest) = into.split_at_mut(head);
        let (middle, last) = rest.split_at_mut(words * 8);
        self.bytes_out(offset, first);
        for (i, word) in middle.chunks_exact_mut(8).enumerate() {
            word.copy_from_slice(&self.word(offset + head + i * 8).load(Ordering::Relaxed).to_ne_bytes());
        }
        self.bytes_out(offset + head + words * 8, last);
        Ok(())
    }

    /// Copies `from` in at `offset`.
    #[inline]
    pub fn copy_in(self, offset: usize, from: &[u8]) -> Result<(), OutOfBounds> {
        self.at(offset, from.len())?;
        let (head, words) = self.split(offset, from.len());
        let (first, rest) = from.split_at(head);
        let (middle, last) = rest.split_at(words * 8);
        self.bytes_in(offset, first);
        for (i, word) in middle.chunks_exact(8).enumerate() {
            let mut value = [0; 8];
            value.copy_from_slice(word);
            self.word(offset + head + i * 8).store(u64::from_ne_bytes(value), Ordering::Relaxed);
        }
        self.bytes_in(offset + head + words * 8, last);
        Ok(())
    }

    /// Gives all of it as words of eight bytes, where it begins at a multiple of eight and consists of such words.
    #[inline]
    pub fn as_words(self) -> Option<&'a [AtomicU64]> {
        let base = self.base.cast::<AtomicU64>();
        if self.len % 8 != 0 || !base.is_aligned() {
            return None;
        }
        // SAFETY: aligned, and all of the bytes, which live for 'a and are accessed atomically only.
        Some(unsafe { core::slice::from_raw_parts(base.as_ptr(), self.len / 8) })
    }

    /// Copies all of `from` in at `offset`; where the two overlap the outcome is that of some order of byte copies.
    pub fn copy_from(self, offset: usize, from: Bytes<'_>) -> Result<(), OutOfBounds> {
        let into = self.slice(offset, from.len)?;
        if let (Some(into), Some(from)) = (into.as_words(), from.as_words()) {
            for (into, from) in into.iter().zip(from) {
                into.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            return Ok(());
        }
        let mut chunk = [0; 64];
        let mut done = 0;
        while done < from.len {
            let part = (from.len - done).min(chunk.len());
            from.copy_out(done, &mut chunk[..part])?;
            into.copy_in(done, &chunk[..part])?;
            done += part;
        }
        Ok(())
    }

    /// Moves `len` bytes from `from` to `to` within this memory, as memmove does.
    pub fn move_within(self, from: usize, to: usize, len: usize) -> Result<(), OutOfBounds> {
        self.at(from, len)?;
        self.at(to, len)?;
        for i in 0..len {
            let i = if to <= from { i } else { len - 1 - i };
            self.store_u8(to + i, self.load_u8(from + i)?)?;
        }
        Ok(())
    }

    /// Sets every byte to `value`.
    pub fn fill(self, value: u8) {
        let (head, words) = self.split(0, self.len);
        for i in 0..head {
            self.byte(i).store(value, Ordering::Relaxed);
        }
        for i in 0..words {
            self.word(head + i * 8).store(u64::from_ne_bytes([value; 8]), Ordering::Relaxed);
        }
        for i in head + words * 8..self.len {
            self.byte(i).store(value, Ordering::Relaxed);
        }
    }

    /// Tells whether the bytes equal `other`, read once each.
    pub fn eq_slice(self, other: &[u8]) -> bool {
        self.len == other.len() && {
            let mut same = true;
            let mut chunk = [0; 64];
            for (i, part) in other.chunks(chunk.len()).enumerate() {
                let read = self.copy_out(i * 64, &mut chunk[..part.len()]);
                same &= read.is_ok() && chunk[..part.len()] == *part;
            }
            same
        }
    }

    /// Splits `len` bytes at `offset` into the unaligned head and a number of aligned 8-byte words.
    #[inline]
    fn split(self, offset: usize, len: usize) -> (usize, usize) {
        let addr = self.addr() + offset;
        let head = (addr.next_multiple_of(8) - addr).min(len);
        (head, (len - head) / 8)
    }

    #[inline]
    fn byte(self, offset: usize) -> &'a AtomicU8 {
        debug_assert!(offset < self.len);
        // SAFETY: the callers above have checked that `offset` is in bounds.
        let at = unsafe { self.base.add(offset) };
        // SAFETY: in bounds, lives for 'a, accessed atomically only.
        unsafe { at.cast::<AtomicU8>().as_ref() }
    }

    #[inline]
    fn word(self, offset: usize) -> &'a AtomicU64 {
        debug_assert!(offset + 8 <= self.len && (self.addr() + offset) % 8 == 0);
        // SAFETY: the callers above have checked that the eight bytes are in bounds.
        let at = unsafe { self.base.add(offset) };
        // SAFETY: in bounds and aligned by `split`; lives for 'a, accessed atomically only.
        unsafe { at.cast::<AtomicU64>().as_ref() }
    }

    #[inline]
    fn bytes_out(self, offset: usize, into: &mut [u8]) {
        for (i, byte) in into.iter_mut().enumerate() {
            *byte = self.byte(offset + i).load(Ordering::Relaxed);
        }
    }

    #[inline]
    fn bytes_in(self, offset: usize, from: &[u8]) {
        for (i, byte) in from.iter().enumerate() {
            self.byte(offset + i).store(*byte, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_roundtrip_at_every_alignment() {
        let mut raw = [0u8; 32];
        let bytes = Bytes::from_mut(&mut raw);
        for offset in 0..16 {
            bytes.fill(0xee);
            bytes.store_u64(offset, 0x1122_3344_5566_7788).unwrap();
            assert_eq!(bytes.load_u64(offset), Ok(0x1122_3344_5566_7788));
            assert_eq!(bytes.load_u8(offset + 8), Ok(0xee));
            bytes.store_u16(offset, 0xabcd).unwrap();
            assert_eq!(bytes.load(offset, Width::B2), Ok(0xabcd));
            bytes.store(offset, Width::B4, 0xffff_ffff_0102_0304).unwrap();
            assert_eq!(bytes.load_u32(offset), Ok(0x0102_0304));
        }
    }

    #[test]
    fn every_end_is_checked() {
        let mut raw = [0u8; 16];
        let bytes = Bytes::from_mut(&mut raw);
        assert_eq!(bytes.load_u64(9), Err(OutOfBounds { offset: 9, wanted: 8, size: 16 }));
        assert!(bytes.load_u8(usize::MAX).is_err());
        assert!(bytes.slice(16, 0).is_ok());
        assert!(bytes.slice(17, 0).is_err());
        assert!(bytes.slice(1, usize::MAX).is_err());
        assert!(bytes.copy_out(8, &mut [0; 9]).is_err());
        assert!(bytes.atomic_u32(13).is_err());
    }

    #[test]
    fn copies_agree_with_slices() {
        let source: alloc::vec::Vec<u8> = (0..100).collect();
        let mut raw = [0u8; 128];
        for offset in 0..20 {
            for len in 0..60 {
                let bytes = Bytes::from_mut(&mut raw);
                bytes.fill(0);
                bytes.copy_in(offset, &source[..len]).unwrap();
                let mut back = alloc::vec![0; len];
                bytes.copy_out(offset, &mut back).unwrap();
                assert_eq!(back, source[..len]);
                assert!(bytes.slice(offset, len).unwrap().eq_slice(&source[..len]));
                let mut whole = [0u8; 128];
                whole[offset..offset + len].copy_from_slice(&source[..len]);
                assert_eq!(raw, whole);
            }
        }
    }

    #[test]
    fn move_within_is_memmove() {
        for (from, to, len) in [(0, 3, 8), (3, 0, 8), (5, 5, 4), (0, 8, 8)] {
            let mut raw: [u8; 16] = core::array::from_fn(|i| i as u8);
            let mut want = raw;
            want.copy_within(from..from + len, to);
            Bytes::from_mut(&mut raw).move_within(from, to, len).unwrap();
            assert_eq!(raw, want);
        }
    }
}
