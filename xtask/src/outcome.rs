//! What a chore came to when it did not fail.

/// The exit status of a chore that could not run here. The reason is on its last line of output.
pub(crate) const SKIPPED_STATUS: u8 = 3;

/// What a chore came to; what went wrong on the way is an error.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It did all it does; a short note for people, or nothing.
    Done(String),
    /// It did all it does, and this is what it found wanting.
    Failed(String),
    /// It cannot run here, and this is what is missing.
    Skipped(String),
}
