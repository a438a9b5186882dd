//! eBPF instructions: bytes, view, meaning.
//!
//! | level | type | checked |
//! | --- | --- | --- |
//! | bytes | `[u8; 8]`, in either [`ByteOrder`] | the length |
//! | view | [`RawInsn`]: five numbers | nothing |
//! | meaning | [`Insn`]: cannot be invalid | opcode, registers, unused fields |
//! | program | [`Program`]: every slot decodes | wide instructions are whole |
//! | structure | [`structure::Structure`] | where jumps and calls lead |
//!
//! Decoding is the identity: what decodes encodes to the same bytes, and every [`Insn`] encodes to what decodes to it.
//! All of it derives from one [table]: RFC 9669 with all its conformance groups, and what Linux added since.
//!
//! This crate must never know: names or numbers of helpers, maps, program types or kernels; what a register may hold; how to
//! run anything. Who wants names in text brings them.
//!
//! ```
//! use skep_isa::{ByteOrder, Insn, Program, raw, structure};
//!
//! let bytes = [0xb7, 0, 0, 0, 1, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0]; // r0 = 1; exit
//! let program = Program::decode(&raw::from_bytes(&bytes, ByteOrder::Little)?)?;
//! let structure = structure::check(&program)?;
//! assert_eq!(structure.subprograms().len(), 1);
//! assert_eq!(program.iter().last().map(|(_, insn)| insn), Some(Insn::Exit));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]

extern crate alloc;

mod builder;
mod decode;
mod encode;
mod error;
mod facts;
mod index;
mod insn;
mod kinds;
mod program;
pub mod raw;
mod reg;
pub mod structure;
pub mod table;
pub mod text;

pub use builder::{BuildError, Builder, BuilderLabel};
pub use decode::{Insns, decode, insns};
pub use encode::Encoded;
pub use error::{DecodeError, DecodeErrorKind};
pub use facts::{Facts, Kind};
pub use index::InsnIdx;
pub use insn::{Addr, Flow, Insn, Operand};
pub use kinds::{
    AddrKind, AluOp, AtomicOp, Cond, Endian, LoadKind, Movsx, OperandKind, PacketSize, Size, SwapWidth, Width,
};
pub use program::Program;
pub use raw::{ByteOrder, RawInsn};
pub use reg::{Reg, RegSet};
pub use structure::StructureError;
pub use table::Field;
