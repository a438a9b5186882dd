//! Values as Linux's log shows them (`reg_type_str`, `print_reg_state`, `print_scalar_ranges` in `kernel/bpf/log.c`).

use crate::explore::Explorer;
use crate::scalar::bits::Bits as Known;
use crate::value::{Memory, Null, To, Trust, Value, What};
use core::fmt;
use skep_model::platform::helper::Socket;

/// Known bits (`tnum_strn`).
pub(crate) struct Bits(pub(crate) Known);

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0;
        if bits.is_constant() {
            return Unsigned(bits.value).fmt(f);
        }
        write!(f, "({:#x}; {:#x})", bits.value, bits.mask)
    }
}

/// A number without a sign: small ones in decimal (`verbose_unum`).
struct Unsigned(u64);

impl fmt::Display for Unsigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            small @ 0..=0xffff => write!(f, "{small}"),
            large => write!(f, "{large:#x}"),
        }
    }
}

/// What a value is (`reg_type_str`).
pub(crate) struct Kind<'k> {
    value: Value,
    /// The name of the object's struct.
    name: &'k str,
}

impl<'k> Kind<'k> {
    pub(crate) fn of(explorer: &Explorer<'k>, value: Value) -> Kind<'k> {
        let name = match value.to() {
            Some(To::Object { type_id, .. }) => {
                explorer.subject.kernel.and_then(|types| types.get(type_id)).map_or("", |ty| ty.name())
            }
            _ => "",
        };
        Kind { value, name }
    }
}

impl fmt::Display for Kind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = match self.value.what {
            What::Nothing => return f.write_str("?"),
            What::Number => return f.write_str("scalar"),
            What::Pointer(pointer) => pointer,
        };
        let (before, what) = match pointer.to {
            To::Context => ("", "ctx"),
            To::Stack { .. } => ("", "fp"),
            To::Packet => ("", "pkt"),
            To::PacketMeta => ("", "pkt_meta"),
            To::PacketEnd => ("", "pkt_end"),
            To::Map(_) | To::InnerMap { .. } => ("", "map_ptr"),
            To::MapValue { .. } => ("", "map_value"),
            To::MapKey(_) => ("", "map_key"),
            To::Memory { kind, .. } => match kind {
                Memory::Plain | Memory::Slice(_) => ("", "mem"),
                Memory::ReadOnly => ("rdonly_", "mem"),
                Memory::Record => ("ringbuf_", "mem"),
                Memory::Untrusted => ("rdonly_untrusted_", "mem"),
            },
            To::Buffer(Memory::ReadOnly) => ("rdonly_", "buf"),
            To::Buffer(_) => ("", "buf"),
            To::FlowKeys => ("", "flow_keys"),
            To::Socket(socket) => match socket {
                Socket::Full => ("", "sock"),
                Socket::Common => ("", "sock_common"),
                Socket::Tcp => ("", "tcp_sock"),
                Socket::Xdp => ("", "xdp_sock"),
            },
            To::Object { trust, .. } => {
                let before = match trust {
                    Trust::Trusted => "trusted_",
                    Trust::Walked => "",
                    Trust::Rcu => "rcu_",
                    Trust::Untrusted => "untrusted_",
                    Trust::PerCpu => "percpu_",
                    Trust::User => "user_",
                };
                (before, "ptr_")
            }
            To::Function(_) => ("", "func"),
            To::Dynptr => ("", "dynptr_ptr"),
            To::Own(own) => ("ptr_", own.name),
        };
        write!(f, "{before}{what}")?;
        match (pointer.to, pointer.null) {
            (To::Object { .. }, Null::Perhaps) => write!(f, "or_null_{}", self.name),
            (To::Object { .. }, Null::Never) => f.write_str(self.name),
            (_, Null::Perhaps) => f.write_str("_or_null"),
            _ => Ok(()),
        }
    }
}
