//! The reference machine: executes eBPF instructions one by one and knows where every value comes from.
//!
//! A value is a number or a pointer into an object, every byte of the stack is uninitialised, data or part of a
//! pointer, and objects die when the program gives them back, so whatever a program does wrong stops it on the
//! instruction that does it, with a [`Fault`]. Other engines are compared with this one.
//!
//! What Linux lets root do with pointers as numbers (store them in maps, compare them with anything, return them) is
//! done with a synthetic number, see [`Value::bits`]; what it refuses even to root is a fault.
//!
//! This crate must never know: the verifier, and any form of a program other than instructions; how maps and helpers
//! work (it is given a [`World`]); file descriptors, clocks, an operating system.
//!
//! ```
//! use skep_exact::{run, Entry, Fuel, HelperLink, MapRef, MapShape, Platform, Program, Rules, Stack, World};
//! use skep_isa::RawInsn;
//! use skep_mem::{Bytes, MapIndex};
//!
//! struct Bare;
//! impl Platform for Bare {
//!     fn map(&self, _: MapRef) -> Option<MapIndex> { None }
//!     fn maps(&self) -> &[MapShape] { &[] }
//!     fn helper(&self, _: u32) -> HelperLink { HelperLink::Refused(None) }
//! }
//! impl<'m> World<'m> for Bare {}
//!
//! // r0 = *(u8 *)(r1 + 3); exit
//! let program = Program::new(
//!     &[RawInsn::new(0x71, 0, 1, 3, 0), RawInsn::new(0x95, 0, 0, 0, 0)],
//!     &Bare,
//!     Rules::default(),
//! )?;
//! let stack = Stack::new()?;
//! let mut memory = [1, 2, 3, 4];
//! let outcome = run(&program, &Bare, &stack, Entry::Memory(Bytes::from_mut(&mut memory)), &Fuel::new(100));
//! assert_eq!((outcome.result, outcome.executed), (Ok(4), 2));
//!
//! let outcome = run(&program, &Bare, &stack, Entry::Memory(Bytes::from_mut(&mut memory[..3])), &Fuel::new(100));
//! assert_eq!(
//!     outcome.result.unwrap_err().to_string(),
//!     "instruction 0: read of 1 bytes at offset 3 of the memory, which has 3 bytes",
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]

extern crate alloc;

mod alu;
mod fault;
mod machine;
mod object;
mod observe;
mod program;
mod stack;
mod value;
mod world;

pub use fault::{Access, ArgError, CtxRefusal, Fault, FaultKind};
pub use machine::{Outcome, run, run_observed};
pub use object::{Region, Rights};
pub use observe::{FrameView, Observer, Slot, Step};
pub use program::{
    HelperLink, LoadError, LoadErrorKind, MapRef, MapShape, Platform, Pointers, Program, RegisterCalls,
    Rules, UninitRegisters, UninitStack,
};
pub use skep_mem::Fuel;
pub use stack::{FRAME_BYTES, MAX_FRAMES, Stack, StackError};
pub use value::{ObjectId, Value};
pub use world::{CallEnd, CtxValue, Entry, Packet, PacketPoint, World};
