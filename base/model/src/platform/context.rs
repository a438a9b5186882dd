//! What a program sees behind r1: fields, what they mean, and who may load or store how many bytes of them.

use core::fmt;

use skep_abi::{AttachType, ProgType};

use super::helper::{Nullable, Socket};
use super::sets::ProgSet;

/// What a context field stands for, whatever the struct it lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Meaning {
    /// The start of the packet: a pointer, 32 bits wide to the program.
    PacketData,
    /// The end of the packet: a pointer, 32 bits wide.
    PacketEnd,
    /// The start of the metadata before the packet: a pointer, 32 bits wide.
    PacketMeta,
    /// The bytes of the packet, those in fragments included.
    Len,
    /// Whom the packet was sent to (`PACKET_HOST` and others).
    PktType,
    /// The packet's mark.
    Mark,
    /// The queue of the device.
    QueueMapping,
    /// The EtherType, in network byte order.
    Protocol,
    /// Whether there is a VLAN tag outside the packet's bytes.
    VlanPresent,
    /// The VLAN tag.
    VlanTci,
    /// The VLAN tag's protocol, in network byte order.
    VlanProto,
    /// The packet's priority.
    Priority,
    /// The interface that the packet came in by.
    IngressIfindex,
    /// The interface that the packet goes out by.
    EgressIfindex,
    /// The interface of the packet's device.
    Ifindex,
    /// tc's index.
    TcIndex,
    /// The five words of control block that are the program's own.
    Cb,
    /// The flow hash.
    Hash,
    /// tc's class.
    TcClassid,
    /// The NAPI instance.
    NapiId,
    /// The socket's address family.
    Family,
    /// The remote IPv4 address, in network byte order.
    RemoteIp4,
    /// The local IPv4 address, in network byte order.
    LocalIp4,
    /// The remote IPv6 address, in network byte order.
    RemoteIp6,
    /// The local IPv6 address, in network byte order.
    LocalIp6,
    /// The remote port, in network byte order in the lower half.
    RemotePort,
    /// The local port, in host byte order.
    LocalPort,
    /// The flow dissector's result: a pointer.
    FlowKeys,
    /// The packet's time stamp, ns.
    Tstamp,
    /// The bytes on the wire, headers of all segments included.
    WireLen,
    /// The segments of a GSO packet.
    GsoSegs,
    /// The socket, of any kind: a pointer or null.
    Sk,
    /// The full socket: a pointer.
    FullSk,
    /// The full socket: a pointer or null.
    FullSkOrNull,
    /// The bytes per segment of a GSO packet.
    GsoSize,
    /// Which clock the time stamp is of.
    TstampType,
    /// The hardware's time stamp, ns.
    Hwtstamp,
    /// The receive queue.
    RxQueueIndex,
    /// The arguments of a raw tracepoint, eight bytes each.
    TracepointArgs,
    /// The first argument of a writable raw tracepoint: a pointer to the buffer that may be written.
    TracepointBuffer,
    /// The record of a tracepoint, as its `format` file describes it.
    TracepointRecord,
    /// The registers at a probe.
    Regs,
    /// The sample period of a perf event.
    SamplePeriod,
    /// The address of a perf event.
    SampleAddr,
    /// The arguments of a syscall program, as `BPF_PROG_TEST_RUN` was given them.
    SyscallArgs,
    /// What the kernel keeps behind a pointer, which is typed by BTF with the struct of this name.
    Kernel(&'static str),
    /// A number that stands for nothing else here.
    Number,
    /// Bytes that only the host knows how to read, in the context of a host's own program type.
    Host,
}

/// What a load of a field yields that is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pointer {
    /// The start of what may be read or written up to [`Pointer::PacketEnd`].
    Packet,
    /// Where that ends.
    PacketEnd,
    /// The start of the metadata before the packet.
    PacketMeta,
    /// A `bpf_flow_keys`, of which every byte may be read and written.
    FlowKeys,
    /// A socket.
    Socket(Socket, Nullable),
    /// The buffer of a writable raw tracepoint.
    Buffer,
    /// A trusted pointer by BTF to the struct of this name.
    Btf(&'static str),
}

impl Meaning {
    /// Returns the pointer that a load yields; `None` for a number.
    pub const fn pointer(self) -> Option<Pointer> {
        Some(match self {
            Self::PacketData => Pointer::Packet,
            Self::PacketEnd => Pointer::PacketEnd,
            Self::PacketMeta => Pointer::PacketMeta,
            Self::FlowKeys => Pointer::FlowKeys,
            Self::Sk => Pointer::Socket(Socket::Common, Nullable::Yes),
            Self::FullSk => Pointer::Socket(Socket::Full, Nullable::No),
            Self::FullSkOrNull => Pointer::Socket(Socket::Full, Nullable::Yes),
            Self::TracepointBuffer => Pointer::Buffer,
            Self::Kernel(name) => Pointer::Btf(name),
            _ => return None,
        })
    }

