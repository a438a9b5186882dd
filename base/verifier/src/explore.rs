//! Every path through the program, depth first, but for those on which nothing new can happen.

mod meet;

use self::meet::{Arrival, Leaving, Place, leave};
use crate::facts::Noted;
use crate::kept::{Kept, Spare, Standing};
use crate::linux::Log;
use crate::live::Live;
use crate::path::{Mark, Note, Path, Position, Set, When, Why};
use crate::rejection::{Rejection, Rule, no_memory};
use crate::same::Ids;
use crate::state::{Frame, Role, State};
use crate::step::{Contract, Lookups};
use crate::structured::Structured;
use crate::subject::Subject;
use crate::trace::{Known, Trace};
use crate::value::{Id, To, Value};
use crate::verified::{Limits, Loops, Stats};
use alloc::vec::Vec;
use core::mem;
use skep_abi::FuncId;
use skep_isa::structure::Structure;
use skep_isa::{Flow, Insn, InsnIdx, Program};
use skep_model::platform::helper::Effects;
use skep_model::platform::prog::Prog;

/// Where control goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    At(InsnIdx),
    /// The path ends.
    End,
}

/// A path that is still to be followed.
struct Waiting {
    mark: Mark,
    state: State,
    at: InsnIdx,
    /// What its first step notes, if it is not one that was taken before.
    first: Option<(InsnIdx, Note)>,
    /// Whether numbers became unknown on the way to it: which, is the last of `widened`.
    is_widened: bool,
}

/// How many states' memory is kept to be used again.
const SPARE: usize = 8;

/// The walk over all paths of one function and of those it calls.
pub(crate) struct Explorer<'a> {
    pub(crate) subject: &'a Subject<'a>,
    pub(crate) prog: &'static Prog,
    pub(crate) limits: &'a Limits,
    loops: Loops,
    pub(crate) program: &'a Program,
    pub(crate) structure: &'a Structure,
    pub(crate) live: Live,
    places: Vec<Place>,
    lists: Vec<Vec<u32>>,
    pub(crate) path: Path,
    pub(crate) kept: Vec<Kept>,
    /// Of each of these.
    standings: Vec<Standing>,
    unused: Spare,
    /// For comparing states.
    ids: Ids,
    free: Vec<u32>,
    waiting: Vec<Waiting>,
    /// What became unknown on the ways to these, of those where something did.
    widened: Vec<Set>,
    /// States of paths that ended: their memory is used again.
    spare: Vec<State>,
    last_id: u32,
    pub(crate) stats: Stats,
    states: u32,
    jumps: u32,
    last_jumps: u32,
    last_insns: u32,
    /// Who wants to know of every state.
    pub(crate) trace: Option<&'a mut dyn Trace>,
    /// What is told of the way, if anybody wants it.
    pub(crate) log: Option<Log<'a>>,
    /// By instruction, what kind of memory it loads from or stores to.
    pub(crate) kinds: Vec<Kind>,
    /// By function, the bytes of stack that it touches.
    pub(crate) depths: Vec<u32>,
    /// By function, whether it is called where only its type is known.
    pub(crate) by_type: Vec<Called>,
    /// By function, what is known of those of which only the type counts, once it was asked for.
    pub(crate) contracts: Vec<Option<Contract>>,
    /// The functions that run later.
    pub(crate) later: Vec<usize>,
    pub(crate) lookups: Lookups,
    /// The numbers that stand in instructions, and those beside them, in order: where numbers in loops stop that go ahead.
    borders: Vec<i64>,
    /// Where loops come round that are not seen to end, in order.
    pub(crate) metered: Vec<InsnIdx>,
    pub(crate) noted: Noted,
}

/// What kind of memory an instruction accesses.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Kind {
    /// None yet.
    #[default]
    None,
    /// Memory as it is.
    Plain,
    /// Memory of a size of its own, as it is.
    Memory,
    /// Memory that may not be there, so that it is read as a probe reads.
    Probed,
    /// One that is looked at through the kernel's structs, or guarded, so that the instruction is rewritten.
    Rewritten(To),
}

