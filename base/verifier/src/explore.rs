//! Every path through the program, depth first, but for those on which nothing new can happen.
//!
//! What is kept and what is forgotten follows Linux (`is_state_visited` in `kernel/bpf/verifier.c`): states are compared where paths meet, and one
//! that is of no use is dropped. A new one is kept after a jump and three instructions, where Linux waits for two and eight: kept states are
//! small here, and paths that branch often are followed less often twice. A path that comes to what a kept state stands for ends there; what
//! was wanted of that state is wanted of the path then.

use crate::facts::Noted;
use crate::kept::{Kept, KeptState};
use crate::linux::Log;
use crate::live::Live;
use crate::path::{MOST_FRAMES, Mark, Note, Path, Position, Set, Wanted, When, Why};
use crate::rejection::{Rejection, Rule, no_memory};
use crate::same::{Compare, Ids, Part, covers};
use crate::scalar::Number;
use crate::stack::{self, Turning, place};
use crate::state::{Frame, Role, State};
use crate::step::{Contract, Lookups};
use crate::structured::Structured;
use crate::subject::Subject;
use crate::trace::{Known, Trace};
use crate::value::{Id, To, Value};
use crate::verified::{Limits, Loops, Pruning, Stats};
use alloc::vec::Vec;
use core::mem;
use skep_abi::FuncId;
use skep_isa::structure::Structure;
use skep_isa::{Flow, Insn, InsnIdx, Operand, Program, RegSet};
use skep_model::platform::helper::{Arg, Effects};
use skep_model::platform::kfuncs::Does;
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
    /// What became unknown on the way to it.
    widened: Option<Set>,
}

/// What paths do at an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Place {
    /// Where the list of kept states is; zero if none are kept here.
    list: u32,
    meeting: Meeting,
}

/// Whether states are kept at an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Meeting {
    #[default]
    Never,
    /// Every now and then.
    Sometimes,
    /// Always, for this instruction goes round until nothing new happens.
    Always(Turn),
}

/// What goes round until nothing new happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Turn {
    /// A call of a helper that calls a function.
    Callback,
    /// A jump that is not taken for ever.
    MayGoto,
    /// A call that gives an iterator's next number.
    Iterator,
    /// A jump back, which may be taken for ever.
    Loop,
}

/// After how many turns of a loop numbers go ahead of it, and after how many they become unknown.
const AHEAD: usize = 2;
const UNKNOWN: usize = 24;

