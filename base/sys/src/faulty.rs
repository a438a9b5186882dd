//! A kernel whose calls fail as planned.

use crate::spin::Spin;
use crate::{Attr, Call, FileCall, Kernel, Reply, Sys};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::mem::offset_of;
use skep_abi::{Cmd, Errno, MapBatch};

/// Which call a fault strikes. Calls are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// The call with this number.
    Nth(u64),
    /// Among the calls of this name ([`Call::name`]), the one with this number.
    NthNamed(&'static str, u64),
    /// Every call of this name.
    Named(&'static str),
}

/// What becomes of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum With {
    /// It fails before it has any effect (`Close` and `Unmap` take place, as they always do).
    Errno(Errno),
    /// A read, write or batched look-up moves no more than so many bytes or elements; other calls are not touched.
    Short(u32),
}

/// A planned fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which call.
    pub on: On,
    /// What becomes of it.
    pub with: With,
}

/// Answers as another kernel does, except where a [`Fault`] is planned; counts and names the calls, so that a test can
/// run a path once, see its calls, and then fail each in turn.
pub struct Faulty {
    inner: Arc<dyn Sys>,
    state: Spin<State>,
}

#[derive(Default)]
struct State {
    names: Vec<&'static str>,
    faults: Vec<Fault>,
    struck: u64,
}

impl Faulty {
    /// Wraps a kernel; nothing is planned yet.
    pub fn new(kernel: &Kernel) -> Faulty {
        Faulty { inner: Arc::clone(kernel.sys()), state: Spin::new(State::default()) }
    }

    /// Plans a fault; where several strike one call, the first planned does.
    pub fn plan(&self, fault: Fault) {
        self.state.lock().faults.push(fault);
    }

    /// Forgets the plans and the calls so far.
    pub fn reset(&self) {
        *self.state.lock() = State::default();
    }

    /// Gives the names of the calls so far, in order.
    pub fn names(&self) -> Vec<&'static str> {
        self.state.lock().names.clone()
    }

    /// Gives how many calls a fault has struck.
    pub fn struck(&self) -> u64 {
        self.state.lock().struck
    }

    /// Counts a call; gives what is planned for it.
    fn enter(&self, call: &Call<'_>) -> Result<Option<With>, Errno> {
        let name = call.name();
        let mut state = self.state.lock();
        let number = state.names.len() as u64;
        let among = state.names.iter().filter(|other| **other == name).count() as u64;
        state.names.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        state.names.push(name);
        let strikes = |fault: &&Fault| match fault.on {
            On::Nth(nth) => nth == number,
            On::NthNamed(of, nth) => of == name && nth == among,
            On::Named(of) => of == name,
        };
        let with = state.faults.iter().find(strikes).map(|fault| fault.with);
        let touched = match with {
            None => false,
            Some(With::Errno(_)) => true,
            Some(With::Short(_)) => can_be_short(call),
        };
        state.struck += u64::from(touched);
        Ok(with)
    }
}

impl Sys for Faulty {
    fn call(&self, call: Call<'_>) -> Result<Reply, Errno> {
        match (self.enter(&call)?, call) {
            (Some(With::Errno(errno)), call @ (Call::Close(_) | Call::Unmap(_))) => {
                self.inner.call(call)?;
                Err(errno)
            }
            (Some(With::Errno(errno)), _) => Err(errno),
            (Some(With::Short(most)), call) => self.inner.call(shorten(call, most)),
            (None, call) => self.inner.call(call),
        }
    }
}

/// The commands that may answer with fewer elements than asked for and still succeed.
const SHORT_BATCHES: &[Cmd] = &[Cmd::MAP_LOOKUP_BATCH, Cmd::MAP_LOOKUP_AND_DELETE_BATCH];

fn can_be_short(call: &Call<'_>) -> bool {
    match call {
        Call::File(FileCall::Read(..) | FileCall::ReadAt(..) | FileCall::Write(..)) => true,
        Call::Bpf(attr) => SHORT_BATCHES.contains(&attr.cmd()),
        _ => false,
    }
}

fn shorten(call: Call<'_>, most: u32) -> Call<'_> {
    let cut = |len: usize| len.min(most as usize);
    match call {
        Call::File(FileCall::Read(fd, into)) => {
            let len = cut(into.len());
            Call::File(FileCall::Read(fd, &mut into[..len]))
        }
        Call::File(FileCall::ReadAt(fd, at, into)) => {
            let len = cut(into.len());
            Call::File(FileCall::ReadAt(fd, at, &mut into[..len]))
        }
        Call::File(FileCall::Write(fd, from)) => Call::File(FileCall::Write(fd, &from[..cut(from.len())])),
        Call::Bpf(attr) if SHORT_BATCHES.contains(&attr.cmd()) => Call::Bpf(shorten_batch(attr, most)),
        other => other,
    }
}

fn shorten_batch(mut attr: Attr<'_>, most: u32) -> Attr<'_> {
    const COUNT: usize = offset_of!(MapBatch, count);
    let (bytes, _) = attr.parts_mut();
    if let Some(count) = bytes.get_mut(COUNT..COUNT + 4) {
        let asked = u32::from_ne_bytes([count[0], count[1], count[2], count[3]]);
        count.copy_from_slice(&asked.min(most).to_ne_bytes());
    }
    attr
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        write!(f, "Faulty({} calls, {} faults planned)", state.names.len(), state.faults.len())
    }
}
