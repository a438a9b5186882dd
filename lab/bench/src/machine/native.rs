//! Native code that clang made of the same C, in two variants.

use super::engine::{Engine, Prepared, Runner, Task};
use crate::memory::Memory;

/// A program's one function.
type Function = unsafe extern "C" fn(memory: *mut u8, len: u64) -> u64;

/// The declarations of what `build.rs` has compiled.
mod list {
    use super::Function;
    include!(concat!(env!("OUT_DIR"), "/native.rs"));

    /// Finds a program's functions: as clang makes them, and without vectors.
    pub(super) fn find(name: &str) -> Option<(Function, Function)> {
        let row = PROGRAMS.iter().find(|row| row.0 == name);
        row.map(|&(_, vector, scalar)| (vector, scalar))
    }
}

/// `-O2 -fno-vectorize -fno-slp-vectorize`.
pub(super) const SCALAR: Native =
    Native { name: "native", about: "clang-19 -O2 -fno-vectorize -fno-slp-vectorize", pick: |both| both.1 };
/// `-O2`.
pub(super) const VECTOR: Native = Native { name: "vector", about: "clang-19 -O2", pick: |both| both.0 };

/// Native code.
pub(super) struct Native {
    name: &'static str,
    about: &'static str,
    pick: fn((Function, Function)) -> Function,
}

impl Engine for Native {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn prepare<'t>(&self, task: &'t Task) -> Result<Prepared<'t>, String> {
        let both = list::find(task.name()).ok_or("it was not compiled")?;
        let memory = Memory::new(&task.program.memory());
        Ok(Prepared { runner: Box::new(Loaded { function: (self.pick)(both), memory }), compile: None })
    }
}

struct Loaded {
    function: Function,
    memory: Memory,
}

impl Runner for Loaded {
    fn run(&mut self, times: u64) -> Result<u64, String> {
        let memory = self.memory.bytes_mut();
        let (start, len) = (memory.as_mut_ptr(), memory.len() as u64);
        let mut result = 0;
        for _ in 0..times {
            // SAFETY: the function is one of `lab/programs/c`, whose bytecode the reference machine has run on this
            // input: it stays within the `len` bytes from `start`, which are ours while `memory` is borrowed.
            let this = unsafe { (self.function)(start, len) };
            result = this;
        }
        Ok(result)
    }

    fn memory(&self) -> Result<Vec<u8>, String> {
        Ok(self.memory.bytes().to_vec())
    }
}
