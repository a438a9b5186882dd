//! Why a run was stopped, and where.

use crate::{Region, Value};
use core::fmt;
use skep_isa::{AluOp, InsnIdx, Reg};
use skep_mem::MapIndex;
use skep_model::platform::context::Refusal;

/// A run that was stopped: what was wrong, and on which instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What was wrong.
    pub kind: FaultKind,
    /// The instruction.
    pub at: InsnIdx,
    /// The first instruction of the function it is in.
    pub func: InsnIdx,
    /// The tag of the program it is in, which after a tail call is not the one that was started.
    pub program: u32,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instruction {}: {}", self.at, self.kind)
    }
}

impl core::error::Error for Fault {}

/// What an access wanted to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read.
    Read,
    /// To write.
    Write,
    /// To change atomically.
    Atomic,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Access::Read => "read",
            Access::Write => "write",
            Access::Atomic => "atomic change",
        })
    }
}

/// Why the context does not allow an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CtxRefusal {
    /// The context's table says no.
    Table(Refusal),
    /// The program has no context, or this one is not modelled.
    NoContext,
    /// The kernel around the program does not have the field.
    Unsupported(&'static str),
    /// Atomic and ordered accesses are to memory only.
    NotMemory,
}

impl fmt::Display for CtxRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CtxRefusal::Table(refusal) => write!(f, "{refusal}"),
            CtxRefusal::NoContext => f.write_str("this program has no context"),
            CtxRefusal::Unsupported(field) => write!(f, "`{field}` is not supported here"),
            CtxRefusal::NotMemory => f.write_str("the context is no memory"),
        }
    }
}

/// Why a helper's argument is not what its prototype wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgError {
    /// Another kind of value is wanted.
    Kind {
        /// What the prototype wants.
        wanted: &'static str,
        /// What was passed.
        found: Value,
    },
    /// A number is too large or zero.
    Size {
        /// What was passed.
        found: u64,
    },
    /// The memory is shorter than wanted, or the pointer lies outside.
    Bounds {
        /// Where the pointer points.
        region: Region,
        /// Its offset.
        offset: i64,
        /// Bytes wanted from there.
        wanted: u64,
        /// Bytes the memory has.
        size: usize,
    },
    /// A byte of the memory is not initialised.
    Uninit {
        /// The byte, from the start of the argument's memory.
        byte: u64,
    },
    /// The helper writes the memory, which is read-only, or reads it, which is write-only.
    NoRight {
        /// Which memory.
        region: Region,
    },
    /// The memory is gone.
    Dead {
        /// Which memory.
        region: Region,
    },
    /// A packet's memory is not allowed here.
    Packet,
    /// No string ends in this memory.
    Unterminated,
    /// The pointer is not aligned as wanted.
    Misaligned {
        /// The alignment in bytes.
        wanted: u64,
    },
}

impl fmt::Display for ArgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArgError::Kind { wanted, found } => write!(f, "wanted {wanted}, found {found}"),
            ArgError::Size { found } => write!(f, "{found} is no valid size here"),
            ArgError::Bounds { region, offset, wanted, size } => {
                write!(f, "wanted {wanted} bytes at offset {offset} of {region}, which has {size}")
            }
            ArgError::Uninit { byte } => write!(f, "byte {byte} of the memory is not initialised"),
            ArgError::NoRight { region } => write!(f, "{region} does not allow what the helper does"),
            ArgError::Dead { region } => write!(f, "{region} is gone"),
            ArgError::Packet => f.write_str("packet memory is not allowed here"),
            ArgError::Unterminated => f.write_str("the string has no end"),
            ArgError::Misaligned { wanted } => write!(f, "wanted memory aligned to {wanted}"),
        }
    }
}

/// What stopped a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// An access does not lie inside its object.
    OutOfBounds {
        /// What it wanted.
        access: Access,
        /// What the pointer points to.
        region: Region,
        /// Offset of the first byte wanted; on the stack, from the frame's top, as in `r10 - 8`.
        offset: i64,
        /// Bytes wanted.
        width: u32,
        /// Bytes the object has.
        size: usize,
    },
    /// A register is read that holds nothing.
    UninitRegister {
        /// Which.
        reg: Reg,
    },
    /// Stack memory is read that was not written.
    UninitStack {
        /// The byte, from the frame's top.
        offset: i64,
    },
    /// Memory is reached through null.
    NullPointer {
        /// What was wanted.
        access: Access,
    },
    /// Memory is reached through a number.
    NotAPointer {
        /// What was wanted.
        access: Access,
        /// The number.
        found: u64,
    },
    /// Memory is reached through a map or a function, which are no memory.
    NotMemory {
        /// What was wanted.
        access: Access,
        /// Which it is.
        found: Value,
    },
    /// The object is gone: a ring record that was submitted, a packet that a helper has moved, a frame that returned.
    UseAfterFree {
        /// What was wanted.
        access: Access,
        /// What the pointer pointed to.
        region: Region,
    },
    /// The object is not for writing (or not for reading).
    NoRight {
        /// What was wanted.
        access: Access,
        /// What the pointer points to.
        region: Region,
    },
    /// An atomic access is not aligned.
    Misaligned {
        /// What the pointer points to.
        region: Region,
        /// The access's first byte; on the stack, from the frame's top.
        offset: i64,
        /// The access's width in bytes.
        width: u32,
    },
    /// A part of a stored pointer is read, or a part of a pointer is stored on the stack.
    PartialPointer,
    /// An operation on a pointer that Linux refuses even to root.
    PointerArithmetic {
        /// The operation.
        op: AluOp,
        /// The pointer.
        found: Value,
    },
    /// The context's table does not allow the access.
    Context {
        /// What was wanted.
        access: Access,
        /// Offset in the context.
        offset: i64,
        /// Bytes wanted.
        width: u32,
        /// Why not.
        why: CtxRefusal,
    },
    /// More than eight functions are active, callbacks included.
    CallDepth,
    /// The fuel is spent, or another thread has stopped the run.
    Fuel,
    /// A helper is called that the program was not linked with.
    UnknownHelper {
        /// Its number.
        id: u32,
    },
    /// A helper's argument is not what its prototype wants.
    BadArgument {
        /// The helper's name, without `bpf_`.
        helper: &'static str,
        /// Which argument, from 1.
        arg: u8,
        /// What is wrong.
        why: ArgError,
    },
    /// A helper has answered what its prototype does not allow, or has passed a callback what cannot be passed.
    BadHelper {
        /// The helper's name, without `bpf_`.
        helper: &'static str,
    },
    /// A call through a register whose value is no function or helper.
    BadCallTarget {
        /// What it holds.
        found: Value,
    },
    /// A ring record is still open at the end.
    LeakedReference {
        /// Of which map.
        map: MapIndex,
        /// Where it was reserved.
        reserved_at: InsnIdx,
    },
    /// A callback, or the program, returned what its kind does not allow.
    BadReturn {
        /// What r0 holds.
        found: Value,
        /// The least allowed.
        min: i64,
        /// The most allowed.
        max: i64,
    },
    /// More objects are alive than the machine can name.
    TooManyObjects,
    /// The machine could not get memory of its own.
    OutOfMemory,
    /// The run has left the program, which loading excludes.
    NoInstruction,
}

