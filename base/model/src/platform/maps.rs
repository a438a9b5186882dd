//! The table of map kinds: what `BPF_MAP_CREATE` accepts of each, and how it may be used.
//!
//! The sources are each kind's `map_alloc_check` and `map_alloc` (kernel/bpf/*.c, net/core/{bpf_sk_storage,
//! sock_map}.c, net/xdp/xskmap.c) on a machine with 64 bits, and libbpf's `bpf_object__create_map` for the use of BTF.

use core::fmt;

use skep_abi::flags::*;
use skep_abi::{Errno, MapType};

use super::version::{Version, v};

/// Which sizes are accepted; any other is EINVAL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sizes {
    /// This one.
    Exactly(u32),
    /// One of these.
    OneOf(&'static [u32]),
    /// From the first to the second, both included.
    Within(u32, u32),
    /// A multiple of the first, from it to the second.
    Multiples(u32, u32),
}

impl Sizes {
    /// Tells whether `size` is accepted.
    pub fn accept(self, size: u32) -> bool {
        match self {
            Self::Exactly(wanted) => size == wanted,
            Self::OneOf(wanted) => wanted.contains(&size),
            Self::Within(low, high) => (low..=high).contains(&size),
            Self::Multiples(of, high) => size != 0 && size <= high && size % of == 0,
        }
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(size) => write!(f, "{size}"),
            Self::OneOf(sizes) => {
                for (i, size) in sizes.iter().enumerate() {
                    write!(f, "{}{size}", if i == 0 { "" } else { " or " })?;
                }
                Ok(())
            }
            Self::Within(low, u32::MAX) => write!(f, "at least {low}"),
            Self::Within(low, high) => write!(f, "{low} to {high}"),
            Self::Multiples(of, high) => write!(f, "a multiple of {of} up to {high}"),
        }
    }
}

/// How many elements are accepted; any other number is EINVAL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entries {
    /// At least one.
    Some,
    /// None: the field is zero.
    None,
    /// A power of two that is a multiple of the page: bytes, not elements.
    RingBytes,
}

/// Whether values exist once or once for each possible CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Copies {
    /// Once.
    One,
    /// For each CPU; system calls see them in a row, each rounded up to eight bytes.
    PerCpu,
}

/// Whether the map can be mapped into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mapping {
    /// It cannot.
    No,
    /// With `BPF_F_MMAPABLE`.
    IfFlag,
    /// Always.
    Always,
}

/// What a loader says about the map's types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BtfUse {
    /// The types of key and value.
    KeyAndValue,
    /// Nothing: the kind refuses BTF, or libbpf never passes it.
    Never,
    /// The value's type in the kernel's BTF.
    KernelValue,
}

/// What an element is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// An index below `max_entries`; elements always exist.
    Index,
    /// A key; elements come and go.
    Key,
    /// Push, pop and peek.
    Ends,
    /// Records in a ring.
    Records,
    /// An object of the kernel that owns the element.
    Owner,
    /// Addresses.
    Memory,
}

/// One map kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapKind {
    /// Its number.
    pub kind: MapType,
    /// The version that brought it.
    pub since: Version,
    /// The bytes of a key.
    pub key: Sizes,
    /// The bytes of a value.
    pub value: Sizes,
    /// The number of elements.
    pub entries: Entries,
    /// The flags that may be given.
    pub flags: u32,
    /// The flags that must be given.
    pub required: u32,
    /// How often a value exists.
    pub copies: Copies,
    /// How elements are found.
    pub access: Access,
    /// Whether it can be mapped.
    pub mapping: Mapping,
    /// What a loader says about types.
    pub btf: BtfUse,
}

/// Why Linux refuses to make a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// The size of the key.
    Key(Sizes, u32),
    /// The size of the value.
    Value(Sizes, u32),
    /// The number of elements.
    Entries(Entries, u32),
    /// More than the kind can hold at all.
    TooBig,
    /// Flags that the kind does not have, or that exclude each other.
    Flags(u32),
    /// Flags that the kind must have.
    Missing(u32),
    /// A preallocated kind asked not to preallocate.
    NotPreallocated,
}

