//! Where the bytes of an ELF file are.

use crate::parts::Parts;
use object::ReadRef;
use std::ops::Range;

/// The bytes of a file: all of them in a row, or the parts of it that are needed.
///
/// One type for both, so that the reader of ELF files is compiled once. Slices by themselves would do for the first, but for them `object` looks
/// for the ends of names by the `memchr` crate, which may ask the processor first what it can do: in a virtual machine that
/// takes as long as all else that a small object needs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'d> {
    Whole(&'d [u8]),
    Parts(&'d Parts),
}

/// Copies what is at an offset of a file; `None` where there is not that much.
pub(crate) fn copy(file: &[u8], offset: u64, into: &mut [u8]) -> Option<()> {
    let start = usize::try_from(offset).ok()?;
    into.copy_from_slice(file.get(start..start.checked_add(into.len())?)?);
    Some(())
}

impl<'d> Source<'d> {
    /// What is there from an offset on.
    fn from(self, offset: u64) -> Result<&'d [u8], ()> {
        match self {
            Source::Whole(bytes) => usize::try_from(offset).ok().and_then(|at| bytes.get(at..)).ok_or(()),
            Source::Parts(parts) => parts.from(offset),
        }
    }
}

impl<'d> ReadRef<'d> for Source<'d> {
    fn len(self) -> Result<u64, ()> {
        Ok(match self {
            Source::Whole(bytes) => bytes.len() as u64,
            Source::Parts(parts) => parts.len(),
        })
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'d [u8], ()> {
        if size == 0 {
            return Ok(&[]);
        }
        let bytes = self.from(offset)?;
        usize::try_from(size).ok().and_then(|size| bytes.get(..size)).ok_or(())
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'d [u8], ()> {
        let bytes = self.from(range.start)?;
        let size = range.end.checked_sub(range.start).ok_or(())?;
        let bytes = &bytes[..bytes.len().min(usize::try_from(size).unwrap_or(usize::MAX))];
        let end = bytes.iter().position(|byte| *byte == delimiter).ok_or(())?;
        Ok(&bytes[..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_read_as_object_reads_them() {
        let bytes = b"ab\0c\0\0rest";
        let source = Source::Whole(bytes);
        assert_eq!(ReadRef::len(source), Ok(10));
        for start in 0..12 {
            for len in 0..12 {
                assert_eq!(
                    source.read_bytes_at(start, len),
                    ReadRef::read_bytes_at(&bytes[..], start, len),
                    "{start} {len}"
                );
            }
            for end in start..=10 {
                assert_eq!(
                    source.read_bytes_at_until(start..end, 0),
                    ReadRef::read_bytes_at_until(&bytes[..], start..end, 0),
                    "{start}..{end}"
                );
            }
        }
    }
}
