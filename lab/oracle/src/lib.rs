//! The verifier's verdicts held against what becomes of programs when they run.
//!
//! A [`Case`] is a program with all that a verifier is told of it, made of what reaches a kernel when an object is loaded
//! ([`Capture`]). The [reference machine](skep_exact) runs it in a [`World`] that does whatever the prototypes of helpers and the
//! tables of contexts allow: any number, any length, null wherever there may be none. [`mutants`] breaks programs, one instruction
//! at a time: of those that the machine stops, the verifier may accept none.
//!
//! [`beside`] asks the running Linux, too: of programs of objects that are changed, and of such as are made anew ([`make`]).

pub mod beside;
mod capture;
mod case;
pub mod contain;
mod generate;
mod listing;
pub mod mutants;
mod mutate;
mod random;
mod world;

pub use capture::{Capture, Listener, MapOf, Sent, each_case, map_fd};
pub use case::Case;
pub use generate::{Item, Made, Signature, Stock, Takes, make};
pub use listing::{Line, Listing};
pub use mutate::{Mutation, mutations};
pub use random::Random;
pub use world::{Ran, Stage, World};
