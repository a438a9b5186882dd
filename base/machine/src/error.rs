//! Why a machine cannot be made, and why a run was stopped.

use crate::Refusal;
use core::fmt;
use skep_exact::FaultKind;
use skep_isa::InsnIdx;

/// Says why a machine cannot be made: which program, which instruction, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupError {
    /// Names the program, counted from zero; nothing where it is none.
    pub program: Option<usize>,
    /// Names the instruction; nothing where it is none.
    pub at: Option<InsnIdx>,
    /// Says what is wrong.
    pub kind: SetupErrorKind,
}

/// Says why a machine cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetupErrorKind {
    /// A verifier refuses the program.
    Refused(Refusal),
    /// A function's stack has no such size.
    StackBytes {
        /// The size asked for.
        found: u32,
    },
    /// There is no program.
    NoProgram,
    /// The helper is not there.
    UnknownHelper {
        /// Its number.
        id: u32,
    },
    /// The helper wants what cannot be wanted: memory without a length after it.
    Params {
        /// Its number.
        id: u32,
    },
    /// The map is not there.
    UnknownMap,
    /// The offset lies outside the map's value, or the map has no value that instructions may address.
    MapValue {
        /// The offset.
        offset: u32,
    },
    /// Programs may not read this map's values (`BPF_F_WRONLY_PROG`).
    WriteOnlyMap {
        /// The number by which programs name it.
        fd: i32,
    },
    /// Maps need a host, and there is none.
    NoHost,
    /// Machine code wants memory, and there is none or too little.
    NoCodeMemory,
    /// r10 is written.
    FramePointer,
    /// A function that is called makes a tail call: only the main one may be replaced.
    TailCall,
    /// The instruction is one that the machine does not run.
    Unsupported {
        /// What it is.
        what: &'static str,
    },
    /// Memory could not be had.
    OutOfMemory,
    /// The engine has failed; this is never the program's fault.
    Engine,
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.program, self.at) {
            (Some(program @ 1..), Some(at)) => write!(f, "program {program}, instruction {at}: ")?,
            (Some(program @ 1..), None) => write!(f, "program {program}: ")?,
            (_, Some(at)) => write!(f, "instruction {at}: ")?,
            (_, None) => {}
        }
        self.kind.fmt(f)
    }
}

impl fmt::Display for SetupErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetupErrorKind::Refused(refusal) => refusal.fmt(f),
            SetupErrorKind::StackBytes { found } => {
                write!(f, "a function's stack wants a multiple of 8 bytes from 8 to 65536, found {found}")
            }
            SetupErrorKind::NoProgram => f.write_str("wanted a program, found none"),
            SetupErrorKind::UnknownHelper { id } => write!(f, "helper {id} is not known here"),
            SetupErrorKind::Params { id } => {
                write!(f, "helper {id} wants memory and its length after it, or at most five parameters")
            }
            SetupErrorKind::UnknownMap => f.write_str("the map is not known here"),
            SetupErrorKind::MapValue { offset } => {
                write!(f, "offset {offset} does not lie in a value of the map that may be addressed")
            }
            SetupErrorKind::WriteOnlyMap { fd } => write!(f, "programs may not read the values of map {fd}"),
            SetupErrorKind::NoCodeMemory => {
                f.write_str("machine code wants memory, found none or too little")
            }
            SetupErrorKind::NoHost => f.write_str("maps want a host, found none"),
            SetupErrorKind::FramePointer => f.write_str("the frame pointer r10 is read-only"),
            SetupErrorKind::TailCall => f.write_str("only the main function may make a tail call"),
            SetupErrorKind::Unsupported { what } => write!(f, "{what} is not supported here"),
            SetupErrorKind::OutOfMemory => f.write_str("out of memory"),
            SetupErrorKind::Engine => f.write_str("the engine has failed"),
        }
    }
}

impl core::error::Error for SetupError {}

impl SetupError {
    pub(crate) fn of_setup(kind: SetupErrorKind) -> SetupError {
        SetupError { program: None, at: None, kind }
    }
}

