//! What the verifier knows, for those who hold it against what happens.

use crate::stack::{Byte, place};
use crate::state::State;
use crate::value::{Memory, Null, To, Value, What};
use skep_isa::{InsnIdx, Reg, RegSet};
use skep_model::platform::helper::Socket;

/// Is told of every state in which the verifier looks at an instruction.
pub trait Trace {
    /// An instruction is looked at, in this state.
    fn looks_at(&mut self, at: InsnIdx, known: &Known<'_>);
}

/// What is known before an instruction.
pub struct Known<'a> {
    state: &'a State,
    live: RegSet,
}

/// What is known of a register, or of eight bytes of the stack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Holds {
    /// It is not read any more before it is written, or may not be read: it may hold anything.
    Anything,
    /// A number.
    Number(Numbers),
    /// A pointer, or null.
    Pointer(Points),
}

/// Numbers that a register may hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Numbers(crate::scalar::Number);

impl Numbers {
    /// Says whether this number is one of them.
    pub fn contains(&self, number: u64) -> bool {
        self.0.contains(number)
    }

    /// The least and the greatest, as signed numbers.
    pub fn range(&self) -> (i64, i64) {
        (self.0.smin(), self.0.smax())
    }
}

/// Where a pointer may point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Points {
    /// To what.
    pub to: Target,
    /// The least and the greatest offset in it, in bytes.
    pub offset: (i64, i64),
    /// Whether it may be null instead.
    pub null: bool,
}

/// What a pointer points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The context.
    Context,
    /// The stack of an active function, the first being 0; offsets count from its frame pointer.
    Stack(usize),
    /// The packet, from its data.
    Packet,
    /// The packet, from its metadata.
    PacketMeta,
    /// The packet's end.
    PacketEnd,
    /// A map, by the subject's list.
    Map(usize),
    /// A value of a map.
    MapValue(usize),
    /// A key of a map.
    MapKey(usize),
    /// A record of a ring, of so many bytes.
    Record(u32),
    /// Other memory of so many bytes.
    Memory(u32),
    /// A socket.
    Socket(Socket),
    /// A function of the program.
    Function(InsnIdx),
    /// Anything else of the kernel's.
    Other,
}

impl<'a> Known<'a> {
    pub(crate) fn new(state: &'a State, live: RegSet) -> Known<'a> {
        Known { state, live }
    }

    /// How many functions are active.
    pub fn frames(&self) -> usize {
        self.state.frames.len()
    }

    /// Whether it starts with a function that is verified by itself, as its type says: whoever calls it is not known then.
    pub fn is_of_callee(&self) -> bool {
        self.state.frames.first().is_some_and(|frame| frame.function != 0)
    }

    /// What is known of a register of an active function. What the function that runs does not read any more before it writes it may be
    /// anything.
    pub fn register(&self, frame: usize, reg: Reg) -> Holds {
        if frame + 1 == self.frames() && !self.live.contains(reg) {
            return Holds::Anything;
        }
        self.state.frames.get(frame).map_or(Holds::Anything, |frame| holds(&frame.regs[reg.index()]))
    }

    /// What is known of the eight bytes of an active function's stack that begin at a multiple of eight below its frame pointer.
    pub fn stack(&self, frame: usize, offset: i64) -> Holds {
        let (slot, _) = place(offset);
        match self.state.frames.get(frame).and_then(|frame| frame.slot(slot)) {
            Some(slot) => match slot.stored() {
                Some((value, 8)) => holds(value),
                _ if slot.bytes.iter().all(|&byte| byte == Byte::Zero) => holds(&Value::constant(0)),
                _ => Holds::Anything,
            },
            None => Holds::Anything,
        }
    }
}

fn holds(value: &Value) -> Holds {
    let pointer = match value.what {
        What::Nothing => return Holds::Anything,
        What::Number => return Holds::Number(Numbers(value.number)),
        What::Pointer(pointer) => pointer,
    };
    let to = match pointer.to {
        To::Context => Target::Context,
        To::Stack { frame } => Target::Stack(usize::from(frame)),
        To::Packet => Target::Packet,
        To::PacketMeta => Target::PacketMeta,
        To::PacketEnd => Target::PacketEnd,
        To::Map(map) | To::InnerMap { map, .. } => Target::Map(usize::from(map.0)),
        To::MapValue { map, .. } => Target::MapValue(usize::from(map.0)),
        To::MapKey(map) => Target::MapKey(usize::from(map.0)),
        To::Memory { size, kind: Memory::Record } => Target::Record(size),
        To::Memory { kind: Memory::Untrusted, .. } => Target::Other,
        To::Memory { size, .. } => Target::Memory(size),
        To::Socket(socket) => Target::Socket(socket),
        To::Function(start) => Target::Function(start),
        _ => Target::Other,
    };
    let offset =
        (value.fixed.saturating_add(value.number.smin()), value.fixed.saturating_add(value.number.smax()));
    Holds::Pointer(Points { to, offset, null: pointer.null == Null::Perhaps })
}
