//! The table of the kinds that there are here, and the one way to make a map.

use crate::{Batches, Map, MapDef, array, bloom, hash, lpm, objects, queue, ringbuf};
use alloc::boxed::Box;
use alloc::sync::Arc;
use skep_abi::flags::{BPF_F_NUMA_NODE, BPF_F_RDONLY, BPF_F_WRONLY};
use skep_abi::{Errno, MapType};
use skep_mem::Host;
use skep_model::platform::maps::{MAPS, Mistake};

type Make = fn(&Arc<dyn Host>, &MapDef) -> Result<Box<dyn Map>, Errno>;

/// One kind of map. Its sizes and flags are in the platform's table ([`MAPS`]).
#[derive(Debug)]
pub struct Kind {
    /// Its number.
    pub map_type: MapType,
    /// The bits of `map_extra` that it uses.
    pub extra: u64,
    /// Which batches it has.
    pub batches: Batches,
    /// Makes a map from checked attributes.
    make: Make,
}

/// Every kind that there is.
pub const KINDS: &[Kind] = &[
    row(MapType::HASH, Batches::All, hash::make),
    row(MapType::ARRAY, Batches::LookupUpdate, array::make),
    row(MapType::PROG_ARRAY, Batches::None, objects::make),
    row(MapType::PERF_EVENT_ARRAY, Batches::None, objects::make),
    row(MapType::PERCPU_HASH, Batches::All, hash::make),
    row(MapType::PERCPU_ARRAY, Batches::LookupUpdate, array::make),
    row(MapType::LRU_HASH, Batches::All, hash::make),
    row(MapType::LRU_PERCPU_HASH, Batches::All, hash::make),
    row(MapType::LPM_TRIE, Batches::LookupUpdateDelete, lpm::make),
    row(MapType::QUEUE, Batches::None, queue::make),
    row(MapType::STACK, Batches::None, queue::make),
    row(MapType::RINGBUF, Batches::None, ringbuf::make),
    // The low four bits say how many hashes to use (kernel/bpf/bloom_filter.c).
    Kind { extra: 0xf, ..row(MapType::BLOOM_FILTER, Batches::None, bloom::make) },
];

const fn row(map_type: MapType, batches: Batches, make: Make) -> Kind {
    Kind { map_type, extra: 0, batches, make }
}

impl Kind {
    /// Finds the row of `map_type`.
    pub fn of(map_type: MapType) -> Option<&'static Kind> {
        KINDS.iter().find(|kind| kind.map_type == map_type)
    }
}

/// Makes a map, with the checks of `map_create` (kernel/bpf/syscall.c) and of the kind in Linux's order, all of them
/// before the first allocation. What needs a right (`BPF_F_ZERO_SEED`: `CAP_SYS_ADMIN`) is the caller's to check.
///
/// # Errors
/// `EINVAL` for an unknown kind and for sizes and flags that do not fit it; `E2BIG` and `ENOMEM` where it would be
/// too large.
pub fn create(host: &Arc<dyn Host>, def: &MapDef) -> Result<Box<dyn Map>, Errno> {
    let kind = Kind::of(def.map_type);
    // bpf_get_file_flag: not read-only and write-only at once.
    if def.extra & !kind.map_or(0, |kind| kind.extra) != 0
        || def.has(BPF_F_RDONLY | BPF_F_WRONLY)
        || def.has(BPF_F_NUMA_NODE) && def.numa_node != 0
    {
        return Err(Errno::EINVAL);
    }
    let kind = kind.ok_or(Errno::EINVAL)?;
    let limits = MAPS.iter().find(|row| row.kind == def.map_type).ok_or(Errno::EINVAL)?;
    limits.check(def.key_size, def.value_size, def.max_entries, def.flags).map_err(Mistake::errno)?;
    (kind.make)(host, def)
}
