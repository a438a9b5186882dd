//! One run of a program, on whichever engine it is for: what it needs from outside.

use crate::compiled::{End, Scratch};
use crate::context::Context;
use crate::map::MapObject;
use crate::prog::Prog;
use alloc::sync::Arc;
use core::cell::{Cell, OnceCell};
use skep_abi::{Errno, FuncId, MAX_TAIL_CALLS};
use skep_exact::{CallEnd, CtxValue, Entry, Fault, Fuel, Stack, World};
use skep_helpers::Env;
use skep_isa::Size;
use skep_maps::Map;
use skep_mem::{Arg, Bytes, Host, Invoke, MapIndex, OnCpu, Ret, Shared};
use skep_model::platform::context::Landing;

/// The programs that tail calls of one run have led to, kept alive until it ends.
type Holds = [OnceCell<Shared<Prog>>; MAX_TAIL_CALLS as usize + 1];

/// What surrounds the run of a program, whichever engine runs it.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'r> {
    pub(crate) host: &'r Arc<dyn Host>,
    pub(crate) on: &'r OnCpu<'r>,
    /// The program's maps, by the positions that its engine hands out.
    pub(crate) maps: &'r [Shared<MapObject>],
    pub(crate) context: &'r Context<'r>,
    pub(crate) cookie: u64,
}

/// What runs need besides what surrounds them.
pub(crate) struct Engines<'s> {
    pub(crate) scratch: &'s mut Scratch,
    /// Lends the reference machine's stack.
    pub(crate) stack: &'s mut dyn FnMut() -> Result<&'s Stack, Errno>,
}

/// What a run came to.
pub(crate) enum Ran {
    Returned(u64),
    /// It was stopped, after so many instructions as far as its engine counts them.
    Stopped(Fault, u64),
    /// There is no memory for it.
    NoMemory,
}

/// Runs a program once, and those that take its place.
pub(crate) fn run(prog: &Prog, env: &Surroundings<'_>, engines: Engines<'_>, fuel: u64) -> Ran {
    let Engines { scratch, stack } = engines;
    let first = prog.body.compiled.as_ref().filter(|compiled| compiled.takes(env));
    match first.and_then(|compiled| compiled.run_alone(prog, env, scratch)) {
        Some(Ok(value)) => return Ran::Returned(value),
        Some(Err(fault)) => return Ran::Stopped(fault, 0),
        None => {}
    }
    let fuel = Fuel::new(fuel);
    let mut next: Option<Shared<Prog>> = None;
    let mut tail_calls = 0;
    loop {
        let prog = next.as_deref().unwrap_or(prog);
        let env = Surroundings { maps: &prog.body.maps, ..*env };
        let Some(compiled) = prog.body.compiled.as_ref().filter(|compiled| compiled.takes(&env)) else {
            let Ok(stack) = stack() else { return Ran::NoMemory };
            return exactly(prog, &env, stack, &fuel, tail_calls);
        };
        let find = |map: MapIndex, index: u32| {
            if tail_calls < MAX_TAIL_CALLS { program_in(env.maps, map, index) } else { None }
        };
        let went_on = match compiled.run(prog, &env, scratch, &fuel, &find) {
            Ok(End::Returned(value)) => return Ran::Returned(value),
            Ok(End::TailCall(found)) => found,
            Err(fault) => return Ran::Stopped(fault, 0),
        };
        tail_calls += 1;
        next = Some(went_on);
    }
}

/// Finds a program in an array of programs.
fn program_in(maps: &[Shared<MapObject>], map: MapIndex, index: u32) -> Option<Shared<Prog>> {
    let entry = maps.get(map.0 as usize)?.map.objects()?.read(index)?;
    entry.object.clone().downcast::<Prog>().ok()
}

