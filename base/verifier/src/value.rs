//! What is known of one register, or of eight bytes that a register was stored to.

use crate::scalar::Number;
use core::fmt;
use skep_btf::TypeId;
use skep_isa::InsnIdx;
use skep_model::platform::context::Context;
use skep_model::platform::helper::Socket;

/// Tells values apart that may be equal: numbers that are copies of one another, results that are null together.
/// Zero is nobody.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Id(pub(crate) u32);

impl Id {
    pub(crate) const NONE: Id = Id(0);

    pub(crate) const fn is_some(self) -> bool {
        self.0 != 0
    }
}

/// What is known of a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Value {
    pub(crate) what: What,
    /// Of a number, the number; of a pointer, the part of its offset that is not constant.
    pub(crate) number: Number,
    /// Of a pointer, the constant part of its offset; of a number, what it is more than the other numbers of its id.
    pub(crate) fixed: i64,
    /// Of a number, that of its copies; of a pointer that may be null, those that are null with it; of a packet pointer,
    /// those with the same offset that is not constant.
    pub(crate) id: Id,
    /// What must be released before the program ends, if it is from a call that acquired something.
    pub(crate) owned: Id,
    /// Of a packet pointer, how many bytes behind the constant offset zero are known to be there.
    pub(crate) range: u16,
}

/// The kinds of values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    /// It was never written, or may not be read any more.
    Nothing,
    /// A number.
    Number,
    /// A pointer.
    Pointer(Pointer),
}

/// A pointer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pointer {
    pub(crate) to: To,
    pub(crate) null: Null,
}

/// Whether a pointer may be null.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Null {
    Never,
    Perhaps,
}

/// What a pointer points to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum To {
    /// The program's context.
    Context,
    /// The stack of an active function.
    Stack { frame: u8 },
    /// The packet.
    Packet,
    /// The bytes before the packet.
    PacketMeta,
    /// The end of the packet.
    PacketEnd,
    /// A map itself.
    Map(MapAt),
    /// A value of a map. `inner` tells values of maps apart that were found in a map of maps.
    MapValue { map: MapAt, inner: Id },
    /// A map that was found in a map of maps, of this prototype.
    InnerMap { map: MapAt, inner: Id },
    /// A key of a map.
    MapKey(MapAt),
    /// That many bytes.
    Memory { size: u32, kind: Memory },
    /// A buffer whose size is checked when the program is attached.
    Buffer(Memory),
    /// `struct bpf_flow_keys`.
    FlowKeys,
    /// A socket, by what of it may be read.
    Socket(Socket),
    /// An object of the kernel.
    Object { type_id: TypeId, trust: Trust },
    /// An object of a host's own, with the fields of this table.
    Own(&'static Context),
    /// A function of the program.
    Function(InsnIdx),
    /// A dynptr that was handed to a function, over local memory.
    Dynptr,
}

/// What a memory is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Memory {
    /// It may be read and written.
    Plain,
    /// It may be read.
    ReadOnly,
    /// A record of a ring.
    Record,
    /// It may be read, if it is there, as a probe reads.
    Untrusted,
    /// It was had from the dynptr with this id, and is there as long as that is.
    Slice(Id),
}

/// How far an object of the kernel is known to be there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trust {
    /// It is there, and may be handed to the kernel.
    Trusted,
    /// It was found in a trusted one; reading it is safe, and nothing else.
    Walked,
    /// It is there within an RCU section.
    Rcu,
    /// It may be anything; it is read as a probe reads.
    Untrusted,
    /// One for each CPU.
    PerCpu,
    /// It is memory of the process, not of the kernel.
    User,
}

/// A map of the subject, by index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct MapAt(pub(crate) u16);

impl Value {
    pub(crate) const NOTHING: Value = Value {
        what: What::Nothing,
        number: Number::UNKNOWN,
        fixed: 0,
        id: Id::NONE,
        owned: Id::NONE,
        range: 0,
    };

    /// A number about which nothing is known.
    pub(crate) const UNKNOWN: Value = Value { what: What::Number, ..Value::NOTHING };

