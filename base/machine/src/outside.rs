//! A program's calls out, the same for every engine: arguments are numbers here, and become what the callee wants.

use crate::callee::{Callee, Linux};
use crate::error::{Detail, StopKind};
use crate::helper::{Args, Caller, Function, HelperEnd, How, Param, Value, Waits};
use crate::machine::Machine;
use crate::maps::{self, Surroundings};
use alloc::vec::Vec;
use core::cell::{Cell, OnceCell, RefCell, RefMut};
use skep_ir::handle;
use skep_maps::RingBuf;
use skep_mem::{
    Arg, Bytes, CallbackArg, Commit, FuncIndex, Halt, Invoke, Lend, MapIndex, OnCpu, RecordToken, Ret,
};
use skep_model::platform::helper::{Arg as Wanted, MemAccess, Nullable, Zero};

/// How many programs may follow one another (`MAX_TAIL_CALL_CNT` in `include/linux/bpf.h`).
pub(crate) const MAX_TAIL_CALLS: u32 = 33;

/// What a call of an embedder's helper costs, besides what its memory does.
pub(crate) const CALL_UNITS: u32 = 1;

/// A number of bytes from which on Linux calls a size unbounded (`BPF_MAX_VAR_SIZ` in
/// `include/linux/bpf_verifier.h`).
const MAX_SIZE: u64 = 1 << 29;

/// How a call ended the run of its program.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CallEnd {
    /// The run returns this number.
    Unwind(u64),
    /// Another program goes on.
    TailCall(usize),
    /// The run is stopped.
    Stop(StopKind, Detail),
    /// The run has ended already: the fuel is spent.
    Halt,
}

impl From<Halt> for CallEnd {
    fn from(Halt: Halt) -> CallEnd {
        CallEnd::Halt
    }
}

/// How many records of rings a run may hold open at once; where there are more, rings are full.
const MAX_RECORDS: usize = 64;

/// A run that waits for a call to be answered. `'l` is the life of what it lends, `'r` that of what it may hold.
pub(crate) trait Engine<'l, 'r> {
    /// Gives what helpers may do with the run.
    fn invoke(&mut self) -> &mut dyn Invoke<'l>;

    /// Lets the program touch memory.
    fn open(&mut self, bytes: Bytes<'r>) -> Result<(), Halt>;

    /// Takes memory away again.
    fn close(&mut self, bytes: Bytes<'r>);
}

/// An open record of a ring.
#[derive(Clone, Copy)]
struct Record<'r> {
    ring: &'r RingBuf,
    map: MapIndex,
    token: RecordToken,
    bytes: Bytes<'r>,
}

/// What surrounds a run. A call may lead to others before it returns, so what changes is in cells.
pub(crate) struct Outside<'r, S> {
    pub(crate) machine: &'r Machine<'r, S>,
    state: RefCell<&'r mut S>,
    /// Is where the run is, from the first helper of Linux's on: the others need no logical CPU.
    on: OnceCell<OnCpu<'r>>,
    tail_calls: Cell<u32>,
    /// Names the program that runs.
    program: Cell<usize>,
    records: RefCell<Vec<Record<'r>>>,
    /// Is what plain helpers get besides their arguments.
    pub(crate) word: u64,
}

impl<'r, S> Outside<'r, S> {
    pub(crate) fn new(machine: &'r Machine<'r, S>, state: &'r mut S, word: u64) -> Self {
        Outside {
            machine,
            state: RefCell::new(state),
            on: OnceCell::new(),
            tail_calls: Cell::new(0),
            program: Cell::new(0),
            records: RefCell::new(Vec::new()),
            word,
        }
    }

    /// Notes which program runs from now on.
    pub(crate) fn switch(&self, program: usize) {
        self.program.set(program);
    }

