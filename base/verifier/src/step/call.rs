//! Calls of helpers (`check_helper_call`, `check_func_arg` in `kernel/bpf/verifier.c`).

use super::dynptr::Handle;
use super::region::{Access, Use};
use super::stack::constant_part;
use super::{MOST_OFFSET, Result};
use crate::explore::{Explorer, Next};
use crate::path::Set;
use crate::rejection::{Rule, no_memory};
use crate::scalar::Number;
use crate::stack::{Byte, place};
use crate::state::{Owned, OwnedKind, State};
use crate::subject::{Sleep, SpecialKind};
use crate::value::{Id, MapAt, Memory, To, Trust, Value};
use skep_abi::flags::BPF_F_RDONLY_PROG;
use skep_abi::{FuncId, MapType};
use skep_btf::TypeId;
use skep_isa::{InsnIdx, Reg};
use skep_model::platform::HelperRefusal;
use skep_model::platform::helper::{
    self, Acquired, Arg, Callback, Caller, Dynptr, Effects, Helper, MemAccess, Nullable, Prototype, Ret,
    SocketArg, Zero,
};
use skep_model::platform::prog::PacketAccess;

/// Helpers that change what is in a map (`record_func_map`).
const CHANGES_MAP: &[FuncId] =
    &[FuncId::MAP_UPDATE_ELEM, FuncId::MAP_DELETE_ELEM, FuncId::MAP_PUSH_ELEM, FuncId::MAP_POP_ELEM];

/// What is learned from a call's arguments.
#[derive(Default)]
struct Call {
    /// The map, and which one it is of those that were found in a map of maps.
    map: Option<(MapAt, Id)>,
    /// The constant that says how much is allocated.
    size: Option<u32>,
    /// The most bytes that each size argument lets the helper touch.
    sizes: [u32; 6],
    /// The function that is called, and how.
    function: Option<(Callback, InsnIdx)>,
    /// What is released.
    released: Option<Id>,
    /// A constant key.
    key: Option<u64>,
    /// The map whose timer it is, and which one it is of those that were found in a map of maps.
    timer: Option<(MapAt, Id)>,
    /// What the socket is owned by that the call makes another view of.
    viewed: Id,
    /// What of the kernel's there is one of for each CPU.
    per_cpu: Option<TypeId>,
    /// The dynptr.
    dynptr: Option<Handle>,
}

