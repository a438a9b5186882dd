//! The kernel that answers from a recording.

use super::changes::{Copy, show};
use super::image::{Image, Label, RestoreError, before, first, restore};
use super::recording::{Answer, Entry, Recording};
use crate::spin::Spin;
use crate::{Call, Fd, MapCall, Protection, RawMapping, Reply, Sys};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use skep_abi::Errno;
use skep_mem::NoMemory;

/// Answers each call as the recording does, as long as the calls are those of the recording.
///
/// Descriptors have the recorded numbers and are virtual; mappings are memory of its own. Waiting takes no time. From
/// the first call that differs every answer is `EPROTO`, and [`Replay::mismatch`] says what differed; closing and
/// unmapping go on to succeed, also after the end of the recording.
pub struct Replay {
    recording: Recording,
    state: Spin<State>,
}

#[derive(Default)]
struct State {
    /// The number of calls answered.
    next: usize,
    copies: Vec<Copy>,
    /// Ids of the copies that the caller may write.
    writable: Vec<u64>,
    mismatch: Option<Mismatch>,
}

/// A call that is not the recorded one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The number of the call, from 0.
    pub call: u64,
    /// Its name.
    pub name: &'static str,
    /// What differs.
    pub difference: Difference,
}

/// What differs between a call and the recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The recording has ended.
    Ended,
    /// Another call was recorded.
    Call {
        /// Its name.
        recorded: String,
    },
    /// Some bytes of it differ.
    Bytes {
        /// Which part of the call.
        part: String,
        /// The first byte that differs.
        offset: usize,
        /// The byte recorded, if there is one.
        recorded: Option<u8>,
        /// The byte found, if there is one.
        found: Option<u8>,
    },
    /// The call has a part that was not recorded, or lacks one.
    Parts,
    /// The call is as recorded, but the recorded answer cannot be one to it.
    Answer,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call {} ({}): ", self.call, self.name)?;
        match &self.difference {
            Difference::Ended => f.write_str("the recording has ended"),
            Difference::Call { recorded } => write!(f, "{recorded} was recorded"),
            Difference::Bytes { part, offset, recorded, found } => {
                write!(f, "{part} differs at byte {offset}: recorded {}", Byte(*recorded))?;
                write!(f, ", found {}", Byte(*found))
            }
            Difference::Parts => f.write_str("its parts are not those recorded"),
            Difference::Answer => f.write_str("the recorded answer does not fit the call"),
        }
    }
}

impl core::error::Error for Mismatch {}

struct Byte(Option<u8>);

impl fmt::Display for Byte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(byte) => write!(f, "{byte:#04x}"),
            None => f.write_str("the end"),
        }
    }
}

/// Why a call was not answered as recorded.
enum Stop {
    Differs(Difference),
    NoMemory,
}

impl From<NoMemory> for Stop {
    fn from(_: NoMemory) -> Stop {
        Stop::NoMemory
    }
}

impl Replay {
    /// Starts at the beginning of a recording.
    pub fn new(recording: Recording) -> Replay {
        Replay { recording, state: Spin::default() }
    }

    /// Gives the first call that was not the recorded one.
    pub fn mismatch(&self) -> Option<Mismatch> {
        self.state.lock().mismatch.clone()
    }

    /// Gives the number of recorded calls that were not made yet.
    pub fn left(&self) -> usize {
        self.recording.len().saturating_sub(self.state.lock().next)
    }

    fn answer(&self, state: &mut State, call: &mut Call<'_>) -> Result<Result<Reply, Errno>, Stop> {
        let mut image = Image::default();
        for copy in &state.copies {
            let written = if state.writable.contains(&copy.id) { copy.written()? } else { Vec::new() };
            if !written.is_empty() {
                image.field(Label::Memory, copy.id, &written)?;
            }
        }
        before(&mut image, call)?;
        let entry = self.recording.entries.get(state.next).ok_or(Stop::Differs(Difference::Ended))?;
        if image.bytes != entry.before {
            return Err(Stop::Differs(compare(entry, &image.bytes)));
        }
        state.copies.iter_mut().for_each(|copy| copy.agree_to_written(None));
        let reply = match (entry.answer, &*call) {
            (Answer::Mapping { len, id }, Call::Map(map)) => state.map(map, len, id)?,
            (Answer::Mapping { .. }, _) => return Err(Stop::Differs(Difference::Answer)),
            (answer, _) => reply(answer),
        };
        if let Call::Unmap(shown) = call {
            state.unmap(shown);
        }
        match restore(call, &entry.after, entry.answer.count()) {
            Ok(()) => {}
            Err(RestoreError::Misfit) => return Err(Stop::Differs(Difference::Answer)),
            Err(RestoreError::NoMemory) => return Err(Stop::NoMemory),
        }
        show(&mut state.copies, &entry.memory).map_err(|_| Stop::Differs(Difference::Answer))?;
        state.next += 1;
        Ok(reply)
    }
}

