//! A compiled program's calls out: arguments are numbers here, and become what the helper wants.
//!
//! Nothing is checked: the verifier has found that numbers that stand for memory are addresses of as much of it as prototypes say.

use super::link::{self, Callee};
use super::{Compiled, address};
use crate::run::Surroundings;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use skep_abi::FuncId;
use skep_helpers::Env;
use skep_ir::{Metering, handle};
use skep_isa::PacketSize;
use skep_mem::{Arg, Bytes, CallbackArg, Commit, FuncIndex, Halt, Invoke, Lend, MapIndex, RecordToken, Ret};
use skep_model::platform::helper::{Arg as Wanted, Effects, Nullable};
use skep_vm::{CallEnd, Calls, Reach, StopKind};

/// An open record of a ring.
#[derive(Clone, Copy)]
struct Record {
    map: MapIndex,
    token: RecordToken,
    address: u64,
}

/// What surrounds the run of one program. A call may lead to others before it returns, so what changes is in cells.
pub(super) struct Around<'a, 'r> {
    compiled: &'a Compiled,
    env: &'a Surroundings<'r>,
    /// Whether a tail call has put another program in its place.
    went_on: Cell<bool>,
    /// Most programs hold one record at a time.
    record: Cell<Option<Record>>,
    more: RefCell<Vec<Record>>,
}

impl<'a, 'r> Around<'a, 'r> {
    pub(super) fn new(compiled: &'a Compiled, env: &'a Surroundings<'r>) -> Around<'a, 'r> {
        let (record, more) = (Cell::new(None), RefCell::new(Vec::new()));
        Around { compiled, env, went_on: Cell::new(false), record, more }
    }

    /// Tells whether a tail call has put another program in its place.
    pub(super) fn went_on(&self) -> bool {
        self.went_on.get()
    }

    /// Keeps a record that was reserved; nothing where there is no memory to note it.
    fn hold(&self, record: Record) -> Option<u64> {
        match self.record.get() {
            None => self.record.set(Some(record)),
            Some(_) => {
                let mut more = self.more.try_borrow_mut().ok()?;
                if more.try_reserve(1).is_err() {
                    let _ = self.discard(record);
                    return None;
                }
                more.push(record);
            }
        }
        Some(record.address)
    }

    /// Takes the record that starts at an address: it is released.
    fn take(&self, address: u64) -> Option<Record> {
        if let Some(record) = self.record.get().filter(|record| record.address == address) {
            self.record.set(None);
            return Some(record);
        }
        let mut more = self.more.try_borrow_mut().ok()?;
        let at = more.iter().position(|record| record.address == address)?;
        Some(more.swap_remove(at))
    }

    fn discard(&self, record: Record) -> Option<()> {
        self.env.map(record.map).ring()?.commit(record.token, Commit::Discard, 0).ok()
    }

    /// Calls a helper.
    fn answer<'l>(&self, callee: &Callee, numbers: [u64; 5], reach: &Reach<'l, 'r>) -> Result<u64, CallEnd>
    where
        'r: 'l,
    {
        let id = callee.helper.id.0;
        let unknown = CallEnd::Stop(StopKind::UnknownHelper { id });
        let env = self.env;
        let wanted = callee.prototype.args;
        let mut args = [Arg::Null; 5];
        let mut map = None;
        for ((position, arg), &wanted) in args.iter_mut().enumerate().zip(wanted) {
            *arg = self.arg(wanted, numbers, position, &mut map, (env, reach)).ok_or(unknown)?;
        }
        if self.compiled.metering == Metering::Metered {
            let def = map.map(|map| env.map(map).def());
            let (key, value) = def.map_or((0, 0), |def| (def.key_size, def.value_size));
            reach.charge(callee.prototype.work.units(&numbers, key, value))?;
        }
        let row = callee.row.ok_or(unknown)?;
        let mut lender = Lender { reach, args: numbers };
        let answered = skep_helpers::call(row, env, &args[..wanted.len().min(5)], &mut lender);
        if callee.helper.effects.has(Effects::CHANGES_PACKET) {
            self.compiled.plan.follow(env.context, env.image);
        }
        Ok(match answered.map_err(|Halt| CallEnd::Ended)? {
            Ret::Int(number) => number,
            Ret::Null => 0,
            Ret::MapValue(_, bytes) => address(bytes),
            Ret::Record(map, token, bytes) => {
                self.hold(Record { map, token, address: address(bytes) }).unwrap_or(0)
            }
        })
    }

