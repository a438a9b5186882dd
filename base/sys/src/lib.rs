//! The seam: everything above it speaks the Linux ABI, everything below answers it, nobody above knows who answers.
//!
//! One trait, [`Sys`], with one method that takes one [`Call`]: so a wrapper (a recorder, an injector of faults)
//! handles every case there is, and a new need is a new `Call`, never a new method. Attributes carry their memory
//! ([`Attr`]): a pointer field is never written by a caller, and is never longer than what it points to.
//!
//! [`Kernel`] puts typed operations and self-closing [`Handle`]s on top. This crate knows nothing about the embedded
//! kernel, about ELF, BTF or programs, and does not use `std`.
#![no_std]

extern crate alloc;

mod attr;
mod call;
mod dirent;
mod faulty;
mod fd;
mod image;
mod kernel;
mod mapping;
pub mod older;
mod ops;
pub mod record;
mod spin;
mod vtable;

pub use attr::{Area, AreaMemory, Attr, AttrError, WITHHELD};
pub use call::{
    ArenaCall, Call, DirEntry, FileCall, FileKind, FileStat, Interest, Ioctl, Limit, MapCall, OpenMode,
    PerfEventOpen, Protection, Reply, SocketCall, WaitFd,
};
pub use dirent::add_dir_entries;
pub use faulty::{Fault, Faulty, On, With};
pub use fd::{Fd, Handle};
pub use image::{Image, RawImage};
pub use kernel::{Kernel, Sys};
pub use mapping::{Mapping, RawMapping};
pub use older::{Hidden, Insns, KernelVersion, Older};
pub use ops::{
    BatchStep, BatchThen, BtfFd, CallError, FdArray, LinkAttr, LinkFd, LinkPlaces, MapFd, MapShape,
    ObjectKind, ProgFd, ProgLists, ProgLoadMemory, ProgQueryMemory, Records, TaskFd, TestRunMemory,
    UprobeMultiMemory,
};
pub use record::{Record, Recording, Replay};
pub use vtable::{CStat, FdOrigin, Functions, PollFd, VTable};
