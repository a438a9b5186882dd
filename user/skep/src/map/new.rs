//! Maps that no object describes.

use super::Map;
use super::Variables;
use crate::error::{Error, ErrorKind, Result};
use crate::load::names::kernel_name;
use crate::{Feature, Kernel, Known};
use skep_abi::flags::BPF_F_NUMA_NODE;
use skep_abi::{MapCreate, MapType};
use skep_model::platform::Platform;
use skep_model::platform::maps::Entries;
use std::sync::{Arc, OnceLock};

/// A map to be made, as an inner map of a map of maps, or one that several objects are to share
/// ([`MapMut::reuse`](crate::MapMut::reuse)).
///
/// ```no_run
/// # fn main() -> skep::Result<()> {
/// use skep::{Kernel, MapType, NewMap};
///
/// let kernel = Kernel::linux();
/// let counts = NewMap::of::<u32, u64>(MapType::HASH, 1024).name("counts").create(&kernel)?;
/// counts.typed::<u32, u64>()?.insert(&1, &2)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct NewMap {
    name: String,
    map_type: MapType,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
    extra: u64,
    numa_node: Option<u32>,
    inner: Option<Arc<skep_sys::MapFd>>,
}

impl NewMap {
    /// Describes a map of a kind, without keys and values so far.
    pub fn new(map_type: MapType, max_entries: u32) -> NewMap {
        NewMap {
            name: String::new(),
            map_type,
            key_size: 0,
            value_size: 0,
            max_entries,
            flags: 0,
            extra: 0,
            numa_node: None,
            inner: None,
        }
    }

    /// Describes a map of a kind, with keys and values as large as types of Rust; `()` has no bytes. Of per-CPU kinds, `V`
    /// is the value of one CPU.
    pub fn of<K, V>(map_type: MapType, max_entries: u32) -> NewMap {
        let size = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        NewMap::new(map_type, max_entries).sizes(size(size_of::<K>()), size(size_of::<V>()))
    }

    /// Sets the bytes of keys and values.
    pub fn sizes(mut self, key: u32, value: u32) -> NewMap {
        (self.key_size, self.value_size) = (key, value);
        self
    }

    /// Sets its name, which kernels since Linux 4.15 keep 15 bytes of; what is no letter, digit, dot or underscore
    /// becomes an underscore.
    pub fn name(mut self, name: &str) -> NewMap {
        name.clone_into(&mut self.name);
        self
    }

    /// Sets the `BPF_F_*` flags that it is created with.
    pub fn flags(mut self, flags: u32) -> NewMap {
        self.flags = flags;
        self
    }

    /// Sets `map_extra`, as the number of a Bloom filter's hash functions.
    pub fn extra(mut self, extra: u64) -> NewMap {
        self.extra = extra;
        self
    }

    /// Sets the NUMA node that its memory comes from.
    pub fn numa_node(mut self, node: u32) -> NewMap {
        self.numa_node = Some(node);
        self
    }

    /// Sets what the maps in it are like, where it is a map of maps.
    pub fn inner(mut self, pattern: &Map) -> NewMap {
        self.inner = Some(Arc::clone(&pattern.fd));
        self
    }

    /// Makes it.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where the pattern of inner maps is in another kernel; [`ErrorKind::Kernel`] with `EINVAL`
    /// where sizes or flags do not fit the kind, and what is wrong with them.
    pub fn create(&self, kernel: &Kernel) -> Result<Map> {
        let fail = |error: Error| error.in_map(&self.name);
        if self.inner.as_ref().is_some_and(|inner| !inner.handle().kernel().is_same(kernel.sys())) {
            return Err(fail(Error::new(ErrorKind::Setting, "is to hold maps of another kernel")));
        }
        let row = Platform::LINUX_6_18.map(self.map_type);
        if row.is_some_and(|row| row.copies == skep_model::platform::maps::Copies::PerCpu) {
            kernel.possible_cpus().map_err(fail)?;
        }
        let mut create = MapCreate {
            map_type: self.map_type.0,
            key_size: self.key_size,
            value_size: self.value_size,
            max_entries: self.max_entries,
            map_flags: self.flags | self.numa_node.map_or(0, |_| BPF_F_NUMA_NODE),
            inner_map_fd: self.inner.as_ref().map_or(0, |inner| inner.fd().raw()),
            numa_node: self.numa_node.unwrap_or(0),
            map_extra: self.extra,
            ..MapCreate::default()
        };
        if kernel.known(Feature::ProgName) != Known::Missing {
            create.map_name = kernel_name(&self.name);
        }
        let answer = match kernel.map_create(&create) {
            // A name is all that this has and older kernels have not.
            Err(_) if create.map_name != [0; 16] && kernel.has(Feature::ProgName).is_ok_and(|has| !has) => {
                create.map_name = [0; 16];
                kernel.map_create(&create)
            }
            answer => answer,
        };
        let fd = answer.map_err(|error| {
            let made = fail(Error::call("BPF_MAP_CREATE", error));
            let wrong = row.and_then(|row| {
                row.check(create.key_size, create.value_size, create.max_entries, create.map_flags).err()
            });
            match wrong {
                Some(mistake) => made.hint(&mistake.to_string()),
                None => made,
            }
        })?;
        let counts = row.is_none_or(|row| row.entries != Entries::None);
        Ok(Map {
            name: self.name.clone(),
            kernel: kernel.clone(),
            fd: Arc::new(fd),
            types: None,
            section: None,
            max_entries: if counts { OnceLock::from(self.max_entries) } else { OnceLock::new() },
            flags: OnceLock::from(create.map_flags),
            variables: Variables::default(),
            memory: OnceLock::new(),
            ops: None,
            record_type: OnceLock::new(),
        })
    }
}