impl FaultKind {
    /// Gives the kind's name in JSON (`error.kind`).
    pub const fn code(&self) -> &'static str {
        match self {
            FaultKind::OutOfBounds { .. } => "out_of_bounds",
            FaultKind::UninitRegister { .. } | FaultKind::UninitStack { .. } => "uninitialised",
            FaultKind::NullPointer { .. } => "null_pointer",
            FaultKind::NotAPointer { .. } | FaultKind::NotMemory { .. } => "not_a_pointer",
            FaultKind::UseAfterFree { .. } => "use_after_free",
            FaultKind::NoRight { .. } => "no_right",
            FaultKind::Misaligned { .. } => "misaligned",
            FaultKind::PartialPointer => "partial_pointer",
            FaultKind::PointerArithmetic { .. } => "pointer_arithmetic",
            FaultKind::Context { .. } => "bad_context_access",
            FaultKind::CallDepth => "call_depth",
            FaultKind::Fuel => "fuel",
            FaultKind::UnknownHelper { .. } => "unknown_helper",
            FaultKind::BadArgument { .. } => "bad_helper_argument",
            FaultKind::BadHelper { .. } => "bad_helper",
            FaultKind::BadCallTarget { .. } => "bad_call_target",
            FaultKind::LeakedReference { .. } => "leaked_reference",
            FaultKind::BadReturn { .. } => "bad_return",
            FaultKind::TooManyObjects => "too_many_objects",
            FaultKind::OutOfMemory => "out_of_memory",
            FaultKind::NoInstruction => "no_instruction",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FaultKind::OutOfBounds { access, region, offset, width, size } => {
                write!(f, "{access} of {width} bytes at offset {offset} of {region}, which has {size} bytes")
            }
            FaultKind::UninitRegister { reg } => write!(f, "{reg} is read and holds nothing"),
            FaultKind::UninitStack { offset } => {
                write!(f, "the stack is read at r10{offset:+}, where nothing was written")
            }
            FaultKind::NullPointer { access } => write!(f, "{access} through a null pointer"),
            FaultKind::NotAPointer { access, found } => {
                write!(f, "{access} wants a pointer, found the number {found:#x}")
            }
            FaultKind::NotMemory { access, found } => write!(f, "{access} wants memory, found {found}"),
            FaultKind::UseAfterFree { access, region } => write!(f, "{access} of {region}, which is gone"),
            FaultKind::NoRight { access, region } => write!(f, "{access} of {region} is not allowed"),
            FaultKind::Misaligned { region, offset, width } => {
                write!(f, "atomic access at offset {offset} of {region} wants alignment to {width}")
            }
            FaultKind::PartialPointer => {
                f.write_str("a pointer on the stack wants a whole aligned 8-byte access")
            }
            FaultKind::PointerArithmetic { op, found } => {
                write!(f, "{op:?} wants numbers, found a pointer ({found})")
            }
            FaultKind::Context { access, offset, width, why } => {
                write!(f, "{access} of {width} bytes at offset {offset} of the context: {why}")
            }
            FaultKind::CallDepth => f.write_str("more than 8 functions are active"),
            FaultKind::Fuel => f.write_str("the fuel is spent"),
            FaultKind::UnknownHelper { id } => write!(f, "helper {id} is not known here"),
            FaultKind::BadArgument { helper, arg, why } => write!(f, "argument {arg} of {helper}: {why}"),
            FaultKind::BadHelper { helper } => {
                write!(f, "{helper} has answered what its prototype does not allow")
            }
            FaultKind::BadCallTarget { found } => write!(f, "call wants a function, found {found}"),
            FaultKind::LeakedReference { map: MapIndex(map), reserved_at } => {
                write!(
                    f,
                    "the record reserved from map {map} at instruction {reserved_at} is still open at the end"
                )
            }
            FaultKind::BadReturn { found, min, max } => {
                write!(f, "the return value wants to be from {min} to {max}, found {found}")
            }
            FaultKind::TooManyObjects => f.write_str("too many objects are alive"),
            FaultKind::OutOfMemory => f.write_str("out of memory"),
            FaultKind::NoInstruction => f.write_str("no instruction is here"),
        }
    }
}

impl core::error::Error for FaultKind {}
