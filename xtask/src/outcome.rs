//! What a chore came to when it did not fail.

/// The exit status of a chore that could not run here. The reason is on its last line of output.
pub(crate) const SKIPPED_STATUS: u8 = 3;

/// What a chore came to; failures are errors.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It did all it does; a short note for people, or nothing.
    Done(String),
    /// It cannot run here, and this is what is missing.
    Skipped(String),
}
