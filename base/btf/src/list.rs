//! The elements that follow a record: fixed-size chunks, read when they are asked for.

use core::fmt;
use core::marker::PhantomData;

use crate::btf::Btf;

/// An element that can be read from the bytes after a record. This trait is sealed.
pub trait Item<'b>: Sized + sealed::Sealed {
    #[doc(hidden)]
    const SIZE: usize;
    #[doc(hidden)]
    fn read(btf: &'b Btf<'b>, flag: KindFlag, bytes: &'b [u8]) -> Self;
}

pub(crate) mod sealed {
    #[allow(unreachable_pub, reason = "sealed")]
    pub trait Sealed {}
}

/// Bit 31 of a record's info word; each kind gives it a meaning of its own.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KindFlag {
    Clear,
    Set,
}

/// The elements of a type: members, enumerators, parameters, or variables of a section.
pub struct List<'b, T> {
    btf: &'b Btf<'b>,
    bytes: &'b [u8],
    flag: KindFlag,
    item: PhantomData<fn() -> T>,
}

impl<'b, T: Item<'b>> List<'b, T> {
    pub(crate) fn new(btf: &'b Btf<'b>, bytes: &'b [u8], flag: KindFlag) -> List<'b, T> {
        List { btf, bytes, flag, item: PhantomData }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.bytes.len() / T::SIZE
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The element at `index`.
    pub fn get(&self, index: usize) -> Option<T> {
        let start = index.checked_mul(T::SIZE)?;
        let bytes = self.bytes.get(start..start.checked_add(T::SIZE)?)?;
        Some(T::read(self.btf, self.flag, bytes))
    }

    /// Iterates over the elements in order.
    pub fn iter(&self) -> Iter<'b, T> {
        Iter { btf: self.btf, chunks: self.bytes.chunks_exact(T::SIZE), flag: self.flag, item: PhantomData }
    }
}

impl<T> Clone for List<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for List<'_, T> {}

impl<'b, T: Item<'b> + fmt::Debug> fmt::Debug for List<'b, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'b, T: Item<'b>> IntoIterator for List<'b, T> {
    type Item = T;
    type IntoIter = Iter<'b, T>;

    fn into_iter(self) -> Iter<'b, T> {
        self.iter()
    }
}

/// Iterates over the elements of a [`List`].
#[derive(Clone)]
pub struct Iter<'b, T> {
    btf: &'b Btf<'b>,
    chunks: core::slice::ChunksExact<'b, u8>,
    flag: KindFlag,
    item: PhantomData<fn() -> T>,
}

impl<'b, T: Item<'b>> Iterator for Iter<'b, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.chunks.next().map(|bytes| T::read(self.btf, self.flag, bytes))
    }

    /// Skips without reading, so that a walk may leave a list and come back for free.
    fn nth(&mut self, n: usize) -> Option<T> {
        self.chunks.nth(n).map(|bytes| T::read(self.btf, self.flag, bytes))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.chunks.size_hint()
    }
}

impl<'b, T: Item<'b>> ExactSizeIterator for Iter<'b, T> {}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Iter({} left)", self.chunks.len())
    }
}
