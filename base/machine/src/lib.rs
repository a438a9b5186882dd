//! A stand-alone eBPF virtual machine: programs, helpers, maps and memory in one value, without an operating system.
//!
//! A [`Program`] comes from bytes, text or the builder. A [`Setup`] says what it may use, and loads it into a [`Machine`],
//! which is shared by any number of threads, each with a [`Cpu`] of its own. What a run is started with is an [`Input`],
//! and how it ends is a number, or a [`Stop`] with the instruction that is to blame.
//!
//! Nothing is taken on trust: every access is checked against the stack, the input, and what was lent, and a run ends when
//! its fuel is spent. Registers and stack start as zero, and a call leaves zero in r1 to r5. It is `no_std`, prints nothing, and
//! holds no global state but what the processor has said that it can.
//!
//! This crate must never know: file descriptors, object files, attach points, an operating system.
//!
//! # Nothing to work on
//!
//! ```
//! use skep_machine::{Cpu, Input, Machine, Program};
//!
//! let machine = Machine::new(Program::from_text("r0 = 6\nr0 *= 7\nexit")?)?;
//! assert_eq!(machine.run(&mut Cpu::default(), Input::None)?, 42);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Memory: its address in r1, its length in r2
//!
//! ```
//! use skep_machine::{Cpu, Input, Machine, Program, StopKind};
//!
//! let machine = Machine::new(Program::from_text("r0 = *(u8 *)(r1 + 3)\n*(u8 *)(r1 + 0) = 9\nexit")?)?;
//! let mut cpu = Cpu::default();
//! let mut packet = [1, 2, 3, 4];
//! assert_eq!(machine.run(&mut cpu, Input::Memory(&mut packet))?, 4);
//! assert_eq!(packet, [9, 2, 3, 4]);
//!
//! let stop = machine.run(&mut cpu, Input::Memory(&mut packet[..3])).unwrap_err();
//! assert_eq!((stop.kind(), stop.at().0), (StopKind::OutOfBounds, 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Metadata that the caller fills, with addresses in the memory
//!
//! ```
//! use skep_machine::{Cpu, Input, Machine, Program};
//!
//! // struct { char *payload; }
//! let machine = Machine::new(Program::from_text("r1 = *(u64 *)(r1 + 0)\nr0 = *(u8 *)(r1 + 0)\nexit")?)?;
//! let mut packet = [1, 2, 3, 4];
//! let payload = packet.as_ptr() as u64 + 2;
//! let input = Input::Metadata { buffer: &mut payload.to_ne_bytes(), memory: &mut packet };
//! assert_eq!(machine.run(&mut Cpu::default(), input)?, 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Metadata in which the machine writes where the memory starts and ends
//!
//! ```
//! use skep_machine::{Cpu, Input, Machine, Program};
//!
//! // struct { long mark; char *data, *data_end; }
//! let length = "r2 = *(u64 *)(r1 + 8)\nr0 = *(u64 *)(r1 + 16)\nr0 -= r2\nexit";
//! let machine = Machine::new(Program::from_text(length)?)?;
//! let (mut context, mut packet) = ([0; 24], [1, 2, 3, 4]);
//! let input = Input::FixedMetadata {
//!     buffer: &mut context,
//!     data: 8,
//!     data_end: 16,
//!     memory: &mut packet,
//! };
//! assert_eq!(machine.run(&mut Cpu::default(), input)?, 4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # More
//!
//! | wanted | where |
//! | --- | --- |
//! | functions that programs call, with state of the caller's | [`Helper`], [`Setup::helper`], plain ones that cost a call in [`Helper::plain`], ready ones in [`helpers`] |
//! | memory besides the input | [`Setup::memory`], [`Setup::read_only_memory`] |
//! | maps, and Linux's helpers on them | [`Setup::map`], [`Setup::host`] |
//! | programs that follow one another | [`Setup::tail_calls`], [`Setup::load_all`] |
//! | refusing programs beforehand | [`Verifier`], [`EveryPath`], [`AtMost`], [`NoLoops`] |
//! | a program type, contexts, helpers and objects of one's own, for that | [`platform`] |
//! | an end of every run, from within and from another thread | [`Cpu::with_fuel`], [`Cpu::fuel`] |
//! | names of its machine code for profilers | [`Machine::code`] |
//! | another engine | [`Setup::engine`], [`Setup::code`], [`Setup::level`], [`Setup::unchecked`] |
#![no_std]

extern crate alloc;

mod callee;
mod cpu;
mod engine;
mod error;
mod helper;
pub mod helpers;
mod input;
mod link;
mod machine;
mod maps;
mod outside;
mod program;
mod setup;
mod verify;

pub use cpu::Cpu;
pub use engine::Engine;
pub use error::{SetupError, SetupErrorKind, Stop, StopKind};
pub use helper::{Args, Caller, Function, Helper, HelperEnd, Param};
pub use input::Input;
pub use machine::{Machine, MachineCode};
pub use program::{Program, ProgramError};
pub use setup::Setup;
pub use skep_ir::Level;
pub use skep_isa as isa;
pub use skep_maps::Map;
pub use skep_mem::{Bytes, Clock, Code, Fuel, Host, Lend, Random, Trace};
pub use skep_model::platform;
pub use skep_verifier::{Limits, Loops};
pub use skep_vm::{PlainFn, Promise};
pub use verify::{AtMost, EveryPath, NoLoops, Refusal, Verifier};
