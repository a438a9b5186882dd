//! Values in memory that programs share.

use super::{Map, schema};
use crate::error::{Error, ErrorKind, Result};
use skep_abi::flags::{BPF_ANY, BPF_F_MMAPABLE};
use skep_abi::{Errno, MapType};
use skep_sys::{Mapping, Protection};
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use zerocopy::{Immutable, IntoBytes, TryFromBytes};

/// The elements of an array, in place.
///
/// Where the array can be mapped into memory (`BPF_F_MMAPABLE`, Linux 5.5), reading and writing are no system calls.
/// Elsewhere they are one each, with the same results, and [`SharedCell`] says what is lost.
///
/// Programs write the memory at any time, so nothing here lends a reference into it: values are copied out and in, and
/// [`SharedCell`] has the atomic operations.
///
/// ```no_run
/// # fn main() -> skep::Result<()> {
/// # let loaded = skep::Object::open("x.bpf.o")?.load(&skep::Kernel::linux())?;
/// let hits = loaded.map("hits")?.cells::<u64>()?;
/// let sum: u64 = (0..hits.len()).map(|index| hits.get(index)).sum::<skep::Result<u64>>()?;
/// hits.at(0)?.fetch_add(1)?;
/// # Ok(())
/// # }
/// ```
pub struct Cells<'m, T> {
    map: &'m Map,
    len: u32,
    value: PhantomData<fn(T) -> T>,
}

impl Map {
    /// Takes the elements of an array by a type of Rust, in place.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where it is no array, or a value has another size; [`ErrorKind::Kernel`] where it cannot be
    /// mapped although it has the flag.
    pub fn cells<T: IntoBytes + TryFromBytes + Immutable>(&self) -> Result<Cells<'_, T>> {
        let wrong = match self.map_type() == MapType::ARRAY {
            true if self.value_size() == size_of::<T>() => None,
            true => {
                let layout = self
                    .types
                    .as_ref()
                    .and_then(|types| Some(format!(", as {}", schema::layout(&types.btf, types.value?))));
                Some(format!(
                    "its values have {} bytes{}; {} has {}",
                    self.value_size(),
                    layout.unwrap_or_default(),
                    std::any::type_name::<T>(),
                    size_of::<T>()
                ))
            }
            false => Some(format!("is a map of type {}, wanted an array", self.map_type())),
        };
        if let Some(wrong) = wrong {
            return Err(Error::new(ErrorKind::Setting, wrong).in_map(self.name()));
        }
        let len = self.max_entries()?;
        self.memory()?;
        Ok(Cells { map: self, len, value: PhantomData })
    }

    /// Bytes from one element of an array to the next (`array_map_alloc`, kernel/bpf/arraymap.c).
    fn element_stride(&self) -> usize {
        self.value_size().next_multiple_of(8)
    }

    /// Maps an array or arena into memory, once; `None` where the kernel does not.
    pub(super) fn memory(&self) -> Result<Option<&Mapping>> {
        if let Some(memory) = self.memory.get() {
            return Ok(memory.as_ref());
        }
        let memory = self.map_memory()?;
        Ok(self.memory.get_or_init(|| memory).as_ref())
    }

    fn map_memory(&self) -> Result<Option<Mapping>> {
        if self.map_type() == MapType::ARENA {
            return self.map_arena().map(Some);
        }
        if self.flags()? & BPF_F_MMAPABLE == 0 || self.map_type() != MapType::ARRAY {
            return Ok(None);
        }
        let page = self.kernel.page_size()?;
        let bytes = self.element_stride().checked_mul(self.max_entries()? as usize);
        let Some(len) = bytes.and_then(|bytes| bytes.checked_next_multiple_of(page)) else { return Ok(None) };
        let map = |protection| self.kernel.sys().map(self.fd.handle(), 0, len, protection);
        // What is frozen cannot be mapped for writing (kernel/bpf/syscall.c, `bpf_map_mmap`).
        let frozen =
            self.section().is_some_and(|section| section.starts_with(".rodata") || section == ".kconfig");
        let answer = match frozen {
            true => map(Protection::Read),
            false => match map(Protection::ReadWrite) {
                Err(Errno::EPERM) => map(Protection::Read).map_err(|_| Errno::EPERM),
                answer => answer,
            },
        };
        match answer {
            Ok(memory) => Ok(Some(memory)),
            Err(Errno::EOPNOTSUPP | Errno::ENOTSUPP | Errno::ENODEV) => Ok(None),
            Err(error) => Err(self.error("mmap", error)),
        }
    }
}