impl Mistake {
    /// Returns Linux's answer.
    pub const fn errno(self) -> Errno {
        match self {
            Self::TooBig => Errno::E2BIG,
            Self::NotPreallocated => Errno::ENOTSUPP,
            _ => Errno::EINVAL,
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(wanted, found) => write!(f, "the key has {found} bytes, wanted {wanted}"),
            Self::Value(wanted, found) => write!(f, "the value has {found} bytes, wanted {wanted}"),
            Self::Entries(Entries::Some, _) => f.write_str("max_entries is 0, wanted at least 1"),
            Self::Entries(Entries::None, found) => write!(f, "max_entries is {found}, wanted 0"),
            Self::Entries(Entries::RingBytes, found) => {
                write!(f, "max_entries is {found}, wanted a power of two that is a multiple of the page")
            }
            Self::TooBig => f.write_str("key, value or number of elements is larger than this kind can hold"),
            Self::Flags(flags) => write!(f, "this kind does not take the flags {flags:#x}"),
            Self::Missing(flags) => write!(f, "this kind needs the flags {flags:#x}"),
            Self::NotPreallocated => f.write_str("this kind is always preallocated"),
        }
    }
}

impl core::error::Error for Mistake {}

/// The largest allocation of Linux on a machine with 64 bits and pages of 4 KiB (`KMALLOC_MAX_SIZE`).
const KMALLOC_MAX: u64 = 4 << 20;
/// The largest per-CPU value (`PCPU_MIN_UNIT_SIZE`).
const PER_CPU_MAX: u32 = 32 << 10;
/// The bytes of Linux's own header of a hash element (`struct htab_elem`).
const HASH_HEADER: u64 = 48;
/// The most buckets of a hash, a power of two that is at least the number of elements: `U32_MAX` bytes of
/// `struct bucket` (16 bytes).
const HASH_BUCKETS_MAX: u32 = 1 << 27;
/// The longest value of a trie (`LPM_VAL_SIZE_MAX`): `KMALLOC_MAX_SIZE` less the most data and a
/// `struct lpm_trie_node`.
const LPM_VALUE_MAX: u32 = (4 << 20) - 256 - 24;
/// The page that rings are measured in.
const PAGE: u32 = 4096;
/// The deepest stack of a stack-trace map (`sysctl_perf_event_max_stack`, as it is set at boot).
const MAX_STACK: u32 = 127;
/// The longest key of a socket hash (`MAX_BPF_STACK`).
const SOCKHASH_KEY_MAX: u32 = 512;

const RW: u32 = BPF_F_RDONLY | BPF_F_WRONLY;
const RW_PROG: u32 = RW | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
const NUMA: u32 = BPF_F_NUMA_NODE;
const PREALLOC: u32 = BPF_F_NO_PREALLOC;

const INDEX: Sizes = Sizes::Exactly(4);
const FD: Sizes = Sizes::Exactly(4);
const SOME: Sizes = Sizes::Within(1, u32::MAX);
const NONE: Sizes = Sizes::Exactly(0);
const FD_OR_8: Sizes = Sizes::OneOf(&[4, 8]);

impl MapKind {
    /// Checks what `BPF_MAP_CREATE` is given, in the order in which Linux does as far as that shows.
    ///
    /// Memory may still be short, and what needs an inner map, BTF or a device is not looked at.
    ///
    /// # Errors
    ///
    /// What is wrong, with Linux's errno.
    pub fn check(&self, key: u32, value: u32, entries: u32, flags: u32) -> Result<(), Mistake> {
        let lru = matches!(self.kind, MapType::LRU_HASH | MapType::LRU_PERCPU_HASH);
        if lru && flags & PREALLOC != 0 {
            return Err(Mistake::NotPreallocated);
        }
        let unknown = flags & !self.flags;
        if unknown != 0 {
            return Err(Mistake::Flags(unknown));
        }
        for both in [RW, BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG] {
            if flags & both == both {
                return Err(Mistake::Flags(both));
            }
        }
        // One list for each CPU, each on its own node.
        if flags & (BPF_F_NO_COMMON_LRU | NUMA) == BPF_F_NO_COMMON_LRU | NUMA {
            return Err(Mistake::Flags(NUMA));
        }
        if flags & self.required != self.required {
            return Err(Mistake::Missing(self.required & !flags));
        }
        let entries_fit = match self.entries {
            Entries::Some => entries != 0,
            Entries::None => entries == 0,
            Entries::RingBytes => entries.is_power_of_two() && entries % PAGE == 0,
        };
        if !entries_fit {
            return Err(Mistake::Entries(self.entries, entries));
        }
        if !self.key.accept(key) {
            return Err(Mistake::Key(self.key, key));
        }
        let wanted =
            if flags & BPF_F_STACK_BUILD_ID != 0 { Sizes::Multiples(32, MAX_STACK * 32) } else { self.value };
        if !wanted.accept(value) {
            return Err(Mistake::Value(wanted, value));
        }
        if self.too_big(key, value, entries) { Err(Mistake::TooBig) } else { Ok(()) }
    }