    /// Turns a number into what a helper wants.
    fn arg<'l>(
        &self,
        wanted: Wanted,
        numbers: [u64; 5],
        position: usize,
        map: &mut Option<MapIndex>,
        (env, reach): (&Surroundings<'r>, &Reach<'l, 'r>),
    ) -> Option<Arg<'l>>
    where
        'r: 'l,
    {
        let number = numbers[position];
        let def = |map: &Option<MapIndex>| map.map(|map| env.map(map).def());
        let memory = |len: u64| lend(reach, number, usize::try_from(len).ok()?).map(Arg::Bytes);
        match wanted {
            Wanted::Any | Wanted::Unchecked | Wanted::Size(_) | Wanted::AllocSize => Some(Arg::Int(number)),
            Wanted::Ctx => Some(Arg::Ctx),
            Wanted::CtxOrNull if number == 0 => Some(Arg::Null),
            Wanted::CtxOrNull => Some(Arg::Ctx),
            Wanted::Map => {
                let index = link::of_handle(number);
                env.maps().get(index.0 as usize)?;
                *map = Some(index);
                Some(Arg::Map(index))
            }
            Wanted::MapKey => memory(def(map)?.key_size.into()),
            Wanted::MapValueOrNull if number == 0 => Some(Arg::Null),
            Wanted::MapValue | Wanted::MapValueOut | Wanted::MapValueOrNull => {
                memory(def(map)?.value_size.into())
            }
            Wanted::Mem(_, nullable) => {
                let len = numbers.get(position + 1).copied().unwrap_or(0);
                match (number, len, nullable) {
                    (0, 0, Nullable::Yes) => Some(Arg::Null),
                    _ => memory(len),
                }
            }
            Wanted::Fixed { bytes, .. } | Wanted::Header(bytes) => memory(bytes.into()),
            Wanted::Record => {
                let Record { map, token, .. } = self.take(number)?;
                Some(Arg::Record(map, token, env.map(map).ring()?.record(token)?))
            }
            Wanted::ConstStr => text(env, number).map(Arg::Bytes),
            Wanted::Func(_) => handle::function_of(number).map(|function| Arg::Func(FuncIndex(function))),
            Wanted::StackOrNull => Some(Arg::Opaque),
            // `Callee::is_known` lets no others in.
            _ => None,
        }
    }

    /// Goes on with another program, if there is one.
    fn tail_call(&self, numbers: [u64; 5]) -> Result<u64, CallEnd> {
        let [_, map, index, ..] = numbers;
        match self.env.follow(link::of_handle(map), index as u32) {
            Some(_) => {
                self.went_on.set(true);
                Err(CallEnd::Unwind(0))
            }
            None => Ok(0),
        }
    }
}

impl Drop for Around<'_, '_> {
    /// Discards what the run has left open when it was stopped, be it by a panic: nobody could submit it any more.
    fn drop(&mut self) {
        let more = core::mem::take(self.more.get_mut());
        for record in self.record.take().into_iter().chain(more) {
            let _ = self.discard(record);
        }
    }
}

impl<'r> Calls<'r> for Around<'_, 'r> {
    fn helper(&self, id: u32, args: [u64; 5], reach: &Reach<'_, 'r>) -> Result<u64, CallEnd> {
        if FuncId(id) == FuncId::TAIL_CALL {
            return self.tail_call(args);
        }
        match self.compiled.callees.iter().find(|callee| callee.helper.id.0 == id) {
            Some(callee) => self.answer(callee, args, reach),
            None => Err(CallEnd::Stop(StopKind::UnknownHelper { id })),
        }
    }

    fn word(&self) -> u64 {
        skep_vm::word(self.env)
    }

    fn packet(&self, _: u64, offset: i32, size: PacketSize) -> Result<Option<u64>, CallEnd> {
        let load = || {
            let packet = self.env.context.packet()?.data();
            let mut bytes = [0; 8];
            let len = size.size().bytes() as usize;
            packet.copy_out(usize::try_from(offset).ok()?, &mut bytes[8 - len..]).ok()?;
            Some(u64::from_be_bytes(bytes))
        };
        Ok(load())
    }
}

/// Lends memory; none of it is nowhere.
fn lend<'l>(reach: &Reach<'l, '_>, number: u64, len: usize) -> Option<Bytes<'l>> {
    match len {
        0 => Some(Bytes::empty()),
        len => reach.writable(number, len),
    }
}

/// Finds a text in one of a program's maps, its NUL included.
fn text<'l>(env: &Surroundings<'l>, number: u64) -> Option<Bytes<'l>> {
    env.maps().iter().find_map(|object| {
        let value = object.map.direct_value(0).ok()?;
        let at = usize::try_from(number).ok()?.checked_sub(value.addr())?;
        let rest = value.slice(at, value.len().checked_sub(at)?).ok()?;
        let end = (0..rest.len()).find(|&at| rest.load_u8(at) == Ok(0))?;
        rest.slice(0, end + 1).ok()
    })
}

/// What a helper may use of the run.
struct Lender<'a, 'l, 'r> {
    reach: &'a Reach<'l, 'r>,
    /// What the helper was called with.
    args: [u64; 5],
}

impl<'l> Invoke<'l> for Lender<'_, 'l, '_> {
    fn invoke(&mut self, function: FuncIndex, args: &[CallbackArg<'l>]) -> Result<u64, Halt> {
        let mut numbers = [0; 5];
        for (number, arg) in numbers.iter_mut().zip(args) {
            *number = match *arg {
                CallbackArg::Int(number) => number,
                CallbackArg::Map(map) => link::handle(map),
                CallbackArg::Key(bytes) | CallbackArg::Value(_, bytes) => address(bytes),
                CallbackArg::Pass(position) => self.args.get(position).copied().unwrap_or(0),
            };
        }
        self.reach.call_back(function.0, numbers, None).map_err(|_| Halt)
    }

    fn charge(&mut self, units: u64) -> Result<(), Halt> {
        self.reach.charge(units).map_err(|_| Halt)
    }

    fn lend(&mut self, number: u64, len: usize, _: Lend) -> Option<Bytes<'l>> {
        lend(self.reach, number, len)
    }
}
