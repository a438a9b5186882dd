//! A host for tests, made of std's threads: every trait implemented, every effect recorded, time and randomness set
//! by the test. With it an allocator that fails on demand and counts what is not given back.
//!
//! Behind the feature `testing`, for dev-dependencies only; nothing that is shipped enables it.

mod alloc;
mod caller;
#[cfg(all(target_os = "linux", target_arch = "x86_64", not(miri)))]
mod code;
mod grace;
mod host;
mod pages;

pub use alloc::{FailingAlloc, fail_nth, live_bytes};
pub use caller::{TestCaller, TestFiles, TestMemory};
#[cfg(all(target_os = "linux", target_arch = "x86_64", not(miri)))]
pub use code::TestCode;
pub use host::{TestHost, TestHostOptions, to_vec};
