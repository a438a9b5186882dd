//! One run of a program, on whichever engine it is for: what it needs from outside.

use crate::compiled::{Alone, End, Scratch};
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
use skep_mem::{Arg, Bytes, Host, Invoke, MapIndex, OnCpu, Reading, Ret, Shared};
use skep_model::platform::context::Landing;

/// What surrounds a run, whichever engine runs the program.
pub(crate) struct Surroundings<'r> {
    pub(crate) host: &'r Arc<dyn Host>,
    pub(crate) on: &'r OnCpu<'r>,
    pub(crate) context: &'r Context<'r>,
    pub(crate) cookie: u64,
    /// Where compiled programs find the context of a packet.
    pub(crate) image: Bytes<'r>,
    /// The program that runs now.
    prog: Cell<&'r Prog>,
    /// How many programs may still take another one's place.
    left: Cell<u32>,
    followed: &'r Followed,
}

/// How many programs are known again that tail calls have led to.
const MET: usize = 4;

/// What keeps the programs that tail calls lead to until the run has ended. Nothing is in it before the first; what is in it then stays for
/// runs that follow, because entering a read side is dear, and so is finding out what an object is.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    reading: OnceCell<Reading>,
    /// Programs by the addresses of their entries, which mean them as long as `reading` is held.
    met: [OnceCell<(usize, Shared<Prog>)>; MET],
}

impl Followed {
    /// Whether it keeps anything.
    #[inline]
    pub(crate) fn keeps(&self) -> bool {
        self.reading.get().is_some()
    }

    /// Finds the program at a place of an array.
    #[inline(always)]
    fn find<'r>(&'r self, host: &Arc<dyn Host>, array: &'r MapObject, index: u32) -> Option<&'r Prog> {
        let reading = self.reading.get_or_init(|| Reading::enter(host));
        let entry = array.entries.as_ref()?.look(index as usize, reading)?;
        match self.met[index as usize % MET].get() {
            Some((address, prog)) if *address == (&raw const *entry).addr() => Some(prog),
            _ => self.meet(entry, index),
        }
    }

    /// Finds out which program an entry is, and keeps it in mind where there is room.
    #[cold]
    fn meet<'r>(&'r self, entry: &'r skep_maps::Entry, index: u32) -> Option<&'r Prog> {
        let place = &self.met[index as usize % MET];
        if place.get().is_some() {
            return entry.object.downcast_ref();
        }
        let prog = entry.object.clone().downcast::<Prog>().ok()?;
        let (_, prog) = place.get_or_init(|| ((&raw const *entry).addr(), prog));
        Some(prog)
    }
}

/// What runs have of their CPU.
#[derive(Clone, Copy)]
pub(crate) struct Place<'r> {
    pub(crate) host: &'r Arc<dyn Host>,
    pub(crate) on: &'r OnCpu<'r>,
    pub(crate) image: Bytes<'r>,
    pub(crate) followed: &'r Followed,
}

impl<'r> Surroundings<'r> {
    #[inline(always)]
    pub(crate) fn new(
        place: Place<'r>,
        prog: &'r Prog,
        context: &'r Context<'r>,
        cookie: u64,
    ) -> Surroundings<'r> {
        let Place { host, on, image, followed } = place;
        let (prog, left) = (Cell::new(prog), Cell::new(MAX_TAIL_CALLS));
        Surroundings { host, on, context, cookie, image, prog, left, followed }
    }

    /// The program that runs now.
    #[inline]
    pub(crate) fn prog(&self) -> &'r Prog {
        self.prog.get()
    }

    /// The maps of the program that runs now, by the positions that its engine hands out.
    #[inline]
    pub(crate) fn maps(&self) -> &'r [Shared<MapObject>] {
        &self.prog.get().body.maps
    }

    /// Puts a program in the place of the one that runs: the one that an array leads to, if there is one and not too many have followed
    /// one another.
    #[inline(always)]
    pub(crate) fn follow(&self, map: MapIndex, index: u32) -> Option<&'r Prog> {
        let left = self.left.get().checked_sub(1)?;
        let next = self.followed.find(self.host, self.maps().get(map.0 as usize)?, index)?;
        self.left.set(left);
        self.prog.set(next);
        Some(next)
    }
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
pub(crate) fn run(env: &Surroundings<'_>, engines: Engines<'_>, fuel: u64) -> Ran {
    let Engines { scratch, stack } = engines;
    let fuel = Fuel::new(fuel);
    loop {
        let prog = env.prog();
        let Some(compiled) = prog.body.compiled.as_ref().filter(|compiled| compiled.takes(env)) else {
            let Ok(stack) = stack() else { return Ran::NoMemory };
            return exactly(env, stack, &fuel);
        };
        match compiled.run_alone(env, scratch) {
            Alone::Returned(value) => return Ran::Returned(value),
            Alone::TailCall => continue,
            Alone::Stuck(stuck) => return Ran::Stopped(compiled.stop(env, stuck), 0),
            Alone::Not => {}
        }
        match compiled.run(env, scratch, &fuel) {
            End::Returned(value) => return Ran::Returned(value),
            End::TailCall => {}
            End::Stopped(fault) => return Ran::Stopped(fault, 0),
        }
    }
}

