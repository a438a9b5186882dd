//! A BPF kernel of its own in this process, behind the seam: [`Embedded`] answers each call as Linux 6.18 would, without
//! root, without a kernel underneath that knows `bpf(2)`, on any system that has `std`.
//!
//! Descriptors are numbers of its own (`Fd::Virtual`); programs run on logical CPUs that the calling threads take in
//! turn; the owner registers the places where programs attach ([`Embedded::add_interface`],
//! [`Embedded::add_tracepoint`]) and runs them. Files that a loader reads (possible CPUs, the release and its
//! configuration, the kernel's own BTF, tracefs) come from a small tree in memory, pins from a BPF file system in memory.
//!
//! This crate knows nothing about object files and loaders, and never touches memory that a call has not lent it:
//! addresses that the kernel sees are made up for each call.
mod caller;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod code;
mod config;
mod embedded;
mod files;
mod host;
mod mappings;
mod memory;
mod observe;
#[cfg(target_os = "linux")]
mod perf;
mod wait;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use code::CodePages;
pub use config::Config;
pub use embedded::Embedded;
pub use host::{Mirror, Time, TraceSink};
#[cfg(target_os = "linux")]
pub use perf::PerfMap;
pub use skep_kernel::{Admit, Deaf, Engine, Fault, FaultReport, Interface, LoadReport, Observer, Tracepoint};
