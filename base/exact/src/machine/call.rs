//! Calls out of the program: helpers, and what they call back.

use super::frame::Caller;
use super::{End, Machine, Trap};
use crate::object::Object;
use crate::{CallEnd, FaultKind, ObjectId, Observer, Region, RegisterCalls, Rights, Value};
use skep_isa::{InsnIdx, Reg};
use skep_mem::{Arg, CallbackArg, FuncIndex, Halt, Invoke, Ret};

/// What a helper without a prototype is called in errors.
const PLAIN: &str = "a plain helper";

impl<'m, O: Observer> Machine<'m, '_, O> {
    /// Calls a helper that takes five numbers and returns one.
    pub(super) fn call_plain(&mut self, id: u32) -> Result<(), Trap> {
        let [_, r1, r2, r3, r4, r5, ..] = self.regs;
        let args = [r1, r2, r3, r4, r5].map(|value| Arg::Int(value.bits().unwrap_or(0)));
        match self.call_world(id, &args)? {
            Ret::Int(number) => self.regs[0] = Value::Scalar(number),
            _ => return Err(FaultKind::BadHelper { helper: PLAIN }.into()),
        }
        self.regs[1..6].fill(Value::Uninit);
        Ok(())
    }

    /// Calls what a register holds: a function, or the number of a plain helper.
    pub(super) fn call_reg(&mut self, reg: Reg) -> Result<(), Trap> {
        match (self.reg(reg)?, &self.program.rules.register_calls) {
            (Value::Func(FuncIndex(slot)), _) => Ok(self.call_local(InsnIdx(slot))?),
            (Value::Scalar(number), RegisterCalls::Allowed(helpers)) => {
                let id = u32::try_from(number).ok().filter(|id| helpers.contains(id));
                match id {
                    Some(id) => self.call_plain(id),
                    None => Err(FaultKind::BadCallTarget { found: Value::Scalar(number) }.into()),
                }
            }
            (found, _) => Err(FaultKind::BadCallTarget { found }.into()),
        }
    }

    /// Hands checked arguments to the world, with the way back into this machine.
    fn call_world(&mut self, id: u32, args: &[Arg<'m>]) -> Result<Ret<'m>, Trap> {
        let [_, r1, r2, r3, r4, r5, ..] = self.regs;
        self.pending.try_reserve(1).map_err(|_| FaultKind::OutOfMemory)?;
        self.pending.push([r1, r2, r3, r4, r5]);
        let world = self.world;
        let mut invoker = Invoker { machine: self, ended: None };
        let answer = world.call(id, args, &mut invoker);
        let ended = invoker.ended;
        self.pending.pop();
        match (ended, answer) {
            (Some(end), _) => Err(Trap::Ended(end)),
            (None, Ok(ret)) => Ok(ret),
            (None, Err(CallEnd::Unwind(number))) => Err(Trap::Ended(End::Unwound(number))),
            (None, Err(CallEnd::Unknown)) => Err(FaultKind::UnknownHelper { id }.into()),
            (None, Err(CallEnd::Halt)) => Err(FaultKind::BadHelper { helper: PLAIN }.into()),
        }
    }

    /// Runs a function for a helper and gives its r0; the registers are as before.
    fn call_back(&mut self, func: FuncIndex, args: &[CallbackArg<'m>]) -> Result<Value, Trap> {
        let entry = InsnIdx(func.0);
        let bad = FaultKind::BadHelper { helper: PLAIN };
        if !self.program.is_function(entry) || args.len() > 5 {
            return Err(bad.into());
        }
        let (regs, at, next, program) = (self.regs, self.at, self.next, self.program);
        let passed = self.pending.last().copied().unwrap_or_default();
        // While the callback runs, the caller's registers and the arguments are in nobody's frame.
        let [_, .., r6, r7, r8, r9, _] = regs;
        self.pending.try_reserve(2).map_err(|_| FaultKind::OutOfMemory)?;
        self.pending.push([r6, r7, r8, r9, Value::Uninit]);
        self.pending.push([Value::Uninit; 5]);
        let mut keys = [None; 5];
        for (i, arg) in args.iter().enumerate() {
            let value = self.callback_value(arg, &passed, &mut keys[i])?;
            if let Some(values) = self.pending.last_mut() {
                values[i] = value.ok_or(FaultKind::BadHelper { helper: PLAIN })?;
            }
        }
        self.push_frame(Caller::Host)?;
        self.regs[0] = Value::Uninit;
        self.regs[1..6].copy_from_slice(&self.pending.pop().unwrap_or_default());
        self.regs[6..10].fill(Value::Uninit);
        self.next = entry.index();
        let floor = self.depth;
        let value = self.execute(floor).map_err(Trap::Ended)?;
        self.leave();
        self.pending.pop();
        for key in keys.into_iter().flatten() {
            self.objects.kill(key);
        }
        (self.regs, self.at, self.next, self.program) = (regs, at, next, program);
        Ok(value)
    }

    /// Turns a callback's argument into a value; nothing where it cannot be one.
    fn callback_value(
        &mut self,
        arg: &CallbackArg<'m>,
        passed: &[Value; 5],
        key: &mut Option<ObjectId>,
    ) -> Result<Option<Value>, FaultKind> {
        let object = match *arg {
            CallbackArg::Int(number) => return Ok(Some(Value::Scalar(number))),
            CallbackArg::Map(map) => return Ok(Some(Value::Map(map))),
            CallbackArg::Pass(position) => {
                return Ok(passed.get(position).copied());
            }
            CallbackArg::Key(bytes) => {
                let object = self.create(Object::new(Region::Key, Rights::ReadOnly, bytes))?;
                *key = Some(object);
                object
            }
            CallbackArg::Value(map, bytes) => self.create(self.map_value_object(map, bytes))?,
        };
        Ok(Some(Value::Pointer { object, offset: 0 }))
    }
}

/// The way from a helper back into the machine that called it.
struct Invoker<'x, 'm, 'r, O> {
    machine: &'x mut Machine<'m, 'r, O>,
    /// How the run has ended, if it has.
    ended: Option<End>,
}

impl<'m, O: Observer> Invoker<'_, 'm, '_, O> {
    fn end(&mut self, trap: Trap) -> Halt {
        self.ended = Some(match trap {
            Trap::Fault(kind) => self.machine.end(kind),
            Trap::Ended(end) => end,
        });
        Halt
    }
}

impl<'m, O: Observer> Invoke<'m> for Invoker<'_, 'm, '_, O> {
    fn invoke(&mut self, func: FuncIndex, args: &[CallbackArg<'m>]) -> Result<u64, Halt> {
        if self.ended.is_some() {
            return Err(Halt);
        }
        let value = match self.machine.call_back(func, args) {
            Ok(value) => value,
            Err(trap) => return Err(self.end(trap)),
        };
        match value.bits() {
            Some(number) => Ok(number),
            None => Err(self.end(FaultKind::UninitRegister { reg: Reg::R0 }.into())),
        }
    }

    fn charge(&mut self, units: u64) -> Result<(), Halt> {
        if self.ended.is_some() {
            return Err(Halt);
        }
        self.machine.meter.charge(units).map_err(|spent| self.end(spent.into()))
    }
}
