//! What can be a key or a value of a map.

use super::Map;
use crate::error::{Error, ErrorKind, Result};
use crate::{Kernel, Program};
use skep_abi::{Errno, MapType};
use std::fmt;
use std::ops::{Deref, DerefMut};
use zerocopy::{Immutable, IntoBytes, TryFromBytes};

/// What a map can be asked by: every type that is its bytes (zerocopy's `IntoBytes`), and [`ByFd`].
pub trait MapKey {
    /// The bytes of a key.
    const SIZE: usize;

    /// Lends the bytes.
    fn with_bytes<R>(&self, then: impl FnOnce(&[u8]) -> R) -> R;
}

impl<T: IntoBytes + TryFromBytes + Immutable> MapKey for T {
    const SIZE: usize = size_of::<T>();

    fn with_bytes<R>(&self, then: impl FnOnce(&[u8]) -> R) -> R {
        then(self.as_bytes())
    }
}

/// A key that can be read back, as walking over a map does: every type that is its bytes.
pub trait PlainKey: MapKey + Sized {
    /// Reads a key of `map`.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] where the bytes are none of the type.
    fn from_key(map: &Map, bytes: &[u8]) -> Result<Self>;
}

impl<T: IntoBytes + TryFromBytes + Immutable> PlainKey for T {
    fn from_key(map: &Map, bytes: &[u8]) -> Result<T> {
        plain(map, bytes)
    }
}

/// What can be read from a map: every type that is made of bytes (zerocopy's `TryFromBytes`), and what
/// [`TypedMap`](crate::TypedMap) lists.
pub trait MapValue: Sized {
    /// Says why a map has no such values; `None` where it has.
    fn mistake(map: &Map) -> Option<String>;

    /// Reads what a look-up of `map` gave; `None` where what it names is gone by now.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] where the bytes are none of the type; else where the kernel refuses.
    fn read(map: &Map, bytes: &[u8]) -> Result<Option<Self>>;
}

/// What can be stored in a map.
pub trait StoredValue: MapValue {
    /// Lends the bytes that an update of `map` takes.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where it cannot be stored in this map; else those of `then`.
    fn with_bytes<R>(&self, map: &Map, then: impl FnOnce(&[u8]) -> Result<R>) -> Result<R>;
}

/// Reads a value that is its bytes.
fn plain<T: TryFromBytes>(map: &Map, bytes: &[u8]) -> Result<T> {
    T::try_read_from_bytes(bytes).map_err(|_| {
        let what = format!("found bytes that are no {}: {bytes:02x?}", std::any::type_name::<T>());
        Error::new(ErrorKind::Corrupt, what).in_map(map.name())
    })
}

/// Says how two sizes differ.
fn sizes(map: &Map, name: &str, size: usize) -> Option<String> {
    (map.value_size() != size).then(|| format!("{name} has {size}"))
}

impl<T: IntoBytes + TryFromBytes + Immutable> MapValue for T {
    fn mistake(map: &Map) -> Option<String> {
        let name = std::any::type_name::<T>();
        match map.is_per_cpu() {
            true => Some(format!("each CPU has its own, so that it takes PerCpu<{name}>")),
            false => sizes(map, name, size_of::<T>()),
        }
    }

    fn read(map: &Map, bytes: &[u8]) -> Result<Option<T>> {
        plain(map, bytes).map(Some)
    }
}

impl<T: IntoBytes + TryFromBytes + Immutable> StoredValue for T {
    fn with_bytes<R>(&self, _: &Map, then: impl FnOnce(&[u8]) -> Result<R>) -> Result<R> {
        then(self.as_bytes())
    }
}

/// A value for each CPU that there may be ([`Kernel::possible_cpus`]), by number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PerCpu<V>(Vec<V>);

impl<V> PerCpu<V> {
    /// Takes the values, that of CPU 0 first. There must be as many as CPUs when they are stored.
    pub fn new(values: Vec<V>) -> PerCpu<V> {
        PerCpu(values)
    }

    /// Makes the same value for every CPU of a kernel.
    ///
    /// # Errors
    /// Where the kernel does not say how many there are.
    pub fn all(kernel: &Kernel, value: V) -> Result<PerCpu<V>>
    where
        V: Clone,
    {
        Ok(PerCpu(vec![value; kernel.possible_cpus()? as usize]))
    }

    /// Gives the values.
    pub fn into_vec(self) -> Vec<V> {
        self.0
    }
}

impl<V> Deref for PerCpu<V> {
    type Target = [V];

    fn deref(&self) -> &[V] {
        &self.0
    }
}

impl<V> DerefMut for PerCpu<V> {
    fn deref_mut(&mut self) -> &mut [V] {
        &mut self.0
    }
}

impl<V> IntoIterator for PerCpu<V> {
    type Item = V;
    type IntoIter = std::vec::IntoIter<V>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, V> IntoIterator for &'a PerCpu<V> {
    type Item = &'a V;
    type IntoIter = std::slice::Iter<'a, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<V: IntoBytes + TryFromBytes + Immutable> MapValue for PerCpu<V> {
    fn mistake(map: &Map) -> Option<String> {
        let name = std::any::type_name::<V>();
        match map.is_per_cpu() {
            true => sizes(map, name, size_of::<V>()),
            false => Some(format!("all CPUs share one, so that it takes {name}")),
        }
    }

    fn read(map: &Map, bytes: &[u8]) -> Result<Option<PerCpu<V>>> {
        let values: Result<Vec<V>> = map.split_cpus(bytes).map(|value| plain(map, value)).collect();
        Ok(Some(PerCpu(values?)))
    }
}

