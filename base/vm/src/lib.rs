//! Runs compiled eBPF programs: the interpreter over [`skep_ir::ops`] and, on x86-64, machine code; checked and not.
//!
//! A [`Program`] is made once and run any number of times, on as many [`Cpu`]s as there are threads. A checked program cannot
//! touch anything but its stack and the [`Regions`] that it is given: each access carries its own check, and making the
//! program refuses operations whose access has none.
//!
//! This crate must never know: maps, helpers (it is given [`Calls`]), the verifier's reasons, file descriptors.
//!
//! ```
//! use skep_ir::{Link, Options, Source, machine::Machine, lower::compile};
//! use skep_isa::{Addr, ByteOrder, Program as Bytecode, raw, structure};
//! use skep_mem::{Bytes, Fuel};
//! use skep_vm::{Cpu, NoCalls, Program, Regions};
//!
//! struct Alone;
//! impl Link for Alone {
//!     fn address(&self, _: Addr) -> Option<skep_ir::Address> { None }
//!     fn helper(&self, _: u32) -> Option<u8> { None }
//! }
//!
//! // r0 = *(u8 *)(r1 + 3); exit
//! let bytes = [0x71, 0x10, 3, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
//! let bytecode = Bytecode::decode(&raw::from_bytes(&bytes, ByteOrder::Little)?)?;
//! let structure = structure::check(&bytecode)?;
//! let source = Source { program: &bytecode, structure: &structure, link: &Alone };
//! let code = compile(source, &Machine::INTERPRETER, &Options::default())?;
//! let program = Program::checked(&code, 512)?;
//!
//! let mut cpu = Cpu::new();
//! let mut memory = [1, 2, 3, 4];
//! let bytes = Bytes::from_mut(&mut memory);
//! let mut regions = Regions::new();
//! regions.add_writable(bytes)?;
//! let args = [bytes.addr() as u64, 4, 0, 0, 0];
//! assert_eq!(program.run(&mut cpu, &mut regions, args, &Fuel::new(100), &NoCalls), Ok(4));
//!
//! let mut regions = Regions::new();
//! regions.add_writable(bytes.slice(0, 3)?)?;
//! let stop = program.run(&mut cpu, &mut regions, args, &Fuel::new(100), &NoCalls).unwrap_err();
//! assert!(stop.to_string().starts_with("instruction 0: read of 1 bytes at"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]

extern crate alloc;

mod access;
mod calls;
mod cpu;
mod frame;
mod insn;
#[cfg(target_arch = "x86_64")]
pub mod jit;
mod program;
mod quick;
mod regions;
mod run;
mod stop;

pub use calls::{CallEnd, Calls, NoCalls, Plain, PlainFn, Reach};
pub use cpu::Cpu;
pub use program::{Fresh, Program, ProgramError, Promise};
#[cfg(target_arch = "x86_64")]
pub use quick::{Follow, Next, Successor};
pub use quick::{Passed, Quick, word};
pub use regions::{Regions, TooMany};
pub use stop::{Stop, StopKind};
