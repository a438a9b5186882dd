//! What is known of numbers: the domain in which the verifier computes.
//!
//! A [`Number`] holds known bits, a range, and a range of the lower half, as Linux's `struct bpf_reg_state` does; its ranges
//! are unsigned and signed at once ([`arc::Range`]). Everything is generic over the widths `N` of a number and `H` of its
//! lower half, so that tests can ask all of it on numbers of four bits; [`Number`] is the one of 64 and 32.

pub(crate) mod alu;
pub(crate) mod arc;
pub(crate) mod bits;
pub(crate) mod compare;
pub(crate) mod number;
#[cfg(test)]
mod tests;
mod word;

pub(crate) use compare::Outcome;
pub(crate) use number::Number;
