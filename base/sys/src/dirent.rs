//! Directory entries as `getdents64(2)` fills them (`include/linux/dirent.h`, `struct linux_dirent64`).

use crate::{DirEntry, FileKind};
use alloc::string::String;
use alloc::vec::Vec;
use skep_abi::Errno;

/// Bytes of an entry before its name: inode and offset of 8, length of 2, kind of 1.
const HEADER: usize = 19;
const LEN_AT: usize = 16;
const KIND_AT: usize = 18;

/// Adds the entries of one filled buffer to a list; gives how many there were, those left out (`.`, `..`, names that
/// are not UTF-8) among them.
///
/// # Errors
/// `EBADMSG` where the buffer is not made of entries; `ENOMEM`.
pub fn add_dir_entries(mut buffer: &[u8], into: &mut Vec<DirEntry>) -> Result<u64, Errno> {
    let mut count = 0;
    while !buffer.is_empty() {
        let len = buffer.get(LEN_AT..LEN_AT + 2).ok_or(Errno::EBADMSG)?;
        let len = usize::from(u16::from_ne_bytes([len[0], len[1]]));
        if len < HEADER || len > buffer.len() {
            return Err(Errno::EBADMSG);
        }
        let (entry, rest) = buffer.split_at(len);
        add(entry, into)?;
        buffer = rest;
        count += 1;
    }
    Ok(count)
}

fn add(entry: &[u8], into: &mut Vec<DirEntry>) -> Result<(), Errno> {
    let name = &entry[HEADER..];
    let end = name.iter().position(|byte| *byte == 0).ok_or(Errno::EBADMSG)?;
    let Ok(text) = core::str::from_utf8(&name[..end]) else { return Ok(()) };
    if matches!(text, "." | "..") {
        return Ok(());
    }
    let mut name = String::new();
    name.try_reserve_exact(text.len()).map_err(|_| Errno::ENOMEM)?;
    name.push_str(text);
    into.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    // The kinds are those of `stat`'s mode, shifted (include/linux/fs_types.h).
    let kind = match entry[KIND_AT] {
        4 => FileKind::Directory,
        8 => FileKind::Regular,
        10 => FileKind::Symlink,
        _ => FileKind::Other,
    };
    into.push(DirEntry { name, kind });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &[u8], kind: u8) -> Vec<u8> {
        let mut entry = alloc::vec![0; HEADER];
        entry.extend_from_slice(name);
        entry.push(0);
        entry.resize(entry.len().next_multiple_of(8), 0);
        let len = entry.len() as u16;
        entry[LEN_AT..LEN_AT + 2].copy_from_slice(&len.to_ne_bytes());
        entry[KIND_AT] = kind;
        entry
    }

    #[test]
    fn entries_are_added_and_counted() {
        let buffer = [entry(b".", 4), entry(b"..", 4), entry(b"tracing", 4), entry(b"\xff", 8)].concat();
        let mut list = Vec::new();
        assert_eq!(add_dir_entries(&buffer, &mut list), Ok(4));
        assert_eq!(list, [DirEntry { name: "tracing".into(), kind: FileKind::Directory }]);
    }

    #[test]
    fn no_cut_of_a_buffer_is_read_past_its_end() {
        let whole = entry(b"name", 8);
        for end in 1..whole.len() {
            assert_eq!(add_dir_entries(&whole[..end], &mut Vec::new()), Err(Errno::EBADMSG), "{end}");
        }
        let mut endless = entry(b"name", 8);
        endless[LEN_AT..LEN_AT + 2].fill(0);
        assert_eq!(add_dir_entries(&endless, &mut Vec::new()), Err(Errno::EBADMSG));
        let mut unended = entry(b"12345", 8);
        unended[HEADER..].fill(b'x');
        assert_eq!(add_dir_entries(&unended, &mut Vec::new()), Err(Errno::EBADMSG));
    }
}
