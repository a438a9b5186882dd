//! rbpf's public interface (0.4) over the virtual machine, so that rbpf's own tests and examples run on it.
//!
//! `cargo xtask rbpf` fetches the published crate and does that; docs/from-rbpf.md says what to use instead of each item, and
//! where the two differ. There is no code of rbpf's here: the names and signatures are what its users write.
//!
//! It is a lab crate and no way to run untrusted programs, for what it imitates is none: rbpf's users register memory by
//! address, and its helpers follow the addresses that programs give them.

pub mod assembler;
pub mod disassembler;
pub mod ebpf;
pub mod helpers;
pub mod insn_builder;
mod lent;
mod verifier;
mod vm;

pub use vm::{EbpfVmFixedMbuff, EbpfVmMbuff, EbpfVmNoData, EbpfVmRaw};

/// What rbpf takes from the standard library.
pub mod lib {
    pub use std::any::Any;
    pub use std::io::{Error, ErrorKind};
}

use lib::{Any, Error};

/// Accepts or refuses a program.
pub type Verifier = fn(prog: &[u8]) -> Result<(), Error>;

/// Is a function that programs call.
pub type Helper = fn(u64, u64, u64, u64, u64) -> u64;

/// Tells how many bytes of stack the function at an instruction uses.
pub type StackUsageCalculator = fn(prog: &[u8], pc: usize, data: &mut dyn Any) -> u16;