    fn too_big(&self, key: u32, value: u32, entries: u32) -> bool {
        if self.copies == Copies::PerCpu && value > PER_CPU_MAX {
            return true;
        }
        match self.kind {
            MapType::HASH
            | MapType::LRU_HASH
            | MapType::PERCPU_HASH
            | MapType::LRU_PERCPU_HASH
            | MapType::HASH_OF_MAPS => {
                u64::from(key) + u64::from(value) >= KMALLOC_MAX - HASH_HEADER || entries > HASH_BUCKETS_MAX
            }
            MapType::ARRAY => value > i32::MAX as u32,
            MapType::QUEUE | MapType::STACK | MapType::BLOOM_FILTER => u64::from(value) > KMALLOC_MAX,
            MapType::SOCKHASH => key > SOCKHASH_KEY_MAX,
            _ => false,
        }
    }

    const fn new(kind: MapType, since: Version, access: Access) -> Self {
        Self {
            kind,
            since,
            key: INDEX,
            value: SOME,
            entries: Entries::Some,
            flags: 0,
            required: 0,
            copies: Copies::One,
            access,
            mapping: Mapping::No,
            btf: BtfUse::KeyAndValue,
        }
    }

    const fn sizes(mut self, key: Sizes, value: Sizes) -> Self {
        self.key = key;
        self.value = value;
        self
    }

    const fn flags(mut self, flags: u32) -> Self {
        self.flags = flags;
        self
    }

    const fn required(mut self, flags: u32) -> Self {
        self.required = flags;
        self.flags |= flags;
        self
    }

    const fn entries(mut self, entries: Entries) -> Self {
        self.entries = entries;
        self
    }

    const fn per_cpu(mut self) -> Self {
        self.copies = Copies::PerCpu;
        self
    }

    const fn mapped(mut self, mapping: Mapping) -> Self {
        self.mapping = mapping;
        self
    }

    const fn without_btf(mut self) -> Self {
        self.btf = BtfUse::Never;
        self
    }
}

