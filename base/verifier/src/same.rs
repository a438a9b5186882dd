//! Whether what follows a kept state was looked at for a new one, too.

use crate::kept::{Held, KeptFrame, KeptState, Standing};
use crate::path::Wanted;
use crate::stack::{Byte, Kept, Slot};
use crate::state::{Frame, OwnedKind, State};
use crate::value::{Id, Memory, To, Value, What};
use skep_isa::{Reg, RegSet};

/// How two states are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Compare {
    /// What nothing was seen to depend on may differ.
    Wanted,
    /// Everything of the new state must lie within the old one's.
    Within,
    /// They must be equal: nothing has happened in between.
    Equal,
}

/// A part of a state that another one does not stand for. States with one list often differ in the same part, so it is looked at first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// Something of the whole state.
    Whole,
    Reg {
        frame: u8,
        reg: Reg,
    },
    /// A register that is this constant there.
    Constant {
        frame: u8,
        reg: Reg,
        value: u64,
    },
    Slot {
        frame: u8,
        slot: u8,
    },
}

/// Which ids of the old state are which of the new one.
pub(crate) struct Ids {
    pairs: [(Id, Id); 64],
    count: usize,
    fresh: u32,
}

impl Ids {
    pub(crate) const fn new() -> Ids {
        Ids { pairs: [(Id::NONE, Id::NONE); 64], count: 0, fresh: u32::MAX }
    }

    fn clear(&mut self) {
        (self.count, self.fresh) = (0, u32::MAX);
    }

    /// Whether both are, or may be, the same (`check_ids`).
    fn same(&mut self, old: Id, new: Id) -> bool {
        if old.is_some() != new.is_some() {
            return false;
        }
        if !old.is_some() {
            return true;
        }
        for &(one, two) in self.pairs.get(..self.count).unwrap_or_default() {
            if one == old {
                return two == new;
            }
            if two == new {
                return false;
            }
        }
        // States with more ids than that are taken for different.
        let Some(pair) = self.pairs.get_mut(self.count) else { return false };
        *pair = (old, new);
        self.count += 1;
        true
    }

    /// The same for numbers: one without copies may stand for one that had some, alone (`check_scalar_ids`).
    fn same_number(&mut self, old: Id, new: Id) -> bool {
        if !old.is_some() {
            return true;
        }
        let new = if new.is_some() {
            new
        } else {
            self.fresh -= 1;
            Id(self.fresh)
        };
        self.same(old, new)
    }
}

/// Whether the new state is one of those that the old one stands for; otherwise, the first part that says so. The part in which the last one
/// differed is looked at first.
pub(crate) fn covers(
    (old, differed): (&KeptState, Part),
    new: &State,
    how: Compare,
    ids: &mut Ids,
    live: impl Fn(usize) -> RegSet,
) -> Result<(), Part> {
    if old.frames.len() != new.frames.len() {
        return Err(Part::Whole);
    }
    // After another turn something has happened; in what else they differ is of no use to know.
    if how == Compare::Equal && (old.turns, old.unrolled) != (new.turns, new.unrolled) {
        return Err(differed);
    }
    ids.clear();
    if differs_in((old, differed), new, how, ids, &live) {
        return Err(differed);
    }
    if old.owned.len() != new.owned.len() || old.rcu != new.rcu || old.preempt != new.preempt {
        return Err(Part::Whole);
    }
    ids.clear();
    let mut owned = old.owned.iter().zip(&new.owned);
    if !owned.all(|(one, two)| {
        let same_lock = match (one.kind, two.kind) {
            (OwnedKind::Object, OwnedKind::Object) => true,
            (OwnedKind::Lock(map, one), OwnedKind::Lock(other, two)) => map == other && ids.same(one, two),
            _ => false,
        };
        same_lock && one.frame == two.frame && ids.same(one.id, two.id)
    }) {
        return Err(Part::Whole);
    }
    for (at, (one, two)) in old.frames.iter().zip(&new.frames).enumerate() {
        // After fewer turns, more of them were followed.
        let turns = if how == Compare::Equal { one.turns == two.turns } else { one.turns <= two.turns };
        if one.function != two.function || one.call != two.call || one.role != two.role || !turns {
            return Err(Part::Whole);
        }
        same_frame(one, two, at, how, live(at), ids)?;
    }
    Ok(())
}

