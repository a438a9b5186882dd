//! Text to bytes.

use skep_isa::text;
use skep_isa::{ByteOrder, raw};

/// Assembles text.
///
/// # Errors
///
/// Says where the text is no instruction.
pub fn assemble(src: &str) -> Result<Vec<u8>, String> {
    let assembled = text::assemble(src, &()).map_err(|error| error.to_string())?;
    raw::to_bytes(assembled.slots(), ByteOrder::Little).map_err(|error| error.to_string())
}
