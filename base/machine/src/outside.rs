//! A program's calls out, the same for every engine: arguments are numbers here, and become what the callee wants.

use crate::callee::{Callee, Linux};
use crate::error::{Detail, StopKind};
use crate::helper::{Args, HelperEnd, Param, Value};
use crate::machine::Machine;
use crate::maps::{self, Surroundings};
use skep_mem::{Arg, Bytes, Halt, Invoke, Lend, MapIndex, OnCpu, Ret};
use skep_model::platform::helper::{Arg as Wanted, MemAccess, Nullable, Zero};

/// How many programs may follow one another (`MAX_TAIL_CALL_CNT` in `include/linux/bpf.h`).
pub(crate) const MAX_TAIL_CALLS: u32 = 33;

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

/// What surrounds a run.
pub(crate) struct Outside<'r, S> {
    pub(crate) machine: &'r Machine<'r, S>,
    pub(crate) state: &'r mut S,
    pub(crate) on: Option<&'r OnCpu<'r>>,
    pub(crate) tail_calls: u32,
}

impl<'r, S> Outside<'r, S> {
    /// Calls what is called `id`; `engine` lends memory and takes fuel.
    pub(crate) fn call<'l>(
        &mut self,
        id: u32,
        numbers: [u64; 5],
        engine: &mut dyn Invoke<'l>,
    ) -> Result<u64, CallEnd>
    where
        'r: 'l,
    {
        match self.machine.callees.find(id) {
            Some(Callee::Own(helper)) => {
                let bad = |position| stop(StopKind::BadArgument, Detail::Argument(helper.name(), position));
                let (args, units) = own_args(helper.params(), numbers, engine).map_err(bad)?;
                engine.charge(units)?;
                helper.call(self.state, &args).map_err(|end| match end {
                    HelperEnd::Unwind(number) => CallEnd::Unwind(number),
                    HelperEnd::Fail(why) => stop(StopKind::Helper, Detail::Helper(helper.name(), why)),
                    HelperEnd::Argument(position) => bad(position),
                })
            }
            Some(Callee::Linux(linux)) => self.linux(*linux, numbers, engine),
            Some(Callee::TailCall) => {
                let index = usize::try_from(numbers[2] & 0xffff_ffff).unwrap_or(usize::MAX);
                if index >= self.machine.programs.len() || self.tail_calls >= MAX_TAIL_CALLS {
                    return Ok(u64::MAX);
                }
                self.tail_calls += 1;
                Err(CallEnd::TailCall(index))
            }
            None => Err(stop(StopKind::BadCallTarget, Detail::None)),
        }
    }

    fn linux<'l>(&self, linux: Linux, numbers: [u64; 5], engine: &mut dyn Invoke<'l>) -> Result<u64, CallEnd>
    where
        'r: 'l,
    {
        let bad = |position| stop(StopKind::BadArgument, Detail::Argument(linux.name, position));
        let failed = |why| stop(StopKind::Helper, Detail::Helper(linux.name, why));
        let (Some(host), Some(on)) = (self.machine.host, self.on) else {
            return Err(failed("there is no host"));
        };
        let mut args = [Arg::Null; 5];
        let mut map = None;
        let wanted = linux.prototype.args;
        for (position, (&wanted, arg)) in wanted.iter().zip(&mut args).enumerate() {
            let marshal = Marshal { machine: self.machine, linux, numbers, position };
            *arg = marshal.arg(wanted, &mut map, engine).ok_or(bad(position as u8))?;
        }
        let def = map.and_then(|MapIndex(map)| self.machine.maps.get(map as usize)).map(|map| map.map.def());
        let (key, value) = def.map_or((0, 0), |def| (def.key_size, def.value_size));
        engine.charge(linux.prototype.work.units(&numbers, key, value))?;
        let env = Surroundings { host, on, maps: &self.machine.maps };
        match skep_helpers::call(linux.row, &env, &args[..wanted.len().min(5)], engine)? {
            Ret::Int(number) => Ok(number),
            Ret::Null => Ok(0),
            Ret::MapValue(_, bytes) => Ok(bytes.addr() as u64),
            Ret::Record(..) => Err(failed("records are not given out here")),
        }
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
    engine: &mut dyn Invoke<'r>,
) -> Result<(Args<'r>, u64), u8> {
    let mut values = numbers.map(Value::Int);
    let mut units = 1;
    for (position, (&param, &number)) in params.iter().zip(&numbers).enumerate() {
        let bytes = match param {
            Param::Int | Param::Len => continue,
            Param::Memory(how) => {
                let len = numbers.get(position + 1).copied().unwrap_or(0);
                lend(number, len, how, engine)
            }
            Param::Fixed(how, len) => lend(number, u64::from(len), how, engine),
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
    machine: &'a Machine<'r, S>,
    linux: Linux,
    numbers: [u64; 5],
    position: usize,
}

impl<S> Marshal<'_, '_, S> {
    fn arg<'l>(
        &self,
        wanted: Wanted,
        map: &mut Option<MapIndex>,
        engine: &mut dyn Invoke<'l>,
    ) -> Option<Arg<'l>> {
        let number = self.numbers[self.position];
        let def = map.and_then(|MapIndex(map)| self.machine.maps.get(map as usize)).map(|map| map.map.def());
        let mut memory = |len: u64, how| Some(lend(number, len, how, engine)).flatten().map(Arg::Bytes);
        match wanted {
            Wanted::Any | Wanted::Unchecked => Some(Arg::Int(number)),
            Wanted::Map => {
                let mut maps = (0..).map(MapIndex).zip(&self.machine.maps);
                let (index, attached) = maps.find(|(index, _)| maps::handle(*index) == number)?;
                if !self.linux.prototype.maps.contains(attached.map.def().map_type) {
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