/// How a function is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Called {
    /// As part of who calls it.
    #[default]
    Along,
    /// By itself, as its type says; nobody calls it yet.
    Alone,
    /// By itself, and it is called.
    AloneAndUsed,
}

impl<'a> Explorer<'a> {
    pub(crate) fn new(
        subject: &'a Subject<'a>,
        prog: &'static Prog,
        (limits, loops): (&'a Limits, Loops),
        structured: &'a Structured,
    ) -> Result<Explorer<'a>, Rejection> {
        let (program, structure) = (structured.program(), structured.structure());
        let functions = structure.subprograms().len();
        let live = Live::compute(program, structure, subject)?;
        let mut explorer = Explorer {
            subject,
            prog,
            limits,
            loops,
            program,
            structure,
            live,
            places: filled(program.len())?,
            lists: Vec::new(),
            path: Path::default(),
            kept: Vec::new(),
            standings: Vec::new(),
            unused: Spare::default(),
            ids: Ids::new(),
            free: Vec::new(),
            waiting: Vec::new(),
            widened: Vec::new(),
            spare: Vec::new(),
            last_id: 0,
            stats: Stats::default(),
            states: 0,
            jumps: 0,
            last_jumps: 0,
            last_insns: 0,
            trace: None,
            log: None,
            kinds: filled(program.len())?,
            depths: filled(functions)?,
            by_type: filled(functions)?,
            contracts: filled(functions)?,
            later: Vec::new(),
            lookups: Lookups::default(),
            borders: Vec::new(),
            metered: Vec::new(),
            noted: Noted::new(program, subject.platform)?,
        };
        explorer.lists.try_reserve(1).map_err(|_| no_memory())?;
        explorer.lists.push(Vec::new());
        for (at, insn) in program.iter() {
            explorer.meetings_of(at, insn)?;
        }
        if loops == Loops::Metered {
            explorer.find_borders()?;
        }
        explorer.find_global();
        Ok(explorer)
    }

    /// Follows the program from its start, what is called later, and the functions that are called by their types.
    pub(crate) fn follow_all(&mut self) -> Result<(), Rejection> {
        let mut frame = Frame::new(0, InsnIdx::ZERO, Role::First, 0);
        frame.regs[skep_isa::Reg::R1.index()] = Value::pointer(To::Context);
        self.follow(State::new(frame)?, InsnIdx::ZERO)?;
        let mut done: Vec<bool> = filled(self.by_type.len())?;
        while let Some(function) = (0..done.len())
            .find(|&function| !done[function] && self.by_type[function] == Called::AloneAndUsed)
        {
            done[function] = true;
            let Some(start) = self.structure.subprograms().get(function).map(|sub| sub.start) else { break };
            let state = self.alone(function, start)?;
            self.follow(state, start)?;
        }
        self.check_depths()
    }

    /// Whether a function changes packets, or one that it calls does.
    pub(crate) fn changes_packet(&self, function: usize) -> bool {
        let mut seen = [0u64; 4];
        self.changes(function, &mut seen)
    }

    fn changes(&self, function: usize, seen: &mut [u64; 4]) -> bool {
        let Some(word) = seen.get_mut(function / 64) else { return true };
        let bit = 1 << (function % 64);
        if *word & bit != 0 {
            return false;
        }
        *word |= bit;
        let Some(sub) = self.structure.subprograms().get(function).copied() else { return true };
        self.program.iter().skip_while(|(at, _)| *at < sub.start).take_while(|(at, _)| *at < sub.end).any(
            |(at, insn)| match insn {
                Insn::CallHelper { id } => self.subject.platform.helper(FuncId(id)).is_ok_and(|helper| {
                    helper.effects.has(Effects::CHANGES_PACKET)
                        || helper.effects.has(Effects::CHANGES_CALLERS_PACKET)
                }),
                _ => insn
                    .call_target(at)
                    .and_then(|start| self.structure.subprogram_at(start))
                    .is_some_and(|called| self.changes(called, seen)),
            },
        )
    }