    /// A pointer to the start of the context.
    pub(crate) const CONTEXT: Value = Value::pointer(To::Context);

    pub(crate) const fn number(number: Number) -> Value {
        Value { number, ..Value::UNKNOWN }
    }

    pub(crate) const fn constant(value: u64) -> Value {
        Value::number(Number::constant(value))
    }

    /// A pointer to the start of something.
    pub(crate) const fn pointer(to: To) -> Value {
        Value {
            what: What::Pointer(Pointer { to, null: Null::Never }),
            number: Number::constant(0),
            ..Value::NOTHING
        }
    }

    /// A pointer to the start of something, or null; those with the same id are null together.
    pub(crate) const fn perhaps(to: To, id: Id) -> Value {
        Value { what: What::Pointer(Pointer { to, null: Null::Perhaps }), id, ..Value::pointer(to) }
    }

    pub(crate) const fn is_number(&self) -> bool {
        matches!(self.what, What::Number)
    }

    pub(crate) const fn is_nothing(&self) -> bool {
        matches!(self.what, What::Nothing)
    }

    /// What it points to, null or not.
    pub(crate) const fn to(&self) -> Option<To> {
        match self.what {
            What::Pointer(pointer) => Some(pointer.to),
            _ => None,
        }
    }

    /// What it certainly points to.
    pub(crate) const fn certainly_to(&self) -> Option<To> {
        match self.what {
            What::Pointer(Pointer { to, null: Null::Never }) => Some(to),
            _ => None,
        }
    }

    pub(crate) const fn may_be_null(&self) -> bool {
        matches!(self.what, What::Pointer(Pointer { null: Null::Perhaps, .. }))
    }

    /// The number, if it is one and the only one it can be.
    pub(crate) fn as_constant(&self) -> Option<u64> {
        if self.is_number() { self.number.as_constant() } else { None }
    }

    /// A pointer's offset, if it is constant.
    pub(crate) fn offset(&self) -> Option<i64> {
        // As the processor adds: offsets that are this large are refused elsewhere.
        self.number.as_constant().map(|part| self.fixed.wrapping_add(part as i64))
    }

    pub(crate) const fn is_stack_of(&self, frame: usize) -> bool {
        matches!(self.certainly_to(), Some(To::Stack { frame: of }) if of as usize == frame)
    }

    pub(crate) const fn is_packet(&self) -> bool {
        matches!(self.to(), Some(To::Packet | To::PacketMeta | To::PacketEnd))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            What::Nothing => f.write_str("nothing that was written before"),
            What::Number => match self.number.as_constant() {
                Some(value) => write!(f, "the number {}", value as i64),
                None if self.number.is_unknown() => f.write_str("a number"),
                None => write!(f, "a number from {} to {}", self.number.smin(), self.number.smax()),
            },
            What::Pointer(pointer) => {
                let null = if pointer.null == Null::Perhaps { ", or null" } else { "" };
                write!(f, "a pointer to {}{null}", pointer.to)
            }
        }
    }
}

impl fmt::Display for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            To::Context => "the context",
            To::Stack { .. } => "the stack",
            To::Packet => "the packet",
            To::PacketMeta => "the packet's metadata",
            To::PacketEnd => "the packet's end",
            To::Map(_) | To::InnerMap { .. } => "a map",
            To::MapValue { .. } => "a map's value",
            To::MapKey(_) => "a map's key",
            To::Memory { size, kind } => {
                let what = match kind {
                    Memory::Record => "a ring record",
                    Memory::Slice(_) => "a dynptr's memory",
                    Memory::Untrusted => return f.write_str("memory that may not be there"),
                    _ => "memory",
                };
                return write!(f, "{what} of {size} bytes");
            }
            To::Buffer(_) => "a buffer of what the program is attached to",
            To::FlowKeys => "flow keys",
            To::Socket(_) => "a socket",
            To::Object { .. } => "an object of the kernel",
            To::Own(of) => return write!(f, "`{}`", of.name),
            To::Function(_) => "a function",
            To::Dynptr => "a dynptr",
        })
    }
}
