//! Programs that run without checks: those that are verified, compiled to machine code, or to operations where the host has no
//! memory for that.
//!
//! What a program may touch is what the verifier has followed; that it runs on the maps, with the helpers and on the context with which it was
//! verified is this crate's doing, for which whoever embeds it has given its [`Promise`].

mod calls;
mod keys;
mod link;
mod plan;
#[cfg(target_arch = "x86_64")]
mod quick;

use self::calls::Around;
use self::link::Callee;
pub(crate) use self::plan::IMAGE;
use self::plan::Plan;
use crate::map::MapObject;
use crate::prog::Prog;
use crate::run::Surroundings;
use crate::runner::FUEL_PER_RUN;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use skep_abi::AttachType;
use skep_exact::{Fault, FaultKind, Region};
use skep_ir::{Access, Level, Metering, Options};
use skep_isa::Addr;
#[cfg(target_arch = "x86_64")]
use skep_mem::HostCode;
use skep_mem::{Bytes, Fuel, Host, MapIndex, NoMemory, Shared};
use skep_model::platform::helper::Licence;
use skep_model::platform::prog;
use skep_verifier::Verified;
#[cfg(target_arch = "x86_64")]
use skep_vm::jit::{JitOptions, JitProgram, Left};
use skep_vm::{Fresh, Promise, Regions, Stop, StopKind};

/// What runs a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Engine {
    /// The reference machine, which checks every access.
    Exact,
    /// The compiler's operations in a loop, without checks.
    Interpreter,
    /// Machine code, without checks.
    Jit,
}

impl Engine {
    /// Returns its name.
    pub const fn name(self) -> &'static str {
        match self {
            Engine::Exact => "exact",
            Engine::Interpreter => "interpreter",
            Engine::Jit => "jit",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is to be compiled, and what it refers to.
pub(crate) struct Wanted<'a> {
    pub(crate) verified: &'a Verified,
    pub(crate) model: &'static prog::Prog,
    pub(crate) attach: AttachType,
    pub(crate) licence: Licence,
    pub(crate) maps: &'a [Shared<MapObject>],
    /// Finds the map that a wide load names.
    pub(crate) find: &'a dyn Fn(Addr) -> Option<MapIndex>,
    pub(crate) host: &'a Arc<dyn Host>,
    /// The fuel of a run.
    pub(crate) fuel: u64,
    pub(crate) promise: Promise,
}

/// Why a program is not compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stays {
    /// It runs on the reference machine, for this reason.
    OnExact(&'static str),
    /// There is no memory for it.
    NoMemory,
}

impl From<NoMemory> for Stays {
    fn from(NoMemory: NoMemory) -> Stays {
        Stays::NoMemory
    }
}

impl From<alloc::collections::TryReserveError> for Stays {
    fn from(_: alloc::collections::TryReserveError) -> Stays {
        Stays::NoMemory
    }
}

/// A compiled program.
#[derive(Debug)]
pub(crate) struct Compiled {
    code: Code,
    plan: Plan,
    callees: Vec<Callee>,
    metering: Metering,
    promise: Promise,
}

#[derive(Debug)]
enum Code {
    Interpreter(skep_vm::Program),
    #[cfg(target_arch = "x86_64")]
    Native(JitProgram<HostCode>),
}

/// What compiled programs need of their own, one run at a time.
#[derive(Debug)]
pub(crate) struct Scratch {
    cpu: skep_vm::Cpu,
    /// Lists nothing between runs.
    regions: Regions<'static>,
}

impl Scratch {
    pub(crate) fn new() -> Scratch {
        Scratch { cpu: skep_vm::Cpu::new(), regions: Regions::new() }
    }
}

/// How a run ended that needs nobody. It is small, because whatever is written and then copied whole is waited for.
#[derive(Clone, Copy)]
pub(crate) enum Alone {
    /// There was none.
    Not,
    Returned(u64),
    /// The program goes on that is in its place by now.
    TailCall,
    /// The program that is in its place by now [knows](Compiled::stop) why.
    Stuck(Stuck),
}

#[cfg(target_arch = "x86_64")]
pub(crate) use skep_vm::jit::Stuck;

/// Where such a run was stopped: nowhere.
#[cfg(not(target_arch = "x86_64"))]
#[derive(Clone, Copy)]
pub(crate) enum Stuck {}

/// How the run of one program ended.
pub(crate) enum End {
    Returned(u64),
    /// The program goes on that is in its place by now.
    TailCall,
    Stopped(Fault),
}

impl Compiled {
    /// Compiles a program.
    ///
    /// # Errors
    /// [`Stays`] says why it runs on the reference machine.
    pub(crate) fn new(wanted: &Wanted<'_>) -> Result<Compiled, Stays> {
        let (program, plan) = plan::plan(wanted)?;
        let callees = link::callees(wanted, &program)?;
        link::check_tail_calls(wanted, &program)?;
        let endless = link::may_go_on(&program, &callees) || !wanted.verified.metered().is_empty();
        // What the verifier has bounded ends by itself; what somebody wants to bound further is counted.
        let metering =
            if endless || wanted.fuel != FUEL_PER_RUN { Metering::Metered } else { Metering::Free };
        let stack_bytes = wanted.verified.facts().stack_bytes.next_multiple_of(8).max(8);
        let options = Options {
            level: Level::O,
            access: Access::Unchecked,
            metering,
            stack_bytes,
            register_calls: false,
        };
        let link = link::Linked::new(wanted, &callees, metering);
        let keyed = keys::hand_over(program, &|at, id| link.takes_key(at, id))?;
        let code = code(wanted, &keyed, &callees, &options)?;
        Ok(Compiled { code, plan, callees, metering, promise: wanted.promise })
    }