    /// A number that nobody else has.
    pub(crate) fn new_id(&mut self) -> Id {
        self.last_id += 1;
        Id(self.last_id)
    }

    /// A number for what is acquired. As in Linux, one before it is for whether it is null.
    pub(crate) fn acquired_id(&mut self) -> Id {
        self.last_id += 1;
        self.new_id()
    }

    /// Follows every path from a state at an instruction.
    pub(crate) fn follow(&mut self, state: State, at: InsnIdx) -> Result<(), Rejection> {
        let function = state.frame().function;
        self.log_of(|log, name| log.begins(function, name), function);
        let mut path = (state, at);
        loop {
            let (state, at) = &mut path;
            let next = self.go_on(state, *at);
            if let Next::At(next) = next.map_err(|rejection| self.explained(rejection, state))? {
                *at = next;
                continue;
            }
            match self.waiting.pop() {
                Some(next) => {
                    let next = self.go_back(next)?;
                    self.put_by(mem::replace(&mut path, next).0);
                }
                None => {
                    self.forget_path();
                    self.log_of(|log, name| log.ends(function, name), function);
                    return Ok(());
                }
            }
        }
    }

    /// Takes one step, if nobody came here with as much before.
    fn go_on(&mut self, state: &mut State, at: InsnIdx) -> Result<Next, Rejection> {
        self.count(at)?;
        if self.comes_to(state, at)? == Arrival::Known {
            if let Some(log) = &mut self.log {
                log.known(at);
            }
            return Ok(Next::End);
        }
        self.path.begin(at)?;
        if self.program.get(at).is_some_and(|insn| insn.flow() != Flow::Next || insn.is_call()) {
            self.jumps += 1;
        }
        self.noted.looks_at(at, state);
        if let Some(trace) = &mut self.trace {
            trace.looks_at(at, &Known::new(state, self.live.before(at)));
        }
        if self.log.is_some() { self.execute_and_tell(state, at) } else { self.execute(state, at) }
    }

    fn go_back(&mut self, next: Waiting) -> Result<(State, InsnIdx), Rejection> {
        if let Some(log) = &mut self.log {
            log.goes_back();
        }
        self.leave_path(next.mark);
        if let Some((insn, note)) = next.first {
            self.path.step(insn, note)?;
        }
        let widened = if next.is_widened { self.widened.pop() } else { None };
        if let Some(set) = widened {
            let set = self.path.set(set)?;
            self.path.step(next.at, Note::Widened(set))?;
        }
        Ok((next.state, next.at))
    }

    /// A copy of a state.
    pub(crate) fn copy(&mut self, of: &State) -> Result<State, Rejection> {
        let Some(mut copy) = self.spare.pop() else { return of.try_clone() };
        copy.become_copy(of)?;
        Ok(copy)
    }

    /// Puts a state by whose memory may be used again.
    pub(crate) fn put_by(&mut self, state: State) {
        if self.spare.len() < SPARE && self.spare.try_reserve(1).is_ok() {
            self.spare.push(state);
        }
    }

    fn forget_path(&mut self) {
        self.leave_path(Path::default().mark());
    }

    fn leave_path(&mut self, mark: Mark) {
        while let Some(index) = self.path.back_to(mark) {
            let Some((kept, standing)) = self.kept.get_mut(index).zip(self.standings.get_mut(index)) else {
                continue;
            };
            let pruning = self.limits.pruning;
            if leave(&mut kept.state, standing, pruning, &mut self.unused) == Leaving::Dropped {
                self.drop_kept(index);
            }
        }
    }

    /// Counts an instruction that is come to, whether or not it is looked at then.
    fn count(&mut self, at: InsnIdx) -> Result<(), Rejection> {
        self.stats.insns += 1;
        if self.stats.insns > self.limits.insns {
            self.path.begin(at)?;
            return Err(Rule::Processed.broken(
                at,
                format_args!(
                    "more than {} instructions were looked at, on all paths together",
                    self.limits.insns
                ),
            ));
        }
        Ok(())
    }

