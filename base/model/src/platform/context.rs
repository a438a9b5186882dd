//! What a program sees behind r1: fields, what they mean, and who may load or store how many bytes of them.

use core::fmt;

use skep_abi::{AttachType, ProgType};

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
    /// The socket: a pointer or null.
    Sk,
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
    /// Bytes that only the host knows how to read, in the context of a host's own program type.
    Host,
}

impl Meaning {
    /// Tells whether a load yields a pointer, not a number.
    pub const fn is_pointer(self) -> bool {
        matches!(
            self,
            Self::PacketData
                | Self::PacketEnd
                | Self::PacketMeta
                | Self::FlowKeys
                | Self::Sk
                | Self::TracepointBuffer
        )
    }
}

/// Which widths reach a field. Every access is aligned to its own size, counted from the start of the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Widths {
    /// The whole field only.
    Whole,
    /// Loads of a part too; stores of the whole only.
    NarrowLoads,
    /// One element of this many bytes at a time.
    Element(u8),
    /// 1, 2, 4 or 8 bytes anywhere within.
    Any,
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
    /// The expected attach type that it takes, where there is one.
    pub attach: Option<AttachType>,
}

/// One struct behind r1.
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
    /// The field takes another expected attach type.
    Attach(&'static Field, AttachType),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoField => f.write_str("no field of the context lies there"),
            Self::Unaligned => f.write_str("the offset is no multiple of the access's size"),
            Self::Width(field) => match field.widths {
                Widths::Element(bytes) => {
                    write!(f, "`{}` is accessed in elements of {bytes} bytes", field.name)
                }
                Widths::Any => {
                    write!(f, "the access leaves `{}`, which has {} bytes", field.name, field.size)
                }
                Widths::Whole | Widths::NarrowLoads => {
                    write!(f, "`{}` is {} bytes wide and not accessed in this width", field.name, field.size)
                }
            },
            Self::NotLoadable(field) => write!(f, "this program type may not read `{}`", field.name),
            Self::NotStorable(field) => write!(f, "this program type may not write `{}`", field.name),
            Self::SignedPointer(field) => {
                write!(f, "`{}` is a pointer and is not loaded with sign extension", field.name)
            }
            Self::Attach(field, attach) => {
                write!(f, "`{}` takes the expected attach type {attach}", field.name)
            }
        }
    }
}

impl core::error::Error for Refusal {}

impl Context {
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
        if size == 0 || offset % i64::from(size) != 0 {
            return Err(Refusal::Unaligned);
        }
        // Not negative and below 2^16, for the field covers it.
        let within = (offset - i64::from(field.offset)) as u16;
        let fits = field.size - within >= size;
        let whole = within == 0 && size == field.size;
        let reached = match field.widths {
            Widths::Whole => whole,
            Widths::NarrowLoads => whole || (fits && touch != Touch::Store),
            Widths::Element(bytes) => fits && size == u16::from(bytes),
            Widths::Any => fits,
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
        match field.attach {
            Some(wanted) if wanted != attach => Err(Refusal::Attach(field, wanted)),
            _ => Ok(Landing { field, within }),
        }
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
    Field { name, offset, size, meaning, widths: Widths::Whole, load, store: ProgSet::NONE, attach: None }
}

impl Field {
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

    /// For one expected attach type.
    pub const fn only_for(mut self, attach: AttachType) -> Self {
        self.attach = Some(attach);
        self
    }
}
