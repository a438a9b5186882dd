//! Checking a helper's arguments against its prototype, and handing them over.

use super::Machine;
use crate::object::State;
use crate::{ArgError, FaultKind, ObjectId, Observer, Region, Rights, UninitStack, Value};
use skep_isa::Reg;
use skep_mem::{Arg, Bytes, Lend, MapIndex, RecordToken};
use skep_model::platform::helper::{Arg as Wanted, Effects, Helper, MemAccess, Nullable, Prototype, Zero};

/// A number of bytes from which on Linux calls a size unbounded (`BPF_MAX_VAR_SIZ` in
/// `include/linux/bpf_verifier.h`).
const MAX_SIZE: u64 = 1 << 29;

/// The arguments of one call, checked.
pub(super) struct Checked<'m> {
    pub(super) helper: &'static Helper,
    pub(super) prototype: &'static Prototype,
    list: [Arg<'m>; 5],
    len: usize,
    /// The map that the call is on.
    pub(super) map: Option<MapIndex>,
    /// The record that the call releases.
    pub(super) released: Option<ObjectId>,
    /// The function that the call may call back.
    pub(super) calls_back: bool,
    /// How long a record the call returns.
    pub(super) alloc: u64,
    /// Stack memory that holds data afterwards.
    written: [Option<(usize, usize, usize)>; 5],
}

impl<'m> Checked<'m> {
    pub(super) fn list(&self) -> &[Arg<'m>] {
        &self.list[..self.len]
    }
}

