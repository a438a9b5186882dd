//! Files that a kernel shows compressed (`/proc/config.gz`).

use miniz_oxide::inflate::decompress_to_vec_with_limit;

/// What a gzip file begins with (RFC 1952 §2.3.1).
const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The only method there is: deflate.
const DEFLATE: u8 = 8;
/// Bytes of the fixed header, and of the checksum and length at the end.
const HEADER: usize = 10;
const TRAILER: usize = 8;
/// The most bytes that come out; configurations have a fiftieth of it.
const MOST: usize = 16 << 20;

/// Flags of the header: what stands between it and the data.
const CHECKSUM: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;

/// Tells whether these are the bytes of a gzip file.
pub(super) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Gives what a gzip file of one member holds; `None` where it is damaged or holds too much.
pub(super) fn gunzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let header = bytes.get(..HEADER)?;
    if !is_gzip(header) || header[2] != DEFLATE {
        return None;
    }
    let flags = header[3];
    let mut rest = &bytes[HEADER..];
    if flags & EXTRA != 0 {
        let len = rest.first_chunk().map(|len| u16::from_le_bytes(*len))?;
        rest = rest.get(2 + usize::from(len)..)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let end = rest.iter().position(|byte| *byte == 0)?;
            rest = &rest[end + 1..];
        }
    }
    if flags & CHECKSUM != 0 {
        rest = rest.get(2..)?;
    }
    let (data, trailer) = rest.split_at(rest.len().checked_sub(TRAILER)?);
    let found = decompress_to_vec_with_limit(data, MOST).ok()?;
    let len = u32::from_le_bytes(*trailer.last_chunk()?);
    (found.len() == len as usize).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `CONFIG_HZ=250\n` in a stored block (RFC 1951 §3.2.4), with the header's optional parts that `flags` names.
    fn file(flags: u8) -> Vec<u8> {
        let text = b"CONFIG_HZ=250\n";
        let mut file = vec![0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3];
        if flags & EXTRA != 0 {
            file.extend([3, 0, 1, 2, 3]);
        }
        for _ in 0..(flags & (NAME | COMMENT)).count_ones() {
            file.extend(b"name\0");
        }
        if flags & CHECKSUM != 0 {
            file.extend([0, 0]);
        }
        let len = text.len() as u16;
        file.push(1);
        file.extend(len.to_le_bytes());
        file.extend((!len).to_le_bytes());
        file.extend(text);
        file.extend([0; 4]);
        file.extend(u32::from(len).to_le_bytes());
        file
    }

    #[test]
    fn every_header_is_read_over() {
        for flags in [0, EXTRA, NAME, COMMENT, CHECKSUM, EXTRA | NAME | COMMENT | CHECKSUM] {
            assert_eq!(gunzip(&file(flags)).as_deref(), Some(&b"CONFIG_HZ=250\n"[..]), "{flags}");
        }
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let whole = file(EXTRA | NAME | COMMENT | CHECKSUM);
        for len in 0..whole.len() {
            assert_eq!(gunzip(&whole[..len]), None, "{len}");
        }
        let mut longer = file(0);
        *longer.last_mut().unwrap() = 1;
        assert_eq!(gunzip(&longer), None);
        let mut other_method = file(0);
        other_method[2] = 7;
        assert_eq!(gunzip(&other_method), None);
    }
}
