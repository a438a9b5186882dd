//! Jumps and branches (`check_cond_jmp_op` in `kernel/bpf/verifier.c`).

use super::Result;
use crate::explore::{Explorer, Next};
use crate::path::{MOST_FRAMES, Note, Set};
use crate::rejection::Rule;
use crate::scalar::{self, Number, Outcome};
use crate::state::State;
use crate::value::{Id, Memory, Null, Pointer, To, Trust, Value, What};
use core::mem;
use skep_isa::{Cond, Insn, InsnIdx, Operand, Reg, Width};

/// The longest packet that is reckoned with (`MAX_PACKET_OFF`).
const MOST_PACKET: u64 = 0xffff;
/// How often a `may_goto` can go on (`BPF_MAY_GOTO` in `bpf_fixups`: `BPF_MAX_LOOPS`).
const MOST_TURNS: u32 = 8 << 20;

impl Explorer<'_> {
    fn target(&self, at: InsnIdx, insn: Insn) -> Result<InsnIdx> {
        insn.jump_target(at)
            .ok_or_else(|| Rule::Flow.broken(at, format_args!("`{insn}` leads out of the program")))
    }

    pub(super) fn jump(&mut self, at: InsnIdx, insn: Insn) -> Result<Next> {
        Ok(Next::At(self.target(at, insn)?))
    }

    pub(super) fn may_goto(&mut self, state: &mut State, at: InsnIdx, insn: Insn) -> Result<Next> {
        let target = self.target(at, insn)?;
        if state.turns < MOST_TURNS {
            let mut on = self.copy(state)?;
            on.turns += 1;
            self.wait_in_loop(on, at, InsnIdx(at.0 + 1))?;
        }
        Ok(Next::At(target))
    }

    pub(super) fn branch(
        &mut self,
        state: &mut State,
        at: InsnIdx,
        insn: Insn,
        (width, cond): (Width, Cond),
        dst: Reg,
        src: Operand,
    ) -> Result<Next> {
        let target = self.target(at, insn)?;
        let next = InsnIdx(at.0 + 1);
        let left = self.read(state, at, dst)?;
        let mut constant = Value::NOTHING;
        let right = self.operand(state, at, width, src, &mut constant)?;
        let other = src.reg();
        if let Some(taken) = certain(cond, width, left, right, other == Some(dst)) {
            self.need_reg(state, dst);
            if let Some(other) = other {
                self.need_reg(state, other);
            }
            return Ok(Next::At(if taken { target } else { next }));
        }
        if left.is_number() && right.is_number() {
            if other == Some(dst) {
                let taken = self.copy(state)?;
                self.wait(taken, target)?;
                return Ok(Next::At(next));
            }
            let copies = self.note_copies(state, left, right)?;
            let sides = ((cond, width), dst, other);
            let mut taken = self.copy(state)?;
            let holds = learn_outcome(&mut taken, &copies, sides, Outcome::Holds, left, right);
            let (left, right) = (*left, *right);
            let fails = learn_outcome(state, &copies, sides, Outcome::Fails, &left, &right);
            if holds && fails {
                self.wait(taken, target)?;
                return Ok(Next::At(next));
            }
            self.need_both(state, dst, other);
            if holds {
                mem::swap(state, &mut taken);
            }
            self.put_by(taken);
            return Ok(Next::At(if holds { target } else { next }));
        }
        let (left, right) = (*left, *right);
        let mut taken = self.copy(state)?;
        // The register whose being zero tells of a pointer.
        let mut zeros = None;
        let equals = match cond {
            Cond::Eq => Some((&mut taken, &mut *state)),
            Cond::Ne => Some((&mut *state, &mut taken)),
            _ => None,
        };
        match equals {
            Some((null, rest)) if width == Width::W64 && is_null(&right) && left.may_be_null() => {
                if let Some(other) = other {
                    zeros = Some(other);
                }
                learn_null(null, rest, left.id, left.owned);
            }
            Some((null, rest)) if width == Width::W64 && is_null(&left) && right.may_be_null() => {
                zeros = Some(dst);
                learn_null(null, rest, right.id, right.owned);
            }
            Some((equal, _)) if width == Width::W64 => learn_both_there(equal, &left, &right),
            _ if width == Width::W64 => learn_range(state, &mut taken, cond, &left, &right),
            _ => {}
        }
        if let Some(zeros) = zeros {
            self.need_reg(state, zeros);
        }
        self.wait(taken, target)?;
        Ok(Next::At(next))
    }

    fn need_both(&mut self, state: &State, dst: Reg, other: Option<Reg>) {
        self.need_reg(state, dst);
        if let Some(other) = other {
            self.need_reg(state, other);
        }
    }

    /// Notes which numbers will change together, as they are copies of what is compared, and returns them.
    fn note_copies(&mut self, state: &State, left: &Value, right: &Value) -> Result<Set> {
        let mut set = Set::EMPTY;
        let ids = [left.id, right.id];
        if !ids[0].is_some() && !ids[1].is_some() {
            return Ok(set);
        }
        let linked = |value: &Value| value.id.is_some() && ids.contains(&value.id) && value.is_number();
        let mut count = 0;
        for (number, frame) in state.frames.iter().enumerate().take(MOST_FRAMES) {
            for reg in Reg::ALL {
                if linked(&frame.regs[reg.index()]) {
                    set.add_reg(number, reg);
                    count += 1;
                }
            }
            for (index, slot) in frame.stack.iter().enumerate() {
                if slot.stored().is_some_and(|(value, _)| linked(value)) {
                    set.add_slot(number, index);
                    count += 1;
                }
            }
        }
        if count > 1 {
            let set = self.path.set(set)?;
            self.path.note(Note::Together(set))?;
        }
        Ok(set)
    }
}

