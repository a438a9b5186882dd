//! Benchmark programs: their sources in C, their bytecode, their inputs, and what native code makes of these.
//!
//! Each is a pure computation over its memory, without helpers, maps and globals, so that the same bytecode runs on
//! any machine: r1 is the memory's address, r2 its length. It leaves its input alone, so it may be run again at once.
//!
//! This crate runs nothing: engines are brought by whoever measures or compares.

mod input;
mod table;

pub use input::{BadInput, Input};
pub use table::{Expected, Program, TableError, all};

use std::path::PathBuf;

/// What a program's bytecode was compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cpu {
    /// `-mcpu=v3`: 32-bit arithmetic and jumps.
    V3,
    /// `-mcpu=v4`: signed division, sign-extending moves and loads, byte swaps.
    V4,
}

impl Cpu {
    /// Both.
    pub const ALL: [Cpu; 2] = [Cpu::V3, Cpu::V4];

    /// Gives its name, as clang's `-mcpu` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Cpu::V3 => "v3",
            Cpu::V4 => "v4",
        }
    }
}

/// Gives the folder that the sources, the bytecode and the tables are in.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Condenses a memory to a number (FNV-1a, 64 bits), by which memories are compared.
pub fn digest(memory: &[u8]) -> u64 {
    memory
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
