//! A program, decoded and linked once, ready to run any number of times.

use crate::Rights;
use alloc::vec::Vec;
use core::fmt;
use skep_isa::structure::{self, Structure, StructureErrorKind, Subprogram};
use skep_isa::{Addr, DecodeErrorKind, Insn, InsnIdx, RawInsn, Reg};
use skep_mem::{FuncIndex, MapIndex};
use skep_model::platform::helper::{Arg, Callback, Helper, Prototype, Ret};
use skep_model::platform::prog::{ClassicLoads, Prog};
use skep_model::platform::{AttachType, FuncId, MapType};

/// How an instruction names a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapRef {
    /// By file descriptor (wide load of kind 1 or 2).
    Fd(i32),
    /// By its index in the load command's `fd_array` (kind 5 or 6).
    Index(u32),
}

/// What the machine must know of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapShape {
    /// Its kind.
    pub kind: MapType,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// What programs may do with its values.
    pub rights: Rights,
}

/// What a program's call is linked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelperLink {
    /// A helper that is called by its prototype.
    Known(&'static Helper),
    /// A helper that takes five numbers and returns one, as user-space virtual machines have them. It gets no
    /// memory: a pointer arrives as its number, a register that holds nothing as zero.
    Plain,
    /// No such helper is here; the name, where it is known, is for the error.
    Refused(Option<&'static str>),
}

/// What a program is linked with.
pub trait Platform {
    /// Finds a map and tells its position in [`Platform::maps`].
    fn map(&self, map: MapRef) -> Option<MapIndex>;

    /// Lists the maps that the program uses.
    fn maps(&self) -> &[MapShape];

    /// Finds a helper.
    fn helper(&self, id: u32) -> HelperLink;
}

/// Whether a program may read stack bytes that it has not written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UninitStack {
    /// Such a read stops the run.
    #[default]
    Fault,
    /// They read as zero, since frames are zeroed as they are used. Linux lets root do this since 6.3
    /// (`allow_uninit_stack` in `kernel/bpf/verifier.c`), and clang's padding relies on it.
    Zero,
}

/// Whether a program may read registers that nobody has written: at the start, and what a call leaves of r1 to r5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UninitRegisters {
    /// Such a read stops the run, as Linux refuses it.
    #[default]
    Fault,
    /// They read as zero, as in user-space virtual machines.
    Zero,
}

/// Where a call through a register (`callx`) may lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RegisterCalls {
    /// Nowhere: a program that has one is refused, as by Linux.
    #[default]
    Refused,
    /// To a function that the register names, or to the plain helper of these whose number it holds.
    Allowed(Vec<u32>),
}

/// Whether numbers and pointers may turn into each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pointers {
    /// Never: what Linux refuses to do with a pointer even for root is a fault, and a number leads nowhere.
    #[default]
    Distinct,
    /// At any time, as in user-space virtual machines: every operation on a pointer sees its number
    /// ([`Value::bits`](crate::Value::bits)), and memory is found by a number that was made from a pointer to it, or
    /// by its address ([`World::memory_at`](crate::World::memory_at)). What is reached is checked as always.
    Numbers,
}

/// What else is the embedding machine's choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// What faults say the program is.
    pub tag: u32,
    /// The program's type: its context, what it may do to packets and what it may return. Without one it has no
    /// context and may return anything.
    pub prog: Option<&'static Prog>,
    /// The attach type that the program expects.
    pub attach: AttachType,
    /// Whether unwritten stack may be read.
    pub uninit_stack: UninitStack,
    /// Whether unwritten registers may be read.
    pub uninit_registers: UninitRegisters,
    /// Where calls through registers may lead.
    pub register_calls: RegisterCalls,
    /// Whether numbers and pointers may turn into each other.
    pub pointers: Pointers,
}

/// One slot of a program, with what it names looked up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// An instruction that means the same everywhere.
    Insn(Insn),
    /// A wide load of a map.
    Map { dst: Reg, map: MapIndex },
    /// A wide load of a place in a map's only value.
    MapValue { dst: Reg, map: MapIndex, off: u32 },
    /// A wide load of a function.
    Func { dst: Reg, func: FuncIndex },
    /// A call of a plain helper.
    Plain { id: u32 },
    /// A call of a helper by its prototype.
    Helper { helper: &'static Helper, prototype: &'static Prototype },
    /// A tail call, whose prototype is the helper's.
    TailCall { helper: &'static Helper, prototype: &'static Prototype },
    /// The second half of a wide instruction.
    Second,
}

/// A linked program.
#[derive(Debug)]
pub struct Program {
    pub(crate) ops: Vec<Op>,
    pub(crate) maps: Vec<MapShape>,
    pub(crate) rules: Rules,
    functions: Vec<Subprogram>,
}

/// Why a program cannot be run, and on which instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// The instruction.
    pub at: InsnIdx,
    /// Why.
    pub kind: LoadErrorKind,
}

