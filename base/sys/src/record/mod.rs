//! Recording all that crosses the seam, and answering from the recording.
//!
//! A recording holds each call with all its bytes before and after, the answer, and what the kernel changed in mapped
//! memory. So that memory is part of it exactly, [`Record`] shows copies of mappings: what the kernel wrote becomes
//! visible with the next call (or [`crate::Call::Refresh`]), what the caller wrote reaches the kernel with its next call.
//! What a caller sees then follows from the answers that it got, and [`Replay`] gives the same ones.
//!
//! Calls of several threads at once are recorded in the order in which they were answered; only a caller that makes
//! them in the same order again can be replayed.

mod changes;
mod image;
mod recorder;
mod recording;
mod replay;

pub use recorder::{Incomplete, Record};
pub use recording::{Recording, RecordingError};
pub use replay::{Difference, Mismatch, Replay};
