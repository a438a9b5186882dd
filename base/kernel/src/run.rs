//! One run of a program: what the reference machine needs from outside.

use crate::context::Context;
use crate::map;
use crate::prog::Prog;
use alloc::sync::Arc;
use core::cell::{Cell, OnceCell};
use skep_abi::{Errno, FuncId, MAX_TAIL_CALLS};
use skep_exact::{CallEnd, CtxValue, Entry, Fuel, Outcome, Stack, World};
use skep_helpers::Env;
use skep_isa::Size;
use skep_maps::Map;
use skep_mem::{Arg, Bytes, Host, Invoke, MapIndex, OnCpu, Ret, Shared};
use skep_model::platform::context::Landing;

/// The programs that tail calls of one run have led to, kept alive until it ends.
type Holds = [OnceCell<Shared<Prog>>; MAX_TAIL_CALLS as usize + 1];

/// The surroundings of one run.
struct Run<'m> {
    host: &'m Arc<dyn Host>,
    on: &'m OnCpu<'m>,
    first: &'m Prog,
    prog: Cell<&'m Prog>,
    context: &'m Context<'m>,
    holds: &'m Holds,
    cookie: u64,
}

/// Runs a program once.
pub(crate) fn run(
    host: &Arc<dyn Host>,
    on: &OnCpu<'_>,
    stack: &Stack,
    prog: &Prog,
    context: &Context<'_>,
    cookie: u64,
    fuel: u64,
) -> Outcome {
    let holds: Holds = [const { OnceCell::new() }; MAX_TAIL_CALLS as usize + 1];
    let run = Run { host, on, first: prog, prog: Cell::new(prog), context, holds: &holds, cookie };
    let fuel = Fuel::new(fuel);
    skep_exact::run(&prog.body.code, &run, stack, Entry::Context, &fuel)
}

impl<'m> Run<'m> {
    fn object(&self, map: MapIndex) -> &'m map::MapObject {
        // The engine hands out positions in this very list; tail calls change program and list together.
        &self.prog.get().body.maps[map.0 as usize]
    }
}

impl<'m> World<'m> for Run<'m> {
    fn call(&self, id: u32, args: &[Arg<'m>], invoke: &mut dyn Invoke<'m>) -> Result<Ret<'m>, CallEnd> {
        let row = skep_helpers::find(FuncId(id)).ok_or(CallEnd::Unknown)?;
        Ok(skep_helpers::call(row, self, args, invoke)?)
    }

    fn ctx_load(&self, landing: Landing, size: Size) -> Option<CtxValue<'m>> {
        self.context.load(landing, size.bytes())
    }

    fn ctx_store(&self, landing: Landing, size: Size, value: u64) -> Option<()> {
        self.context.store(landing, size.bytes(), value)
    }

    fn packet(&self) -> Option<skep_exact::Packet<'m>> {
        let packet = self.context.packet()?;
        Some(skep_exact::Packet { bytes: packet.with_metadata(), data: packet.meta_len() })
    }

    fn map_value(&self, map: MapIndex) -> Option<Bytes<'m>> {
        self.object(map).map.direct_value(0).ok()
    }

    fn tail_call(&self, map: MapIndex, index: u32) -> Option<&'m skep_exact::Program> {
        let entry = self.object(map).map.objects()?.read(index)?;
        let next = entry.object.clone().downcast::<Prog>().ok()?;
        let hold = self.holds.iter().find(|hold| hold.get().is_none())?;
        let next: &'m Prog = hold.get_or_init(|| next);
        Some(&next.body.code)
    }

    fn switched(&self, program: &'m skep_exact::Program) {
        let held = self.holds.iter().map_while(|hold| hold.get()).map(|prog| &**prog);
        let known = core::iter::once(self.first).chain(held);
        if let Some(prog) = known.into_iter().find(|prog| core::ptr::eq(&prog.body.code, program)) {
            self.prog.set(prog);
        }
    }
}

impl<'m> Env<'m> for Run<'m> {
    fn host(&self) -> &dyn Host {
        &**self.host
    }

    fn on(&self) -> &OnCpu<'_> {
        self.on
    }

    fn map(&self, map: MapIndex) -> &'m dyn Map {
        &*self.object(map).map
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
        let events = self.object(map).map.objects().ok_or(Errno::EINVAL)?;
        let parts = [data, packet.unwrap_or(Bytes::empty())];
        skep_maps::perf_output(events, self.on, slot.into(), &parts)
    }
}
