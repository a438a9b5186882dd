//! The reference machine.

use super::{End, Place, Refused, Start};
use crate::error::{Detail, Stop, StopKind};
use crate::maps;
use crate::outside::{CallEnd, Engine, Outside};
use crate::setup::RegisterCalls as Allow;
use crate::{Program, Setup, SetupErrorKind};
use alloc::vec::Vec;
use core::cell::Cell;
use skep_exact::{
    CallEnd as ExactEnd, Entry, FaultKind, HelperLink, LoadErrorKind, MapRef, MapShape, Platform, Pointers,
    RegisterCalls, Rights, Rules, UninitRegisters, UninitStack, World,
};
use skep_isa::{Addr, InsnIdx};
use skep_mem::{Arg, Bytes, Halt, Invoke, MapIndex, Ret};

struct Link<'a, 'm, S> {
    setup: &'a Setup<'m, S>,
    shapes: Vec<MapShape>,
}

impl<S> Platform for Link<'_, '_, S> {
    fn map(&self, map: MapRef) -> Option<MapIndex> {
        let addr = match map {
            MapRef::Fd(fd) => Addr::MapFd { fd },
            MapRef::Index(index) => Addr::MapIndex { index },
        };
        maps::named(&self.setup.maps, addr).map(|(map, _)| map)
    }

    fn maps(&self) -> &[MapShape] {
        &self.shapes
    }

    fn helper(&self, id: u32) -> HelperLink {
        self.setup.callees.find(id).map_or(HelperLink::Refused(None), |_| HelperLink::Plain)
    }
}

pub(super) fn compile<S>(setup: &Setup<'_, S>, program: &Program) -> Result<skep_exact::Program, Refused> {
    let register_calls = match setup.register_calls {
        Allow::Refused => RegisterCalls::Refused,
        Allow::Allowed => RegisterCalls::Allowed(setup.callees.own_numbers().collect()),
    };
    let rules = Rules {
        uninit_stack: UninitStack::Zero,
        uninit_registers: UninitRegisters::Zero,
        pointers: Pointers::Numbers,
        register_calls,
        ..Rules::default()
    };
    let shapes = setup.maps.iter().map(|attached| attached.shape()).collect();
    skep_exact::Program::link(program.code(), &Link { setup, shapes }, rules).map_err(|error| {
        let kind = match error.kind {
            LoadErrorKind::OutOfMemory => SetupErrorKind::OutOfMemory,
            LoadErrorKind::FramePointer => SetupErrorKind::FramePointer,
            LoadErrorKind::UnknownHelper { id, .. } => SetupErrorKind::UnknownHelper { id },
            LoadErrorKind::UnknownMap(_) => SetupErrorKind::UnknownMap,
            LoadErrorKind::MapValueOffset { offset, .. } => SetupErrorKind::MapValue { offset },
            LoadErrorKind::Unsupported { what } => SetupErrorKind::Unsupported { what },
            _ => SetupErrorKind::Engine,
        };
        (Some(error.at), kind)
    })
}

/// What surrounds a run.
struct Around<'a, 'o, 'r, S> {
    outside: &'a Outside<'o, S>,
    start: Start<'r>,
    maps: &'r [maps::Attached<'r>],
    memory: &'r [(Bytes<'r>, Rights)],
    /// How a call has ended the run, where the reference machine has no words for it.
    ended: Cell<Option<CallEnd>>,
}

