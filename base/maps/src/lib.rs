//! The kinds of BPF maps, one file each, with Linux 6.18's semantics, limits and error numbers.
//!
//! A map is made by [`create`] from a [`MapDef`], which is checked against the row of its kind in [`KINDS`] before
//! anything is allocated. It is then used through the trait [`Map`]: by programs (`lookup`, `update`, `delete`, and so
//! on) and by system calls (`sys_lookup` and so on), at any time, from any CPU. Elements are type-stable: the bytes
//! that a look-up gives stay memory of the map for as long as the map lives, whatever becomes of the element.
//!
//! This crate knows nothing about file descriptors, user memory, programs, helpers, or who may do what: whoever
//! answers `bpf(2)` resolves descriptors, copies, and asks [`Access`] whether a descriptor may write.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod access;
mod array;
mod batch;
mod bloom;
mod def;
mod hash;
mod kinds;
mod lpm;
mod map;
mod objects;
mod perf;
mod queue;
mod ringbuf;
mod values;

pub use access::{Access, Mode, Writing};
pub use batch::{BatchEnd, BatchThen, Batches, CopyGroup, Cursor, Group, lookup_batch};
pub use def::MapDef;
pub use kinds::{KINDS, Kind, create};
pub use map::{Lanes, Map, Mmap, Region, Visit};
pub use objects::{Entry, Objects};
pub use perf::{PerfEvent, perf_output};
pub use ringbuf::{RingBuf, RingQuery};
pub use skep_mem::{Commit, RecordToken};