    /// Tells whether a load yields a pointer, not a number.
    pub const fn is_pointer(self) -> bool {
        self.pointer().is_some()
    }
}

/// Which widths reach a field. Every access is aligned to its own size, counted from the start of the context, but for
/// [`Widths::Unaligned`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Widths {
    /// The whole field only.
    Whole,
    /// Loads of a part too; stores of the whole only.
    NarrowLoads,
    /// Loads of a part too that starts where the field does; stores of the whole only.
    NarrowFromStart,
    /// Loads of a part too that has at least this many bytes; stores of the whole only.
    NarrowTo(u8),
    /// A port of two bytes: its parts, or four bytes with the padding behind it.
    Port,
    /// One element of this many bytes at a time.
    Element(u8),
    /// One element of this many bytes at a time; stores of the first only.
    ElementStoresFirst(u8),
    /// One element of this many bytes at a time, or a part of it; stores of whole elements.
    NarrowElement(u8),
    /// The same, and two elements at once, loaded or stored.
    NarrowElementOrTwo(u8),
    /// 1, 2, 4 or 8 bytes anywhere within.
    Any,
    /// The same, aligned or not.
    Unaligned,
}

/// One field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    /// Linux's name.
    pub name: &'static str,
    /// Where it starts.
    pub offset: u16,
    /// Its bytes.
    pub size: u16,
    /// What it stands for.
    pub meaning: Meaning,
    /// Which widths reach it.
    pub widths: Widths,
    /// Who may load it.
    pub load: ProgSet,
    /// Who may store it.
    pub store: ProgSet,
    /// The expected attach types that loads take; all, if none is named.
    pub load_at: &'static [AttachType],
    /// The expected attach types that stores take; all, if none is named.
    pub store_at: &'static [AttachType],
}

/// One struct behind r1, or behind another pointer that is read by a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Context {
    /// Linux's name.
    pub name: &'static str,
    /// Its bytes; what no field covers is out of bounds to every program.
    pub size: u32,
    /// Its fields by ascending offset, disjoint.
    pub fields: &'static [Field],
}

/// A way to touch a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Touch {
    /// A load that zero-extends.
    Load,
    /// A load that sign-extends.
    LoadSigned,
    /// A store.
    Store,
}

/// Where an access lands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Landing {
    /// The field.
    pub field: &'static Field,
    /// The offset within the field.
    pub within: u16,
}

