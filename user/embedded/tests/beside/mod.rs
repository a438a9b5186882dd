//! Running the same on both kernels.
#![allow(dead_code, reason = "each test file uses some of it")]

use skep_abi::{Cmd, MapCreate, MapType, ProgLoad, ProgType};
use skep_embedded::{Config, Embedded, Interface, Tracepoint};
use skep_sys::{Area, Attr, Call, CallError, Kernel, MapFd, ProgFd, ProgLoadMemory};
use std::num::NonZeroU32;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Both kernels; says that `test` is skipped where this process may not use `bpf(2)`, or Linux is older than what
/// the embedded kernel answers as by more than its answers are known to differ.
fn both(test: &str) -> Option<Both> {
    let linux = skep_linux::kernel();
    let probe = MapCreate {
        map_type: MapType::ARRAY.0,
        key_size: 4,
        value_size: 4,
        max_entries: 1,
        ..MapCreate::default()
    };
    if let Err(error) = linux.map_create(&probe) {
        println!("skipped: {test}: {error}");
        return None;
    }
    let version = version();
    if version < (6, 12) {
        println!("skipped: {test}: this is Linux {}.{}", version.0, version.1);
        return None;
    }
    let cpus = NonZeroU32::new(linux.possible_cpus().unwrap()).unwrap();
    let embedded = Embedded::new(Config::new().cpus(cpus)).unwrap();
    let interface = embedded.add_interface("lo").unwrap();
    let tracepoint = embedded.add_tracepoint("raw_syscalls", "sys_enter").unwrap();
    Some(Both { kernels: [linux, Kernel::from_sys(embedded)], _places: (interface, tracepoint) })
}

/// The version of the running Linux.
pub(crate) fn version() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split('.').map_while(|number| number.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Both kernels, and what programs are attached to on the embedded one: an interface and a tracepoint.
struct Both {
    kernels: [Kernel; 2],
    _places: (Interface, Tracepoint),
}

/// What is known to differ: beginnings of lines, each of which must differ.
const DIFFER: &[&str] = &[
    // From 6.18 on the context says how much of an XDP packet is linear; the rest would lie in fragments, which there
    // are none of here.
    "BPF_PROG_TYPE_XDP, context of ",
];

/// Runs the same on both, and compares line by line.
pub(crate) fn compare(test: &str, run: impl FnMut(&Kernel) -> Vec<(String, String)>) {
    let Some(both) = both(test) else { return };
    let [wanted, found] = both.kernels.each_ref().map(run);
    assert_eq!(wanted.len(), found.len());
    let differ: Vec<String> = wanted
        .iter()
        .zip(&found)
        .filter(|(wanted, found)| (wanted == found) == DIFFER.iter().any(|known| wanted.0.starts_with(known)))
        .map(|((what, wanted), (_, found))| format!("{what}: Linux {wanted}, here {found}"))
        .collect();
    let few = differ.iter().take(60).cloned().collect::<Vec<_>>().join("\n");
    assert!(differ.is_empty(), "{} of {} answers differ:\n{few}", differ.len(), wanted.len());
    println!("{test}: {} answers", wanted.len());
}

pub(crate) fn said<T: std::fmt::Debug>(result: Result<T, CallError>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(CallError::Errno(errno)) => errno.name().unwrap_or("?").to_owned(),
        Err(error) => format!("{error}"),
    }
}

pub(crate) fn map(
    kernel: &Kernel,
    map_type: MapType,
    sizes: [u32; 3],
    map_flags: u32,
) -> Result<MapFd, CallError> {
    let [key_size, value_size, max_entries] = sizes;
    let create = MapCreate {
        map_type: map_type.0,
        key_size,
        value_size,
        max_entries,
        map_flags,
        ..Default::default()
    };
    kernel.map_create(&create)
}

/// The kinds that the embedded kernel has, with sizes that suit.
pub(crate) const KINDS: &[(MapType, [u32; 3])] = &[
    (MapType::HASH, [4, 8, 16]),
    (MapType::ARRAY, [4, 8, 16]),
    (MapType::PROG_ARRAY, [4, 4, 16]),
    (MapType::PERF_EVENT_ARRAY, [4, 4, 16]),
    (MapType::PERCPU_HASH, [4, 8, 16]),
    (MapType::PERCPU_ARRAY, [4, 8, 16]),
    (MapType::LRU_HASH, [4, 8, 64]),
    (MapType::QUEUE, [0, 8, 16]),
    (MapType::STACK, [0, 8, 16]),
    (MapType::RINGBUF, [0, 0, 4096]),
];

/// One instruction (RFC 9669 §3), little-endian.
pub(crate) fn insn(opcode: u8, registers: u8, offset: i16, imm: i32) -> [u8; 8] {
    let mut bytes = [opcode, registers, 0, 0, 0, 0, 0, 0];
    bytes[2..4].copy_from_slice(&offset.to_ne_bytes());
    bytes[4..].copy_from_slice(&imm.to_ne_bytes());
    bytes
}

pub(crate) fn load(
    kernel: &Kernel,
    prog_type: ProgType,
    insns: &[[u8; 8]],
    licence: &str,
) -> Result<ProgFd, CallError> {
    let mut load = ProgLoad { prog_type: prog_type.0, ..ProgLoad::default() };
    let memory =
        ProgLoadMemory { insns: insns.as_flattened(), license: licence, ..ProgLoadMemory::default() };
    kernel.prog_load(&mut load, memory)
}

/// Makes a call that no typed operation makes.
///
/// # Safety
/// As `Attr::raw`: every pointer that the command uses is null or an area as long as the attributes say.
pub(crate) unsafe fn raw<T: FromBytes + IntoBytes + Immutable>(
    kernel: &Kernel,
    cmd: Cmd,
    attr: &mut T,
    areas: Vec<Area<'_>>,
) -> Result<(), CallError> {
    // SAFETY: the caller's promise.
    let attr = unsafe { Attr::raw(cmd, attr.as_mut_bytes(), areas) }?;
    kernel.call(Call::Bpf(attr))?;
    Ok(())
}