    /// Calls what is called `id`; `engine` lends memory and takes fuel.
    pub(crate) fn call<'l>(
        &self,
        id: u32,
        numbers: [u64; 5],
        engine: &mut dyn Engine<'l, 'r>,
    ) -> Result<u64, CallEnd>
    where
        'r: 'l,
    {
        match self.machine.callees.find(id) {
            Some(callee) => self.answer(callee, numbers, engine),
            None => Err(stop(StopKind::BadCallTarget, Detail::None)),
        }
    }

    /// Calls a callee.
    pub(crate) fn answer<'l>(
        &self,
        callee: &Callee<'_, S>,
        numbers: [u64; 5],
        engine: &mut dyn Engine<'l, 'r>,
    ) -> Result<u64, CallEnd>
    where
        'r: 'l,
    {
        match callee {
            Callee::Own(helper) => {
                let bad = |position| stop(StopKind::BadArgument, Detail::Argument(helper.name(), position));
                let failed = |why| stop(StopKind::Helper, Detail::Helper(helper.name(), why));
                let engine = engine.invoke();
                let marshalled = own_args(helper.params(), numbers, self.functions(), engine);
                let (args, units) = marshalled.map_err(bad)?;
                engine.charge(units)?;
                let result = match helper.how() {
                    How::Plain(run) => {
                        let state = self.state.try_borrow_mut();
                        let mut state = state.map_err(|_| failed("the state is in use"))?;
                        run(&mut state, &args)
                    }
                    How::Direct(function) => {
                        let [a, b, c, d, e] = core::array::from_fn(|position| args.int(position));
                        Ok(function(a, b, c, d, e, self.word))
                    }
                    How::Calling(run) => run(&mut Caller::new(&mut Calling { outside: self, engine }), &args),
                };
                result.map_err(|end| match end {
                    HelperEnd::Unwind(number) => CallEnd::Unwind(number),
                    HelperEnd::Fail(why) => failed(why),
                    HelperEnd::Argument(position) => bad(position),
                    HelperEnd::Ended => CallEnd::Halt,
                })
            }
            Callee::Linux(linux) => self.linux(*linux, numbers, engine),
            Callee::TailCall => {
                let index = usize::try_from(numbers[2] & 0xffff_ffff).unwrap_or(usize::MAX);
                let before = self.tail_calls.get();
                if index >= self.machine.programs.len() || before >= MAX_TAIL_CALLS {
                    return Ok(u64::MAX);
                }
                self.tail_calls.set(before + 1);
                Err(CallEnd::TailCall(index))
            }
        }
    }

    /// Counts the functions of the program that runs.
    fn functions(&self) -> u32 {
        self.machine.functions.get(self.program.get()).copied().unwrap_or(0)
    }

    /// Finds memory of an open record.
    pub(crate) fn record_at(&self, address: usize, len: usize) -> Option<Bytes<'r>> {
        let records = self.records.try_borrow().ok()?;
        records.iter().find_map(|record| {
            let offset = address.checked_sub(record.bytes.addr())?;
            record.bytes.slice(offset, len).ok()
        })
    }

    /// Lets the program touch a record that was reserved; nothing where it holds too many.
    fn hold<'l>(
        &self,
        map: MapIndex,
        token: RecordToken,
        engine: &mut dyn Engine<'l, 'r>,
    ) -> Result<Option<u64>, CallEnd> {
        let ring = self.machine.maps.get(map.0 as usize).and_then(|attached| attached.map.ring());
        let Some((ring, bytes)) = ring.and_then(|ring| Some((ring, ring.record(token)?))) else {
            return Ok(None);
        };
        let mut records = self.records.try_borrow_mut().map_err(|_| Halt)?;
        if records.len() >= MAX_RECORDS || records.try_reserve(1).is_err() {
            let _ = ring.commit(token, Commit::Discard, 0);
            return Ok(None);
        }
        records.push(Record { ring, map, token, bytes });
        drop(records);
        engine.open(bytes)?;
        Ok(Some(bytes.addr() as u64))
    }

    /// Finds the open record that starts at an address.
    fn record(&self, address: u64) -> Option<Record<'r>> {
        let records = self.records.try_borrow().ok()?;
        records.iter().find(|record| record.bytes.addr() as u64 == address).copied()
    }

    /// Takes a record away that was given back.
    fn release<'l>(&self, token: RecordToken, engine: &mut dyn Engine<'l, 'r>) {
        let Ok(mut records) = self.records.try_borrow_mut() else { return };
        if let Some(at) = records.iter().position(|record| record.token == token) {
            let record = records.swap_remove(at);
            engine.close(record.bytes);
        }
    }

    fn linux<'l>(
        &self,
        linux: Linux,
        numbers: [u64; 5],
        engine: &mut dyn Engine<'l, 'r>,
    ) -> Result<u64, CallEnd>
    where
        'r: 'l,
    {
        let bad = |position| stop(StopKind::BadArgument, Detail::Argument(linux.name, position));
        let failed = |why| stop(StopKind::Helper, Detail::Helper(linux.name, why));
        let Some(host) = self.machine.host else {
            return Err(failed("there is no host"));
        };
        let on = self.on.get_or_init(|| OnCpu::enter(host.cpus()));
        let mut args = [Arg::Null; 5];
        let mut map = None;
        let wanted = linux.prototype.args;
        for (position, (&wanted, arg)) in wanted.iter().zip(&mut args).enumerate() {
            let marshal = Marshal { outside: self, linux, numbers, position };
            *arg = marshal.arg(wanted, &mut map, engine.invoke()).ok_or(bad(position as u8))?;
        }
        let def = map.and_then(|MapIndex(map)| self.machine.maps.get(map as usize)).map(|map| map.def);
        let (key, value) = def.map_or((0, 0), |def| (def.key_size, def.value_size));
        engine.invoke().charge(linux.prototype.work.units(&numbers, key, value))?;
        let env = Surroundings { host, on, maps: &self.machine.maps };
        let args = &args[..wanted.len().min(5)];
        let ret = skep_helpers::call(linux.row, &env, args, engine.invoke())?;
        for arg in args {
            if let Arg::Record(_, token, _) = arg {
                self.release(*token, engine);
            }
        }
        match ret {
            Ret::Int(number) => Ok(number),
            Ret::Null => Ok(0),
            Ret::MapValue(_, bytes) => Ok(bytes.addr() as u64),
            Ret::Record(map, token, _) => Ok(self.hold(map, token, engine)?.unwrap_or(0)),
        }
    }
}

