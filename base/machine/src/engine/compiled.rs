//! What engines that run the compiler's operations have in common: compiling, the memory of a run, the calls out of it.

use super::{End, Place, Refused, Start};
use crate::error::{Detail, Stop, StopKind};
use crate::outside::{CallEnd, Outside};
use crate::setup::RegisterCalls;
use crate::{Program, Setup, SetupErrorKind, maps};
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
    fn run(
        &self,
        cpu: &mut Cpu,
        regions: &mut Regions<'_>,
        args: [u64; 5],
        fuel: &Fuel,
        calls: &mut dyn Calls,
    ) -> Result<u64, skep_vm::Stop>;
}

pub(super) fn run<S>(
    program: &dyn Runs,
    number: usize,
    start: Start<'_>,
    place: &mut Place<'_>,
    outside: &mut Outside<'_, S>,
) -> Result<End, Stop> {
    let stopped = |at, kind, detail| Err(Stop::new(number, at, kind, detail));
    let mut list = core::mem::take(&mut place.scratch.regions).emptied();
    if regions(&mut list, start, &outside.machine.memory).is_err() {
        return stopped(InsnIdx::ZERO, StopKind::OutOfMemory, Detail::None);
    }
    let (r1, r2) = start.first.map_or((0, 0), |bytes| (bytes.addr() as u64, bytes.len() as u64));
    let mut around = Around { outside, ended: None };
    let result = program.run(&mut place.scratch.cpu, &mut list, [r1, r2, 0, 0, 0], place.fuel, &mut around);
    let ended = around.ended;
    place.scratch.regions = list.emptied();
    match (ended, result) {
        (Some(CallEnd::TailCall(next)), _) => Ok(End::TailCall(next)),
        (Some(CallEnd::Stop(kind, detail)), Err(stop)) => stopped(stop.at, kind, detail),
        (_, Ok(returned)) => Ok(End::Returned(returned)),
        (_, Err(stop)) => stopped(stop.at, kind(stop.kind), Detail::Interpreter(stop.kind)),
    }
}

struct Around<'a, 'o, S> {
    outside: &'a mut Outside<'o, S>,
    /// How a call has ended the run, where the interpreter has no words for it.
    ended: Option<CallEnd>,
}

impl<S> Calls for Around<'_, '_, S> {
    fn helper(&mut self, id: u32, args: [u64; 5], reach: &Reach<'_>) -> Result<u64, VmEnd> {
        if self.outside.machine.callees.find(id).is_none() {
            return Err(VmEnd::Stop(VmStop::BadCallTarget { found: u64::from(id) }));
        }
        self.outside.call(id, args, &mut Lender(reach)).map_err(|end| match end {
            CallEnd::Unwind(number) => VmEnd::Unwind(number),
            CallEnd::TailCall(_) => {
                self.ended = Some(end);
                VmEnd::Unwind(0)
            }
            CallEnd::Stop(..) => {
                self.ended = Some(end);
                VmEnd::Stop(VmStop::UnknownHelper { id })
            }
            CallEnd::Halt => VmEnd::Stop(VmStop::Fuel),
        })
    }
}

/// What a helper may use of the run.
struct Lender<'l, 'r>(&'l Reach<'r>);

impl<'l> Invoke<'l> for Lender<'l, '_> {
    fn invoke(&mut self, _: FuncIndex, _: &[CallbackArg<'l>]) -> Result<u64, Halt> {
        // No helper that calls back is let in.
        Err(Halt)
    }

    fn charge(&mut self, units: u64) -> Result<(), Halt> {
        self.0.charge(units).map_err(|_| Halt)
    }

    fn lend(&mut self, number: u64, len: usize, how: Lend) -> Option<Bytes<'l>> {
        match how {
            Lend::Read => self.0.readable(number, len),
            Lend::Write | Lend::ReadWrite => self.0.writable(number, len),
        }
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
