//! Names as the kernel sees them: bytes of its `ctype`, which is Latin-1's.

/// `KSYM_NAME_LEN`, include/linux/kallsyms.h.
const MAX: usize = 512;

/// An identifier in which dots are letters too (`btf_name_valid_identifier`).
pub(super) fn is_identifier(name: &str) -> bool {
    let is_letter = |byte: u8| {
        byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'.' | 0xc0..=0xd6 | 0xd8..=0xf6 | 0xf8..)
    };
    match name.as_bytes() {
        [first, rest @ ..] => {
            is_letter(*first)
                && rest.len() < MAX
                && rest.iter().all(|&byte| is_letter(byte) || byte.is_ascii_digit())
        }
        [] => false,
    }
}

/// The name of a section: anything printable (`btf_name_valid_section`).
pub(super) fn is_section(name: &str) -> bool {
    let is_printable = |byte: &u8| matches!(byte, 0x20..=0x7e | 0xa0..);
    !name.is_empty() && name.len() <= MAX && name.as_bytes().iter().all(is_printable)
}
