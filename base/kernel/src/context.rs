//! What a program's r1 stands for, and how its fields are loaded and stored.
//!
//! The context is never memory: an access goes by offset and size through the platform's table of fields, and the
//! field's meaning is looked up in the values of this run.

use core::cell::Cell;
use skep_exact::{CtxValue, PacketPoint, Rights};
use skep_helpers::Packet;
use skep_mem::{Bytes, Width};
use skep_model::platform::context::{self, Landing, Meaning};
use skep_model::platform::contexts;

/// The contexts that this kernel can make; programs of types with others are refused.
static MADE: [&context::Context; 8] = [
    &contexts::XDP_MD,
    &contexts::SK_BUFF,
    &contexts::RAW_TRACEPOINT,
    &contexts::RAW_TRACEPOINT_WRITABLE,
    &contexts::TRACEPOINT,
    &contexts::PT_REGS_X86_64,
    &contexts::PERF_EVENT_DATA_X86_64,
    &contexts::SYSCALL,
];

/// Tells whether programs with this context can be run here.
pub(crate) fn is_made(context: &context::Context) -> bool {
    MADE.iter().any(|made| core::ptr::eq(*made, context))
}

/// The numbers of a packet's context, whichever struct shows them. Ports, addresses and EtherTypes are in network
/// byte order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PacketFields {
    pub(crate) ingress_ifindex: u32,
    pub(crate) egress_ifindex: u32,
    pub(crate) ifindex: u32,
    pub(crate) rx_queue_index: u32,
    pub(crate) queue_mapping: u32,
    pub(crate) protocol: u32,
    pub(crate) pkt_type: u32,
    pub(crate) mark: Cell<u32>,
    pub(crate) priority: Cell<u32>,
    pub(crate) tc_index: Cell<u32>,
    pub(crate) tc_classid: Cell<u32>,
    pub(crate) cb: [Cell<u32>; 5],
    pub(crate) hash: u32,
    pub(crate) tstamp: Cell<u64>,
    pub(crate) wire_len: u32,
    pub(crate) gso_segs: u32,
    pub(crate) gso_size: u32,
    pub(crate) hwtstamp: u64,
}

impl PacketFields {
    /// Gives the number in a field, but the packet's length and the words of the program's own; nothing for pointers, and what no packet here
    /// has.
    pub(crate) fn number(&self, meaning: Meaning) -> Option<u64> {
        Some(match meaning {
            Meaning::IngressIfindex => self.ingress_ifindex.into(),
            Meaning::EgressIfindex => self.egress_ifindex.into(),
            Meaning::Ifindex => self.ifindex.into(),
            Meaning::RxQueueIndex => self.rx_queue_index.into(),
            Meaning::QueueMapping => self.queue_mapping.into(),
            Meaning::Protocol => self.protocol.into(),
            Meaning::PktType => self.pkt_type.into(),
            Meaning::Mark => self.mark.get().into(),
            Meaning::Priority => self.priority.get().into(),
            Meaning::TcIndex => self.tc_index.get().into(),
            Meaning::TcClassid => self.tc_classid.get().into(),
            Meaning::Hash => self.hash.into(),
            Meaning::Tstamp => self.tstamp.get(),
            Meaning::WireLen => self.wire_len.into(),
            Meaning::GsoSegs => self.gso_segs.into(),
            Meaning::GsoSize => self.gso_size.into(),
            Meaning::Hwtstamp => self.hwtstamp,
            // No VLAN tag outside the packet, no socket, no NAPI instance: what Linux shows of such a buffer.
            Meaning::VlanPresent | Meaning::VlanTci | Meaning::VlanProto | Meaning::NapiId => 0,
            Meaning::Family | Meaning::RemoteIp4 | Meaning::LocalIp4 | Meaning::RemoteIp6 => 0,
            Meaning::LocalIp6 | Meaning::RemotePort | Meaning::LocalPort | Meaning::TstampType => 0,
            _ => return None,
        })
    }
}

/// The context of one run.
#[derive(Debug)]
pub(crate) enum Context<'m> {
    /// A packet and its numbers.
    Packet(&'m Packet<'m>, &'m PacketFields),
    /// Arguments or a record, as bytes; with the right that programs have to them.
    Bytes(Bytes<'m>),
}

impl<'m> Context<'m> {
    /// Gives the packet.
    pub(crate) fn packet(&self) -> Option<&'m Packet<'m>> {
        match self {
            Context::Packet(packet, _) => Some(packet),
            Context::Bytes(_) => None,
        }
    }

    /// Loads `size` bytes of a field; `None` where this run has no such field.
    pub(crate) fn load(&self, landing: Landing, size: u32) -> Option<CtxValue<'m>> {
        let offset = usize::from(landing.field.offset + landing.within);
        let fields = match self {
            Context::Bytes(bytes) if landing.field.meaning == Meaning::TracepointBuffer => {
                return Some(CtxValue::Memory(*bytes, Rights::ReadWrite));
            }
            Context::Bytes(bytes) => {
                let width = Width::from_bytes(size as usize)?;
                return bytes.load(offset, width).map(CtxValue::Part).ok();
            }
            Context::Packet(packet, fields) => match landing.field.meaning {
                Meaning::PacketData => return Some(CtxValue::Packet(PacketPoint::Data)),
                Meaning::PacketEnd => return Some(CtxValue::Packet(PacketPoint::End)),
                Meaning::PacketMeta => return Some(CtxValue::Packet(PacketPoint::Meta)),
                Meaning::Len => return Some(CtxValue::Field(packet.data().len() as u64)),
                _ => fields,
            },
        };
        if landing.field.meaning == Meaning::Cb {
            let mut words = fields.cb.each_ref().map(|word| word.get().to_ne_bytes());
            return bytes_at(words.as_flattened_mut(), landing, size).map(CtxValue::Part);
        }
        fields.number(landing.field.meaning).map(CtxValue::Field)
    }

    /// Stores the low `size` bytes of `value` into a field; `None` where this run has no such field.
    pub(crate) fn store(&self, landing: Landing, size: u32, value: u64) -> Option<()> {
        let offset = usize::from(landing.field.offset + landing.within);
        let fields = match self {
            Context::Bytes(bytes) => {
                let width = Width::from_bytes(size as usize)?;
                return bytes.store(offset, width, value).ok();
            }
            Context::Packet(_, fields) => fields,
        };
        match landing.field.meaning {
            Meaning::Mark => fields.mark.set(value as u32),
            Meaning::Priority => fields.priority.set(value as u32),
            Meaning::TcIndex => fields.tc_index.set(value as u32),
            Meaning::TcClassid => fields.tc_classid.set(value as u32),
            Meaning::Tstamp => fields.tstamp.set(value),
            Meaning::QueueMapping => {}
            Meaning::Cb => {
                let mut words = fields.cb.each_ref().map(|word| word.get().to_ne_bytes());
                let bytes = Bytes::from_mut(words.as_flattened_mut());
                bytes.store(landing.within.into(), Width::from_bytes(size as usize)?, value).ok()?;
                (fields.cb.iter().zip(words)).for_each(|(word, bytes)| word.set(u32::from_ne_bytes(bytes)));
            }
            _ => return None,
        }
        Some(())
    }
}

/// The `size` bytes of an array at the place of an access, as the machine would load them.
fn bytes_at(bytes: &mut [u8], landing: Landing, size: u32) -> Option<u64> {
    Bytes::from_mut(bytes).load(landing.within.into(), Width::from_bytes(size as usize)?).ok()
}
