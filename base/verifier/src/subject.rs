//! What is to be verified.

use skep_abi::{MapType, ProgType};
use skep_isa::{Addr, InsnIdx, RawInsn};
use skep_model::platform::Platform;
use skep_model::platform::helper::Licence;

/// A program, with what its numbers stand for.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The instruction slots.
    pub slots: &'a [RawInsn],
    /// The kernel that is to run it.
    pub platform: &'a Platform,
    /// Its type.
    pub kind: ProgType,
    /// What its licence allows.
    pub licence: Licence,
    /// What its instructions refer to.
    pub references: &'a dyn References,
    /// Where the function begins that is called when the program throws, if it names one.
    pub exception_callback: Option<InsnIdx>,
}

/// What an instruction refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A map, or a place in one.
    Map(MapType),
    /// A variable or a function of the kernel, which only its own types can describe.
    Kernel,
    /// Nothing that is there.
    Missing,
}

/// Says what the numbers in instructions stand for: descriptors for the kernel, relocations for an object.
pub trait References {
    /// What a wide load refers to.
    fn address(&self, at: InsnIdx, addr: Addr) -> Reference;

    /// What a call of a kernel function refers to.
    fn kfunc(&self, at: InsnIdx, btf_id: u32) -> Reference;
}