impl<'m, T: IntoBytes + TryFromBytes + Immutable> Cells<'m, T> {
    /// Gives the number of elements.
    #[allow(clippy::len_without_is_empty, reason = "an array is never empty")]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Tells whether the elements are mapped into memory, so that reading them is no system call.
    pub fn is_mapped(&self) -> bool {
        matches!(self.map.memory.get(), Some(Some(_)))
    }

    /// Gives the element at an index.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where there is none.
    pub fn at(&self, index: u32) -> Result<SharedCell<'m, T>> {
        if index >= self.len {
            let what = format!("has {} elements, and none at {index}", self.len);
            return Err(Error::new(ErrorKind::Setting, what)
                .with_errno(Errno::ENOENT)
                .in_map(self.map.name()));
        }
        Ok(SharedCell { map: self.map, index, offset: 0, value: PhantomData })
    }

    /// Reads the element at an index.
    ///
    /// # Errors
    /// As [`Cells::at`] and [`SharedCell::get`].
    pub fn get(&self, index: u32) -> Result<T> {
        self.at(index)?.get()
    }

    /// Writes the element at an index.
    ///
    /// # Errors
    /// As [`Cells::at`] and [`SharedCell::set`].
    pub fn set(&self, index: u32, value: &T) -> Result<()> {
        self.at(index)?.set(value)
    }

    /// Reads all elements, each by itself: programs may write others meanwhile.
    ///
    /// # Errors
    /// As [`SharedCell::get`].
    pub fn iter(&self) -> impl Iterator<Item = Result<T>> + '_ {
        (0..self.len).map(|index| self.get(index))
    }
}

impl<T> fmt::Debug for Cells<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cells<{}>({}, {} elements)", std::any::type_name::<T>(), self.map.name(), self.len)
    }
}

/// A value in memory that programs share: an element of an array ([`Cells::at`]) or a global variable
/// ([`Global::cell`](crate::Global::cell)).
///
/// An aligned value of up to eight bytes is read and written in one piece. A larger one goes word by word, and programs
/// may come in between. Where the kernel does not map the memory, a variable or an element is read and written by system
/// calls: then a write stores the whole element or section again, and what a program changes in between is lost.
pub struct SharedCell<'m, T> {
    map: &'m Map,
    index: u32,
    /// Where it lies in the element.
    offset: usize,
    value: PhantomData<fn(T) -> T>,
}

