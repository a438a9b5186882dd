//! Open files of the read-only tree, and open directories.

use crate::host::relock;
use skep_abi::Errno;
use skep_sys::DirEntry;
use std::sync::Mutex;

/// An open file, as it was when it was opened.
#[derive(Debug)]
pub(super) struct OpenFile {
    contents: Vec<u8>,
    position: Mutex<u64>,
}

impl OpenFile {
    pub(super) fn new(contents: Vec<u8>) -> OpenFile {
        OpenFile { contents, position: Mutex::new(0) }
    }

    /// Reads on from the position; gives the number of bytes, 0 at the end.
    pub(super) fn read(&self, into: &mut [u8]) -> u64 {
        let mut position = relock(&self.position);
        let count = self.read_at(*position, into);
        *position += count;
        count
    }

    /// Reads from an offset.
    pub(super) fn read_at(&self, at: u64, into: &mut [u8]) -> u64 {
        let rest = usize::try_from(at).ok().and_then(|at| self.contents.get(at..)).unwrap_or_default();
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        count as u64
    }
}

/// An open directory, as it was when it was opened.
#[derive(Debug)]
pub(super) struct OpenDirectory {
    left: Mutex<Vec<DirEntry>>,
}

impl OpenDirectory {
    pub(super) fn new(entries: Vec<DirEntry>) -> OpenDirectory {
        OpenDirectory { left: Mutex::new(entries) }
    }

    /// Moves all entries that were not read yet; gives their number.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn list(&self, into: &mut Vec<DirEntry>) -> Result<u64, Errno> {
        let mut left = relock(&self.left);
        into.try_reserve(left.len()).map_err(|_| Errno::ENOMEM)?;
        let count = left.len() as u64;
        into.append(&mut left);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_goes_on_and_ends() {
        let file = OpenFile::new(b"hello".to_vec());
        let mut into = [0; 3];
        assert_eq!((file.read(&mut into), into), (3, *b"hel"));
        assert_eq!((file.read(&mut into), into), (2, *b"lol"));
        assert_eq!(file.read(&mut into), 0);
        assert_eq!((file.read_at(1, &mut into), into), (3, *b"ell"));
        assert_eq!(file.read_at(5, &mut into), 0);
        assert_eq!(file.read_at(u64::MAX, &mut into), 0);
    }
}
