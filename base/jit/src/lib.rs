//! Machine code, from typed instructions to bytes in a slice.
//!
//! One module an architecture, each with the same rooms: `inst` encodes one instruction, `asm` joins instructions by labels
//! and writes them, `features` says what the processor can. [`x86_64`] is the first.
//!
//! The target and its features are values, so that every machine makes code for every other and tests compare them.
//!
//! This crate must never know: how memory becomes executable, whose addresses it is given, what processor it runs on, how to
//! call what it wrote. It maps nothing and holds no unsafe code: the bytes go into a slice that the caller lends.
//!
//! ```
//! use skep_jit::x86_64::{Alu, Assembler, Cond, Flags, Gpr, Inst, Options, Width};
//!
//! // rax = 0 + 1 + … + rdi
//! let mut a = Assembler::new(Options::default());
//! a.put(Inst::mov_imm(Gpr::Rax, 0, Flags::MayChange));
//! let (again, done) = (a.label(), a.label());
//! a.put(Inst::test(Width::W64, Gpr::Rdi, Gpr::Rdi));
//! a.jcc(Cond::E, done);
//! a.bind(again);
//! a.put(Inst::alu(Alu::Add, Width::W64, Gpr::Rax, Gpr::Rdi));
//! a.put(Inst::alu_imm(Alu::Sub, Width::W64, Gpr::Rdi, 1));
//! a.jcc(Cond::Ne, again);
//! a.bind(done);
//! a.put(Inst::ret());
//! let plan = a.plan()?;
//! let mut code = [0; 64];
//! let len = plan.write(&mut code, 0)?;
//! assert_eq!(code[..len], *b"\x31\xc0\x48\x85\xff\x74\x09\x48\x01\xf8\x48\x83\xef\x01\x75\xf7\xc3");
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod state;
pub mod x86_64;
