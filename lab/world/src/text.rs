//! Where the verifier's log is written to.

use skep_verifier::Sink;
use std::fmt;

/// A text that is written and taken back.
#[derive(Clone, Debug, Default)]
pub struct Text(pub String);

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.push_str(text);
        Ok(())
    }
}

impl Sink for Text {
    fn position(&self) -> u64 {
        self.0.len() as u64
    }

    fn back_to(&mut self, position: u64) {
        self.0.truncate(position as usize);
    }
}
