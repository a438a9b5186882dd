//! What of the path led to a rejection: where the value comes from that is used wrongly, what was learned of it last, and what ended that.
//!
//! All of it is found by walking back over the path, after the rejection; accepted programs pay nothing for it. It explains and decides
//! nothing: where the walk cannot follow a value, a note is missing.

use crate::explore::Explorer;
use crate::path::Note as Did;
use crate::rejection::{Note, Rejection, Rule, no_memory, words};
use crate::state::{OwnedKind, State};
use crate::subject::Subject;
use crate::value::{To, Value};
use alloc::vec::Vec;
use core::fmt;
use skep_abi::FuncId;
use skep_isa::{AluOp, Cond, Insn, InsnIdx, Operand, Program, Reg, Width};
use skep_model::platform::helper::{Arg, Effects, Helper};

/// How many steps are looked back at.
const FAR: usize = 4096;
/// How many computations are gone back over for what bounds a number.
const MOST_STEPS: usize = 8;
/// How many comparisons are asked whether they are about a value.
const COMPARISONS: usize = 64;

impl Explorer<'_> {
    /// Adds to a rejection what the path tells of it.
    pub(crate) fn explained(&self, rejection: Rejection, state: &State) -> Rejection {
        let mut rejection = match rejection.insn {
            Some(at) => self.in_linux_words(rejection, state, at),
            None => rejection,
        };
        rejection.stats = self.stats;
        match rejection.insn {
            Some(at) => self.tell(rejection, state, at).unwrap_or_else(no_memory),
            None => rejection,
        }
    }

    /// `None` for want of memory.
    fn tell(&self, mut rejection: Rejection, state: &State, at: InsnIdx) -> Option<Rejection> {
        let past = Past::of(self, state, at)?;
        rejection.path.try_reserve_exact(past.steps.len() + 1).ok()?;
        rejection.path.extend(past.steps.iter().rev().map(|step| step.insn));
        rejection.path.push(at);
        if rejection.rule == Rule::Processed {
            rejection.insn = past.busiest().or(rejection.insn);
        }
        let mut why = Why { subject: self.subject, past: &past, state, at, found: Vec::new(), short: false };
        why.tell(rejection.rule);
        if why.short {
            return None;
        }
        // The oldest first.
        why.found.sort_unstable_by_key(|(step, note)| (core::cmp::Reverse(*step), note.insn));
        rejection.notes.try_reserve_exact(why.found.len()).ok()?;
        for (_, note) in why.found {
            if rejection.notes.iter().all(|known| known.insn != note.insn) {
                rejection.notes.push(note);
            }
        }
        Some(rejection)
    }
}

/// A step before the one that is rejected.
struct Step {
    insn: InsnIdx,
    did: Did,
    /// Which of the active functions took it.
    frame: usize,
}

/// The path before the rejection, the last step first.
struct Past<'e> {
    program: &'e Program,
    at: InsnIdx,
    steps: Vec<Step>,
}

/// Where a value is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Reg(usize, Reg),
    Slot(u8, u8),
}

