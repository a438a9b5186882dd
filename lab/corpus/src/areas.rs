//! Which fields of the attributes are pointers, and how far what they point to goes (include/uapi/linux/bpf.h).

use crate::seam::Bpf;
use libc::c_int;
use skep_abi::{BtfLoad, Cmd, MapCreate, MapElem, ProgLoad};
use std::collections::BTreeMap;
use std::mem::offset_of;
use std::sync::{Mutex, PoisonError};

/// How far memory goes.
#[derive(Clone, Copy)]
enum Length {
    /// A number of records, each of so many bytes: the offsets of both numbers.
    Records {
        /// Where their number is.
        count: usize,
        /// Where the bytes of each are said.
        each: usize,
    },
    /// As many units as the number at this offset says, of so many bytes.
    Units {
        /// Where their number is.
        count: usize,
        /// The bytes of each.
        each: usize,
    },
    /// Up to a NUL.
    Text,
    /// A key of the map whose descriptor stands at the start.
    Key,
    /// A value of that map.
    Value,
}

/// A pointer field.
struct Pointer {
    cmd: Cmd,
    field: usize,
    length: Length,
}

const fn pointer(cmd: Cmd, field: usize, length: Length) -> Pointer {
    Pointer { cmd, field, length }
}

/// The pointers that a load uses and the kernel reads. What it writes, logs and information, is the kernel's word and not
/// the loader's.
const POINTERS: &[Pointer] = &[
    pointer(
        Cmd::PROG_LOAD,
        offset_of!(ProgLoad, insns),
        Length::Units { count: offset_of!(ProgLoad, insn_cnt), each: 8 },
    ),
    pointer(Cmd::PROG_LOAD, offset_of!(ProgLoad, license), Length::Text),
    pointer(
        Cmd::PROG_LOAD,
        offset_of!(ProgLoad, func_info),
        Length::Records {
            count: offset_of!(ProgLoad, func_info_cnt),
            each: offset_of!(ProgLoad, func_info_rec_size),
        },
    ),
    pointer(
        Cmd::PROG_LOAD,
        offset_of!(ProgLoad, line_info),
        Length::Records {
            count: offset_of!(ProgLoad, line_info_cnt),
            each: offset_of!(ProgLoad, line_info_rec_size),
        },
    ),
    pointer(
        Cmd::PROG_LOAD,
        offset_of!(ProgLoad, core_relos),
        Length::Records {
            count: offset_of!(ProgLoad, core_relo_cnt),
            each: offset_of!(ProgLoad, core_relo_rec_size),
        },
    ),
    pointer(
        Cmd::BTF_LOAD,
        offset_of!(BtfLoad, btf),
        Length::Units { count: offset_of!(BtfLoad, btf_size), each: 1 },
    ),
    pointer(Cmd::MAP_UPDATE_ELEM, offset_of!(MapElem, key), Length::Key),
    pointer(Cmd::MAP_UPDATE_ELEM, offset_of!(MapElem, value), Length::Value),
];

/// Reads the attributes and what they point to.
///
/// # Safety
/// `at` is the address of `len` bytes, which are the attributes of a call that may be made.
pub(crate) unsafe fn note(cmd: u32, at: usize, len: usize) -> Bpf {
    // SAFETY: promised.
    let attr = unsafe { bytes(at as u64, len) };
    let mut call = Bpf { cmd, attr, memory: Vec::new(), result: 0 };
    for pointer in POINTERS.iter().filter(|pointer| pointer.cmd.0 == cmd) {
        let address = number(&call.attr, pointer.field, 8);
        if address == 0 {
            continue;
        }
        let count = |at| number(&call.attr, at, 4) as usize;
        let of_map = || sizes_of(number(&call.attr, 0, 4));
        let len = match pointer.length {
            Length::Records { count: at, each } => count(at) * count(each),
            Length::Units { count: at, each } => count(at) * each,
            // SAFETY: the kernel reads a text there, so it ends with a NUL.
            Length::Text => unsafe { libc::strlen(std::ptr::with_exposed_provenance(address as usize)) },
            Length::Key => of_map().0,
            Length::Value => of_map().1,
        };
        // SAFETY: the kernel reads as much there.
        call.memory.push((pointer.field, unsafe { bytes(address, len) }));
    }
    if cmd == Cmd::PROG_LOAD.0 {
        let field = offset_of!(ProgLoad, fd_array);
        let address = number(&call.attr, field, 8);
        if address != 0 {
            let len = 4 * fds(call.area(offset_of!(ProgLoad, insns)));
            // SAFETY: the kernel reads as many descriptors as instructions count up to (kernel/bpf/verifier.c,
            // `fetch_kfunc_meta` and `resolve_pseudo_ldimm64`).
            call.memory.push((field, unsafe { bytes(address, len) }));
        }
    }
    call
}

/// The number of descriptors that instructions refer to by index.
fn fds(insns: &[u8]) -> usize {
    const LDDW: u8 = 0x18;
    const CALL: u8 = 0x85;
    let slots = insns.chunks_exact(8).map(|slot| match (slot[0], slot[1] >> 4) {
        (CALL, 2) => usize::from(u16::from_le_bytes([slot[2], slot[3]])) + 1,
        (LDDW, 5 | 6) => number(slot, 4, 4) as usize + 1,
        _ => 0,
    });
    slots.max().unwrap_or(0)
}

/// A number of up to eight bytes; what the attributes are too short for is zero, as it is for the kernel.
pub(crate) fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    let mut word = [0; 8];
    if let Some(found) = bytes.get(at..at + len) {
        word[..len].copy_from_slice(found);
    }
    u64::from_le_bytes(word)
}

/// # Safety
/// There are `len` bytes at `address`, which nobody writes meanwhile.
unsafe fn bytes(address: u64, len: usize) -> Vec<u8> {
    if address == 0 || len == 0 {
        return Vec::new();
    }
    let at = std::ptr::with_exposed_provenance::<u8>(address as usize);
    // SAFETY: promised.
    unsafe { std::slice::from_raw_parts(at, len) }.to_vec()
}

/// The sizes of key and value of maps, by descriptor.
static SIZES: Mutex<BTreeMap<u64, (usize, usize)>> = Mutex::new(BTreeMap::new());

/// Takes the sizes of a map that has just been made.
pub(crate) fn learn(call: &Bpf) {
    if let (true, Ok(fd)) = (call.cmd == Cmd::MAP_CREATE.0, u64::try_from(call.result)) {
        let size = |at| number(&call.attr, at, 4) as usize;
        set_sizes(fd, (size(offset_of!(MapCreate, key_size)), size(offset_of!(MapCreate, value_size))));
    }
}

/// Takes one descriptor's sizes for another one.
pub(crate) fn same(from: c_int, to: c_int) {
    set_sizes(to as u64, sizes_of(from as u64));
}

fn set_sizes(fd: u64, sizes: (usize, usize)) {
    SIZES.lock().unwrap_or_else(PoisonError::into_inner).insert(fd, sizes);
}

/// A map that nobody has seen made has none, so nothing is read. Of maps with a value for each processor the first one is
/// enough.
fn sizes_of(fd: u64) -> (usize, usize) {
    let sizes = SIZES.lock().unwrap_or_else(PoisonError::into_inner);
    sizes.get(&fd).copied().unwrap_or_default()
}
