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
    fn call<'e>(env: &'e Self::Env<'e>, passed: &Passed<'e>) -> u64;
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