/// Why an access is refused. Linux answers EACCES to each: "invalid bpf_context access off=… size=…".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// No field lies there.
    NoField,
    /// The offset is no multiple of the size.
    Unaligned,
    /// The field is not loaded or stored in that width, or the access leaves it.
    Width(&'static Field),
    /// This program type may not load the field.
    NotLoadable(&'static Field),
    /// This program type may not store the field.
    NotStorable(&'static Field),
    /// A pointer does not sign-extend.
    SignedPointer(&'static Field),
    /// The field takes one of these expected attach types.
    Attach(&'static Field, &'static [AttachType]),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoField => f.write_str("no field of the context lies there"),
            Self::Unaligned => f.write_str("the offset is no multiple of the access's size"),
            Self::Width(field) => match field.widths {
                Widths::Element(bytes)
                | Widths::ElementStoresFirst(bytes)
                | Widths::NarrowElement(bytes)
                | Widths::NarrowElementOrTwo(bytes) => {
                    write!(f, "`{}` is accessed in elements of {bytes} bytes", field.name)
                }
                Widths::Any | Widths::Unaligned => {
                    write!(f, "the access leaves `{}`, which has {} bytes", field.name, field.size)
                }
                Widths::Whole
                | Widths::NarrowLoads
                | Widths::NarrowFromStart
                | Widths::NarrowTo(_)
                | Widths::Port => {
                    write!(f, "`{}` is {} bytes wide and not accessed in this width", field.name, field.size)
                }
            },
            Self::NotLoadable(field) => write!(f, "this program type may not read `{}`", field.name),
            Self::NotStorable(field) => write!(f, "this program type may not write `{}`", field.name),
            Self::SignedPointer(field) => {
                write!(f, "`{}` is a pointer and is not loaded with sign extension", field.name)
            }
            Self::Attach(field, wanted) => {
                write!(f, "`{}` takes the expected attach type ", field.name)?;
                for (i, attach) in wanted.iter().enumerate() {
                    write!(f, "{}{attach}", if i == 0 { "" } else { " or " })?;
                }
                Ok(())
            }
        }
    }
}

impl core::error::Error for Refusal {}

impl Context {
    /// What programs hold and hand to helpers, and never look into.
    pub const fn opaque(name: &'static str) -> Self {
        Self { name, size: 0, fields: &[] }
    }

    /// Finds the field that covers the byte at `offset`.
    pub fn field_at(&self, offset: i64) -> Option<&'static Field> {
        let at = self.fields.partition_point(|field| i64::from(field.offset) <= offset);
        let field = &self.fields[at.checked_sub(1)?];
        (offset < i64::from(field.offset) + i64::from(field.size)).then_some(field)
    }

    /// Finds a field by its meaning.
    pub fn field(&self, meaning: Meaning) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.meaning == meaning)
    }

    /// Decides an access of `size` bytes (1, 2, 4 or 8) at `offset` by a program of this type and expected attach type.
    ///
    /// # Errors
    ///
    /// The reason why Linux's `is_valid_access` of that type refuses it.
    pub fn access(
        &self,
        prog: ProgType,
        attach: AttachType,
        offset: i64,
        size: u8,
        touch: Touch,
    ) -> Result<Landing, Refusal> {
        let field = self.field_at(offset).ok_or(Refusal::NoField)?;
        let size = u16::from(size);
        if size == 0 || (offset % i64::from(size) != 0 && field.widths != Widths::Unaligned) {
            return Err(Refusal::Unaligned);
        }
        // Not negative and below 2^16, for the field covers it.
        let within = (offset - i64::from(field.offset)) as u16;
        let fits = field.size - within >= size;
        let whole = within == 0 && size == field.size;
        let load = touch != Touch::Store;
        // How an access of elements of this many bytes goes; that it is aligned has been seen.
        let element = |bytes: u8| fits && size == u16::from(bytes) && within % size == 0;
        let reached = match field.widths {
            Widths::Whole => whole,
            Widths::NarrowLoads => whole || (fits && load),
            Widths::NarrowFromStart => whole || (fits && load && within == 0),
            Widths::NarrowTo(least) => whole || (fits && load && size >= u16::from(least)),
            Widths::Port => load && (fits || (within == 0 && size == 2 * field.size)),
            Widths::Element(bytes) => fits && size == u16::from(bytes),
            Widths::ElementStoresFirst(bytes) => element(bytes) && (load || within == 0),
            Widths::NarrowElement(bytes) => element(bytes) || (fits && load && size < u16::from(bytes)),
            Widths::NarrowElementOrTwo(bytes) => {
                element(bytes)
                    || (fits && (size == 2 * u16::from(bytes) || (load && size < u16::from(bytes))))
            }
            Widths::Any | Widths::Unaligned => fits,
        };
        match touch {
            Touch::Store if !field.store.contains(prog) => return Err(Refusal::NotStorable(field)),
            Touch::Load | Touch::LoadSigned if !field.load.contains(prog) => {
                return Err(Refusal::NotLoadable(field));
            }
            Touch::LoadSigned if field.meaning.is_pointer() => return Err(Refusal::SignedPointer(field)),
            _ => {}
        }
        if !reached {
            return Err(Refusal::Width(field));
        }
        let wanted = if load { field.load_at } else { field.store_at };
        if !wanted.is_empty() && !wanted.contains(&attach) {
            return Err(Refusal::Attach(field, wanted));
        }
        Ok(Landing { field, within })
    }
}

/// Makes a field that [`ProgSet`] may load whole and nobody may store.
pub(crate) const fn field(
    name: &'static str,
    offset: u16,
    size: u16,
    meaning: Meaning,
    load: ProgSet,
) -> Field {
    Field {
        name,
        offset,
        size,
        meaning,
        widths: Widths::Whole,
        load,
        store: ProgSet::NONE,
        load_at: &[],
        store_at: &[],
    }
}

impl Field {
    /// A number in the context of a host's own program type, or in an object of a host's own: it is loaded whole, and not stored.
    pub const fn own(name: &'static str, offset: u16, size: u16) -> Self {
        field(name, offset, size, Meaning::Number, ProgSet::ALL)
    }

    /// Bytes there, which are loaded one or several at a time, lent to helpers, and not stored.
    pub const fn own_bytes(name: &'static str, offset: u16, size: u16) -> Self {
        field(name, offset, size, Meaning::Host, ProgSet::ALL).widths(Widths::Any)
    }

    /// Stored as well as loaded.
    pub const fn writable(self) -> Self {
        self.store(ProgSet::ALL)
    }

    /// With other widths.
    pub const fn widths(mut self, widths: Widths) -> Self {
        self.widths = widths;
        self
    }

    /// Stored by these, too.
    pub const fn store(mut self, progs: ProgSet) -> Self {
        self.store = progs;
        self
    }

    /// For these expected attach types, loads and stores.
    pub const fn only_for(mut self, attach: &'static [AttachType]) -> Self {
        self.load_at = attach;
        self.store_at = attach;
        self
    }

    /// For these expected attach types when it is stored.
    pub const fn store_at(mut self, attach: &'static [AttachType]) -> Self {
        self.store_at = attach;
        self
    }
}
