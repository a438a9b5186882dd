//! The memory layout of `BPF_MAP_TYPE_RINGBUF` and `BPF_MAP_TYPE_USER_RINGBUF` (kernel/bpf/ringbuf.c).
//!
//! The map is mapped as one consumer page (writable), one producer page, and the data twice in a row. Positions are
//! `u64` that only grow; a record starts at `position & (size - 1)` and is padded to 8 bytes.

/// In the header's first word: the record is not committed yet (`BPF_RINGBUF_BUSY_BIT`).
pub const BUSY_BIT: u32 = 1 << 31;
/// In the header's first word: the reader skips the record (`BPF_RINGBUF_DISCARD_BIT`).
pub const DISCARD_BIT: u32 = 1 << 30;
/// The bytes of a record's header (`BPF_RINGBUF_HDR_SZ`): the length with both bits, then the page offset that only
/// the kernel reads.
pub const HDR_SIZE: usize = 8;
/// The offset of the consumer's position in the first page.
pub const CONSUMER_POS: usize = 0;
/// The offset of the producer's position in the second page.
pub const PRODUCER_POS: usize = 0;
/// How many pages come before the data in what is mapped (`RINGBUF_POS_PAGES`).
pub const POS_PAGES: usize = 2;
/// The longest record (`RINGBUF_MAX_RECORD_SZ`, `UINT_MAX / 4`).
pub const MAX_RECORD_SIZE: u32 = u32::MAX / 4;

/// Do not wake the reader (`BPF_RB_NO_WAKEUP`).
pub const NO_WAKEUP: u64 = 1 << 0;
/// Wake the reader in any case (`BPF_RB_FORCE_WAKEUP`).
pub const FORCE_WAKEUP: u64 = 1 << 1;

/// `bpf_ringbuf_query`: the bytes not read yet (`BPF_RB_AVAIL_DATA`).
pub const AVAIL_DATA: u64 = 0;
/// `bpf_ringbuf_query`: the bytes of the ring (`BPF_RB_RING_SIZE`).
pub const RING_SIZE: u64 = 1;
/// `bpf_ringbuf_query`: the consumer's position (`BPF_RB_CONS_POS`).
pub const CONS_POS: u64 = 2;
/// `bpf_ringbuf_query`: the producer's position (`BPF_RB_PROD_POS`).
pub const PROD_POS: u64 = 3;
/// `bpf_ringbuf_query`: where the oldest record of an overwriting ring starts (`BPF_RB_OVERWRITE_POS`, later than Linux 6.18).
pub const OVERWRITE_POS: u64 = 4;
