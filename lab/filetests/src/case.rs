//! One case, as its file says it.

use skep_isa::RawInsn;
use skep_model::platform::ProgType;

/// A program, its input, and what must come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The file's name and the case's.
    pub name: String,
    /// The program.
    pub slots: Vec<RawInsn>,
    /// The line of the file that each slot comes from.
    pub lines: Vec<u32>,
    /// What it is run with.
    pub input: Input,
    /// How many instructions may be executed.
    pub fuel: u64,
    /// Whether stack that was not written reads as zero.
    pub unwritten_is_zero: bool,
    /// Whether calls through registers are allowed, which Linux does not have.
    pub register_calls: bool,
    /// What must come of it where nothing else is said.
    pub expected: Expected,
    /// What must come of it on single engines, by their names.
    pub besides: Vec<(&'static str, Expected)>,
    /// The memory, or the packet, afterwards, where the case says.
    pub leaves: Option<Vec<u8>>,
}

impl Case {
    /// Gives what the case says for one engine alone, by its name.
    pub fn besides(&self, engine: &str) -> Option<&Expected> {
        self.besides.iter().find(|(name, _)| *name == engine).map(|(_, expected)| expected)
    }
}

/// What a program is run with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Memory in r1, its length in r2.
    Memory(Vec<u8>),
    /// The context of a program type.
    Context {
        /// The program's type.
        kind: ProgType,
        /// The bytes before the packet.
        meta: Vec<u8>,
        /// The packet.
        packet: Vec<u8>,
        /// Fields of the context that hold something.
        fields: Vec<(String, u64)>,
    },
}

/// What must come of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It returns this.
    Returns(u64),
    /// It is run to its end; what it returns is not said.
    Ends,
    /// It is stopped here, with this kind of error and, where the case says, this message.
    Stops(Place, String, Option<String>),
    /// It is not loaded because of this instruction, or as a whole; the message, where the case says.
    Refused(Option<Place>, Option<String>),
    /// It comes to some end, in bounds: what the reference machine finds wrong with it is nothing that this engine looks at.
    Anything,
    /// The engine cannot run it.
    NotHere,
}

/// A line of the file, and the slot that it became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: u32,
    /// The slot.
    pub slot: u32,
}