impl Explorer<'_> {
    pub(super) fn call_helper(&mut self, state: &mut State, at: InsnIdx, id: u32) -> Result<Next> {
        let subject = self.subject;
        let caller = Caller { attach: Some(subject.attach), ..Caller::of(subject.kind, subject.licence) };
        let (helper, prototype) = match subject.platform.call_by(FuncId(id), &caller) {
            Ok(found) => found,
            Err(refusal @ HelperRefusal::NotModelled(_)) => {
                return Err(self.unmodelled(at, format_args!("{refusal}")));
            }
            Err(refusal) => return Err(Rule::Helper.broken(at, format_args!("{refusal}"))),
        };
        if helper.effects.has(Effects::SLEEPS)
            && (subject.sleep == Sleep::Never || state.rcu || state.preempt > 0)
        {
            let rejection = Rule::Helper.broken(
                at,
                format_args!("helper bpf_{} may sleep, which the program may not here", helper.name),
            );
            let section = match state {
                _ if subject.sleep == Sleep::Never => return Err(rejection),
                State { rcu: true, .. } => "rcu_read_lock",
                _ => "non-preemptible",
            };
            return Err(
                rejection.says(format_args!("sleepable helper bpf_{}#{id} in {section} region", helper.name))
            );
        }
        self.check_lock(state, at, helper)?;
        let mut call = Call::default();
        for (index, arg) in prototype.args.iter().enumerate() {
            let Some(reg) = Reg::new(index as u8 + 1) else { break };
            self.argument(state, at, (helper, prototype), (index, reg), *arg, &mut call)?;
        }
        if helper.id == FuncId::GET_LOCAL_STORAGE {
            let flags = self.read(state, at, Reg::R2)?;
            self.need_reg(state, Reg::R2);
            if flags.as_constant() != Some(0) {
                return Err(Rule::Argument
                    .broken(at, format_args!("bpf_get_local_storage wants no flags in r2, found {flags}")));
            }
        }
        if helper.id == FuncId::TAIL_CALL {
            self.nothing_owned(state, at, "a tail call does not come back")?;
        }
        if helper.id == FuncId::DYNPTR_FROM_MEM {
            let memory = self.read(state, at, Reg::R1)?;
            if !matches!(memory.certainly_to(), Some(To::MapValue { .. })) {
                return Err(Rule::Argument.broken(
                    at,
                    format_args!("bpf_dynptr_from_mem wants a map's value in r1, found {memory}"),
                ));
            }
        }
        if let Some(released) = call.released {
            self.release(state, at, released)?;
        }
        if let Some((kind, function)) = call.function {
            self.call_back(state, at, kind, function, call.timer.or(call.map))?;
        }
        self.forget_arguments(state);
        let result = self.result(state, at, helper, prototype, &call)?;
        state.set(Reg::R0, result);
        if helper.effects.has(Effects::CHANGES_PACKET) {
            state.for_each(forget_packet);
        } else if helper.effects.has(Effects::CHANGES_CALLERS_PACKET) {
            let top = state.top();
            for frame in &mut state.frames[..top] {
                frame.regs.iter_mut().for_each(forget_packet);
                frame.stack.iter_mut().for_each(|slot| forget_packet(&mut slot.value));
            }
        }
        if helper.id == FuncId::TAIL_CALL && state.top() > 0 {
            return self.leave_by_tail_call(state, at);
        }
        Ok(Next::At(InsnIdx(at.0 + 1)))
    }

    /// Nothing but the end of a lock may be called while it is held.
    fn check_lock(&self, state: &State, at: InsnIdx, helper: &Helper) -> Result<()> {
        let Some(lock) = state.owned.iter().find(|owned| matches!(owned.kind, OwnedKind::Lock(..))) else {
            return Ok(());
        };
        if helper.id == FuncId::SPIN_UNLOCK {
            return Ok(());
        }
        Err(Rule::Lock.broken(
            at,
            format_args!(
                "helper bpf_{} cannot be called while the lock of instruction {} is held",
                helper.name, lock.at
            ),
        ))
    }

    fn argument(
        &mut self,
        state: &mut State,
        at: InsnIdx,
        (helper, prototype): (&'static Helper, &'static Prototype),
        (index, reg): (usize, Reg),
        arg: Arg,
        call: &mut Call,
    ) -> Result<()> {
        if arg == Arg::Unchecked {
            return Ok(());
        }
        let value = *self.read(state, at, reg)?;
        let wanted = |what: &str| {
            Err(Rule::Argument
                .broken(at, format_args!("bpf_{} wants {what} in {reg}, found {value}", helper.name)))
        };
        match arg {
            Arg::Any | Arg::Unchecked => {}
            Arg::Ctx | Arg::CtxOrNull => {
                if arg == Arg::CtxOrNull && value.as_constant() == Some(0) {
                    return Ok(());
                }
                if value.certainly_to() != Some(To::Context) || value.offset() != Some(0) {
                    return wanted("the context, unmoved");
                }
            }
            Arg::Map => {
                let (map, inner) = match value.certainly_to() {
                    Some(To::Map(map)) => (map, Id::NONE),
                    Some(To::InnerMap { map, inner }) => (map, inner),
                    _ => return wanted("a map"),
                };
                let kind = self.map(at, map)?.kind;
                if !prototype.maps.contains(kind) {
                    return Err(Rule::Argument
                        .broken(at, format_args!("bpf_{} does not take a map of type {kind}", helper.name)));
                }
                if call.timer.is_some_and(|timer| timer != (map, inner)) {
                    return wanted("the map in whose value the timer is");
                }
                let is_read_only = self.map(at, map)?.flags & BPF_F_RDONLY_PROG != 0;
                if is_read_only && CHANGES_MAP.contains(&helper.id) {
                    return Err(Rule::Rights.broken(
                        at,
                        format_args!("bpf_{} changes a map that programs may only read", helper.name),
                    ));
                }
                call.map = Some((map, inner));
            }
            Arg::MapKey | Arg::MapValue | Arg::MapValueOut => {
                let Some((map, _)) = call.map else { return wanted("a map before it") };
                let proto = self.map(at, map)?;
                let arg = arg.of_map(proto.kind);
                // What is stored in a map of sockets is a socket (`resolve_map_arg_type`).
                if arg == Arg::MapValue && matches!(proto.kind, MapType::SOCKMAP | MapType::SOCKHASH) {
                    if !self.is_socket(at, &value, SocketArg::CommonOrBtf)? {
                        return wanted("a socket, tested for null and unmoved,");
                    }
                    return Ok(());
                }
                let (size, how, reads) = match arg {
                    Arg::MapKey => (proto.key_size, Use::Lent, true),
                    Arg::MapValue => (proto.value_size, Use::Lent, true),
                    _ => (proto.value_size, Use::Filled, false),
                };
                let indexed = matches!(proto.kind, MapType::ARRAY | MapType::PERCPU_ARRAY);
                if arg == Arg::MapKey && indexed && helper.id == FuncId::MAP_LOOKUP_ELEM {
                    call.key = self.constant_key(state, &value);
                }
                let access = Access { reg, off: 0, size, how };
                self.lend(state, at, (helper, &value), access, reads)?;
            }
            Arg::Mem(access, nullable) => {
                let Some(Arg::Size(zero)) = prototype.args.get(index + 1) else {
                    return wanted("memory with a size");
                };
                let Some(sized) = Reg::new(index as u8 + 2) else { return Ok(()) };
                self.memory(state, at, helper, (reg, sized), (access, nullable, *zero), call)?;
            }
            // Looked at with the memory.
            Arg::Size(_) => {}
            Arg::Fixed { bytes, access } => {
                let (how, reads) = used(access);
                let access = Access { reg, off: 0, size: u32::from(bytes), how };
                let pointer = value;
                if let Some(to) = pointer.certainly_to() {
                    self.aligned_for_helper(at, &pointer, to, access)?;
                }
                self.lend(state, at, (helper, &value), access, reads)?;
            }
            Arg::AllocSize => {
                let Some(size) = value.as_constant() else { return wanted("a constant") };
                self.need_reg(state, reg);
                let Ok(size) = u32::try_from(size) else { return wanted("a constant of at most 32 bits") };
                call.size = Some(size);
            }
            Arg::Record => {
                let record = matches!(value.certainly_to(), Some(To::Memory { kind: Memory::Record, .. }));
                if !record || !value.owned.is_some() {
                    return wanted("a ring record that is not released yet");
                }
                if value.offset() != Some(0) {
                    return Err(Rule::Release.broken(
                        at,
                        format_args!("{reg} points {} bytes behind what is to be released", value.fixed),
                    ));
                }
                call.released = Some(value.owned);
            }
            Arg::ConstStr => self.constant_text(at, reg, &value)?,
            Arg::Func(kind) => {
                let Some(To::Function(start)) = value.certainly_to().filter(|_| value.offset() == Some(0))
                else {
                    return wanted("a function of the program, unmoved,");
                };
                call.function = Some((kind, start));
            }
            Arg::StackOrNull => {
                let stack = matches!(value.certainly_to(), Some(To::Stack { .. }));
                if !stack && value.as_constant() != Some(0) {
                    return wanted("a pointer to the stack, or null");
                }
                if value.is_number() {
                    self.need_reg(state, reg);
                }
            }
            Arg::MapValueOrNull if value.as_constant() == Some(0) => self.need_reg(state, reg),
            Arg::MapValueOrNull => {
                let Some((map, _)) = call.map else { return wanted("a map before it") };
                let size = self.map(at, map)?.value_size;
                self.lend(state, at, (helper, &value), Access { reg, off: 0, size, how: Use::Lent }, true)?;
            }
            Arg::Header(bytes) => {
                let access = Access { reg, off: 0, size: u32::from(bytes), how: Use::Lent };
                self.lend(state, at, (helper, &value), access, true)?;
            }
            Arg::Socket(_, Nullable::Yes) if value.as_constant() == Some(0) => self.need_reg(state, reg),
            Arg::Socket(wants, _) => {
                call.viewed = value.owned;
                if !self.is_socket(at, &value, wants)? {
                    return wanted("a socket, tested for null and unmoved,");
                }
            }
            Arg::SocketRelease => {
                if !self.is_socket(at, &value, SocketArg::CommonOrBtf)? {
                    return wanted("a socket, tested for null and unmoved,");
                }
                if !value.owned.is_some() {
                    return Err(Rule::Release.broken(
                        at,
                        format_args!("{reg} is {value} that no call has acquired for the program"),
                    ));
                }
                call.released = Some(value.owned);
            }
            Arg::Own(_, Nullable::Yes) if value.as_constant() == Some(0) => self.need_reg(state, reg),
            Arg::Own(of, _) | Arg::OwnRelease(of) => {
                if value.certainly_to() != Some(To::Own(of)) {
                    return Err(Rule::Argument.broken(
                        at,
                        format_args!(
                            "{} wants `{}`, tested for null, in {reg}, found {value}",
                            helper.name, of.name
                        ),
                    ));
                }
                if let Arg::OwnRelease(_) = arg {
                    if !value.owned.is_some() {
                        return Err(Rule::Release.broken(
                            at,
                            format_args!("{reg} is {value} that no call has acquired for the program"),
                        ));
                    }
                    call.released = Some(value.owned);
                }
            }
            Arg::Btf(_, Nullable::Yes) if value.as_constant() == Some(0) => self.need_reg(state, reg),
            Arg::Btf(name, nullable) => {
                if (nullable == Nullable::No && value.may_be_null()) || !self.is_object(at, &value, name)? {
                    return Err(Rule::Argument.broken(
                        at,
                        format_args!(
                            "bpf_{} wants a pointer to struct {name} of the kernel in {reg}, found {value}",
                            helper.name
                        ),
                    ));
                }
            }
            Arg::PercpuBtf => match value.certainly_to() {
                Some(To::Object { type_id, trust: Trust::PerCpu }) if value.offset().is_some() => {
                    call.per_cpu = Some(type_id);
                }
                _ => return wanted("an object of which there is one for each CPU"),
            },
            Arg::Dynptr(wants) => {
                let handle = self.dynptr(state, at, reg, &value, wants)?;
                call.dynptr = Some(handle);
                if wants == Dynptr::ReleaseRingbuf {
                    call.released = Some(handle.owned);
                }
            }
            Arg::SpinLock => self.lock(state, at, helper, reg, &value)?,
            Arg::Timer => {
                let map = self.special(at, &value, SpecialKind::Timer);
                let Some((map, inner, _)) = map else { return wanted("a bpf_timer in a map's value") };
                call.timer = Some((map, inner));
            }
            _ => {
                return Err(self.unmodelled(
                    at,
                    format_args!("argument {} of bpf_{} is not modelled", index + 1, helper.name),
                ));
            }
        }
        Ok(())
    }

    /// The map whose value's special bytes of a kind begin where a pointer points, which map of its kind it is, and which value.
    fn special(&self, at: InsnIdx, value: &Value, kind: SpecialKind) -> Option<(MapAt, Id, Id)> {
        let Some(To::MapValue { map, inner }) = value.certainly_to() else { return None };
        let offset = value.offset()?;
        let special = self.map(at, map).ok()?.special;
        let here =
            |special: &crate::subject::Special| special.kind == kind && i64::from(special.offset) == offset;
        special.iter().any(here).then_some((map, inner, value.id))
    }

    fn lock(
        &mut self,
        state: &mut State,
        at: InsnIdx,
        helper: &Helper,
        reg: Reg,
        value: &Value,
    ) -> Result<()> {
        let Some((map, _, id)) = self.special(at, value, SpecialKind::SpinLock) else {
            return Err(Rule::Argument.broken(
                at,
                format_args!(
                    "bpf_{} wants a bpf_spin_lock in a map's value in {reg}, found {value}",
                    helper.name
                ),
            ));
        };
        let held = state.owned.iter().position(|owned| matches!(owned.kind, OwnedKind::Lock(..)));
        if helper.id == FuncId::SPIN_LOCK {
            let id_here = self.new_id();
            return self.own(state, at, id_here, OwnedKind::Lock(map, id));
        }
        match held {
            Some(index)
                if state.owned.get(index).map(|owned| owned.kind) == Some(OwnedKind::Lock(map, id)) =>
            {
                state.owned.remove(index);
                Ok(())
            }
            Some(_) => Err(Rule::Lock
                .broken(at, format_args!("another lock is held than the one that is to be released"))),
            None => Err(Rule::Lock.broken(at, format_args!("no lock is held that could be released"))),
        }
    }

    /// Whether a value is a socket of these.
    fn is_socket(&self, at: InsnIdx, value: &Value, wants: SocketArg) -> Result<bool> {
        match value.certainly_to() {
            Some(To::Socket(socket)) => Ok(wants.takes(socket) && value.offset() == Some(0)),
            Some(To::Object { trust: Trust::Trusted | Trust::Walked, .. })
                if wants == SocketArg::CommonOrBtf =>
            {
                self.is_object(at, value, "sock_common")
            }
            _ => Ok(false),
        }
    }

    pub(super) fn own(&mut self, state: &mut State, at: InsnIdx, id: Id, kind: OwnedKind) -> Result<()> {
        state.owned.try_reserve(1).map_err(|_| no_memory())?;
        state.owned.push(Owned { id, at, frame: state.top() as u8, kind });
        Ok(())
    }

    /// What is released is nobody's any more, nor is anything that came with it.
    pub(super) fn release(&mut self, state: &mut State, at: InsnIdx, id: Id) -> Result<()> {
        let Some(index) = state.owned.iter().position(|owned| owned.id == id) else {
            return Err(Rule::Release.broken(at, format_args!("what is to be released was not acquired")));
        };
        state.owned.remove(index);
        state.end_owned(id);
        state.for_each(|value| {
            if value.owned == id {
                *value = Value::UNKNOWN;
            }
        });
        Ok(())
    }

    /// Memory with its size in the next argument (`check_mem_size_reg`).
    fn memory(
        &mut self,
        state: &mut State,
        at: InsnIdx,
        helper: &'static Helper,
        (reg, sized): (Reg, Reg),
        (access, nullable, zero): (MemAccess, Nullable, Zero),
        call: &mut Call,
    ) -> Result<()> {
        let value = *self.read(state, at, reg)?;
        let size = self.read(state, at, sized)?;
        let wanted = |what: &str| {
            Err(Rule::Argument
                .broken(at, format_args!("bpf_{} wants {what} in {sized}, found {size}", helper.name)))
        };
        if !size.is_number() {
            return wanted("a number of bytes");
        }
        if size.number.smin() < 0 {
            return wanted("a number of bytes that is not negative");
        }
        if zero == Zero::Refused && size.number.umin() == 0 {
            return wanted("at least one byte");
        }
        if size.number.umax() >= MOST_OFFSET as u64 {
            return wanted("a number of bytes with an upper bound");
        }
        self.need_reg(state, sized);
        let most = size.number.umax() as u32;
        if let Some(place) = call.sizes.get_mut(sized.index()) {
            *place = most;
        }
        if value.as_constant() == Some(0) && nullable == Nullable::Yes && most == 0 {
            self.need_reg(state, reg);
            return Ok(());
        }
        let (how, reads) = used(access);
        let access = Access { reg, off: 0, size: most, how };
        // Of how many bytes are written it is only known how many they are at most.
        let certain = size.number.as_constant().is_some();
        self.lend(state, at, (helper, &value), access, reads || !certain)
    }

    /// Lends memory to a helper.
    fn lend(
        &mut self,
        state: &mut State,
        at: InsnIdx,
        (helper, value): (&'static Helper, &Value),
        access: Access,
        reads: bool,
    ) -> Result<()> {
        match self.pointee(at, value, access.reg)? {
            To::Stack { frame } => self.lend_stack(state, at, usize::from(frame), value, access, reads),
            To::Context => self.lend_context(at, value, access),
            To::Object { .. } => self.lend_object(at, value, access),
            To::FlowKeys => Err(Rule::Argument.broken(
                at,
                format_args!("bpf_{} does not take memory of flow keys, found {value}", helper.name),
            )),
            to @ (To::Packet | To::PacketMeta) => {
                if !helper.effects.has(Effects::TAKES_PACKET) && self.prog.packet != PacketAccess::Buffer {
                    return Err(Rule::Argument.broken(
                        at,
                        format_args!("bpf_{} does not take memory of packets, found {value}", helper.name),
                    ));
                }
                self.within(state, at, value, to, access)
            }
            to => {
                if access.how == Use::Filled && reads {
                    self.within(state, at, value, to, Access { how: Use::Lent, ..access })?;
                }
                self.within(state, at, value, to, access)
            }
        }
    }

    /// Lends memory to a function of the program's, which reads it and writes it.
    pub(super) fn lend_to_function(
        &mut self,
        state: &mut State,
        at: InsnIdx,
        value: &Value,
        access: Access,
    ) -> Result<()> {
        match self.pointee(at, value, access.reg)? {
            To::Stack { frame } => self.lend_stack(state, at, usize::from(frame), value, access, true),
            To::FlowKeys => Err(Rule::Argument
                .broken(at, format_args!("functions do not take memory of flow keys, found {value}"))),
            to => {
                self.within(state, at, value, to, Access { how: Use::Lent, ..access })?;
                self.within(state, at, value, to, access)
            }
        }
    }

    /// Memory of a fixed size lies at a multiple of it.
    fn aligned_for_helper(&self, at: InsnIdx, pointer: &Value, to: To, access: Access) -> Result<()> {
        let Some(offset) = pointer.offset().filter(|_| matches!(to, To::Stack { .. } | To::MapValue { .. }))
        else {
            return Ok(());
        };
        if offset.rem_euclid(i64::from(access.size)) == 0 {
            return Ok(());
        }
        Err(Rule::Alignment.broken(
            at,
            format_args!(
                "wanted memory at a multiple of {} in {}, found offset {offset}",
                access.size, access.reg
            ),
        ))
    }

    /// A key on the stack that is constant.
    fn constant_key(&mut self, state: &State, value: &Value) -> Option<u64> {
        let Some(To::Stack { frame }) = value.certainly_to() else { return None };
        let (index, first) = place(value.offset()?);
        let slot = state.frames.get(usize::from(frame))?.slot(index)?;
        let bytes = slot.bytes.get(first..first + 4)?;
        if bytes.iter().all(|&byte| byte == Byte::Zero) {
            return Some(0);
        }
        let key = constant_part(slot, first, 4)?;
        let mut set = Set::EMPTY;
        set.add_slot(usize::from(frame), index);
        self.need(state, set);
        Some(key)
    }

    /// A text that nobody can change, with its end.
    fn constant_text(&self, at: InsnIdx, reg: Reg, value: &Value) -> Result<()> {
        let text = || {
            let bytes = self.constants(value.certainly_to()?)?;
            let text = bytes.get(usize::try_from(value.offset()?).ok()?..)?;
            text.contains(&0).then_some(())
        };
        text().ok_or_else(|| {
            Rule::Argument.broken(
                at,
                format_args!(
                    "wanted a text with its end in a read-only map that is frozen in {reg}, found {value}"
                ),
            )
        })
    }

    /// What a helper returns.
    fn result(
        &mut self,
        state: &mut State,
        at: InsnIdx,
        helper: &Helper,
        prototype: &Prototype,
        call: &Call,
    ) -> Result<Value> {
        Ok(match prototype.ret {
            Ret::Int => Value::UNKNOWN,
            Ret::Void => Value::NOTHING,
            Ret::UpToSize(arg) => {
                let most = call.sizes.get(usize::from(arg)).copied().unwrap_or(u32::MAX);
                Value::number(Number::signed(-4095, i64::from(most)))
            }
            Ret::Cpu => Value::number(Number::unsigned(0, u64::from(self.subject.cpus.saturating_sub(1)))),
            Ret::MapValueOrNull => {
                let Some((map, inner)) = call.map else {
                    return Err(self.unmodelled(at, format_args!("bpf_{} is not modelled", helper.name)));
                };
                self.found(state, at, map, inner, call.key)?
            }
            Ret::MapValue => {
                let Some((map, inner)) = call.map else {
                    return Err(self.unmodelled(at, format_args!("bpf_{} is not modelled", helper.name)));
                };
                Value { id: self.new_id(), ..Value::pointer(To::MapValue { map, inner }) }
            }
            Ret::SocketOrNull(socket) => {
                let acquires = helper.effects.has(Effects::ACQUIRES);
                let id = if acquires { self.acquired_id() } else { self.new_id() };
                let found = Value::perhaps(To::Socket(socket), id);
                // What is looked up is acquired; another view of a socket is owned with it, another socket is not.
                if acquires {
                    self.own(state, at, id, OwnedKind::Object)?;
                    Value { owned: id, ..found }
                } else if helper.effects.has(Effects::CASTS) {
                    Value { owned: call.viewed, ..found }
                } else {
                    found
                }
            }
            Ret::Btf(name, trust) => {
                let trust = match trust {
                    helper::Trust::Trusted => Trust::Trusted,
                    helper::Trust::Legacy => Trust::Walked,
                };
                Value::pointer(To::Object { type_id: self.named(at, name)?, trust })
            }
            Ret::BtfOrNull(name) => {
                let to = To::Object { type_id: self.named(at, name)?, trust: Trust::Walked };
                let id = self.new_id();
                Value { owned: call.viewed, ..Value::perhaps(to, id) }
            }
            Ret::Percpu | Ret::PercpuOrNull => {
                let Some(type_id) = call.per_cpu else {
                    return Err(self.unmodelled(at, format_args!("bpf_{} is not modelled", helper.name)));
                };
                let to = self.variable(at, type_id, Trust::Walked)?;
                if prototype.ret == Ret::Percpu {
                    Value::pointer(to)
                } else {
                    let id = self.new_id();
                    Value::perhaps(to, id)
                }
            }
            Ret::RecordOrNull => {
                let id = self.acquired_id();
                let to = To::Memory { size: call.size.unwrap_or(0), kind: Memory::Record };
                self.own(state, at, id, OwnedKind::Object)?;
                Value { owned: id, ..Value::perhaps(to, id) }
            }
            Ret::OwnOrNull(of) => {
                let id = self.new_id();
                let found = Value::perhaps(To::Own(of), id);
                if !helper.effects.has(Effects::ACQUIRES) {
                    return Ok(found);
                }
                self.own(state, at, id, OwnedKind::Object)?;
                Value { owned: id, ..found }
            }
            Ret::DynptrMemOrNull => {
                let Some(dynptr) = call.dynptr else {
                    return Err(self.unmodelled(at, format_args!("bpf_{} is not modelled", helper.name)));
                };
                let id = self.new_id();
                let to = To::Memory { size: call.size.unwrap_or(0), kind: Memory::Slice(dynptr.id) };
                Value { owned: dynptr.owned, ..Value::perhaps(to, id) }
            }
            _ => {
                return Err(
                    self.unmodelled(at, format_args!("what bpf_{} returns is not modelled", helper.name))
                );
            }
        })
    }

    /// What is found in a map.
    fn found(
        &mut self,
        state: &mut State,
        at: InsnIdx,
        map: MapAt,
        inner: Id,
        key: Option<u64>,
    ) -> Result<Value> {
        let id = self.new_id();
        let proto = self.map(at, map)?;
        let (kind, most) = (proto.kind, proto.max_entries);
        let to = match kind {
            MapType::ARRAY_OF_MAPS | MapType::HASH_OF_MAPS => {
                let Some(map) = proto.inner.and_then(|inner| u16::try_from(inner).ok()) else {
                    return Err(
                        Rule::Reference.broken(at, format_args!("no prototype of the map's maps is known"))
                    );
                };
                To::InnerMap { map: MapAt(map), inner: self.new_id() }
            }
            kind => match Ret::socket_of(kind) {
                Some((socket, Acquired::Yes)) => {
                    let id = self.new_id();
                    self.own(state, at, id, OwnedKind::Object)?;
                    return Ok(Value { owned: id, ..Value::perhaps(To::Socket(socket), id) });
                }
                Some((socket, Acquired::No)) => To::Socket(socket),
                None => To::MapValue { map, inner },
            },
        };
        // Elements of arrays are always there. An array that was found in a map of maps may have fewer than its prototype.
        let there = matches!(kind, MapType::ARRAY | MapType::PERCPU_ARRAY)
            && !inner.is_some()
            && key.is_some_and(|key| key < u64::from(most));
        if there {
            return Ok(Value { id, ..Value::pointer(to) });
        }
        Ok(Value::perhaps(to, id))
    }
}

/// How a helper uses memory, and whether it reads it.
fn used(access: MemAccess) -> (Use, bool) {
    match access {
        MemAccess::Read => (Use::Lent, true),
        MemAccess::ReadWrite => (Use::Filled, true),
        MemAccess::Write => (Use::Filled, false),
    }
}

/// A pointer into a packet that may have moved is any number.
pub(super) fn forget_packet(value: &mut Value) {
    if value.is_packet() {
        *value = Value::UNKNOWN;
    }
}
