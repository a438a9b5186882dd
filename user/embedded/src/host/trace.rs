//! What programs print: handed to the owner's sink, and kept for who asks later.

use super::relock;
use skep_mem::Trace;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Mutex;

/// Takes each message as it is printed. Called from wherever a program runs; must not call into the kernel.
pub type TraceSink = Box<dyn Fn(&str) + Send + Sync>;

/// The latest messages.
pub(super) struct TraceLog {
    sink: Option<TraceSink>,
    kept: Mutex<VecDeque<String>>,
}

/// Messages kept; older ones make room.
const MOST: usize = 1024;

impl TraceLog {
    pub(super) fn new(sink: Option<TraceSink>) -> TraceLog {
        TraceLog { sink, kept: Mutex::default() }
    }

    /// Takes the oldest message that is kept.
    pub(super) fn take(&self) -> Option<String> {
        relock(&self.kept).pop_front()
    }
}

impl Trace for TraceLog {
    fn message(&self, text: &[u8]) {
        // Without memory a message is lost, as it is on Linux where the trace buffer is full.
        let Some(text) = lossy(text) else { return };
        if let Some(sink) = &self.sink {
            sink(&text);
        }
        let mut kept = relock(&self.kept);
        if kept.len() == MOST {
            kept.pop_front();
        }
        if kept.try_reserve(1).is_ok() {
            kept.push_back(text);
        }
    }
}

/// Copies text, with a replacement for each part that is not UTF-8.
fn lossy(bytes: &[u8]) -> Option<String> {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.try_reserve(chunk.valid().len() + char::REPLACEMENT_CHARACTER.len_utf8()).ok()?;
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    Some(text)
}

impl fmt::Debug for TraceLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceLog({} messages)", relock(&self.kept).len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_replaced() {
        assert_eq!(lossy(b"a\xffb\xe2\x82").as_deref(), Some("a\u{fffd}b\u{fffd}"));
    }

    #[test]
    fn the_latest_messages_are_kept() {
        let log = TraceLog::new(None);
        (0..MOST + 2).for_each(|i| log.message(format!("{i}").as_bytes()));
        assert_eq!(log.take().as_deref(), Some("2"));
        assert_eq!(std::iter::from_fn(|| log.take()).count(), MOST - 1);
        assert_eq!(log.take(), None);
    }
}
