//! ELF objects of BPF programs, read into inert specs: the same on every machine, whatever the object's byte order.
//!
//! [`ObjectSpec::parse`] reads a file of clang or rustc, and [`ObjectSpec::read`] what is needed of one: maps in `.maps` and `maps`, data sections, the licence,
//! programs linked with the functions they call, BTF with its function types and source lines, symbols that a kernel
//! must provide. Nothing is looked up outside the bytes given. [`link`] makes one object of several.
//!
//! This crate knows nothing about any kernel, verifies nothing, and changes no instruction except to link functions.

mod btf;
mod error;
mod exceptions;
mod externs;
mod functions;
mod image;
mod info;
mod linker;
mod maps;
mod object;
mod parts;
mod pieces;
mod programs;
mod section;
mod sort;
mod source;
mod summary;

pub use btf::{CLASS_END, btf_base_bytes, btf_bytes, pointer_size};
pub use error::{ElfError, Place, Problem};
pub use externs::{ExternKind, ExternSpec};
pub use linker::{Input, link};
pub use object::{Note, ObjectSpec};
pub use section::find_section;
pub use summary::{SectionSummary, Sections};