/// Why a program cannot be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadErrorKind {
    /// A slot is no instruction.
    Decode(DecodeErrorKind),
    /// A jump or call leads nowhere, or a function has no end.
    Structure(StructureErrorKind),
    /// r10 is written.
    FramePointer,
    /// The map is not there.
    UnknownMap(MapRef),
    /// The offset lies outside the map's value.
    MapValueOffset {
        /// The offset.
        offset: u32,
        /// Bytes of the value.
        value_size: u32,
    },
    /// The helper is not there.
    UnknownHelper {
        /// Its number.
        id: u32,
        /// Its name without `bpf_`, where it has one.
        name: Option<&'static str>,
    },
    /// The instruction is one that this machine does not run here.
    Unsupported {
        /// What it is.
        what: &'static str,
    },
    /// Memory could not be had.
    OutOfMemory,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instruction {}: {}", self.at, self.kind)
    }
}

impl core::error::Error for LoadError {}

impl fmt::Display for LoadErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadErrorKind::Decode(kind) => write!(f, "{kind}"),
            LoadErrorKind::Structure(kind) => write!(f, "{kind}"),
            LoadErrorKind::FramePointer => f.write_str("the frame pointer r10 is read-only"),
            LoadErrorKind::UnknownMap(MapRef::Fd(fd)) => write!(f, "file descriptor {fd} is no map here"),
            LoadErrorKind::UnknownMap(MapRef::Index(index)) => write!(f, "there is no map {index}"),
            LoadErrorKind::MapValueOffset { offset, value_size } => {
                write!(f, "offset {offset} does not lie in the {value_size} bytes of the map's value")
            }
            LoadErrorKind::UnknownHelper { id, name: None } => write!(f, "helper {id} is not known here"),
            LoadErrorKind::UnknownHelper { id, name: Some(name) } => {
                write!(f, "helper {id} ({name}) is not supported here")
            }
            LoadErrorKind::Unsupported { what } => write!(f, "{what} is not supported here"),
            LoadErrorKind::OutOfMemory => f.write_str("out of memory"),
        }
    }
}

impl From<DecodeErrorKind> for LoadErrorKind {
    fn from(kind: DecodeErrorKind) -> LoadErrorKind {
        match kind {
            DecodeErrorKind::OutOfMemory => LoadErrorKind::OutOfMemory,
            kind => LoadErrorKind::Decode(kind),
        }
    }
}

impl From<StructureErrorKind> for LoadErrorKind {
    fn from(kind: StructureErrorKind) -> LoadErrorKind {
        match kind {
            StructureErrorKind::OutOfMemory => LoadErrorKind::OutOfMemory,
            kind => LoadErrorKind::Structure(kind),
        }
    }
}

impl Program {
    /// Decodes slots and links them.
    ///
    /// # Errors
    /// [`LoadError`] names the first instruction that cannot be run.
    pub fn new(slots: &[RawInsn], platform: &dyn Platform, rules: Rules) -> Result<Program, LoadError> {
        let decoded = skep_isa::Program::decode(slots)
            .map_err(|error| LoadError { at: error.at, kind: error.kind.into() })?;
        Program::link(&decoded, platform, rules)
    }

    /// Links a decoded program.
    ///
    /// # Errors
    /// [`LoadError`] names the first instruction that cannot be run.
    pub fn link(
        decoded: &skep_isa::Program,
        platform: &dyn Platform,
        rules: Rules,
    ) -> Result<Program, LoadError> {
        let structure =
            structure::check(decoded).map_err(|error| LoadError { at: error.at, kind: error.kind.into() })?;
        let no_memory = |_| LoadError { at: InsnIdx::ZERO, kind: LoadErrorKind::OutOfMemory };
        let mut functions = Vec::new();
        functions.try_reserve_exact(structure.subprograms().len()).map_err(no_memory)?;
        functions.extend_from_slice(structure.subprograms());
        let mut maps = Vec::new();
        maps.try_reserve_exact(platform.maps().len()).map_err(no_memory)?;
        maps.extend_from_slice(platform.maps());
        let mut ops = Vec::new();
        ops.try_reserve_exact(decoded.len()).map_err(no_memory)?;
        for (at, insn) in decoded.iter() {
            let op =
                resolve(at, insn, &structure, platform, &rules).map_err(|kind| LoadError { at, kind })?;
            ops.push(op);
            ops.extend((insn.slots() == 2).then_some(Op::Second));
        }
        Ok(Program { ops, maps, rules, functions })
    }

    /// Counts the slots.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Tells whether there are no slots, which a linked program never has.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Gives the tag that it was linked with.
    pub fn tag(&self) -> u32 {
        self.rules.tag
    }

    /// Changes what faults say the program is, for whoever knows it only after linking.
    pub fn set_tag(&mut self, tag: u32) {
        self.rules.tag = tag;
    }

    /// Lists the functions, sorted by start, the main one first.
    pub fn functions(&self) -> &[Subprogram] {
        &self.functions
    }

    /// Gives the first instruction of the function that a slot is in.
    pub fn function_of(&self, at: InsnIdx) -> InsnIdx {
        self.subprogram_of(at).map_or(InsnIdx::ZERO, |function| function.start)
    }