impl<'o: 'r, 'r, S> World<'r> for Around<'_, 'o, 'r, S> {
    fn call(&self, id: u32, args: &[Arg<'r>], invoke: &mut dyn Invoke<'r>) -> Result<Ret<'r>, ExactEnd> {
        let number = |position: usize| match args.get(position) {
            Some(Arg::Int(number)) => *number,
            _ => 0,
        };
        let numbers = core::array::from_fn(number);
        self.outside.call(id, numbers, &mut Waiting(invoke)).map(Ret::Int).map_err(|end| match end {
            CallEnd::Unwind(number) => ExactEnd::Unwind(number),
            CallEnd::TailCall(_) => {
                self.ended.set(Some(end));
                ExactEnd::Unwind(0)
            }
            CallEnd::Stop(..) => {
                self.ended.set(Some(end));
                Halt.into()
            }
            CallEnd::Halt => Halt.into(),
        })
    }

    fn map_value(&self, map: MapIndex) -> Option<Bytes<'r>> {
        self.maps.get(map.0 as usize)?.direct()
    }

    fn memory_at(&self, address: u64, len: usize) -> Option<(Bytes<'r>, Rights)> {
        let address = usize::try_from(address).ok()?;
        let input = [self.start.first, self.start.second].into_iter().flatten();
        let mut all = input.map(|bytes| (bytes, Rights::ReadWrite)).chain(self.memory.iter().copied());
        let found = all.find_map(|(bytes, rights)| {
            let offset = address.checked_sub(bytes.addr())?;
            bytes.slice(offset, len).ok().map(|bytes| (bytes, rights))
        });
        found.or_else(|| Some((self.outside.record_at(address, len)?, Rights::ReadWrite)))
    }
}

/// A run that waits for a call; what it may touch of records, [`Around::memory_at`] looks up.
struct Waiting<'a, 'l>(&'a mut dyn Invoke<'l>);

impl<'l, 'r> Engine<'l, 'r> for Waiting<'_, 'l> {
    fn invoke(&mut self) -> &mut dyn Invoke<'l> {
        self.0
    }

    fn open(&mut self, _: Bytes<'r>) -> Result<(), Halt> {
        Ok(())
    }

    fn close(&mut self, _: Bytes<'r>) {}
}

pub(super) fn run<S>(
    program: &skep_exact::Program,
    number: usize,
    start: Start<'_>,
    place: &mut Place<'_>,
    outside: &Outside<'_, S>,
) -> Result<End, Stop> {
    let no_memory = |_| Stop::new(number, InsnIdx::ZERO, StopKind::OutOfMemory, Detail::None);
    let before = place.scratch.executed.unwrap_or(0);
    let stack = place.scratch.exact(place.stack_bytes).map_err(no_memory)?;
    let machine = outside.machine;
    let around =
        Around { outside, start, maps: &machine.maps, memory: &machine.memory, ended: Cell::new(None) };
    let entry = start.first.map_or(Entry::Nothing, Entry::Memory);
    let outcome = skep_exact::run(program, &around, stack, entry, place.fuel);
    place.scratch.executed = Some(before.saturating_add(outcome.executed));
    match (around.ended.get(), outcome.result) {
        (Some(CallEnd::TailCall(next)), _) => Ok(End::TailCall(next)),
        (Some(CallEnd::Stop(kind, detail)), Err(fault)) => Err(Stop::new(number, fault.at, kind, detail)),
        (_, Ok(returned)) => Ok(End::Returned(returned)),
        (_, Err(fault)) => Err(Stop::new(number, fault.at, kind(fault.kind), Detail::Exact(fault.kind))),
    }
}

fn kind(fault: FaultKind) -> StopKind {
    match fault {
        FaultKind::OutOfBounds { .. }
        | FaultKind::NullPointer { .. }
        | FaultKind::NotAPointer { .. }
        | FaultKind::NotMemory { .. }
        | FaultKind::UseAfterFree { .. }
        | FaultKind::NoRight { .. } => StopKind::OutOfBounds,
        FaultKind::Misaligned { .. } => StopKind::Misaligned,
        FaultKind::Fuel => StopKind::Fuel,
        FaultKind::CallDepth => StopKind::CallDepth,
        FaultKind::BadCallTarget { .. } => StopKind::BadCallTarget,
        FaultKind::BadArgument { .. } => StopKind::BadArgument,
        FaultKind::OutOfMemory => StopKind::OutOfMemory,
        _ => StopKind::Engine,
    }
}