/// Says on which instruction a run was stopped, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    program: usize,
    at: InsnIdx,
    kind: StopKind,
    detail: Detail,
}

/// Says why a run was stopped, in words that all engines share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopKind {
    /// An access to memory that the program may not touch, or not so.
    OutOfBounds,
    /// An atomic access to an address that is no multiple of its size.
    Misaligned,
    /// The fuel is spent, or another thread has stopped the run.
    Fuel,
    /// More than eight functions are active.
    CallDepth,
    /// A call through a register whose value is no function or helper.
    BadCallTarget,
    /// A helper's argument is not what it wants.
    BadArgument,
    /// A helper has stopped the run.
    Helper,
    /// The input's metadata has no room for the addresses.
    Input,
    /// Memory for the run could not be had.
    OutOfMemory,
    /// The engine has failed; this is never the program's fault.
    Engine,
}

impl StopKind {
    /// Returns its name in JSON (`error.kind`).
    pub const fn code(self) -> &'static str {
        match self {
            StopKind::OutOfBounds => "out_of_bounds",
            StopKind::Misaligned => "misaligned",
            StopKind::Fuel => "fuel",
            StopKind::CallDepth => "call_depth",
            StopKind::BadCallTarget => "bad_call_target",
            StopKind::BadArgument => "bad_helper_argument",
            StopKind::Helper => "helper",
            StopKind::Input => "input",
            StopKind::OutOfMemory => "out_of_memory",
            StopKind::Engine => "engine",
        }
    }
}

/// What besides its kind is known of a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    None,
    Exact(FaultKind),
    Interpreter(skep_vm::StopKind),
    /// The name of the helper, and what it says.
    Helper(&'static str, &'static str),
    /// The name of the helper, and which argument, from zero.
    Argument(&'static str, u8),
    /// A field of the metadata, and the bytes that the metadata has.
    Metadata(usize, usize),
}

impl Stop {
    pub(crate) fn new(program: usize, at: InsnIdx, kind: StopKind, detail: Detail) -> Stop {
        Stop { program, at, kind, detail }
    }

    /// Moves the place to another program.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn moved(self, program: usize, at: InsnIdx) -> Stop {
        Stop { program, at, ..self }
    }

    /// Returns the program, counted from zero, that was running.
    pub fn program(&self) -> usize {
        self.program
    }

    /// Returns the instruction.
    pub fn at(&self) -> InsnIdx {
        self.at
    }

    /// Returns the kind.
    pub fn kind(&self) -> StopKind {
        self.kind
    }

    /// Says what was wanted and found, without the place. What all engines agree on is [`Stop::kind`]; these words are the
    /// engine's own.
    pub fn message(&self) -> impl fmt::Display + '_ {
        Message(self)
    }
}

struct Message<'a>(&'a Stop);

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.detail {
            Detail::Exact(kind) => kind.fmt(f),
            Detail::Interpreter(kind) => kind.fmt(f),
            Detail::Helper(name, why) => write!(f, "{name}: {why}"),
            Detail::Argument(name, position) => {
                write!(f, "argument {} of {name} is no memory that the program may use so", position + 1)
            }
            Detail::Metadata(offset, len) => {
                write!(f, "8 bytes at offset {offset} do not lie in the {len} bytes of metadata")
            }
            Detail::None => f.write_str(match self.0.kind {
                StopKind::OutOfBounds => "access to memory that the program may not touch",
                StopKind::Misaligned => "atomic access to an address that is not aligned",
                StopKind::Fuel => "the fuel is spent",
                StopKind::CallDepth => "more than 8 functions are active",
                StopKind::BadCallTarget => "call wants a function or a helper",
                StopKind::BadArgument => "a helper's argument cannot be used",
                StopKind::Helper => "a helper has stopped the run",
                StopKind::Input => "the input cannot be used",
                StopKind::OutOfMemory => "out of memory",
                StopKind::Engine => "the engine has failed",
            }),
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.program > 0 {
            write!(f, "program {}, ", self.program)?;
        }
        write!(f, "instruction {}: {}", self.at, self.message())
    }
}

impl core::error::Error for Stop {}