    /// What runs it.
    pub(crate) fn engine(&self) -> Engine {
        match self.code {
            Code::Interpreter(_) => Engine::Interpreter,
            #[cfg(target_arch = "x86_64")]
            Code::Native(_) => Engine::Jit,
        }
    }

    /// Its machine code, if it is any.
    pub(crate) fn code(&self) -> &[u8] {
        match &self.code {
            Code::Interpreter(_) => &[],
            #[cfg(target_arch = "x86_64")]
            Code::Native(program) => program.bytes(),
        }
    }

    /// Whether it can be run on this context.
    pub(crate) fn takes(&self, env: &Surroundings<'_>) -> bool {
        self.plan.takes(env.context)
    }

    /// Runs it once, if it needs nobody while it runs: such programs are entered most easily.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(crate) fn run_alone(&self, env: &Surroundings<'_>, scratch: &mut Scratch) -> Alone {
        let Some(program) = self.alone() else { return Alone::Not };
        let context = self.plan.begin(env.context, env.image);
        match program.run_alone(&mut scratch.cpu, [context, 0, 0, 0, 0], skep_vm::word(env)) {
            Some(Ok(value)) => {
                self.last(env).plan.end(env.context, env.image);
                Alone::Returned(value)
            }
            // All that this one has come to is seen to.
            Some(Err(Left::Elsewhere)) => Alone::TailCall,
            Some(Err(Left::Stopped(stuck))) => Alone::Stuck(stuck),
            None => Alone::Not,
        }
    }

    /// What has stopped a run in the program that is in its place by now.
    #[cfg(target_arch = "x86_64")]
    #[cold]
    pub(crate) fn stop(&self, env: &Surroundings<'_>, stuck: Stuck) -> Fault {
        let last = self.last(env);
        last.plan.end(env.context, env.image);
        let stop = last.alone().or(self.alone()).map(|program| program.stop(stuck));
        // It is one of those.
        fault(env.prog(), stop.unwrap_or(Stop { at: skep_isa::InsnIdx::ZERO, kind: StopKind::OutOfMemory }))
    }

