//! skep loads eBPF objects, attaches their programs, and reads their maps and events: from the object file that clang
//! writes, without C libraries, into the running Linux kernel or whatever else answers the same calls.
//!
//! - [`Object::open`] reads a file: settable, and the same on every machine. [`Object::load`] puts it into a [`Kernel`].
//! - [`Loaded`] holds [`Map`]s, [`Program`]s and global variables ([`Global`]); each can be taken out and lives by itself.
//! - [`Program::attach`] gives a [`Link`], [`Program::test_run`] runs a program on input of the caller's.
//!
//! Nothing is left behind: what a failed load has made is undone, and each value closes what it opened when it is
//! dropped. Every error ([`Error`]) says what failed, in which file, program or map, and which call it was.
//!
//! This crate must never know who answers its calls. It reaches a kernel only through `skep_sys::Call`, files of the
//! kernel's included, prints nothing, has no global state, and executes no program itself.
#![forbid(unsafe_code)]

mod attach;
mod error;
mod files;
mod kernel;
mod link;
mod load;
mod loaded;
mod map;
mod object;
mod probe;
mod program;
mod test_run;

pub use attach::{Attach, Interface, XdpMode};
pub use error::{Error, ErrorKind, Place, Result};
pub use kernel::Kernel;
pub use link::Link;
pub use loaded::Loaded;
pub use map::{Entries, Entry, EntryValue, Global, Keys, Map, When};
pub use object::{Autoload, MapMut, Object, ProgramMut};
pub use program::Program;
pub use test_run::{TestOutput, TestRun};

pub use skep_abi::{AttachType, Errno, MapType, ProgType, XdpAction};
pub use skep_btf::{Btf, Literal, Value};
pub use skep_model::{MapSpec, ProgramSpec};

/// The flags of maps, programs and calls, under Linux's own names.
pub mod flags {
    pub use skep_abi::flags::*;
}

/// The seam, and the kernels that answer it.
pub mod sys {
    pub use skep_sys::*;
}
