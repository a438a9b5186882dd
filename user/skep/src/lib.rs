//! skep loads eBPF objects, attaches their programs, and reads their maps and events: from the object file that clang
//! writes, without C libraries, into the running Linux kernel or whatever else answers the same calls.
//!
//! - [`Object::open`] reads a file: settable, and the same on every machine. [`Object::load`] puts it into a [`Kernel`].
//! - [`Loaded`] holds [`Map`]s, [`Program`]s and global variables ([`Global`]); each can be taken out and lives by itself.
//! - [`Program::attach`] gives a [`Link`], [`Program::test_run`] runs a program on input of the caller's.
//! - [`RingBuffer`] and [`PerfBuffer`] read what programs send.
//! - [`Kernel::programs`], [`Kernel::maps`], [`Kernel::links`] and [`Kernel::btf_objects`] go through what a kernel holds,
//!   whoever brought it: [`Program::details`], [`Program::code`], [`Link::target`], [`Kernel::holders`].
//!
//! Nothing is left behind: what a failed load has made is undone, and each value closes what it opened when it is
//! dropped. Every error ([`Error`]) says what failed, in which file, program or map, and which call it was.
//!
//! ```no_run
//! use skep::{Attach, Kernel, Object, RingBuffer};
//!
//! fn main() -> skep::Result<()> {
//!     // What clang made of the C; read anywhere, by anyone.
//!     let mut object = Object::open("xdp_firewall.bpf.o")?;
//!     object.set_global("limit_packets", "100")?.set_global("use_ktime", "true")?;
//!     object.map_mut("sources")?.set_max_entries(65_536)?;
//!
//!     // Loaded whole or not at all.
//!     let kernel = Kernel::linux();
//!     let loaded = object.load(&kernel)?;
//!     loaded.map("blocked")?.insert(&0x0a4d_0003_u32.to_ne_bytes(), &[0; 16])?;
//!
//!     // Attached for as long as the link lives.
//!     let _link = loaded.program("xdp_firewall")?.attach(Attach::xdp("eth0"))?;
//!
//!     let mut events = RingBuffer::new(loaded.map("events")?)?;
//!     for _ in 0..10 {
//!         events.wait(None)?;
//!         while let Some(event) = events.next() {
//!             println!("dropped a packet: {:?}", loaded.map("events")?.decode_record(&event));
//!         }
//!     }
//!     // Keys and values by the types of the C.
//!     for entry in loaded.map("sources")?.entries() {
//!         let entry = entry?;
//!         println!("{}: {}", entry.key, entry.value);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! This crate must never know who answers its calls. It reaches a kernel only through `skep_sys::Call`, files of the
//! kernel's included, prints nothing, has no global state, and executes no program itself.
#![forbid(unsafe_code)]

mod attach;
mod calls;
mod core;
mod error;
mod features;
mod files;
mod inspect;
mod kernel;
mod kernel_btf;
mod link;
mod load;
mod loaded;
mod log;
mod map;
mod note;
mod object;
mod perf;
mod program;
mod rights;
mod ring;
mod ring_memory;
mod test_run;
mod token;
mod user_ring;
mod wait;

pub use self::core::{CoreOutcome, CoreRelocation};
pub use attach::{Attach, Interface, XdpMode};
pub use error::{Error, ErrorKind, Place, Result};
pub use features::{Feature, Known};
pub use inspect::{
    BtfObject, Holders, LinkTarget, MapUsage, Pins, ProbedFunction, ProbedOffset, Process, ProgramCode,
    ProgramFunction, ProgramInfo, ProgramLine, RunStats, StatsGuard, Stream,
};
pub use kernel::Kernel;
pub use link::Link;
pub use loaded::Loaded;
pub use log::{Rejection, SourceLine, VerifierStats};
#[cfg(target_os = "linux")]
pub use map::ByFd;
#[doc(hidden)]
pub use map::size_behind;
pub use map::{
    Arena, Cells, CgroupStorageKey, Entries, Entry, EntryValue, FieldAt, Fields, Frame, Global, Keys, LpmKey,
    Map, MapKey, MapValue, NewMap, PerCpu, PlainKey, Redirect, SharedCell, StackTrace, StoredValue, TypedMap,
    When,
};
pub use note::{Instead, Note};
pub use object::{Autocreate, Autoload, MapMut, Object, Pinned, ProgramMut};
pub use perf::{PerfBuffer, PerfOptions, Sample, Wakeup};
pub use program::Program;
pub use rights::Lack;
pub use ring::{Record, RingBuffer};
pub use test_run::{TestOutput, TestRun};
pub use user_ring::{Reserved, UserRing};

pub use skep_abi::{AttachType, Errno, FuncId, LinkType, MapType, PerfEventType, ProgType, XdpAction};
pub use skep_btf::{Btf, CoreRelocKind, Feature as BtfFeature, Literal, TypeId, Value};
pub use skep_model::platform::version::Version;
pub use skep_model::{MapOrigin, MapSpec, ProgramSpec};

/// The crate whose `IntoBytes`, `TryFromBytes` and `Immutable` keys and values have, in the version that fits:
/// `#[derive(FromBytes, IntoBytes, Immutable)]` with `#[zerocopy(crate = "skep::zerocopy")]`.
pub use zerocopy;

/// The flags of maps, programs and calls, under Linux's own names.
pub mod flags {
    pub use skep_abi::flags::*;
}

/// The kernel in this process: its configuration, its hooks.
#[cfg(feature = "embedded")]
pub mod embedded {
    pub use skep_embedded::*;
}

/// The seam, and the kernels that answer it.
pub mod sys {
    pub use skep_sys::*;
}

/// Compiles the README's examples.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct ReadmeDoctests;

/// Compiles the examples of the guide to maps.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/maps.md")]
pub struct MapsDoctests;