impl<'m, O: Observer> Machine<'m, '_, O> {
    /// Checks the registers r1 to r5 against a prototype.
    pub(super) fn check_args(
        &mut self,
        helper: &'static Helper,
        prototype: &'static Prototype,
    ) -> Result<Checked<'m>, FaultKind> {
        let mut checked = Checked {
            helper,
            prototype,
            list: [Arg::Null; 5],
            len: prototype.args.len().min(5),
            map: None,
            released: None,
            calls_back: false,
            alloc: 0,
            written: [None; 5],
        };
        for (i, &wanted) in prototype.args.iter().take(5).enumerate() {
            let bad = |why| FaultKind::BadArgument { helper: helper.name, arg: i as u8 + 1, why };
            let value = match (self.regs[i + 1], wanted) {
                (Value::Uninit, Wanted::Unchecked) => Value::NULL,
                (Value::Uninit, _) => {
                    let reg = Reg::new(i as u8 + 1).unwrap_or(Reg::R1);
                    self.unwritten(reg)?
                }
                (value, _) => value,
            };
            let next = self.regs[i + 2];
            checked.list[i] = self.check_arg(i, wanted, value, next, &mut checked).map_err(bad)?;
        }
        for (frame, offset, len) in checked.written.into_iter().flatten() {
            if let Some(frame) = self.frames.get_mut(frame) {
                frame.shadow.write_data(offset, len);
            }
        }
        Ok(checked)
    }

    fn check_arg(
        &self,
        i: usize,
        wanted: Wanted,
        value: Value,
        next: Value,
        checked: &mut Checked<'m>,
    ) -> Result<Arg<'m>, ArgError> {
        let kind = |wanted| Err(ArgError::Kind { wanted, found: value });
        let shape = checked.map.and_then(|map| self.program.maps.get(map.0 as usize));
        let wanted = shape.map_or(wanted, |shape| wanted.of_map(shape.kind));
        let helper = checked.helper;
        let memory = |len: u64, access| Memory { len, access, align: 1, helper };
        let (written, request) = match (wanted, value) {
            (Wanted::Any | Wanted::Unchecked, _) => return Ok(self.anything(value)),
            (Wanted::Ctx | Wanted::CtxOrNull, Value::Context(0)) => return Ok(Arg::Ctx),
            (Wanted::CtxOrNull, Value::NULL) => return Ok(Arg::Null),
            (Wanted::Ctx, _) => return kind("the context as it was given"),
            (Wanted::CtxOrNull, _) => return kind("the context as it was given, or null"),
            (Wanted::Map, Value::Map(map)) => {
                let shape = self.program.maps.get(map.0 as usize);
                if !shape.is_some_and(|shape| checked.prototype.maps.contains(shape.kind)) {
                    return kind("a map of another kind");
                }
                checked.map = Some(map);
                return Ok(Arg::Map(map));
            }
            (Wanted::Map, _) => return kind("a map"),
            (Wanted::Size(zero), Value::Scalar(size)) => {
                return match (size, zero) {
                    (0, Zero::Refused) | (MAX_SIZE.., _) => Err(ArgError::Size { found: size }),
                    _ => Ok(Arg::Int(size)),
                };
            }
            (Wanted::AllocSize, Value::Scalar(size)) => {
                checked.alloc = size;
                return Ok(Arg::Int(size));
            }
            (Wanted::Size(_) | Wanted::AllocSize, _) => return kind("a number of bytes"),
            (Wanted::Func(_), Value::Func(func)) => {
                checked.calls_back = true;
                return Ok(Arg::Func(func));
            }
            (Wanted::Func(_), _) => return kind("a function of the program"),
            (Wanted::StackOrNull, Value::NULL) => return Ok(Arg::Opaque),
            (Wanted::StackOrNull, Value::Pointer { object, .. }) => {
                return match self.objects.find(object) {
                    Some(object) if object.region == Region::Stack => Ok(Arg::Opaque),
                    _ => kind("a pointer to the stack, or null"),
                };
            }
            (Wanted::StackOrNull, _) => return kind("a pointer to the stack, or null"),
            (Wanted::Record, _) => return self.record(value, checked),
            (Wanted::ConstStr, _) => return self.const_str(value),
            (
                Wanted::SpinLock
                | Wanted::Timer
                | Wanted::Dynptr(_)
                | Wanted::MapValueOrNull
                | Wanted::Header(_)
                | Wanted::Socket(..)
                | Wanted::SocketRelease
                | Wanted::Btf(..)
                | Wanted::PercpuBtf
                | Wanted::KptrField
                | Wanted::KptrOrNull
                | Wanted::Own(..)
                | Wanted::OwnRelease(_),
                _,
            ) => return kind("what is not modelled"),
            (Wanted::Mem(access, nullable), _) => {
                let len = match next {
                    Value::Scalar(len) if len < MAX_SIZE => len,
                    // The size is the next argument, and refused there.
                    _ => 0,
                };
                match (value, nullable) {
                    (Value::NULL, Nullable::Yes) if len == 0 => return Ok(Arg::Null),
                    _ => (access != MemAccess::Read, memory(len, access)),
                }
            }
            (Wanted::MapKey, _) => {
                (false, memory(shape.map_or(0, |shape| u64::from(shape.key_size)), MemAccess::Read))
            }
            (Wanted::MapValue, _) => {
                (false, memory(shape.map_or(0, |shape| u64::from(shape.value_size)), MemAccess::Read))
            }
            (Wanted::MapValueOut, _) => {
                (true, memory(shape.map_or(0, |shape| u64::from(shape.value_size)), MemAccess::Write))
            }
            (Wanted::Fixed { bytes, access }, _) => {
                let align = u64::from(bytes).max(1);
                (access != MemAccess::Read, Memory { align, ..memory(u64::from(bytes), access) })
            }
        };
        let (bytes, stack) = self.memory(value, request)?;
        if written {
            checked.written[i] = stack.map(|(frame, offset)| (frame, offset, bytes.len()));
        }
        Ok(Arg::Bytes(bytes))
    }

    /// Hands over what a helper takes without looking: memory as memory, all else as a number.
    fn anything(&self, value: Value) -> Arg<'m> {
        let number = Arg::Int(value.bits().unwrap_or(0));
        let Value::Pointer { object, offset } = value else { return number };
        let rest =
            self.objects.find(object).filter(|object| object.state == State::Live).and_then(|object| {
                let offset = usize::try_from(offset).ok()?;
                object.bytes.slice(offset, object.bytes.len().checked_sub(offset)?).ok()
            });
        rest.map_or(number, Arg::Bytes)
    }

    /// Finds memory that a helper works on, and which stack bytes it is.
    fn memory(&self, value: Value, wanted: Memory) -> Result<(Bytes<'m>, Option<(usize, usize)>), ArgError> {
        let Value::Pointer { object, offset } = value else {
            return Err(ArgError::Kind { wanted: "a pointer to memory", found: value });
        };
        let Some(object) = self.objects.find(object) else {
            return Err(ArgError::Dead { region: Region::Memory });
        };
        let region = object.region;
        if object.state != State::Live {
            return Err(ArgError::Dead { region });
        }
        if region == Region::Packet && !wanted.helper.effects.has(Effects::TAKES_PACKET) {
            return Err(ArgError::Packet);
        }
        let allowed = match wanted.access {
            MemAccess::Read => object.rights.reads(),
            MemAccess::Write => object.rights.writes(),
            MemAccess::ReadWrite => object.rights.reads() && object.rights.writes(),
        };
        if !allowed {
            return Err(ArgError::NoRight { region });
        }
        if wanted.len == 0 {
            return Ok((Bytes::empty(), None));
        }
        let place = usize::try_from(offset).ok().zip(usize::try_from(wanted.len).ok());
        let found = place.and_then(|(at, len)| Some((at, object.bytes.slice(at, len).ok()?)));
        let Some((at, bytes)) = found else {
            let size = object.bytes.len();
            return Err(ArgError::Bounds { region, offset, wanted: wanted.len, size });
        };
        if bytes.addr() as u64 % wanted.align != 0 {
            return Err(ArgError::Misaligned { wanted: wanted.align });
        }
        if region != Region::Stack {
            return Ok((bytes, None));
        }
        let reads = wanted.access != MemAccess::Write;
        let strict = self.program.rules.uninit_stack == UninitStack::Fault;
        if let (true, true, Some(frame)) = (reads, strict, self.frames.get(object.frame)) {
            if let Some(byte) = frame.shadow.first_unwritten(at, bytes.len()) {
                return Err(ArgError::Uninit { byte: (byte - at) as u64 });
            }
        }
        Ok((bytes, Some((object.frame, at))))
    }

    /// Finds memory by the number that a program has passed, and notes what is written.
    pub(super) fn lend(&mut self, number: u64, len: usize, how: Lend) -> Option<Bytes<'m>> {
        let may = |rights: Rights| (!how.reads() || rights.reads()) && (!how.writes() || rights.writes());
        let Some((id, offset)) = Value::object_of_bits(number) else {
            let (bytes, rights) = self.world.memory_at(number, len)?;
            return may(rights).then_some(bytes);
        };
        let object =
            self.objects.find(id).filter(|object| object.state == State::Live && may(object.rights))?;
        let bytes = object.bytes.slice(offset, len).ok()?;
        let is_stack = object.region == Region::Stack;
        let Some(frame) = self.frames.get_mut(object.frame).filter(|_| is_stack) else { return Some(bytes) };
        let strict = self.program.rules.uninit_stack == UninitStack::Fault;
        if strict && how.reads() && frame.shadow.first_unwritten(offset, len).is_some() {
            return None;
        }
        if how.writes() {
            frame.shadow.write_data(offset, len);
        }
        Some(bytes)
    }

    /// Takes a record that the call releases.
    fn record(&self, value: Value, checked: &mut Checked<'m>) -> Result<Arg<'m>, ArgError> {
        let wanted = "a ring record as it was reserved";
        let Value::Pointer { object: id, offset: 0 } = value else {
            return Err(ArgError::Kind { wanted, found: value });
        };
        match self.objects.find(id).map(|object| (object.region, object.state, object.token, object.bytes)) {
            Some((Region::Record(map), State::Live, RecordToken(token), bytes)) => {
                checked.released = Some(id);
                Ok(Arg::Record(map, RecordToken(token), bytes))
            }
            Some((region @ Region::Record(_), ..)) => Err(ArgError::Dead { region }),
            _ => Err(ArgError::Kind { wanted, found: value }),
        }
    }

    /// Takes a string of a read-only map, its NUL included.
    fn const_str(&self, value: Value) -> Result<Arg<'m>, ArgError> {
        let wrong = ArgError::Kind { wanted: "a string in a read-only map", found: value };
        let Value::Pointer { object, offset } = value else { return Err(wrong) };
        let object = match self.objects.find(object) {
            Some(object)
                if matches!(object.region, Region::MapValue(_)) && object.rights == Rights::ReadOnly =>
            {
                object
            }
            _ => return Err(wrong),
        };
        let (region, size) = (object.region, object.bytes.len());
        let outside = ArgError::Bounds { region, offset, wanted: 1, size };
        let at = usize::try_from(offset).ok().filter(|&at| at < size).ok_or(outside)?;
        let rest = object.bytes.slice(at, size - at).map_err(|_| outside)?;
        let end = (0..rest.len()).find(|&i| rest.load_u8(i) == Ok(0)).ok_or(ArgError::Unterminated)?;
        rest.slice(0, end + 1).map(Arg::Bytes).map_err(|_| outside)
    }
}

/// Memory that an argument must point to.
#[derive(Clone, Copy)]
struct Memory {
    len: u64,
    access: MemAccess,
    align: u64,
    helper: &'static Helper,
}