impl<V: IntoBytes + TryFromBytes + Immutable> StoredValue for PerCpu<V> {
    fn with_bytes<R>(&self, map: &Map, then: impl FnOnce(&[u8]) -> Result<R>) -> Result<R> {
        let values: Vec<&[u8]> = self.0.iter().map(IntoBytes::as_bytes).collect();
        then(&map.join_cpus(&values)?)
    }
}

/// Tells that the values of a map are no objects of a kind.
fn no_objects(map: &Map, kinds: &[MapType], what: &str) -> Option<String> {
    (!kinds.contains(&map.map_type()))
        .then(|| format!("a map of type {} holds values, no {what}", map.map_type()))
}

/// Lends the descriptor of an object that is to be stored; both must be of one kernel.
fn descriptor<R>(map: &Map, kernel: &Kernel, fd: u32, then: impl FnOnce(&[u8]) -> Result<R>) -> Result<R> {
    if !kernel.is_same(map.kernel()) {
        return Err(Error::new(ErrorKind::Setting, "is to hold what is in another kernel").in_map(map.name()));
    }
    then(&fd.to_ne_bytes())
}

/// Opens what a look-up has named by its id, unless it is gone by now.
fn opened<T>(map: &Map, bytes: &[u8], open: impl FnOnce(&Kernel, u32) -> Result<T>) -> Result<Option<T>> {
    match open(map.kernel(), plain(map, bytes)?) {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.errno() == Some(Errno::ENOENT) => Ok(None),
        Err(error) => Err(error.in_map(map.name())),
    }
}

/// A map in a map of maps: stored by its descriptor, found by its id.
impl MapValue for Map {
    fn mistake(map: &Map) -> Option<String> {
        no_objects(map, &[MapType::ARRAY_OF_MAPS, MapType::HASH_OF_MAPS], "maps")
    }

    fn read(map: &Map, bytes: &[u8]) -> Result<Option<Map>> {
        opened(map, bytes, Map::from_id)
    }
}

impl StoredValue for Map {
    fn with_bytes<R>(&self, map: &Map, then: impl FnOnce(&[u8]) -> Result<R>) -> Result<R> {
        descriptor(map, self.kernel(), self.fd().fd().raw(), then)
    }
}

/// A program in an array of programs: stored by its descriptor, found by its id.
impl MapValue for Program {
    fn mistake(map: &Map) -> Option<String> {
        no_objects(map, &[MapType::PROG_ARRAY], "programs")
    }

    fn read(map: &Map, bytes: &[u8]) -> Result<Option<Program>> {
        opened(map, bytes, Program::from_id)
    }
}

impl StoredValue for Program {
    fn with_bytes<R>(&self, map: &Map, then: impl FnOnce(&[u8]) -> Result<R>) -> Result<R> {
        descriptor(map, self.kernel(), self.fd().fd().raw(), then)
    }
}

/// An open file of the operating system's: the socket, process (`pidfd_open(2)`), file or control group that a value
/// belongs to; or as a value, the socket, control group or perf event that is put into a map.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy)]
pub struct ByFd<'f> {
    fd: std::os::fd::BorrowedFd<'f>,
}

#[cfg(target_os = "linux")]
impl<'f> ByFd<'f> {
    /// Takes whatever has a descriptor.
    pub fn of(file: &'f impl std::os::fd::AsFd) -> ByFd<'f> {
        ByFd { fd: file.as_fd() }
    }

    fn number(self) -> u32 {
        use std::os::fd::AsRawFd;
        self.fd.as_raw_fd() as u32
    }
}

#[cfg(target_os = "linux")]
impl fmt::Debug for ByFd<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ByFd({})", self.number())
    }
}

#[cfg(target_os = "linux")]
impl MapKey for ByFd<'_> {
    const SIZE: usize = 4;

    fn with_bytes<R>(&self, then: impl FnOnce(&[u8]) -> R) -> R {
        then(&self.number().to_ne_bytes())
    }
}

#[cfg(target_os = "linux")]
impl MapValue for ByFd<'_> {
    fn mistake(map: &Map) -> Option<String> {
        const KINDS: &[MapType] = &[
            MapType::SOCKMAP,
            MapType::SOCKHASH,
            MapType::REUSEPORT_SOCKARRAY,
            MapType::XSKMAP,
            MapType::CGROUP_ARRAY,
            MapType::PERF_EVENT_ARRAY,
        ];
        no_objects(map, KINDS, "sockets, control groups or events")
    }

    fn read(map: &Map, _: &[u8]) -> Result<Option<Self>> {
        let what =
            "descriptors are stored and never read back; take the map by u64 for the cookies of its sockets";
        Err(Error::new(ErrorKind::Setting, what).in_map(map.name()))
    }
}

#[cfg(target_os = "linux")]
impl StoredValue for ByFd<'_> {
    fn with_bytes<R>(&self, map: &Map, then: impl FnOnce(&[u8]) -> Result<R>) -> Result<R> {
        if !matches!(map.fd().fd(), skep_sys::Fd::Os(_)) {
            let what = "descriptors are the operating system's, and this kernel is not";
            return Err(Error::new(ErrorKind::Setting, what).in_map(map.name()));
        }
        let mut bytes = map.room()?;
        // Sockets may be stored in eight bytes (net/core/sock_map.c, `sock_map_update_elem_sys`).
        match bytes.len() {
            4 => bytes.copy_from_slice(&self.number().to_ne_bytes()),
            8 => bytes.copy_from_slice(&u64::from(self.number()).to_ne_bytes()),
            other => {
                let what = format!("its values have {other} bytes, and a descriptor has 4 or 8");
                return Err(Error::new(ErrorKind::Setting, what).in_map(map.name()));
            }
        }
        then(&bytes)
    }
}
