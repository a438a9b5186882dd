//! Looking on while a program runs.

use crate::Value;
use skep_isa::InsnIdx;

/// What is about to be executed, and with what.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The tag of the program.
    pub program: u32,
    /// The instruction.
    pub at: InsnIdx,
    /// How many functions are active besides this one.
    pub depth: usize,
    /// r0 to r10.
    pub regs: &'a [Value; 11],
}

/// Sees every instruction before it is executed.
pub trait Observer {
    /// Whether it wants to see anything; where not, looking on costs nothing.
    const ACTIVE: bool = true;

    /// Sees one step.
    fn step(&mut self, step: &Step<'_>);
}

/// Sees nothing.
pub(crate) struct Nobody;

impl Observer for Nobody {
    const ACTIVE: bool = false;

    fn step(&mut self, _: &Step<'_>) {}
}

impl<F: FnMut(&Step<'_>)> Observer for F {
    fn step(&mut self, step: &Step<'_>) {
        self(step);
    }
}