    /// What has stopped a run in the program that is in its place by now.
    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) fn stop(&self, _: &Surroundings<'_>, stuck: Stuck) -> Fault {
        match stuck {}
    }

    /// Returns the one that has run last, of those that are entered from machine code.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn last<'s>(&'s self, env: &'s Surroundings<'_>) -> &'s Compiled {
        env.prog().body.compiled.as_ref().unwrap_or(self)
    }

    /// Returns its machine code, if that needs nobody while it runs.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    fn alone(&self) -> Option<&JitProgram<HostCode>> {
        match &self.code {
            Code::Native(program) => program.is_alone().then_some(program),
            Code::Interpreter(_) => None,
        }
    }

    /// Makes the context of a run that goes on in it from a program with this plan, and says where it is entered; nothing where it is not to be
    /// entered so.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn entrance(&self, env: &Surroundings<'_>, gone: &Plan) -> Option<skep_vm::jit::Entrance<'_>> {
        let entrance = self.alone()?.entrance().filter(|_| self.takes(env))?;
        self.plan.take_over(gone, env.context, env.image);
        Some(entrance)
    }

    /// Runs it once, if it needs nobody while it runs: no interpreted program does without.
    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) fn run_alone(&self, _: &Surroundings<'_>, _: &mut Scratch) -> Alone {
        Alone::Not
    }

    /// Runs it once.
    #[inline(never)]
    pub(crate) fn run(&self, env: &Surroundings<'_>, scratch: &mut Scratch, fuel: &Fuel) -> End {
        let context = self.plan.begin(env.context, env.image);
        let around = Around::new(self, env);
        let mut regions = core::mem::take(&mut scratch.regions).emptied().trusting(self.promise);
        let args = [context, 0, 0, 0, 0];
        let result = match &self.code {
            Code::Interpreter(program) => program.run(&mut scratch.cpu, &mut regions, args, fuel, &around),
            #[cfg(target_arch = "x86_64")]
            Code::Native(program) => program.run(&mut scratch.cpu, &mut regions, args, fuel, &around),
        };
        let went_on = around.went_on();
        scratch.regions = regions.emptied();
        self.plan.end(env.context, env.image);
        match (went_on, result) {
            (true, _) => End::TailCall,
            (false, Ok(value)) => End::Returned(value),
            (false, Err(stop)) => End::Stopped(fault(env.prog(), stop)),
        }
    }
}

/// Compiles to what the host can run.
fn code(
    wanted: &Wanted<'_>,
    keyed: &keys::Keyed,
    callees: &[Callee],
    options: &Options,
) -> Result<Code, Stays> {
    let program = &keyed.program;
    let link = link::Linked::new(wanted, callees, options.metering).with_keys(&keyed.calls);
    #[cfg(target_arch = "x86_64")]
    if let Some(host) = HostCode::new(wanted.host) {
        use skep_jit::x86_64::Target;
        let target = Target::new(skep_vm::jit::features(), options.access, options.metering);
        let ops = link.compile(program, &target.machine(), options)?;
        // What is called by its address counts no fuel.
        let plain = match options.metering {
            Metering::Free => quick::quick(callees, wanted.promise)?,
            Metering::Metered => Vec::new(),
        };
        let made = JitOptions {
            plain: &plain,
            fresh: Fresh::Zeroes,
            successor: Some(quick::successor(wanted.promise)),
            ..JitOptions::from(options.stack_bytes)
        };
        // Where there is no memory for code the interpreter does.
        if let Ok(native) = JitProgram::promised(&ops, &target, made, host, wanted.promise) {
            return Ok(Code::Native(native));
        }
    }
    let ops = link.compile(program, &skep_ir::machine::Machine::INTERPRETER, options)?;
    match skep_vm::Program::promised_with(&ops, options.stack_bytes, Fresh::Zeroes, wanted.promise) {
        Ok(program) => Ok(Code::Interpreter(program)),
        Err(skep_vm::ProgramError::OutOfMemory) => Err(Stays::NoMemory),
        Err(_) => Err(Stays::OnExact("the interpreter does not take it")),
    }
}

/// What stopped a run, in terms of the reference machine.
#[cold]
fn fault(prog: &Prog, stop: Stop) -> Fault {
    let kind = match stop.kind {
        StopKind::Fuel => FaultKind::Fuel,
        StopKind::CallDepth => FaultKind::CallDepth,
        StopKind::OutOfMemory => FaultKind::OutOfMemory,
        StopKind::UnknownHelper { id } => FaultKind::UnknownHelper { id },
        // Linux wants no alignment of loads and stores that are ordered; of what nobody knows.
        StopKind::Misaligned { address, bytes } => {
            FaultKind::Misaligned { region: Region::Memory, offset: address as i64, width: bytes.into() }
        }
        // Nothing else is looked at in programs without checks.
        _ => FaultKind::NoInstruction,
    };
    Fault { kind, at: stop.at, func: prog.body.code.function_of(stop.at), program: prog.id }
}

/// The address of memory that a program may touch.
fn address(bytes: Bytes<'_>) -> u64 {
    bytes.as_ptr().as_ptr().expose_provenance() as u64
}