impl<'m, T: IntoBytes + TryFromBytes + Immutable> SharedCell<'m, T> {
    /// Takes the part of an element that starts at `offset`; whoever calls this has checked that it lies inside.
    pub(super) fn new(map: &'m Map, index: u32, offset: usize) -> SharedCell<'m, T> {
        SharedCell { map, index, offset, value: PhantomData }
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] where the bytes are no value of the type, as 2 is no `bool`; where the kernel refuses.
    pub fn get(&self) -> Result<T> {
        let mut bytes = vec![0; size_of::<T>()];
        match self.map.memory()? {
            Some(memory) => {
                load(memory, self.place(), &mut bytes).map_err(|what| self.fail(ErrorKind::Corrupt, what))?;
            }
            None => bytes.copy_from_slice(self.part(&mut self.element()?)?),
        }
        T::try_read_from_bytes(&bytes).map_err(|_| {
            let what = format!("found bytes that are no {}: {bytes:02x?}", std::any::type_name::<T>());
            self.fail(ErrorKind::Corrupt, what)
        })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ErrorKind::Permission`] where the map is frozen, as `.rodata` is when it is loaded.
    pub fn set(&self, value: &T) -> Result<()> {
        match self.map.memory()? {
            Some(memory) => store(memory, self.place(), value.as_bytes()).ok_or_else(|| self.frozen("mmap")),
            None => {
                let mut element = self.element()?;
                self.part(&mut element)?.copy_from_slice(value.as_bytes());
                let answer = self.map.fd.update(&self.index.to_ne_bytes(), &element, BPF_ANY);
                answer.map_err(|error| match error.errno() {
                    Errno::EPERM if self.map.section().is_some() => self.frozen("BPF_MAP_UPDATE_ELEM"),
                    _ => self.map.error("BPF_MAP_UPDATE_ELEM", error),
                })
            }
        }
    }

    /// Where it lies in memory.
    fn place(&self) -> usize {
        self.index as usize * self.map.element_stride() + self.offset
    }

    fn element(&self) -> Result<Vec<u8>> {
        let found = self.map.lookup(&self.index.to_ne_bytes())?;
        found.ok_or_else(|| self.map.error("BPF_MAP_LOOKUP_ELEM", Errno::ENOENT))
    }

    fn part<'e>(&self, element: &'e mut [u8]) -> Result<&'e mut [u8]> {
        let part = element.get_mut(self.offset..self.offset + size_of::<T>());
        part.ok_or_else(|| self.fail(ErrorKind::Corrupt, "lies outside its element".to_owned()))
    }

    fn frozen(&self, call: &'static str) -> Error {
        frozen(self.map, call)
    }

    fn fail(&self, kind: ErrorKind, what: String) -> Error {
        Error::new(kind, what).in_map(self.map.name())
    }
}

/// The mistake of whoever writes what must not be written, which `call` has said, now or when the memory was mapped.
pub(super) fn frozen(map: &Map, call: &'static str) -> Error {
    let error = map.error(call, Errno::EPERM);
    match map.section() {
        Some(_) => error.hint("it was frozen when it was loaded: set it before"),
        None => error.hint("it is frozen, or was opened for reading only"),
    }
}

macro_rules! atomic {
    ($int:ty, $atomic:ty, $cell:ident) => {
        impl SharedCell<'_, $int> {
            /// Adds to it, around the end of the numbers; gives what was there before. One atomic operation, to
            /// programs' atomic instructions too.
            ///
            /// # Errors
            /// [`ErrorKind::Unsupported`] where the kernel does not map the memory, or it is not aligned;
            /// [`ErrorKind::Permission`] where it is frozen.
            pub fn fetch_add(&self, number: $int) -> Result<$int> {
                self.atomically(|cell| cell.fetch_add(number, Ordering::AcqRel))
            }

            /// Stores a number; gives what was there before.
            ///
            /// # Errors
            /// As [`SharedCell::fetch_add`].
            pub fn swap(&self, number: $int) -> Result<$int> {
                self.atomically(|cell| cell.swap(number, Ordering::AcqRel))
            }

            /// Stores a number where another is now; gives what was there, as an error where it was not that.
            ///
            /// # Errors
            /// As [`SharedCell::fetch_add`].
            pub fn compare_exchange(&self, now: $int, then: $int) -> Result<Result<$int, $int>> {
                self.atomically(|cell| cell.compare_exchange(now, then, Ordering::AcqRel, Ordering::Acquire))
            }

            fn atomically<R>(&self, then: impl FnOnce(&$atomic) -> R) -> Result<R> {
                let unsupported = |what: &str| self.fail(ErrorKind::Unsupported, what.to_owned());
                let memory = self.map.memory()?.ok_or_else(|| unsupported("is not mapped into memory"))?;
                let bytes = memory.bytes().ok_or_else(|| self.frozen("mmap"))?;
                let cell = bytes.$cell(self.place());
                let cell = cell.map_err(|error| self.fail(ErrorKind::Corrupt, error.to_string()))?;
                Ok(then(cell.ok_or_else(|| unsupported("is not aligned"))?))
            }
        }
    };
}

atomic!(u32, AtomicU32, atomic_u32);
atomic!(u64, AtomicU64, atomic_u64);

/// Reads bytes in one piece where they have the size of an integer.
pub(super) fn load(memory: &Mapping, at: usize, into: &mut [u8]) -> Result<(), String> {
    let Some(shared) = memory.bytes() else {
        return memory.copy_out(at, into).map_err(|error| error.to_string());
    };
    let loaded = match into.len() {
        8 => shared.load_u64(at).map(|value| into.copy_from_slice(&value.to_ne_bytes())),
        4 => shared.load_u32(at).map(|value| into.copy_from_slice(&value.to_ne_bytes())),
        2 => shared.load_u16(at).map(|value| into.copy_from_slice(&value.to_ne_bytes())),
        _ => shared.copy_out(at, into),
    };
    loaded.map_err(|error| error.to_string())
}

/// Stores bytes in one piece where they have the size of an integer; `None` where the memory is read-only.
pub(super) fn store(memory: &Mapping, at: usize, bytes: &[u8]) -> Option<()> {
    let shared = memory.bytes()?;
    let stored = match *bytes {
        [a, b, c, d, e, f, g, h] => shared.store_u64(at, u64::from_ne_bytes([a, b, c, d, e, f, g, h])),
        [a, b, c, d] => shared.store_u32(at, u32::from_ne_bytes([a, b, c, d])),
        [a, b] => shared.store_u16(at, u16::from_ne_bytes([a, b])),
        _ => shared.copy_in(at, bytes),
    };
    stored.ok()
}

impl<T> fmt::Debug for SharedCell<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = std::any::type_name::<T>();
        write!(f, "SharedCell<{name}>({}, element {}, byte {})", self.map.name(), self.index, self.offset)
    }
}
