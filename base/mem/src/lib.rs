//! Memory that programs can reach, and the traits that whoever embeds the kernel implements.
//!
//! A program's memory is written by other CPUs, by user space and by compiled code at any moment, so no Rust
//! reference to it exists anywhere in skep: [`Bytes`] is the only way in. Owned memory is a [`Block`] (heap) or a
//! [`PageRun`] (pages that user space may map); state of our own is guarded by a [`Locked`], which takes the host's
//! interrupt-off lock.
//!
//! This crate knows nothing about maps, helpers, programs, instructions or file descriptors.
#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "testing"))]
extern crate std;

mod block;
mod boxed;
mod bytes;
mod code;
mod fuel;
mod host;
mod lock;
mod lock_set;
mod marshal;
mod pages;
mod pool;
mod rcu;
mod ring;
mod slots;
mod sync;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use block::{Block, NoMemory};
pub use boxed::{Shared, Weak, try_box};
pub use bytes::{Bytes, OutOfBounds, Width};
pub use code::{Code, CodeBuffer, HostCode, Panicked, RawCode};
pub use fuel::{Fuel, Meter, Spent};
pub use host::{
    Caller, Capability, Clock, CpuToken, Cpus, FileObject, Files, Host, Level, Lock, LockWord, OnCpu, Pages,
    Probe, ProbeFault, ProbeSpace, Random, RawPages, Rcu, ReadSide, RetireNode, Rights, Task, Tasks, Trace,
    UserFault, UserMemory, WaitQueue, Wake,
};
pub use lock::{Guard, Locked};
pub use lock_set::{LockSet, SetGuard};
pub use marshal::{Arg, CallbackArg, FuncIndex, Halt, Invoke, Lend, MapIndex, RecordToken, Ret};
pub use pages::PageRun;
pub use pool::Pool;
pub use rcu::{RcuArray, RcuRef, RcuSlot, Reading};
pub use ring::{Commit, NotOpen, Producer, Reader, Ring, RingError, RingMemory, Room, Wrap};
pub use slots::{NotTaken, Slot, Slots};
