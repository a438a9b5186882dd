//! What a tool sets before it loads: sizes that the objects leave at zero, and types of programs that no section's name
//! tells.

use skep_abi::{MapType, ProgType};

/// Entries of a map that states none.
const ENTRIES: u32 = 1024;
/// Bytes of a ring that states none: a power of two and a multiple of every page size.
const RING: u32 = 256 << 10;
/// Frames of a stack trace, `PERF_MAX_STACK_DEPTH` (include/uapi/linux/perf_event.h), of eight bytes each.
const STACK: u32 = 127 * 8;

/// Maps whose entries must be zero, or are for the loader to count (one for each processor).
const WITHOUT_ENTRIES: &[MapType] = &[
    MapType::PERF_EVENT_ARRAY,
    MapType::SK_STORAGE,
    MapType::INODE_STORAGE,
    MapType::TASK_STORAGE,
    MapType::CGRP_STORAGE,
    MapType::CGROUP_STORAGE,
    MapType::PERCPU_CGROUP_STORAGE,
    MapType::STRUCT_OPS,
];

/// Sections whose names say to their tool what a program is, and to no loader: of ir-keytable, which loads all that a file has
/// as decoders (its name is that of the protocol), and of suricata, whose configuration has the names.
const SECTIONS: &[(&str, ProgType)] = &[
    ("lirc_mode2/", ProgType::LIRC_MODE2),
    ("filter", ProgType::SOCKET_FILTER),
    ("loadbalancer", ProgType::SOCKET_FILTER),
];

/// The type of program to set, if its section's name says none.
pub(crate) fn prog_type(section: &str) -> Option<ProgType> {
    let is_it = |name: &str| section == name || name.ends_with('/') && section.starts_with(name);
    SECTIONS.iter().find(|(name, _)| is_it(name)).map(|(_, prog_type)| *prog_type)
}

/// The entries to set, if any.
pub(crate) fn entries(kind: MapType, stated: u32) -> Option<u32> {
    match kind {
        _ if stated != 0 || WITHOUT_ENTRIES.contains(&kind) => None,
        MapType::RINGBUF | MapType::USER_RINGBUF => Some(RING),
        // More than the kernel has processors are refused (kernel/bpf/cpumap.c, `cpu_map_alloc`).
        MapType::CPUMAP => Some(processors()),
        _ => Some(ENTRIES),
    }
}

fn processors() -> u32 {
    let count = std::thread::available_parallelism().map_or(1, |count| count.get());
    u32::try_from(count).unwrap_or(1)
}

/// The size of values to set, if any.
pub(crate) fn value_size(kind: MapType, stated: u32) -> Option<u32> {
    (kind == MapType::STACK_TRACE && stated == 0).then_some(STACK)
}