/// Whether the register in which the kept state differed the last time is another constant now, too, which most states with one list differ
/// in. It is told at once, and says no more than [`covers`] would.
#[inline]
pub(crate) fn counts_otherwise(standing: &Standing, new: &State, how: Compare) -> bool {
    let Part::Constant { frame, reg, value } = standing.differed else { return false };
    let other = |new: &Frame| new.regs[reg.index()].as_constant().is_some_and(|now| now != value);
    (how != Compare::Wanted || standing.counts) && new.frames.get(usize::from(frame)).is_some_and(other)
}

/// Whether the part differs by itself in which the kept state differed the last time. What differs without any pairs of ids does with them.
#[inline]
fn differs_in(
    (old, differed): (&KeptState, Part),
    new: &State,
    how: Compare,
    ids: &mut Ids,
    live: impl Fn(usize) -> RegSet,
) -> bool {
    let frames = |frame: u8| old.frames.get(usize::from(frame)).zip(new.frames.get(usize::from(frame)));
    match differed {
        Part::Whole => false,
        Part::Reg { frame, reg } | Part::Constant { frame, reg, .. } => frames(frame)
            .is_some_and(|(one, two)| live(frame.into()).contains(reg) && !same_reg(one, two, reg, how, ids)),
        Part::Slot { frame, slot } => frames(frame).is_some_and(|(one, two)| {
            one.slot(slot.into())
                .is_some_and(|old| !same_slot_of(old, two, slot.into(), &one.wanted, how, ids))
        }),
    }
}

fn same_frame(
    old: &KeptFrame,
    new: &Frame,
    at: usize,
    how: Compare,
    live: RegSet,
    ids: &mut Ids,
) -> Result<(), Part> {
    let frame = at as u8;
    // The frame pointer is always the same.
    for reg in live.without(RegSet::of(Reg::FP)).iter() {
        if !same_reg(old, new, reg, how, ids) {
            return Err(Part::Reg { frame, reg });
        }
    }
    for (number, slot) in old.stack.iter().enumerate() {
        if !same_slot_of(slot, new, number, &old.wanted, how, ids) {
            return Err(Part::Slot { frame, slot: number as u8 });
        }
    }
    // What the old one never touched is nothing there, which whatever is in the new one may stand for.
    if how == Compare::Equal && new.stack.len() > old.stack.len() {
        return Err(Part::Whole);
    }
    Ok(())
}

#[inline]
fn same_reg(old: &KeptFrame, new: &Frame, reg: Reg, how: Compare, ids: &mut Ids) -> bool {
    let how = match how {
        Compare::Wanted if old.wanted.compared_regs() & 1 << reg.index() != 0 => Compare::Within,
        how => how,
    };
    let new = &new.regs[reg.index()];
    // Most that are compared are numbers on which nothing depends.
    match old.held(reg) {
        Held::Value(old) => {
            how == Compare::Wanted && old.is_number() && new.is_number() || same_value(old, new, how, ids)
        }
        Held::Number => new.is_number(),
        Held::Constant(value) => match how {
            Compare::Wanted => new.is_number(),
            Compare::Within => new.as_constant() == Some(value),
            Compare::Equal => new.as_constant() == Some(value) && new.fixed == 0,
        },
        Held::Context => *new == Value::CONTEXT,
        Held::Nothing => same_value(&Value::NOTHING, new, how, ids),
    }
}

#[inline]
fn same_slot_of(
    old: &Slot,
    new: &Frame,
    number: usize,
    wanted: &Wanted,
    how: Compare,
    ids: &mut Ids,
) -> bool {
    let bit = 1u64 << (number & 63);
    if how == Compare::Wanted && wanted.read & bit == 0 {
        return true;
    }
    let how = match how {
        Compare::Wanted if wanted.compared_slots() & bit != 0 => Compare::Within,
        how => how,
    };
    same_slot(old, new.slot(number).unwrap_or(&Slot::NOTHING), how, ids)
}

