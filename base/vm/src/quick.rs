//! Helpers that machine code calls by their addresses, and that are safe code all the same.

use crate::{Plain, Promise};
use core::marker::PhantomData;
use core::ptr::NonNull;
use skep_mem::Bytes;

/// Is what a quick helper was called with: r1 to r5.
#[derive(Debug)]
pub struct Passed<'e> {
    numbers: [u64; 5],
    life: PhantomData<&'e ()>,
}

impl<'e> Passed<'e> {
    /// Returns a number, by its position from zero.
    #[inline(always)]
    pub fn number(&self, position: usize) -> u64 {
        self.numbers.get(position).copied().unwrap_or(0)
    }

    /// Lends memory that a number is the address of, as whoever made the program has promised.
    #[inline(always)]
    pub fn memory(&self, position: usize, len: usize) -> Bytes<'e> {
        let address = core::ptr::with_exposed_provenance_mut(self.number(position) as usize);
        match NonNull::new(address) {
            // SAFETY: a program made this that was promised to pass memory where helpers want some, which is accessed atomically
            // only; it stays while the helper runs.
            Some(base) => unsafe { Bytes::from_raw(base, len) },
            None => Bytes::empty(),
        }
    }
}

/// Is a helper that programs without checks call by its address: it cannot end the run, call back or take fuel, and a panic in it ends
/// the process.
pub trait Quick {
    /// Is what surrounds a run; [`word`] of it is the run's [word](crate::Calls::word).
    type Env<'e>;

    /// Answers a call.
    fn call<'p>(env: &'p Self::Env<'_>, passed: &Passed<'p>) -> u64;
}

impl Plain {
    /// Makes a plain helper of a quick one. It costs no fuel, so it is for programs that count none.
    ///
    /// The [promise](Promise) is that of the programs that call it, and that the word of their runs is that of what surrounds them.
    pub fn quick<Q: Quick>(id: u32, _: Promise) -> Plain {
        Plain { id, function: quick::<Q>, units: 0 }
    }
}

/// Returns the word by which quick helpers find what surrounds a run.
#[inline(always)]
pub fn word<E>(env: &E) -> u64 {
    (&raw const *env).expose_provenance() as u64
}

extern "C" fn quick<Q: Quick>(r1: u64, r2: u64, r3: u64, r4: u64, r5: u64, word: u64) -> u64 {
    let env = core::ptr::with_exposed_provenance::<Q::Env<'_>>(word as usize);
    // SAFETY: whoever made the program has promised that its runs have such a word; the run waits for this call.
    let env = unsafe { &*env };
    Q::call(env, &Passed { numbers: [r1, r2, r3, r4, r5], life: PhantomData })
}

/// Is what a call comes to by which a program makes way for another one.
#[derive(Clone, Copy, Debug)]
#[cfg(target_arch = "x86_64")]
pub enum Next<'e> {
    /// Nobody takes its place: it goes on, with zero.
    Nobody,
    /// This one does, at once.
    Enters(crate::jit::Entrance<'e>),
    /// The run of machine code ends, and whoever has started it does the rest.
    Elsewhere,
}

/// Finds the program that takes another one's place, for programs without checks that call it by its address. It cannot call
/// back or take fuel, and a panic in it ends the process.
#[cfg(target_arch = "x86_64")]
pub trait Follow {
    /// Is what surrounds a run, and outlives it; [`word`] of it is the run's word.
    type Env<'e>;

    /// Answers a call.
    fn next<'e>(env: &Self::Env<'e>, numbers: [u64; 5]) -> Next<'e>;
}

/// Is a helper by which programs make way for others.
#[derive(Clone, Copy, Debug)]
#[cfg(target_arch = "x86_64")]
pub struct Successor {
    pub(crate) id: u32,
    pub(crate) function: crate::PlainFn,
}

#[cfg(target_arch = "x86_64")]
impl Successor {
    /// Makes it of what finds the next program.
    ///
    /// The [promise](Promise) is that of the programs that call it, that the word of their runs is that of what surrounds them, and that
    /// what can run the first of them can run those that follow.
    pub fn of<F: Follow>(id: u32, _: Promise) -> Successor {
        Successor { id, function: next::<F> }
    }
}

#[cfg(target_arch = "x86_64")]
extern "C" fn next<F: Follow>(r1: u64, r2: u64, r3: u64, r4: u64, r5: u64, word: u64) -> u64 {
    let env = core::ptr::with_exposed_provenance::<F::Env<'_>>(word as usize);
    // SAFETY: as in `quick`.
    let env = unsafe { &*env };
    match F::next(env, [r1, r2, r3, r4, r5]) {
        Next::Nobody => 0,
        Next::Enters(entrance) => entrance.address(),
        Next::Elsewhere => crate::jit::elsewhere(),
    }
}
