//! Perf events as far as BPF uses them: `perf_event_open(2)`, its buffer, its ioctls, under Linux's own names.

use crate::defines::defines;

defines! {
    "linux/perf_event.h" {
        PERF_ATTR_SIZE_VER5: u32 = 112, "The size of `perf_event_attr` that every kernel this crate is for knows.";
        PERF_FLAG_FD_NO_GROUP: u64 = 1 << 0, "perf_event_open: ignore the group, but redirect output.";
        PERF_FLAG_FD_OUTPUT: u64 = 1 << 1, "perf_event_open: into the group leader's buffer.";
        PERF_FLAG_PID_CGROUP: u64 = 1 << 2, "perf_event_open: `pid` is a cgroup's descriptor.";
        PERF_FLAG_FD_CLOEXEC: u64 = 1 << 3, "perf_event_open: close on exec.";
        PERF_SAMPLE_RAW: u64 = 1 << 10, "`sample_type`: the raw data that BPF writes.";
        PERF_RECORD_MISC_CPUMODE_MASK: u16 = 7, "`misc`: where the sample was taken.";
    }
    // The numbers of _IO('$', n), _IOW and _IOR with a pointer, on machines with the generic encoding and 64 bits.
    "linux/perf_event.h" {
        PERF_EVENT_IOC_ENABLE: u32 = 0x2400, "ioctl: count.";
        PERF_EVENT_IOC_DISABLE: u32 = 0x2401, "ioctl: stop counting.";
        PERF_EVENT_IOC_REFRESH: u32 = 0x2402, "ioctl: count so many times more.";
        PERF_EVENT_IOC_RESET: u32 = 0x2403, "ioctl: back to zero.";
        PERF_EVENT_IOC_PERIOD: u32 = 0x4008_2404, "ioctl: another period.";
        PERF_EVENT_IOC_SET_OUTPUT: u32 = 0x2405, "ioctl: into another event's buffer.";
        PERF_EVENT_IOC_SET_FILTER: u32 = 0x4008_2406, "ioctl: a filter for a tracepoint.";
        PERF_EVENT_IOC_ID: u32 = 0x8008_2407, "ioctl: the event's id.";
        PERF_EVENT_IOC_SET_BPF: u32 = 0x4004_2408, "ioctl: a BPF program.";
        PERF_EVENT_IOC_PAUSE_OUTPUT: u32 = 0x4004_2409, "ioctl: pause the buffer.";
        PERF_EVENT_IOC_QUERY_BPF: u32 = 0xc008_240a, "ioctl: the ids of its BPF programs.";
        PERF_EVENT_IOC_MODIFY_ATTRIBUTES: u32 = 0x4008_240b, "ioctl: other attributes.";
    }
}

/// Bits of [`PerfEventAttr::flags`](crate::PerfEventAttr::flags), bit 0 first in the struct's order
/// (include/uapi/linux/perf_event.h). On a big-endian machine C puts bit field 0 at the other end; the named field
/// is then [`attr_bit`]`(n)`.
pub mod attr_bits {
    /// Starts off.
    pub const DISABLED: u32 = 0;
    /// Children inherit it.
    pub const INHERIT: u32 = 1;
    /// Not in user mode.
    pub const EXCLUDE_USER: u32 = 4;
    /// Not in the kernel.
    pub const EXCLUDE_KERNEL: u32 = 5;
    /// `sample_period` is a frequency.
    pub const FREQ: u32 = 10;
    /// Wakes by bytes (`wakeup_watermark`), not by events.
    pub const WATERMARK: u32 = 14;
    /// Writes the buffer backward.
    pub const WRITE_BACKWARD: u32 = 27;
}

/// Returns the bit of `flags` for the bit field number `index`, on this machine's byte order.
pub const fn attr_bit(index: u32) -> u64 {
    if cfg!(target_endian = "big") { 1 << (63 - index) } else { 1 << index }
}

/// Offset of `data_head` in `perf_event_mmap_page`: the kernel's position, `u64`.
pub const MMAP_DATA_HEAD: usize = 1024;
/// Offset of `data_tail`: the reader's position, `u64`.
pub const MMAP_DATA_TAIL: usize = 1032;
/// Offset of `data_offset`: where the data starts, `u64` (0 before Linux 4.1: one page).
pub const MMAP_DATA_OFFSET: usize = 1040;
/// Offset of `data_size`: the bytes of data, `u64`.
pub const MMAP_DATA_SIZE: usize = 1048;
/// Offset of `version`, `u32`.
pub const MMAP_VERSION: usize = 0;
/// Offset of `compat_version`, `u32`.
pub const MMAP_COMPAT_VERSION: usize = 4;