    /// Leaves a path for later.
    pub(crate) fn wait(&mut self, state: State, at: InsnIdx) -> Result<(), Rejection> {
        let mark = self.path.mark();
        self.wait_from(Waiting { mark, state, at, first: None, is_widened: false })
    }

    fn wait_from(&mut self, waiting: Waiting) -> Result<(), Rejection> {
        if self.waiting.len() >= self.limits.waiting as usize {
            let here = self.path.back().next().map_or(waiting.at, |(insn, _)| insn);
            return Err(Rule::Waiting.broken(
                here,
                format_args!("more than {} ways on wait to be followed", self.limits.waiting),
            ));
        }
        self.waiting.try_reserve(1).map_err(|_| no_memory())?;
        self.waiting.push(waiting);
        if let Some(log) = &mut self.log {
            log.waits()?;
        }
        Ok(())
    }

    /// Makes numbers unknown that change in a loop, and says whether there are any. The next path that is left for later takes note.
    fn widen_for(&mut self, state: &mut State, at: InsnIdx) -> Result<bool, Rejection> {
        let Some(set) = self.widen(state, at)? else { return Ok(false) };
        self.widened.try_reserve(1).map_err(|_| no_memory())?;
        self.widened.push(set);
        Ok(true)
    }

    /// Leaves a path for later that goes into a function that the helper called at `call` calls. The current step is that call.
    pub(crate) fn wait_in_callback(
        &mut self,
        mut state: State,
        call: InsnIdx,
        start: InsnIdx,
    ) -> Result<(), Rejection> {
        let is_widened = self.widen_for(&mut state, call)?;
        let mut mark = self.path.mark();
        mark.undo_step();
        let first = Some((call, Note::EnterCallback));
        self.wait_from(Waiting { mark, state, at: start, first, is_widened })
    }

    /// Leaves a path for later that a `may_goto` at `at` does not end.
    pub(crate) fn wait_in_loop(
        &mut self,
        mut state: State,
        at: InsnIdx,
        next: InsnIdx,
    ) -> Result<(), Rejection> {
        let is_widened = self.widen_for(&mut state, at)?;
        let mark = self.path.mark();
        self.wait_from(Waiting { mark, state, at: next, first: None, is_widened })
    }

    /// Leaves the way on for later that a function takes which is left, as the note says, at the current instruction.
    pub(crate) fn wait_after_leaving(
        &mut self,
        state: State,
        left: (InsnIdx, Note),
        at: InsnIdx,
    ) -> Result<(), Rejection> {
        let mark = self.path.mark();
        self.wait_from(Waiting { mark, state, at, first: Some(left), is_widened: false })
    }

    /// Leaves a function for later that runs when nothing of the program is active.
    pub(crate) fn wait_apart(&mut self, mut state: State, at: InsnIdx) -> Result<(), Rejection> {
        state.since = self.path.position().0;
        self.wait(state, at)
    }

    /// Says that a slot of a function's stack is read.
    pub(crate) fn read_slot(&mut self, state: &State, frame: usize, slot: usize) {
        let written = state
            .frames
            .get(frame)
            .and_then(|frame| frame.slot(slot))
            .map_or(Position::START, |slot| slot.written);
        self.path.read(&mut self.kept, state.since, frame, slot, written);
    }

    /// Says that numbers that the step begins with decide something.
    pub(crate) fn need(&mut self, state: &State, set: Set) {
        self.need_for(state, set, (Why::Decides, When::InStep));
    }

    fn need_for(&mut self, state: &State, set: Set, why: (Why, When)) {
        if !set.is_empty() {
            self.path.need(self.program, &mut self.kept, (state.since, state.top()), set, why);
        }
    }
}

fn filled<T: Clone + Default>(count: usize) -> Result<Vec<T>, Rejection> {
    let mut all = Vec::new();
    all.try_reserve_exact(count).map_err(|_| no_memory())?;
    all.resize(count, T::default());
    Ok(all)
}
