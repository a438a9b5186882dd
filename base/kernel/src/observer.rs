//! What a kernel tells whoever embeds it; nothing is ever printed.

use crate::compiled::Engine;
use skep_exact::Fault;

/// Hears of what happens in a kernel. Called from wherever it happens; must not call into the kernel.
pub trait Observer: Send + Sync {
    /// A program was loaded.
    fn loaded(&self, report: &LoadReport) {
        let _ = report;
    }

    /// A run was stopped.
    fn fault(&self, report: &FaultReport) {
        let _ = report;
    }
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deaf;

impl Observer for Deaf {}

/// A program that was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadReport {
    /// Its number.
    pub prog_id: u32,
    /// Its name, NUL-padded.
    pub prog_name: [u8; 16],
    /// What runs it.
    pub engine: Engine,
    /// Why that is the reference machine, if it is.
    pub why: Option<&'static str>,
}

/// A run that was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultReport {
    /// The number of the program that was started.
    pub prog_id: u32,
    /// Its name, NUL-padded.
    pub prog_name: [u8; 16],
    /// Instructions executed before, where the engine counts them: the reference machine does.
    pub executed: u64,
    /// Why, and on which instruction.
    pub fault: Fault,
}
