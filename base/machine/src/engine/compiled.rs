//! What engines that run the compiler's operations have in common: compiling, the memory of a run, the calls out of it.

use super::{End, Place, Refused, Start};
use crate::callee::Callee;
use crate::error::{Detail, Stop, StopKind};
use crate::outside::{CallEnd, Engine, Outside};
use crate::setup::RegisterCalls;
use crate::{Program, Setup, SetupErrorKind, maps};
use core::cell::Cell;
use skep_exact::Rights;
use skep_ir::lower::compile as compile_for;
use skep_ir::machine::Machine as Target;
use skep_ir::ops::Code;
use skep_ir::{Access, Address, BuildErrorKind, Metering, Options, Region, Source};
use skep_isa::{Addr, InsnIdx};
use skep_mem::{Bytes, CallbackArg, Fuel, FuncIndex, Halt, Invoke, Lend};
use skep_vm::{CallEnd as VmEnd, Calls, Cpu, Reach, Regions, StopKind as VmStop};

/// What the input takes of the regions, whatever its shape: what r1 points to, and what may be touched besides.
const INPUT_REGIONS: usize = 2;

struct Link<'a, 'm, S>(&'a Setup<'m, S>);

impl<S> skep_ir::Link for Link<'_, '_, S> {
    fn address(&self, addr: Addr) -> Option<Address> {
        let Link(setup) = self;
        let (map, offset) = maps::named(&setup.maps, addr)?;
        let Some(offset) = offset else {
            return Some(Address { value: maps::handle(map), region: Region::Unknown });
        };
        let value = setup.maps.get(map.0 as usize)?.direct()?.addr() as u64 + u64::from(offset);
        // The values of maps come behind the memory that was lent, as `regions` lists them.
        let before = setup.maps[..map.0 as usize].iter().filter(|attached| attached.map.values().is_some());
        let number = INPUT_REGIONS + setup.memory.len() + before.count();
        Some(Address { value, region: u16::try_from(number).map_or(Region::Unknown, Region::Fixed) })
    }

    fn helper(&self, id: u32) -> Option<u8> {
        self.0.callees.find(id).map(|_| 5)
    }

    fn calls_back(&self, id: u32) -> bool {
        self.0.callees.find(id).is_some_and(Callee::calls_back)
    }
}

/// Every run has an end.
pub(super) const METERING: Metering = Metering::Metered;

/// Compiles a program for a target.
pub(super) fn compile<S>(setup: &Setup<'_, S>, program: &Program, target: &Target) -> Result<Code, Refused> {
    let options = Options {
        level: setup.level,
        access: access(setup),
        metering: METERING,
        stack_bytes: setup.stack_bytes,
        register_calls: setup.register_calls == RegisterCalls::Allowed,
    };
    let source = Source { program: program.code(), structure: program.structure(), link: &Link(setup) };
    compile_for(source, target, &options).map_err(|error| {
        let kind = match error.kind {
            BuildErrorKind::UnknownAddress => SetupErrorKind::UnknownMap,
            BuildErrorKind::UnknownHelper { id } => SetupErrorKind::UnknownHelper { id },
            BuildErrorKind::Unsupported { what } => SetupErrorKind::Unsupported { what },
            BuildErrorKind::FramePointer => SetupErrorKind::FramePointer,
            BuildErrorKind::TooLarge => SetupErrorKind::Unsupported { what: "a program of this size" },
            BuildErrorKind::OutOfMemory => SetupErrorKind::OutOfMemory,
            _ => SetupErrorKind::Engine,
        };
        (Some(error.at), kind)
    })
}

/// Says whether accesses are checked.
pub(super) fn access<S>(setup: &Setup<'_, S>) -> Access {
    if setup.promise.is_some() { Access::Unchecked } else { Access::Checked }
}

/// Lists what a run may touch.
fn regions<'r>(
    regions: &mut Regions<'r>,
    start: Start<'r>,
    memory: &[(Bytes<'r>, Rights)],
) -> Result<(), skep_vm::TooMany> {
    for input in [start.first, start.second] {
        regions.add_writable(input.unwrap_or(Bytes::empty()))?;
    }
    memory.iter().try_for_each(|&(bytes, rights)| match rights {
        Rights::ReadOnly => regions.add_readable(bytes),
        _ => regions.add_writable(bytes),
    })
}

/// What is run, by whichever engine.
pub(super) trait Runs {
    /// Runs it with these values in r1 to r5, and returns r0.
    fn run<'m>(
        &self,
        cpu: &mut Cpu,
        regions: &mut Regions<'m>,
        args: [u64; 5],
        fuel: &Fuel,
        calls: &dyn Calls<'m>,
    ) -> Result<u64, skep_vm::Stop>;
}

