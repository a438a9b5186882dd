//! Values as Linux's log shows them (`reg_type_str`, `print_reg_state`, `print_scalar_ranges` in `kernel/bpf/log.c`).

use crate::scalar::Number;
use crate::scalar::bits::Bits as Known;
use crate::stack::{Byte, Half, Kept, Slot, Turning};
use crate::state::{Frame, OwnedKind, Role, State};
use crate::subject::{SpecialKind, Subject};
use crate::value::{MapAt, Memory, Null, To, Trust, Value, What};
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

/// A number with a sign: those of 16 bits in decimal (`verbose_snum`).
struct Signed(i64);

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match i16::try_from(self.0) {
            Ok(small) => write!(f, "{small}"),
            Err(_) => write!(f, "{:#x}", self.0),
        }
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
    pub(crate) fn of(subject: &Subject<'k>, value: Value) -> Kind<'k> {
        let name = match value.to() {
            Some(To::Object { type_id, .. }) => {
                subject.kernel.and_then(|types| types.get(type_id)).map_or("", |ty| ty.name())
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

/// What a register or a slot holds, for a function (`print_reg_state`).
struct Held<'s> {
    subject: &'s Subject<'s>,
    /// The function that is shown.
    frame: usize,
    value: Value,
}

/// What stands between parentheses, with commas between.
struct List<'f, 'g> {
    f: &'f mut fmt::Formatter<'g>,
    is_empty: bool,
}

impl List<'_, '_> {
    fn add(&mut self, entry: fmt::Arguments<'_>) -> fmt::Result {
        if !self.is_empty {
            self.f.write_str(",")?;
        }
        self.is_empty = false;
        self.f.write_fmt(entry)
    }
}

impl Held<'_> {
    /// Whether the value's own id is kept though it is not null: there may be a lock in it (`reg_may_point_to_spin_lock`).
    fn has_lock(&self, map: MapAt) -> bool {
        let special = self.subject.maps.get(usize::from(map.0)).map_or(&[][..], |map| map.special);
        special.iter().any(|special| matches!(special.kind, SpecialKind::SpinLock | SpecialKind::ResSpinLock))
    }

    fn shows_id(&self) -> bool {
        match self.value.what {
            What::Pointer(pointer) => match (pointer.to, pointer.null) {
                (_, Null::Perhaps) | (To::Packet | To::PacketMeta, _) => true,
                (To::MapValue { map, .. }, _) => self.has_lock(map),
                _ => false,
            },
            _ => true,
        }
    }

    fn number(&self, list: &mut List<'_, '_>) -> fmt::Result {
        let id = self.value.id.0;
        if self.value.id.is_some() {
            match self.value.fixed {
                0 => list.add(format_args!("id={id}"))?,
                more => list.add(format_args!("id={id}{more:+}"))?,
            }
        }
        ranges(list, &self.value.number)
    }

    fn pointer(&self, to: To, list: &mut List<'_, '_>) -> fmt::Result {
        let value = &self.value;
        if value.id.is_some() && self.shows_id() {
            list.add(format_args!("id={}", value.id.0))?;
        }
        if value.owned.is_some() {
            list.add(format_args!("ref_obj_id={}", value.owned.0))?;
        }
        if let To::Map(map) | To::InnerMap { map, .. } | To::MapValue { map, .. } | To::MapKey(map) = to {
            let index = usize::from(map.0);
            let name = self.subject.references.map_name(index);
            if !name.is_empty() {
                list.add(format_args!("map={name}"))?;
            }
            if let Some(map) = self.subject.maps.get(index) {
                list.add(format_args!("ks={},vs={}", map.key_size, map.value_size))?;
            }
        }
        if value.fixed != 0 {
            list.add(format_args!("off={}", Signed(value.fixed)))?;
        }
        match to {
            To::Packet | To::PacketMeta => list.add(format_args!("r={}", value.range))?,
            To::Memory { size, .. } => list.add(format_args!("sz={}", Unsigned(u64::from(size))))?,
            To::Dynptr => list.add(format_args!("type=local"))?,
            _ => {}
        }
        match value.number.as_constant() {
            Some(0) => Ok(()),
            Some(number) => list.add(format_args!("imm={}", Signed(number as i64))),
            None => ranges(list, &value.number),
        }
    }
}

impl fmt::Display for Held<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = &self.value;
        if let Some(number) = value.as_constant() {
            return Signed(number as i64).fmt(f);
        }
        Kind::of(self.subject, *value).fmt(f)?;
        if let Some(To::Stack { frame }) = value.to() {
            if usize::from(frame) != self.frame {
                write!(f, "[{frame}]")?;
            }
            if let Some(offset) = value.offset() {
                return Signed(offset).fmt(f);
            }
        }
        f.write_str("(")?;
        let mut list = List { f, is_empty: true };
        match value.what {
            What::Pointer(pointer) => self.pointer(pointer.to, &mut list)?,
            _ => self.number(&mut list)?,
        }
        f.write_str(")")
    }
}