/// Runs a program, and those that take its place, on the reference machine.
fn exactly(prog: &Prog, env: &Surroundings<'_>, stack: &Stack, fuel: &Fuel, tail_calls: u32) -> Ran {
    let holds: Holds = [const { OnceCell::new() }; MAX_TAIL_CALLS as usize + 1];
    let left = Cell::new(MAX_TAIL_CALLS - tail_calls);
    let run = Run { env: Cell::new(*env), first: prog, prog: Cell::new(prog), holds: &holds, left };
    let outcome = skep_exact::run(&prog.body.code, &run, stack, Entry::Context, fuel);
    match outcome.result {
        Ok(value) => Ran::Returned(value),
        Err(fault) => Ran::Stopped(fault, outcome.executed),
    }
}

impl<'r> Env<'r> for Surroundings<'r> {
    fn host(&self) -> &dyn Host {
        &**self.host
    }

    fn on(&self) -> &OnCpu<'_> {
        self.on
    }

    fn map(&self, map: MapIndex) -> &'r dyn Map {
        // Engines hand out positions in this very list; tail calls change program and list together.
        &*self.maps[map.0 as usize].map
    }

    fn packet(&self) -> Option<&skep_helpers::Packet<'r>> {
        self.context.packet()
    }

    fn attach_cookie(&self) -> u64 {
        self.cookie
    }

    fn perf_output(
        &self,
        map: MapIndex,
        slot: u32,
        data: Bytes<'r>,
        packet: Option<Bytes<'r>>,
    ) -> Result<(), Errno> {
        let events = self.map(map).objects().ok_or(Errno::EINVAL)?;
        let parts = [data, packet.unwrap_or(Bytes::empty())];
        skep_maps::perf_output(events, self.on, slot.into(), &parts)
    }
}

/// The surroundings of one run on the reference machine.
struct Run<'m> {
    env: Cell<Surroundings<'m>>,
    first: &'m Prog,
    prog: Cell<&'m Prog>,
    holds: &'m Holds,
    /// How many programs may still take another one's place.
    left: Cell<u32>,
}

impl<'m> World<'m> for Run<'m> {
    fn call(&self, id: u32, args: &[Arg<'m>], invoke: &mut dyn Invoke<'m>) -> Result<Ret<'m>, CallEnd> {
        let row = skep_helpers::find(FuncId(id)).ok_or(CallEnd::Unknown)?;
        Ok(skep_helpers::call(row, &self.env.get(), args, invoke)?)
    }

    fn ctx_load(&self, landing: Landing, size: Size) -> Option<CtxValue<'m>> {
        self.env.get().context.load(landing, size.bytes())
    }

    fn ctx_store(&self, landing: Landing, size: Size, value: u64) -> Option<()> {
        self.env.get().context.store(landing, size.bytes(), value)
    }

    fn packet(&self) -> Option<skep_exact::Packet<'m>> {
        let packet = self.env.get().context.packet()?;
        Some(skep_exact::Packet { bytes: packet.with_metadata(), data: packet.meta_len() })
    }

    fn map_value(&self, map: MapIndex) -> Option<Bytes<'m>> {
        self.env.get().map(map).direct_value(0).ok()
    }

    fn tail_call(&self, map: MapIndex, index: u32) -> Option<&'m skep_exact::Program> {
        let left = self.left.get().checked_sub(1)?;
        let next = program_in(&self.prog.get().body.maps, map, index)?;
        let hold = self.holds.iter().find(|hold| hold.get().is_none())?;
        self.left.set(left);
        let next: &'m Prog = hold.get_or_init(|| next);
        Some(&next.body.code)
    }

    fn switched(&self, program: &'m skep_exact::Program) {
        let held = self.holds.iter().map_while(|hold| hold.get()).map(|prog| &**prog);
        let known = core::iter::once(self.first).chain(held);
        if let Some(prog) = known.into_iter().find(|prog| core::ptr::eq(&prog.body.code, program)) {
            self.prog.set(prog);
            self.env.set(Surroundings { maps: &prog.body.maps, ..self.env.get() });
        }
    }
}
