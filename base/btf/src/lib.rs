//! BTF, the type format of BPF objects and of the Linux kernel: checked view, index, layout, values, encoding.
//!
//! [`Btf::parse`] turns bytes into a view whose every record, name and reference has been checked once; nothing
//! is copied but one offset per type. From there [`Btf::find`] and [`NameIndex`] look types up, [`Btf::resolve`],
//! [`Btf::size_of`], [`Btf::align_of`] and [`Btf::field`] answer questions about their layout, and [`Ext`] reads
//! `.BTF.ext`. [`Btf::value`] reads bytes as a [`Value`], [`Btf::assign`] writes text into them.
//!
//! [`Builder`] writes BTF. [`Btf::fix_up`] and [`Btf::place_externs`] fill in what compilers leave open,
//! [`Btf::sanitize`] rewrites for old kernels, and [`Btf::admit`] says whether Linux takes the result.
//! [`Builder::append`] makes one BTF of several, [`Btf::dedup`] merges types that mean the same. [`Btf::distill`] leaves of
//! a base what split BTF needs to be found again in another build of it, which [`Btf::relocate`] does.
//!
//! [`core`](mod@core) relocates programs: what was compiled against some types is fitted to another BTF.
//!
//! [`CPrinter`] and [`RustPrinter`] write types as source that compiles to the same layouts, [`Type::raw`] as they are stored.
//!
//! This crate never knows what an object file, a map, a program or a running kernel is, and it executes nothing.
//! It reads both byte orders on every machine, and takes pointers to be 64 bits wide, as the BPF target does.
//!
//! Facts come from the kernel's `Documentation/bpf/btf.rst`, `include/uapi/linux/btf.h` and `kernel/bpf/btf.c`;
//! where a limit is the kernel's, the comment at the constant says so.
//!
//! # Examples
//!
//! ```
//! use skep_btf::{Btf, Def, Kind};
//!
//! // One `int` named "u32": header, one type, the strings.
//! let mut bytes = vec![0x9f, 0xeb, 1, 0, 24, 0, 0, 0];
//! for word in [0u32, 16, 16, 5, 1, 0x0100_0000, 4, 32] {
//!     bytes.extend(word.to_le_bytes());
//! }
//! bytes.extend(b"\0u32\0");
//!
//! let btf = Btf::parse(&bytes)?;
//! let id = btf.find("u32", Kind::Int).expect("it is there");
//! assert_eq!(btf.size_of(id)?, 4);
//! assert!(matches!(btf.ty(id)?.def(), Def::Int(int) if int.bits == 32));
//! # Ok::<(), skep_btf::Error>(())
//! ```
#![no_std]

extern crate alloc;

mod admit;
mod btf;
mod check;
pub mod core;
mod data;
mod datasec;
mod dedup;
mod distill;
mod encode;
mod endian;
mod error;
mod ext;
mod field;
mod header;
mod kind;
mod layout;
mod list;
mod look;
mod merge;
mod names;
mod pointer;
mod print;
mod record;
mod types;
mod value;

pub use admit::{Reason, Refusal};
pub use btf::{Btf, MAX_NAME_LEN, StrOff, TypeId, Types};
pub use data::SharedBytes;
pub use datasec::Variable;
pub use dedup::Deduped;
pub use distill::Distilled;
pub use encode::{Builder, Feature, ObjectLayout, Support, Symbol, Visibility};
pub use endian::Endian;
pub use error::{Error, Place, Problem, Section};
pub use ext::{CoreRelo, CoreRelocKind, Ext, FuncInfo, InfoSection, InfoSections, LineInfo, Record, Records};
pub use field::Field;
pub use kind::{Kind, Since};
pub use layout::{Layout, MAX_DEPTH, POINTER_SIZE};
pub use list::{Item, Iter, List};
pub use look::{Answer, Look, Names};
pub use merge::{ExtBuilder, Fate, Renumbered};
pub use names::NameIndex;
pub use pointer::PointerSize;
pub use print::{CPrinter, PrintError, Raw, RustPrinter};
pub use record::Type;
pub use types::{
    Array, Composite, Datasec, DeclTag, Def, Enum, EnumWidth, Enumerator, Func, FuncLinkage, FuncProto,
    FwdKind, Int, IntEncoding, Member, Packing, Param, SecInfo, Sign, TagStyle, TypeTag, Var, VarLinkage,
};
pub use value::{AssignError, AssignProblem, FieldValue, Literal, Located, Unreadable, Value};