impl<S> Drop for Outside<'_, S> {
    /// Discards what the run has left open, be it by a panic: nobody could submit it any more, and its ring would be stuck.
    fn drop(&mut self) {
        for record in self.records.get_mut().drain(..) {
            // It is open, for nobody else ends records of this run.
            let _ = record.ring.commit(record.token, Commit::Discard, 0);
        }
    }
}

/// The way of a helper of the embedder's back into the program.
struct Calling<'c, 'l, 'r, S> {
    outside: &'c Outside<'r, S>,
    engine: &'c mut dyn Invoke<'l>,
}

impl<S> Waits<S> for Calling<'_, '_, '_, S> {
    fn state(&mut self) -> RefMut<'_, S> {
        RefMut::map(self.outside.state.borrow_mut(), |state| &mut **state)
    }

    fn call(&mut self, function: FuncIndex, args: [u64; 5]) -> Result<u64, Halt> {
        self.engine.invoke(function, &args.map(CallbackArg::Int))
    }
}

fn stop(kind: StopKind, detail: Detail) -> CallEnd {
    CallEnd::Stop(kind, detail)
}

/// Turns numbers into what a helper of the embedder's wants, and tells what the call costs; an error is the position of
/// an argument that cannot be used.
fn own_args<'r>(
    params: &[Param],
    numbers: [u64; 5],
    functions: u32,
    engine: &mut dyn Invoke<'r>,
) -> Result<(Args<'r>, u64), u8> {
    let mut values = numbers.map(Value::Int);
    let mut units = u64::from(CALL_UNITS);
    for (position, (&param, &number)) in params.iter().zip(&numbers).enumerate() {
        let bytes = match param {
            Param::Int | Param::Len => continue,
            Param::Memory(how) => {
                let len = numbers.get(position + 1).copied().unwrap_or(0);
                lend(number, len, how, engine)
            }
            Param::Fixed(how, len) => lend(number, u64::from(len), how, engine),
            Param::Function => {
                let function = function(number, functions).ok_or(position as u8)?;
                values[position] = Value::Function(Function(function));
                continue;
            }
            Param::Str(_) if number == 0 => {
                values[position] = Value::Null;
                continue;
            }
            Param::Str(most) => string(number, most, engine),
        };
        let bytes = bytes.ok_or(position as u8)?;
        units += bytes.len().div_ceil(8) as u64;
        values[position] = Value::Bytes(bytes);
    }
    Ok((Args::new(values), units))
}