pub(super) fn run<S>(
    program: &impl Runs,
    number: usize,
    start: Start<'_>,
    place: &mut Place<'_>,
    outside: &Outside<'_, S>,
) -> Result<End, Stop> {
    let stopped = |at, kind, detail| Err(Stop::new(number, at, kind, detail));
    let mut list = core::mem::take(&mut place.scratch.regions).emptied();
    if regions(&mut list, start, &outside.machine.memory).is_err() {
        return stopped(InsnIdx::ZERO, StopKind::OutOfMemory, Detail::None);
    }
    let (r1, r2) = start.first.map_or((0, 0), |bytes| (bytes.addr() as u64, bytes.len() as u64));
    let around = Around { outside, ended: Cell::new(None) };
    let result = program.run(&mut place.scratch.cpu, &mut list, [r1, r2, 0, 0, 0], place.fuel, &around);
    let ended = around.ended.get();
    place.scratch.regions = list.emptied();
    match (ended, result) {
        (Some(CallEnd::TailCall(next)), _) => Ok(End::TailCall(next)),
        (Some(CallEnd::Stop(kind, detail)), Err(stop)) => stopped(stop.at, kind, detail),
        (_, Ok(returned)) => Ok(End::Returned(returned)),
        (_, Err(stop)) => stopped(stop.at, kind(stop.kind), Detail::Interpreter(stop.kind)),
    }
}

struct Around<'a, 'o, S> {
    outside: &'a Outside<'o, S>,
    /// How a call has ended the run, where the interpreter has no words for it.
    ended: Cell<Option<CallEnd>>,
}

impl<'m, 'o: 'm, S> Calls<'m> for Around<'_, 'o, S> {
    fn helper(&self, id: u32, args: [u64; 5], reach: &Reach<'_, 'm>) -> Result<u64, VmEnd> {
        let Some(callee) = self.outside.machine.callees.find(id) else {
            return Err(VmEnd::Stop(VmStop::BadCallTarget { found: u64::from(id) }));
        };
        self.outside.answer(callee, args, &mut Lender { reach, args }).map_err(|end| match end {
            CallEnd::Unwind(number) => VmEnd::Unwind(number),
            CallEnd::TailCall(_) => {
                self.ended.set(Some(end));
                VmEnd::Unwind(0)
            }
            CallEnd::Stop(..) => {
                self.ended.set(Some(end));
                VmEnd::Stop(VmStop::UnknownHelper { id })
            }
            CallEnd::Halt => VmEnd::Ended,
        })
    }

    fn word(&self) -> u64 {
        self.outside.word
    }
}

/// What a helper may use of the run.
struct Lender<'l, 'r, 'm> {
    reach: &'l Reach<'r, 'm>,
    /// What the helper was called with.
    args: [u64; 5],
}

impl<'r> Invoke<'r> for Lender<'_, 'r, '_> {
    fn invoke(&mut self, function: FuncIndex, args: &[CallbackArg<'r>]) -> Result<u64, Halt> {
        let mut numbers = [0; 5];
        let mut key = None;
        for (number, arg) in numbers.iter_mut().zip(args) {
            *number = match *arg {
                CallbackArg::Int(number) => number,
                CallbackArg::Map(map) => maps::handle(map),
                CallbackArg::Key(bytes) => {
                    key = Some(bytes);
                    bytes.addr() as u64
                }
                CallbackArg::Value(_, bytes) => bytes.addr() as u64,
                CallbackArg::Pass(position) => self.args.get(position).copied().unwrap_or(0),
            };
        }
        self.reach.call_back(function.0, numbers, key).map_err(|_| Halt)
    }

    fn charge(&mut self, units: u64) -> Result<(), Halt> {
        self.reach.charge(units).map_err(|_| Halt)
    }

    fn lend(&mut self, number: u64, len: usize, how: Lend) -> Option<Bytes<'r>> {
        match how {
            Lend::Read => self.reach.readable(number, len),
            Lend::Write | Lend::ReadWrite => self.reach.writable(number, len),
        }
    }
}

impl<'r, 'm, 'o: 'm> Engine<'r, 'o> for Lender<'_, 'r, 'm> {
    fn invoke(&mut self) -> &mut dyn Invoke<'r> {
        self
    }

    fn open(&mut self, bytes: Bytes<'o>) -> Result<(), Halt> {
        self.reach.open(bytes).map_err(|_| Halt)
    }

    fn close(&mut self, bytes: Bytes<'o>) {
        self.reach.close(bytes);
    }
}

fn kind(stop: VmStop) -> StopKind {
    match stop {
        VmStop::Read { .. } | VmStop::Write { .. } => StopKind::OutOfBounds,
        VmStop::Misaligned { .. } => StopKind::Misaligned,
        VmStop::Fuel => StopKind::Fuel,
        VmStop::CallDepth => StopKind::CallDepth,
        VmStop::BadCallTarget { .. } => StopKind::BadCallTarget,
        VmStop::BadArgument { .. } => StopKind::BadArgument,
        VmStop::OutOfMemory => StopKind::OutOfMemory,
        _ => StopKind::Engine,
    }
}
