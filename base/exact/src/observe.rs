//! Looking on while a program runs.

use crate::Value;
use crate::stack::Shadow;
use core::fmt;
use skep_isa::InsnIdx;
use skep_mem::Bytes;

/// What eight aligned bytes of a frame hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// A pointer or a handle.
    Pointer(Value),
    /// Data, as a number in the machine's byte order; bit n of `written` says that byte n was written, and bytes that
    /// were not count as zero.
    Data {
        /// The bytes.
        bits: u64,
        /// Which of them were written.
        written: u8,
    },
}

/// One active function's stack.
#[derive(Clone, Copy)]
pub struct FrameView<'a> {
    pub(crate) bytes: Bytes<'a>,
    pub(crate) shadow: &'a Shadow,
}

impl fmt::Debug for FrameView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.slots()).finish()
    }
}

impl<'a> FrameView<'a> {
    /// Counts the bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Tells whether there are none, which is never so.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Gives the slot that starts `offset` bytes from the frame's top, as `-8` for that at `r10 - 8`; nothing where the
    /// offset is no multiple of 8 or lies outside.
    pub fn slot(&self, offset: i64) -> Option<Slot> {
        let at = usize::try_from(offset.checked_add(self.bytes.len() as i64)?).ok()?;
        (at % 8 == 0 && at < self.bytes.len()).then(|| self.at(at))
    }

    /// Yields every slot, the lowest first.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + 'a {
        let view = *self;
        (0..self.bytes.len()).step_by(8).map(move |at| view.at(at))
    }

    fn at(&self, at: usize) -> Slot {
        match self.shadow.pointer(at) {
            Some(pointer) => Slot::Pointer(pointer),
            None => {
                let bits = self.bytes.load_u64(at).unwrap_or(0);
                Slot::Data { bits, written: self.shadow.written(at) }
            }
        }
    }
}

/// What is about to be executed, and with what.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    /// The tag of the program.
    pub program: u32,
    /// The instruction.
    pub at: InsnIdx,
    /// How many functions are active besides this one.
    pub depth: usize,
    /// r0 to r10.
    pub regs: &'a [Value; 11],
    pub(crate) frames: &'a dyn Frames,
}

/// The frames of a run, whatever else the machine keeps of them.
pub(crate) trait Frames {
    fn frame(&self, depth: usize) -> Option<FrameView<'_>>;
}

impl<'a> Step<'a> {
    /// Gives the stack of an active function: 0 is the main function's, [`Step::depth`] this one's.
    pub fn frame(&self, depth: usize) -> Option<FrameView<'a>> {
        (depth <= self.depth).then(|| self.frames.frame(depth)).flatten()
    }
}

impl fmt::Debug for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Step { program, at, depth, regs, .. } = self;
        write!(f, "program {program}, instruction {at}, depth {depth}, {regs:?}")
    }
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