/// Runs a program, and those that take its place, on the reference machine.
fn exactly(env: &Surroundings<'_>, stack: &Stack, fuel: &Fuel) -> Ran {
    let prog = env.prog();
    let run = Run { env, first: prog, followed: [const { Cell::new(None) }; MAX_TAIL_CALLS as usize] };
    let outcome = skep_exact::run(&prog.body.code, &run, stack, Entry::Context, fuel);
    match outcome.result {
        Ok(value) => Ran::Returned(value),
        Err(fault) => Ran::Stopped(fault, outcome.executed),
    }
}

impl<'m, 'r: 'm> Env<'m> for Surroundings<'r> {
    fn host(&self) -> &dyn Host {
        &**self.host
    }

    fn on(&self) -> &OnCpu<'_> {
        self.on
    }

    fn map(&self, map: MapIndex) -> &'m dyn Map {
        // Engines hand out positions in this very list; tail calls change program and list together.
        &*self.maps()[map.0 as usize].map
    }

    fn packet(&self) -> Option<&skep_helpers::Packet<'m>> {
        self.context.packet()
    }

    fn attach_cookie(&self) -> u64 {
        self.cookie
    }

    fn perf_output(
        &self,
        map: MapIndex,
        slot: u32,
        data: Bytes<'m>,
        packet: Option<Bytes<'m>>,
    ) -> Result<(), Errno> {
        let events = Env::map(self, map).objects().ok_or(Errno::EINVAL)?;
        let parts = [data, packet.unwrap_or(Bytes::empty())];
        skep_maps::perf_output(events, self.on, slot.into(), &parts)
    }
}

/// The surroundings of one run on the reference machine.
struct Run<'e, 'r> {
    env: &'e Surroundings<'r>,
    first: &'r Prog,
    /// The programs that have taken its place.
    followed: [Cell<Option<&'r Prog>>; MAX_TAIL_CALLS as usize],
}

impl<'m, 'r: 'm> World<'m> for Run<'_, 'r> {
    fn call(&self, id: u32, args: &[Arg<'m>], invoke: &mut dyn Invoke<'m>) -> Result<Ret<'m>, CallEnd> {
        let row = skep_helpers::find(FuncId(id)).ok_or(CallEnd::Unknown)?;
        Ok(skep_helpers::call(row, self.env, args, invoke)?)
    }

    fn ctx_load(&self, landing: Landing, size: Size) -> Option<CtxValue<'m>> {
        self.env.context.load(landing, size.bytes())
    }

    fn ctx_store(&self, landing: Landing, size: Size, value: u64) -> Option<()> {
        self.env.context.store(landing, size.bytes(), value)
    }

    fn packet(&self) -> Option<skep_exact::Packet<'m>> {
        let packet = self.env.context.packet()?;
        Some(skep_exact::Packet { bytes: packet.with_metadata(), data: packet.meta_len() })
    }

    fn map_value(&self, map: MapIndex) -> Option<Bytes<'m>> {
        let map: &'m dyn Map = self.env.map(map);
        map.direct_value(0).ok()
    }

    fn tail_call(&self, map: MapIndex, index: u32) -> Option<&'m skep_exact::Program> {
        let next = self.env.follow(map, index)?;
        // There are as many places as programs may follow.
        if let Some(place) = self.followed.iter().find(|place| place.get().is_none()) {
            place.set(Some(next));
        }
        Some(&next.body.code)
    }

    fn switched(&self, program: &'m skep_exact::Program) {
        let followed = self.followed.iter().map_while(Cell::get);
        let mut known = core::iter::once(self.first).chain(followed);
        if let Some(prog) = known.find(|prog| core::ptr::eq(&prog.body.code, program)) {
            self.env.prog.set(prog);
        }
    }
}