impl<'e> Past<'e> {
    fn of(explorer: &'e Explorer<'_>, state: &State, at: InsnIdx) -> Option<Past<'e>> {
        let path = &explorer.path;
        let mut steps = Vec::new();
        steps.try_reserve_exact(path.back().len().min(FAR)).ok()?;
        let mut frame = state.frames.len().saturating_sub(1);
        let is_here = |(index, (insn, _)): &(usize, (InsnIdx, Did))| *index == 0 && *insn == at;
        for (_, (insn, did)) in path.back().enumerate().skip_while(is_here).take(FAR) {
            frame = match did {
                Did::Enter | Did::EnterCallback => frame.saturating_sub(1),
                Did::Leave | Did::LeaveCallback => frame + 1,
                _ => frame,
            };
            steps.push(Step { insn, did, frame });
        }
        Some(Past { program: explorer.program, at, steps })
    }

    /// The step that made what is in a place before the step `from`, seen from the end.
    fn origin(&self, from: usize, mut place: Place) -> Option<usize> {
        // Of a slot that nothing was stored to, the load.
        let mut loaded = None;
        for (index, step) in self.steps.iter().enumerate().skip(from) {
            let insn = self.program.at(step.insn)?;
            let (frame, reg) = match place {
                Place::Reg(frame, reg) => (frame, reg),
                Place::Slot(frame, slot) => {
                    if step.did == (Did::Slot { frame, slot }) {
                        match insn {
                            Insn::Store { src: Operand::Reg(src), .. } => {
                                place = Place::Reg(step.frame, src);
                            }
                            Insn::Store { .. } => return Some(index),
                            _ => {}
                        }
                    }
                    continue;
                }
            };
            let is_argument = (1..=5).contains(&reg.index());
            match step.did {
                Did::Enter if frame == step.frame + 1 => {
                    if !is_argument {
                        return None;
                    }
                    place = Place::Reg(step.frame, reg);
                }
                Did::Leave if frame + 1 == step.frame && reg == Reg::R0 => {
                    place = Place::Reg(step.frame, reg);
                }
                Did::Leave | Did::LeaveCallback if frame + 1 == step.frame && reg.index() <= 5 => {
                    return Some(index);
                }
                Did::EnterCallback if frame == step.frame + 1 => return Some(index),
                Did::Nothing | Did::Slot { .. } | Did::Together(_)
                    if frame == step.frame && insn.writes().contains(reg) =>
                {
                    match insn {
                        Insn::Alu { op: AluOp::Mov, src: Operand::Reg(src), .. } => {
                            place = Place::Reg(frame, src);
                        }
                        // Moved, it is still what it was.
                        Insn::Alu { op: AluOp::Add | AluOp::Sub, .. } => {}
                        Insn::Load { base, off, .. } => match step.did {
                            Did::Slot { frame, slot } => place = Place::Slot(frame, slot),
                            // Of pointers it is not noted.
                            _ if base == Reg::FP && off < 0 && off % 8 == 0 => {
                                let slot = off.unsigned_abs() / 8 - 1;
                                loaded = Some(index);
                                place = Place::Slot(frame as u8, u8::try_from(slot).ok()?);
                            }
                            _ => return Some(index),
                        },
                        _ => return Some(index),
                    }
                }
                _ => {}
            }
        }
        loaded.filter(|_| matches!(place, Place::Slot(..)))
    }

    /// The last step before `from` that added a register to what is in a register, and which.
    fn index_added(&self, from: usize, reg: Reg, frame: usize) -> Option<(usize, Reg)> {
        let made = self.origin(from, Place::Reg(frame, reg));
        let mut reg = reg;
        for (index, step) in self.steps.iter().enumerate().skip(from) {
            if Some(index) == made {
                return None;
            }
            if step.frame != frame {
                continue;
            }
            match self.program.at(step.insn)? {
                Insn::Alu { op: AluOp::Mov, dst, src: Operand::Reg(src), .. } if dst == reg => reg = src,
                Insn::Alu { op: AluOp::Add | AluOp::Sub, dst, src: Operand::Reg(src), .. } if dst == reg => {
                    return Some((index, src));
                }
                insn if insn.writes().contains(reg) && !matches!(insn, Insn::Alu { .. }) => return None,
                _ => {}
            }
        }
        None
    }

    /// The last comparison before `from` of what `made` made.
    fn compared(&self, from: usize, made: usize) -> Option<(usize, Insn)> {
        let branches = self.steps.iter().enumerate().take(made).skip(from).filter_map(|(index, step)| {
            match self.program.at(step.insn)? {
                insn @ Insn::Branch { dst, src, .. } => Some((index, step.frame, insn, dst, src.reg())),
                _ => None,
            }
        });
        for (index, frame, insn, dst, src) in branches.take(COMPARISONS) {
            let is_it = |reg: Reg| self.origin(index + 1, Place::Reg(frame, reg)) == Some(made);
            if is_it(dst) || src.is_some_and(is_it) {
                return Some((index, insn));
            }
        }
        None
    }

    /// The instruction after a step.
    fn after(&self, step: usize) -> InsnIdx {
        step.checked_sub(1).and_then(|next| self.steps.get(next)).map_or(self.at, |step| step.insn)
    }

    /// The jump back that was taken most often.
    fn busiest(&self) -> Option<InsnIdx> {
        let is_back = |index: usize, step: &Step| self.after(index) <= step.insn && step.did != Did::Leave;
        let mut most: Option<(InsnIdx, usize)> = None;
        for (index, step) in self.steps.iter().enumerate() {
            if !is_back(index, step) || most.is_some_and(|(insn, _)| insn == step.insn) {
                continue;
            }
            let count = self.steps.iter().filter(|other| other.insn == step.insn).count();
            if count > most.map_or(1, |(_, count)| count) {
                most = Some((step.insn, count));
            }
        }
        most.map(|(insn, _)| insn)
    }
}

