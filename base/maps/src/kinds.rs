//! The table of kinds, and the one way to make a map.

use crate::{Batches, Map, MapDef, array, bloom, hash, lpm, objects, queue, ringbuf};
use alloc::boxed::Box;
use alloc::sync::Arc;
use skep_abi::flags::{
    BPF_F_INNER_MAP, BPF_F_MMAPABLE, BPF_F_NO_COMMON_LRU, BPF_F_NO_PREALLOC, BPF_F_NUMA_NODE,
    BPF_F_PRESERVE_ELEMS, BPF_F_RDONLY, BPF_F_RDONLY_PROG, BPF_F_WRONLY, BPF_F_WRONLY_PROG, BPF_F_ZERO_SEED,
};
use skep_abi::{Errno, MapType};
use skep_mem::Host;

/// `BPF_F_ACCESS_MASK` (include/linux/bpf.h).
const ACCESS: u32 = BPF_F_RDONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY | BPF_F_WRONLY_PROG;
/// `ARRAY_CREATE_FLAG_MASK` (kernel/bpf/arraymap.c).
const ARRAY: u32 = BPF_F_NUMA_NODE | BPF_F_MMAPABLE | ACCESS | BPF_F_PRESERVE_ELEMS | BPF_F_INNER_MAP;
/// `HTAB_CREATE_FLAG_MASK` (kernel/bpf/hashtab.c).
const HASH: u32 = BPF_F_NO_PREALLOC | BPF_F_NO_COMMON_LRU | BPF_F_NUMA_NODE | ACCESS | BPF_F_ZERO_SEED;

type Check = fn(&dyn Host, &MapDef) -> Result<(), Errno>;
type Make = fn(&Arc<dyn Host>, &MapDef) -> Result<Box<dyn Map>, Errno>;

/// `QUEUE_STACK_CREATE_FLAG_MASK` (kernel/bpf/queue_stack_maps.c).
const QUEUE: u32 = BPF_F_NUMA_NODE | ACCESS;

/// `LPM_CREATE_FLAG_MASK` (kernel/bpf/lpm_trie.c).
const LPM: u32 = BPF_F_NO_PREALLOC | BPF_F_NUMA_NODE | ACCESS;
/// `BLOOM_CREATE_FLAG_MASK` (kernel/bpf/bloom_filter.c).
const BLOOM: u32 = BPF_F_NUMA_NODE | BPF_F_ZERO_SEED | ACCESS;

/// What `map_extra` may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// Zero.
    Unused,
    /// What the kind says.
    Used,
}

/// One kind of map.
#[derive(Debug)]
pub struct Kind {
    /// Its number.
    pub map_type: MapType,
    /// The flags that MAP_CREATE takes for it; others are EINVAL.
    pub flags: u32,
    /// What `map_extra` may be.
    pub extra: Extra,
    /// Which batches it has.
    pub batches: Batches,
    /// Checks everything else, without allocating.
    check: Check,
    /// Makes a map from checked attributes.
    make: Make,
}

/// Every kind that there is.
pub const KINDS: &[Kind] = &[
    row(MapType::HASH, HASH, Batches::All, hash::check, hash::make),
    row(MapType::ARRAY, ARRAY, Batches::LookupUpdate, array::check, array::make),
    row(MapType::PROG_ARRAY, ARRAY, Batches::None, objects::check, objects::make),
    row(MapType::PERF_EVENT_ARRAY, ARRAY, Batches::None, objects::check, objects::make),
    row(MapType::PERCPU_HASH, HASH, Batches::All, hash::check, hash::make),
    row(MapType::PERCPU_ARRAY, ARRAY, Batches::LookupUpdate, array::check, array::make),
    row(MapType::LRU_HASH, HASH, Batches::All, hash::check, hash::make),
    row(MapType::LRU_PERCPU_HASH, HASH, Batches::All, hash::check, hash::make),
    row(MapType::LPM_TRIE, LPM, Batches::LookupUpdateDelete, lpm::check, lpm::make),
    row(MapType::QUEUE, QUEUE, Batches::None, queue::check, queue::make),
    row(MapType::STACK, QUEUE, Batches::None, queue::check, queue::make),
    row(MapType::RINGBUF, BPF_F_NUMA_NODE, Batches::None, ringbuf::check, ringbuf::make),
    Kind {
        extra: Extra::Used,
        ..row(MapType::BLOOM_FILTER, BLOOM, Batches::None, bloom::check, bloom::make)
    },
];

const fn row(map_type: MapType, flags: u32, batches: Batches, check: Check, make: Make) -> Kind {
    Kind { map_type, flags, extra: Extra::Unused, batches, check, make }
}

impl Kind {
    /// Finds the row of `map_type`.
    pub fn of(map_type: MapType) -> Option<&'static Kind> {
        KINDS.iter().find(|kind| kind.map_type == map_type)
    }
}

/// Makes a map, with the checks of `map_create` (kernel/bpf/syscall.c) and of the kind in Linux's order, all of them
/// before the first allocation.
///
/// # Errors
/// `EINVAL` for an unknown kind and for sizes and flags that do not fit it; `E2BIG` and `ENOMEM` where it would be
/// too large.
pub fn create(host: &Arc<dyn Host>, def: &MapDef) -> Result<Box<dyn Map>, Errno> {
    let kind = Kind::of(def.map_type);
    let takes_extra = kind.is_some_and(|kind| kind.extra == Extra::Used);
    if def.extra != 0 && !takes_extra {
        return Err(Errno::EINVAL);
    }
    // bpf_get_file_flag: not read-only and write-only at once.
    if def.has(BPF_F_RDONLY | BPF_F_WRONLY) {
        return Err(Errno::EINVAL);
    }
    if def.has(BPF_F_NUMA_NODE) && def.numa_node != 0 {
        return Err(Errno::EINVAL);
    }
    let kind = kind.ok_or(Errno::EINVAL)?;
    if def.flags & !kind.flags != 0 {
        return Err(Errno::EINVAL);
    }
    (kind.check)(&**host, def)?;
    (kind.make)(host, def)
}