fn is_null(value: &Value) -> bool {
    value.as_constant() == Some(0)
}

/// What the comparison comes to, if that is certain.
fn certain(cond: Cond, width: Width, left: &Value, right: &Value, same: bool) -> Option<bool> {
    if left.is_number() && right.is_number() {
        if same {
            return match cond {
                Cond::Eq | Cond::Ge | Cond::Le | Cond::Sge | Cond::Sle => Some(true),
                Cond::Ne | Cond::Gt | Cond::Lt | Cond::Sgt | Cond::Slt => Some(false),
                Cond::Set => scalar::compare::decide(cond, width, &left.number, &right.number),
            };
        }
        return scalar::compare::decide(cond, width, &left.number, &right.number);
    }
    let pointer = match (left.is_number(), right.is_number()) {
        (false, true) if is_null(right) => left,
        (true, false) if is_null(left) => right,
        _ => return None,
    };
    let there = pointer.certainly_to().is_some_and(|to| is_there(to) || pointer.owned.is_some());
    if width != Width::W64 || !there {
        return None;
    }
    match cond {
        Cond::Eq => Some(false),
        Cond::Ne => Some(true),
        _ => None,
    }
}

/// Whether what a pointer points to is there for certain (`reg_not_null`).
fn is_there(to: To) -> bool {
    match to {
        To::Object { trust, .. } => trust == Trust::Trusted,
        To::Memory { kind, .. } => kind != Memory::Untrusted,
        _ => true,
    }
}

/// Learns how a comparison of two numbers came out, and says whether it may come out so. Without a second register, the second is constant.
fn learn_outcome(
    state: &mut State,
    copies: &Set,
    ((cond, width), dst, other): ((Cond, Width), Reg, Option<Reg>),
    outcome: Outcome,
    left: &Value,
    right: &Value,
) -> bool {
    if let Some(other) = other {
        let both = scalar::compare::refine(cond, width, outcome, &left.number, &right.number);
        let Some((one, two)) = both else { return false };
        learn(state, copies, dst, left, one);
        learn(state, copies, other, right, two);
    } else {
        let one = scalar::compare::refine_by_constant(cond, width, outcome, &left.number, &right.number);
        let Some(one) = one else { return false };
        learn(state, copies, dst, left, one);
    }
    true
}

