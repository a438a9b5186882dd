//! How long each jump is.
//!
//! All jumps start short; one that does not reach becomes near, which may push the target of another out of its reach. The least
//! such choice is found in linear time: a short jump spans at most 128 bytes, so when one grows, only those among the few
//! dozen parts on either side can be affected, and each grows once.
//!
//! Padding is counted as long as it can be. The real one is never longer, so what reaches with it reaches without; what it costs is
//! a jump over padding that is near though it just might be short.

use super::label::{Label, Spot, Taken};
use super::{Alignment, AsmError, text};
use crate::x86_64::Cond;
use alloc::vec::Vec;

/// What has a length that depends on distances.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Bytes of text before it.
    pub(super) at: u32,
    pub(super) kind: PartKind,
    pub(super) form: Form,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum PartKind {
    Jmp(Label),
    Jcc(Cond, Label),
    Align(Alignment),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// One byte of distance.
    Short,
    /// Four bytes of distance.
    Near,
}

/// What a short jump takes.
const SHORT: u32 = 2;

impl Part {
    /// Returns where a jump leads.
    #[inline(always)]
    pub(super) fn target(&self) -> Option<Label> {
        match self.kind {
            PartKind::Jmp(label) | PartKind::Jcc(_, label) => Some(label),
            PartKind::Align(_) => None,
        }
    }

    /// Returns how long it is, `offset` being where it starts.
    #[inline(always)]
    pub(super) fn len(&self, offset: u32) -> u32 {
        match (self.kind, self.form) {
            (PartKind::Align(alignment), _) => alignment.padding(offset),
            (_, Form::Short) => SHORT,
            (PartKind::Jmp(_), Form::Near) => 5,
            (PartKind::Jcc(..), Form::Near) => 6,
        }
    }

    /// Returns how long it is in its form, wherever it starts.
    #[inline(always)]
    fn longest(&self, _offset: u32) -> u32 {
        match self.kind {
            PartKind::Align(alignment) => alignment.worst(),
            _ => self.len(0),
        }
    }

    /// Returns by how much it grows from short to near.
    fn growth(&self) -> i16 {
        match self.kind {
            PartKind::Jmp(_) => 3,
            PartKind::Jcc(..) => 4,
            PartKind::Align(_) => 0,
        }
    }
}

/// Decides the form of each jump, and returns what the parts take.
pub(super) fn relax(parts: &mut [Part], labels: &[Spot], text_len: usize) -> Result<Taken, AsmError> {
    let mut taken = Taken(Vec::new());
    taken.0.try_reserve_exact(parts.len() + 1).map_err(|_| AsmError::OutOfMemory)?;
    // Most jumps that become near are too far even while all others are short: these cost a glance, not a turn of the loop.
    fill(&mut taken, parts, text_len, Part::longest)?;
    let mut are_short = true;
    for at in 0..parts.len() {
        if distance(parts, labels, &taken, at)?.is_none() {
            parts[at].form = Form::Near;
            are_short = false;
        }
    }
    if !are_short {
        fill(&mut taken, parts, text_len, Part::longest)?;
        let mut work = Relaxation { parts, labels, taken: &taken, distances: Vec::new(), grown: Vec::new() };
        work.start()?;
        while let Some(at) = work.grown.pop() {
            work.tell_neighbours(at as usize)?;
        }
    }
    fill(&mut taken, parts, text_len, Part::len)?;
    Ok(taken)
}

/// Sums up what the parts take, given how long each is at its offset.
fn fill(
    taken: &mut Taken,
    parts: &[Part],
    text_len: usize,
    len: impl Fn(&Part, u32) -> u32,
) -> Result<(), AsmError> {
    taken.0.clear();
    let mut sum = 0_u64;
    for part in parts {
        taken.0.push(sum as u32);
        sum += u64::from(len(part, (u64::from(part.at) + sum) as u32));
    }
    taken.0.push(sum as u32);
    // What was cut to 32 bits on the way is not looked at if the whole is too long.
    if sum + text_len as u64 > text::LONGEST as u64 { Err(AsmError::TooLong) } else { Ok(()) }
}

/// Returns how far a jump leads if a short one reaches; nothing if it does not. What is no jump leads nowhere.
#[inline(always)]
fn distance(parts: &[Part], labels: &[Spot], taken: &Taken, at: usize) -> Result<Option<i16>, AsmError> {
    let Some(label) = parts[at].target() else {
        return Ok(Some(0));
    };
    let target = match labels.get(label.0 as usize) {
        Some(spot) if *spot != Spot::NOWHERE => spot.offset(taken),
        _ => return Err(AsmError::Unbound(label)),
    };
    let end = parts[at].at + taken.0[at] + SHORT;
    Ok(i8::try_from(i64::from(target) - i64::from(end)).ok().map(i16::from))
}

struct Relaxation<'a> {
    parts: &'a mut [Part],
    labels: &'a [Spot],
    /// What the parts took at the start; they take more with every jump that grows.
    taken: &'a Taken,
    /// How far each short jump leads now.
    distances: Vec<i16>,
    /// Jumps that became near and whose neighbours do not know yet.
    grown: Vec<u32>,
}

impl Relaxation<'_> {
    fn start(&mut self) -> Result<(), AsmError> {
        self.distances.try_reserve_exact(self.parts.len()).map_err(|_| AsmError::OutOfMemory)?;
        for at in 0..self.parts.len() {
            let distance = match self.parts[at].form {
                Form::Near => None,
                Form::Short => distance(self.parts, self.labels, self.taken, at)?,
            };
            self.distances.push(distance.unwrap_or(0));
            if distance.is_none() && self.parts[at].form == Form::Short {
                self.grow(at)?;
            }
        }
        Ok(())
    }

    fn grow(&mut self, at: usize) -> Result<(), AsmError> {
        self.parts[at].form = Form::Near;
        super::push(&mut self.grown, at as u32)
    }

    /// Moves apart what short jumps lead across a jump that grew.
    fn tell_neighbours(&mut self, grown: usize) -> Result<(), AsmError> {
        let growth = self.parts[grown].growth();
        for at in (0..grown).rev() {
            // Further away than any short jump leads, even as things were at the start.
            if self.offset(grown) - self.offset(at) > 127 + SHORT {
                break;
            }
            self.push_apart(at, growth, |target| target > grown)?;
        }
        for at in grown + 1..self.parts.len() {
            if self.offset(at) - self.offset(grown) > 128 {
                break;
            }
            self.push_apart(at, -growth, |target| target <= grown)?;
        }
        Ok(())
    }

    fn push_apart(&mut self, at: usize, by: i16, across: impl Fn(usize) -> bool) -> Result<(), AsmError> {
        let Part { form: Form::Short, .. } = self.parts[at] else {
            return Ok(());
        };
        let Some(label) = self.parts[at].target() else {
            return Ok(());
        };
        if across(self.labels[label.0 as usize].parts as usize) {
            self.distances[at] += by;
            if i8::try_from(self.distances[at]).is_err() {
                self.grow(at)?;
            }
        }
        Ok(())
    }

    fn offset(&self, at: usize) -> u32 {
        self.parts[at].at + self.taken.0[at]
    }
}