/// After how many jumps and instructions a state is kept.
const KEEP: (u32, u32) = (1, 3);
/// The same where Linux's log is asked for, so that it shows Linux's paths and counts.
const KEEP_AS_LINUX: (u32, u32) = (2, 8);

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
    free: Vec<u32>,
    waiting: Vec<Waiting>,
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
            free: Vec::new(),
            waiting: Vec::new(),
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

    /// Notes where paths meet because of an instruction (`visit_insn`).
    fn meetings_of(&mut self, at: InsnIdx, insn: Insn) -> Result<(), Rejection> {
        let next = InsnIdx(at.0 + insn.slots());
        match insn {
            Insn::MayGoto { .. } => self.meet_at(at, Meeting::Always(Turn::MayGoto))?,
            Insn::CallHelper { id } if self.calls_back(id) => {
                self.meet_at(at, Meeting::Always(Turn::Callback))?;
            }
            Insn::CallKfunc { .. } if self.kfunc(insn).is_some_and(|kfunc| kfunc.does == Does::NumNext) => {
                self.meet_at(at, Meeting::Always(Turn::Iterator))?;
            }
            Insn::CallLocal { .. } => {
                self.meet_at(next, Meeting::Sometimes)?;
                if let Some(to) = insn.call_target(at) {
                    self.meet_at(to, Meeting::Sometimes)?;
                }
            }
            _ => match insn.flow() {
                Flow::Branch { .. } => self.meet_at(at, Meeting::Sometimes)?,
                Flow::Jump { .. } => {}
                _ => return Ok(()),
            },
        }
        match insn.jump_target(at) {
            // Every loop has a jump back.
            Some(to) if to <= at && self.loops == Loops::Metered => {
                self.meet_at(to, Meeting::Always(Turn::Loop))
            }
            Some(to) => self.meet_at(to, Meeting::Sometimes),
            None => Ok(()),
        }
    }

    /// Gathers the numbers that stand in instructions.
    fn find_borders(&mut self) -> Result<(), Rejection> {
        let stands = |insn| match insn {
            Insn::Branch { src: Operand::Imm(imm), .. }
            | Insn::Alu { src: Operand::Imm(imm), .. }
            | Insn::Store { src: Operand::Imm(imm), .. } => Some(i64::from(imm)),
            Insn::LoadImm64 { value, .. } => Some(value as i64),
            _ => None,
        };
        for border in self.program.iter().filter_map(|(_, insn)| stands(insn)).chain([0]) {
            self.borders.try_reserve(3).map_err(|_| no_memory())?;
            self.borders.extend([border.saturating_sub(1), border, border.saturating_add(1)]);
        }
        self.borders.sort_unstable();
        self.borders.dedup();
        Ok(())
    }

    /// Whether a helper calls a function before it returns.
    fn calls_back(&self, id: u32) -> bool {
        use skep_model::platform::helper::Callback;
        let helper = self.subject.platform.helper(FuncId(id)).ok();
        helper.and_then(|helper| helper.prototype).is_some_and(|prototype| {
            prototype.args.iter().any(|arg| matches!(arg, Arg::Func(kind) if *kind != Callback::Timer))
        })
    }

    fn meet_at(&mut self, at: InsnIdx, meeting: Meeting) -> Result<(), Rejection> {
        let Some(place) = self.places.get_mut(at.index()) else { return Ok(()) };
        if place.list == 0 {
            place.list = self.lists.len() as u32;
            self.lists.try_reserve(1).map_err(|_| no_memory())?;
            self.lists.push(Vec::new());
        }
        if !matches!(place.meeting, Meeting::Always(_)) {
            place.meeting = meeting;
        }
        Ok(())
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
        if self.program.at(at).is_some_and(|insn| insn.flow() != Flow::Next || insn.is_call()) {
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
        if let Some(set) = next.widened {
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

    fn put_by(&mut self, state: State) {
        if self.spare.len() < SPARE && self.spare.try_reserve(1).is_ok() {
            self.spare.push(state);
        }
    }

    fn forget_path(&mut self) {
        self.leave_path(Path::default().mark());
    }

    fn leave_path(&mut self, mark: Mark) {
        while let Some(index) = self.path.back_to(mark) {
            if leave(&mut self.kept, index, self.limits.pruning) == Leaving::Dropped {
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
        self.wait_from(Waiting { mark, state, at, first: None, widened: None })
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

    /// Leaves a path for later that goes into a function that the helper called at `call` calls. The current step is that call.
    pub(crate) fn wait_in_callback(
        &mut self,
        mut state: State,
        call: InsnIdx,
        start: InsnIdx,
    ) -> Result<(), Rejection> {
        let widened = self.widen(&mut state, call)?;
        let mut mark = self.path.mark();
        mark.undo_step();
        let first = Some((call, Note::EnterCallback));
        self.wait_from(Waiting { mark, state, at: start, first, widened })
    }

    /// Leaves a path for later that a `may_goto` at `at` does not end.
    pub(crate) fn wait_in_loop(
        &mut self,
        mut state: State,
        at: InsnIdx,
        next: InsnIdx,
    ) -> Result<(), Rejection> {
        let widened = self.widen(&mut state, at)?;
        let mark = self.path.mark();
        self.wait_from(Waiting { mark, state, at: next, first: None, widened })
    }

    /// Leaves the way on for later that a function takes which is left, as the note says, at the current instruction.
    pub(crate) fn wait_after_leaving(
        &mut self,
        state: State,
        left: (InsnIdx, Note),
        at: InsnIdx,
    ) -> Result<(), Rejection> {
        let mark = self.path.mark();
        self.wait_from(Waiting { mark, state, at, first: Some(left), widened: None })
    }

    /// Leaves a function for later that runs when nothing of the program is active.
    pub(crate) fn wait_apart(&mut self, mut state: State, at: InsnIdx) -> Result<(), Rejection> {
        state.since = self.path.position().0;
        self.wait(state, at)
    }

    /// Makes numbers unknown that differ from those of the last time round, if nothing was seen to depend on them
    /// (`widen_imprecise_scalars`).
    fn widen(&mut self, state: &mut State, at: InsnIdx) -> Result<Option<Set>, Rejection> {
        // The last one was kept on this arrival.
        let before = self.path.kept().skip(1).find(|&index| {
            self.kept.get(index).is_some_and(|kept| kept.at == at && outer_frames_agree(&kept.state, state))
        });
        let Some(kept) = before.and_then(|index| self.kept.get(index)) else { return Ok(None) };
        let mut set = Set::EMPTY;
        for (number, old) in kept.state.frames.iter().enumerate() {
            let Some(new) = state.frames.get_mut(number) else { break };
            let wanted = kept.wanted.get(number).copied().unwrap_or_default();
            for reg in skep_isa::Reg::ALL {
                let index = reg.index();
                if wanted.regs & 1 << index == 0 && widen_value(old.reg(reg), &mut new.regs[index]) {
                    set.add_reg(number, reg);
                }
            }
            for (index, (old, new)) in old.stack.iter().zip(&mut new.stack).enumerate() {
                if wanted.slots & 1 << (index & 63) != 0 || old.bytes != new.bytes {
                    continue;
                }
                if old.stored().is_some() && widen_value(&old.value, &mut new.value) {
                    set.add_slot(number, index);
                }
            }
        }
        Ok((!set.is_empty()).then_some(set))
    }

    /// Lets numbers that change in a loop go ahead of it, so that it comes to a state that stands for all that follow. Says whether any did.
    ///
    /// What becomes of a number has it among others, so nothing is lost that may happen; what is wanted of it is wanted of what it was.
    fn go_ahead(&self, state: &mut State, at: InsnIdx) -> bool {
        let mut turns = self.path.kept().filter_map(|index| {
            let kept = self.kept.get(index)?;
            let here = kept.at == at && kept.state.frames.len() == state.frames.len();
            (here && outer_frames_agree(&kept.state, state)).then_some(index)
        });
        let last = turns.next();
        let turns = 1 + turns.count();
        let Some(kept) = last.filter(|_| turns >= AHEAD).and_then(|index| self.kept.get(index)) else {
            return false;
        };
        let mut changed = false;
        let mut ahead = |old: &Value, new: &mut Value| {
            if !old.is_number() || !new.is_number() || old.number == new.number {
                return;
            }
            let number = match old.number.covers(&new.number) {
                true => old.number,
                false if turns < UNKNOWN => self.ahead(&old.number, &new.number),
                false => Number::UNKNOWN,
            };
            *new = Value::number(number);
            changed = true;
        };
        for (old, new) in kept.state.frames.iter().zip(&mut state.frames) {
            for reg in skep_isa::Reg::ALL {
                ahead(old.reg(reg), &mut new.regs[reg.index()]);
            }
            for (old, new) in old.stack.iter().zip(&mut new.stack) {
                if old.bytes == new.bytes && old.stored().is_some() {
                    ahead(&old.value, &mut new.value);
                }
            }
        }
        changed
    }

    /// Contains both numbers, and what goes on in the same direction up to the next border.
    fn ahead(&self, old: &Number, new: &Number) -> Number {
        let (least, most) = (new.smin(), new.smax());
        let below = self.borders.partition_point(|&border| border <= least);
        let low = match below.checked_sub(1).and_then(|index| self.borders.get(index)) {
            _ if least >= old.smin() => old.smin(),
            Some(&border) => border,
            None => i64::MIN,
        };
        let above = self.borders.partition_point(|&border| border < most);
        let high = match self.borders.get(above) {
            _ if most <= old.smax() => old.smax(),
            Some(&border) => border,
            None => i64::MAX,
        };
        let wide = new.widen(old);
        wide.meet(&Number::signed(low, high)).unwrap_or(wide)
    }

    /// Notes that a loop that is not seen to end comes round here, to a state that stands for the one that is there now.
    fn comes_round(&mut self, state: &State, at: InsnIdx) -> Result<Arrival, Rejection> {
        self.want_everything(state, at);
        if let Err(index) = self.metered.binary_search(&at) {
            self.metered.try_reserve(1).map_err(|_| no_memory())?;
            self.metered.insert(index, at);
        }
        Ok(Arrival::Known)
    }

    /// Compares a state with those that were kept where it is now, and keeps it if it is a new one.
    fn comes_to(&mut self, state: &mut State, at: InsnIdx) -> Result<Arrival, Rejection> {
        let Some(&place) = self.places.get(at.index()) else { return Ok(Arrival::New) };
        let always = match place.meeting {
            Meeting::Never => return Ok(Arrival::New),
            Meeting::Sometimes => None,
            Meeting::Always(turn) => Some(turn),
        };
        let (mut arrival, keep) = self.compare(state, at, (place, always), Purpose::Arrive)?;
        if arrival == Arrival::New && always == Some(Turn::Loop) && self.go_ahead(state, at) {
            (arrival, _) = self.compare(state, at, (place, always), Purpose::Look)?;
        }
        if arrival == Arrival::New && keep {
            self.keep(state, at, place.list as usize)?;
        }
        Ok(arrival)
    }

    /// Compares a state with those that were kept where it is now. Says whether it is worth keeping, too.
    fn compare(
        &mut self,
        state: &State,
        at: InsnIdx,
        (place, always): (Place, Option<Turn>),
        purpose: Purpose,
    ) -> Result<(Arrival, bool), Rejection> {
        let how = match self.limits.pruning {
            Pruning::Full => Compare::Wanted,
            Pruning::Within | Pruning::Never => Compare::Within,
        };
        let force = always.is_some() || self.path.since_point() > 40;
        let (jumps, insns) = (self.jumps - self.last_jumps, self.stats.insns - self.last_insns);
        let after = if self.log.is_some() { KEEP_AS_LINUX } else { KEEP };
        let mut keep = purpose == Purpose::Arrive && (force || (jumps >= after.0 && insns >= after.1));
        let list = place.list as usize;
        let mut index = self.lists.get(list).map_or(0, Vec::len);
        let count = index as u32;
        if index == 0 {
            self.stats.states_per_insn = self.stats.states_per_insn.max(count);
            return Ok((Arrival::New, keep));
        }
        let (top, here) = (state.top(), self.live.before(at));
        let mut ids = Ids::new();
        while index > 0 {
            index -= 1;
            let Some(number) = self.lists.get(list).and_then(|list| list.get(index)).map(|&at| at as usize)
            else {
                break;
            };
            let Some(kept) = self.kept.get(number) else { break };
            let live = &self.live;
            let mut differed = kept.differed;
            let mut compare = |how| {
                let live = |frame| if frame == top { here } else { resumed(live, state, frame, at) };
                covers(kept, state, how, &mut ids, live).map_err(|part| differed = part).is_ok()
            };
            if kept.on_path {
                let turned = match always {
                    Some(Turn::Callback) => kept.state.unrolled != state.unrolled,
                    Some(Turn::MayGoto) => kept.state.turns != state.turns,
                    Some(Turn::Iterator) => iterates(state),
                    Some(Turn::Loop) => true,
                    None => false,
                };
                if turned && compare(Compare::Within) {
                    if always == Some(Turn::Loop) {
                        return Ok((self.comes_round(state, at)?, keep));
                    }
                    self.want_everything(state, at);
                    return Ok((Arrival::Known, keep));
                }
                if kept.state.turns == state.turns
                    && kept.state.unrolled == state.unrolled
                    && compare(Compare::Equal)
                {
                    if self.loops == Loops::Metered {
                        return Ok((self.comes_round(state, at)?, keep));
                    }
                    return Err(Rule::Endless.broken(
                        at,
                        format_args!("the loop comes here again with nothing changed, so it never ends"),
                    ));
                }
                if !force && jumps < 20 && insns < 100 {
                    keep = false;
                }
            } else if self.limits.pruning != Pruning::Never && compare(how) {
                let wanted = kept.wanted;
                if let Some(kept) = self.kept.get_mut(number) {
                    kept.hits += 1;
                }
                self.want_as(state, &wanted);
                return Ok((Arrival::Known, keep));
            }
            if let Some(kept) = self.kept.get_mut(number) {
                kept.differed = differed;
            }
            if keep {
                self.missed(list, index, number, always);
            }
        }
        self.stats.states_per_insn = self.stats.states_per_insn.max(count);
        Ok((Arrival::New, keep))
    }

    /// Counts a comparison in vain, and drops a state of which there were too many.
    fn missed(&mut self, list: usize, index: usize, number: usize, always: Option<Turn>) {
        let Some(kept) = self.kept.get_mut(number) else { return };
        kept.misses += 1;
        // What goes round is compared with every turn of it.
        let few = if always.is_some() && kept.on_path { 64 } else { 3 };
        let most = kept.hits.saturating_mul(few).saturating_add(few);
        if kept.misses <= most {
            return;
        }
        if let Some(list) = self.lists.get_mut(list) {
            list.remove(index);
        }
        kept.listed = false;
        if !kept.on_path {
            self.drop_kept(number);
        }
    }

    /// Lets the memory of a state go that nothing can come to any more.
    fn drop_kept(&mut self, number: usize) {
        let Some(kept) = self.kept.get_mut(number) else { return };
        kept.state.frames = Vec::new();
        kept.state.owned = Vec::new();
        if self.free.try_reserve(1).is_ok() {
            self.free.push(number as u32);
        }
        self.states -= 1;
    }

    fn keep(&mut self, state: &State, at: InsnIdx, list: usize) -> Result<(), Rejection> {
        let kept = Kept {
            state: KeptState::new(state, |frame| resumed(&self.live, state, frame, at))?,
            at,
            wanted: [Wanted::default(); MOST_FRAMES],
            on_path: true,
            listed: true,
            hits: 0,
            misses: 0,
            differed: Part::Whole,
        };
        let number = match self.free.pop() {
            Some(number) => {
                if let Some(old) = self.kept.get_mut(number as usize) {
                    *old = kept;
                }
                number
            }
            None => {
                self.kept.try_reserve(1).map_err(|_| no_memory())?;
                self.kept.push(kept);
                self.kept.len() as u32 - 1
            }
        };
        if let Some(list) = self.lists.get_mut(list) {
            list.try_reserve(1).map_err(|_| no_memory())?;
            list.push(number);
        }
        self.path.point(number as usize)?;
        self.states += 1;
        self.stats.states += 1;
        self.stats.peak_states = self.stats.peak_states.max(self.states);
        self.last_jumps = self.jumps;
        self.last_insns = self.stats.insns;
        Ok(())
    }

    /// Wants of the path what was wanted of a state that stands for the one at its end.
    fn want_as(&mut self, state: &State, wanted: &[Wanted; MOST_FRAMES]) {
        let (mut set, mut handed) = (Set::EMPTY, Set::EMPTY);
        for (number, wanted) in wanted.iter().enumerate() {
            set.regs[number] = wanted.regs;
            set.slots[number] = wanted.slots;
            handed.regs[number] = wanted.handed_regs;
            handed.slots[number] = wanted.handed_slots;
            let mut read = wanted.read;
            while read != 0 {
                let slot = read.trailing_zeros() as usize;
                read &= read - 1;
                self.read_slot(state, number, slot);
            }
        }
        self.need_for(state, set, (Why::Decides, When::Between));
        self.need_for(state, handed, (Why::HandedOn, When::Between));
    }

    /// Wants everything of the path that is known of the state at its end: it goes on at a state of which not all is known yet that is
    /// wanted of it, and what comes to be wanted there may be computed, in a turn of the loop, of anything else that was there before.
    fn want_everything(&mut self, state: &State, at: InsnIdx) {
        let mut set = Set::EMPTY;
        for (number, frame) in state.frames.iter().enumerate().take(MOST_FRAMES) {
            set.regs[number] = resumed(&self.live, state, number, at).bits();
            for (index, slot) in frame.stack.iter().enumerate() {
                if slot.stored().is_some() {
                    set.add_slot(number, index);
                }
                self.read_slot(state, number, index);
            }
        }
        self.need_for(state, set, (Why::HandedOn, When::Between));
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

/// What became of a state where paths meet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Arrival {
    /// What follows has to be looked at.
    New,
    /// It was, for a state that stands for this one.
    Known,
}

/// Why a state is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purpose {
    /// The path comes here.
    Arrive,
    /// It has, and less is known now.
    Look,
}

/// What becomes of a state that is not on the path any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Leaving {
    Kept,
    Dropped,
}

/// Takes a kept state off the path. What is there of its stack and was not read since is of no use to anybody.
fn leave(kept: &mut [Kept], index: usize, pruning: Pruning) -> Leaving {
    let Some(kept) = kept.get_mut(index) else { return Leaving::Kept };
    kept.on_path = false;
    if !kept.listed {
        return Leaving::Dropped;
    }
    if pruning != Pruning::Full {
        return Leaving::Kept;
    }
    for (frame, wanted) in kept.state.frames.iter_mut().zip(&kept.wanted) {
        let used = 64 - wanted.read.leading_zeros() as usize;
        if used < frame.stack.len() {
            // Where there is no memory for less of it, the rest stays.
            let mut less = Vec::new();
            if less.try_reserve_exact(used).is_ok() {
                less.extend_from_slice(frame.stack.get(..used).unwrap_or_default());
                frame.stack = less;
            }
        }
    }
    Leaving::Kept
}

fn filled<T: Clone + Default>(count: usize) -> Result<Vec<T>, Rejection> {
    let mut all = Vec::new();
    all.try_reserve_exact(count).map_err(|_| no_memory())?;
    all.resize(count, T::default());
    Ok(all)
}

/// The registers that are read once a function goes on: the one that runs at `at`, those below where they called.
fn resumed(live: &Live, state: &State, frame: usize, at: InsnIdx) -> RegSet {
    match state.frames.get(frame + 1) {
        None => live.before(at),
        Some(Frame { call, role: Role::Callback(_), .. }) => live.before(*call),
        Some(Frame { call, .. }) => live.before(InsnIdx(call.0 + 1)).without(RegSet::CALLER_SAVED),
    }
}

/// Whether the first argument points to an iterator that may have a next number.
fn iterates(state: &State) -> bool {
    let value = state.reg(skep_isa::Reg::R1);
    let slot = || {
        let Some(To::Stack { frame }) = value.certainly_to() else { return None };
        let below = value.offset().filter(|offset| *offset < 0)?;
        state.frames.get(usize::from(frame))?.slot(place(below).0)?.kept
    };
    matches!(slot(), Some(stack::Kept::Iterator { turning: Turning::Active, .. }))
}

/// Whether all functions of the older state are active in the newer one, too, at the same calls.
fn outer_frames_agree(old: &KeptState, new: &State) -> bool {
    old.frames.len() <= new.frames.len()
        && old
            .frames
            .iter()
            .zip(&new.frames)
            .all(|(one, two)| one.function == two.function && one.call == two.call)
}

/// Makes a number unknown that is another one than before.
fn widen_value(old: &Value, new: &mut Value) -> bool {
    if !old.is_number() || !new.is_number() || (old.number == new.number && old.fixed == new.fixed) {
        return false;
    }
    *new = Value::UNKNOWN;
    true
}