/// Learns what a register holds, and so what those of the copies do that are its own.
fn learn(state: &mut State, copies: &Set, reg: Reg, before: &Value, number: Number) {
    if number == before.number {
        return;
    }
    state.frame_mut().regs[reg.index()].number = number;
    if !before.id.is_some() {
        return;
    }
    let (id, fixed) = (before.id, before.fixed);
    state.for_each_of(copies, |value| {
        if value.id != id {
            return;
        }
        let by = value.fixed.wrapping_sub(fixed);
        if by == 0 && (value.number == before.number || value.number == number) {
            value.number = number;
            return;
        }
        let shifted = if by == 0 { number } else { number.add(&Number::constant(by as u64)) };
        value.number = value.number.meet(&shifted).unwrap_or(shifted);
    });
}

/// Learns that pointers are null in one state and are not in the other.
fn learn_null(null: &mut State, rest: &mut State, id: Id, owned: Id) {
    null.for_each(|value| {
        if value.may_be_null() && value.id == id {
            *value = Value::constant(0);
        }
    });
    // Another view of what is owned may be null for reasons of its own.
    if owned.is_some() && owned == id {
        null.owned.retain(|one| one.id != owned);
    }
    rest.for_each(|value| {
        if let What::Pointer(Pointer { null: Null::Perhaps, to }) = value.what {
            if value.id == id {
                value.what = What::Pointer(Pointer { to, null: Null::Never });
                // Which of a map's values it is matters for its lock.
                if !matches!(to, To::MapValue { .. }) {
                    value.id = Id::NONE;
                }
            }
        }
    });
}

/// Learns that a pointer is not null, as it equals one that is not.
fn learn_both_there(equal: &mut State, left: &Value, right: &Value) {
    let there = |value: &Value| {
        let to = value.certainly_to();
        to.is_some_and(|to| !matches!(to, To::Object { .. } | To::PacketEnd) && is_there(to))
    };
    for (one, two) in [(left, right), (right, left)] {
        if one.may_be_null() && there(two) && !matches!(one.to(), Some(To::Object { .. })) {
            let id = one.id;
            equal.for_each(|value| {
                if let What::Pointer(Pointer { null: Null::Perhaps, to }) = value.what {
                    if value.id == id {
                        value.what = What::Pointer(Pointer { to, null: Null::Never });
                    }
                }
            });
        }
    }
}

/// Learns how many bytes of a packet are there (`try_match_pkt_pointers`).
fn learn_range(next: &mut State, taken: &mut State, cond: Cond, left: &Value, right: &Value) {
    let ends = |start: &Value, end: &Value| match (start.to(), end.to()) {
        (Some(To::Packet), Some(To::PacketEnd)) => true,
        // The metadata end where the packet begins.
        (Some(To::PacketMeta), Some(To::Packet)) => end.fixed == 0 && end.number.as_constant() == Some(0),
        _ => false,
    };
    // As if the start were on the left: whether start < end, or start <= end, and where that is so.
    let (start, strict, holds) = if ends(left, right) {
        match cond {
            Cond::Gt => (left, false, false),
            Cond::Ge => (left, true, false),
            Cond::Lt => (left, true, true),
            Cond::Le => (left, false, true),
            _ => return,
        }
    } else if ends(right, left) {
        match cond {
            Cond::Gt => (right, true, true),
            Cond::Ge => (right, false, true),
            Cond::Lt => (right, false, false),
            Cond::Le => (right, true, false),
            _ => return,
        }
    } else {
        return;
    };
    let Ok(mut range) = u64::try_from(start.fixed) else { return };
    if (range == 0 && !strict) || start.number.umax().saturating_add(range) > MOST_PACKET {
        return;
    }
    if strict {
        range += 1;
    }
    let range = u16::try_from(range).unwrap_or(u16::MAX);
    let (to, id) = (start.to(), start.id);
    let state = if holds { taken } else { next };
    state.for_each(|value| {
        if value.to() == to && value.id == id && !value.is_nothing() {
            value.range = value.range.max(range);
        }
    });
}
