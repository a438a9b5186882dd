//! What is handed on of what was found out: only what holds however control comes to an instruction, and what pruning preserves.
//!
//! A path ends where a kept state stands for its own, so what was seen on the paths that were followed holds for those that were not if
//! states are compared by it. What pointers point to always is; of numbers only those that were wanted. An instruction at which
//! no path was ever looked at is never reached: whatever decides a branch is wanted.

use crate::explore::{Explorer, Kind};
use crate::rejection::{Rejection, no_memory};
use crate::state::State;
use crate::value::To;
use alloc::vec::Vec;
use skep_abi::FuncId;
use skep_isa::{Insn, InsnIdx, Program, Reg};
use skep_model::platform::Platform;
use skep_model::platform::helper::Arg;
use skep_model::{CallFact, Facts, Touches};

/// What was seen of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Seen {
    reached: bool,
    call: Option<Calls>,
    map: OnMap,
}

/// What a call hands over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Calls {
    /// Where the map is, if there is one.
    map: Option<Reg>,
    /// Which registers have memory, as bits.
    memory: u8,
}

/// Which map calls are on.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum OnMap {
    #[default]
    None,
    One(u16),
    Many,
}

/// What is noted while paths are followed.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    seen: Vec<Seen>,
    lends_context: bool,
}

impl Noted {
    pub(crate) fn new(program: &Program, platform: &Platform) -> Result<Noted, Rejection> {
        let mut seen = Vec::new();
        seen.try_reserve_exact(program.len()).map_err(|_| no_memory())?;
        seen.resize(program.len(), Seen::default());
        for (at, insn) in program.iter() {
            let Insn::CallHelper { id } = insn else { continue };
            if let Some(seen) = seen.get_mut(at.index()) {
                seen.call = calls(platform, id);
            }
        }
        Ok(Noted { seen, lends_context: false })
    }

    /// Notes that an instruction is looked at in a state.
    pub(crate) fn looks_at(&mut self, at: InsnIdx, state: &State) {
        let Some(seen) = self.seen.get_mut(at.index()) else { return };
        seen.reached = true;
        let Some(call) = seen.call else { return };
        if let Some(reg) = call.map {
            let found = match state.reg(reg).certainly_to() {
                Some(To::Map(map)) => OnMap::One(map.0),
                _ => OnMap::Many,
            };
            seen.map = match seen.map {
                OnMap::None => found,
                known if known == found => known,
                _ => OnMap::Many,
            };
        }
        for reg in (1..=5).filter(|reg| call.memory >> reg & 1 != 0).filter_map(Reg::new) {
            self.lends_context |= state.reg(reg).to() == Some(To::Context);
        }
    }
}

/// What a helper wants that is looked at here.
fn calls(platform: &Platform, id: u32) -> Option<Calls> {
    let prototype = platform.helper(FuncId(id)).ok()?.prototype.as_ref()?;
    let mut calls = Calls { map: None, memory: 0 };
    for (arg, number) in prototype.args.iter().zip(1u8..) {
        match arg {
            Arg::Map => calls.map = calls.map.or(Reg::new(number)),
            Arg::Ctx | Arg::CtxOrNull | Arg::Any | Arg::Unchecked | Arg::Size(_) | Arg::AllocSize => {}
            _ => calls.memory |= 1 << number,
        }
    }
    Some(calls)
}

impl Explorer<'_> {
    /// What was found out, when all paths were followed.
    pub(crate) fn facts(&self) -> Result<Facts, Rejection> {
        let seen = &self.noted.seen;
        let mut facts = Facts { lends_context: self.noted.lends_context, ..Facts::default() };
        facts.reached.try_reserve_exact(seen.len()).map_err(|_| no_memory())?;
        facts.reached.extend(seen.iter().map(|seen| seen.reached));
        facts.touches.try_reserve_exact(self.kinds.len()).map_err(|_| no_memory())?;
        facts.touches.extend(self.kinds.iter().map(|kind| match kind {
            Kind::None => Touches::Nothing,
            Kind::Plain | Kind::Memory => Touches::Memory,
            Kind::Rewritten(To::Context) => Touches::Context,
            Kind::Rewritten(_) | Kind::Probed => Touches::Kernel,
        }));
        for (seen, at) in seen.iter().zip(0..) {
            if seen.call.is_some_and(|call| call.map.is_some()) && seen.reached {
                let map = match seen.map {
                    OnMap::One(map) => Some(map),
                    OnMap::None | OnMap::Many => None,
                };
                facts.calls.try_reserve(1).map_err(|_| no_memory())?;
                facts.calls.push(CallFact { at: InsnIdx(at), map });
            }
        }
        facts.stack_bytes = self.depths.iter().copied().max().unwrap_or(0);
        Ok(facts)
    }
}
