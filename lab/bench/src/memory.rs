//! A program's memory, at a multiple of 64 wherever it is allocated.

const ALIGN: usize = 64;

/// A program's memory.
pub(crate) struct Memory {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Memory {
    /// Makes one that holds these bytes.
    pub(crate) fn new(content: &[u8]) -> Memory {
        let mut bytes = vec![0; content.len() + ALIGN];
        let start = bytes.as_ptr().align_offset(ALIGN);
        bytes[start..start + content.len()].copy_from_slice(content);
        Memory { bytes, start, len: content.len() }
    }

    /// Gives the bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }

    /// Gives the bytes, to be written.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}