/// Every map kind, by ascending number.
#[rustfmt::skip]
pub static MAPS: &[MapKind] = &[
    MapKind::new(MapType::HASH, v(3, 19), Access::Key).sizes(SOME, SOME).flags(PREALLOC | NUMA | RW_PROG | BPF_F_ZERO_SEED),
    MapKind::new(MapType::ARRAY, v(3, 19), Access::Index)
        .flags(NUMA | RW_PROG | BPF_F_MMAPABLE | BPF_F_INNER_MAP).mapped(Mapping::IfFlag),
    MapKind::new(MapType::PROG_ARRAY, v(4, 2), Access::Index).sizes(INDEX, FD).flags(NUMA | RW),
    MapKind::new(MapType::PERF_EVENT_ARRAY, v(4, 3), Access::Index)
        .sizes(INDEX, FD).flags(NUMA | RW | BPF_F_PRESERVE_ELEMS).without_btf(),
    MapKind::new(MapType::PERCPU_HASH, v(4, 6), Access::Key)
        .sizes(SOME, SOME).flags(PREALLOC | RW_PROG | BPF_F_ZERO_SEED).per_cpu(),
    MapKind::new(MapType::PERCPU_ARRAY, v(4, 6), Access::Index).flags(RW_PROG).per_cpu(),
    MapKind::new(MapType::STACK_TRACE, v(4, 6), Access::Key)
        .sizes(INDEX, Sizes::Multiples(8, MAX_STACK * 8)).flags(NUMA | RW | BPF_F_STACK_BUILD_ID).without_btf(),
    MapKind::new(MapType::CGROUP_ARRAY, v(4, 8), Access::Index).sizes(INDEX, FD).flags(NUMA | RW).without_btf(),
    MapKind::new(MapType::LRU_HASH, v(4, 10), Access::Key)
        .sizes(SOME, SOME).flags(BPF_F_NO_COMMON_LRU | NUMA | RW_PROG | BPF_F_ZERO_SEED),
    MapKind::new(MapType::LRU_PERCPU_HASH, v(4, 10), Access::Key)
        .sizes(SOME, SOME).flags(BPF_F_NO_COMMON_LRU | RW_PROG | BPF_F_ZERO_SEED).per_cpu(),
    MapKind::new(MapType::LPM_TRIE, v(4, 11), Access::Key)
        .sizes(Sizes::Within(5, 260), Sizes::Within(1, LPM_VALUE_MAX)).flags(NUMA | RW_PROG).required(PREALLOC),
    MapKind::new(MapType::ARRAY_OF_MAPS, v(4, 12), Access::Index).sizes(INDEX, FD).flags(NUMA | RW).without_btf(),
    MapKind::new(MapType::HASH_OF_MAPS, v(4, 12), Access::Key)
        .sizes(SOME, FD).flags(PREALLOC | NUMA | RW_PROG | BPF_F_ZERO_SEED).without_btf(),
    MapKind::new(MapType::DEVMAP, v(4, 14), Access::Index).sizes(INDEX, FD_OR_8).flags(NUMA | RW).without_btf(),
    MapKind::new(MapType::SOCKMAP, v(4, 14), Access::Index).sizes(INDEX, FD_OR_8).flags(NUMA | RW).without_btf(),
    MapKind::new(MapType::CPUMAP, v(4, 15), Access::Index).sizes(INDEX, FD_OR_8).flags(NUMA).without_btf(),
    MapKind::new(MapType::XSKMAP, v(4, 18), Access::Index).sizes(INDEX, FD).flags(NUMA | RW).without_btf(),
    MapKind::new(MapType::SOCKHASH, v(4, 18), Access::Key).sizes(SOME, FD_OR_8).flags(NUMA | RW).without_btf(),
    MapKind::new(MapType::CGROUP_STORAGE, v(4, 19), Access::Owner)
        .sizes(Sizes::OneOf(&[8, 16]), SOME).entries(Entries::None).flags(NUMA | RW_PROG),
    MapKind::new(MapType::REUSEPORT_SOCKARRAY, v(4, 19), Access::Index).sizes(INDEX, FD_OR_8).flags(NUMA | RW_PROG),
    MapKind::new(MapType::PERCPU_CGROUP_STORAGE, v(4, 20), Access::Owner)
        .sizes(Sizes::OneOf(&[8, 16]), SOME).entries(Entries::None).flags(NUMA | RW_PROG).per_cpu(),
    MapKind::new(MapType::QUEUE, v(4, 20), Access::Ends).sizes(NONE, SOME).flags(NUMA | RW_PROG).without_btf(),
    MapKind::new(MapType::STACK, v(4, 20), Access::Ends).sizes(NONE, SOME).flags(NUMA | RW_PROG).without_btf(),
    MapKind::new(MapType::SK_STORAGE, v(5, 2), Access::Owner)
        .entries(Entries::None).flags(BPF_F_CLONE).required(PREALLOC),
    MapKind::new(MapType::DEVMAP_HASH, v(5, 4), Access::Key).sizes(INDEX, FD_OR_8).flags(NUMA | RW).without_btf(),
    MapKind { btf: BtfUse::KernelValue, ..MapKind::new(MapType::STRUCT_OPS, v(5, 6), Access::Index).flags(BPF_F_LINK | BPF_F_VTYPE_BTF_OBJ_FD) },
    MapKind::new(MapType::RINGBUF, v(5, 8), Access::Records)
        .sizes(NONE, NONE).entries(Entries::RingBytes).flags(NUMA).mapped(Mapping::Always),
    MapKind::new(MapType::INODE_STORAGE, v(5, 10), Access::Owner)
        .entries(Entries::None).flags(BPF_F_CLONE).required(PREALLOC),
    MapKind::new(MapType::TASK_STORAGE, v(5, 11), Access::Owner)
        .entries(Entries::None).flags(BPF_F_CLONE).required(PREALLOC),
    MapKind::new(MapType::BLOOM_FILTER, v(5, 16), Access::Ends)
        .sizes(NONE, SOME).flags(NUMA | RW_PROG | BPF_F_ZERO_SEED),
    MapKind::new(MapType::USER_RINGBUF, v(6, 1), Access::Records)
        .sizes(NONE, NONE).entries(Entries::RingBytes).flags(NUMA).mapped(Mapping::Always),
    MapKind::new(MapType::CGRP_STORAGE, v(6, 2), Access::Owner)
        .entries(Entries::None).flags(BPF_F_CLONE).required(PREALLOC),
    MapKind::new(MapType::ARENA, v(6, 9), Access::Memory)
        .sizes(NONE, NONE).flags(BPF_F_SEGV_ON_FAULT | BPF_F_NO_USER_CONV).required(BPF_F_MMAPABLE)
        .mapped(Mapping::Always).without_btf(),
    MapKind::new(MapType::INSN_ARRAY, v(6, 19), Access::Index).sizes(INDEX, Sizes::Exactly(16)),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: MapType) -> &'static MapKind {
        &MAPS[kind.0 as usize - 1]
    }

    #[test]
    fn one_row_for_each_number() {
        assert_eq!(MAPS.len(), MapType::ALL.len() - 1, "all but UNSPEC");
        for (i, map) in MAPS.iter().enumerate() {
            assert_eq!(map.kind.0 as usize, i + 1);
            assert_eq!(map.required & !map.flags, 0);
        }
    }

    #[test]
    fn mistakes_have_linuxs_errno() {
        let check = |kind, key, value, entries, flags| {
            row(kind).check(key, value, entries, flags).map_err(Mistake::errno)
        };
        assert_eq!(check(MapType::ARRAY, 4, 8, 1, 0), Ok(()));
        assert_eq!(check(MapType::ARRAY, 8, 8, 1, 0), Err(Errno::EINVAL));
        assert_eq!(check(MapType::ARRAY, 4, 1 << 31, 1, 0), Err(Errno::E2BIG));
        assert_eq!(check(MapType::HASH, 4, 4 << 20, 1, 0), Err(Errno::E2BIG));
        assert_eq!(check(MapType::HASH, u32::MAX, u32::MAX, 1, 0), Err(Errno::E2BIG));
        assert_eq!(check(MapType::HASH, 4, 8, 1 << 27, 0), Ok(()));
        assert_eq!(check(MapType::HASH, 4, 8, (1 << 27) + 1, 0), Err(Errno::E2BIG));
        assert_eq!(check(MapType::BLOOM_FILTER, 0, (4 << 20) + 1, 1, 0), Err(Errno::E2BIG));
        assert_eq!(
            check(MapType::LRU_HASH, 4, 8, 1, BPF_F_NO_COMMON_LRU | BPF_F_NUMA_NODE),
            Err(Errno::EINVAL)
        );
        assert_eq!(check(MapType::PERCPU_ARRAY, 4, 32769, 1, 0), Err(Errno::E2BIG));
        assert_eq!(check(MapType::PERCPU_ARRAY, 4, u32::MAX, 1, 0), Err(Errno::E2BIG));
        assert_eq!(check(MapType::LRU_HASH, 4, 8, 1, BPF_F_NO_PREALLOC), Err(Errno::ENOTSUPP));
        assert_eq!(check(MapType::RINGBUF, 0, 0, 4096, 0), Ok(()));
        assert_eq!(check(MapType::RINGBUF, 0, 0, 12288, 0), Err(Errno::EINVAL));
        assert_eq!(check(MapType::RINGBUF, 0, 0, 2048, 0), Err(Errno::EINVAL));
        assert_eq!(check(MapType::HASH, 4, 8, 1, BPF_F_RDONLY | BPF_F_WRONLY), Err(Errno::EINVAL));
        assert_eq!(check(MapType::LPM_TRIE, 8, 8, 1, 0), Err(Errno::EINVAL));
        assert_eq!(check(MapType::STACK_TRACE, 4, 32, 1, BPF_F_STACK_BUILD_ID), Ok(()));
        assert_eq!(check(MapType::STACK_TRACE, 4, 8, 1, BPF_F_STACK_BUILD_ID), Err(Errno::EINVAL));
    }

    #[test]
    fn fourteen_kinds_never_get_btf() {
        // bpf_object__create_map: PERF_EVENT_ARRAY, CGROUP_ARRAY, STACK_TRACE, both of maps, DEVMAP, DEVMAP_HASH,
        // CPUMAP, XSKMAP, SOCKMAP, SOCKHASH, QUEUE, STACK, ARENA.
        assert_eq!(MAPS.iter().filter(|map| map.btf == BtfUse::Never).count(), 14);
    }
}
