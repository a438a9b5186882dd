//! What may be set of a map before it is created.

use crate::Map;
use crate::error::{Error, ErrorKind, Result};
use skep_abi::MapType;
use skep_abi::flags::BPF_F_NUMA_NODE;
use skep_model::{MapOrigin, MapSpec, Pinning};
use skep_sys::MapFd;
use std::sync::Arc;

/// What was set of a map besides its definition.
#[derive(Debug, Default)]
pub(crate) struct MapSetting {
    pub(crate) pin: PinSetting,
    /// A map to use instead of a new one.
    pub(crate) reuse: Option<Arc<MapFd>>,
    pub(crate) autocreate: Autocreate,
}

/// Whether a map is made with its object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Autocreate {
    /// It is.
    #[default]
    Yes,
    /// It is left out.
    No,
}

/// Whether and where a map is pinned.
#[derive(Debug, Default)]
pub(crate) enum PinSetting {
    /// It is not.
    #[default]
    No,
    /// Under its name in the usual place.
    ByName,
    /// At this path.
    At(String),
}

impl MapSetting {
    pub(crate) fn of(spec: &MapSpec) -> MapSetting {
        let pin = match spec.pinning {
            Pinning::None => PinSetting::No,
            Pinning::ByName => PinSetting::ByName,
        };
        MapSetting { pin, ..MapSetting::default() }
    }
}

/// A map of an object, to be changed before it is loaded.
#[derive(Debug)]
pub struct MapMut<'o> {
    pub(super) file: &'o str,
    pub(super) spec: &'o mut MapSpec,
    pub(super) setting: &'o mut MapSetting,
}

impl MapMut<'_> {
    /// Gives what the object says, with the changes so far.
    pub fn spec(&self) -> &MapSpec {
        self.spec
    }

    /// Says whether it is made. A program that refers to a map that is not can be loaded only where no path leads to the
    /// reference, as libbpf has it (`bpf_map__set_autocreate`).
    pub fn set_autocreate(&mut self, autocreate: Autocreate) -> &mut Self {
        self.setting.autocreate = autocreate;
        self
    }

    /// Sets the most entries, or the bytes of a ring.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] for the map of a data section, which has one entry.
    pub fn set_max_entries(&mut self, entries: u32) -> Result<&mut Self> {
        self.refuse_data("has one entry")?;
        self.spec.max_entries = entries;
        Ok(self)
    }

    /// Makes it a map of another kind.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] for the map of a data section, which is an array.
    pub fn set_type(&mut self, map_type: MapType) -> Result<&mut Self> {
        self.refuse_data("is an array")?;
        self.spec.map_type = map_type;
        Ok(self)
    }

    /// Sets the size of keys, which then have no type.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] for the map of a data section, whose key is an index.
    pub fn set_key_size(&mut self, bytes: u32) -> Result<&mut Self> {
        self.refuse_data("has an index for key")?;
        if self.spec.key_size != bytes {
            self.spec.key_type = None;
        }
        self.spec.key_size = bytes;
        Ok(self)
    }

    /// Sets the size of values, which then have no type.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] for the map of a data section, whose size is that of its contents.
    pub fn set_value_size(&mut self, bytes: u32) -> Result<&mut Self> {
        self.refuse_data("is as large as its contents")?;
        if self.spec.value_size != bytes {
            self.spec.value_type = None;
        }
        self.spec.value_size = bytes;
        Ok(self)
    }

    /// Sets the `BPF_F_*` flags that it is created with.
    pub fn set_flags(&mut self, flags: u32) -> &mut Self {
        self.spec.flags = flags;
        self
    }

    /// Sets the NUMA node that its memory comes from.
    pub fn set_numa_node(&mut self, node: u32) -> &mut Self {
        self.spec.numa_node = Some(node);
        self.spec.flags |= BPF_F_NUMA_NODE;
        self
    }

    /// Pins it at a path in a BPF file system, or uses the map that is pinned there already.
    pub fn pin_at(&mut self, path: &str) -> &mut Self {
        self.setting.pin = PinSetting::At(path.to_owned());
        self
    }

    /// Pins it nowhere, whatever its definition says.
    pub fn do_not_pin(&mut self) -> &mut Self {
        self.setting.pin = PinSetting::No;
        self
    }

    /// Uses a map that is open already instead of a new one. It must be like the definition, and the object keeps it
    /// open.
    pub fn reuse(&mut self, map: &Map) -> &mut Self {
        self.setting.reuse = Some(Arc::clone(&map.fd));
        self
    }

    /// Sets the contents of a data section as a whole.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where it is no data section, or its size is another.
    pub fn set_contents(&mut self, contents: &[u8]) -> Result<&mut Self> {
        let MapOrigin::Data(data) = &mut self.spec.origin else {
            return Err(self.error("is no data section, so it has no contents to set"));
        };
        if self.spec.value_size as usize != contents.len() {
            let what = format!("has {} bytes, found {}", self.spec.value_size, contents.len());
            return Err(self.error(&what));
        }
        data.bytes = contents.to_vec();
        Ok(self)
    }

    fn refuse_data(&self, what: &str) -> Result<()> {
        match self.spec.origin {
            MapOrigin::Data(_) => Err(self.error(&format!("stands for a data section and {what}"))),
            MapOrigin::Btf | MapOrigin::Legacy => Ok(()),
        }
    }

    fn error(&self, what: &str) -> Error {
        Error::new(ErrorKind::Setting, what).in_map(&self.spec.name).in_file(self.file)
    }
}
