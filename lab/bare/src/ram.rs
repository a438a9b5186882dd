//! Which memory there is: the map that the firmware hands over (Xen's public/arch-x86/hvm/start_info.h).

use core::ops::Range;

/// `XEN_HVM_START_MAGIC_VALUE`.
const MAGIC: u32 = 0x336e_c578;
/// `XEN_HVM_MEMMAP_TYPE_RAM`.
const RAM: u32 = 1;
/// The end of what `start.s` maps to itself.
pub(crate) const IDENTITY_END: u64 = 1 << 30;

/// `struct hvm_start_info`, as of version 1.
#[repr(C)]
#[derive(Clone, Copy)]
struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    modules: u32,
    module_list: u64,
    command_line: u64,
    rsdp: u64,
    memory_map: u64,
    memory_map_entries: u32,
    reserved: u32,
}

/// `struct hvm_memmap_table_entry`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Entry {
    start: u64,
    len: u64,
    kind: u32,
    reserved: u32,
}

/// Finds the memory from `from` on that is there and mapped to itself; none where the firmware says nothing.
///
/// # Safety
/// `start_info` is what the firmware handed over, and the memory that it lies in is still mapped.
pub(crate) unsafe fn usable(start_info: u64, from: u64) -> Option<Range<u64>> {
    // SAFETY: the caller's contract; the firmware aligns it to 4 bytes at least, hence unaligned.
    let info = unsafe { at::<StartInfo>(start_info).read_unaligned() };
    if info.magic != MAGIC || info.version < 1 {
        return None;
    }
    (0..u64::from(info.memory_map_entries)).find_map(|index| {
        let entry = at::<Entry>(info.memory_map + index * size_of::<Entry>() as u64);
        // SAFETY: as above: the map has that many entries.
        let entry = unsafe { entry.read_unaligned() };
        let end = entry.start.saturating_add(entry.len).min(IDENTITY_END);
        (entry.kind == RAM && entry.start <= from && from < end).then_some(from..end)
    })
}

fn at<T>(address: u64) -> *const T {
    core::ptr::with_exposed_provenance(address as usize)
}
