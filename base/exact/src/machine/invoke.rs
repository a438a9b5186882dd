//! The way from a helper back into the program that called it.

use super::frame::Caller;
use super::{End, Machine, Trap, within};
use crate::object::Object;
use crate::{FaultKind, ObjectId, Observer, Region, Rights, Value};
use skep_isa::Reg;
use skep_mem::{Bytes, CallbackArg, FuncIndex, Halt, Invoke, Lend};

/// What a running helper may do to the machine.
pub(super) struct Invoker<'x, 'm, 'r, O> {
    machine: &'x mut Machine<'m, 'r, O>,
    helper: &'static str,
    /// What a callback may return.
    returns: Option<(i32, i32)>,
    /// How the run has ended, if it has.
    ended: Option<End>,
}

impl<'x, 'm, 'r, O: Observer> Invoker<'x, 'm, 'r, O> {
    pub(super) fn new(
        machine: &'x mut Machine<'m, 'r, O>,
        helper: &'static str,
        returns: Option<(i32, i32)>,
    ) -> Self {
        Invoker { machine, helper, returns, ended: None }
    }

    pub(super) fn ended(self) -> Option<End> {
        self.ended
    }

    fn end(&mut self, trap: Trap) -> Halt {
        self.ended = Some(match trap {
            Trap::Fault(kind) => self.machine.end(kind),
            Trap::Ended(end) => end,
        });
        Halt
    }

    /// Runs a function and gives its r0; the registers are as before.
    fn call_back(&mut self, func: FuncIndex, args: &[CallbackArg<'m>]) -> Result<u64, Trap> {
        let bad = FaultKind::BadHelper { helper: self.helper };
        let machine = &mut *self.machine;
        let entry = machine.program.start_of(func).filter(|_| args.len() <= 5).ok_or(bad)?;
        let (regs, at, next, program) = (machine.regs, machine.at, machine.next, machine.program);
        let passed = machine.pending.last().copied().unwrap_or_default();
        // While the callback runs, the caller's registers and the arguments are in nobody's frame.
        let [_, .., r6, r7, r8, r9, _] = regs;
        machine.pending.try_reserve(2).map_err(|_| FaultKind::OutOfMemory)?;
        machine.pending.push([r6, r7, r8, r9, Value::Uninit]);
        machine.pending.push([Value::Uninit; 5]);
        let mut keys = [None; 5];
        for (i, arg) in args.iter().enumerate() {
            let value = machine.callback_value(arg, &passed, &mut keys[i])?.ok_or(bad)?;
            if let Some(values) = machine.pending.last_mut() {
                values[i] = value;
            }
        }
        machine.push_frame(Caller::Host)?;
        machine.regs[0] = Value::Uninit;
        machine.regs[1..6].copy_from_slice(&machine.pending.pop().unwrap_or_default());
        machine.regs[6..10].fill(Value::Uninit);
        machine.next = entry.index();
        machine.charge_entry()?;
        let floor = machine.depth;
        let value = machine.execute(floor).map_err(Trap::Ended)?;
        let number = match (value, self.returns) {
            (Value::Uninit, _) => machine.unwritten(Reg::R0)?.bits().unwrap_or(0),
            (value, Some((min, max))) => within(value, min, max)?,
            (value, None) => value.bits().unwrap_or(0),
        };
        machine.leave();
        machine.pending.pop();
        for key in keys.into_iter().flatten() {
            machine.objects.kill(key);
        }
        machine.switch(program);
        (machine.regs, machine.at, machine.next) = (regs, at, next);
        Ok(number)
    }
}

impl<'m, O: Observer> Machine<'m, '_, O> {
    /// Turns a callback's argument into a value; nothing where it cannot be one.
    fn callback_value(
        &mut self,
        arg: &CallbackArg<'m>,
        passed: &[Value; 5],
        key: &mut Option<ObjectId>,
    ) -> Result<Option<Value>, FaultKind> {
        Ok(match *arg {
            CallbackArg::Int(number) => Some(Value::Scalar(number)),
            CallbackArg::Map(map) => Some(Value::Map(map)),
            CallbackArg::Pass(position) => passed.get(position).copied(),
            CallbackArg::Key(bytes) => {
                let object = self.create(Object::new(Region::Key, Rights::ReadOnly, bytes))?;
                *key = Some(object);
                Some(Value::Pointer { object, offset: 0 })
            }
            CallbackArg::Value(map, bytes) => Some(self.pointer_to(self.map_value_object(map, bytes))?),
        })
    }
}

impl<'m, O: Observer> Invoke<'m> for Invoker<'_, 'm, '_, O> {
    fn invoke(&mut self, func: FuncIndex, args: &[CallbackArg<'m>]) -> Result<u64, Halt> {
        if self.ended.is_some() {
            return Err(Halt);
        }
        self.call_back(func, args).map_err(|trap| self.end(trap))
    }

    fn charge(&mut self, units: u64) -> Result<(), Halt> {
        if self.ended.is_some() {
            return Err(Halt);
        }
        self.machine.meter.charge(units).map_err(|spent| self.end(spent.into()))
    }

    fn pointee(&self, number: u64) -> Option<Bytes<'m>> {
        let (object, offset) = Value::object_of_bits(number)?;
        self.machine.objects.readable_from(object, offset)
    }

    fn lend(&mut self, number: u64, len: usize, how: Lend) -> Option<Bytes<'m>> {
        self.machine.lend(number, len, how)
    }
}