    /// Gives the function that a slot is in.
    pub(crate) fn subprogram_of(&self, at: InsnIdx) -> Option<Subprogram> {
        let after = self.functions.partition_point(|function| function.start <= at);
        self.functions.get(after.checked_sub(1)?).copied()
    }

    /// Gives the first instruction of a function.
    pub(crate) fn start_of(&self, func: FuncIndex) -> Option<InsnIdx> {
        self.functions.get(func.0 as usize).map(|function| function.start)
    }
}

/// Looks up what an instruction names, and refuses what is not run here.
fn resolve(
    at: InsnIdx,
    insn: Insn,
    structure: &Structure,
    platform: &dyn Platform,
    rules: &Rules,
) -> Result<Op, LoadErrorKind> {
    if insn.writes().contains(Reg::FP) {
        return Err(LoadErrorKind::FramePointer);
    }
    let map = |map| platform.map(map).ok_or(LoadErrorKind::UnknownMap(map));
    match insn {
        Insn::LoadAddr { dst, addr } => match addr {
            Addr::MapFd { fd } => Ok(Op::Map { dst, map: map(MapRef::Fd(fd))? }),
            Addr::MapIndex { index } => Ok(Op::Map { dst, map: map(MapRef::Index(index))? }),
            Addr::MapValueFd { fd, off } => map_value(dst, map(MapRef::Fd(fd))?, off, platform),
            Addr::MapValueIndex { index, off } => map_value(dst, map(MapRef::Index(index))?, off, platform),
            Addr::Code { .. } => {
                match insn.call_target(at).and_then(|target| structure.subprogram_at(target)) {
                    Some(position) => Ok(Op::Func { dst, func: FuncIndex(position as u32) }),
                    None => Err(LoadErrorKind::Unsupported { what: "a function before the program" }),
                }
            }
            Addr::Variable { .. } => Err(LoadErrorKind::Unsupported { what: "a kernel variable" }),
        },
        Insn::CallHelper { id } => match platform.helper(id) {
            HelperLink::Known(helper) => known_helper(id, helper),
            HelperLink::Plain => Ok(Op::Plain { id }),
            HelperLink::Refused(name) => Err(LoadErrorKind::UnknownHelper { id, name }),
        },
        Insn::CallKfunc { .. } => Err(LoadErrorKind::Unsupported { what: "a call of a kernel function" }),
        Insn::CallReg { .. } if rules.register_calls == RegisterCalls::Refused => {
            Err(LoadErrorKind::Unsupported { what: "a call through a register" })
        }
        Insn::LoadAbs { .. } | Insn::LoadInd { .. }
            if rules.prog.is_some_and(|prog| prog.classic_loads == ClassicLoads::Refused) =>
        {
            Err(LoadErrorKind::Unsupported { what: "a packet load of classic BPF in a program of this type" })
        }
        Insn::Gotox { .. } => Err(LoadErrorKind::Unsupported { what: "a jump through a register" }),
        Insn::AddrSpaceCast { .. } => {
            Err(LoadErrorKind::Unsupported { what: "a cast between address spaces" })
        }
        _ => Ok(Op::Insn(insn)),
    }
}

/// Links a call by prototype, if the machine can check everything that the prototype says.
fn known_helper(id: u32, helper: &'static Helper) -> Result<Op, LoadErrorKind> {
    let refused = LoadErrorKind::UnknownHelper { id, name: Some(helper.name) };
    let prototype = helper.prototype.as_ref().ok_or(refused)?;
    let known = |arg: &Arg| {
        matches!(
            arg,
            Arg::Any
                | Arg::Unchecked
                | Arg::Ctx
                | Arg::CtxOrNull
                | Arg::Map
                | Arg::MapKey
                | Arg::MapValue
                | Arg::MapValueOut
                | Arg::Mem(..)
                | Arg::Size(_)
                | Arg::Fixed { .. }
                | Arg::AllocSize
                | Arg::Record
                | Arg::ConstStr
                | Arg::Func(Callback::MapElem | Callback::Loop)
                | Arg::StackOrNull
        )
    };
    let returned = matches!(
        prototype.ret,
        Ret::Int | Ret::Void | Ret::UpToSize(_) | Ret::Cpu | Ret::MapValueOrNull | Ret::RecordOrNull
    );
    if !returned || prototype.args.len() > 5 || !prototype.args.iter().all(known) {
        return Err(refused);
    }
    match helper.id {
        FuncId::TAIL_CALL => Ok(Op::TailCall { helper, prototype }),
        _ => Ok(Op::Helper { helper, prototype }),
    }
}

fn map_value(dst: Reg, map: MapIndex, off: u32, platform: &dyn Platform) -> Result<Op, LoadErrorKind> {
    let value_size = platform.maps().get(map.0 as usize).map_or(0, |shape| shape.value_size);
    if off >= value_size {
        return Err(LoadErrorKind::MapValueOffset { offset: off, value_size });
    }
    Ok(Op::MapValue { dst, map, off })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_stays_compact() {
        assert!(size_of::<Op>() <= 24, "{}", size_of::<Op>());
    }
}