fn reply(answer: Answer) -> Result<Reply, Errno> {
    Ok(match answer {
        Answer::Errno(errno) => return Err(errno),
        Answer::None => Reply::None,
        Answer::Count(count) => Reply::Count(count),
        Answer::Fd(number) => Reply::Fd(Fd::Virtual(number)),
        // Made by `State::map` where the call is one.
        Answer::Mapping { .. } => return Err(Errno::EPROTO),
        Answer::Stat(stat) => Reply::Stat(stat),
        Answer::Limits(soft, hard) => Reply::Limits(soft, hard),
    })
}

impl State {
    fn map(&mut self, call: &MapCall, len: u64, id: u64) -> Result<Result<Reply, Errno>, Stop> {
        let fits = usize::try_from(len).ok().filter(|len| *len <= call.len);
        let (Some(len), Ok(cookie)) = (fits, usize::try_from(id)) else {
            return Err(Stop::Differs(Difference::Answer));
        };
        if self.copies.iter().any(|copy| copy.id == id) {
            return Err(Stop::Differs(Difference::Answer));
        }
        self.copies.try_reserve(1).map_err(NoMemory::from)?;
        self.writable.try_reserve(1).map_err(NoMemory::from)?;
        let copy = Copy::new(id, len)?;
        // SAFETY: the copy is aligned to 64, lives in the state until `unmap` (or for ever, see `drop`), and is reached
        // through `Bytes` only.
        let shown = unsafe { RawMapping::new(copy.shown.bytes().as_ptr(), len, cookie) };
        self.copies.push(copy);
        if call.protection == Protection::ReadWrite {
            self.writable.push(id);
        }
        Ok(Ok(Reply::Mapping(shown)))
    }

    fn unmap(&mut self, shown: &RawMapping) {
        let is_it = |copy: &Copy| copy.shown.bytes().as_ptr() == shown.base();
        if let Some(index) = self.copies.iter().position(is_it) {
            let id = self.copies.swap_remove(index).id;
            self.writable.retain(|other| *other != id);
        }
    }
}

impl Sys for Replay {
    fn call(&self, mut call: Call<'_>) -> Result<Reply, Errno> {
        let mut state = self.state.lock();
        let stop = match state.mismatch {
            None => match self.answer(&mut state, &mut call) {
                Ok(outcome) => {
                    drop(state);
                    if let Call::Watch(_, waker) = call {
                        waker.wake_by_ref();
                    }
                    return outcome;
                }
                Err(stop) => Some(stop),
            },
            Some(_) => None,
        };
        let closing = match &call {
            Call::Close(_) => true,
            Call::Unmap(shown) => {
                state.unmap(shown);
                true
            }
            _ => false,
        };
        match stop {
            Some(Stop::NoMemory) if !closing => return Err(Errno::ENOMEM),
            Some(Stop::Differs(difference)) if !(closing && difference == Difference::Ended) => {
                let call_number = state.next as u64;
                state.mismatch = Some(Mismatch { call: call_number, name: call.name(), difference });
            }
            _ => {}
        }
        if closing { Ok(Reply::None) } else { Err(Errno::EPROTO) }
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        // Whoever still holds a raw mapping was promised its memory for ever.
        for copy in core::mem::take(&mut self.state.lock().copies) {
            core::mem::forget(copy.shown);
        }
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Replay({} of {} calls)", self.state.lock().next, self.recording.len())
    }
}

/// Finds what differs between a recorded call and one that was made.
fn compare(entry: &Entry, mut found: &[u8]) -> Difference {
    let mut recorded = entry.before.as_slice();
    loop {
        let (Some((was, was_rest)), Some((is, is_rest))) = (first(recorded), first(found)) else {
            return Difference::Parts;
        };
        if was != is {
            if (was.label, is.label) == (Label::Name, Label::Name) {
                return Difference::Call { recorded: entry.name().to_string() };
            }
            if (was.label, was.at) != (is.label, is.at) {
                return Difference::Parts;
            }
            let same = was.bytes.iter().zip(is.bytes).take_while(|(was, is)| was == is).count();
            let (recorded, found) = (was.bytes.get(same).copied(), is.bytes.get(same).copied());
            let part = alloc::format!("{} {}", was.label, was.at);
            return Difference::Bytes { part, offset: same, recorded, found };
        }
        (recorded, found) = (was_rest, is_rest);
    }
}
