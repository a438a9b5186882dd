//! What a map is made from.

use skep_abi::flags::{BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG};
use skep_abi::{MapCreate, MapType};

/// The attributes of `BPF_MAP_CREATE` that decide what a map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapDef {
    /// The kind.
    pub map_type: MapType,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value, of one CPU where values are per CPU.
    pub value_size: u32,
    /// The number of elements; bytes of data for a ring.
    pub max_entries: u32,
    /// `map_flags`.
    pub flags: u32,
    /// `map_extra`.
    pub extra: u64,
    /// `numa_node`, which counts with `BPF_F_NUMA_NODE`; there is one node, 0.
    pub numa_node: u32,
}

impl MapDef {
    /// Takes the attributes from those of the command.
    pub fn from_attr(attr: &MapCreate) -> MapDef {
        MapDef {
            map_type: MapType(attr.map_type),
            key_size: attr.key_size,
            value_size: attr.value_size,
            max_entries: attr.max_entries,
            flags: attr.map_flags,
            extra: attr.map_extra,
            numa_node: attr.numa_node,
        }
    }

    /// Tells whether all of `flags` are set.
    pub fn has(&self, flags: u32) -> bool {
        self.flags & flags == flags
    }

    /// Tells whether a program may not write values (`BPF_F_RDONLY_PROG`).
    pub fn is_read_only_to_programs(&self) -> bool {
        self.has(BPF_F_RDONLY_PROG)
    }

    /// Tells whether a program may not read values (`BPF_F_WRONLY_PROG`).
    pub fn is_write_only_to_programs(&self) -> bool {
        self.has(BPF_F_WRONLY_PROG)
    }

    /// Tells whether each CPU has values of its own.
    pub fn is_per_cpu(&self) -> bool {
        matches!(self.map_type, MapType::PERCPU_ARRAY | MapType::PERCPU_HASH | MapType::LRU_PERCPU_HASH)
    }

    /// Gives the bytes of one value in memory, rounded up to 8.
    pub(crate) fn stride(&self) -> usize {
        (self.value_size as usize).next_multiple_of(8)
    }
}