/// The bounds of a number that say something, those that are equal together, and its bits (`print_scalar_ranges`).
fn ranges(list: &mut List<'_, '_>, number: &Number) -> fmt::Result {
    /// A bound of 32 bits is shown in decimal as it is, and in hexadecimal without more of its sign.
    fn half(bound: i32) -> u64 {
        match i16::try_from(bound) {
            Ok(small) => i64::from(small) as u64,
            Err(_) => u64::from(bound as u32),
        }
    }
    let (s32_min, s32_max) = (number.s32_min(), number.s32_max());
    let (u32_min, u32_max) = (number.u32_min(), number.u32_max());
    let bounds = [
        ("smin", number.smin() as u64, number.smin() != i64::MIN),
        ("smax", number.smax() as u64, number.smax() != i64::MAX),
        ("umin", number.umin(), number.umin() != 0),
        ("umax", number.umax(), number.umax() != u64::MAX),
        ("smin32", half(s32_min), s32_min != i32::MIN),
        ("smax32", half(s32_max), s32_max != i32::MAX),
        ("umin32", u64::from(u32_min), u32_min != 0),
        ("umax32", u64::from(u32_max), u32_max != u32::MAX),
    ];
    let is_signed = |name: &str| name.starts_with('s');
    let is_negative = |(name, bound, _): (&str, u64, bool)| is_signed(name) && (bound as i64) < 0;
    let mut done = [false; 8];
    for (index, &first) in bounds.iter().enumerate() {
        let (name, bound, says) = first;
        if !says || done[index] {
            continue;
        }
        list.add(format_args!("{name}="))?;
        // Least ones stand beside least ones, greatest beside greatest.
        for other in (index + 2..bounds.len()).step_by(2) {
            let (name, same, says) = bounds[other];
            if says && !done[other] && same == bound && is_negative(bounds[other]) == is_negative(first) {
                done[other] = true;
                write!(list.f, "{name}=")?;
            }
        }
        match is_signed(name) {
            true => write!(list.f, "{}", Signed(bound as i64))?,
            false => write!(list.f, "{}", Unsigned(bound))?,
        }
    }
    if number.bits() != Number::UNKNOWN.bits() {
        list.add(format_args!("var_off={}", Bits(number.bits())))?;
    }
    Ok(())
}

/// What is said of a state: registers and slots by their bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Parts {
    pub(crate) regs: u16,
    pub(crate) slots: u64,
}

impl Parts {
    pub(crate) const NONE: Parts = Parts { regs: 0, slots: 0 };
    pub(crate) const ALL: Parts = Parts { regs: u16::MAX, slots: u64::MAX };
}

/// What is known of one active function and of what is owned (`print_verifier_state`).
pub(crate) struct Function<'s> {
    pub(crate) subject: &'s Subject<'s>,
    pub(crate) state: &'s State,
    pub(crate) frame: usize,
    pub(crate) parts: Parts,
}

impl fmt::Display for Function<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(frame) = self.state.frames.get(self.frame) else { return Ok(()) };
        if self.frame != 0 {
            write!(f, " frame{}:", self.frame)?;
        }
        for (number, value) in frame.regs.iter().enumerate() {
            if !value.is_nothing() && self.parts.regs & 1 << number != 0 {
                write!(f, " R{number}={}", self.held(*value))?;
            }
        }
        for (number, slot) in frame.stack.iter().enumerate() {
            if self.parts.slots & 1 << (number & 63) != 0 {
                self.slot(f, number, slot)?;
            }
        }
        for (index, owned) in self.state.owned.iter().enumerate() {
            let id = match owned.kind {
                OwnedKind::Object => owned.id,
                OwnedKind::Lock(_, value) => value,
            };
            f.write_str(if index == 0 { " refs=" } else { "," })?;
            write!(f, "{}", id.0)?;
        }
        f.write_str(in_callback(frame))
    }
}

const fn in_callback(frame: &Frame) -> &'static str {
    match frame.role {
        Role::First | Role::Called => "",
        Role::Callback(_) => " cb",
        Role::Later => " cb async_cb",
    }
}

impl Function<'_> {
    fn held(&self, value: Value) -> Held<'_> {
        Held { subject: self.subject, frame: self.frame, value }
    }

    fn slot(&self, f: &mut fmt::Formatter<'_>, number: usize, slot: &Slot) -> fmt::Result {
        let offset = -8 * (number as i64 + 1);
        match slot.kept {
            Some(Kept::Dynptr(Half::Upper)) => return Ok(()),
            Some(Kept::Dynptr(Half::Lower)) => {
                let kind = if slot.value.owned.is_some() { "ringbuf" } else { "local" };
                write!(f, " fp{offset}=dynptr_{kind}(")?;
                let mut list = List { f, is_empty: true };
                if slot.value.id.is_some() {
                    list.add(format_args!("id={}", slot.value.id.0))?;
                }
                if slot.value.owned.is_some() {
                    list.add(format_args!("ref_id={}", slot.value.owned.0))?;
                }
                if slot.value.id.is_some() {
                    list.add(format_args!("dynptr_id={}", slot.value.id.0))?;
                }
                return f.write_str(")");
            }
            Some(Kept::Iterator { turning, depth }) => {
                let turning = match turning {
                    Turning::Active => "active",
                    Turning::Drained => "drained",
                };
                let id = slot.value.owned.0;
                return write!(f, " fp{offset}=iter_num(ref_id={id},state={turning},depth={depth})");
            }
            None => {}
        }
        if slot.bytes.iter().all(|&byte| byte == Byte::Nothing) {
            return Ok(());
        }
        write!(f, " fp{offset}=")?;
        // By descending address, as in Linux, up to what is stored.
        let is_stored = slot.bytes[0] == Byte::Stored;
        for byte in slot.bytes.iter().rev() {
            f.write_str(match byte {
                Byte::Nothing => "?",
                Byte::Some => "m",
                Byte::Zero => "0",
                Byte::Kept => "i",
                Byte::Stored if is_stored => break,
                Byte::Stored => "r",
            })?;
        }
        if is_stored { write!(f, "{}", self.held(slot.value)) } else { Ok(()) }
    }
}
