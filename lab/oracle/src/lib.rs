//! The verifier's verdicts held against what becomes of programs when they run.
//!
//! A [`Case`] is a program with all that a verifier is told of it, made of what reaches a kernel when an object is loaded
//! ([`Capture`]). The [reference machine](skep_exact) runs it in a [`World`] that does whatever the prototypes of helpers and the
//! tables of contexts allow: any number, any length, null wherever there may be none. [`mutants`] breaks programs, one instruction
//! at a time: of those that the machine stops, the verifier may accept none.
//!
//! It knows no way to judge a verdict but by running: what another verifier says of a program is `lab/corpus`' business.

mod capture;
mod case;
pub mod contain;
pub mod mutants;
mod mutate;
mod random;
mod world;

pub use capture::{Capture, Listener, MapOf, Sent, each_case, map_fd};
pub use case::Case;
pub use mutate::{Mutation, mutations};
pub use random::Random;
pub use world::{Ran, Stage, World};
