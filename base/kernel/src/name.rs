//! Names of maps and programs.

use crate::error::Result;
use skep_abi::{Errno, OBJ_NAME_LEN};

/// A name as `bpf(2)` carries it, NUL-padded.
pub(crate) type Name = [u8; OBJ_NAME_LEN];

/// Checks a name: letters, digits, `_` and `.`, then NULs (`bpf_obj_name_cpy`).
///
/// # Errors
/// `EINVAL`.
pub(crate) fn check(name: &Name) -> Result<()> {
    let len = name.iter().position(|byte| *byte == 0).ok_or(Errno::EINVAL)?;
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    match name[..len].iter().all(fits) && name[len..].iter().all(|byte| *byte == 0) {
        true => Ok(()),
        false => Err(Errno::EINVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(check(b"map.rodata_1\0\0\0\0"), Ok(()));
        assert_eq!(check(&[0; 16]), Ok(()));
        assert_eq!(check(b"a-b\0\0\0\0\0\0\0\0\0\0\0\0\0"), Err(Errno::EINVAL));
        assert_eq!(check(b"abc\0d\0\0\0\0\0\0\0\0\0\0\0"), Err(Errno::EINVAL));
        assert_eq!(check(b"sixteen_letters_"), Err(Errno::EINVAL));
    }
}