/// Finds the function that a number names, of so many.
fn function(number: u64, functions: u32) -> Option<FuncIndex> {
    handle::function_of(number).filter(|function| *function < functions).map(FuncIndex)
}

/// Lends memory; none of it is nowhere.
fn lend<'r>(number: u64, len: u64, how: Lend, engine: &mut dyn Invoke<'r>) -> Option<Bytes<'r>> {
    match usize::try_from(len).ok()? {
        0 => Some(Bytes::empty()),
        len => engine.lend(number, len, how),
    }
}

/// Lends a string without its NUL.
fn string<'r>(number: u64, most: u32, engine: &mut dyn Invoke<'r>) -> Option<Bytes<'r>> {
    for len in 0..most {
        let byte = engine.lend(number.checked_add(u64::from(len))?, 1, Lend::Read)?;
        if byte.load_u8(0) == Ok(0) {
            return lend(number, u64::from(len), Lend::Read, engine);
        }
    }
    None
}

/// Turns one number into what a helper of Linux's wants.
struct Marshal<'a, 'r, S> {
    outside: &'a Outside<'r, S>,
    linux: Linux,
    numbers: [u64; 5],
    position: usize,
}

impl<'r, S> Marshal<'_, 'r, S> {
    fn arg<'l>(
        &self,
        wanted: Wanted,
        map: &mut Option<MapIndex>,
        engine: &mut dyn Invoke<'l>,
    ) -> Option<Arg<'l>>
    where
        'r: 'l,
    {
        let number = self.numbers[self.position];
        let all = &self.outside.machine.maps;
        let def = map.and_then(|MapIndex(map)| all.get(map as usize)).map(|map| map.def);
        let mut memory = |len: u64, how| Some(lend(number, len, how, engine)).flatten().map(Arg::Bytes);
        match def.map_or(wanted, |def| wanted.of_map(def.map_type)) {
            Wanted::Any | Wanted::Unchecked => Some(Arg::Int(number)),
            Wanted::Map => {
                let index = maps::of_handle(number)?;
                let attached = all.get(index.0 as usize)?;
                if !self.linux.prototype.maps.contains(attached.def.map_type) {
                    return None;
                }
                *map = Some(index);
                Some(Arg::Map(index))
            }
            Wanted::MapKey => memory(u64::from(def?.key_size), Lend::Read),
            Wanted::MapValue => memory(u64::from(def?.value_size), Lend::Read),
            Wanted::MapValueOut => memory(u64::from(def?.value_size), Lend::Write),
            Wanted::Mem(access, nullable) => {
                let len = self.numbers.get(self.position + 1).copied().filter(|&len| len < MAX_SIZE)?;
                match (number, len, nullable) {
                    (0, 0, Nullable::Yes) => Some(Arg::Null),
                    _ => memory(len, how(access)),
                }
            }
            Wanted::Fixed { bytes, access } => {
                let aligned = number % u64::from(bytes.max(1)) == 0;
                memory(u64::from(bytes), how(access)).filter(|_| aligned)
            }
            Wanted::Size(zero) => match (number, zero) {
                (0, Zero::Refused) | (MAX_SIZE.., _) => None,
                _ => Some(Arg::Int(number)),
            },
            Wanted::AllocSize => Some(Arg::Int(number)),
            Wanted::Record => {
                let Record { map, token, bytes, .. } = self.outside.record(number)?;
                Some(Arg::Record(map, token, bytes))
            }
            Wanted::Func(_) => function(number, self.outside.functions()).map(Arg::Func),
            Wanted::StackOrNull => Some(Arg::Opaque),
            // `Linux::find` lets no others in.
            _ => None,
        }
    }
}

fn how(access: MemAccess) -> Lend {
    match access {
        MemAccess::Read => Lend::Read,
        MemAccess::Write => Lend::Write,
        MemAccess::ReadWrite => Lend::ReadWrite,
    }
}
