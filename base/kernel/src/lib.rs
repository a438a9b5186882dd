//! `bpf(2)` of one's own: maps, programs, links and hooks behind the Linux ABI, for a process or an operating system.
//!
//! Whoever embeds a [`Kernel`] gives it a [`skep_mem::Host`] and passes system calls on with a [`skep_mem::Caller`]:
//! the kernel reads attributes from the caller's memory, answers with Linux's errno for Linux's mistakes, and hands
//! out descriptors through the caller's files. Places where programs run are registered by the host: an
//! [`Interface`] for packets, a [`Tracepoint`] for everything else.
//!
//! Programs run on the reference machine, which checks every access; those that are verified run compiled and without checks, if whoever
//! embeds the kernel gives its word for it ([`Runs`]). What runs a program, and what stops it, is told to an [`Observer`].
//!
//! This crate knows nothing about object files, user-space loaders, threads or `std`; it prints nothing and has
//! nothing global: two kernels live side by side.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod btf;
mod cmd;
mod compiled;
mod context;
mod error;
mod file;
mod hook;
mod ids;
mod kernel;
mod link;
mod log;
mod map;
mod name;
mod net;
mod observer;
mod perf;
mod prog;
mod request;
mod run;
mod runner;
mod slots;
mod tag;
mod tracepoint;
mod vmlinux;

pub use cmd::commands;
pub use compiled::Engine;
pub use kernel::{Admit, Interface, Kernel, Mapped, PerfIoctl, Runs, Settings, Tracepoint};
pub use observer::{Deaf, FaultReport, LoadReport, Observer};
pub use runner::FUEL_PER_RUN;
pub use skep_exact::Fault;
pub use skep_maps::Mmap;
pub use skep_vm::Promise;
