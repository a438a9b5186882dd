//! The wrapper that records.

use super::changes::Copy;
use super::image::{Image, Label, Room, after, before};
use super::recording::{Answer, Entry, Recording};
use crate::spin::Spin;
use crate::{Call, Kernel, MapCall, Protection, RawMapping, Reply, Sys};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use skep_abi::Errno;
use skep_mem::{Bytes, NoMemory};

/// Answers as another kernel does, and records every call (see the module's documentation for what callers see of
/// mapped memory).
pub struct Record {
    inner: Arc<dyn Sys>,
    state: Spin<State>,
}

#[derive(Default)]
struct State {
    recording: Recording,
    mappings: Vec<Mapped>,
    /// The next mapping's id.
    next_id: u64,
    lost: bool,
}

/// A mapping: the kernel's, and the copy that the caller sees.
struct Mapped {
    copy: Copy,
    real: RawMapping,
    protection: Protection,
}

/// The memory of a wrapped kernel's mapping.
fn memory(real: &RawMapping) -> Bytes<'_> {
    // SAFETY: the wrapped kernel keeps the bytes mapped until `Unmap`, which takes the value that is borrowed here. Only
    // those mapped for writing are written to.
    unsafe { Bytes::from_raw(real.base(), real.len()) }
}

/// Memory ran out for the recording, so calls are missing from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incomplete;

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory ran out while recording, so calls are missing")
    }
}

impl core::error::Error for Incomplete {}

impl Record {
    /// Starts to record what `kernel` is asked through the new value.
    pub fn new(kernel: &Kernel) -> Record {
        Record { inner: Arc::clone(kernel.sys()), state: Spin::default() }
    }

    /// Takes the recording so far; a new one starts, which can be replayed only if nothing is open any more.
    ///
    /// # Errors
    /// [`Incomplete`] where memory ran out for it.
    pub fn take(&self) -> Result<Recording, Incomplete> {
        let mut state = self.state.lock();
        let recording = core::mem::take(&mut state.recording);
        if core::mem::take(&mut state.lost) { Err(Incomplete) } else { Ok(recording) }
    }

    fn map(&self, call: MapCall) -> Result<Reply, Errno> {
        let real = match self.inner.call(Call::Map(call))? {
            Reply::Mapping(real) => real,
            _ => return Err(Errno::EPROTO),
        };
        let mut state = self.state.lock();
        let id = state.next_id;
        let room = state.mappings.try_reserve(1).map_err(NoMemory::from);
        let Ok(copy) = room.and_then(|()| Copy::new(id, real.len())) else {
            drop(state);
            self.inner.call(Call::Unmap(real))?;
            return Err(Errno::ENOMEM);
        };
        state.next_id += 1;
        // SAFETY: the copy is aligned to 64, lives in the state until `unmap` (or for ever, see `drop`), and is reached
        // through `Bytes` only.
        let shown = unsafe { RawMapping::new(copy.shown.bytes().as_ptr(), real.len(), id as usize) };
        state.mappings.push(Mapped { copy, real, protection: call.protection });
        Ok(Reply::Mapping(shown))
    }

    fn unmap(&self, shown: &RawMapping) -> Result<Reply, Errno> {
        let mapped = {
            let mut state = self.state.lock();
            let is_it = |mapped: &Mapped| mapped.copy.shown.bytes().as_ptr() == shown.base();
            let index = state.mappings.iter().position(is_it).ok_or(Errno::EINVAL)?;
            state.mappings.swap_remove(index)
        };
        self.inner.call(Call::Unmap(mapped.real))
    }
}

impl State {
    /// Passes on what the caller has written into its copies, and notes it.
    fn pass_on(&mut self, image: &mut Image) -> Result<(), NoMemory> {
        let writable = |mapped: &&mut Mapped| mapped.protection == Protection::ReadWrite;
        for mapped in self.mappings.iter_mut().filter(writable) {
            let written = mapped.copy.written()?;
            if !written.is_empty() {
                image.field(Label::Memory, mapped.copy.id, &written)?;
            }
        }
        for mapped in self.mappings.iter_mut().filter(writable) {
            mapped.copy.agree_to_written(Some(memory(&mapped.real)));
        }
        Ok(())
    }

    /// Notes the call, and what the kernel has written meanwhile.
    fn note(&mut self, mut entry: Entry) -> Result<(), NoMemory> {
        self.recording.entries.try_reserve(1)?;
        for mapped in &mut self.mappings {
            let taken = mapped.copy.take_over(memory(&mapped.real))?;
            entry.memory.try_reserve(taken.len())?;
            entry.memory.extend_from_slice(&taken);
        }
        self.recording.entries.push(entry);
        Ok(())
    }
}

impl Sys for Record {
    fn call(&self, mut call: Call<'_>) -> Result<Reply, Errno> {
        let mut given = Image::default();
        self.state.lock().pass_on(&mut given).map_err(|_| Errno::ENOMEM)?;
        before(&mut given, &call).map_err(|_| Errno::ENOMEM)?;
        let room = Room::of(&call);
        let outcome = match &mut call {
            Call::Map(map) => self.map(*map),
            // To keep a copy is to touch every page, and who touches a page takes it from the programs.
            Call::Arena(_) => Err(Errno::EOPNOTSUPP),
            Call::Unmap(shown) => self.unmap(shown),
            // What is read is part of the recording, and what is mapped would not be.
            Call::MapBtf => Err(Errno::EOPNOTSUPP),
            other => self.inner.call(other.reborrow()),
        };
        let answer = Answer::of(&outcome);
        let mut back = Image::default();
        let noted = after(&mut back, &call, room, answer.count()).and_then(|()| {
            let entry = Entry { before: given.bytes, answer, after: back.bytes, memory: Vec::new() };
            self.state.lock().note(entry)
        });
        // The call has had its effect, so its answer stands; the recording says that it lacks one.
        if noted.is_err() {
            self.state.lock().lost = true;
        }
        outcome
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        // Whoever still holds a raw mapping was promised its memory for ever.
        let mappings = core::mem::take(&mut self.state.lock().mappings);
        for mapped in mappings {
            let _ = self.inner.call(Call::Unmap(mapped.real));
            core::mem::forget(mapped.copy.shown);
        }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({} calls)", self.state.lock().recording.len())
    }
}
