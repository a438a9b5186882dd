//! Where paths meet: which states are kept and compared there.
//!
//! What is kept and what is forgotten follows Linux (`is_state_visited` in `kernel/bpf/verifier.c`): states are compared where paths meet, and one
//! that is of no use is dropped. A new one is kept after a jump and three instructions, where Linux waits for two and eight: kept states are
//! small here, and paths that branch often are followed less often twice. A path that comes to what a kept state stands for ends there; what
//! was wanted of that state is wanted of the path then.

use super::Explorer;
use crate::kept::{Kept, KeptState, Spare, Standing};
use crate::live::Live;
use crate::path::{MOST_FRAMES, Set, When, Why};
use crate::rejection::{Rejection, Rule, no_memory};
use crate::same::{Compare, counts_otherwise, covers};
use crate::scalar::Number;
use crate::stack::{self, Turning, place};
use crate::state::{Frame, Role, State};
use crate::value::{To, Value};
use crate::verified::{Loops, Pruning};
use alloc::vec::Vec;
use skep_abi::FuncId;
use skep_isa::{Flow, Insn, InsnIdx, Operand, RegSet};
use skep_model::platform::helper::Arg;
use skep_model::platform::kfuncs::Does;

/// What paths do at an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Place {
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

impl Explorer<'_> {
    /// Notes where paths meet because of an instruction (`visit_insn`).
    pub(super) fn meetings_of(&mut self, at: InsnIdx, insn: Insn) -> Result<(), Rejection> {
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
    pub(super) fn find_borders(&mut self) -> Result<(), Rejection> {
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

    /// Makes numbers unknown that differ from those of the last time round, if nothing was seen to depend on them
    /// (`widen_imprecise_scalars`).
    pub(super) fn widen(&mut self, state: &mut State, at: InsnIdx) -> Result<Option<Set>, Rejection> {
        // The last one was kept on this arrival.
        let before = self.path.kept().skip(1).find(|&index| {
            self.kept.get(index).is_some_and(|kept| kept.at == at && outer_frames_agree(&kept.state, state))
        });
        let Some(kept) = before.and_then(|index| self.kept.get(index)) else { return Ok(None) };
        let mut set = Set::EMPTY;
        for (number, old) in kept.state.frames.iter().enumerate() {
            let Some(new) = state.frames.get_mut(number) else { break };
            let wanted = old.wanted;
            for reg in skep_isa::Reg::ALL {
                let index = reg.index();
                if wanted.regs & 1 << index == 0 && widen_value(&old.reg(reg), &mut new.regs[index]) {
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
                ahead(&old.reg(reg), &mut new.regs[reg.index()]);
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
    pub(super) fn comes_to(&mut self, state: &mut State, at: InsnIdx) -> Result<Arrival, Rejection> {
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
        while index > 0 {
            index -= 1;
            let Some(number) = self.lists.get(list).and_then(|list| list.get(index)).map(|&at| at as usize)
            else {
                break;
            };
            let Some(standing) = self.standings.get(number) else { break };
            let (live, ids) = (&self.live, &mut self.ids);
            let kept = || self.kept.get(number).map(|kept| &kept.state);
            let mut differed = standing.differed;
            let mut compare = |how| {
                if counts_otherwise(standing, state, how) {
                    return false;
                }
                let live = |frame| if frame == top { here } else { resumed(live, state, frame, at) };
                kept().is_some_and(|kept| {
                    let covers = covers((kept, standing.differed), state, how, ids, live);
                    covers.map_err(|part| differed = part).is_ok()
                })
            };
            if standing.on_path {
                let turned = match always {
                    Some(Turn::Callback) => kept().is_some_and(|kept| kept.unrolled != state.unrolled),
                    Some(Turn::MayGoto) => kept().is_some_and(|kept| kept.turns != state.turns),
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
                if compare(Compare::Equal) {
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
                if let Some(standing) = self.standings.get_mut(number) {
                    standing.hits += 1;
                }
                self.want_as(state, number);
                return Ok((Arrival::Known, keep));
            }
            if differed != standing.differed {
                if let Some((standing, kept)) = self.standings.get_mut(number).zip(self.kept.get(number)) {
                    standing.note(differed, &kept.state);
                }
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
        let Some(standing) = self.standings.get_mut(number) else { return };
        standing.misses += 1;
        // What goes round is compared with every turn of it.
        let few = if always.is_some() && standing.on_path { 64 } else { 3 };
        let most = standing.hits.saturating_mul(few).saturating_add(few);
        if standing.misses <= most {
            return;
        }
        if let Some(list) = self.lists.get_mut(list) {
            list.remove(index);
        }
        standing.listed = false;
        if !standing.on_path {
            self.drop_kept(number);
        }
    }

    /// Lets the memory of a state go that nothing can come to any more.
    pub(super) fn drop_kept(&mut self, number: usize) {
        let Some(kept) = self.kept.get_mut(number) else { return };
        kept.state.let_go(&mut self.unused);
        if self.free.try_reserve(1).is_ok() {
            self.free.push(number as u32);
        }
        self.states -= 1;
    }

    fn keep(&mut self, state: &State, at: InsnIdx, list: usize) -> Result<(), Rejection> {
        let number = match self.free.pop() {
            Some(number) => number as usize,
            None => {
                self.kept.try_reserve(1).map_err(|_| no_memory())?;
                self.standings.try_reserve(1).map_err(|_| no_memory())?;
                self.kept.push(Kept::EMPTY);
                self.standings.push(Standing::NEW);
                self.kept.len() - 1
            }
        };
        if let Some((kept, standing)) = self.kept.get_mut(number).zip(self.standings.get_mut(number)) {
            kept.state.fill(state, |frame| resumed(&self.live, state, frame, at), &mut self.unused)?;
            (kept.at, *standing) = (at, Standing::NEW);
        }
        if let Some(list) = self.lists.get_mut(list) {
            list.try_reserve(1).map_err(|_| no_memory())?;
            list.push(number as u32);
        }
        self.path.point(number)?;
        self.states += 1;
        self.stats.states += 1;
        self.stats.peak_states = self.stats.peak_states.max(self.states);
        self.last_jumps = self.jumps;
        self.last_insns = self.stats.insns;
        Ok(())
    }

    /// Wants of the path what was wanted of the kept state of this number, which stands for the one at its end.
    fn want_as(&mut self, state: &State, number: usize) {
        let (mut set, mut handed, mut read) = (Set::EMPTY, Set::EMPTY, [0; MOST_FRAMES]);
        let Some(kept) = self.kept.get(number) else { return };
        for (number, frame) in kept.state.frames.iter().enumerate().take(MOST_FRAMES) {
            set.regs[number] = frame.wanted.regs;
            set.slots[number] = frame.wanted.slots;
            handed.regs[number] = frame.wanted.handed_regs;
            handed.slots[number] = frame.wanted.handed_slots;
            read[number] = frame.wanted.read;
        }
        for (number, mut read) in read.into_iter().enumerate().take(state.frames.len()) {
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
}

/// What became of a state where paths meet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arrival {
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
pub(super) enum Leaving {
    Kept,
    Dropped,
}

/// Takes a kept state off the path. What of it nothing was seen to depend on is of no use to anybody.
pub(super) fn leave(
    kept: &mut KeptState,
    standing: &mut Standing,
    pruning: Pruning,
    unused: &mut Spare,
) -> Leaving {
    standing.on_path = false;
    if !standing.listed {
        return Leaving::Dropped;
    }
    standing.weigh(kept);
    if pruning != Pruning::Full {
        return Leaving::Kept;
    }
    for frame in kept.frames.iter_mut() {
        frame.forget(unused);
    }
    Leaving::Kept
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