/// What is found out of a rejection.
struct Why<'w> {
    subject: &'w Subject<'w>,
    past: &'w Past<'w>,
    state: &'w State,
    at: InsnIdx,
    /// With the step, from the end.
    found: Vec<(usize, Note)>,
    /// Memory ran out.
    short: bool,
}

impl Why<'_> {
    fn note(&mut self, step: usize, message: fmt::Arguments<'_>) {
        if let Some(insn) = self.past.steps.get(step).map(|step| step.insn) {
            self.add(step, insn, message);
        }
    }

    /// A note on an instruction that may lie further back than is looked.
    fn note_at(&mut self, insn: InsnIdx, message: fmt::Arguments<'_>) {
        let step = self.past.steps.iter().position(|step| step.insn == insn).unwrap_or(FAR);
        self.add(step, insn, message);
    }

    fn add(&mut self, step: usize, insn: InsnIdx, message: fmt::Arguments<'_>) {
        match (words(message), self.found.try_reserve(1)) {
            (Some(message), Ok(())) => self.found.push((step, Note { insn, message, is_mistake: false })),
            _ => self.short = true,
        }
    }

    fn helper(&self, insn: InsnIdx) -> Option<&'static Helper> {
        let Some(Insn::CallHelper { id }) = self.past.program.at(insn) else { return None };
        self.subject.platform.helper(FuncId(id)).ok()
    }

    fn helper_of(&self, step: usize) -> Option<&'static Helper> {
        self.helper(self.past.steps.get(step)?.insn)
    }

    fn value(&self, reg: Reg) -> Value {
        *self.state.reg(reg)
    }

    fn tell(&mut self, rule: Rule) {
        let Some(insn) = self.past.program.at(self.at) else { return };
        let used = match insn {
            Insn::Load { base, .. }
            | Insn::Store { base, .. }
            | Insn::Atomic { base, .. }
            | Insn::LoadAcquire { base, .. }
            | Insn::StoreRelease { base, .. } => Some(base),
            Insn::CallHelper { .. } => self.wrong_argument(rule),
            Insn::Alu { dst, src, .. } => self.wrong_operand(dst, src),
            _ => None,
        };
        match rule {
            Rule::Null | Rule::Dereference | Rule::Argument | Rule::Release | Rule::Rights => {
                if let Some(reg) = used {
                    self.came_from(reg);
                }
                if let (Rule::Argument, Some(reg)) = (rule, used) {
                    self.bounded(reg);
                }
            }
            Rule::Initialised => self.not_written(insn),
            Rule::Packet => {
                if let Some(reg) = used {
                    self.packet(reg);
                }
            }
            Rule::Bounds | Rule::Stack => {
                if let Some(reg) = used {
                    self.came_from(reg);
                    self.index(reg);
                }
            }
            Rule::Arithmetic => {
                if let Some(reg) = used {
                    self.came_from(reg);
                    let other = match insn {
                        Insn::Alu { dst, src: Operand::Reg(src), .. } => {
                            Some(if src == reg { dst } else { src })
                        }
                        _ => None,
                    };
                    if let Some(other) = other {
                        self.bounded(other);
                    }
                }
            }
            Rule::Leak | Rule::Lock | Rule::Helper => self.owned(),
            Rule::Return => self.returned(),
            Rule::Endless | Rule::Processed => self.turns(),
            _ => {}
        }
    }

    /// The first argument that is not what the helper wants, as far as that can be seen of it alone.
    fn wrong_argument(&self, rule: Rule) -> Option<Reg> {
        let prototype = self.helper(self.at)?.prototype?;
        let arguments = prototype.args.iter().zip(1u8..).filter_map(|(arg, at)| Some((arg, Reg::new(at)?)));
        for (arg, reg) in arguments {
            let value = self.value(reg);
            let wrong = match rule {
                Rule::Null => value.may_be_null(),
                Rule::Packet => value.is_packet(),
                Rule::Release => arg.is_released(),
                Rule::Bounds | Rule::Stack | Rule::Rights => {
                    matches!(
                        arg,
                        Arg::Mem(..)
                            | Arg::MapKey
                            | Arg::MapValue
                            | Arg::MapValueOrNull
                            | Arg::MapValueOut
                            | Arg::Fixed { .. }
                            | Arg::Header(_)
                    )
                }
                _ => match arg {
                    Arg::Any | Arg::Unchecked => false,
                    Arg::Size(_) => {
                        !value.is_number() || value.number.smin() < 0 || value.number.umax() >= 1 << 29
                    }
                    Arg::AllocSize => value.as_constant().is_none(),
                    _ => value.is_number() && value.as_constant() != Some(0),
                },
            };
            if wrong {
                return Some(reg);
            }
        }
        None
    }

    /// The pointer of a computation.
    fn wrong_operand(&self, dst: Reg, src: Operand) -> Option<Reg> {
        match src {
            Operand::Reg(src) if self.value(dst).is_number() && !self.value(src).is_number() => Some(src),
            _ => Some(dst),
        }
    }

    /// Where a value comes from, and what it lost since.
    fn came_from(&mut self, reg: Reg) {
        let value = self.value(reg);
        let Some(made) = self.past.origin(0, Place::Reg(self.state.top(), reg)) else {
            if value.certainly_to() == Some(To::Context) {
                self.context(reg);
            }
            return;
        };
        let Some(insn) = self.past.steps.get(made).and_then(|step| self.past.program.at(step.insn)) else {
            return;
        };
        let was_pointer = self.lost(reg, made);
        if let Some(helper) = self.helper_of(made) {
            let name = helper.name;
            if reg != Reg::R0 && self.past.steps.iter().take(made).all(|step| step.insn == self.at) {
                return;
            }
            match value.to() {
                Some(_) if value.may_be_null() => {
                    self.note(made, format_args!("bpf_{name} returns a pointer that may be null"));
                }
                Some(to) => {
                    self.note(made, format_args!("the pointer is from bpf_{name}: {to}{}", self.size(to)));
                }
                None if was_pointer => self.note(made, format_args!("bpf_{name} returned the pointer")),
                None => self.note(made, format_args!("bpf_{name} returns a number")),
            }
            return;
        }
        match (insn, value.to()) {
            (Insn::CallLocal { .. }, _) => {
                self.note(made, format_args!("what is in {reg} is lost in the call"));
            }
            (Insn::LoadAddr { .. }, Some(to)) => {
                self.note(made, format_args!("the pointer is made here: {to}{}", self.size(to)));
            }
            (Insn::Load { .. }, Some(to)) => self.note(made, format_args!("{to} is loaded here")),
            (Insn::Load { .. }, None) if was_pointer => {
                self.note(made, format_args!("the pointer is loaded here"));
            }
            (Insn::Load { .. }, None) => self.note(made, format_args!("this loads a number, not a pointer")),
            (_, None) => self.note(made, format_args!("this makes it {value}")),
            _ => {}
        }
    }

    /// What of the context a pointer is moved by.
    fn context(&mut self, reg: Reg) {
        if let Some((step, by)) = self.past.index_added(0, reg, self.state.top()) {
            self.note(step, format_args!("{by} is added to the context's address here"));
        }
    }

    /// How large a thing is that is pointed to.
    fn size(&self, to: To) -> Of {
        match to {
            To::MapValue { map, .. } => {
                Of(self.subject.maps.get(usize::from(map.0)).map(|map| map.value_size))
            }
            _ => Of(None),
        }
    }

    /// Says what took a pointer away: a comparison with null, a release, a packet that moved.
    fn lost(&mut self, reg: Reg, made: usize) -> bool {
        if !self.value(reg).is_number() {
            return false;
        }
        if self.value(reg).as_constant() == Some(0) {
            if let Some((step, Insn::Branch { src: Operand::Imm(0), .. })) = self.past.compared(0, made) {
                self.note(step, format_args!("on this path it is null, by this comparison"));
                return true;
            }
        }
        for step in 0..made {
            let Some(helper) = self.helper_of(step) else { continue };
            let Some(prototype) = helper.prototype else { continue };
            let frame = self.past.steps.get(step).map_or(0, |step| step.frame);
            let released = prototype.args.iter().zip(1u8..).any(|(arg, at)| {
                let reg = Reg::new(at).filter(|_| arg.is_released());
                reg.is_some_and(|reg| self.past.origin(step + 1, Place::Reg(frame, reg)) == Some(made))
            });
            if released {
                self.note(step, format_args!("bpf_{} releases it here", helper.name));
                return true;
            }
            let is_load = self.past.steps.get(made).and_then(|step| self.past.program.at(step.insn));
            if helper.effects.has(Effects::CHANGES_PACKET) && matches!(is_load, Some(Insn::Load { .. })) {
                self.note(
                    step,
                    format_args!(
                        "bpf_{} may move the packet: what pointed into it points nowhere now",
                        helper.name
                    ),
                );
                return true;
            }
        }
        false
    }

    /// Why a register has nothing in it.
    fn not_written(&mut self, insn: Insn) {
        let frame = self.state.top();
        for reg in insn.reads().iter().chain([Reg::R0]) {
            if !self.state.reg(reg).is_nothing() {
                continue;
            }
            let Some(made) = self.past.origin(0, Place::Reg(frame, reg)) else { continue };
            match self.helper_of(made) {
                Some(helper) if reg == Reg::R0 => {
                    self.note(made, format_args!("bpf_{} returns nothing", helper.name));
                }
                _ => self.note(made, format_args!("the call leaves nothing in {reg}")),
            }
            return;
        }
    }

    /// What is known of a packet's bytes.
    fn packet(&mut self, reg: Reg) {
        let value = self.value(reg);
        let frame = self.state.top();
        let made = self.past.origin(0, Place::Reg(frame, reg));
        let compared = made.and_then(|made| self.past.compared(0, made));
        if let Some((step, by)) = self.past.index_added(0, reg, frame) {
            self.bounded_by(step + 1, by);
            if compared.is_none_or(|(compared, _)| step < compared) {
                self.note(step, format_args!("a number is added to the pointer here; what was compared before says nothing of the sum"));
            }
        }
        match (compared, value.range) {
            (Some((step, _)), 0) => {
                self.note(
                    step,
                    format_args!("on this path, this comparison does not say that there are any bytes"),
                );
            }
            (Some((step, _)), range) => {
                self.note(step, format_args!("after this comparison, {range} bytes are known to be there"));
            }
            (None, _) => {}
        }
        if let Some(made) = made {
            match compared {
                None => self.note(
                    made,
                    format_args!(
                        "the pointer is loaded here; nothing compares it with the packet's end on this path"
                    ),
                ),
                Some(_) => self.note(made, format_args!("the pointer into the packet is loaded here")),
            }
        }
    }

    /// What bounds the part of an offset that is not constant.
    fn index(&mut self, reg: Reg) {
        let value = self.value(reg);
        if value.number.as_constant().is_some() {
            return;
        }
        if let Some((step, by)) = self.past.index_added(0, reg, self.state.top()) {
            self.bounded_by(step + 1, by);
            self.note(step, format_args!("the index is added here: {}", Value::number(value.number)));
        }
    }

    /// What was learned of a number last.
    fn bounded(&mut self, reg: Reg) {
        if self.value(reg).is_number() {
            self.bounded_by(0, reg);
        }
    }

    fn bounded_by(&mut self, from: usize, reg: Reg) {
        let frame = match from.checked_sub(1).and_then(|step| self.past.steps.get(step)) {
            Some(step) => step.frame,
            None => self.state.top(),
        };
        let Some(mut made) = self.past.origin(from, Place::Reg(frame, reg)) else { return };
        // What is computed of a number is bounded as that is.
        for _ in 0..MOST_STEPS {
            let Some(step) = self.past.steps.get(made) else { return };
            let before = match self.past.program.at(step.insn) {
                Some(Insn::Alu { dst, src: Operand::Imm(_), .. }) => dst,
                Some(Insn::Movsx { src, .. }) => src,
                _ => break,
            };
            if self.past.compared(from, made).is_some() {
                break;
            }
            match self.past.origin(made + 1, Place::Reg(step.frame, before)) {
                Some(before) => made = before,
                None => break,
            }
        }
        let insn = self.past.steps.get(made).and_then(|step| self.past.program.at(step.insn));
        let Some((step, Insn::Branch { width, cond, .. })) = self.past.compared(from, made) else {
            const NOTHING: &str = "nothing compares it on this path";
            match insn {
                Some(Insn::Load { kind, .. }) => {
                    let bytes = kind.size().bytes();
                    self.note(made, format_args!("{bytes} bytes are loaded here; {NOTHING}"));
                }
                Some(Insn::Alu { .. }) => {
                    self.note(made, format_args!("the number is computed here; {NOTHING}"));
                }
                _ => self.note(made, format_args!("the number is from here; {NOTHING}")),
            }
            return;
        };
        let signed = matches!(cond, Cond::Sgt | Cond::Sge | Cond::Slt | Cond::Sle);
        let how = match (signed, width) {
            (true, _) => "as a signed number: it may be negative still",
            (false, Width::W64) => "here last, unsigned",
            (false, Width::W32) => "here last, its lower half, unsigned",
        };
        self.note(step, format_args!("it is compared {how}"));
        if signed {
            if let Some((_, note)) = self.found.last_mut() {
                note.is_mistake = true;
            }
        }
    }

    /// What is owned still.
    fn owned(&mut self) {
        let Some(owned) = self.state.owned.last() else { return };
        match owned.kind {
            OwnedKind::Lock(..) => self.note_at(owned.at, format_args!("the lock is taken here")),
            OwnedKind::Object => match self.helper(owned.at) {
                Some(helper) => {
                    self.note_at(owned.at, format_args!("bpf_{} acquires what is not released", helper.name));
                }
                None => self.note_at(owned.at, format_args!("this acquires what is not released")),
            },
        }
    }

    /// Where a result is from.
    fn returned(&mut self) {
        let Some(made) = self.past.origin(0, Place::Reg(self.state.top(), Reg::R0)) else { return };
        self.note(made, format_args!("the result is made here: {}", self.value(Reg::R0)));
    }

    /// How often a loop was gone round.
    fn turns(&mut self) {
        let Some(back) = self.past.busiest().or_else(|| self.past.steps.first().map(|step| step.insn)) else {
            return;
        };
        let count = self.past.steps.iter().filter(|step| step.insn == back).count();
        match count {
            0 | 1 => self.note_at(back, format_args!("the loop goes back here")),
            _ => self.note_at(
                back,
                format_args!(
                    "the loop goes back here, {count} times in the last {} instructions",
                    self.past.steps.len()
                ),
            ),
        }
    }
}

/// How large something is, where that is known.
struct Of(Option<u32>);

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(size) => write!(f, ", of {size} bytes"),
            None => Ok(()),
        }
    }
}
