//! Calls out of the program: helpers and tail calls.

use super::args::Checked;
use super::invoke::Invoker;
use super::{End, Machine, Trap};
use crate::object::Object;
use crate::{CallEnd, FaultKind, Observer, Pointers, Region, RegisterCalls, Rights, Value};
use skep_isa::Reg;
use skep_mem::{Arg, Bytes, FuncIndex, Ret};
use skep_model::handle;
use skep_model::platform::helper::{Effects, Helper, Prototype, Ret as Promised};

/// What a helper without a prototype is called in errors.
const PLAIN: &str = "a plain helper";

/// How many tail calls may follow one another (`MAX_TAIL_CALL_CNT` in `include/linux/bpf.h`).
const MAX_TAIL_CALLS: u32 = 33;

/// A call on its way to the world.
pub(super) struct Call<'a, 'm> {
    id: u32,
    name: &'static str,
    args: &'a [Arg<'m>],
    /// What a callback may return.
    returns: Option<(i32, i32)>,
}

impl<'m, O: Observer> Machine<'m, '_, O> {
    /// Calls a helper by its prototype.
    pub(super) fn call_helper(
        &mut self,
        helper: &'static Helper,
        prototype: &'static Prototype,
    ) -> Result<(), Trap> {
        let checked = self.check_args(helper, prototype)?;
        self.charge_work(&checked)?;
        // Callbacks of the kinds that are modelled go on with 0 and stop with 1 (set_loop_callback_state and
        // set_map_elem_callback_state in kernel/bpf/verifier.c).
        let returns = checked.calls_back.then_some((0, 1));
        let call = Call { id: helper.id.0, name: helper.name, args: checked.list(), returns };
        let ret = self.call_world(call)?;
        if let Some(record) = checked.released {
            self.objects.kill(record);
        }
        self.forget_packet(helper);
        let wrong = FaultKind::BadHelper { helper: helper.name };
        let value = self.returned(ret, &checked)?.ok_or(wrong)?;
        self.after_call(value);
        Ok(())
    }

    /// Goes on with another program, or with the next instruction where there is none.
    pub(super) fn tail_call(
        &mut self,
        helper: &'static Helper,
        prototype: &'static Prototype,
    ) -> Result<(), Trap> {
        let checked = self.check_args(helper, prototype)?;
        self.charge_work(&checked)?;
        if let Some(record) = self.objects.open_record() {
            if let Region::Record(map) = record.region {
                return Err(FaultKind::LeakedReference { map, reserved_at: record.born }.into());
            }
        }
        let index = self.regs[3].bits().unwrap_or(0) as u32;
        self.forget_packet(helper);
        self.after_call(Value::Uninit);
        let target = match checked.map {
            Some(map) if self.tail_calls < MAX_TAIL_CALLS => self.world.tail_call(map, index),
            _ => None,
        };
        let Some(target) = target else { return self.charge_edge() };
        self.tail_calls += 1;
        let bytes = self.stack.frame(self.depth).ok_or(FaultKind::CallDepth)?;
        if let Some(frame) = self.frames.get(self.depth) {
            self.objects.kill(frame.object);
        }
        let frame = Object { frame: self.depth, ..Object::new(Region::Stack, Rights::ReadWrite, bytes) };
        let frame = self.create(frame)?;
        self.regs = [Value::Uninit; 11];
        self.regs[1] = Value::Context(0);
        self.reset_frame(frame)?;
        self.switch(target);
        self.next = 0;
        self.charge_entry()
    }

    /// Calls a helper that takes five numbers and returns one.
    pub(super) fn call_plain(&mut self, id: u32) -> Result<(), Trap> {
        let [_, r1, r2, r3, r4, r5, ..] = self.regs;
        let args = [r1, r2, r3, r4, r5].map(|value| Arg::Int(value.bits().unwrap_or(0)));
        match self.call_world(Call { id, name: PLAIN, args: &args, returns: None })? {
            Ret::Int(number) => self.after_call(Value::Scalar(number)),
            _ => return Err(FaultKind::BadHelper { helper: PLAIN }.into()),
        }
        Ok(())
    }

    /// Calls what a register holds: a function, or the number of a plain helper.
    pub(super) fn call_reg(&mut self, reg: Reg) -> Result<(), Trap> {
        let found = self.reg(reg)?;
        let rules = &self.program.rules;
        let func = match found {
            Value::Func(func) => Some(func),
            Value::Scalar(number) if rules.pointers == Pointers::Numbers => {
                handle::function_of(number).map(FuncIndex)
            }
            _ => None,
        };
        if let Some(start) = func.and_then(|func| self.program.start_of(func)) {
            return self.call_local(start);
        }
        match (found, &rules.register_calls) {
            (Value::Scalar(number), RegisterCalls::Allowed(helpers)) => {
                match u32::try_from(number).ok().filter(|id| helpers.contains(id)) {
                    Some(id) => {
                        self.call_plain(id)?;
                        self.charge_edge()
                    }
                    None => Err(FaultKind::BadCallTarget { found }.into()),
                }
            }
            (found, _) => Err(FaultKind::BadCallTarget { found }.into()),
        }
    }

    fn charge_work(&mut self, checked: &Checked<'m>) -> Result<(), Trap> {
        let [_, r1, r2, r3, r4, r5, ..] = self.regs;
        let args = [r1, r2, r3, r4, r5].map(|value| value.bits().unwrap_or(0));
        let shape = checked.map.and_then(|map| self.program.maps.get(map.0 as usize));
        let (key_size, value_size) = shape.map_or((0, 0), |shape| (shape.key_size, shape.value_size));
        Ok(self.meter.charge(checked.prototype.work.units(&args, key_size, value_size))?)
    }

    /// Lets every pointer into the packet die, if the helper may have changed the packet.
    fn forget_packet(&mut self, helper: &Helper) {
        if helper.effects.has(Effects::CHANGES_PACKET) {
            if let Some(packet) = self.packet.take() {
                self.objects.kill(packet);
            }
        }
    }

    /// Turns a helper's answer into what r0 holds; nothing where the prototype does not promise such an answer.
    fn returned(&mut self, ret: Ret<'m>, checked: &Checked<'m>) -> Result<Option<Value>, FaultKind> {
        Ok(match (checked.prototype.ret, ret) {
            (Promised::Void, _) => Some(Value::Uninit),
            (Promised::Int | Promised::Cpu, Ret::Int(number)) => Some(Value::Scalar(number)),
            (Promised::UpToSize(arg), Ret::Int(number)) => {
                let size = self.regs.get(usize::from(arg)).and_then(|value| value.bits()).unwrap_or(0);
                (number as i64 <= size as i64).then_some(Value::Scalar(number))
            }
            (Promised::MapValueOrNull | Promised::RecordOrNull, Ret::Null | Ret::Int(0)) => Some(Value::NULL),
            (Promised::MapValueOrNull, Ret::MapValue(map, bytes)) => {
                Some(self.pointer_to(self.map_value_object(map, bytes))?)
            }
            (Promised::RecordOrNull, Ret::Record(map, token, bytes)) if holds(bytes, checked.alloc) => {
                let record = Object::new(Region::Record(map), Rights::ReadWrite, bytes);
                Some(self.pointer_to(Object { token, ..record })?)
            }
            _ => None,
        })
    }

    /// Makes an object and a pointer to its start.
    pub(super) fn pointer_to(&mut self, object: Object<'m>) -> Result<Value, FaultKind> {
        Ok(Value::Pointer { object: self.create(object)?, offset: 0 })
    }

    /// Sets the registers as a call leaves them.
    fn after_call(&mut self, value: Value) {
        self.regs[0] = value;
        self.regs[1..6].fill(Value::Uninit);
    }

    /// Hands checked arguments to the world, with the way back into this machine.
    fn call_world(&mut self, call: Call<'_, 'm>) -> Result<Ret<'m>, Trap> {
        let [_, r1, r2, r3, r4, r5, ..] = self.regs;
        self.pending.try_reserve(1).map_err(|_| FaultKind::OutOfMemory)?;
        self.pending.push([r1, r2, r3, r4, r5]);
        let world = self.world;
        let mut invoker = Invoker::new(self, call.name, call.returns);
        let answer = world.call(call.id, call.args, &mut invoker);
        let ended = invoker.ended();
        self.pending.pop();
        match (ended, answer) {
            (Some(end), _) => Err(Trap::Ended(end)),
            (None, Ok(ret)) => Ok(ret),
            (None, Err(CallEnd::Unwind(number))) => Err(Trap::Ended(End::Unwound(number))),
            (None, Err(CallEnd::Unknown)) => Err(FaultKind::UnknownHelper { id: call.id }.into()),
            (None, Err(CallEnd::Halt)) => Err(FaultKind::BadHelper { helper: call.name }.into()),
        }
    }
}

/// Tells whether a record is as long as was asked for.
fn holds(bytes: Bytes<'_>, wanted: u64) -> bool {
    bytes.len() as u64 == wanted
}