fn same_slot(old: &Slot, new: &Slot, how: Compare, ids: &mut Ids) -> bool {
    let stored = |slot: &Slot| slot.stored().map(|(value, count)| (*value, count));
    let (whole, news) = (stored(old), stored(new));
    for (index, (&one, &two)) in old.bytes.iter().zip(&new.bytes).enumerate() {
        let fits = match (one, two) {
            (Byte::Nothing, _) => how != Compare::Equal || two == Byte::Nothing,
            // Some number is whatever was stored there, if that is a number.
            (Byte::Some, Byte::Some | Byte::Zero) => how != Compare::Equal || two == Byte::Some,
            (Byte::Some, Byte::Stored) => {
                how != Compare::Equal && news.is_some_and(|(value, _)| value.is_number())
            }
            (Byte::Zero, Byte::Zero) | (Byte::Kept, Byte::Kept) => true,
            // That a stored number is zero must be wanted of it then, which it is where everything is compared.
            (Byte::Zero, Byte::Stored) => {
                how == Compare::Within && news.is_some_and(|(value, _)| value.as_constant() == Some(0))
            }
            (Byte::Stored, Byte::Stored) => true,
            // A stored number may stand for the zeros or for any number that are there now.
            (Byte::Stored, Byte::Zero | Byte::Some) => {
                how != Compare::Equal
                    && index < 8
                    && whole.is_some_and(|(value, _)| {
                        value.is_number() && (how == Compare::Wanted || covers_bytes(&value, new))
                    })
            }
            _ => false,
        };
        if !fits {
            return false;
        }
    }
    if let Some(kept) = old.kept {
        return new.kept.is_some_and(|new| same_kept(kept, new, how))
            && ids.same(old.value.id, new.value.id)
            && ids.same(old.value.owned, new.value.owned);
    }
    match (whole, news) {
        (Some((one, count)), Some((two, other))) => count == other && same_value(&one, &two, how, ids),
        _ => true,
    }
}

/// Whether both are the same object: how often an iterator has given a number tells turns apart, and is no other state.
fn same_kept(old: Kept, new: Kept, how: Compare) -> bool {
    match (old, new) {
        (Kept::Iterator { turning: one, .. }, Kept::Iterator { turning: two, .. })
            if how != Compare::Equal =>
        {
            one == two
        }
        _ => old == new,
    }
}

/// Whether a stored number without copies may be what the bytes are now: any number, or zeros.
fn covers_bytes(value: &Value, new: &Slot) -> bool {
    let zeros = new.bytes.iter().all(|&byte| byte == Byte::Zero);
    !value.id.is_some() && (value.number.is_unknown() || (zeros && value.number.contains(0)))
}

/// Whether the new value is one of those that the old one stands for (`regsafe`).
fn same_value(old: &Value, new: &Value, how: Compare, ids: &mut Ids) -> bool {
    match (old.what, new.what) {
        // What was never written was never read.
        (What::Nothing, _) => how != Compare::Equal || new.is_nothing(),
        (What::Number, What::Number) => match how {
            Compare::Wanted => true,
            Compare::Within => {
                (!old.id.is_some() || old.fixed == new.fixed)
                    && old.number.covers(&new.number)
                    && ids.same_number(old.id, new.id)
            }
            Compare::Equal => {
                old.number == new.number && old.fixed == new.fixed && ids.same_number(old.id, new.id)
            }
        },
        (What::Pointer(one), What::Pointer(two)) => {
            // One that is not null cannot stand for one that may be: a test of one tells of all with its id.
            if one.null != two.null || old.fixed != new.fixed || !same_target(one.to, two.to, ids) {
                return false;
            }
            let ranges = match how {
                Compare::Equal => old.number == new.number && old.range == new.range,
                _ => old.number.covers(&new.number) && old.range <= new.range,
            };
            ranges && ids.same(old.id, new.id) && ids.same(old.owned, new.owned)
        }
        _ => false,
    }
}

fn same_target(old: To, new: To, ids: &mut Ids) -> bool {
    match (old, new) {
        (To::MapValue { map: one, inner: first }, To::MapValue { map: two, inner: second })
        | (To::InnerMap { map: one, inner: first }, To::InnerMap { map: two, inner: second }) => {
            one == two && ids.same(first, second)
        }
        (To::Memory { size: one, kind: first }, To::Memory { size: two, kind: second }) => {
            let kinds = match (first, second) {
                (Memory::Slice(one), Memory::Slice(two)) => ids.same(one, two),
                _ => first == second,
            };
            one <= two && kinds
        }
        _ => old == new,
    }
}
